"""How good predictions are: shares, areas, calibration, and intervals over groups. Arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

BINS = 10
RESAMPLES = 200
"""Draws of groups, from which the middle 95% is given."""


def f1_score(truth: Flags, said: Flags) -> float:
    """Harmonic mean of precision and recall; 0 when nothing was found."""
    found = int((truth & said).sum())
    return 2 * found / (int(truth.sum()) + int(said.sum())) if found else 0.0


def area_under_curve(truth: Flags, scores: npt.NDArray[np.floating]) -> float:
    """Probability that a positive scores above a negative, ties counting half (Mann-Whitney U / (P * N)); nan without one of
    either."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(truth: Flags, scores: npt.NDArray[np.floating]) -> float:
    """Area under precision by recall, as steps: the mean over positives of the precision among all that score as high; nan
    without a positive."""
    if not truth.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    precision = hits[last] / (last + 1)
    gained = np.diff(np.concatenate([[0], hits[last]]))
    return float((precision * gained).sum() / truth.sum())


def reliability(truth: Flags, scores: npt.NDArray[np.floating]) -> list[tuple[float, float, int]]:
    """Of each tenth of the scale: mean score, share that is true, texts; tenths without a text are left out."""
    bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    return [
        (float(scores[rows].mean()), float(truth[rows].mean()), int(rows.sum()))
        for rows in (bins == n for n in range(BINS))
        if rows.any()
    ]


def calibration_error(truth: Flags, scores: npt.NDArray[np.floating]) -> float:
    """Expected calibration error: |mean score - share that is true| over the tenths, by their texts (Guo et al. 2017)."""
    table = reliability(truth, scores)
    return sum(abs(said - true) * n for said, true, n in table) / max(sum(n for *_, n in table), 1)


def resampled(
    groups: Sequence[str], measure: Callable[[Places], Sequence[float]], seed: int = 0
) -> list[tuple[float, float]]:
    """The middle 95% of each figure over RESAMPLES draws of as many groups, with replacement (bootstrap). `measure` takes
    rows."""
    _, places = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)
    order = np.argsort(places, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(places))])
    dice = np.random.Generator(np.random.PCG64(seed))
    rows_of = [order[low:high] for low, high in pairwise(bounds)]
    figures = []
    for _ in range(RESAMPLES):
        drawn = dice.integers(0, len(rows_of), len(rows_of))
        figures.append(measure(np.concatenate([rows_of[n] for n in drawn])))
    found = np.nanquantile(np.array(figures, np.float64), (0.025, 0.975), axis=0)
    return [(float(low), float(high)) for low, high in found.T]
