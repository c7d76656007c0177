"""A histogram that knows no range beforehand: one pass, bounded memory, the same however its rows are cut.

Values are counted in bins that fit any scale (`filters/value_bins.py`). Those that a chart shows are put together from these
afterwards: on the axis that suits them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from winnow.filters.value_bins import BINS, count_values, lower_edges

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

Flags = npt.NDArray[np.bool_]

SHOWN_BINS = 48
WIDE_RANGE = 200
"""Signals that reach beyond this get a logarithmic axis: counts of words, characters and tokens do."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """What was counted. `at`: lower edge of each occupied bin, ascending; `seen` and `kept`: rows in it."""

    at: Floats
    seen: Ints
    kept: Ints
    missing: int  # rows without a value (null or NaN)

    @property
    def rows(self) -> int:
        """Rows with a value."""
        return int(self.seen.sum())

    def quantile(self, share: float) -> float:
        """The lower edge of the bin below which at least `share` of the rows lie; needs a row."""
        total = np.cumsum(self.seen)
        return float(self.at[min(int(np.searchsorted(total, share * total[-1])), len(self.at) - 1)])

    def rebinned(self, edges: Floats) -> tuple[Ints, Ints]:
        """Rows seen and kept between consecutive edges; what lies beyond either end counts in the bin at that end."""
        index = np.clip(np.searchsorted(edges, self.at, side="right") - 1, 0, len(edges) - 2)
        bins = len(edges) - 1
        seen = np.bincount(index, weights=self.seen, minlength=bins)
        kept = np.bincount(index, weights=self.kept, minlength=bins)
        return seen.astype(np.int64), kept.astype(np.int64)


class Counter:
    """Counts values, those of kept rows apart. State: counts per bin, and rows without a value."""

    def __init__(self) -> None:
        self.counts = np.zeros(2 * BINS, np.int64)
        self.missing = 0

    def add(self, values: npt.NDArray[np.float32], seen: Flags, kept: Flags) -> None:
        """Count the values (NaN for none) of rows that are seen, and whether each is kept; all of shape (n,)."""
        self.missing += count_values(values, seen, kept, self.counts)

    def histogram(self) -> Histogram:
        """What was counted so far."""
        pairs = self.counts.reshape(BINS, 2)
        used = np.flatnonzero(pairs.any(axis=1))
        return Histogram(lower_edges(used), pairs[used].sum(axis=1), pairs[used, 1].copy(), self.missing)


Bounds = tuple[tuple[str, str, float], ...]
"""The thresholds on a signal: clause, operator, number."""


@dataclass(frozen=True, slots=True)
class Axis:
    """`edges` of the bins, ascending, from `low` to `high`. `scale`: linear, or symlog (log of 1 + value)."""

    scale: str
    low: float
    high: float
    edges: Floats
    ticks: list[float] | None
    bounds: Bounds

    @property
    def refused(self) -> list[tuple[float, float]]:
        """The stretches of the axis that a threshold refuses."""
        out = []
        for _, operator, number in self.bounds:
            low, high = (self.low, number) if operator[0] == ">" else (number, self.high)
            low, high = max(low, self.low), min(high, self.high)
            if low < high:
                out.append((low, high))
        return out

    @property
    def beyond(self) -> list[tuple[str, str, float]]:
        """Thresholds that lie outside the axis."""
        return [bound for bound in self.bounds if not self.low <= bound[2] <= self.high]

    def position(self, values: Floats) -> Floats:
        """Where values lie, 0 at the left end and 1 at the right; outside values at the ends."""
        inside = np.clip(values, self.low, self.high)
        if self.scale == "symlog":
            span = np.log1p(self.high) - np.log1p(self.low)
            return np.asarray((np.log1p(inside) - np.log1p(self.low)) / span)
        return np.asarray((inside - self.low) / (self.high - self.low))


def axis_of(values: Histogram, integer: bool, bounds: Bounds) -> Axis:
    """An axis that shows nearly all values (what lies beyond its ends counts in the outermost bins) and the thresholds
    that are not far beyond them. There must be a value. `integer`: whether they all are."""
    numbers = [number for _, _, number in bounds]
    least, most = float(values.at[0]), float(values.at[-1])
    top = values.quantile(0.999)
    top = most if most <= 1.5 * abs(top) or top <= least else top
    narrow = integer and most - least < SHOWN_BINS  # such as years: far from zero, near each other
    if least >= 0 and top > WIDE_RANGE and not narrow:
        return _logarithmic(integer, bounds, least, max([top, *(n * 1.3 for n in numbers if n < 20 * top)]))
    low, high = (0.0 if least >= 0 and least < 0.6 * top else least), most if narrow else top
    high = max([high, *(1.2 * n for n in numbers if 0 < n <= 6 * high or high <= 0)])
    low = min([low, *(n - 0.05 * (high - n) for n in numbers if n < high)])
    low = max(low, 0.0) if least >= 0 else low
    if not integer and least >= 0 and most <= 1.01 and high > 0.4:
        high = 1.0
    if integer and high - low < SHOWN_BINS:
        edges = np.arange(np.floor(low), np.ceil(high) + 2) - 0.5
        return Axis("linear", float(edges[0]), float(edges[-1]), edges, _integers(edges), bounds)
    edges = np.linspace(low, high, SHOWN_BINS + 1)
    if not (np.diff(edges) > 0).all():  # all values are one, or nearly so
        high = low + (abs(low) or 1.0)
        edges = np.linspace(low, high, SHOWN_BINS + 1)
    return Axis("linear", low, high, edges, None, bounds)


def _integers(edges: Floats) -> list[float]:
    every = max(1, (len(edges) - 1) // 8)
    return [float(e + 0.5) for e in edges[:-1:every]]


def _logarithmic(integer: bool, bounds: Bounds, least: float, high: float) -> Axis:
    low = min([least, *(0.8 * n for _, _, n in bounds if n > 0)])
    low = 0.0 if low < 10 else low
    high = max(high, 1.01 * low + 1)
    edges = np.expm1(np.linspace(np.log1p(low), np.log1p(high), SHOWN_BINS + 1))
    if integer:
        edges = np.unique(np.ceil(edges))
    ticks: Sequence[float] = [0.0] if low == 0 else []
    ticks = [*ticks, *(t for p in range(12) for m in (1, 3) if low <= (t := m * 10.0**p) <= high)]
    ticks = [t for t in ticks if t != 3 or high < 300]
    if len(ticks) > 7:
        ticks = [t for t in ticks if str(t)[0] in "01"]
    return Axis("symlog", float(edges[0]), float(edges[-1]), edges, list(ticks), bounds)
