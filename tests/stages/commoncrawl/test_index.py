"""Reading a snapshot via its index, from a real server and from a folder: what is asked for, what comes, what it costs."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from winnow.pipelines.engine.inputs import KeptInStore
from winnow.pipelines.engine.store import Store
from winnow.stages.base import StageError
from winnow.stages.commoncrawl.fetch import open_fetcher
from winnow.stages.commoncrawl.records import unit_pages
from winnow.stages.reading.responses import Accepted
from winnow.stages.source import Damage, InputFile, Page, Segment
from winnow.stages.sources.commoncrawl import CommonCrawl
from winnow.stages.sources.warc import KIND as WARC

from .conftest import NEW, OLD, QUICK
from .mimic import Mimic, Stored, build, korean, written_pages
from .server import CrawlServer, broken_off, stalled, status, truncated, wrong_range

Made = Callable[..., CommonCrawl]
Serving = Callable[[Mimic], CrawlServer]


def read(source: CommonCrawl, kept: KeptInStore) -> list[Page]:
    """Every page of every input, in order."""
    pages: list[Page] = []
    for file in source.inputs(kept):
        for segment in source.segments(file):
            for page in source.pages(segment):
                assert isinstance(page, Page), page
                pages.append(page)
    return pages


def whole(mimic: Mimic, snapshot: str) -> dict[str, Page]:
    """What `use: warc` gives of the snapshot's files, by id."""
    found: dict[str, Page] = {}
    for path in sorted({one.warc for one in mimic.stored[snapshot]}):
        file = mimic.file(path)
        source = WARC("crawl", WARC.Settings(paths=[str(file)]))
        segment = Segment(InputFile(str(file), file.stat().st_size, "", file.name), 0, file.stat().st_size)
        for page in source.pages(segment):
            assert isinstance(page, Page), page
            found[page.id] = page
    return found


def in_order(stored: Iterable[Stored]) -> list[Stored]:
    from winnow.stages.commoncrawl.index import file_order

    return sorted(stored, key=lambda one: (file_order(one.warc), one.warc, one.offset))


@pytest.mark.parametrize("served", [False, True])
def test_the_pages_are_those_of_the_whole_files_and_only_the_wanted_ones(
    small: Mimic, source: Made, kept: KeptInStore, serving: Serving, served: bool
) -> None:
    pages = read(source(serving(small).url if served else small.root), kept)
    wanted = in_order(korean(small.stored[OLD]))
    assert [page.url for page in pages] == [one.page.url for one in wanted]
    every = whole(small, OLD)
    assert pages == [every[page.id] for page in pages]
    dropped = [page.drop.clause for page in pages if page.drop is not None]
    assert dropped == ["mime"]  # detected as HTML, declared as text/plain: a counted drop, as in the whole file


def test_plan_and_server_agree_to_the_byte(small: Mimic, source: Made, kept: KeptInStore, serving: Serving) -> None:
    server = serving(small)
    crawl = source(server.url, snapshot=[OLD, NEW], gap=600, unit_records=9, audit=7)
    (audit,) = crawl.companions()
    assert isinstance(audit, CommonCrawl)
    expected, sampled = crawl.expected(kept), audit.expected(kept)
    assert server.count("*.warc.gz") == 0  # a plan reads no page
    scanned = [figures["index_bytes"] for figures in expected.values()]
    assert sum(scanned) == server.sent("*.parquet")
    for name, figures in expected.items():
        rows = small.stored[name]
        assert figures["index_rows"] == len(rows)
        assert figures["wanted"] == figures["records"] == len(list(korean(rows)))
        assert figures["units"] >= 2 and figures["requests"] < figures["records"] and figures["gap_bytes"] > 0
    server.forget()
    for one, figures_of in ((crawl, expected), (audit, sampled)):
        for snapshot, figures in figures_of.items():
            server.forget()
            mine = [file for file in one.inputs(kept) if file.group == snapshot]
            assert sum(file.size for file in mine) == figures["bytes"]
            pages = [page for file in mine for segment in one.segments(file) for page in one.pages(segment)]
            assert len(pages) == figures["records"]
            assert (server.count("*"), server.sent("*")) == (figures["requests"], figures["bytes"])


