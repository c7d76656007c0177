"""Connected components of very many rows: edges among equal keys, and a union-find forest.

The forest holds one integer per row, 4 bytes below 2^32 - 1 rows and 8 from there on, and `labels` one more byte per
row while it runs. The smaller root always becomes the parent, so the outcome depends on the set of edges alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

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


@njit(cache=True, nogil=True, inline="always")
def _root(parent: Any, row: Any) -> Any:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return row


@njit(cache=True, nogil=True)
def _unite(parent: Any, a: Any, b: Any) -> None:
    for i in range(a.size):
        one = _root(parent, a[i])
        two = _root(parent, b[i])
        if one < two:
            parent[two] = one
        elif two < one:
            parent[one] = two


@njit(cache=True, nogil=True)
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

    def unite(self, a: Rows, b: Rows) -> None:
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
