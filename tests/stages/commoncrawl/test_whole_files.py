"""Via warc and wet: whole files streamed, with what `use: warc` gives of them, whatever is wrong with them."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from winnow.pipelines.engine.inputs import KeptInStore
from winnow.stages.commoncrawl.fetch import open_fetcher
from winnow.stages.commoncrawl.fetcher import FetchError
from winnow.stages.commoncrawl.ranged_file import StreamedFile, whole_file
from winnow.stages.reading.files import Window
from winnow.stages.source import Damage, InputFile, Page, Segment
from winnow.stages.sources.commoncrawl import CommonCrawl
from winnow.stages.sources.warc import KIND as WARC

from .conftest import OLD
from .mimic import Mimic, build, written_pages
from .server import CrawlServer, broken_off, status, truncated

Made = Callable[..., CommonCrawl]
Serving = Callable[[Mimic], CrawlServer]


def streamed(crawl: CommonCrawl, kept: KeptInStore) -> list[Page | Damage]:
    files = crawl.inputs(kept)
    assert all(file.alone and file.group == OLD for file in files)
    return [page for file in files for segment in crawl.segments(file) for page in crawl.pages(segment)]


def plain(mimic: Mimic, path: str) -> list[Page | Damage]:
    """What `use: warc` gives of one file, damage named as in the snapshot."""
    local = mimic.file(path)
    size = local.stat().st_size
    source = WARC("crawl", WARC.Settings(paths=[str(local)]))
    items = source.pages(Segment(InputFile(str(local), size, "", local.name), 0, size))
    return [Damage(path, item.offset, item.cause) if isinstance(item, Damage) else item for item in items]


def test_streamed_pages_are_those_of_the_files(
    small: Mimic, source: Made, kept: KeptInStore, serving: Serving, tmp_path: Path
) -> None:
    server = serving(small)
    crawl = source(server.url, via="warc")
    files = [file.url for file in crawl.inputs(kept)]
    assert sorted(files) == sorted({one.warc for one in small.stored[OLD]})
    expected = [page for path in files for page in plain(small, path)]
    assert len(expected) == len(small.stored[OLD])
    assert streamed(crawl, kept) == expected
    assert server.sent("*.warc.gz") == sum(small.file(path).stat().st_size for path in files)
    server.plan(broken_off(after=900, path="*.warc.gz", every=2), status(503, every=5), truncated(after=2000, every=3))
    assert streamed(crawl, kept) == expected
    assert source(server.url, via="warc").expected(kept) == {OLD: {"files": 3}}
    server.plan()
    landed = source(server.url, via="warc", keep_files=str(tmp_path / "landed"))
    assert streamed(landed, kept) == expected
    server.forget()
    assert streamed(landed, kept) == expected and server.count("*.warc.gz") == 0
    assert {str(p.relative_to(tmp_path / "landed")) for p in (tmp_path / "landed").rglob("*.*")} >= set(files)


def test_a_limit_takes_the_same_files_as_via_index(small: Mimic, source: Made, kept: KeptInStore) -> None:
    every = [file.url for file in source(small.root, via="warc").inputs(kept)]
    assert [file.url for file in source(small.root, via="warc", limit=2).inputs(kept)] == every[:2]
    texts = [file.key for file in source(small.root, via="wet", limit=2).inputs(kept)]
    assert [key.replace(".wet.gz", ".gz") for key in texts] == [Path(path).name for path in every[:2]]
    (unit,) = source(small.root, audit=0).inputs(kept)
    order = list(dict.fromkeys(pa.ipc.open_file(unit.url).read_all().column("warc").to_pylist()))
    assert order == [path for path in every if path in order]


@pytest.mark.parametrize("wrong", ["middle", "end", "checksum", "garbage", "plain", "one member"])
def test_damage_is_what_it_is_in_the_file(source: Made, kept: KeptInStore, tmp_path: Path, wrong: str) -> None:
    made = build(tmp_path / "mimic", {OLD: written_pages(6, 12)}, files=1, parts=1)
    path = made.stored[OLD][0].warc
    file, content = made.file(path), bytearray(made.file(path).read_bytes())
    third, eighth = made.stored[OLD][2], made.stored[OLD][8]
    if wrong == "middle":
        content[third.offset + third.length // 2] ^= 0xFF
    elif wrong == "end":
        del content[eighth.offset + eighth.length - 20 :]
    elif wrong == "checksum":
        content[third.offset + third.length - 8] ^= 0xFF
    elif wrong == "garbage":
        content[third.offset : third.offset] = b"what is this?" * 50
    else:
        import gzip

        text = gzip.decompress(bytes(content))
        content = bytearray(text if wrong == "plain" else gzip.compress(text)[:-300])
    file.write_bytes(content)
    expected = plain(made, path)
    assert any(isinstance(item, Damage) for item in expected) or wrong == "plain"
    assert streamed(source(made.root, via="warc"), kept) == expected


def test_a_file_that_is_not_there_is_damage_and_one_that_never_comes_stops_the_run(
    small: Mimic, source: Made, kept: KeptInStore, serving: Serving
) -> None:
    server = serving(small)
    crawl = source(server.url, via="warc", fetch={"attempts": 2, "backoff": 0.01})
    first, second, *_ = crawl.inputs(kept)
    server.plan(status(404, path=first.url), status(500, path=second.url))
    (damage,) = crawl.pages(crawl.segments(first)[0])
    assert isinstance(damage, Damage) and "404" in damage.cause and damage.file == first.url
    with pytest.raises(FetchError, match="500"):
        list(crawl.pages(crawl.segments(second)[0]))


def test_wet_gives_texts(small: Mimic, source: Made, kept: KeptInStore, serving: Serving) -> None:
    crawl = source(serving(small).url, via="wet")
    assert crawl.gives == "texts" and source(small.root).gives == "pages"
    rows = [
        row
        for file in crawl.inputs(kept)
        for batch in crawl.texts(crawl.segments(file)[0])
        if isinstance(batch, pa.RecordBatch)
        for row in batch.to_pylist()
    ]
    by_url = {row["url"]: row for row in rows}
    assert len(by_url) == len(rows) == len(small.stored[OLD]) and len({row["id"] for row in rows}) == len(rows)
    for one in small.stored[OLD]:
        row = by_url[one.page.url]
        assert row["error"] is None and row["source"] == "crawl" and row["date"].startswith("2026-")
        assert not one.page.korean or "이 문서의 번호는" in row["text"]
    long = source(small.root, via="wet", max_bytes=200)
    batches = [batch for file in long.inputs(kept) for batch in long.texts(long.segments(file)[0])]
    errors = [e for batch in batches if isinstance(batch, pa.RecordBatch) for e in batch.column("error").to_pylist()]
    assert len(errors) == len(rows) and all("expected at most 200" in (error or "") for error in errors)


def test_a_stream_read_anywhere_has_the_bytes_of_the_file(tmp_path: Path) -> None:
    content = random.Random(0).randbytes(900_000)
    (tmp_path / "file.bin").write_bytes(content)
    draw = random.Random(1)
    with open_fetcher(str(tmp_path)) as fetcher:
        window = Window(StreamedFile(fetcher, "file.bin", behind=50_000), len(content), block=4096)  # type: ignore[arg-type]
        at = 0
        for _ in range(400):
            at = max(0, min(len(content), at + draw.choice([-300_000, -20_000, -500, 100, 3000, 30_000, 200_000])))
            count = draw.choice([1, 100, 5000, 70_000])
            assert window.bytes_at(at, count) == content[at : at + count]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(300 << 20)
    with open_fetcher(str(tmp_path)) as fetcher, whole_file(fetcher, "big.bin", None) as window:
        tracemalloc.start()
        for at in range(0, window.size, 1 << 20):
            window.hold(at, 1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 100 << 20