def test_what_no_rule_wants_is_counted_by_the_first_that_it_misses(
    small: Mimic, source: Made, kept: KeptInStore
) -> None:
    rows = small.stored[OLD]
    crawl = source(
        small.root, hosts={"block": ["site0.com"]}, tlds=["kr", "com"], length=max(r.length for r in rows) - 1
    )
    figures = crawl.expected(kept)[OLD]
    blocked = [r for r in rows if ".site0.com/" in r.page.url]
    longest = [r for r in rows if r.length == max(r.length for r in rows)]
    assert blocked and longest and not {r.id for r in blocked} & {r.id for r in longest}
    site, mime = len(blocked), sum(r.page.mime == "application/pdf" for r in rows)
    rest = len(rows) - site - mime - len(longest) - figures["wanted"]
    assert figures["passed_over"] == f"site {site}, mime {mime}, length {len(longest)}, language {rest}"


def test_hosts_domains_and_languages_choose(small: Mimic, source: Made, tmp_path: Path) -> None:
    def urls(**given: object) -> set[str]:
        found = source(small.root, audit=0, **given)
        return {page.url or "" for page in read(found, KeptInStore(Store(str(tmp_path / repr(given)))))}

    every = urls()
    assert urls(tlds=["kr"]) == every and urls(tlds=["com"]) == set()
    assert urls(hosts={"allow": ["site3.co.kr"]}) == {url for url in every if ".site3.co.kr/" in url}
    assert urls(hosts={"allow": ["kr"], "block": ["www.site3.co.kr"]}) == {u for u in every if "www.site3." not in u}
    in_euc = {one.page.url for one in small.stored[OLD] if one.page.charset == "EUC-KR"}
    assert in_euc and urls(charsets=[]) == every - in_euc
    assert urls(languages=[], charsets=["euc-kr"]) == in_euc
    english = {one.page.url for one in small.stored[OLD] if "eng" in (one.page.languages or "")}
    assert urls(languages=["eng"]) == english


def test_a_limit_takes_whole_files_first_in_an_order_that_more_of_them_keep(
    small: Mimic, source: Made, tmp_path: Path
) -> None:
    def read_with(limit: int | None, **given: object) -> list[str]:
        found = source(small.root, limit=limit, audit=0, **given)
        return [page.url or "" for page in read(found, KeptInStore(Store(str(tmp_path / f"{limit} {given}"))))]

    every = read_with(None)
    for limit in (1, 5, 12, len(every), 1000):
        assert read_with(limit) == every[:limit]
    assert read_with(12, unit_records=3, gap=0) == every[:12]


def test_faults_change_nothing_and_cost_little(small: Mimic, source: Made, tmp_path: Path, serving: Serving) -> None:
    server = serving(small)
    impatient = QUICK.model_copy(update={"timeout": 2.0})
    given = {"gap": 0, "unit_records": 7, "audit": 5, "fetch": impatient}
    calm = source(small.root, **given)
    pages = read(calm, KeptInStore(Store(str(tmp_path / "calm"))))
    size = sum(file.size for file in calm.inputs(KeptInStore(Store(str(tmp_path / "calm")))))
    storms = [
        [status(503, every=7, length=3)],
        [truncated(after=100, path="*.warc.gz", first=2)],
        [broken_off(first=1), broken_off(after=50, path="*.gz", every=5)],
        [status(429, retry_after="0", path="*.warc.gz", first=1), wrong_range(path="*.warc.gz", every=6)],
        [status(403, path="*.parquet", every=3), truncated(after=60, path="*.paths.gz", first=1)],
        [stalled(3.0, path="*.warc.gz", every=12)],
    ]
    for number, storm in enumerate(storms):
        server.plan(*storm)
        server.forget()
        crawl = source(server.url, **given)
        assert read(crawl, KeptInStore(Store(str(tmp_path / str(number))))) == pages
        assert server.sent("*.warc.gz") <= 2.5 * size  # of bodies begun and broken off
        assert any(answer.fault for answer in server.log)


def test_what_is_not_there_is_an_error_row_each(
    small: Mimic, source: Made, kept: KeptInStore, serving: Serving
) -> None:
    server = serving(small)
    crawl = source(server.url, fetch={"attempts": 3, "backoff": 0.02})
    wanted = in_order(korean(small.stored[OLD]))
    gone = wanted[0].warc
    server.plan(status(404, path=gone), status(500, path=wanted[-1].warc))
    pages = read(crawl, kept)
    assert [page.url for page in pages] == [one.page.url for one in wanted]
    every = whole(small, OLD)
    for page, one in zip(pages, wanted, strict=True):
        if one.warc in (gone, wanted[-1].warc):
            assert page.error is not None and one.warc in page.error and not page.payload
            assert ("404" if one.warc == gone else "500") in page.error
        else:
            assert page == every[page.id]
    assert len({page.id for page in pages}) == len(pages)


