"""Exact order statistics of a column that lies in many parts, in bounded memory and whatever the parts are.

Radix selection: a key is read as bits whose unsigned order is the keys' order, 16 bits to a pass from the top. In a
pass each part is counted by (group, next 16 bits) where its rows lie; the counts of all parts add up
(`winnow.filters.cells`); the running count says in which bin of its group the sought row lies; the next pass looks at
the rows of that bin alone. Nothing is sampled or interpolated, so the row found is the row that sorting the whole
column would find. The caller owns the passes, because it owns the files:

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
infinities are keys like any other. Memory where the passes are led: 16 bytes a cell for quantiles and 24 for tops,
cells being groups x bins that occur (at most 65,536 a group; scores between 0.001 and 1 as float32 touch 1,300), or
six times that while parts are being summed, and about 250 bytes a group.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from winnow.filters.cells import SLOT, Cells, Codes, Group, Integers, Totals, Words, checked, places, tallied
from winnow.filters.thresholds import Boundaries, Boundary, Threshold, Thresholds, key_type

Keys: TypeAlias = npt.NDArray[Any]
Bits: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
Flags: TypeAlias = npt.NDArray[np.bool_]

_HASH_PASSES = 64 // SLOT
_LARGEST = 2**62


def ordered_bits(keys: Keys) -> Bits:
    """Unsigned integers of the same width and order, shape (n,), for float32, int32, float64 or int64 keys.

    -0.0 and 0.0 are the same. NaN has no place in the order: `histogram` leaves it out as null.
    """
    dtype = key_type(keys.dtype.name)
    bits = 8 * dtype.itemsize
    whole = np.dtype(f"u{dtype.itemsize}")
    top = whole.type(1 << (bits - 1))
    # -0.0 + 0.0 is 0.0
    raw = np.ascontiguousarray(keys + dtype.type(0) if dtype.kind == "f" else keys).view(whole)
    signs = (raw.view(f"i{dtype.itemsize}") >> (bits - 1)).view(whole) if dtype.kind == "f" else whole.type(0)
    ordered: Bits = raw ^ (signs | top)
    return ordered


def _key(bits: int, dtype: np.dtype[Any]) -> float | int:
    """The inverse of `ordered_bits` for one key."""
    width = 8 * dtype.itemsize
    top = 1 << (width - 1)
    raw = bits ^ top if dtype.kind == "i" or bits & top else bits ^ ((1 << width) - 1)
    return np.array([raw], f"u{dtype.itemsize}").view(dtype)[0].item()  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What a pass needs to know, to be sent to where the parts are. Arrays have one entry per group.

    `level`: passes done. `keys`, `hashes`: the leading bits found so far, for tops of the complemented key.
    `open`: whether the group's row is still sought.
    """

    dtype: np.dtype[Any]
    descending: bool
    level: int
    index: Mapping[Group, int]
    keys: Words
    hashes: Words
    open: Flags

    @property
    def needs_hashes(self) -> bool:
        """Whether the next pass is over ties, and so needs `hashes`."""
        return self.level >= self.key_passes

    @property
    def key_passes(self) -> int:
        """Passes over the key itself: 2 or 4."""
        return 8 * self.dtype.itemsize // SLOT


