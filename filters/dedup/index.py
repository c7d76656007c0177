"""Which rows share a key with documents that an earlier run kept, and what that makes of the clusters.

A known document is a node: rows that meet the same one are one cluster. Known documents are not joined with one
another, which would change no survivor. Documents are numbered through the indexes in the order given.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from winnow.filters.dedup.clusters import Forest, Rows

BLOCK = 2**20
"""Rows of a column read at a time: 8 MiB of keys."""

Numbers = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.integer[Any]]


class Column(Protocol):
    """A column that may lie anywhere; read by rows."""

    @property
    def rows(self) -> int:
        """How many there are."""

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Rows [start, stop)."""


class DuplicateIndex(Protocol):
    """The documents that a run kept, numbered from 0 in ascending order of their ids, and their keys in each band."""

    @property
    def documents(self) -> int:
        """How many there are."""

    def keys(self, band: int) -> Column:
        """uint64, ascending."""

    def numbers(self, band: int) -> Column:
        """The number of the document of each key, ascending among equal keys."""

    def ids(self, numbers: Positions) -> npt.NDArray[np.bytes_]:
        """32 hex digits for each of these numbers, which ascend."""


def take(column: Column, rows: Positions) -> npt.NDArray[Any]:
    """These rows, which ascend. Blocks that hold none of them are not read."""
    out = [column.read(0, 0)]
    edges = np.flatnonzero(np.diff(rows // BLOCK)) + 1
    for some in np.split(rows, edges) if rows.size else []:
        first, last = int(some[0]), int(some[-1])
        out.append(np.asarray(column.read(first, last + 1)[some - first]))
    return np.concatenate(out)


def between(column: Column, lowest: int, highest: int) -> tuple[int, int]:
    """The rows [start, stop) of a column of ascending numbers with lowest <= number <= highest."""

    def number(row: int) -> int:
        return int(column.read(row, row + 1)[0])

    start = bisect_left(range(column.rows), lowest, key=number)
    return start, bisect_right(range(column.rows), highest, lo=start, key=number)


def first_numbers(indexes: Sequence[DuplicateIndex]) -> Numbers:
    """The number of each index's first document, and last the number of all documents."""
    return np.cumsum([0, *(index.documents for index in indexes)], dtype=np.uint64)


def known_edges(indexes: Sequence[DuplicateIndex], band: int, keys: Numbers, rows: Rows) -> tuple[Rows, Numbers]:
    """Rows and the known documents that share their key in a band: of the rows of one key the first stands for all.

    `keys` and `rows` have the same shape (n,). At most one edge per known document.
    """
    wanted, first = np.unique(keys, return_index=True)
    found_rows, found = [rows[:0]], [np.zeros(0, np.uint64)]
    for index, start in zip(indexes, first_numbers(indexes)[:-1], strict=True):
        at, numbers = _shared(index, band, wanted)
        found_rows.append(rows[first[at]])
        found.append(numbers + start)
    return np.concatenate(found_rows), np.concatenate(found)


def _shared(index: DuplicateIndex, band: int, wanted: Numbers) -> tuple[npt.NDArray[np.int64], Numbers]:
    """Places in `wanted` (ascending, each key once) of the keys that known documents have, and those documents."""
    places, found = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    keys, numbers = index.keys(band), index.numbers(band)
    start, stop = between(keys, int(wanted[0]), int(wanted[-1])) if wanted.size else (0, 0)
    for at in range(start, stop, BLOCK):
        block = keys.read(at, min(at + BLOCK, stop))
        low = int(np.searchsorted(wanted, block[0]))
        mine = wanted[low : int(np.searchsorted(wanted, block[-1], "right"))]
        left = np.searchsorted(block, mine)
        hit = np.flatnonzero(block[np.minimum(left, block.size - 1)] == mine)
        if hit.size:
            left = left[hit]
            counts = np.searchsorted(block, mine[hit], "right") - left
            rows = np.arange(counts.sum()) + np.repeat(left - np.cumsum(counts) + counts, counts)
            places.append(np.repeat(low + hit, counts))
            found.append(take(numbers, rows + at).astype(np.uint64))
    return np.concatenate(places), np.concatenate(found)


class KnownMatches:
    """The known documents that rows met, each with one row that did. State: two arrays of those, 16 bytes a document."""

    def __init__(self) -> None:
        self.known: Numbers = np.zeros(0, np.uint64)  # ascending
        self.rows: npt.NDArray[np.int64] = np.zeros(0, np.int64)

    def add(self, forest: Forest, rows: Rows, known: Numbers) -> None:
        """Row rows[i] met document known[i]; rows that met the same one come together in the forest."""
        known = np.concatenate([self.known, known])
        met = np.concatenate([self.rows, rows.astype(np.int64)])
        order = np.argsort(known, kind="stable")
        known, met = known[order], met[order]
        again = np.flatnonzero(known[1:] == known[:-1])
        forest.unite(met[again], met[again + 1])
        self.known, self.rows = np.delete(known, again + 1), np.delete(met, again + 1)

    def number_alone(self, labels: Rows, alone: int, clusters: int) -> int:
        """Gives rows that met a known document and no other row a cluster number, in place, from `clusters` on; how many
        clusters there are then."""
        lone = np.unique(self.rows[labels[self.rows] == alone])
        labels[lone] = np.arange(clusters, clusters + lone.size, dtype=labels.dtype)
        return clusters + int(lone.size)

    def names(self, indexes: Sequence[DuplicateIndex], labels: Rows) -> tuple[Rows, npt.NDArray[np.bytes_]]:
        """The clusters with a known document, ascending, and the smallest id of those in it (32 hex digits)."""
        starts = first_numbers(indexes)
        cluster = labels[self.rows]
        source = np.searchsorted(starts, self.known, "right") - 1
        order = np.lexsort((self.known, source, cluster))
        first = _changes(cluster[order], source[order])  # an index's numbers follow its ids
        chosen = order[first]
        ids = np.zeros(chosen.size, "S32")
        for number, index in enumerate(indexes):
            mine = np.flatnonzero(source[chosen] == number)
            wanted = (self.known[chosen[mine]] - starts[number]).astype(np.int64)
            ascending = np.argsort(wanted)
            ids[mine[ascending]] = index.ids(wanted[ascending])
        cluster = cluster[chosen]
        order = np.lexsort((ids, cluster))
        first = _changes(cluster[order])
        return cluster[order][first], ids[order][first]


def _changes(*columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether each row differs from the one before."""
    out = np.zeros(columns[0].size, np.bool_)
    out[:1] = True
    for column in columns:
        out[1:] |= column[1:] != column[:-1]
    return out