def test_contradictions_are_errors_with_the_record_s_own_id(small: Mimic) -> None:
    rows = [one for one in small.stored[OLD] if one.page.mime == "text/html"][:4]
    true = [
        {
            "url": r.page.url,
            "digest": r.digest,
            "warc": r.warc,
            "offset": r.offset,
            "length": r.length,
            "start": r.offset,
        }
        | {"languages": None, "end": r.offset + r.length}
        for r in rows
    ]
    table = [
        true[0],
        true[1] | {"digest": "A" * 32},
        true[2] | {"url": "http://another.example.kr/"},
        true[3] | {"length": true[3]["length"] - 9, "end": true[3]["end"] - 9},
        true[3] | {"offset": true[3]["offset"] + 5, "start": true[3]["start"] + 5},
        true[3] | {"warc": "../outside.warc.gz"},
    ]
    with open_fetcher(str(small.root)) as fetcher:
        pages = list(unit_pages(fetcher, pa.Table.from_pylist(table), Accepted(("text/html",), 1 << 20)))
    every = whole(small, OLD)
    assert pages[0] == every[pages[0].id]
    assert "SHA-1" in (pages[1].error or "") and pages[1].id in every
    assert "expected http://another.example.kr/" in (pages[2].error or "") and pages[2].id in every
    assert "truncated" in (pages[3].error or "") and "no gzip member" in (pages[4].error or "")
    assert "no path below" in (pages[5].error or "")
    assert all(page.payload == b"" for page in pages[1:])


def test_a_scan_that_was_stopped_reads_the_missing_parts_alone(
    small: Mimic, source: Made, tmp_path: Path, serving: Serving
) -> None:
    server = serving(small)
    folder = tmp_path / "run"
    kept = KeptInStore(Store(str(folder)), threads=1)
    crawl = source(server.url, fetch={"attempts": 1})
    server.plan(status(500, path="*part-00001*"))
    with pytest.raises(StageError, match="part-00001"):
        crawl.inputs(kept)
    done = list((folder / "inputs").rglob("part-*.arrow"))
    assert 1 <= len(done) <= 2
    stamps = [path.stat().st_mtime_ns for path in done]
    server.plan()
    server.forget()
    files = crawl.inputs(KeptInStore(Store(str(folder))))
    for part in ("part-00000", "part-00001", "part-00002"):
        assert (server.count(f"*{part}*") == 0) == any(part in path.name for path in done)
    assert [path.stat().st_mtime_ns for path in done] == stamps
    server.forget()
    assert crawl.inputs(KeptInStore(Store(str(folder)))) == files and server.count() == 0  # nobody is asked again
    assert [file.identity for file in files] == [
        file.identity for file in source(small.root).inputs(KeptInStore(Store(str(tmp_path / "other"))))
    ]


def test_units_hold_what_they_may(small: Mimic, source: Made, kept: KeptInStore) -> None:
    crawl = source(small.root, unit_records=4, unit_bytes=5000, gap=100)
    for file in crawl.inputs(kept):
        table = pa.ipc.open_file(file.url).read_all()
        size = sum(table.column("length").to_pylist())
        assert table.num_rows <= 4 and (size <= 5000 or table.num_rows == 1)
        places = list(zip(*(table.column(name).to_pylist() for name in ("warc", "start", "end")), strict=True))
        for one, other in itertools.pairwise(dict.fromkeys(places)):
            assert one[0] != other[0] or other[1] - one[2] > 100 or file.size <= 5000
        for row in table.to_pylist():
            assert row["start"] <= row["offset"] and row["offset"] + row["length"] <= row["end"]


def test_another_gap_moves_no_unit(small: Mimic, source: Made, kept: KeptInStore) -> None:
    def planned(gap: int) -> list[str]:
        return [file.identity for file in source(small.root, unit_bytes=4000, gap=gap).inputs(kept)]

    assert len(planned(0)) > 2 and planned(0) == planned(300) == planned(1 << 20)


