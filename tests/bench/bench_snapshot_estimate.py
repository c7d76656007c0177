"""What one whole Common Crawl snapshot would take in Korean: bytes, requests, core hours and money, on paper.

    python tests/bench/bench_snapshot_estimate.py [--korean 0.007] [--pages 2.4e9] [--gap 1048576]

Core seconds a page are measured here, on the Korean pages of the mixed crawl in the data folder beside the checkout, by
`pipelines/ko.yaml` in one process. Everything else is an assumption, printed beside the result; none of it was measured
on Common Crawl itself. Sizes: https://www.commoncrawl.org/columnar-index (300 GB of index a snapshot, September 2025),
https://skeptric.com/reading-parquet-metadata (300 index files; 72 TB of WARC in 72,000 files in snapshot 2022-05).
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import winnow
from winnow.pipelines.engine.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
CRAWL = ROOT.parent / "shared" / "data" / "crawl" / "web-mixed.warc.gz"


@dataclass(frozen=True, slots=True)
class Assumed:
    """One snapshot and one cloud. Bytes are compressed."""

    pages: float = 2.4e9
    korean: float = 0.007  # of the pages
    record_bytes: float = 33e3  # a response in the archive; 80 TB of WARC / pages
    index_files: int = 300
    predicate_row_bytes: float = 6.0  # language, charset, status, type, length of one index row
    located_row_bytes: float = 55.0  # URL, digest, file, offset, length of one index row
    index_read: float = 1.0  # share of row groups with a Korean page; they hold a million rows
    gap: float = 2.0**20
    request_seconds: float = 0.1  # a range request within the same region, until its last byte
    requests_at_a_time: int = 8  # of one core
    core_hour_dollars: float = 0.045  # a virtual core of a compute-optimised machine, on demand
    request_dollars: float = 0.0  # the bucket is open and not requester-pays
    transfer_dollars: float = 0.0  # within the bucket's region


@dataclass(frozen=True, slots=True)
class Estimate:
    """What follows. Bytes, counts, core hours, dollars."""

    wanted: float
    index_bytes: float
    wanted_bytes: float
    gap_bytes: float
    requests: float
    whole_bytes: float
    fetch_hours: float
    curate_hours: float
    dollars: float


def estimate(assumed: Assumed, seconds: float) -> Estimate:
    """`seconds`: of one core, per wanted page, from its bytes to the shards. Wanted pages lie in the archive at random, so
    that the number of records up to the next wanted one is geometric."""
    wanted = assumed.pages * assumed.korean
    reach = int(assumed.gap // assumed.record_bytes)
    joined = 1 - (1 - assumed.korean) ** (reach + 1)  # the next wanted record follows within the gap
    within = [(1 - assumed.korean) ** n * assumed.korean * n for n in range(reach + 1)]
    gap_bytes = wanted * sum(within) * assumed.record_bytes
    requests = wanted * (1 - joined)
    index_bytes = assumed.pages * (assumed.predicate_row_bytes + assumed.index_read * assumed.located_row_bytes)
    fetch_hours = requests * assumed.request_seconds / assumed.requests_at_a_time / 3600
    curate_hours = wanted * seconds / 3600
    dollars = (
        (fetch_hours + curate_hours) * assumed.core_hour_dollars
        + requests * assumed.request_dollars
        + (wanted * assumed.record_bytes + gap_bytes + index_bytes) * assumed.transfer_dollars
    )
    return Estimate(
        wanted,
        index_bytes,
        wanted * assumed.record_bytes,
        gap_bytes,
        requests,
        assumed.pages * assumed.record_bytes,
        fetch_hours,
        curate_hours,
        dollars,
    )


def seconds_a_page() -> tuple[float, int]:
    """Seconds of one core per page that is Korean to the pre-screen, all stages, and the number of those pages."""
    with tempfile.TemporaryDirectory() as folder:
        run = winnow.run(
            ROOT / "pipelines" / "ko.yaml",
            [f"sources.crawl.paths=[{CRAWL}]"],
            folder=folder,
            local=True,
            progress=Progress(quiet=True),
        )
    passed = run.accounting["stages"]["screen"]["kept"]
    spent = run.accounting["work"]["seconds"]
    return sum(seconds for stage, seconds in spent.items() if stage not in ("crawl", "urls", "screen")) / passed, passed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--korean", type=float, default=Assumed().korean)
    parser.add_argument("--pages", type=float, default=Assumed().pages)
    parser.add_argument("--gap", type=float, default=Assumed().gap, help="bytes that one request may read over")
    chosen = parser.parse_args()
    if not CRAWL.is_file():
        print("skipped: needs ../shared/data")
        return
    seconds, pages = seconds_a_page()
    assumed = Assumed(pages=chosen.pages, korean=chosen.korean, gap=chosen.gap)
    found = estimate(assumed, seconds)
    print(f"measured: {1000 * seconds:.1f} ms of one core a Korean page ({pages} pages, ko.yaml, one process)")
    print("assumed: " + ", ".join(f"{name} {getattr(assumed, name):g}" for name in assumed.__slots__))
    print(f"Korean pages        {found.wanted / 1e6:8.1f} million of {assumed.pages / 1e9:.1f} billion")
    print(f"index read          {found.index_bytes / 1e9:8.0f} GB of about 300")
    print(f"their records       {found.wanted_bytes / 1e9:8.0f} GB")
    print(f"gaps read over      {found.gap_bytes / 1e9:8.0f} GB")
    print(f"range requests      {found.requests / 1e6:8.1f} million")
    print(
        f"whole archives      {found.whole_bytes / 1e12:8.1f} TB, {found.whole_bytes / (found.wanted_bytes + found.gap_bytes + found.index_bytes):.0f} times as much"
    )
    print(f"core hours fetching {found.fetch_hours:8.0f}")
    print(f"core hours curating {found.curate_hours:8.0f}")
    print(f"dollars             {found.dollars:8.0f}")


if __name__ == "__main__":
    main()