def histogram(
    state: State,
    keys: Keys,
    codes: Codes,
    names: Sequence[Group],
    *,
    weights: npt.NDArray[np.integer[Any]] | None = None,
    hashes: Words | None = None,
    valid: Flags | None = None,
) -> Cells:
    """One part's share of a pass: documents, and for a top their weight, by group and next 16 bits.

    `keys` has the search's type and shape (n,), as have all other columns; `codes` are places in `names`. `weights`
    are integers from 0 (tokens, bytes) and go with a top alone; without them a document weighs 1. `hashes` are needed
    when `state.needs_hashes`. `valid` is False where a key is null, besides NaN. Raises ValueError otherwise.
    """
    if keys.dtype != state.dtype or keys.ndim != 1:
        raise ValueError(f"keys are {keys.dtype} of shape {keys.shape}, expected {state.dtype} of one dimension")
    group = checked(codes, names, keys.size)
    for name, column in (("weights", weights), ("hashes", hashes), ("valid", valid)):
        if column is not None and column.shape != keys.shape:
            raise ValueError(f"{name} of shape {column.shape} for {keys.size} keys")
    if weights is not None and not state.descending:
        raise ValueError("a quantile counts documents, but weights were given")
    ranked = np.ones(keys.size, np.bool_) if valid is None else valid
    if state.dtype.kind == "f":
        ranked = ranked & ~np.isnan(keys)
    bits = ordered_bits(keys)
    word: Words = (~bits if state.descending else bits).astype(np.uint64)
    left = 8 * state.dtype.itemsize - SLOT * (state.level + 1)
    if state.level:
        at = places(names, state.index)
        known = at >= 0
        searched, key, tie = known.copy(), np.zeros(at.size, np.uint64), np.zeros(at.size, np.uint64)
        searched[known], key[known], tie[known] = (c[at[known]] for c in (state.open, state.keys, state.hashes))
        ranked = ranked & searched[group] & (word >> np.uint64(max(left + SLOT, 0)) == key[group])
        if state.needs_hashes:
            if hashes is None or hashes.dtype != np.uint64:
                raise ValueError(f"pass {state.level + 1} is over ties and needs hashes, as uint64")
            word = hashes
            left = 64 - SLOT * (state.level + 1 - state.key_passes)
            if state.level > state.key_passes:
                ranked &= word >> np.uint64(left + SLOT) == tie[group]
    slots = (word[ranked] >> np.uint64(left)) & np.uint64(2**SLOT - 1)
    sums = np.ones((slots.size, 2 if state.descending else 1), np.int64)
    if weights is not None:
        heavy = weights[ranked]
        if heavy.size and (heavy.dtype.kind not in "iu" or int(heavy.min()) < 0):
            raise ValueError(f"weights are {heavy.dtype} from {heavy.min()}, expected integers from 0")
        if heavy.sum(dtype=np.float64) >= _LARGEST:
            raise ValueError("weights add up to 2^62 or more, which is more than is counted exactly")
        sums[:, 1] = heavy
    return tallied(group[ranked], names, slots, sums)


