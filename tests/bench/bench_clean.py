"""Cleaning: MB/s of the clean stage and of each step against ftfy and datatrove's cleaning of lines, in one run.

    python tests/bench/bench_clean.py

Rates are megabytes of UTF-8 per CPU-second of one process, the median of interleaved rounds. `gold` texts are the main
text of real pages, of which hardly a line changes. The other side is `ftfy.fix_text` and then datatrove's C4QualityFilter
on the same texts, without its count of sentences, which is no cleaning.
"""

from __future__ import annotations

import gzip
import json
import os
import statistics
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "crawl" / "web-mixed.truth.jsonl.gz"
ROUNDS = 5


def main() -> None:
    if not DATA.is_file():
        print(f"skipped: {DATA} is not there")
        return
    with gzip.open(DATA, "rt") as file:
        rows = [row for line in file if (row := json.loads(line)).get("gold_text")]
    for language in ("ko", "en"):
        texts = [unicodedata.normalize("NFC", row["gold_text"]) for row in rows if row.get("lang") == language]
        compare(language, texts)


def compare(language: str, texts: list[str]) -> None:
    """One line per implementation; ratios are of the whole stage to each."""
    import ftfy
    import polars as pl
    import pyarrow as pa
    from datatrove.data import Document
    from datatrove.pipeline.filters import C4QualityFilter

    from winnow.filters.cleaning.boilerplate import boilerplate
    from winnow.filters.cleaning.c4_lines import c4_lines
    from winnow.filters.cleaning.characters import characters
    from winnow.filters.cleaning.mojibake import mojibake
    from winnow.filters.languages import language_pack
    from winnow.stages.clean import Clean
    from winnow.stages.opening import opened

    series = pl.Series(texts)
    batch = pa.RecordBatch.from_pydict(
        {"id": pa.array([f"{i:032x}" for i in range(len(texts))]), "text": pa.array(texts, pa.large_string())}
    )
    stage = Clean(name="clean", settings=Clean.Settings(), pack=language_pack(language))
    with_c4 = Clean(name="clean", settings=Clean.Settings(c4_lines=True), pack=language_pack(language))
    theirs = C4QualityFilter(min_num_sentences=-1, filter_lorem_ipsum=False, filter_curly_bracket=False)
    steps = {
        "mojibake": mojibake,
        "characters": characters("ascii"),
        "boilerplate": boilerplate((language, "en")),
        "c4_lines": c4_lines(),
    }

    def ftfy_and_datatrove() -> None:
        for text in texts:
            theirs.filter(Document(text=ftfy.fix_text(text), id=""))

    runs: dict[str, Callable[[], object]] = {
        "clean": lambda: opened(stage).measure(batch),
        "clean with c4_lines": lambda: opened(with_c4).measure(batch),
        **{f"  {name}": lambda step=step: step(series) for name, step in steps.items()},
        "ftfy.fix_text": lambda: [ftfy.fix_text(text) for text in texts],
        "datatrove C4 lines": lambda: [theirs.filter(Document(text=text, id="")) for text in texts],
        "ftfy and datatrove": ftfy_and_datatrove,
    }
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for counted in range(ROUNDS + 1):
        for name, run in runs.items():
            start = time.process_time()
            run()
            if counted:
                seconds[name].append(time.process_time() - start)
    print(f"{language}: {len(texts)} texts, {megabytes:.1f} MB")
    ours = megabytes / statistics.median(seconds["clean"])
    for name, taken in seconds.items():
        rate = megabytes / statistics.median(taken)
        print(f"  {name:24} {rate:8.1f} MB/s   clean is {ours / rate:6.1f}x")


if __name__ == "__main__":
    sys.exit(main())
