"""A histogram that knows no range beforehand: one pass, bounded memory, the same however its rows are cut.

A float32 with its bits turned so that they sort as the numbers do (sign flipped, negatives inverted) is cut to its
upper 16 bits: sign, exponent and 7 bits of mantissa. A bin is then 1/128 of its value wide or less, whatever the
scale, and numbers of up to 8 significant bits (0, 0.5, every integer to 256) are the lower edge of a bin of their own.
The bins a chart shows are put together from these afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BINS = 1 << 16
HELD = 1 << 18
"""Values that a sketch gathers before it counts them, so that a small partition does not cost a pass over the bins."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """What a sketch counted. `at`: lower edge of each occupied bin, ascending; `seen` and `kept`: rows in it."""

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


class Sketch:
    """Counts values, those of kept rows apart. State: counts per bin, and values gathered but not yet counted."""

    def __init__(self) -> None:
        self.counts = np.zeros(2 * BINS, np.int64)
        self.missing = 0
        self.gathered: list[npt.NDArray[np.uint32]] = []
        self.held = 0

    def add(self, values: npt.NDArray[Any], kept: npt.NDArray[np.bool_]) -> None:
        """Count values (float32, NaN for none) and whether each one's row is kept; both of shape (n,)."""
        known = ~np.isnan(values)
        if not known.all():
            self.missing += len(values) - int(known.sum())
            values, kept = values[known], kept[known]
        if not len(values):
            return
        bits = (values + np.float32(0)).view(np.uint32)  # adding 0 makes -0 the same value as 0
        codes = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)) >> 15 & ~np.uint32(1)
        codes |= kept
        self.gathered.append(codes.astype(np.uint32, copy=False))
        self.held += len(codes)
        if self.held >= HELD:
            self._count()

    def histogram(self) -> Histogram:
        """What was counted so far."""
        self._count()
        pairs = self.counts.reshape(BINS, 2)
        used = np.flatnonzero(pairs.any(axis=1))
        return Histogram(_lower(used), pairs[used].sum(axis=1), pairs[used, 1].copy(), self.missing)

    def _count(self) -> None:
        if self.gathered:
            self.counts += np.bincount(np.concatenate(self.gathered), minlength=2 * BINS)
            self.gathered, self.held = [], 0


def _lower(bins: npt.NDArray[np.integer[Any]]) -> Floats:
    """The least value of each bin."""
    codes = bins.astype(np.uint32) << 16
    bits = np.where(codes >> 31, codes & np.uint32(0x7FFFFFFF), ~codes).astype(np.uint32)
    return bits.view(np.float32).astype(np.float64)
