"""Exact means and standard deviations per group of a column that lies in many parts, in one pass.

A sum of floats depends on the order of its terms, so a mean computed per part and merged changes with the parts. Here
nothing is rounded before the end: x and x^2 are added as whole numbers into 32-bit limbs, as many as the range of
float64 has (Kulisch's long accumulator; Neal 2015, https://arxiv.org/abs/1505.05571). Limbs of parts add up in any
order. At the end n, S = sum x and Q = sum x^2 are exact, and mean = S / n and deviation = sqrt(n Q - S^2) / n (of the
population) are rounded once, correctly, so a column of equal numbers has deviation 0.

A null (NaN, or not `valid`) counts nowhere. An infinity makes its group's mean infinite (NaN with both signs) and its
deviation NaN, as arithmetic has it. Memory: 24 bytes for each limb that is not zero, about 20 a group of scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, isfinite, isqrt, nan
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from winnow.filters.cells import SLACK, SLOT, Cells, Codes, Group, Integers, checked, combined, places, touched

Floats: TypeAlias = npt.NDArray[np.float64]

_FIRST = 3  # after the slots for n, +infinity and -infinity
_SECOND = _FIRST + 67  # 2,098 bits in 66 limbs, and one for the carry
_LIMBS = _SECOND + 134  # 4,196 bits in 132 limbs, and two
_BLOCK = 4096  # groups added up at a time: 6.4 MiB of limbs
_MOST_ROWS = 2**28  # three halves of a word each may fall into one limb before it is carried


@dataclass(frozen=True, slots=True)
class Moment:
    """A group's mean, population standard deviation and number of rows with a key."""

    group: Group
    mean: float
    std: float
    rows: int


@dataclass(frozen=True)
class Moments:
    """Means and standard deviations by group, sorted by group, None first."""

    groups: tuple[Moment, ...]

    @cached_property
    def _index(self) -> dict[Group, int]:
        return {entry.group: place for place, entry in enumerate(self.groups)}

    @cached_property
    def _columns(self) -> dict[str, Floats]:
        means = np.array([*(entry.mean for entry in self.groups), nan], np.float64)
        return {"mean": means, "std": np.array([*(entry.std for entry in self.groups), nan], np.float64)}

    def of_rows(self, kind: str, codes: Codes, names: Sequence[Group]) -> Floats:
        """The "mean" or "std" of each row's group, shape (n,); NaN for a group without rows."""
        if kind not in self._columns:
            raise ValueError(f"no moment is called '{kind}', expected mean or std")
        return self._columns[kind][places(names, self._index)[checked(codes, names, codes.size)]]

    def json(self) -> dict[str, Any]:
        """JSON values; groups are [group, mean, std, rows], what is not finite as "inf", "-inf" or "nan"."""
        return {"groups": [[e.group, _written(e.mean), _written(e.std), e.rows] for e in self.groups]}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `json`."""
        return cls(tuple(Moment(group, float(m), float(d), rows) for group, m, d, rows in values["groups"]))


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Counts, sums and sums of squares by group. They add up in any order; a part counts once."""

    _parts: tuple[Cells, ...]

    @classmethod
    def nothing(cls) -> Self:
        """The sums of no rows."""
        return cls(())

    def __add__(self, other: Self) -> Self:
        parts = self._parts + other._parts
        sizes = [part.cells.size for part in parts]
        if sum(sizes) > 2 * max(sizes, default=0) + SLACK:
            parts = (combined(parts, 1),)
        return replace(self, _parts=parts)

    def moments(self) -> Moments:
        """Mean and standard deviation of every group that has a key."""
        whole = combined(self._parts, 1)
        order = np.argsort(whole.cells)
        group = (whole.cells[order] >> np.uint64(SLOT)).astype(np.int64)
        slot = (whole.cells[order] & np.uint64(2**SLOT - 1)).astype(np.int64)
        edges = np.searchsorted(group, np.arange(len(whole.names) + 1))
        entries = []
        for place, name in enumerate(whole.names):
            rows = slice(edges[place], edges[place + 1])
            entries.append(_moment(name, slot[rows], whole.sums[order[rows], 0]))
        return Moments(tuple(sorted(entries, key=lambda entry: (entry.group is not None, entry.group or ""))))


