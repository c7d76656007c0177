"""The warc source on archives built here: what becomes a page, a drop or an error, and that cuts lose nothing."""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.stages.base import StageError
from winnow.stages.source import Damage, InputFile, Page, Segment
from winnow.stages.sources.warc import KIND, Settings

from .archives_built import WRAPPINGS, arc, arc_start, http, warc, wrap

HTML = "<html><body><p>한국어 문서입니다.</p></body></html>".encode()


def read(path: Path, cuts: tuple[int, ...] = (), **given: Any) -> list[Page | Damage]:
    source = KIND(name="crawl", settings=Settings(paths=[str(path)], **given))
    size = path.stat().st_size
    file = InputFile(str(path), size, "")
    edges = sorted({0, size, *(cut for cut in cuts if cut < size)}) if size else [0, 0]
    return [item for a, b in itertools.pairwise(edges) for item in source.pages(Segment(file, a, b))]


@pytest.fixture
def built(tmp_path: Path) -> Callable[..., list[Any]]:
    def build(*records: bytes, wrapping: str = "gz", **given: Any) -> list[Any]:
        path = tmp_path / "built.warc"
        path.write_bytes(wrap(records, wrapping))
        return read(path, **given)

    return build


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("version", ["0.17", "0.18", "1.0", "1.1"])
def test_every_wrapping_and_version_gives_the_same_pages(
    built: Callable[..., list[Any]], wrapping: str, version: str
) -> None:
    records = [warc(n, http(HTML + b"%d" % n), version=version) for n in range(9)]
    pages = built(warc(99, b"software: tests", "warcinfo", version), *records, wrapping=wrapping)
    assert [page.payload for page in pages] == [HTML + b"%d" % n for n in range(9)]
    first = pages[0]
    assert (first.url, first.date) == ("http://example.kr/0", "2026-01-02T03:04:05Z")
    assert (first.charset, first.mime) == ("utf-8", "text/html")
    assert len({page.id for page in pages}) == 9
    assert all(len(page.id) == 32 and int(page.id, 16) >= 0 for page in pages)


@pytest.mark.parametrize("wrapping", ["plain", "gz", "gz-single", "zst"])
def test_arc(built: Callable[..., list[Any]], wrapping: str) -> None:
    second = http(HTML)
    v2 = (
        f"http://example.kr/v 2 10.0.0.1 20080430204826 text/html 200 - - 123 a.arc.gz {len(second)}\n".encode()
        + second
        + b"\n"
    )
    pages = built(arc_start(), arc(1, http(HTML)), v2, wrapping=wrapping)
    assert [page.url for page in pages] == ["http://example.kr/1", "http://example.kr/v 2"]
    assert [page.payload for page in pages] == [HTML, HTML]
    assert [page.date for page in pages] == ["2008-04-30T20:48:25Z", "2008-04-30T20:48:26Z"]
    assert len({page.id for page in pages}) == 2


def test_only_responses_are_documents(built: Callable[..., list[Any]]) -> None:
    kinds = ["warcinfo", "request", "metadata", "resource", "revisit", "conversion", "continuation"]
    assert built(*(warc(n, http(HTML), kind) for n, kind in enumerate(kinds))) == []


def test_drops_name_clause_value_and_threshold(built: Callable[..., list[Any]]) -> None:
    pages = built(
        warc(1, http(HTML, status="404 Not Found")),
        warc(2, http(b"\x89PNG\r\n", mime="image/png")),
        warc(3, http(b"")),
        warc(4, http(HTML * 40)),
        warc(5, http(b'{"a": 1}', mime=None)),
        warc(6, b"20260102030405\nexample.kr. A 10.0.0.1", WARC_Target_URI="dns:example.kr", Content_Type="text/dns"),
        max_bytes=1000,
    )
    accepted = "in text/html, application/xhtml+xml"
    assert [(page.drop.clause, page.drop.value, page.drop.threshold) for page in pages] == [
        ("status", "404", "= 200"),
        ("mime", "image/png", accepted),
        ("empty", "0", "> 0"),
        ("max_bytes", "1001", "<= 1000"),
        ("mime", "undeclared", accepted),
        ("mime", "text/dns", accepted),
    ]
    assert all(page.payload == b"" and page.error is None for page in pages)


def test_a_huge_record_is_one_drop_and_the_next_is_read(built: Callable[..., list[Any]]) -> None:
    for wrapping in ("plain", "gz", "gz-single", "zst"):
        pages = built(warc(1, http(b"x" * 3_000_000)), warc(2, http(HTML)), wrapping=wrapping, max_bytes=100_000)
        assert pages[0].drop.clause == "max_bytes" and pages[1].payload == HTML


def test_undeclared_type_is_sniffed(built: Callable[..., list[Any]]) -> None:
    (page,) = built(warc(1, http(HTML, mime=None)))
    assert (page.payload, page.mime, page.charset, page.drop) == (HTML, "text/html", None, None)


def _chunked(body: bytes) -> bytes:
    return b"3;note=x\r\n" + body[:3] + b"\r\n%X\r\n" % len(body[3:]) + body[3:] + b"\r\n0\r\nTrailer: x\r\n\r\n"


