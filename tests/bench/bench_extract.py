"""Extraction: the guarded stage against the bare engine in this process, and word F1 on gold pages, in one run.

Run: python tests/bench/bench_extract.py [every]   (every n-th gold page; default 6)
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecordType

from winnow.filters.languages import language_pack
from winnow.stages.extract import KIND, resiliparse_worker, trafilatura_worker
from winnow.stages.stage import Page

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def words_f1(text: str, gold: str) -> float:
    """F1 over the bags of words."""
    ours, theirs = Counter(re.findall(r"\w+", text)), Counter(re.findall(r"\w+", gold))
    return 2 * sum((ours & theirs).values()) / max(1, ours.total() + theirs.total())


def gold_pages(every: int) -> tuple[list[Page], list[str]]:
    """Pages of the mixed crawl that have a gold text, and the texts."""
    with gzip.open(DATA / "crawl" / "web-mixed.truth.jsonl.gz", "rt", encoding="utf-8") as lines:
        gold = {row["uri"]: row["gold_text"] for row in map(json.loads, lines) if row.get("gold_text")}
    pages, texts = [], []
    path = str(DATA / "crawl" / "web-mixed.warc.gz")
    for record in ArchiveIterator(path, record_types=WarcRecordType.response, parse_http=True):
        uri = record.headers.get("WARC-Target-URI")
        if uri in gold:
            pages.append(
                Page(id="0" * 32, url=uri, date=None, payload=record.reader.read(), charset=record.http_charset)
            )
            texts.append(gold[uri])
    return pages[::every], texts[::every]


def main() -> None:
    """Prints ms per page bare and guarded, the guard's share, and F1, per engine."""
    if not DATA.is_dir():
        sys.exit("needs ../shared/data")
    pages, golds = gold_pages(int(sys.argv[1]) if len(sys.argv) > 1 else 6)
    size = sum(len(page.payload) for page in pages) / len(pages) / 1024
    print(f"{len(pages)} pages with gold text, mean {size:.0f} KiB")
    for engine, worker in (("trafilatura", trafilatura_worker), ("resiliparse", resiliparse_worker)):
        work = worker("balanced", "cp949")
        work(pages[0].payload, None)
        stage = KIND(name="extract", settings=KIND.Settings(engine=engine), pack=language_pack("ko"))  # type: ignore[arg-type]
        stage.extract(pages[:1])
        bare = guarded = 0.0
        rows = []
        for start in range(0, len(pages), 25):
            part = pages[start : start + 25]
            began = time.perf_counter()
            for page in part:
                work(page.payload, page.charset)
            middle = time.perf_counter()
            rows += stage.extract(part).to_pylist()
            bare += middle - began
            guarded += time.perf_counter() - middle
        score = sum(words_f1(row["text"], gold) for row, gold in zip(rows, golds, strict=True)) / len(rows)
        print(
            f"{engine:12} bare {bare / len(pages) * 1e3:6.2f} ms/page, guarded {guarded / len(pages) * 1e3:6.2f}"
            f" ({guarded / bare:.2f}x), word F1 {score:.3f}, failed {sum(row['error'] is not None for row in rows)}"
        )


if __name__ == "__main__":
    main()
