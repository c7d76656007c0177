"""Encoding speed: our tokenizer through tiktoken against tokenizers, same texts, one thread, interleaved in one run.

    python tests/bench/bench_tokenize.py [--data FOLDER] [--tokenizer ko-bpe] [--rounds 3]

FOLDER holds Markdown (default: the data folder beside the checkout). Rates are medians over rounds; read the ratio.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pyarrow as pa

from winnow.filters.languages import language_pack
from winnow.stages.base import DOCUMENT_SCHEMA
from winnow.stages.tokenize import Tokenize
from winnow.tokenize.fit import read_texts
from winnow.tokenize.tokenizer import Tokenizer, find

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
LEAST_CHARACTERS = 3_000_000


def documents(texts: list[str]) -> pa.RecordBatch:
    """`texts` as a batch of documents."""
    n = len(texts)
    nothing = pa.nulls(n, pa.string())
    names = pa.array([f"{i:032x}" for i in range(n)])
    columns = [names, nothing, nothing, pa.array(["bench"] * n), nothing, pa.array(texts, pa.large_string())]
    return pa.RecordBatch.from_arrays(columns, schema=DOCUMENT_SCHEMA)


def main() -> None:
    """Prints load times, Mtok/s, MB/s and documents/s of each engine and of the whole stage, and their ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--tokenizer", default="ko-bpe")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    folders = [given.data] if given.data != DATA else sorted(given.data.glob("ko-docs-*"))
    if not folders or not all(folder.is_dir() for folder in folders):
        print(f"skipped: {given.data if given.data != DATA else DATA / 'ko-docs-*'} is not there")
        return
    texts, characters = [], 0
    for text in read_texts(folders):
        texts.append(text)
        characters += len(text)
        if characters > LEAST_CHARACTERS:
            break
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(texts)} documents, {megabytes:.1f} MB, tokenizer {given.tokenizer}, one thread")

    file = find(given.tokenizer)
    engines: dict[str, Tokenizer] = {}
    for name in ("tokenizers", "tiktoken"):
        start = time.perf_counter()
        engines[name] = Tokenizer(file, name)
        print(f"load {name:<10} {time.perf_counter() - start:6.2f} s")
    node = Tokenize(name="shards", settings=Tokenize.Settings(tokenizer=given.tokenizer), pack=language_pack("ko"))
    batch = documents(texts)
    work = {
        "tokenizers": lambda: len(engines["tokenizers"].encode(texts).ids),
        "tiktoken": lambda: len(engines["tiktoken"].encode(texts).ids),
        "whole stage": lambda: len(node.measure(batch).column("_input_ids").values),
    }
    node.measure(batch.slice(0, 1))
    seconds: dict[str, list[float]] = {name: [] for name in work}
    tokens: dict[str, int] = {}
    for _ in range(given.rounds):
        for name, run in work.items():
            start = time.process_time()
            tokens[name] = run()
            seconds[name].append(time.process_time() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(
            f"{name:<12} {tokens[name] / median / 1e6:6.2f} Mtok/s {megabytes / median:6.1f} MB/s "
            f"{len(texts) / median:8.0f} documents/s {medians['tokenizers'] / median:5.2f}x tokenizers"
        )


if __name__ == "__main__":
    main()
