"""Personal data: the `personal` stage against datatrove's PIIFormatter, on the same texts in one run.

datatrove looks for e-mail addresses and IPv4 addresses only. The stage is timed twice: with all kinds, and with those two.

Run: python tests/bench/bench_personal.py
"""

from __future__ import annotations

import gzip
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from datatrove.pipeline.formatters.pii import PIIFormatter

from winnow.filters.edits import apply_column
from winnow.filters.languages import language_pack
from winnow.stages.base import DOCUMENT_SCHEMA, EDITED
from winnow.stages.personal import KIND

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
TRUTH = DATA / "crawl" / "web-mixed.truth.jsonl.gz"
ROUNDS = 3
AT_LEAST = 4_000_000  # bytes


def texts(language: str) -> list[str]:
    """The gold texts of the mixed crawl in one language; repeated to AT_LEAST."""
    with gzip.open(TRUTH, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    found = [row["gold_text"] for row in rows if row.get("lang") == language and isinstance(row.get("gold_text"), str)]
    size = sum(len(text.encode()) for text in found)
    return found * (AT_LEAST // size + 1)


def batch(rows: list[str]) -> pa.RecordBatch:
    """The texts as documents."""
    empty = [None] * len(rows)
    columns = {"id": ["0" * 32] * len(rows), "url": empty, "date": empty, "source": ["bench"] * len(rows)}
    return pa.RecordBatch.from_pydict({**columns, "title": empty, "text": rows}, schema=DOCUMENT_SCHEMA)


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Prints MB/s per core (median of interleaved rounds) and the ratios, for Korean and English."""
    if not TRUTH.is_file():
        print(f"skipped: {TRUTH} is not there")
        return
    for language in ("ko", "en"):
        rows = texts(language)
        documents = batch(rows)
        size = sum(len(text.encode()) for text in rows) / 1e6
        peer = PIIFormatter()
        pack = language_pack(language)
        everything = KIND(name="personal", settings=KIND.Settings(), pack=pack)
        two = ("emails", "ips")
        same = KIND(name="personal", settings=KIND.Settings(mask=two, count=two), pack=pack)

        def ours(stage: KIND, documents: pa.RecordBatch = documents) -> object:
            return apply_column(documents.column("text"), stage.measure(documents).column(EDITED))

        ours(everything, documents.slice(0, 5))
        runs: dict[str, list[float]] = {"datatrove": [], "all kinds": [], "e-mail and IP": []}
        for _ in range(ROUNDS):
            runs["datatrove"].append(seconds(lambda: [peer.format(text) for text in rows]))  # noqa: B023
            runs["all kinds"].append(seconds(lambda: ours(everything)))  # noqa: B023
            runs["e-mail and IP"].append(seconds(lambda: ours(same)))  # noqa: B023
        base = statistics.median(runs["datatrove"])
        print(f"{language}: {len(rows):,} texts, {size:.1f} MB")
        for name, times in runs.items():
            median = statistics.median(times)
            print(f"  {name:14} {size / median:7.1f} MB/s per core, {base / median:5.1f}x datatrove")


if __name__ == "__main__":
    main()
