"""The pre-screen against decoding with detection and counting by regular expression, on the same pages in one run.

Run: python tests/bench/bench_prescreen.py
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cchardet
from fastwarc.warc import ArchiveIterator, WarcRecordType

from winnow.filters.languages import language_pack
from winnow.stages.prescreen import KIND
from winnow.stages.source import Page

WARC = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "crawl" / "web-mixed.warc.gz"
ROUNDS = 3
HANGUL = re.compile("[가-힣]")


def pages() -> list[Page]:
    """Every response of the mixed crawl."""
    return [
        Page(id="0" * 32, url=None, date=None, payload=record.reader.read(), charset=record.http_charset)
        for record in ArchiveIterator(str(WARC), record_types=WarcRecordType.response, parse_http=True)
    ]


def decode_and_regex(batch: list[Page]) -> int:
    """What one writes first: detect, decode, count."""
    found = 0
    for page in batch:
        charset = cchardet.detect(page.payload)["encoding"] or "utf-8"
        try:
            text = page.payload.decode(charset, "replace")
        except LookupError:
            text = page.payload.decode("utf-8", "replace")
        found += len(HANGUL.findall(text)) >= 50
    return found


def main() -> None:
    """Prints pages per processor second (median of interleaved rounds), GB/s and the ratio."""
    if not WARC.is_file():
        print(f"skipped: {WARC} is not there")
        return
    batch = pages()
    size = sum(len(page.payload) for page in batch)
    stage = KIND(name="prescreen", settings=KIND.Settings(), pack=language_pack("ko"))

    def ours(batch: list[Page]) -> int:
        counts = stage.measure(batch).column("script_chars").to_pylist()
        return sum(count >= 50 for count in counts)

    ours(batch[:10])
    ways: dict[str, Callable[[list[Page]], int]] = {"prescreen": ours, "detect, decode, regex": decode_and_regex}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    passed = {}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.process_time()
            passed[name] = way(batch)
            seconds[name].append(time.process_time() - began)
    middle = {name: statistics.median(taken) for name, taken in seconds.items()}
    for name, taken in middle.items():
        print(
            f"{name:24} {len(batch) / taken:9,.0f} pages/s {size / taken / 1e9:6.2f} GB/s"
            f"   {passed[name]} of {len(batch)} pages pass"
        )
    print(f"ratio {middle['detect, decode, regex'] / middle['prescreen']:.1f}")


if __name__ == "__main__":
    main()
