"""Held-out figures of a classifier: accuracy, F1 and area under the ROC curve, in all and per source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from winnow.classifiers.examples import Example
from winnow.classifiers.scorer import Scorer


@dataclass(frozen=True, slots=True)
class PerSource:
    """Figures of one source's held-out examples of one label. `low`, `median`, `high`: percentiles 5, 50, 95 of the
    score; `hit`: the share that gets its label."""

    source: str
    label: str
    examples: int
    hit: float
    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures over all held-out examples. `f1` is that of the positive label, or macro-averaged when multi-class;
    `auc` is None when multi-class."""

    examples: int
    accuracy: float
    f1: float
    auc: float | None
    f1_by_label: dict[str, float]
    sources: tuple[PerSource, ...]


def f1_score(truth: npt.NDArray[np.bool_], said: npt.NDArray[np.bool_]) -> float:
    """Harmonic mean of precision and recall; 0 when nothing was found."""
    found = int((truth & said).sum())
    return 2 * found / (int(truth.sum()) + int(said.sum())) if found else 0.0


def area_under_curve(truth: npt.NDArray[np.bool_], scores: npt.NDArray[np.float32]) -> float:
    """Probability that a positive scores above a negative, ties counting half (Mann-Whitney U / (P * N))."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def evaluate(scorer: Scorer, held_out: Sequence[Example]) -> Figures:
    """Scores every example as a stage would and compares with its label."""
    truth = np.array([one.label for one in held_out], dtype=object)
    labels, scores = scorer.score([one.text for one in held_out])
    said = np.array(labels, dtype=object)
    by_label = {label: f1_score(truth == label, said == label) for label in scorer.labels}
    sources = []
    for source, label in dict.fromkeys((one.source, one.label) for one in held_out):
        rows = np.array([one.source == source and one.label == label for one in held_out])
        low, median, high = np.percentile(scores[rows], (5, 50, 95))
        hit = float((said[rows] == label).mean())
        sources.append(PerSource(source, label, int(rows.sum()), hit, float(low), float(median), float(high)))
    positive = scorer.positive
    return Figures(
        examples=len(held_out),
        accuracy=float((truth == said).mean()),
        f1=by_label[positive] if positive is not None else float(np.mean(list(by_label.values()))),
        auc=area_under_curve(truth == positive, scores) if positive is not None else None,
        f1_by_label=by_label,
        sources=tuple(sources),
    )
