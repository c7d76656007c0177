"""A character n-gram language model: exact counts in a trie, interpolated by Witten and Bell and by modified Kneser and Ney.

Each n-gram is a node; the child of node h by symbol w is found in one open-addressing table under the key (h, w), which
holds both whole, so that counts are exact. A document begins after order - 1 marks of a beginning, which no model
predicts, and ends with a symbol of its own, which all predict.

    Witten-Bell (1991, method C, interpolated): p(w|h) = (c(hw) + T(h) p(w|h')) / (c(h) + T(h)), T(h) the symbols seen after h.
    Modified Kneser-Ney (Chen and Goodman 1999, interpolated): p(w|h) = (c(hw) - D(c)) / c(h) + g(h) p(w|h'), where orders
    below the highest count the symbols seen *before* hw; D1, D2, D3+ by order from the numbers of n-grams counted once to
    four times. Where these give no discount between 0 and the count (texts far from natural), 0.5, 1 and 1.5 stand in.

Both end in 1 / (characters + 1), so that a model gives every text over the vocabulary a probability, and the
probabilities of what can follow sum to 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from winnow.filters.kernel import Codes, Hashes, IntRows, Ints, ReadCodes, ReadInts, inline, kernel

Floats = npt.NDArray[np.float64]
Rows = Annotated[npt.NDArray[np.float64], 2]

FALLBACK = (0.5, 1.0, 1.5)
PIECE = 1 << 18
"""Symbols counted between two looks at the table's room."""

_MIX = np.uint64(0x9E3779B97F4A7C15)


@inline
def _slot(node: Any, symbol: Any, mask: Any) -> Any:
    key = (np.uint64(node) << np.uint64(21)) | np.uint64(symbol)
    key *= _MIX
    key ^= key >> np.uint64(32)
    return np.int64(key & np.uint64(mask))


@inline
def _find(node: Any, symbol: Any, keys: Any, nodes: Any) -> Any:
    """The slot of a child: its own, or the empty one where it belongs (nodes[slot] is 0)."""
    mask = keys.size - 1
    key = (np.uint64(node) << np.uint64(21)) | np.uint64(symbol)
    slot = _slot(node, symbol, mask)
    while nodes[slot] != 0 and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def rehash(keys: Hashes, nodes: Codes, new_keys: Hashes, new_nodes: Codes) -> None:
    """Enters all of a table into a larger empty one."""
    for old in range(keys.size):
        if nodes[old] != 0:
            node = np.int64(keys[old] >> np.uint64(21))
            symbol = np.int64(keys[old] & np.uint64((1 << 21) - 1))
            slot = _find(node, symbol, new_keys, new_nodes)
            new_keys[slot] = keys[old]
            new_nodes[slot] = nodes[old]


@kernel
def count(
    codes: ReadCodes,
    starts: ReadInts,
    end: int,
    order: int,
    used: int,
    keys: Hashes,
    nodes: Codes,
    counts: Ints,
    parents: Codes,
    before: Ints,
    orders: Codes,
) -> int:
    """Counts the n-grams of documents codes[starts[d]:starts[d + 1]] and their `end`; `end + 1` stands before them.

    Returns the nodes used, node 0 (the empty n-gram) included. `counts` occurrences, `parents` the n-gram without its last
    symbol, `before` different symbols before it, `orders` its length; all have room for what may come.
    """
    contexts = np.zeros(order, np.int64)
    for document in range(starts.size - 1):
        node = np.int64(0)
        for n in range(1, order):
            slot = _find(node, end + 1, keys, nodes)
            if nodes[slot] == 0:
                keys[slot] = (np.uint64(node) << np.uint64(21)) | np.uint64(end + 1)
                nodes[slot] = used
                parents[used] = -1
                used += 1
            node = np.int64(nodes[slot])
            contexts[n] = node
        for at in range(starts[document], starts[document + 1] + 1):
            symbol = np.int64(codes[at]) if at < starts[document + 1] else np.int64(end)
            shorter = np.int64(0)
            for n in range(order):
                slot = _find(contexts[n], symbol, keys, nodes)
                child = np.int64(nodes[slot])
                if child == 0:
                    child = np.int64(used)
                    keys[slot] = (np.uint64(contexts[n]) << np.uint64(21)) | np.uint64(symbol)
                    nodes[slot] = child
                    parents[child] = contexts[n]
                    orders[child] = n + 1
                    before[shorter] += 1
                    used += 1
                counts[child] += 1
                contexts[n] = shorter
                shorter = child
    return used


@kernel
def totals(counts: Ints, parents: Codes, sums: Ints, kinds: IntRows) -> None:
    """What follows each node: `sums` of its children's counts; `kinds` [node, 4]: children, those counted once, twice, more."""
    for node in range(1, counts.size):
        parent = parents[node]
        if parent >= 0:
            sums[parent] += counts[node]
            kinds[parent, 0] += 1
            kinds[parent, min(counts[node], 3)] += 1


