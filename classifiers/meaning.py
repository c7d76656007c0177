"""What a classifier's numbers mean: its labels and language, how a raw probability becomes one to be believed, and the
thresholds that were chosen for it. It travels with the model: in a fastText model's sidecar, in a linear model's header.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

Doubles = npt.NDArray[np.float64]

EDGE = 1e-7
"""Probabilities are taken no nearer to 0 and 1 where their logarithm is needed."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class Calibration(_Part):
    """How a document's raw probability becomes a calibrated one, fitted on texts held out from the fit.

    `isotonic`: `y` at each of `x` (ascending log odds), linear between, so that it stays graded; `platt`:
    sigmoid(x[0] * log odds + y[0]) (Platt 1999); `temperature`, for more than two labels: softmax(log p / x[0])
    (Guo et al. 2017). None changes the order of documents, nor, with more than two labels, the label.
    """

    kind: Literal["isotonic", "platt", "temperature"]
    x: tuple[float, ...] = Field(min_length=1)
    y: tuple[float, ...] = ()
    examples: int = 0

    @model_validator(mode="after")
    def _sound(self) -> Calibration:
        if self.kind == "temperature":
            ok = len(self.x) == 1 and self.x[0] > 0
        elif self.kind == "platt":
            ok = len(self.x) == len(self.y) == 1 and self.x[0] > 0
        else:
            ok = len(self.x) == len(self.y) and list(self.x) == sorted(self.x) and list(self.y) == sorted(self.y)
            ok = ok and all(0 <= value <= 1 for value in self.y)
        if not ok:
            raise ValueError(f"a calibration of kind {self.kind} does not have such numbers")
        return self

    def of_positive(self, raw: Doubles) -> Doubles:
        """Calibrated probabilities of the positive label, [documents]."""
        odds = log_odds(raw)
        if self.kind == "platt":
            return sigmoid(self.x[0] * odds + self.y[0])
        return np.interp(odds, self.x, self.y)

    def of_all(self, raw: Doubles) -> Doubles:
        """Calibrated probabilities of every label, [documents, labels]."""
        scaled = np.log(np.maximum(raw, EDGE)) / self.x[0]
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


class Threshold(_Part):
    """A score chosen on held-out texts by a declared rule. `keep`: whether documents at or above it are kept, or those below.
    `precision`, `recall`: of the documents at or above it, measured where it was chosen; `share`: how many of those are kept."""

    at: float = Field(ge=0, le=1)
    rule: str
    keep: Literal["above", "below"] = "above"
    precision: float
    recall: float
    share: float
    examples: int

    @property
    def clause(self) -> str:
        """The SQL condition on a stage's own signals."""
        return f"score {'>=' if self.keep == 'above' else '<'} {self.at:.6g}"


class Meaning(_Part):
    """`positive`: the label whose probability is the score, None with more than two labels, where it is the likeliest one's.
    `language`: ISO 639 code of the texts that it was fitted on, None where none is said."""

    name: str
    positive: str | None = None
    labels: tuple[str, ...]
    language: str | None = None
    licence: str = ""
    calibration: Calibration | None = None
    thresholds: dict[str, Threshold] = {}

    @model_validator(mode="after")
    def _agrees(self) -> Meaning:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels {', '.join(self.labels)}: expected two or more different ones")
        if (self.positive is None) == (len(self.labels) == 2) or (self.positive and self.positive not in self.labels):
            raise ValueError(f"positive label {self.positive!r} does not go with the labels {', '.join(self.labels)}")
        if self.calibration and (self.calibration.kind == "temperature") != (self.positive is None):
            raise ValueError(
                f"a calibration of kind {self.calibration.kind} does not go with {len(self.labels)} labels"
            )
        return self


@dataclass(frozen=True, slots=True)
class Predictions:
    """`labels` int32 [documents]: the label's place among the model's, -1 for a text without a word. `scores` float32
    [documents]. `probabilities` float32 [documents, labels], None where they were not asked for."""

    names: tuple[str, ...]
    labels: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32] | None

    def said(self) -> list[str | None]:
        """The labels by name."""
        return [self.names[place] if place >= 0 else None for place in self.labels.tolist()]


def predictions(meaning: Meaning, raw: Doubles, seen: npt.NDArray[np.bool_]) -> Predictions:
    """From raw probabilities, [documents, labels], or [documents] of the positive label: calibrated where the model is."""
    names, calibration = meaning.labels, meaning.calibration
    if meaning.positive is not None:
        scores = np.where(seen, calibration.of_positive(raw) if calibration else raw, 0.0).astype(np.float32)
        place = names.index(meaning.positive)
        every = np.stack([scores if n == place else np.where(seen, 1 - scores, 0) for n in (0, 1)], axis=1)
        labels = np.where(scores >= 0.5, place, 1 - place)
    else:
        every = np.where(seen[:, None], calibration.of_all(raw) if calibration else raw, 0.0).astype(np.float32)
        labels = raw.argmax(axis=1)
        scores = np.asarray(every.max(axis=1))
    return Predictions(names, np.where(seen, labels, -1).astype(np.int32), scores, every)


def log_odds(p: Doubles) -> Doubles:
    """log(p / (1 - p)), bounded."""
    clipped = np.clip(p, EDGE, 1 - EDGE)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def sigmoid(z: Doubles) -> Doubles:
    """1 / (1 + exp(-z))."""
    return np.asarray(1.0 / (1.0 + np.exp(-z)))