def sums(
    keys: npt.NDArray[Any], codes: Codes, names: Sequence[Group], *, valid: npt.NDArray[np.bool_] | None = None
) -> Sums:
    """One part's sums, exact; a pure function that any process may run.

    `keys`: integers or floats of at most 64 bits, shape (n,) as all other columns; `codes` are places in `names`;
    `valid` is False where a key is null, besides NaN. Raises ValueError otherwise, for integers from 2^53 on, which
    float64 may not hold, and for more than 2^28 rows.
    """
    from winnow.filters.cells_kernel import accumulate

    if keys.dtype.kind not in "iuf" or keys.dtype.itemsize > 8 or keys.ndim != 1:
        raise ValueError(f"keys are {keys.dtype} of shape {keys.shape}, expected numbers of one dimension")
    if keys.size > _MOST_ROWS:
        raise ValueError(f"a part has {keys.size} rows, expected at most {_MOST_ROWS}")
    if valid is not None and valid.shape != keys.shape:
        raise ValueError(f"valid of shape {valid.shape} for {keys.size} keys")
    group = checked(codes, names, keys.size)
    numbers = keys.astype(np.float64)
    counted = ~np.isnan(numbers) if valid is None else valid & ~np.isnan(numbers)
    if keys.dtype.kind != "f" and keys.dtype.itemsize == 8 and (np.abs(numbers[counted]) >= 2.0**53).any():
        raise ValueError("keys of 2^53 or more may be no exact float64")
    if not counted.all():
        numbers, group = numbers[counted], group[counted]
    few, kept = touched(group, names)
    if len(kept) > _BLOCK:
        order = np.argsort(few, kind="stable")
        few, numbers = few[order], numbers[order]
    cells, counts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for start in range(0, len(kept), _BLOCK):
        size = min(_BLOCK, len(kept) - start)
        rows = slice(None) if len(kept) <= _BLOCK else slice(*np.searchsorted(few, (start, start + size)))
        limbs = np.zeros((size, _LIMBS), np.int64)
        accumulate(numbers[rows].view(np.uint64), few[rows] - start, limbs, _FIRST, _SECOND)
        place, slot = np.nonzero(limbs)
        cells.append((place + start).astype(np.uint64) << np.uint64(SLOT) | slot.astype(np.uint64))
        counts.append(limbs[place, slot])
    return Sums((Cells(kept, np.concatenate(cells), np.concatenate(counts).reshape(-1, 1)),))


def _moment(group: Group, slots: Integers, values: Integers) -> Moment:
    counts = [0] * _FIRST
    first = second = 0
    for slot, value in zip(slots.tolist(), values.tolist(), strict=True):
        if slot < _FIRST:
            counts[slot] = value
        elif slot < _SECOND:
            first += value << 32 * (slot - _FIRST)
        else:
            second += value << 32 * (slot - _SECOND)
    rows, above, below = counts
    if above or below:
        return Moment(group, nan if above and below else inf if above else -inf, nan, rows)
    mean = first / (rows << 1074)  # integers divide to the nearest float
    return Moment(group, mean, _root(rows * second - first * first, rows * rows << 2148), rows)


def _root(above: int, below: int) -> float:
    """sqrt(above / below), rounded once."""
    # 64 bits of root and one that says whether anything was cut off: more than a float's 53, so no tie is mistaken
    shift = max(0, 66 + (below.bit_length() - above.bit_length()) // 2)
    scaled, rest = divmod(above << 2 * shift, below)
    root = isqrt(scaled)
    return (root << 1 | (rest > 0 or root * root != scaled)) / (1 << shift + 1)


def _written(value: float) -> float | str:
    return value if isfinite(value) else str(value)
