"""URL rules against datatrove's URLFilter with the lists that it bundles (4.5 million domains), the same lists in ours.

Addresses are those of the mixed crawl, and the same with more pages a host; every round starts with no host known.
Loading is timed apart. Run: python tests/bench/bench_urls.py
"""

from __future__ import annotations

import gzip
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from winnow.filters.urls.lists import ListFile
from winnow.filters.urls.rules import UrlRules

TRUTH = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "crawl" / "web-mixed.truth.jsonl.gz"
ROUNDS = 3
PAGES_A_HOST = 10


def addresses() -> list[str]:
    """Every address of the mixed crawl that is one."""
    with gzip.open(TRUTH, "rt", encoding="utf-8") as lines:
        return [uri for line in lines if (uri := json.loads(line)["uri"]).startswith("http")]


def several(urls: list[str]) -> list[str]:
    """PAGES_A_HOST pages for each of the addresses."""
    return [f"{url}/{page}" for url in urls for page in range(PAGES_A_HOST)]


def unpacked(theirs: object, folder: Path) -> list[ListFile]:
    """The lists that datatrove's filter loaded, as files of ours."""
    kinds = {
        "domains": "block_listed_domains",
        "urls": "block_listed_url",
        "words": "banned_words",
        "soft_words": "soft_banned_words",
        "substrings": "banned_subwords",
    }
    files = []
    for kind, name in kinds.items():
        entries = sorted(
            entry for entry in getattr(theirs, name) if len(entry) > 2 and (kind != "urls" or "/" in entry)
        )
        if kind == "urls":
            entries = [entry for entry in entries if re.fullmatch(r"[a-z0-9.\-]+/+[^/].*", entry)]
        (folder / f"{kind}.txt").write_text("\n".join(entries) + "\n", encoding="utf-8")
        files.append(ListFile("bundled", kind, folder / f"{kind}.txt"))
    return files


def main() -> None:
    """Prints addresses per processor second (median of interleaved rounds), what each drops, and the ratio."""
    if not TRUTH.is_file():
        print(f"skipped: {TRUTH} is not there")
        return
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HF_HOME"] = scratch
        os.environ["HF_ASSETS_CACHE"] = scratch
        try:
            from datatrove.data import Document
            from datatrove.pipeline.filters.url_filter import URLFilter
            from tldextract import TLDExtract

            theirs = URLFilter()
            theirs.tldextractor = TLDExtract(cache_dir=None, suffix_list_urls=())  # its own asks the network first
            began = time.process_time()
            theirs.download_data()
        except (ImportError, OSError) as error:
            print(f"skipped: datatrove's lists cannot be loaded: {error}")
            return
        print(f"datatrove loads its lists in {time.process_time() - began:.1f} s")
        files = unpacked(theirs, Path(scratch))
        UrlRules(files[2:])
        began = time.process_time()
        ours = UrlRules(files)
        print(
            f"winnow loads them in {time.process_time() - began:.1f} s, {ours.trees.hashes.size:,} domains at"
            f" {ours.trees.bytes / ours.trees.hashes.size:.1f} bytes"
        )

        def filtered(urls: list[str]) -> int:
            documents = [Document(text="", id="", metadata={"url": url}) for url in urls]
            return sum(theirs.filter(document) is not True for document in documents)

        def looked(urls: list[str]) -> int:
            found = ours.forget().look(urls)
            return sum(bool(a.listed or a.hard or len(a.soft) > 1) for a in found)

        for title, urls in (("the crawl", addresses()), (f"{PAGES_A_HOST} pages a host", several(addresses()))):
            ways: dict[str, Callable[[list[str]], int]] = {"winnow": looked, "datatrove": filtered}
            seconds: dict[str, list[float]] = {name: [] for name in ways}
            dropped = {name: way(urls[:100]) for name, way in ways.items()}
            for _ in range(ROUNDS):
                for name, way in ways.items():
                    began = time.process_time()
                    dropped[name] = way(urls)
                    seconds[name].append(time.process_time() - began)
            for name, taken in seconds.items():
                rate = len(urls) / statistics.median(taken)
                print(f"{title:18} {name:10} {rate:10,.0f} addresses/s   drops {dropped[name]} of {len(urls)}")
            ratio = statistics.median(seconds["datatrove"]) / statistics.median(seconds["winnow"])
            print(f"{title:18} ratio {ratio:.1f}")


if __name__ == "__main__":
    main()
