"""Thresholds and quantiles: where a threshold lies among values, and the value that lies at the same place among others.

A *side* says which values a clause keeps: `most`, those up to the threshold (`<=`), or `least`, those from it (`>=`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Side = Literal["least", "most"]

EDGE = 0.01
"""A threshold nearer than this to an end of a distribution is matched by ratio, not by quantile."""


@dataclass(frozen=True, slots=True)
class Match:
    """A threshold among new values. `quantile`: of the old threshold among the old values, 0 to 1. `beyond`: it lies
    outside their middle 98%, where a quantile is a matter of few values, and is scaled by the ratio of the two
    distributions' quantiles there."""

    threshold: float
    quantile: float
    beyond: bool


def dropped(values: Values, side: Side, threshold: float) -> float:
    """Share of the values that the clause drops; 0 for no values."""
    if not len(values):
        return 0.0
    return float(np.mean(values > threshold if side == "most" else values < threshold))


def tail(values: Values, side: Side, share: float) -> float:
    """The tightest value among `values` that drops at most `share` of them."""
    ordered = np.sort(values) if side == "most" else -np.sort(-values)
    # In whole values, not in shares: 1 - share is no exact number.
    beyond = math.floor(share * len(ordered) + 1e-9)
    return float(ordered[max(len(ordered) - 1 - beyond, 0)])


def constant(values: Values) -> bool:
    """Whether there is but one value, so that no threshold can be found in it."""
    return not len(values) or bool(values.min() == values.max())


def matched(old: Values, new: Values, threshold: float) -> Match | None:
    """The value of `new` at the quantile that `threshold` has in `old`; None where either has one value only, or where
    the ratio of their 1% or 99% quantiles is needed and is none (0 / 0).

    Distributions are read as straight lines between the mid-ranks of distinct values, so that the result grows with
    `threshold`, without steps.
    """
    if constant(old) or constant(new):
        return None
    olds, old_ranks = _ranks(old)
    news, new_ranks = _ranks(new)
    # Where many texts share the outermost value, its middle rank is the last quantile there is.
    low, high = max(EDGE, old_ranks[0]), min(1 - EDGE, old_ranks[-1])
    low_value, high_value = np.interp([low, high], old_ranks, olds)
    if low_value <= threshold <= high_value:
        quantile = float(np.interp(threshold, olds, old_ranks))
        return Match(float(np.interp(quantile, new_ranks, news)), quantile, False)
    edge, old_edge = (low, low_value) if threshold < low_value else (high, high_value)
    new_edge = float(np.interp(edge, new_ranks, news))
    if old_edge <= 0 or new_edge <= 0:
        return None
    outside = threshold < olds[0] or threshold > olds[-1]
    quantile = float(threshold > olds[-1]) if outside else float(np.interp(threshold, olds, old_ranks))
    return Match(float(threshold * new_edge / old_edge), quantile, True)


def _ranks(values: Values) -> tuple[Values, Values]:
    """Distinct values, ascending, and the middle of the ranks that each takes, 0 to 1."""
    distinct, counts = np.unique(values, return_counts=True)
    upto = np.cumsum(counts)
    return distinct, (upto - counts / 2) / len(values)


def rounded(threshold: float, side: Side, whole: bool) -> float:
    """To two significant digits, to no more than three decimals, or none of a whole number, on the looser side."""
    digits = 0 if threshold == 0 else math.floor(math.log10(abs(threshold))) - 1
    step: float = 10.0 ** max(digits, 0 if whole else -3)
    # The nearest step first: 0.29 / 0.01 is 28.999999999999996, and what is round already must stay.
    nearest = float(f"{round(threshold / step) * step:.3f}")
    if math.isclose(nearest, threshold, rel_tol=1e-12) or (nearest > threshold) == (side == "most"):
        return nearest
    turn = math.ceil if side == "most" else math.floor
    return float(f"{turn(threshold / step) * step:.3f}")
