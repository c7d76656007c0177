"""Exact order statistics of a column that lies in many parts, in bounded memory and whatever the parts are.

Radix selection: a key is read as bits whose unsigned order is the keys' order, in digits of 16 bits from the top. In a
pass each part is counted by (group, next digit) where its rows lie; the counts of all parts add up
(`winnow.pipelines.selection.grouped_counts`); the running count says at which digit of its group the sought row lies; the
next pass looks at the rows with that digit alone. Nothing is sampled or interpolated, so the row found is the row that
sorting the whole column would find. The caller owns the passes, because it owns the files:

    search = Quantiles(0.3, "float32")
    while not search.done:
        for part in parts:                                   # in any process: the state can be pickled
            search.add(histogram(search.state, part.keys, part.codes, part.names))
        search.advance()
    thresholds = search.result()

Both searches ask for the same thing, the first row in some order at which a running sum exceeds what is allowed:
a quantile sums documents in ascending order, the top of a weight budget sums weights in descending order. There rows
with equal keys go by ascending hash of the document id, four more passes at most and only over groups where a tie
crosses the budget, so a constant score is cut as exactly as any other. Keys of 32 bits take 2 passes, of 64 bits 4.

A null (NaN, or not `valid`) is no key: it has no rank, its weight is in no total, it is never kept. -0.0 is 0.0, and
infinities are keys like any other. Memory where the passes are led: 24 bytes a cell, cells being groups x digits that
occur (at most 65,536 a group; scores between 0.001 and 1 as float32 touch 1,300), or six times that while parts are being
summed, and about 250 bytes a group.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from winnow.pipelines.selection.grouped_counts import SLOT, Cells, Codes, Group, Totals, Words, places, tallied
from winnow.pipelines.selection.statistic_result import Boundary, Flags, StatisticResult, Threshold

KEY_TYPES = ("float32", "int32", "float64", "int64")
_HASH_DIGITS = 64 // SLOT
_LARGEST = 2**62


def ordered_bits(keys: npt.NDArray[Any]) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Unsigned integers of the same width and order, shape (n,), for keys of a type in `KEY_TYPES`.

    -0.0 and 0.0 are the same. NaN has no place in the order: `histogram` leaves it out as null.
    """
    dtype = keys.dtype
    bits = 8 * dtype.itemsize
    whole = np.dtype(f"u{dtype.itemsize}")
    top = whole.type(1 << (bits - 1))
    # -0.0 + 0.0 is 0.0
    raw = np.ascontiguousarray(keys + dtype.type(0) if dtype.kind == "f" else keys).view(whole)
    signs = (raw.view(f"i{dtype.itemsize}") >> (bits - 1)).view(whole) if dtype.kind == "f" else whole.type(0)
    ordered: npt.NDArray[np.unsignedinteger[Any]] = raw ^ (signs | top)
    return ordered


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What a pass needs to know, to be sent to where the parts are.

    `digits`: those found so far, one row per group and one column per pass: first those of the key (for tops of its
    complement), then those of the hash. `open`: whether the group's row is still sought.
    """

    dtype: np.dtype[Any]
    descending: bool
    index: Mapping[Group, int]
    digits: npt.NDArray[np.uint16]
    open: Flags

    @property
    def level(self) -> int:
        """Passes done."""
        return int(self.digits.shape[1])

    @property
    def key_passes(self) -> int:
        """Passes over the key itself: 2 or 4."""
        return 8 * self.dtype.itemsize // SLOT

    @property
    def needs_hashes(self) -> bool:
        """Whether the next pass is over ties, and so needs `hashes`."""
        return self.level >= self.key_passes


def histogram(
    state: State,
    keys: npt.NDArray[Any],
    codes: Codes,
    names: Sequence[Group],
    *,
    weights: npt.NDArray[np.integer[Any]] | None = None,
    hashes: Words | None = None,
    valid: Flags | None = None,
) -> Cells:
    """One part's share of a pass: documents and their weight by group and next digit.

    `keys` has the search's type and shape (n,), as have all other columns; `codes` are places in `names`. `weights` are
    integers from 0 (tokens, bytes); without them a document weighs 1. `hashes` are needed when `state.needs_hashes`.
    `valid` is False where a key is null, besides NaN. Raises ValueError for weights that cannot be counted.
    """
    bits = ordered_bits(keys)
    words = [(~bits if state.descending else bits), *([] if hashes is None else [hashes])]

    def digit(level: int, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.unsignedinteger[Any]]:
        word = words[level >= state.key_passes][rows]
        left = SLOT * ((state.key_passes if level < state.key_passes else state.key_passes + _HASH_DIGITS) - 1 - level)
        found: npt.NDArray[np.unsignedinteger[Any]] = (word >> word.dtype.type(left)) & word.dtype.type(2**SLOT - 1)
        return found

    ranked = np.ones(keys.size, np.bool_) if valid is None else valid
    rows = np.flatnonzero(ranked & ~np.isnan(keys) if state.dtype.kind == "f" else ranked)
    if state.level:
        at = places(names, state.index)
        rows = rows[np.append(state.open, False)[at][codes[rows]]]
        for level in range(state.level):
            rows = rows[digit(level, rows) == np.append(state.digits[:, level], 0)[at][codes[rows]]]
    ones = np.ones(rows.size, np.int64)
    heavy: npt.NDArray[np.integer[Any]] = ones
    if weights is not None:
        heavy = weights[rows]
        if heavy.size and (heavy.dtype.kind not in "iu" or int(heavy.min()) < 0):
            raise ValueError(f"weights are {heavy.dtype} from {heavy.min()}, expected integers from 0")
        if heavy.sum(dtype=np.float64) >= _LARGEST:
            raise ValueError("weights add up to 2^62 or more, which is more than is counted exactly")
    return tallied(codes[rows], names, digit(state.level, rows), ones, heavy)


class _Search(ABC):
    """The passes over the parts; what is sought is `_allowed`."""

    def __init__(self, dtype: npt.DTypeLike, descending: bool) -> None:
        if (name := np.dtype(dtype).name) not in KEY_TYPES:
            raise ValueError(f"keys are of type {name}, expected one of {', '.join(KEY_TYPES)}")
        self.state = State(np.dtype(dtype), descending, {}, np.zeros((0, 0), np.uint16), np.zeros(0, np.bool_))
        self.done = False
        self._totals, self._weight = Totals(2), 0
        self._within = np.zeros((0, 2), np.int64)  # documents and weight of each group at the digits found

    @abstractmethod
    def _allowed(self, total: int) -> int:
        """The running sum that the sought row is the first to exceed, for a group of this total."""

    def add(self, part: Cells) -> None:
        """Adds one part's histogram to the pass. The order of parts does not matter; a part counts once a pass."""
        self._totals.add(part)
        self._weight += int(part.sums[1].sum())
        if self._weight >= _LARGEST:
            raise ValueError("weights add up to 2^62 or more, which is more than is counted exactly")

    def advance(self) -> None:
        """Ends the pass. Raises ValueError when its rows are not those that the pass before saw at their digits."""
        whole = self._totals.sum()
        self._totals, self._weight = Totals(2), 0
        if self.state.level == 0:
            count = len(whole.names)
            index = {name: place for place, name in enumerate(whole.names)}
            self.state = replace(
                self.state, index=index, digits=np.zeros((count, 0), np.uint16), open=np.ones(count, bool)
            )
            self._before = np.zeros(count, np.int64)  # weight of what comes before the digits found
        state = self.state
        group, slot = places(whole.names, state.index)[whole.places], whole.slots
        order = np.lexsort((slot, group))
        sums = whole.sums.T[order]
        edges = np.searchsorted(group[order], np.arange(state.open.size + 1))
        running = np.concatenate((np.zeros((1, 2), np.int64), np.cumsum(sums, axis=0)))
        here = np.diff(running[edges], axis=0)
        if state.level == 0:
            self._total = here[:, 1]
            room = [min(self._allowed(total), total) for total in self._total.tolist()]
            self._room = np.array(room, np.int64)
        elif (here != self._within)[state.open].any():
            wrong = np.flatnonzero(state.open & (here != self._within).any(axis=1))[0]
            raise ValueError(
                f"group {list(state.index)[wrong]!r} has {here[wrong, 0]} rows in pass {state.level + 1}, expected the "
                f"{self._within[wrong, 0]} that pass {state.level} found there: give every pass the same parts, once"
            )
        start = running[edges[:-1], 1]
        cell = np.searchsorted(running[1:, 1], start + self._room - self._before, "right")
        still = state.open & (cell < edges[1:])
        cell = cell[still]
        self._before[still] += running[cell, 1] - start[still]
        self._within = np.zeros_like(here)
        self._within[still] = sums[cell]
        found = np.zeros(still.size, np.uint16)
        found[still] = slot[order][cell]
        self.state = replace(state, digits=np.column_stack((state.digits, found)), open=still)
        self._close()

    @abstractmethod
    def _close(self) -> None:
        """After a pass: which groups are settled, and whether all are."""

    def _key(self, place: int) -> float | int:
        """The key whose digits a group's row has: the inverse of `ordered_bits`."""
        dtype, width = self.state.dtype, 8 * self.state.dtype.itemsize
        bits = _number(self.state.digits[place, : self.state.key_passes])
        bits ^= (1 << width) - 1 if self.state.descending else 0
        top = 1 << (width - 1)
        raw = bits ^ top if dtype.kind == "i" or bits & top else bits ^ ((1 << width) - 1)
        return np.array([raw], f"u{dtype.itemsize}").view(dtype)[0].item()  # type: ignore[no-any-return]


