"""The pre-screen keeps every page of its language and passes few others, on real pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

from winnow.filters.languages import LanguagePack, language_pack
from winnow.stages.base import StageError
from winnow.stages.prescreen import KIND
from winnow.stages.source import Page


def page(payload: bytes, charset: str | None = None) -> Page:
    return Page(id="0" * 32, url=None, date=None, payload=payload, charset=charset)


def stage(pack: LanguagePack, **settings: float) -> KIND:
    return KIND(name="prescreen", settings=KIND.Settings(**settings), pack=pack)


def test_signals_and_clauses() -> None:
    screen = stage(language_pack("ko"))
    assert screen.clauses() == {"script": "script_chars >= 50"}
    batch = screen.measure([page("한국어".encode()), page(b"English \xe2\x80\x99"), page(b"")])
    assert {field.name: field.type for field in batch.schema} == screen.signals()
    assert batch.column("script_chars").to_pylist() == [3, 0, 0]
    assert batch.column("script_ratio").to_pylist() == [1.0, 0.0, 0.0]
    assert stage(language_pack("ko"), script_ratio=0.5).clauses()["ratio"] == "script_ratio >= 0.5"


def test_a_language_without_its_own_script_is_not_looked_at() -> None:
    screen = stage(language_pack("en"))
    batch = screen.measure([page(b"x"), page("한국어".encode())])
    assert screen.clauses() == {}
    assert batch.num_rows == 2
    assert batch.column("script_chars").null_count == 2
    assert {field.name: field.type for field in batch.schema} == screen.signals()


def test_no_pages_give_an_empty_batch_of_the_same_types() -> None:
    screen = stage(language_pack("ko"))
    assert {field.name: field.type for field in screen.measure([]).schema} == screen.signals()


def test_a_pack_with_an_unknown_script_is_refused() -> None:
    pack = language_pack("ko").model_copy(update={"script": "Hangul"})
    with pytest.raises(StageError, match="nearest: 'Hang'"):
        stage(pack).measure([page(b"x")])


def passed(pages: list[Page]) -> list[bool]:
    counts = stage(language_pack("ko")).measure(pages).column("script_chars")
    return [bool(count >= 50) for count in counts.to_pylist()]


def crawl(archive: Path) -> Iterator[tuple[str, Page]]:
    for record in ArchiveIterator(str(archive), record_types=WarcRecordType.response, parse_http=True):
        yield record.headers.get("WARC-Target-URI"), page(record.reader.read(), record.http_charset)


def test_recall_and_others_passed_on_the_mixed_crawl(data: Path, crawl_truth: list[dict[str, Any]]) -> None:
    languages = {row["uri"]: row.get("lang") for row in crawl_truth}
    pages = list(crawl(data / "crawl" / "web-mixed.warc.gz"))
    decided = passed([seen for _, seen in pages])
    korean = [kept for (uri, _), kept in zip(pages, decided, strict=True) if languages.get(uri) == "ko"]
    others = [kept for (uri, _), kept in zip(pages, decided, strict=True) if languages.get(uri) != "ko"]
    assert len(korean) == 516
    assert sum(korean) >= 0.995 * len(korean)
    assert sum(others) <= 0.01 * len(others)


@pytest.mark.parametrize("folder", ["ko-html-apache-euckr", "ko-html-vue", "ko-html-debian-faq"])
def test_recall_on_korean_sites(folder: str, data: Path) -> None:
    files = sorted(path for path in (data / folder / "html").rglob("*") if path.is_file())
    decided = passed([page(path.read_bytes()) for path in files])
    assert sum(decided) >= 0.995 * len(decided), [f for f, kept in zip(files, decided, strict=True) if not kept]


@pytest.mark.parametrize("folder", ["EUC-JP", "SHIFT_JIS", "GB2312", "Big5"])
def test_undeclared_legacy_pages_of_the_neighbours_do_not_pass(folder: str, data: Path) -> None:
    files = sorted((data / "robust-charset-chardet" / folder).iterdir())
    pages = [page(path.read_bytes().replace(b"charset", b"nothing")) for path in files]
    assert sum(passed(pages)) <= 0.1 * len(files)


def test_results_do_not_depend_on_the_batch() -> None:
    screen = stage(language_pack("ko"))
    pages = [page("가나다".encode("cp949") * 9, "euc-kr"), page(b"\xff\xfe" + "가나다".encode("utf-16-le"))]
    alone = [screen.measure([one]) for one in pages]
    assert pa.Table.from_batches(alone).to_pylist() == screen.measure(pages).to_pylist()
