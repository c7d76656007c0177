"""Common Crawl via its index against whole WARC files, on a mimic of a snapshot of which 1% is Korean.

    python tests/bench/bench_commoncrawl.py [SHARE] [KOREAN PAGES]

The pages are real (../shared/data/crawl); those that are not Korean are there many times over, at other addresses. A web
server in a process of its own answers each request 20 ms late. Bytes and requests are of WARC files; the index and the
lists come on top and are given apart. Time is of one process, from the first request to the last extracted page. The
second part is what the pre-screen costs beside the extraction that it spares, the best of three rounds.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from winnow.filters.languages import language_pack
from winnow.pipelines.engine.inputs import KeptInStore
from winnow.pipelines.engine.store import Store
from winnow.stages.extract import KIND as EXTRACT
from winnow.stages.prescreen import KIND as PRESCREEN
from winnow.stages.source import Page
from winnow.stages.sources.commoncrawl import KIND, CommonCrawl, Settings

HERE = Path(__file__).resolve()
CRAWL_TESTS = HERE.parents[1] / "stages" / "commoncrawl"
DATA = HERE.parents[2].parent / "shared" / "data" / "crawl" / "web-mixed.warc.gz"
SNAPSHOT = "CC-MAIN-2026-43"
DELAY = 0.02
CHUNK = 64
SERVE = """
import sys
sys.path.insert(0, sys.argv[1])
from server import CrawlServer
server = CrawlServer(sys.argv[2], delay=float(sys.argv[3]))
print(server.url, flush=True)
sys.stdin.read()
"""
PACK = language_pack("ko")
SCREEN = PRESCREEN(name="screen", settings=PRESCREEN.Settings(), pack=PACK)
TRAFILATURA = EXTRACT(name="extract", settings=EXTRACT.Settings(engine="trafilatura"), pack=PACK)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL of a server of the folder, in a process of its own."""
    command = [sys.executable, "-c", SERVE, str(CRAWL_TESTS), str(folder), str(DELAY)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None and server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()


def screened(pages: Sequence[Page]) -> list[Page]:
    """The pages that the pre-screen leaves."""
    counts = SCREEN.measure(pages).column("script_chars").to_pylist()
    return [page for page, count in zip(pages, counts, strict=True) if count >= 50]


def curated(source: CommonCrawl, kept: KeptInStore) -> tuple[int, int, float]:
    """Pages read, pages extracted, and seconds."""
    files = source.inputs(kept)
    read = extracted = 0
    began = time.perf_counter()
    for file in files:
        pages = (page for one in source.segments(file) for page in source.pages(one) if isinstance(page, Page))
        chunk: list[Page] = []
        for page in pages:
            read += 1
            if page.error is None and page.drop is None:
                chunk.append(page)
            if len(chunk) == CHUNK:
                extracted += extracted_of(chunk)
                chunk = []
        extracted += extracted_of(chunk)
    return read, extracted, time.perf_counter() - began


def extracted_of(chunk: Sequence[Page]) -> int:
    """Screens and extracts; how many were extracted."""
    left = screened(chunk) if chunk else []
    if left:
        TRAFILATURA.measure(left)
    return len(left)


def compare(url: str, root: Path, files: Sequence[Path]) -> None:
    """Prints index mode, at several gaps, beside whole files."""

    def source(**given: object) -> CommonCrawl:
        return KIND("crawl", Settings.model_validate({"snapshot": SNAPSHOT, "endpoint": url, **given}), PACK)

    whole = KeptInStore(Store(str(root / "whole")))
    read, extracted, seconds = curated(source(via="warc"), whole)
    size, requests = sum(file.stat().st_size for file in files), 2 * len(files)  # its size is asked first
    print(f"{'way':18}{'bytes':>13}{'requests':>10}{'pages':>8}{'extracted':>11}{'seconds':>9}{'bytes':>9}{'time':>7}")
    print(f"{'whole files':18}{size:13,}{requests:10,}{read:8,}{extracted:11,}{seconds:9.1f}{1:9.4f}{1:7.3f}")
    for gap in (1 << 20, 1 << 16, 0):
        kept = KeptInStore(Store(str(root / f"gap{gap}")))
        crawl = source(gap=gap, audit=0)
        began = time.perf_counter()
        expected = crawl.expected(kept)[SNAPSHOT]
        planned = time.perf_counter() - began
        read, extracted, took = curated(crawl, kept)
        print(
            f"{f'index, gap {gap >> 10} KiB':18}{expected['bytes']:13,}{expected['requests']:10,}{read:8,}{extracted:11,}"
            f"{took:9.1f}{expected['bytes'] / size:9.4f}{took / seconds:7.3f}   and its index: {expected['index_bytes']:,} bytes,"
            f" {expected['index_requests']} requests, {planned:.1f} s to plan"
        )


def prescreen_cost(bodies: Sequence[bytes], rounds: int = 3, sample: int = 300) -> None:
    """Prints the time of the pre-screen as a share of extraction's, on the same pages."""
    drawn = random.Random(0).sample(list(bodies), min(sample, len(bodies)))
    batch = [Page(str(at), None, None, body) for at, body in enumerate(drawn)]
    screened(batch[:8])
    TRAFILATURA.measure(batch[:8])
    best = {"screen": float("inf"), "extract": float("inf")}
    for _ in range(rounds):
        for name, work in (("screen", lambda: screened(batch)), ("extract", lambda: TRAFILATURA.measure(batch))):
            began = time.perf_counter()  # extraction has processes of its own
            work()
            best[name] = min(best[name], time.perf_counter() - began)
    share = best["screen"] / best["extract"]
    print(
        f"pre-screen {1e3 * best['screen'] / len(batch):.3f} ms a page, extraction {1e3 * best['extract'] / len(batch):.2f} ms"
        f" (trafilatura), {len(batch)} pages of all languages: {share:.2%} of extraction; asked: less than 2%"
    )


def main() -> None:
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 0.01
    korean = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    if not DATA.is_file():
        print(f"skipped: {DATA} is not there")
        return
    sys.path.insert(0, str(CRAWL_TESTS))
    import mimic

    pages = mimic.real_pages(DATA.parent)
    others = [page for page in pages if not page.korean]
    mine = [page for page in pages if page.korean][:: max(1, 516 // korean)][:korean]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        crawl = mimic.padded([*mine, *others], share)
        made = mimic.build(root / "mimic", {SNAPSHOT: crawl}, files=4, row_group=2_000, level=1)
        files = [made.file(path) for path in sorted({one.warc for one in made.stored[SNAPSHOT]})]
        print(f"{len(crawl):,} pages, {len(mine) / len(crawl):.2%} of them Korean, in {len(files)} WARC files")
        with served(made.root) as url:
            compare(url, root, files)
    prescreen_cost([page.body for page in others])


if __name__ == "__main__":
    main()