def _raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (["Transfer-Encoding: chunked"], _chunked(HTML)),
        (["Content-Encoding: gzip"], gzip.compress(HTML, mtime=0)),
        (["Content-Encoding: x-gzip", "Transfer-Encoding: Chunked"], _chunked(gzip.compress(HTML, mtime=0))),
        (["Content-Encoding: deflate"], zlib.compress(HTML)),
        (["Content-Encoding: deflate"], _raw_deflate(HTML)),
        (["Content-Encoding: br"], brotli.compress(HTML)),
        (["Content-Encoding: zstd"], zstandard.compress(HTML)),
        (["Content-Encoding: gzip, gzip"], gzip.compress(gzip.compress(HTML, mtime=0), mtime=0)),
        (["Content-Encoding: identity"], HTML),
        (["Content-Encoding: gzip"], HTML),
        (["Content-Encoding: deflate"], HTML),
        (["Content-Encoding: br"], HTML),
        (["Content-Encoding: UTF-8"], HTML),
        (["Transfer-Encoding: chunked"], HTML),
    ],
)
def test_codings(built: Callable[..., list[Any]], fields: list[str], body: bytes) -> None:
    (page,) = built(warc(1, http(body, *fields)))
    assert (page.payload, page.error) == (HTML, None)


@pytest.mark.parametrize(
    ("fields", "body", "names"),
    [
        (["Content-Encoding: gzip"], gzip.compress(HTML, mtime=0)[:-20], "gzip"),
        (["Content-Encoding: gzip"], b"\x00\x01garbage" * 9, "gzip"),
        (["Content-Encoding: br"], brotli.compress(HTML)[:-9], "br"),
        (["Content-Encoding: zstd"], zstandard.compress(HTML)[:-9], "zstd"),
        (["Content-Encoding: compress"], b"\x1f\x9d\x90" * 9, "compress"),
        (["Transfer-Encoding: chunked"], b"5\r\nhello\r\nzz\r\nworld", "chunked"),
        (["Transfer-Encoding: chunked"], b"FFFF\r\nhello", "chunked"),
    ],
)
def test_a_broken_coding_costs_its_record_alone(
    built: Callable[..., list[Any]], fields: list[str], body: bytes, names: str
) -> None:
    bad, good = built(warc(1, http(body, *fields)), warc(2, http(HTML)))
    assert names in bad.error and bad.payload == b"" and bad.url == "http://example.kr/1"
    assert good.payload == HTML


def test_a_body_that_the_crawler_cut_is_read_as_far_as_it_goes(built: Callable[..., list[Any]]) -> None:
    body = gzip.compress(HTML * 50, mtime=0)
    (page,) = built(warc(1, http(body[:-10], "Content-Encoding: gzip"), WARC_Truncated="length"))
    assert page.error is None and page.payload.startswith(HTML)


def test_no_status_line_is_an_error(built: Callable[..., list[Any]]) -> None:
    bad, good = built(warc(1, b"not http at all"), warc(2, http(HTML)))
    assert "status line" in bad.error and good.payload == HTML


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    source = KIND(name="crawl", settings=Settings(paths=["x"]))
    missing = str(tmp_path / "missing.warc.gz")
    with pytest.raises(StageError, match=r"missing\.warc\.gz"):
        list(source.pages(Segment(InputFile(missing, 9, ""), 0, 9)))


def test_segments_are_a_function_of_the_size() -> None:
    source = KIND(name="crawl", settings=Settings(paths=["x"]))

    def sizes(size: int) -> list[int]:
        segments = source.segments(InputFile("x", size, ""))
        assert segments[0].start == 0 and segments[-1].end == size
        assert all(a.end == b.start for a, b in itertools.pairwise(segments))
        return [segment.end - segment.start for segment in segments]

    mib = 1 << 20
    assert sizes(0) == [0]
    assert sizes(mib) == [mib]
    assert sizes(64 * mib) == [4 * mib] * 16
    assert sizes(1600 * mib) == [100 * mib] * 16
    assert sizes(8192 * mib) == [256 * mib] * 32


TALE = b"\r\n\r\nWARC/1.0\r\nWARC-Type: response\r\nContent-Length: 5\r\n\r\nhello, this is how a WARC looks like"
bodies = st.one_of(
    st.binary(max_size=300),
    st.sampled_from([HTML, TALE, b"\x1f\x8b\x08" * 30, b"\x28\xb5\x2f\xfd" * 9, b"a" * 5000, b"\r\n\r\n"]),
)


@given(
    contents=st.lists(bodies, min_size=1, max_size=12),
    wrapping=st.sampled_from(WRAPPINGS),
    is_arc=st.booleans(),
    cuts=st.lists(st.integers(0, 20_000), max_size=6),
    flips=st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 255)), max_size=2),
)
@settings(max_examples=250, derandomize=True)
def test_any_cuts_give_every_record_exactly_once(
    tmp_path: Path,
    contents: list[bytes],
    wrapping: str,
    is_arc: bool,
    cuts: list[int],
    flips: list[tuple[int, int]],
) -> None:
    if is_arc:
        records = [arc_start(), *(arc(n, http(body)) for n, body in enumerate(contents))]
    else:
        records = [warc(n, http(body)) for n, body in enumerate(contents)]
    data = bytearray(wrap(records, wrapping))
    for at, mask in flips:
        data[at % len(data)] ^= mask
    path = tmp_path / "cut"
    path.write_bytes(data)
    whole = read(path)
    assert read(path, tuple(cuts)) == whole
    if not flips:
        assert [page.payload for page in whole if isinstance(page, Page)] == contents
        assert not any(isinstance(item, Damage) for item in whole)
