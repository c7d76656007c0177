"""Extraction: the guarded stage against the bare engine in this process and against `trafilatura.extract(html)`, what
flattening layout tables takes, and word F1 on gold pages, in one run.

Run: python tests/bench/bench_extract.py [every]   (every n-th gold page; default 6)
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import time
import unicodedata
from collections import Counter
from pathlib import Path

import trafilatura
from fastwarc.warc import ArchiveIterator, WarcRecordType

from winnow.filters.charset import decode
from winnow.filters.languages import language_pack
from winnow.filters.layout_tables import flatten
from winnow.stages.extract import KIND
from winnow.stages.extractors import resiliparse_worker, trafilatura_worker
from winnow.stages.source import Page

CRAWL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "crawl"
WARC, TRUTH = CRAWL / "web-mixed.warc.gz", CRAWL / "web-mixed.truth.jsonl.gz"


def words_f1(text: str, gold: str) -> float:
    """F1 over the bags of words."""
    ours, theirs = Counter(re.findall(r"\w+", text)), Counter(re.findall(r"\w+", gold))
    return 2 * sum((ours & theirs).values()) / max(1, ours.total() + theirs.total())


def mean_f1(texts: list[str], golds: list[str]) -> float:
    return sum(words_f1(text, gold) for text, gold in zip(texts, golds, strict=True)) / len(golds)


def gold_pages(every: int) -> tuple[list[Page], list[str]]:
    """Pages of the mixed crawl that have a gold text, and the texts."""
    with gzip.open(TRUTH, "rt", encoding="utf-8") as lines:
        gold = {row["uri"]: row["gold_text"] for row in map(json.loads, lines) if row.get("gold_text")}
    pages, texts = [], []
    for record in ArchiveIterator(str(WARC), record_types=WarcRecordType.response, parse_http=True):
        uri = record.headers.get("WARC-Target-URI")
        if uri in gold:
            pages.append(
                Page(id="0" * 32, url=uri, date=None, payload=record.reader.read(), charset=record.http_charset)
            )
            texts.append(gold[uri])
    return pages[::every], texts[::every]


def library(page: Page) -> str:
    """What one calls first."""
    return trafilatura.extract(page.payload, include_comments=False) or ""


def flattening(pages: list[Page]) -> float:
    """Milliseconds a page of `flatten` alone, of a tree parsed before."""
    spent = 0.0
    for page in pages:
        tree = trafilatura.load_html(decode(page.payload, page.charset, "cp949").text)
        if tree is not None:
            began = time.perf_counter()
            flatten(tree)
            spent += time.perf_counter() - began
    return spent / len(pages) * 1e3


def main() -> None:
    """Prints ms per page bare and guarded, the guard's share, and F1, per engine; the same of the library's own call."""
    for needed in (WARC, TRUTH):
        if not needed.is_file():
            print(f"skipped: {needed} is not there")
            return
    pages, golds = gold_pages(int(sys.argv[1]) if len(sys.argv) > 1 else 6)
    size = sum(len(page.payload) for page in pages) / len(pages) / 1024
    print(f"{len(pages)} pages with gold text, mean {size:.0f} KiB")
    for engine, worker in (("trafilatura", trafilatura_worker), ("resiliparse", resiliparse_worker)):
        work = worker("balanced", "cp949")
        work(pages[0].payload, None)
        library(pages[0])
        stage = KIND(name="extract", settings=KIND.Settings(engine=engine), pack=language_pack("ko"))  # type: ignore[arg-type]
        stage.measure(pages[:1])
        bare = guarded = called = 0.0
        texts: list[str] = []
        theirs: list[str] = []
        failed = 0
        for start in range(0, len(pages), 25):
            part = pages[start : start + 25]
            began = time.perf_counter()
            for page in part:
                work(page.payload, page.charset)
            bare += time.perf_counter() - began
            began = time.perf_counter()
            rows = stage.measure(part).to_pylist()
            guarded += time.perf_counter() - began
            texts += [row["text"] for row in rows]
            failed += sum(row["error"] is not None for row in rows)
            if engine == "trafilatura":
                began = time.perf_counter()
                theirs += [library(page) for page in part]
                called += time.perf_counter() - began
        print(
            f"{engine:12} bare {bare / len(pages) * 1e3:6.2f} ms/page, guarded {guarded / len(pages) * 1e3:6.2f}"
            f" ({guarded / bare:.2f}x), word F1 {mean_f1(texts, golds):.3f}, failed {failed}"
        )
        if engine == "trafilatura":
            equal = sum(unicodedata.normalize("NFC", text) == ours for text, ours in zip(theirs, texts, strict=True))
            print(
                f"  trafilatura.extract(html, include_comments=False), no title: {called / len(pages) * 1e3:.2f} ms/page "
                f"({called / bare:.2f}x bare), word F1 {mean_f1(theirs, golds):.3f}, {equal} texts equal"
            )
            print(f"  of bare, flattening layout tables: {flattening(pages):.2f} ms/page")


if __name__ == "__main__":
    main()
