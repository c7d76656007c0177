"""Documents per second of the `kenlm` stage beside bare KenLM on the same model and texts, in one run.

`python tests/bench/bench_kenlm.py [documents]`: half of the documents (of the Korean pool in the real data folder where it lies
beside the checkout, else made of the sentence below) fit a model of words and one of syllables, the other half is scored. Bare
KenLM: the loop that its users write, as CCNet's does: each line is scored and its words are counted, for a perplexity. Of
syllables the lines are given to it ready-made, which they are not to the stage. `scores alone` leaves the counting out, too.
"""

from __future__ import annotations

import gzip
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import kenlm
import pyarrow as pa

from winnow.classifiers.kenlm_fit import GroupedText, KenlmFit, fit_kenlm
from winnow.classifiers.kenlm_units import Splitter, Units
from winnow.filters.languages import language_pack
from winnow.stages.base import DOCUMENT_SCHEMA
from winnow.stages.kenlm import KIND
from winnow.stages.opening import opened

POOL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ko-pool"
SENTENCE = "한글은 세종이 1443년에 창제하고 1446년에 반포한 문자로, 자음과 모음을 모아 한 음절을 한 글자로 적는다."
ROUNDS = 5


def texts(count: int) -> list[str]:
    """Documents of the pool's good sources, or made ones."""
    found: list[str] = []
    for name in ("wikinews", "unesco-ko", "nanet-book-reviews", "python-docs-ko"):
        path = POOL / f"{name}.jsonl.gz"
        if path.is_file():
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                found += [json.loads(line)["text"][:20_000] for line in lines]
    return (found or ["\n".join([f"{SENTENCE} {n}"] * 12) for n in range(count)])[:count]


def rate(work: Callable[[], object], count: int) -> float:
    """Documents per second of processor time of one call."""
    start = time.process_time()
    work()
    return count / (time.process_time() - start)


def main() -> None:
    """Prints one line per unit."""
    corpus = texts(int(sys.argv[1]) if len(sys.argv) > 1 else 1200)
    fitted, scored = corpus[::2], corpus[1::2]
    rows = [{"id": f"{n:032x}", "source": "bench", "text": text} for n, text in enumerate(scored)]
    batch = pa.RecordBatch.from_pylist(rows, schema=DOCUMENT_SCHEMA)
    print(f"{len(scored)} documents, mean {statistics.mean(map(len, scored)):.0f} characters")
    with tempfile.TemporaryDirectory() as folder:
        for fit in (KenlmFit(), KenlmFit(unit="syllable", normalize="fold")):
            path = Path(folder) / f"{fit.unit}.arpa"
            fit_kenlm([GroupedText(text, text) for text in fitted], fit, path)
            stage = opened(KIND(name="lm", settings=KIND.Settings(model=str(path)), pack=language_pack("ko")))
            config = kenlm.Config()
            config.show_progress = False
            model = kenlm.Model(str(path), config)
            split = Splitter(Units(unit=fit.unit, normalize=fit.normalize)).split
            lines = [
                [line.decode() for line in text.split(b"\n") if line.strip()]
                for text in split([text.strip().encode() for text in scored])
            ]

            def alone(lines: list[list[str]] = lines, model: kenlm.Model = model) -> list[float]:
                return [sum(map(model.score, document)) for document in lines]

            def bare(lines: list[list[str]] = lines, model: kenlm.Model = model) -> list[float]:
                found = []
                for document in lines:
                    log10, length = 0.0, 0
                    for line in document:
                        log10 += model.score(line)
                        length += len(line.split()) + 1
                    found.append(10.0 ** (-log10 / length))
                return found

            def whole(stage: object = stage) -> pa.RecordBatch:
                return stage.measure(batch)  # type: ignore[attr-defined]

            assert whole().column("log10").to_pylist() == alone()
            rounds = [tuple(rate(work, len(scored)) for work in (whole, bare, alone)) for _ in range(ROUNDS)]
            ours, raw = (statistics.median(one[k] for one in rounds) for k in (0, 1))
            first, second = (statistics.median(one[0] / one[k] for one in rounds) for k in (1, 2))
            print(
                f"{fit.unit}: stage {ours:,.0f} documents/s, bare KenLM {raw:,.0f}, ratio {first:.2f} (scores alone {second:.2f})"
            )


if __name__ == "__main__":
    main()
