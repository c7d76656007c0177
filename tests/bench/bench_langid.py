"""The language-ID stage against raw fastText calls on the same sentences and documents, in one run.

Run: python tests/bench/bench_langid.py
"""

from __future__ import annotations

import statistics
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from fasttext.FastText import _FastText

from winnow.filters.languages import language_pack
from winnow.stages.langid import KIND
from winnow.stages.opening import opened

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SENTENCES = SHARED / "data" / "lid-lingua" / "language-testdata" / "sentences.tar.gz"
ROUNDS = 3


def documents() -> list[str]:
    """Documents of ten sentences each, in all languages of the lingua test data."""
    texts: list[str] = []
    with tarfile.open(SENTENCES) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None and member.name.endswith(".txt"):
                lines = file.read().decode().splitlines()
                texts += ["\n".join(lines[start : start + 10]) for start in range(0, len(lines), 10)]
    return texts


def main() -> None:
    """Prints documents per processor second (median of interleaved rounds) and the ratios."""
    if not SENTENCES.is_file():
        print(f"skipped: {SENTENCES} is not there")
        return
    texts = documents()[::2]
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    stages = {
        f"stage, first {chars} characters": KIND(
            name="language", settings=KIND.Settings(chars=chars), pack=language_pack("ko")
        )
        for chars in (1000, 2000)
    }
    model = _FastText(model_path=str(next(iter(stages.values())).artifacts()[0].path))

    def raw() -> object:
        return [model.predict(text[:2000].replace("\n", " "), k=1) for text in texts]

    ways: dict[str, Callable[[], object]] = {"raw fastText, one call a document": raw}
    for name, stage in stages.items():
        ways[name] = lambda stage=stage: opened(stage).measure(batch)  # type: ignore[misc]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.process_time()
            way()
            seconds[name].append(time.process_time() - began)
    base = statistics.median(seconds["raw fastText, one call a document"])
    print(f"{len(texts)} documents, mean {sum(map(len, texts)) / len(texts):.0f} characters")
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        print(f"{name:34} {len(texts) / middle:8,.0f} documents/s, {base / middle:.2f} of raw")


if __name__ == "__main__":
    main()
