"""The warc source on real archives, against warcio and against the truth of the built ones."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.stages.source import Damage, InputFile, Page, Segment
from winnow.stages.sources.warc import KIND, Settings

from .test_warc import read

# Files where warcio and we differ on purpose: (pages, damages) of ours, and why.
OURS = {
    "warcio/bad.arc": (0, 1),  # lengths -1 and 'abc'; warcio makes three empty records of them
    "warcio/example-space-in-url.arc": (0, 1),  # the record is 12 bytes shorter than its length says
    "chatnoir-resiliparse/clipped.warc.gz": (0, 1),  # the only record is cut; warcio hands out the rest
}

# Archives that give several records the same WARC-Record-ID.
REPEATED = {"pywb/example-extra.warc", "warc2zim/example-revisit.warc.gz"}


def _archives(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".txt" and "lz4" not in p.suffix]


def _responses(path: Path) -> tuple[int, bool]:
    """warcio's responses, and whether it got to the end."""
    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed

    count = 0
    with path.open("rb") as handle:
        try:
            for record in ArchiveIterator(handle, arc2warc=True):
                count += record.rec_type == "response"
        except ArchiveLoadFailed:
            return count, False
    return count, True


def test_real_archives_give_at_least_what_warcio_reads(data: Path, subtests: pytest.Subtests) -> None:
    archives = _archives(data / "warc-real")
    assert len(archives) > 50
    for path in archives:
        with subtests.test(f"{path.parent.name}/{path.name}"):
            compare_with_warcio(path)


def compare_with_warcio(path: Path) -> None:
    items = read(path)
    pages = [item for item in items if isinstance(item, Page)]
    damage = len(items) - len(pages)
    name = f"{path.parent.name}/{path.name}"
    assert (len({page.id for page in pages}) == len(pages)) == (name not in REPEATED)
    if name in OURS:
        assert (len(pages), damage) == OURS[name]
        return
    theirs, complete = _responses(path)
    assert len(pages) == theirs if complete else len(pages) >= theirs


@pytest.fixture(scope="module")
def built(data: Path) -> Path:
    return data / "warc-ko-built"


def test_payloads_equal_warcio(built: Path) -> None:
    from warcio.archiveiterator import ArchiveIterator

    pages = {page.url: page for page in read(built / "ko-built.warc.gz") if isinstance(page, Page)}
    compared = 0
    with (built / "ko-built.warc.gz").open("rb") as handle:
        for record in ArchiveIterator(handle):
            page = pages.get(record.rec_headers.get_header("WARC-Target-URI"))
            if record.rec_type == "response" and page is not None and page.drop is None:
                assert page.payload == record.content_stream().read()
                compared += 1
    assert compared == 572


def test_built_archive_and_its_damaged_copies(built: Path) -> None:
    with gzip.open(built / "truth.jsonl.gz", "rt", encoding="utf-8") as handle:
        truth = [json.loads(line) for line in handle]
    cases = {row["uri"]: row["case"] for row in truth}
    whole = read(built / "ko-built.warc.gz")
    assert [item.url for item in whole if isinstance(item, Page)] == [row["uri"] for row in truth]
    assert len(whole) == 585
    drops = Counter((page.drop.clause, cases[str(page.url)]) for page in whole if isinstance(page, Page) and page.drop)
    assert drops == {("status", "http_404"): 6, ("mime", "not_html"): 6, ("empty", "empty_body"): 1}
    assert not [item for item in whole if isinstance(item, Page) and item.error]

    assert read(built / "ko-built.single-member.warc.gz") == whole

    truncated = read(built / "ko-built.truncated.warc.gz")
    pages = [item for item in truncated if isinstance(item, Page)]
    assert pages == whole[:340]
    assert [(d.offset, "truncated" in d.cause) for d in truncated if isinstance(d, Damage)] == [(1_607_946, True)]

    corrupt = read(built / "ko-built.corrupt-middle.warc.gz")
    pages = [item for item in corrupt if isinstance(item, Page)]
    (damage,) = [item for item in corrupt if isinstance(item, Damage)]
    assert (len(pages), damage.offset) == (584, 1_275_066)
    lost = [page for page in whole if page not in set(pages)]
    assert len(lost) == 1 and [page for page in whole if page in set(pages)] == pages


_CUT = [
    "warc-ko-built/ko-built.warc.gz",
    "warc-ko-built/ko-built.corrupt-middle.warc.gz",
    "warc-ko-built/ko-built.single-member.warc.gz",
    "warc-real/aut/example.arc.gz",
    "warc-real/chatnoir-resiliparse/warcfile.warc",
    "warc-real/webarchive-discovery/IAH-20080430204825-00000-blackbook-truncated.arc",
]
_wholes: dict[str, list[Any]] = {}


@given(name=st.sampled_from(_CUT), cuts=st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=40, derandomize=True)
def test_any_cuts_of_real_archives(data: Path, name: str, cuts: list[float]) -> None:
    path = data / name
    whole = _wholes.setdefault(name, read(path))
    assert read(path, tuple(int(cut * path.stat().st_size) for cut in cuts)) == whole


def test_remote_filesystems_read_the_same(built: Path) -> None:
    path = built / "ko-built.warc.gz"
    memory = fsspec.filesystem("memory")
    memory.pipe("/crawl/ko-built.warc.gz", path.read_bytes())
    file = InputFile("memory://crawl/ko-built.warc.gz", path.stat().st_size, "")
    source = KIND(name="crawl", settings=Settings(paths=[file.url]))
    size = file.size
    items = [i for a, b in ((0, size // 3), (size // 3, size)) for i in source.pages(Segment(file, a, b))]
    assert items == read(path)
