"""Fitted classifiers, loaded once per process, checked before use, scored in batches: fastText's here, linear ones in
`linear_model.py`; `load` takes either, by the file's first bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from winnow.classifiers import linear_model
from winnow.classifiers.artifacts import ModelError, digest
from winnow.classifiers.fasttext_file import check_model
from winnow.classifiers.features import PLAIN, Features, top_count, windows
from winnow.classifiers.meaning import Meaning, Predictions, predictions

PREFIX = "__label__"
LINES = 4096


class Scorer(Protocol):
    """A loaded classifier of any kind."""

    @property
    def meaning(self) -> Meaning: ...

    def predict(self, texts: Sequence[str], every: bool = False) -> Predictions:
        """Of each text, whatever texts are scored with it; with `every`, the probabilities of all labels."""
        ...


class Sidecar(Meaning):
    """`<model>.json` beside `<model>.ftz`: what a score means and how text is prepared."""

    features: Features
    model_sha256: str


@dataclass(frozen=True, slots=True)
class FasttextScorer:
    """A loaded fastText model."""

    model: Any
    meaning: Meaning
    features: Features

    def predict(self, texts: Sequence[str], every: bool = False) -> Predictions:
        """See `Scorer`."""
        lines: list[str] = []
        counts: list[int] = []
        for text in texts:
            cut = windows(text, self.features)
            counts.append(len(cut))
            lines += cut
        seen = np.array(counts, np.int64) > 0
        if self.meaning.positive is not None:
            return predictions(self.meaning, self._positive(lines, counts), seen)
        every = every or self.features.window > 0 or self.meaning.calibration is not None
        found = predictions(self.meaning, self._every(lines, counts, -1 if every else 1), seen)
        return found if every else Predictions(found.names, found.labels, found.scores, None)

    def score(self, texts: Sequence[str]) -> tuple[list[str | None], npt.NDArray[np.float32]]:
        """Labels by name, and scores."""
        found = self.predict(texts)
        return found.said(), found.scores

    def _positive(self, lines: list[str], counts: list[int]) -> npt.NDArray[np.float64]:
        found = np.empty(len(lines))
        for index, (names, values) in enumerate(self._predict(lines, 1)):
            value = min(float(values[0]), 1.0) if len(values) else 0.0
            found[index] = value if names and names[0] == PREFIX + str(self.meaning.positive) else 1.0 - value
        scores = np.zeros(len(counts))
        start = 0
        for row, count in enumerate(counts):
            if count:
                part = np.sort(found[start : start + count])[::-1]
                scores[row] = part[: top_count(count, self.features.top)].mean()
            start += count
        return scores

    def _every(self, lines: list[str], counts: list[int], k: int) -> npt.NDArray[np.float64]:
        order = {PREFIX + label: column for column, label in enumerate(self.meaning.labels)}
        found = np.zeros((len(lines), len(order)))
        for row, (names, values) in enumerate(self._predict(lines, k)):
            found[row, [order[name] for name in names]] = values
        np.minimum(found, 1.0, out=found)
        shares = np.zeros((len(counts), len(order)))
        start = 0
        for row, count in enumerate(counts):
            if count:
                shares[row] = found[start : start + count].mean(axis=0)
            start += count
        return shares

    def _predict(self, lines: list[str], k: int) -> Any:
        for start in range(0, len(lines), LINES):
            chunk = [line + "\n" for line in lines[start : start + LINES]]
            yield from zip(*self.model.f.multilinePredict(chunk, k, 0.0, "strict"), strict=True)


def sidecar_path(model: Path) -> Path:
    """Where a model's sidecar lies."""
    return model.with_suffix(".json")


def read_sidecar(model: Path) -> Sidecar | None:
    """The sidecar of a model, None where it has none. Raises ModelError where it is broken or of another model."""
    path = sidecar_path(model)
    if not path.is_file():
        return None
    try:
        sidecar = Sidecar.model_validate(json.loads(path.read_text("utf-8")))
    except (ValidationError, json.JSONDecodeError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ModelError(f"{path} is not the sidecar of a model: {said}") from error
    seen = digest(model)
    if seen != sidecar.model_sha256:
        raise ModelError(
            f"{path} belongs to another model: expected sha256 {sidecar.model_sha256}, {model.name} has {seen}"
        )
    return sidecar


def content_digest(model: Path) -> str:
    """sha256 hex over a model file and its sidecar."""
    path = sidecar_path(model)
    parts = [digest(model), *([digest(path)] if path.is_file() else [])]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


@cache
def load_scorer(path: Path, digest: str, positive: str | None = None, chars: int | None = None) -> FasttextScorer:
    """The scorer of a fastText file, once per process for the same content (`digest`) and settings. Raises ModelError."""
    import fasttext

    check_model(path)
    sidecar = read_sidecar(path)
    try:
        model = fasttext.FastText._FastText(model_path=str(path))
    except (ValueError, RuntimeError, MemoryError) as error:
        raise ModelError(f"fastText cannot load {path}: {error}") from error
    labels = tuple(sorted(str(label).removeprefix(PREFIX) for label in model.get_labels()))
    if sidecar is not None and sidecar.labels != labels:
        raise ModelError(
            f"{sidecar_path(path)} has the labels {', '.join(sidecar.labels)}, expected those of {path.name}: {', '.join(labels)}"
        )
    said = positive or (sidecar.positive if sidecar else None)
    if said is not None and said not in labels:
        raise ModelError(f"{path.name} has no label '{said}': expected one of {', '.join(labels)}")
    if said is None and len(labels) == 2:
        raise ModelError(f"{path.name} has two labels and no sidecar: set `positive` to one of {', '.join(labels)}")
    if said is not None and len(labels) != 2:
        raise ModelError(f"{path.name} has {len(labels)} labels: `positive` is for models with two")
    meaning: Meaning = sidecar or Meaning(name=path.stem, positive=said, labels=labels)
    if said != meaning.positive:
        meaning = meaning.model_copy(update={"positive": said, "calibration": None, "thresholds": {}})
    features = sidecar.features if sidecar else PLAIN
    if chars is not None:
        features = features.model_copy(update={"chars": chars})
    return FasttextScorer(model, meaning, features)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model of any kind. `digest`: sha256 (hex) of its content, as a stage identifies it; `size`: bytes of the file."""

    scorer: Scorer
    kind: str
    digest: str
    size: int


def load(path: Path, positive: str | None = None, name: str | None = None) -> Loaded:
    """The scorer of a file, by its first bytes. `name`: what a model that does not say its name is called. Raises ModelError."""
    with path.open("rb") as file:
        linear = file.read(len(linear_model.MAGIC)) == linear_model.MAGIC
    size = path.stat().st_size
    if linear:
        found = digest(path)
        return Loaded(linear_model.load_linear(path, found), "linear", found, size)
    found = content_digest(path)
    scorer = load_scorer(path, found, positive)
    if name is not None and not sidecar_path(path).is_file():
        meaning = scorer.meaning.model_copy(update={"name": name})
        scorer = FasttextScorer(scorer.model, meaning, scorer.features)
    return Loaded(scorer, "fasttext", found, size)