@pytest.mark.parametrize("limit", [None, 11])
def test_units_are_the_same_however_many_rows_are_in_memory(
    small: Mimic, source: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    def planned(rows: int) -> list[tuple[str, int, str]]:
        monkeypatch.setattr("winnow.stages.commoncrawl.units.ROWS_AT_ONCE", rows)
        files = source(small.root, unit_records=5, gap=300, limit=limit).inputs(
            KeptInStore(Store(str(tmp_path / f"{rows}")))
        )
        return [(file.identity, file.size, file.key.rpartition("/")[2]) for file in files]

    assert len(planned(1000)) > 2 and planned(1000) == planned(1) == planned(8)


def test_endpoint_and_run_on_another_filesystem(small: Mimic, source: Made, kept: KeptInStore) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(f"{small.root}/", "/mirror/", recursive=True)
    crawl = source("memory://mirror", snapshot="latest")
    away = read(crawl, KeptInStore(Store("memory://run")))
    assert away and away == read(source(small.root, snapshot=NEW), kept)
    assert memory.find("/run/inputs")


def test_snapshots_have_near_duplicates_of_one_another(small: Mimic, source: Made, kept: KeptInStore) -> None:
    crawl = source(small.root, snapshot=f"{OLD[8:]}..")
    by_group: dict[str, dict[str | None, bytes]] = {}
    for file in crawl.inputs(kept):
        for page in crawl.pages(crawl.segments(file)[0]):
            assert not isinstance(page, Damage)
            by_group.setdefault(file.group, {})[page.url] = page.payload
    assert list(by_group) == [OLD, NEW]
    both = by_group[OLD].keys() & by_group[NEW].keys()
    changed = [url for url in both if by_group[OLD][url] != by_group[NEW][url]]
    assert 0 < len(changed) < len(both)


def test_nothing_wanted_is_nothing_to_read(small: Mimic, source: Made, kept: KeptInStore) -> None:
    crawl = source(small.root, languages=["isl"])
    assert crawl.inputs(kept) == [] and crawl.expected(kept)[OLD]["requests"] == 0
    (audit,) = crawl.companions()
    assert audit.inputs(kept) == []  # a tenth of nothing


def test_the_table_of_an_old_snapshot_lacks_languages(source: Made, kept: KeptInStore, tmp_path: Path) -> None:
    made = build(tmp_path / "old", {OLD: written_pages(3, 3)}, files=1, parts=1)
    (part,) = (made.root / "cc-index").rglob("subset=warc/*.parquet")
    table = pq.read_table(part, partitioning=None)
    pq.write_table(table.drop_columns(["content_languages", "content_charset"]), part)
    with pytest.raises(StageError, match=r"no column 'content_languages'.*before CC-MAIN-2018-39 lack it.*via: warc"):
        source(made.root).inputs(kept)
    part.write_bytes(b"PAR1 not")
    with pytest.raises(StageError, match="is no readable Parquet file"):
        source(made.root).inputs(kept)


def test_a_snapshot_without_a_table_says_so(source: Made, kept: KeptInStore, tmp_path: Path) -> None:
    made = build(tmp_path / "bare", {OLD: written_pages(3, 3)}, files=1, parts=1)
    made.file(f"crawl-data/{OLD}/cc-index-table.paths.gz").unlink()
    with pytest.raises(StageError, match="has no list of cc-index-table files"):
        source(made.root).inputs(kept)


SCAN = """
import sys
from winnow.filters.languages import language_pack
from winnow.pipelines.engine.inputs import KeptInStore
from winnow.pipelines.engine.store import Store
from winnow.stages.sources.commoncrawl import KIND, Settings

settings = Settings(snapshot=sys.argv[1], endpoint=sys.argv[2])
KIND("crawl", settings, language_pack("ko")).inputs(KeptInStore(Store(sys.argv[3]), threads=1))
"""


def test_a_scan_that_was_killed_goes_on(small: Mimic, source: Made, tmp_path: Path, serving: Serving) -> None:
    server, folder = serving(small), tmp_path / "run"
    server.plan(stalled(60.0, path="*part-00001*", method="GET"))
    scan = subprocess.Popen([sys.executable, "-c", SCAN, OLD, server.url, str(folder)])
    until = time.monotonic() + 300
    while not server.count("*part-00001*", method="GET") and time.monotonic() < until:
        time.sleep(0.02)
    scan.kill()
    scan.wait()
    assert len(list((folder / "inputs").rglob("part-*.json"))) == 1 and server.count("*part-00000*") > 0
    server.plan()
    server.forget()
    pages = read(source(server.url), KeptInStore(Store(str(folder))))
    assert server.count("*part-00000*") == 0 and server.count("*.paths.gz") == 0
    assert pages == read(source(server.url), KeptInStore(Store(str(tmp_path / "other"))))
