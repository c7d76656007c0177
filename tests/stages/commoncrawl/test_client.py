"""The client against a real server that misbehaves as told: what it reads, how often it asks, how long it waits."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from winnow.stages.base import StageError
from winnow.stages.commoncrawl.fetch import open_fetcher
from winnow.stages.commoncrawl.fetcher import Fetcher, FetchError, NotThere, Politeness, Range
from winnow.stages.commoncrawl.retry import LONGEST_RETRY_AFTER, jittered, retry_after

from .server import (
    CrawlServer,
    Fault,
    broken_off,
    dripping,
    moved,
    range_ignored,
    stalled,
    status,
    truncated,
    unlengthed,
    wrong_range,
)

BIG = random.Random(0).randbytes(5_000_000)
SMALL = random.Random(1).randbytes(40_000)
QUICK = Politeness(connections=4, backoff=0.02, timeout=60, attempts=5)
IMPATIENT = Politeness(connections=4, backoff=0.02, timeout=0.4, attempts=20)  # a busy machine costs attempts
PIECES = [Range("crawl/big.warc.gz", n * 50_000, n * 50_000 + 3_000 + n) for n in range(60)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CrawlServer]:
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl/big.warc.gz").write_bytes(BIG)
    (tmp_path / "crawl/small.paths.gz").write_bytes(SMALL)
    (tmp_path / "empty").write_bytes(b"")
    with CrawlServer(tmp_path) as running:
        yield running


@pytest.fixture
def fetcher(server: CrawlServer) -> Iterator[Fetcher]:
    with open_fetcher(server.url, QUICK) as opened:
        yield opened


def right(got: list[tuple[Range, bytes | FetchError]], wanted: list[Range]) -> bool:
    return got == [(item, BIG[item.start : item.end]) for item in wanted]


def test_ranges_come_in_order_over_few_connections(server: CrawlServer, fetcher: Fetcher) -> None:
    for _ in range(2):
        assert right(list(fetcher.ranges(PIECES)), PIECES)
    assert fetcher.read("crawl/small.paths.gz") == SMALL
    assert server.connections <= 4 and server.peak <= 4
    assert server.count() == fetcher.traffic.requests == 121
    assert server.sent() == fetcher.traffic.bytes == 2 * sum(r.end - r.start for r in PIECES) + len(SMALL)
    assert (fetcher.traffic.retries, fetcher.traffic.failures) == (0, 0)
    assert server.agents() == {QUICK.user_agent} and QUICK.user_agent.startswith("winnow")


def test_no_more_bodies_ahead_than_connections(server: CrawlServer, fetcher: Fetcher) -> None:
    taken = fetcher.ranges(PIECES)
    next(taken)
    time.sleep(0.3)
    assert server.count() <= 4
    next(taken)
    time.sleep(0.2)
    assert server.count() <= 5


def test_threads_and_fetchers_of_a_process_share_the_bound(server: CrawlServer, fetcher: Fetcher) -> None:
    server.delay = 0.01
    both = (fetcher, open_fetcher(server.url, QUICK))
    readers = [threading.Thread(target=f.read, args=("crawl/small.paths.gz",)) for f in both * 8]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert server.count() == 16 and server.peak <= 4


FAULTS = [
    status(503, every=7, length=2),
    status(503, first=2),
    status(429, retry_after="0", every=5),
    status(403, every=6),
    status(500, first=1),
    truncated(1000, every=4),
    broken_off(every=4),
    broken_off(500, every=4),
    stalled(0.6, every=25),
    stalled(0.6, after=100, every=25),
    dripping(0.05, every=30),
    wrong_range(every=3),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.kind}-{f.code}-{f.after}-{f.first or f.every}")
def test_nothing_is_lost_to_a_fault_that_passes(server: CrawlServer, fault: Fault) -> None:
    server.plan(fault)
    with open_fetcher(server.url, IMPATIENT if fault.kind in ("stalled", "dripping") else QUICK) as fetcher:
        assert right(list(fetcher.ranges(PIECES)), PIECES)
        assert fetcher.traffic.failures == 0
        assert fetcher.traffic.retries == fetcher.traffic.requests - len(PIECES) > 0
        assert b"".join(fetcher.stream("crawl/big.warc.gz")) == BIG
        assert fetcher.read("crawl/small.paths.gz") == SMALL
        assert fetcher.size("crawl/small.paths.gz") == len(SMALL)
        with fetcher.ranged_file("crawl/big.warc.gz") as file:
            file.seek(-70_000, os.SEEK_END)
            assert file.read() == BIG[-70_000:]


def test_a_connection_survives_error_pages(server: CrawlServer) -> None:
    server.plan(status(503, first=3), status(404, path="nothing"))
    with open_fetcher(server.url, QUICK) as fetcher:
        assert fetcher.read("crawl/small.paths.gz") == SMALL
        fetcher.size("crawl/small.paths.gz")
        with pytest.raises(NotThere):
            fetcher.read("nothing")
        assert fetcher.read("empty") == b"" and fetcher.size("empty") == 0
    assert server.connections == 1


def test_a_range_that_never_comes_is_given_as_its_error(server: CrawlServer, fetcher: Fetcher) -> None:
    server.plan(status(500, start=PIECES[7].start))
    got = list(fetcher.ranges(PIECES))
    error = got.pop(7)[1]
    assert right(got, PIECES[:7] + PIECES[8:])
    assert isinstance(error, FetchError) and isinstance(error, StageError)
    assert f"{server.url}/crawl/big.warc.gz [bytes 350000-353006]: HTTP 500" in str(error)
    assert "tried 5 times" in str(error)
    assert (fetcher.traffic.failures, fetcher.traffic.retries) == (1, 4)


@pytest.mark.parametrize("code", [404, 410])
def test_what_is_not_there_is_asked_for_once(server: CrawlServer, fetcher: Fetcher, code: int) -> None:
    server.plan(status(code, path="gone"))
    with pytest.raises(NotThere, match=f"HTTP {code}"):
        fetcher.read("gone")
    with pytest.raises(NotThere):
        next(fetcher.stream("gone"))
    with pytest.raises(NotThere):
        fetcher.ranged_file("gone")
    ((_, error),) = fetcher.ranges([Range("gone", 0, 10)])
    assert isinstance(error, NotThere)
    assert server.count("gone") == 4


def test_other_statuses_end_it_at_once(server: CrawlServer, fetcher: Fetcher) -> None:
    server.plan(status(401))
    with pytest.raises(FetchError, match="HTTP 401 Unauthorized"):
        fetcher.read("crawl/small.paths.gz")
    assert server.count() == 1


def test_a_range_behind_the_end_says_how_long_the_file_is(fetcher: Fetcher) -> None:
    wanted = [Range("crawl/small.paths.gz", a, b) for a, b in ((39_000, 41_000), (50_000, 60_000), (40_000, 40_000))]
    beyond, behind, nothing = [got for _, got in fetcher.ranges(wanted)]
    assert "the file has 40000 bytes, wanted bytes 39000-40999" in str(beyond)
    assert "behind the end of the file, at 40000" in str(behind)
    assert nothing == b""


def test_a_server_without_ranges_is_named(server: CrawlServer, fetcher: Fetcher) -> None:
    server.plan(range_ignored())
    wanted = [Range("crawl/small.paths.gz", 0, len(SMALL)), Range("crawl/small.paths.gz", 10, 20)]
    (_, whole), (_, part) = fetcher.ranges(wanted)
    assert whole == SMALL
    assert "expected a host that knows ranges" in str(part)
    assert server.count() == 2


def test_an_answer_without_a_length_is_refused(server: CrawlServer, fetcher: Fetcher) -> None:
    server.plan(unlengthed())
    with pytest.raises(FetchError, match="no length"):
        fetcher.read("crawl/small.paths.gz")


def test_redirects_are_followed_and_keep_the_range(server: CrawlServer, fetcher: Fetcher, tmp_path: Path) -> None:
    server.plan(moved(f"{server.url}/crawl/small.paths.gz", path="old"), moved(f"{server.url}/loop", path="loop"))
    assert fetcher.read("old") == SMALL
    ((_, part),) = fetcher.ranges([Range("old", 5, 50)])
    assert part == SMALL[5:50]
    with pytest.raises(FetchError, match="too many redirects"):
        fetcher.read("loop")


def test_a_proxy_that_the_environment_names_is_used(server: CrawlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "intranet.example")
    with open_fetcher("http://data.example", QUICK) as fetcher:
        assert fetcher.read("crawl/small.paths.gz") == SMALL
    assert server.count() == 1


def test_a_host_that_is_not_there() -> None:
    with (
        open_fetcher("http://127.0.0.1:9", QUICK) as fetcher,
        pytest.raises(FetchError, match=r"refused.*tried 5 times"),
    ):
        fetcher.read("collinfo.json")


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b", ""])
def test_paths_stay_below_the_endpoint(fetcher: Fetcher, path: str) -> None:
    with pytest.raises(FetchError, match="is no path below"):
        fetcher.read(path)


@pytest.mark.parametrize("endpoint", ["http://", "https://user:word@host", "http://host/?list"])
def test_endpoints_are_checked(endpoint: str) -> None:
    with pytest.raises(FetchError, match="is no endpoint"):
        open_fetcher(endpoint)


def test_a_stream_goes_on_where_it_broke(server: CrawlServer, fetcher: Fetcher) -> None:
    server.plan(truncated(600_000))
    assert b"".join(fetcher.stream("crawl/big.warc.gz")) == BIG
    assert [answer.request.start or 0 for answer in server.log] == list(range(0, len(BIG), 600_000))
    assert server.sent() == fetcher.traffic.bytes == len(BIG)
    server.plan(broken_off(600_000, every=2))
    assert b"".join(fetcher.stream("crawl/big.warc.gz")) == BIG
    assert fetcher.traffic.bytes == 2 * len(BIG)


def test_a_stream_that_breaks_without_getting_on_ends(server: CrawlServer, fetcher: Fetcher) -> None:
    server.plan(truncated(1000))
    with pytest.raises(FetchError, match="tried 5 times"):
        list(fetcher.stream("crawl/big.warc.gz"))
    assert server.count() == 5


def test_a_stream_does_not_join_two_files(server: CrawlServer, fetcher: Fetcher) -> None:
    server.plan(truncated(1_500_000, first=1))
    pieces = fetcher.stream("crawl/big.warc.gz")
    next(pieces)
    (server.folder / "crawl/big.warc.gz").write_bytes(BIG[::-1])
    with pytest.raises(FetchError, match="another than when reading it began"):
        list(pieces)


def test_a_stream_does_not_wait_for_the_reads_of_its_reader(server: CrawlServer) -> None:
    with open_fetcher(server.url, Politeness(connections=1)) as fetcher:
        pieces = fetcher.stream("crawl/big.warc.gz")
        next(pieces)
        assert fetcher.read("crawl/small.paths.gz") == SMALL
        pieces.close()  # type: ignore[attr-defined]


def test_who_stops_iterating_does_not_wait(server: CrawlServer) -> None:
    server.plan(status(500, path="crawl/big.warc.gz"))
    with open_fetcher(server.url, Politeness(connections=4, backoff=100_000)) as fetcher:
        taken = fetcher.ranges([Range("crawl/small.paths.gz", 0, 10), *PIECES])
        assert next(taken)[1] == SMALL[:10]
        closing = threading.Thread(target=taken.close, daemon=True)  # type: ignore[attr-defined]
        closing.start()
        closing.join(300)
        assert not closing.is_alive()


def test_a_host_that_asks_for_time_gets_it_from_all_threads(server: CrawlServer) -> None:
    server.plan(status(503, retry_after="2", start=PIECES[5].start, first=1))
    server.delay = 0.02
    with open_fetcher(server.url, QUICK) as fetcher:
        assert right(list(fetcher.ranges(PIECES[:30])), PIECES[:30])
    told = next(answer.request.at for answer in server.log if answer.code == 503) + server.delay
    early = [answer for answer in server.log if told < answer.request.at < told + 1.9]
    assert len(early) <= QUICK.connections, "no more than what was under way"


def test_a_date_to_come_back_at_is_obeyed(server: CrawlServer, fetcher: Fetcher) -> None:
    then = int(time.time()) + 3
    server.plan(status(429, retry_after=formatdate(then, usegmt=True), first=1))
    assert fetcher.read("crawl/small.paths.gz") == SMALL
    assert server.count() == 2 and time.time() > then - 0.1


def test_retry_after_is_read_as_the_standard_has_it_and_capped() -> None:
    host = formatdate(1_000_000_000, usegmt=True)
    assert retry_after({"Retry-After": " 7 "}) == 7
    assert retry_after({"Retry-After": "99999999"}) == LONGEST_RETRY_AFTER
    assert retry_after({"Retry-After": formatdate(1_000_000_030, usegmt=True), "Date": host}) == 30
    assert retry_after({"Retry-After": formatdate(1_000_999_999, usegmt=True), "Date": host}) == LONGEST_RETRY_AFTER
    assert retry_after({"Retry-After": formatdate(999_999_000, usegmt=True), "Date": host}) == 0
    assert retry_after({"Retry-After": "soon"}) is None and retry_after({}) is None


def test_waits_double_and_are_spread() -> None:
    bounds = [max(jittered(1.0, n) for _ in range(2000)) for n in (1, 2, 3, 8, 9, 400)]
    assert all(0.9 * most < bound <= most for bound, most in zip(bounds, (1, 2, 4, 120, 120, 120), strict=True))
    assert min(jittered(1.0, 5) for _ in range(2000)) < 1


def test_a_handle_reads_the_columns_that_are_asked_for(server: CrawlServer, fetcher: Fetcher) -> None:
    dice = random.Random(2)
    rows = 40_000
    table = pa.table(
        {
            "language": [dice.choice(["kor", "eng", None]) for _ in range(rows)],
            "offset": [dice.randrange(10**9) for _ in range(rows)],
            "bulk": [dice.randbytes(60).hex() for _ in range(rows)],
        }
    )
    pq.write_table(table, server.folder / "part.parquet", row_group_size=10_000)
    server.plan(status(503, every=4), truncated(100, every=5))
    file = pq.ParquetFile(fetcher.ranged_file("part.parquet"), pre_buffer=True)
    assert file.read_row_groups([1, 2], columns=["language", "offset"]).equals(
        table.slice(10_000, 20_000).select(["language", "offset"])
    )
    assert server.sent("part.parquet") < (server.folder / "part.parquet").stat().st_size / 5
    assert server.count("part.parquet") <= 10


def test_a_handle_keeps_small_blocks_and_reads_like_a_file(server: CrawlServer, fetcher: Fetcher) -> None:
    dice = random.Random(3)
    with fetcher.ranged_file("crawl/small.paths.gz") as file:
        for _ in range(200):
            place, size = dice.randrange(45_000), dice.choice([0, 1, 7, 5_000])
            assert file.seek(place) == place
            assert file.read(size) == SMALL[place : place + size]
            assert file.tell() == place + len(SMALL[place : place + size])
        file.seek(0)
        assert file.read() == SMALL
    assert server.count() == 2  # its size, and its only block
    with fetcher.ranged_file("crawl/big.warc.gz") as file:
        for start in (65_530, 131_060, 4_999_990, 1_000_000, 65_530):
            file.seek(start)
            assert file.read(50_000) == BIG[start : start + 50_000]
    assert server.count("crawl/big.warc.gz", "GET") == 4


def test_a_handle_does_not_join_two_files(server: CrawlServer, fetcher: Fetcher) -> None:
    with fetcher.ranged_file("crawl/big.warc.gz") as file:
        assert file.read(10) == BIG[:10]
        (server.folder / "crawl/big.warc.gz").write_bytes(BIG[::-1])
        file.seek(1_000_000)
        with pytest.raises(FetchError, match="another than when reading it began"):
            file.read(100)
