"""Counts of float32 values in bins that fit any scale: the upper 16 bits of each, ordered as the numbers are.

A float32 with its bits turned so that they sort as the numbers do (sign flipped, negatives inverted) is cut to its
upper 16 bits: sign, exponent and 7 bits of mantissa. A bin is then 1/128 of its value wide or less, whatever the
scale, and numbers of up to 8 significant bits (0, 0.5, every integer to 256) are the lower edge of a bin of their own.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import numpy as np
import numpy.typing as npt

from winnow.filters.kernel import READ_ONLY, Ints, ReadBytes, kernel

BINS = 1 << 16

ReadWords: TypeAlias = Annotated[npt.NDArray[np.uint32], READ_ONLY]


def count_values(
    values: npt.NDArray[np.float32], seen: npt.NDArray[np.bool_], kept: npt.NDArray[np.bool_], counts: Ints
) -> int:
    """Adds the values of rows that are `seen` to `counts`, of shape (2 * BINS,): of a bin first those of rows that are not
    kept, then those of rows that are. Returns how many of them are NaN, which are in no bin."""
    return _count(values.view(np.uint32), seen.view(np.uint8), kept.view(np.uint8), counts)


def lower_edges(bins: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """The least value of each bin."""
    codes = bins.astype(np.uint32) << 16
    bits = np.where(codes >> 31, codes & np.uint32(0x7FFFFFFF), ~codes).astype(np.uint32)
    return bits.view(np.float32).astype(np.float64)


@kernel
def _count(bits: ReadWords, seen: ReadBytes, kept: ReadBytes, counts: Ints) -> int:
    missing = 0
    for row in range(bits.size):
        if seen[row]:
            code = int(bits[row])
            if code & 0x7FFFFFFF > 0x7F800000:
                missing += 1
                continue
            if code == 0x80000000:  # -0 is the same value as 0
                code = 0
            code = 0xFFFFFFFF - code if code & 0x80000000 else code | 0x80000000
            counts[2 * (code >> 16) + kept[row]] += 1
    return missing
