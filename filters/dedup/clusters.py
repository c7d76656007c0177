"""Clusters of very many rows: edges among equal keys, their connected components, and the row that stays for each.

The forest holds one integer per row, 4 bytes below 2^32 - 1 rows and 8 from there on, and `labels` one more byte per
row while it runs. The smaller root always becomes the parent, so the outcome depends on the set of edges alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from winnow.filters.kernel import inline, kernel

Rows = npt.NDArray[np.unsignedinteger[Any]]

WIDE = 2**32 - 1
"""From this many rows on, row numbers take 8 bytes."""


def row_type(rows: int) -> type[np.unsignedinteger[Any]]:
    """The integer that numbers this many rows and leaves its largest value to mark a row that stands alone."""
    return np.uint32 if rows < WIDE else np.uint64


def equal_key_edges(keys: npt.NDArray[np.uint64], rows: Rows) -> tuple[Rows, Rows]:
    """Edges between neighbours in each group of rows with equal keys: g - 1 of them for a group of g rows.

    `keys` and `rows` have the same shape (n,). Sorted by key, then by position.
    """
    # numpy's default sort is vectorised but not stable: it finds the few rows worth a stable one
    order = np.argsort(keys)
    same = keys[order[1:]] == keys[order[:-1]]
    grouped = np.zeros(keys.size, np.bool_)
    grouped[1:] = same
    grouped[:-1] |= same
    members = np.sort(order[grouped])
    members = members[np.argsort(keys[members], kind="stable")]
    later = np.flatnonzero(keys[members[1:]] == keys[members[:-1]]) + 1
    return rows[members[later - 1]], rows[members[later]]


@inline
def _root(parent: Any, row: Any) -> Any:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return row


@kernel
def _unite(parent: Any, a: Any, b: Any) -> None:
    for i in range(a.size):
        one = _root(parent, a[i])
        two = _root(parent, b[i])
        if one < two:
            parent[two] = one
        elif two < one:
            parent[one] = two


@kernel
def _label(parent: Any, alone: Any) -> Any:
    """Replaces every parent by its cluster's number, in place: parents come before their children."""
    crowded = np.zeros(parent.size, np.bool_)
    for row in range(parent.size):
        if parent[row] != row:
            parent[row] = parent[parent[row]]
            crowded[parent[row]] = True
    clusters = 0
    for row in range(parent.size):
        if parent[row] != row:
            parent[row] = parent[parent[row]]
        elif crowded[row]:
            parent[row] = clusters
            clusters += 1
        else:
            parent[row] = alone
    return clusters


class Forest:
    """Union-find over rows 0 .. rows-1 with path halving (Tarjan, van Leeuwen 1984, https://doi.org/10.1145/62.2160)."""

    def __init__(self, rows: int) -> None:
        self._parent: Rows = np.arange(rows, dtype=row_type(rows))

    @property
    def nbytes(self) -> int:
        """Bytes that the forest holds."""
        return self._parent.nbytes

    def unite(self, a: npt.NDArray[np.integer[Any]], b: npt.NDArray[np.integer[Any]]) -> None:
        """Joins the components of a[i] and b[i] for every i. Raises IndexError for a row that does not exist."""
        if a.size and max(int(a.max()), int(b.max())) >= self._parent.size:
            raise IndexError(f"an edge names row {max(a.max(), b.max())}, but there are {self._parent.size} rows")
        kind = self._parent.dtype
        _unite(self._parent, a.astype(kind, copy=False), b.astype(kind, copy=False))

    def labels(self) -> tuple[Rows, int, int]:
        """Cluster number per row, the number that marks a row alone in its component, and how many clusters there are.

        Clusters of two rows and more are numbered from 0 by their smallest row. Consumes the forest: the array
        returned is the forest's own memory.
        """
        parent, alone = self._parent, int(np.iinfo(self._parent.dtype).max)
        self._parent = parent[:0]
        return parent, alone, int(_label(parent, parent.dtype.type(alone)))


@dataclass(slots=True)
class Survivors:
    """The best row met so far of every cluster of two and more, and how many rows it has: 16 bytes plus an id each."""

    rows: npt.NDArray[np.int64]
    chars: npt.NDArray[np.int32]
    copies: npt.NDArray[np.int32]
    ids: npt.NDArray[np.bytes_]

    @staticmethod
    def none_yet(clusters: int) -> Survivors:
        unset = np.full(clusters, -1, np.int64)
        return Survivors(unset, np.full(clusters, -1, np.int32), np.zeros(clusters, np.int32), np.zeros(clusters, "S1"))

    def meet(
        self,
        labels: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        chars: npt.NDArray[np.int32],
        ids: npt.NDArray[np.bytes_],
    ) -> None:
        """Longest first, then the smallest id, then the first row: `rows` ascend within a call and between calls."""
        if ids.dtype.itemsize > self.ids.dtype.itemsize:
            self.ids = self.ids.astype(ids.dtype)
        np.add.at(self.copies, labels, 1)
        order = np.lexsort((ids, -chars, labels))
        first = np.ones(order.size, np.bool_)
        first[1:] = labels[order[1:]] != labels[order[:-1]]
        best = order[first]
        held = labels[best]
        longer = chars[best] > self.chars[held]
        smaller = (chars[best] == self.chars[held]) & (ids[best] < self.ids[held])
        best = best[longer | smaller]
        held = labels[best]
        self.rows[held], self.chars[held], self.ids[held] = rows[best], chars[best], ids[best]

    def yield_to(self, clusters: npt.NDArray[np.integer[Any]], ids: npt.NDArray[np.bytes_]) -> npt.NDArray[np.bool_]:
        """Documents known from earlier stay in place of these clusters' own, each counted once. Whether each cluster has
        one."""
        known = np.zeros(self.rows.size, np.bool_)
        known[clusters] = True
        self.ids = self.ids.astype(np.promote_types(self.ids.dtype, ids.dtype))
        self.rows[clusters], self.ids[clusters] = -1, ids
        self.copies[clusters] += 1
        return known
