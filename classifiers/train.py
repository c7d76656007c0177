"""Runs fastText's supervised training in a process of its own, so that it repeats byte for byte.

With one thread fastText fills only the first tenth of its input matrix (`DenseMatrix::uniformThread` runs for block 0
alone) and leaves the rest as the allocator gave it: garbage, sometimes NaN, in a process that has freed memory before.
In a fresh process whose large allocations are pages new from the system (`MALLOC_MMAP_THRESHOLD_`, mallopt(3)), the rest
is zero.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from winnow.classifiers.recipe import RecipeError, Train

_PAGES_FROM_THE_SYSTEM = {"MALLOC_MMAP_THRESHOLD_": "4096", "MALLOC_PERTURB_": "0", "MALLOC_TOP_PAD_": "0"}


def train(lines: Iterable[str], settings: Train, model: Path) -> None:
    """Fits and quantizes a classifier on `__label__x words` lines (each with its newline) and writes it to `model`
    (temporary name, then rename). Raises RecipeError where fastText fails."""
    fresh = model.with_name(model.name + ".new")
    with TemporaryDirectory() as folder:
        corpus = Path(folder) / "lines.txt"
        with corpus.open("w", encoding="utf-8") as stream:
            stream.writelines(lines)
        job = json.dumps({"corpus": str(corpus), "model": str(fresh), "settings": settings.model_dump()})
        done = subprocess.run(
            [sys.executable, "-m", "winnow.classifiers.train", job],
            env={**os.environ, **_PAGES_FROM_THE_SYSTEM},
            capture_output=True,
            text=True,
        )
    if done.returncode != 0 or not fresh.is_file():
        cause = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
        raise RecipeError(f"fastText could not fit {model.name}: {cause}; a smaller `train.lr` often helps")
    fresh.replace(model)


def _run(corpus: str, model: str, settings: Train) -> None:
    import fasttext

    trained = fasttext.train_supervised(
        corpus,
        dim=settings.dim,
        lr=settings.lr,
        epoch=settings.epoch,
        minCount=settings.min_count,
        minn=settings.minn,
        maxn=settings.maxn,
        wordNgrams=settings.word_ngrams,
        bucket=settings.bucket,
        seed=settings.seed,
        thread=1,
        verbose=0,
    )
    if settings.quantize:
        trained.quantize(
            input=corpus if settings.retrain else None,
            cutoff=settings.cutoff,
            retrain=settings.retrain,
            qnorm=settings.qnorm,
            dsub=settings.dsub,
            thread=1,
            verbose=0,
        )
    trained.save_model(model)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    _run(given["corpus"], given["model"], Train.model_validate(given["settings"]))
