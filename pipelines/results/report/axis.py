"""The horizontal axis of a histogram: which range, linear or logarithmic, which bins; and where a value lies on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from winnow.pipelines.results.report.figures import Signal
from winnow.pipelines.results.report.sketch import Floats

BINS = 48
WIDE_RANGE = 200
"""Signals that reach beyond this get a logarithmic axis: counts of words, characters and tokens do."""


@dataclass(frozen=True, slots=True)
class Axis:
    """`edges` of the bins, ascending, from `low` to `high`. `scale`: linear, or symlog (log of 1 + value)."""

    scale: str
    low: float
    high: float
    edges: Floats
    ticks: list[float] | None
    bounds: tuple[tuple[str, str, float], ...]

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


def axis_of(signal: Signal) -> Axis:
    """An axis that shows nearly all values (what lies beyond its ends counts in the outermost bins) and the thresholds
    that are not far beyond them. The signal must have a value."""
    values, numbers = signal.histogram, [number for _, _, number in signal.bounds]
    least, most = float(values.at[0]), float(values.at[-1])
    top = values.quantile(0.999)
    top = most if most <= 1.5 * abs(top) or top <= least else top
    narrow = signal.integer and most - least < BINS  # such as years: far from zero, near each other
    if least >= 0 and top > WIDE_RANGE and not narrow:
        return _logarithmic(signal, least, max([top, *(n * 1.3 for n in numbers if n < 20 * top)]))
    low, high = (0.0 if least >= 0 and least < 0.6 * top else least), most if narrow else top
    high = max([high, *(1.2 * n for n in numbers if 0 < n <= 6 * high or high <= 0)])
    low = min([low, *(n - 0.05 * (high - n) for n in numbers if n < high)])
    low = max(low, 0.0) if least >= 0 else low
    if not signal.integer and least >= 0 and most <= 1.01 and high > 0.4:
        high = 1.0
    if signal.integer and high - low < BINS:
        edges = np.arange(np.floor(low), np.ceil(high) + 2) - 0.5
        return Axis("linear", float(edges[0]), float(edges[-1]), edges, _integers(edges), signal.bounds)
    if high <= low:
        high = low + (abs(low) or 1.0)
    edges = np.linspace(low, high, BINS + 1)
    return Axis("linear", low, high, edges, None, signal.bounds)


def _integers(edges: Floats) -> list[float]:
    every = max(1, (len(edges) - 1) // 8)
    return [float(e + 0.5) for e in edges[:-1:every]]


def _logarithmic(signal: Signal, least: float, high: float) -> Axis:
    low = min([least, *(0.8 * n for _, _, n in signal.bounds if n > 0)])
    low = 0.0 if low < 10 else low
    high = max(high, 1.01 * low + 1)
    edges = np.expm1(np.linspace(np.log1p(low), np.log1p(high), BINS + 1))
    if signal.integer:
        edges = np.unique(np.ceil(edges))
    ticks: Sequence[float] = [0.0] if low == 0 else []
    ticks = [*ticks, *(t for p in range(12) for m in (1, 3) if low <= (t := m * 10.0**p) <= high)]
    ticks = [t for t in ticks if t != 3 or high < 300]
    if len(ticks) > 7:
        ticks = [t for t in ticks if str(t)[0] in "01"]
    return Axis("symlog", float(edges[0]), float(edges[-1]), edges, list(ticks), signal.bounds)
