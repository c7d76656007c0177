"""The same reads from folders and object stores, and what happens when a store fails."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import boto3
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from winnow.stages.commoncrawl import fetch
from winnow.stages.commoncrawl.fetch import open_fetcher
from winnow.stages.commoncrawl.fetcher import Fetcher, FetchError, NotThere, Politeness, Range

from .server import CrawlServer, broken_off, status, truncated

BODY = random.Random(0).randbytes(300_000)
QUICK = Politeness(connections=3, backoff=0.02, timeout=60, attempts=4)
WANTED = [Range("crawl-data/a.warc.gz", n * 9_000, n * 9_000 + 500 + n) for n in range(30)]
NO_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")


def fill(folder: Path) -> None:
    (folder / "crawl-data").mkdir(parents=True)
    (folder / "crawl-data/a.warc.gz").write_bytes(BODY)
    (folder / "crawl-data/empty").write_bytes(b"")


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in NO_CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, no_credentials: None) -> Iterator[str]:
    """An object store on this machine that anybody may read."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    client = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id="t", aws_secret_access_key="t")
    client.create_bucket(Bucket="commoncrawl")
    client.put_object(Bucket="commoncrawl", Key="crawl-data/a.warc.gz", Body=BODY, ACL="public-read")
    client.put_object(Bucket="commoncrawl", Key="crawl-data/empty", Body=b"", ACL="public-read")
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # another test's server is gone
    yield "s3://commoncrawl"
    server.stop()


@pytest.fixture(params=["folder", "s3", "memory"])
def fetcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fetcher]:
    if request.param == "folder":
        fill(tmp_path / "mirror")
        endpoint = str(tmp_path / "mirror")
    elif request.param == "memory":
        endpoint = "memory://mirror"
        memory = fsspec.filesystem("memory")
        memory.pipe({"/mirror/crawl-data/a.warc.gz": BODY, "/mirror/crawl-data/empty": b""})
    else:
        endpoint = request.getfixturevalue("store")
    with open_fetcher(endpoint, QUICK) as opened:
        yield opened


def test_every_store_gives_the_same(fetcher: Fetcher) -> None:
    assert fetcher.read("crawl-data/a.warc.gz") == b"".join(fetcher.stream("crawl-data/a.warc.gz")) == BODY
    assert fetcher.size("crawl-data/a.warc.gz") == len(BODY)
    assert fetcher.read("crawl-data/empty") == b"" and list(fetcher.stream("crawl-data/empty")) == []
    assert list(fetcher.ranges(WANTED)) == [(item, BODY[item.start : item.end]) for item in WANTED]
    with fetcher.ranged_file("crawl-data/a.warc.gz") as file:
        file.seek(-10, 2)
        assert file.read() == BODY[-10:]
    assert fetcher.traffic.bytes >= 2 * len(BODY) and fetcher.traffic.retries == fetcher.traffic.failures == 0


def test_what_is_not_there_or_too_short_is_said(fetcher: Fetcher) -> None:
    for path in ("crawl-data/nothing", "nowhere/at/all"):
        with pytest.raises(NotThere, match=f"{path}: no such file"):
            fetcher.read(path)
        with pytest.raises(NotThere):
            fetcher.ranged_file(path)
        with pytest.raises(NotThere):
            next(fetcher.stream(path))
    with pytest.raises(FetchError):
        fetcher.size("crawl-data")
    with pytest.raises(FetchError, match="is no path below"):
        fetcher.read("../crawl-data/a.warc.gz")
    wanted = [Range("crawl-data/a.warc.gz", 299_990, 300_010), WANTED[3], Range("crawl-data/gone", 0, 9)]
    (_, short), (_, good), (_, gone) = fetcher.ranges(wanted)
    assert isinstance(short, FetchError) and "the file has 300000 bytes" in str(short)
    assert good == BODY[WANTED[3].start : WANTED[3].end] and isinstance(gone, NotThere)
    assert fetcher.traffic.retries == 0


def test_parquet_is_read_by_columns(tmp_path: Path) -> None:
    table = pa.table({"small": list(range(50_000)), "bulk": [f"{n * 7919:0100d}" for n in range(50_000)]})
    pq.write_table(table, tmp_path / "part.parquet", row_group_size=10_000, compression="none", use_dictionary=False)
    with open_fetcher(str(tmp_path)) as fetcher:
        read = pq.ParquetFile(fetcher.ranged_file("part.parquet"), pre_buffer=True).read_row_group(2, columns=["small"])
        assert read.equals(table.slice(20_000, 10_000).select(["small"]))
        assert fetcher.traffic.bytes < 300_000 < fetcher.size("part.parquet") / 10


def test_long_streams_come_in_pieces_and_notice_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "STORE_BLOCK", 1000)
    fill(tmp_path)
    with open_fetcher(str(tmp_path), QUICK) as fetcher:
        pieces = list(fetcher.stream("crawl-data/a.warc.gz"))
        assert b"".join(pieces) == BODY and len(pieces) == 300
        again = fetcher.stream("crawl-data/a.warc.gz")
        next(again)
        (tmp_path / "crawl-data/a.warc.gz").write_bytes(BODY[::-1])
        with pytest.raises(FetchError, match="another than when reading it began"):
            list(again)


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_credentials: None) -> Iterator[CrawlServer]:
    """A web server in place of the store: it has the paths of the bucket and fails as told."""
    fill(tmp_path / "commoncrawl")
    with CrawlServer(tmp_path) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        yield server


@pytest.mark.parametrize(
    "fault", [status(503, every=5), status(500, every=4), truncated(100, every=6), broken_off(after=100, every=5)]
)
def test_a_store_that_fails_now_and_then_loses_nothing(faulty: CrawlServer, fault: object) -> None:
    faulty.plan(fault)  # type: ignore[arg-type]
    with open_fetcher("s3://commoncrawl", QUICK) as fetcher:
        assert list(fetcher.ranges(WANTED)) == [(item, BODY[item.start : item.end]) for item in WANTED]
        assert b"".join(fetcher.stream("crawl-data/a.warc.gz")) == BODY
    assert fetcher.traffic.retries > 3 and fetcher.traffic.failures == 0
    assert all("winnow" in agent for agent in faulty.agents())


def test_a_store_that_fails_always_is_given_up_as_often_as_said(faulty: CrawlServer) -> None:
    faulty.plan(status(500, start=9_000))
    with open_fetcher("s3://commoncrawl", QUICK) as fetcher:
        (_, good), (_, bad) = fetcher.ranges(WANTED[:2])
    assert good == BODY[:500]
    assert isinstance(bad, FetchError) and "tried 4 times" in str(bad)
    assert faulty.count(code=500) == 4


def test_a_store_that_wants_to_know_who_asks(faulty: CrawlServer) -> None:
    faulty.plan(status(403))
    with (
        open_fetcher("s3://commoncrawl", QUICK) as fetcher,
        pytest.raises(FetchError, match=r"not allowed.*no AWS credentials were found.*https://data\.commoncrawl\.org"),
    ):
        fetcher.read("crawl-data/a.warc.gz")


def test_credentials_are_used_where_there_are_some(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetch.StoreFetcher(store, QUICK).anonymous
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    known = fetch.StoreFetcher(store, QUICK)
    assert not known.anonymous and known.read("crawl-data/a.warc.gz") == BODY


def test_schemes_that_nobody_knows_are_refused() -> None:
    with pytest.raises(FetchError, match="'gopher2://old/crawl' cannot be opened"):
        open_fetcher("gopher2://old/crawl")
