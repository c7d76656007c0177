"""A fitted fastText classifier: loaded once per process, checked before fastText sees it, scored in batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from winnow.classifiers.artifacts import ModelError, digest
from winnow.classifiers.fasttext_file import check_model
from winnow.classifiers.features import PLAIN, Features, top_count, windows

PREFIX = "__label__"
LINES = 4096


class Sidecar(BaseModel):
    """`<model>.json` beside `<model>.ftz`: what a score means and how text is prepared."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    positive: str | None = None
    labels: tuple[str, ...]
    features: Features
    licence: str
    model_sha256: str


@dataclass(frozen=True, slots=True)
class Scorer:
    """A loaded model. `positive` is None for a multi-class model."""

    model: Any
    labels: tuple[str, ...]
    positive: str | None
    features: Features

    def score(self, texts: Sequence[str]) -> tuple[list[str | None], npt.NDArray[np.float32]]:
        """Per text: the likeliest label, and the probability of `positive` (of that label when multi-class).
        A text without a word has no label and scores 0."""
        lines: list[str] = []
        counts: list[int] = []
        for text in texts:
            cut = windows(text, self.features)
            counts.append(len(cut))
            lines += cut
        labels: list[str | None] = [None] * len(texts)
        scores = np.zeros(len(texts), np.float32)
        if self.positive is None:
            self._likeliest(lines, counts, labels, scores)
        else:
            self._positive(lines, counts, labels, scores)
        return labels, scores

    def _positive(
        self, lines: list[str], counts: list[int], labels: list[str | None], scores: npt.NDArray[np.float32]
    ) -> None:
        negative = next(label for label in self.labels if label != self.positive)
        found = np.empty(len(lines))
        for index, (names, values) in enumerate(self._predict(lines, 1)):
            value = min(float(values[0]), 1.0) if len(values) else 0.0
            found[index] = value if names and names[0] == PREFIX + str(self.positive) else 1.0 - value
        start = 0
        for row, count in enumerate(counts):
            if count:
                part = np.sort(found[start : start + count])[::-1]
                scores[row] = part[: top_count(count, self.features.top)].mean()
                labels[row] = self.positive if scores[row] >= 0.5 else negative
            start += count

    def _likeliest(
        self, lines: list[str], counts: list[int], labels: list[str | None], scores: npt.NDArray[np.float32]
    ) -> None:
        order = {PREFIX + label: column for column, label in enumerate(self.labels)}
        rows: list[list[float]] = []
        for names, values in self._predict(lines, -1 if self.features.window else 1):
            shares = [0.0] * len(self.labels)
            for name, value in zip(names, values.tolist(), strict=True):
                shares[order[name]] = min(value, 1.0)
            rows.append(shares)
        found = np.array(rows).reshape(len(lines), len(self.labels))
        start = 0
        for row, count in enumerate(counts):
            if count:
                mean = found[start : start + count].mean(axis=0)
                best = int(mean.argmax())
                labels[row], scores[row] = self.labels[best], mean[best]
            start += count

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
        raise ModelError(f"{path} is not the sidecar of a model: {str(error).splitlines()[0]}") from error
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
def load_scorer(path: Path, digest: str, positive: str | None = None, chars: int | None = None) -> Scorer:
    """The scorer of a model file, once per process for the same content (`digest`) and settings. Raises ModelError."""
    import fasttext

    check_model(path)
    sidecar = read_sidecar(path)
    try:
        model = fasttext.FastText._FastText(model_path=str(path))
    except (ValueError, RuntimeError, MemoryError) as error:
        raise ModelError(f"fastText cannot load {path}: {error}") from error
    labels = tuple(sorted(str(label).removeprefix(PREFIX) for label in model.get_labels()))
    positive = positive or (sidecar.positive if sidecar else None)
    if positive is not None and positive not in labels:
        raise ModelError(f"{path.name} has no label '{positive}': expected one of {', '.join(labels)}")
    if positive is None and len(labels) == 2:
        raise ModelError(f"{path.name} has two labels and no sidecar: set `positive` to one of {', '.join(labels)}")
    if positive is not None and len(labels) != 2:
        raise ModelError(f"{path.name} has {len(labels)} labels: `positive` is for models with two")
    features = sidecar.features if sidecar else PLAIN
    if chars is not None:
        features = features.model_copy(update={"chars": chars})
    return Scorer(model, labels, positive, features)