class Quantiles(_Search):
    """Searches the q-quantile of each group: the smallest key v with F(v) >= q, F the share of keys that are <= v.

    The inverse of the empirical distribution function, numpy's "inverted_cdf" (Hyndman, Fan 1996, definition 1,
    https://doi.org/10.2307/2684934); for q = 0 the smallest key. A float q is meant as it is written: 0.1 is 1/10, and
    of 10 keys the first, not the second. `dtype`: float32, int32, float64 or int64. Raises ValueError for any other
    type and for q outside 0 to 1.
    """

    def __init__(self, q: float | Fraction, dtype: npt.DTypeLike) -> None:
        self._q = _share(q, "quantile")
        super().__init__(dtype, descending=False)

    def _allowed(self, total: int) -> int:
        return max(1, -(-total * self._q.numerator // self._q.denominator)) - 1

    def _close(self) -> None:
        self.done = self.state.level == self.state.key_passes or not self.state.open.any()

    def result(self) -> StatisticResult:
        """The quantile of every group that has a key. Only when the search is done."""
        index = self.state.index.items()
        entries = [Threshold(name, self._key(place), int(self._total[place])) for name, place in index]
        return StatisticResult.of("quantile", entries, self.state.dtype.name)


class Top(_Search):
    """Searches where to cut each group so that its best rows weigh no more than a budget.

    Rows are kept in descending order of the key, equal keys in ascending order of the hash, while the running weight
    stays within the budget; the first row that would exceed it ends the list. The budget of a group is `share` (0 to
    1, meant as it is written) of the weight of its rows with a key, or `amount`, the same for each. Rows that have
    both key and hash in common stand or fall together. `dtype`: float32, int32, float64 or int64. Raises ValueError
    for any other type and for a budget that is not exactly one of the two.
    """

    def __init__(
        self, dtype: npt.DTypeLike, *, share: float | Fraction | None = None, amount: int | None = None
    ) -> None:
        if (share is None) == (amount is None):
            raise ValueError("a top needs either a share or an amount")
        if amount is not None and amount < 0:
            raise ValueError(f"the amount is {amount}, expected 0 or more")
        self._part = None if share is None else _share(share, "share")
        self._amount = amount or 0
        self._last: dict[int, int | None] = {}  # group: largest hash kept among rows with the boundary's key
        super().__init__(dtype, descending=True)

    def _allowed(self, total: int) -> int:
        return self._amount if self._part is None else total * self._part.numerator // self._part.denominator

    def _close(self) -> None:
        state = self.state
        hashed = state.level - state.key_passes  # digits of the hash that are known
        if hashed >= 0:
            # one row left: it is the first that exceeds, and everything before it is known
            closed = state.open & ((self._within[:, 0] == 1) | (hashed == _HASH_DIGITS))
            for place in np.flatnonzero(closed).tolist():
                first = _number(state.digits[place, state.key_passes :]) << SLOT * (_HASH_DIGITS - hashed)
                self._last[place] = first - 1 if hashed and first else None
            self.state = replace(state, open=state.open & ~closed)
        self.done = not self.state.open.any()

    def result(self) -> StatisticResult:
        """The boundary of every group that has a key. Only when the search is done."""
        dtype = self.state.dtype
        lowest = -np.inf if dtype.kind == "f" else int(np.iinfo(dtype).min)
        entries = []
        for name, place in self.state.index.items():
            total = int(self._total[place])
            if place in self._last:
                entries.append(Boundary(name, self._key(place), self._last[place], int(self._before[place]), total))
            else:
                entries.append(Boundary(name, lowest, 2**64 - 1, total, total))
        return StatisticResult.of("top", entries, dtype.name)


def _number(digits: npt.NDArray[np.uint16]) -> int:
    return int.from_bytes(digits.astype(">u2").tobytes(), "big")


def _share(given: float | Fraction, what: str) -> Fraction:
    try:
        exact = Fraction(str(given)) if isinstance(given, float) else Fraction(given)
    except ValueError:
        exact = Fraction(-1)
    if not 0 <= exact <= 1:
        raise ValueError(f"the {what} is {given}, expected a number from 0 to 1")
    return exact
