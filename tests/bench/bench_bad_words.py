"""Bad words: MB/s of this process's CPU time, beside cutting the words and datatrove's C4BadWordsFilter, in one run.

    python tests/bench/bench_bad_words.py [--megabytes 8] [--slow 1] [LISTS]

LISTS is a folder of LDNOOBW lists named by language; without it the one beside the checkout is read, and the texts are
the crawl set's. Both sides get the same list. datatrove stops a document at its first bad word; this counts all. Its
regular expression is given the first `--slow` megabytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from winnow.filters.bad_words import read, table
from winnow.filters.languages import language_pack
from winnow.filters.rules.bad_words import GROUP
from winnow.filters.rules.table import Texts
from winnow.filters.words import split

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
TRUTH = DATA / "crawl" / "web-mixed.truth.jsonl.gz"


def texts(language: str, most: int) -> list[str]:
    found: list[str] = []
    with gzip.open(TRUTH, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            text = record.get("gold_text") or record.get("text") or ""
            if record.get("lang") == language and text.strip():
                found.append(unicodedata.normalize("NFC", text).encode("utf-8", "replace").decode())
    kept: list[str] = []
    size = 0
    while found and size < most:
        for text in found:
            kept.append(text)
            size += len(text.encode())
            if size >= most:
                break
    return kept


def seconds(work: Callable[[], Any], rounds: int = 3) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def peer(listed: tuple[str, ...], language: str) -> Any:
    """datatrove's filter with the list already read, by the expressions of its `_get_badwords`."""
    from datatrove.pipeline.filters.c4_filters import C4BadWordsFilter

    made = C4BadWordsFilter(default_language=language)
    words = [re.escape(word) for word in set(listed)]
    pattern = "|".join(words) if language in ("ja", "th", "zh") else rf"(?:\W|^)({'|'.join(words)})(?:\W|$)"
    made._badwords_regex[language] = re.compile(pattern)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lists", nargs="?", type=Path, default=DATA / "badwords-ldnoobw")
    parser.add_argument("--megabytes", type=float, default=8)
    parser.add_argument("--slow", type=float, default=1)
    options = parser.parse_args()
    for needed in (TRUTH, options.lists):
        if not needed.exists():
            print(f"skipped: {needed} is not there")
            return
    from datatrove.data import Document

    for language in ("ko", "en"):
        held = texts(language, int(options.megabytes * 1e6))
        slow = texts(language, int(options.slow * 1e6))
        data = np.frombuffer("".join(held).encode(), np.uint8)
        offsets = np.concatenate([[0], np.cumsum([len(text.encode()) for text in held])]).astype(np.int64)
        size = len(data) / 1e6
        column = Texts(offsets, data, language_pack(language), "whitespace")
        column.words = split(offsets, data, False)
        documents = [Document(text=text, id=str(at)) for at, text in enumerate(slow)]
        cutting = size / seconds(lambda offsets=offsets, data=data: split(offsets, data, False))
        print(f"{language}: {size:.1f} MB, cutting words {cutting:.0f} MB/s")
        path = options.lists / language
        pack = language_pack(language).bad_words
        for name, held_table in (("pack", table(pack)), ("list", table((), (path,))), ("both", table(pack, (path,)))):
            if held_table.entries:
                column.bad_words = held_table
                rate = size / seconds(lambda column=column: column.records(GROUP))
                hits = int((column.records(GROUP)["bad_words"] > 0).sum())
                print(f"  {name} ({held_table.entries} entries): {rate:.0f} MB/s, {hits} of {len(held)} documents")
                if name == "list":
                    ours = rate
        other = peer(read(path), language)
        theirs = sum(len(text.encode()) for text in slow) / 1e6
        theirs /= seconds(lambda other=other, documents=documents: [other.filter(each) for each in documents], 1)
        print(
            f"  datatrove, list: {theirs:.1f} MB/s; ratio {ours / theirs:.0f}x, with cutting {1 / (1 / ours + 1 / cutting) / theirs:.0f}x"
        )


if __name__ == "__main__":
    main()