class _Search(ABC):
    """The passes over the parts; what is sought is `_allowed`."""

    def __init__(self, dtype: npt.DTypeLike, descending: bool) -> None:
        nothing = np.zeros(0, np.uint64)
        kind = key_type(np.dtype(dtype).name)
        self.state = State(kind, descending, 0, {}, nothing, nothing, np.zeros(0, np.bool_))
        self.done = False
        self._columns = 2 if descending else 1
        self._start()
        self._total = np.zeros(0, np.int64)  # documents, or their weight
        self._used = np.zeros(0, np.int64)  # of that, in bins before the one where the sum exceeds what is allowed
        self._within = np.zeros((0, self._columns), np.int64)  # documents (and weight) in that bin
        self._allowed_here = np.zeros(0, np.int64)

    def _start(self) -> None:
        self._totals = Totals(self._columns)
        self._weight = 0

    @abstractmethod
    def _allowed(self, total: int) -> int:
        """The running sum that the sought row is the first to exceed, for a group of this total."""

    def add(self, part: Cells) -> None:
        """Adds one part's histogram to the pass. The order of parts does not matter; a part counts once a pass."""
        if self.done:
            raise ValueError("the search is done, but a part was added")
        self._totals.add(part)
        self._weight += int(part.sums[:, -1].sum())
        if self._weight >= _LARGEST:
            raise ValueError("weights add up to 2^62 or more, which is more than is counted exactly")

    def advance(self) -> None:
        """Ends the pass. Raises ValueError when its rows are not those that the pass before saw in their bins."""
        if self.done:
            raise ValueError("the search is done, but another pass was ended")
        whole = self._totals.sum()
        self._start()
        if self.state.level == 0:
            self._open(whole.names)
        at = places(whole.names, self.state.index)
        group = at[(whole.cells >> np.uint64(SLOT)).astype(np.int64)]
        slot = (whole.cells & np.uint64(2**SLOT - 1)).astype(np.int64)
        order = np.argsort(group << SLOT | slot)
        self._narrow(group[order], slot[order], whole.sums[order])

    def _open(self, names: tuple[Group, ...]) -> None:
        count = len(names)
        bits = np.zeros(count, np.uint64)
        index = {name: place for place, name in enumerate(names)}
        self.state = replace(self.state, index=index, keys=bits, hashes=bits, open=np.ones(count, np.bool_))
        self._used = np.zeros(count, np.int64)

    def _narrow(self, group: Integers, slot: Integers, sums: Integers) -> None:
        """Finds each open group's bin. The cells are sorted by group and slot."""
        state = self.state
        groups = np.arange(state.open.size)
        first, after = np.searchsorted(group, groups), np.searchsorted(group, groups, "right")
        running = np.concatenate((np.zeros((1, sums.shape[1]), np.int64), np.cumsum(sums, axis=0)))
        here = running[after] - running[first]
        if state.level == 0:
            self._total = here[:, -1]
            self._within = here.copy()
            self._allowed_here = np.fromiter(
                (min(self._allowed(total), total) for total in self._total.tolist()), np.int64, groups.size
            )
        elif (here[state.open] != self._within[state.open]).any():
            wrong = np.flatnonzero(state.open & (here != self._within).any(axis=1))[0]
            raise ValueError(
                f"group {list(state.index)[wrong]!r} has {here[wrong, 0]} rows in pass {state.level + 1}, expected the "
                f"{self._within[wrong, 0]} that pass {state.level} found there: give every pass the same parts, once"
            )
        target = running[first, -1] + self._allowed_here - self._used
        found = np.searchsorted(running[1:, -1], target, "right")
        still = state.open & (found < after)
        cell = found[still]
        self._used[still] += running[cell, -1] - running[first[still], -1]
        self._within[still] = sums[cell]
        keys, hashes = state.keys.copy(), state.hashes.copy()
        longer = hashes if state.needs_hashes else keys
        longer[still] = longer[still] << np.uint64(SLOT) | slot[cell].astype(np.uint64)
        self.state = replace(state, level=state.level + 1, keys=keys, hashes=hashes, open=still)
        self._close(state, still)

    @abstractmethod
    def _close(self, before: State, still: Flags) -> None:
        """Ends a pass: which groups are settled, and whether all are. `still`: groups that were open and have a bin."""


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

    def _close(self, before: State, still: Flags) -> None:
        self.done = self.state.level == self.state.key_passes or not still.any()

    def result(self) -> Thresholds:
        """The quantile of every group that has a key. Raises ValueError before the search is done."""
        _wanted(self.done)
        entries = (
            Threshold(name, _key(int(self.state.keys[place]), self.state.dtype), int(self._total[place]))
            for name, place in self.state.index.items()
        )
        return Thresholds(self.state.dtype.name, tuple(sorted(entries, key=_by_group)))


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
        self._amount = amount
        self._last: dict[int, int | None] = {}  # group: largest hash kept among rows with the boundary's key
        super().__init__(dtype, descending=True)

    def _allowed(self, total: int) -> int:
        if self._part is None:
            assert self._amount is not None
            return self._amount
        return total * self._part.numerator // self._part.denominator

    def _close(self, before: State, still: Flags) -> None:
        state = self.state
        over = state.level - state.key_passes
        if over >= 0:
            # one row left: it is the first that exceeds, and everything before it is known
            closed = still & (self._within[:, 0] == 1) if over < _HASH_PASSES else still
            for place in np.flatnonzero(closed).tolist():
                prefix = int(state.hashes[place]) << (64 - SLOT * over)
                self._last[place] = prefix - 1 if over and prefix else None
            self.state = replace(state, open=still & ~closed)
        self.done = not self.state.open.any()

    def result(self) -> Boundaries:
        """The boundary of every group that has a key. Raises ValueError before the search is done."""
        _wanted(self.done)
        dtype = self.state.dtype
        lowest = -np.inf if dtype.kind == "f" else int(np.iinfo(dtype).min)
        entries = []
        for name, place in self.state.index.items():
            total = int(self._total[place])
            if place in self._last:
                mask = (1 << 8 * dtype.itemsize) - 1
                key = _key(int(self.state.keys[place]) ^ mask, dtype)
                entries.append(Boundary(name, key, self._last[place], int(self._used[place]), total))
            else:
                entries.append(Boundary(name, lowest, 2**64 - 1, total, total))
        return Boundaries(dtype.name, tuple(sorted(entries, key=_by_group)))


def _share(given: float | Fraction, what: str) -> Fraction:
    try:
        exact = Fraction(str(given)) if isinstance(given, float) else Fraction(given)
    except ValueError:
        exact = Fraction(-1)
    if not 0 <= exact <= 1:
        raise ValueError(f"the {what} is {given}, expected a number from 0 to 1")
    return exact


def _wanted(done: bool) -> None:
    if not done:
        raise ValueError("the search is not done: it needs another pass over all parts")


def _by_group(entry: Threshold | Boundary) -> tuple[bool, str]:
    return entry.group is not None, entry.group or ""
