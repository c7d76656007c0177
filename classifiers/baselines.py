"""What a classifier is judged beside, fitted on the same texts: the commonest label, a logistic regression over words, and
fastText with its own settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from winnow.classifiers.examples import Example
from winnow.classifiers.features import PLAIN, windows
from winnow.classifiers.linear_fit import fit_linear
from winnow.classifiers.linear_model import LinearFeatures, LinearScorer, read_model
from winnow.classifiers.meaning import Meaning, Predictions, predictions
from winnow.classifiers.recipe import Linear, Train
from winnow.classifiers.scorer import PREFIX, Scorer, load_scorer
from winnow.classifiers.train import train

FASTTEXT = Train(dim=100, lr=0.1, epoch=5, minn=0, maxn=0, bucket=0, quantize=False)
"""The defaults of `fasttext supervised`."""

WORDS = LinearFeatures(maxn=0, words=1, bits=20, chars=20_000)


@dataclass(frozen=True, slots=True)
class Majority:
    """Says the commonest label of every text, with the share that it has."""

    meaning: Meaning
    shares: tuple[float, ...]

    def predict(self, texts: Sequence[str], every: bool = False) -> Predictions:
        """See `Scorer`."""
        seen = np.ones(len(texts), np.bool_)
        raw = np.tile(np.array(self.shares), (len(texts), 1))
        if self.meaning.positive is not None:
            raw = raw[:, self.meaning.labels.index(self.meaning.positive)]
        return predictions(self.meaning, raw, seen)


def baselines(
    fitted: Sequence[Example], positive: str | None, folder: Path
) -> Iterator[tuple[Scorer, str, int | None]]:
    """Scorer, kind and bytes of each. Their files are written into `folder`."""
    labels = tuple(sorted({one.label for one in fitted}))

    def named(name: str) -> Meaning:
        return Meaning(name=name, positive=positive, labels=labels)

    counts = Counter(one.label for one in fitted)
    yield Majority(named("majority"), tuple(counts[label] / len(fitted) for label in labels)), "majority", None
    path = folder / "words.linear"
    texts, known = [one.text for one in fitted], [one.label for one in fitted]
    fit_linear(texts, known, [1.0] * len(texts), 0.0, WORDS, Linear(), named("bag-of-words regression"), path)
    yield LinearScorer(*read_model(path)), "linear", path.stat().st_size
    path = folder / "plain.bin"
    lines = [f"{PREFIX}{one.label} {line}\n" for one in fitted for line in windows(one.text, PLAIN_WHOLE)]
    train(lines, FASTTEXT, path)
    plain = load_scorer(path, path.as_posix(), positive)
    meaning = plain.meaning.model_copy(update={"name": "plain fastText"})
    yield type(plain)(plain.model, meaning, PLAIN_WHOLE), "fasttext", path.stat().st_size


PLAIN_WHOLE = PLAIN.model_copy(update={"chars": 20_000})
