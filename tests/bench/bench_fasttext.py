"""Documents per second of the `fasttext` stage beside bare fastText on the same texts, in one run.

`python tests/bench/bench_fasttext.py [documents]`: documents are made of the Korean paragraphs of the real data folder when
it lies beside the checkout, else of the shipped sentences below. Bare fastText gets the newline-free text as it is, `raw`,
or the lines that the stage prepares, `lines`; the ratios say what preparation and bookkeeping cost.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from winnow.classifiers.features import windows
from winnow.filters.languages import language_pack
from winnow.stages.base import DOCUMENT_SCHEMA
from winnow.stages.fasttext import KIND
from winnow.stages.opening import opened

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SENTENCE = "한글은 세종이 1443년에 창제하고 1446년에 반포한 문자로, 자음과 모음을 모아 한 음절을 한 글자로 적는다."
ROUNDS = 3


def texts(count: int) -> list[str]:
    """Documents of about 1,500 characters."""
    paragraphs = [SENTENCE] * 200
    path = DATA / "ko-hq-korquad1-ND" / "KorQuAD_v1.0_dev.json"
    if path.is_file():
        articles = json.loads(path.read_text("utf-8"))["data"]
        paragraphs = [part["context"] for article in articles for part in article["paragraphs"]]
    return ["\n".join(paragraphs[(3 * n + k) % len(paragraphs)] for k in range(3)) for n in range(count)]


def rate(work: Callable[[], object], count: int) -> float:
    """Documents per second of one call."""
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def main() -> None:
    """Prints one line per model."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    corpus = texts(count)
    rows = [{"id": f"{n:032x}", "source": "bench", "text": text} for n, text in enumerate(corpus)]
    batch = pa.RecordBatch.from_pylist(rows, schema=DOCUMENT_SCHEMA)
    print(f"{count} documents, mean {statistics.mean(map(len, corpus)):.0f} characters")
    for name in ("ko-quality", "ko-toxicity", "ko-domain"):
        stage = KIND(name=name, settings=KIND.Settings(model=name), pack=language_pack("ko"))
        scorer = opened(stage).scorer
        flat = [" ".join(text.split())[: scorer.features.chars] for text in corpus]
        lines = [line for text in corpus for line in windows(text, scorer.features)]

        def whole(stage: KIND = stage) -> object:
            return stage.measure(batch)

        def bare(given: list[str], model: object = scorer.model) -> object:
            return [model.f.predict(text + "\n", 1, 0.0, "strict") for text in given]  # type: ignore[attr-defined]

        whole()
        rounds = [
            (rate(whole, count), rate(lambda: bare(flat), count), rate(lambda: bare(lines), count))  # noqa: B023
            for _ in range(ROUNDS)
        ]
        ours, raw, prepared = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(
            f"{name}: stage {ours:,.0f} documents/s; bare fastText on raw text {raw:,.0f} (ratio {ours / raw:.2f}), "
            f"on prepared lines {prepared:,.0f} (ratio {ours / prepared:.2f})"
        )


if __name__ == "__main__":
    main()
