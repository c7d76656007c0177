"""Records per second of the warc source against fastwarc's and warcio's own iterators, on one file, in one run.

    python tests/bench/bench_warc.py [ARCHIVE.warc.gz] [ROUNDS]

Every reader visits every response and has its HTTP body in memory. Rounds are interleaved and the best of each
counts, in processor time, because other processes share the machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from winnow.stages.source import InputFile, Page, Segment
from winnow.stages.sources.warc import KIND, Settings

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def ours(path: Path) -> int:
    source = KIND(name="crawl", settings=Settings(paths=[str(path)]))
    size = path.stat().st_size
    segment = Segment(InputFile(str(path), size, ""), 0, size)
    return sum(isinstance(item, Page) for item in source.pages(segment))


def fastwarc(path: Path) -> int:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    count = 0
    for record in ArchiveIterator(str(path), record_types=WarcRecordType.response, auto_decode="all"):
        record.reader.read()
        count += 1
    return count


def warcio(path: Path) -> int:
    from warcio.archiveiterator import ArchiveIterator

    count = 0
    with path.open("rb") as handle:
        for record in ArchiveIterator(handle):
            if record.rec_type == "response":
                record.content_stream().read()
                count += 1
    return count


def inflate(path: Path) -> int:
    """The floor: ISA-L inflates the members and nothing else happens."""
    from isal import isal_zlib

    data = path.read_bytes()
    count = at = 0
    while at < len(data):
        inflater, end = isal_zlib.decompressobj(31), at
        while not inflater.eof and end < len(data):
            inflater.decompress(data[end : end + (1 << 15)])
            end = min(end + (1 << 15), len(data))
        at = end - len(inflater.unused_data)
        count += 1
    return count


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA / "crawl" / "web-mixed.warc.gz"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    if not path.is_file():
        print(f"skipped: {path} is not there")
        return
    readers: dict[str, Callable[[Path], int]] = {
        "winnow": ours,
        "fastwarc": fastwarc,
        "warcio": warcio,
        "isal alone": inflate,
    }
    best: dict[str, float] = {}
    counts: dict[str, int] = {}
    for number in range(rounds):
        for name, reader in readers.items():
            if name == "warcio" and number >= 2:
                continue
            start = time.process_time()
            counts[name] = reader(path)
            best[name] = min(best.get(name, float("inf")), time.process_time() - start)
    for name, seconds in best.items():
        rate = counts[name] / seconds
        ratio = best[name] / best["winnow"]
        print(f"{name:>10}: {counts[name]:,} records, {rate:,.0f}/s; winnow reaches {ratio:.2f} of its rate")


if __name__ == "__main__":
    main()
