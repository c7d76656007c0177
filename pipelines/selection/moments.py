"""Exact means and standard deviations per group of a column that lies in many parts, in one pass.

A sum of floats depends on the order of its terms, so a mean computed per part and merged changes with the parts. Here
nothing is rounded before the end: a float is a whole number m below 2^53 times a power of two, so among the floats of one
exponent m and m^2 add up as integers (`winnow.pipelines.selection.grouped_counts`), in digits of 27 bits that 2^34 rows
do not overflow. At the end n, S = sum x and Q = sum x^2 are exact, and mean = S / n and deviation = sqrt(n Q - S^2) / n
(of the population) are rounded once, correctly, so a column of equal numbers has deviation 0.

A null (NaN, or not `valid`) counts nowhere. An infinity makes its group's mean infinite (NaN with both signs) and its
deviation NaN, as arithmetic has it. Memory: 64 bytes for each exponent that a group has, about 20 for scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isqrt, nan
from typing import Any

import numpy as np
import numpy.typing as npt

from winnow.pipelines.selection.grouped_counts import Cells, Codes, Group, Integers, Totals, tallied
from winnow.pipelines.selection.statistic_result import Moment, StatisticResult

_DIGIT = 27
_LOW = np.int64(2**_DIGIT - 1)
_ABOVE, _BELOW = 0x7FF, 0x800  # the slots that count infinities: float64's exponent for them, and one more
_COLUMNS = 7  # rows, two digits of m, four of m^2


class MomentSearch:
    """One pass over the parts, led as those of `winnow.pipelines.selection.ranks` are. State: the sums so far."""

    state = None

    def __init__(self, kind: str) -> None:
        self._kind = kind  # mean or std
        self._totals = Totals(_COLUMNS)
        self.done = False

    def add(self, part: Cells) -> None:
        """Adds one part's `sums`; the order does not matter, and a part counts once."""
        self._totals.add(part)

    def advance(self) -> None:
        """Ends the pass."""
        self.done = True

    def result(self) -> StatisticResult:
        """Mean and standard deviation of every group that has a key."""
        whole = self._totals.sum()
        order = np.argsort(whole.places)
        edges = np.searchsorted(whole.places[order], np.arange(1, len(whole.names)))
        rows = np.split(order, edges)
        entries = [
            _moment(name, whole.slots[some], whole.sums[:, some]) for name, some in zip(whole.names, rows, strict=False)
        ]
        return StatisticResult.of(self._kind, entries)


def sums(
    keys: npt.NDArray[Any], codes: Codes, names: Sequence[Group], *, valid: npt.NDArray[np.bool_] | None = None
) -> Cells:
    """One part's sums by group and exponent, exact; a pure function that any process may run.

    `keys`: integers or floats of at most 64 bits, shape (n,) as all other columns; `codes` are places in `names`;
    `valid` is False where a key is null, besides NaN. Raises ValueError for integers from 2^53 on, which float64 may not
    hold.
    """
    numbers = keys.astype(np.float64)
    counted = ~np.isnan(numbers) if valid is None else valid & ~np.isnan(numbers)
    if keys.dtype.kind != "f" and keys.dtype.itemsize == 8 and (np.abs(numbers[counted]) >= 2.0**53).any():
        raise ValueError("keys of 2^53 or more may be no exact float64")
    bits = numbers[counted].view(np.int64)
    negative = bits < 0
    exponent = bits >> 52 & 0x7FF
    whole = bits & (2**52 - 1) | (exponent > 0).astype(np.int64) << 52
    whole[exponent == _ABOVE] = 0
    high, low = whole >> _DIGIT, whole & _LOW
    cross, high_square, low_square = 2 * high * low, high * high, low * low
    sign = 1 - 2 * negative.astype(np.int64)
    columns = (
        np.ones(bits.size, np.int64),
        *(sign * low, sign * high),
        *(low_square & _LOW, (low_square >> _DIGIT) + (cross & _LOW)),
        *((cross >> _DIGIT) + (high_square & _LOW), high_square >> _DIGIT),
    )
    return tallied(codes[counted], names, exponent + ((exponent == _ABOVE) & negative), *columns)


def _moment(group: Group, slots: Integers, sums: Integers) -> Moment:
    """`slots`: exponents e, of which each unit of the sum is 2^(max(e, 1) - 1075), and that of the squares its square."""
    rows = first = second = 0
    infinite = set()
    for slot, (count, *digits) in zip(slots.tolist(), sums.T.tolist(), strict=True):
        rows += count
        if slot in (_ABOVE, _BELOW):
            infinite.add(slot)
            continue
        shift = max(slot, 1) - 1
        first += sum(digit << _DIGIT * place for place, digit in enumerate(digits[:2])) << shift
        second += sum(digit << _DIGIT * place for place, digit in enumerate(digits[2:])) << 2 * shift
    if infinite:
        return Moment(group, nan if len(infinite) == 2 else inf if _ABOVE in infinite else -inf, nan, rows)
    mean = first / (rows << 1074)  # integers divide to the nearest float
    return Moment(group, mean, _root(rows * second - first * first, rows * rows << 2148), rows)


def _root(above: int, below: int) -> float:
    """sqrt(above / below), rounded once."""
    # 64 bits of root and one that says whether anything was cut off: more than a float's 53, so no tie is mistaken
    shift = max(0, 66 + (below.bit_length() - above.bit_length()) // 2)
    scaled, rest = divmod(above << 2 * shift, below)
    root = isqrt(scaled)
    return (root << 1 | (rest > 0 or root * root != scaled)) / (1 << shift + 1)