@kernel
def score(
    codes: ReadCodes,
    starts: ReadInts,
    end: int,
    order: int,
    keys: Hashes,
    nodes: Codes,
    counts: Ints,
    sums: Ints,
    kinds: IntRows,
    adjusted: Ints,
    adjusted_sums: Ints,
    adjusted_kinds: IntRows,
    discounts: Rows,
    bits: Rows,
) -> None:
    """bits[:, d] = -log2 of the probability of document d, by Witten-Bell of `counts` and by Kneser-Ney of `adjusted`.
    `discounts` [order + 1, 4]: of an n-gram of that order counted 0, 1, 2 and more times."""
    contexts = np.full(order, -1, np.int64)
    for document in range(starts.size - 1):
        contexts[0] = 0
        for n in range(1, order):
            contexts[n] = np.int64(nodes[_find(contexts[n - 1], end + 1, keys, nodes)]) if contexts[n - 1] >= 0 else -1
            if contexts[n] == 0:
                contexts[n] = -1
        witten_bell = kneser_ney = 0.0
        for at in range(starts[document], starts[document + 1] + 1):
            symbol = np.int64(codes[at]) if at < starts[document + 1] else np.int64(end)
            p = q = 1.0 / (end + 1)
            shorter = np.int64(0)
            for n in range(order):
                context = contexts[n]
                child = np.int64(-1)
                if context >= 0 and sums[context] > 0:
                    child = np.int64(nodes[_find(context, symbol, keys, nodes)])
                    seen = np.float64(counts[child]) if child > 0 else 0.0
                    p = (seen + kinds[context, 0] * p) / (sums[context] + kinds[context, 0])
                    times = adjusted[child] if child > 0 else np.int64(0)
                    freed = 0.0
                    for k in range(1, 4):
                        freed += discounts[n + 1, k] * adjusted_kinds[context, k]
                    q = (times - discounts[n + 1, min(times, 3)] + freed * q) / adjusted_sums[context]
                    if child == 0:
                        child = np.int64(-1)
                contexts[n] = shorter
                shorter = child
            witten_bell -= math.log2(p)
            kneser_ney -= math.log2(q)
        bits[0, document] = witten_bell
        bits[1, document] = kneser_ney


@dataclass(frozen=True, slots=True)
class Trie:
    """The counted n-grams: see `count` and `totals`."""

    order: int
    end: int
    keys: Hashes
    nodes: Codes
    counts: Ints
    parents: Codes
    before: Ints
    orders: Codes

    def bits(self, codes: Codes, starts: Ints) -> Floats:
        """Of each document, [2, documents]: by Witten and Bell, by modified Kneser and Ney."""
        adjusted = np.where(self.orders == self.order, self.counts, self.before)
        adjusted[self.parents < 0] = 0  # the marks of a beginning, and the empty n-gram
        discounts = np.zeros((self.order + 1, 4))
        for n in range(1, self.order + 1):
            discounts[n, 1:] = _discounts(np.bincount(np.minimum(adjusted[self.orders == n], 5), minlength=6))
        out = np.empty((2, len(starts) - 1))
        tables = (self.counts, *self._totals(self.counts), adjusted, *self._totals(adjusted))
        score(codes, starts, self.end, self.order, self.keys, self.nodes, *tables, discounts, out)
        return out

    def _totals(self, counts: Ints) -> tuple[Ints, Ints]:
        sums, kinds = np.zeros(len(counts), np.int64), np.zeros((len(counts), 4), np.int64)
        totals(counts, self.parents, sums, kinds)
        return sums, kinds


def counted(codes: Codes, starts: Ints, size: int, order: int = 5) -> Trie:
    """The n-grams of documents over a vocabulary of `size` characters, up to `order`. About 60 bytes for each different one."""
    (trie,) = counted_at(codes, starts, size, [len(starts) - 1], order)
    return trie


def counted_at(codes: Codes, starts: Ints, size: int, ends: Sequence[int], order: int = 5) -> Iterator[Trie]:
    """The n-grams of the first ends[0] documents, of the first ends[1] and so on, ascending. A trie is good until the next."""
    keys, nodes = np.zeros(1 << 16, np.uint64), np.zeros(1 << 16, np.int32)
    counts, parents = np.zeros(1, np.int64), np.full(1, -1, np.int32)
    before, orders = np.zeros(1, np.int64), np.zeros(1, np.int32)
    used = 1
    for first, last in _pieces(starts, ends):
        most = used + order * int(starts[last] - starts[first] + last - first) + order
        counts, before = _room(counts, used, most), _room(before, used, most)
        parents, orders = _room(parents, used, most), _room(orders, used, most)
        if 2 * most > len(keys):
            wider = 1 << (2 * most - 1).bit_length()
            new_keys, new_nodes = np.zeros(wider, np.uint64), np.zeros(wider, np.int32)
            rehash(keys, nodes, new_keys, new_nodes)
            keys, nodes = new_keys, new_nodes
        part = np.ascontiguousarray(starts[first : last + 1])
        used = count(codes, part, size, order, used, keys, nodes, counts, parents, before, orders)
        if last in ends:
            rest = (_room(values, used, used) for values in (counts, parents, before, orders))
            yield Trie(order, size, keys, nodes, *rest)


def _pieces(starts: Ints, ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Documents [first, last) with about PIECE symbols together, none across one of `ends`."""
    first = 0
    for end in ends:
        while first < end:
            last = max(first + 1, int(np.searchsorted(starts, starts[first] + PIECE, "right")) - 1)
            yield first, min(last, end)
            first = min(last, end)


def _room(values: Any, used: int, most: int) -> Any:
    """The first `used` values with room for `most`."""
    wider = np.zeros(most, values.dtype)
    wider[:used] = values[:used]
    return wider


def _discounts(numbers: npt.NDArray[np.int64]) -> tuple[float, float, float]:
    """D1, D2, D3+ from the numbers of n-grams counted 0, 1, 2, 3, 4 times (Chen and Goodman 1999, eq. 17)."""
    once, twice, thrice, four = (int(n) for n in numbers[1:5])
    if not (once and twice and thrice):
        return FALLBACK
    y = once / (once + 2 * twice)
    found = (1 - 2 * y * twice / once, 2 - 3 * y * thrice / twice, 3 - 4 * y * four / thrice)
    return found if all(0 < d < k for k, d in enumerate(found, 1)) else FALLBACK
