"""Which rows share a key with documents that an earlier run kept, and what that makes of the clusters.

A known document is a node: rows that meet the same one are one cluster. Known documents are not joined with one
another, which would change no survivor. Documents are numbered through the generations in the order given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from winnow.filters.generations import BLOCK, Generation

if TYPE_CHECKING:
    from winnow.filters.components import Forest, Rows

Numbers = npt.NDArray[np.uint64]


def firsts(generations: Sequence[Generation]) -> Numbers:
    """The number of each generation's first document, and last the number of all documents."""
    return np.cumsum([0, *(g.documents for g in generations)], dtype=np.uint64)


def known_edges(
    generations: Sequence[Generation], band: int, keys: npt.NDArray[np.uint64], rows: Rows
) -> tuple[Rows, Numbers]:
    """Rows and the known documents that share their key in a band: of the rows of one key the first stands for all.

    `keys` and `rows` have the same shape (n,). At most one edge per known document.
    """
    wanted, first = np.unique(keys, return_index=True)
    found_rows, found = [rows[:0]], [np.zeros(0, np.uint64)]
    for generation, start in zip(generations, firsts(generations)[:-1], strict=True):
        at, numbers = _shared(generation, band, wanted)
        found_rows.append(rows[first[at]])
        found.append(numbers + start)
    return np.concatenate(found_rows), np.concatenate(found)


def _shared(generation: Generation, band: int, wanted: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.int64], Numbers]:
    """Places in `wanted` (ascending, each key once) of the keys that known documents have, and those documents."""
    places, found = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    keys, numbers = generation.keys(band), generation.numbers(band)
    start, stop = keys.between(int(wanted[0]), int(wanted[-1])) if wanted.size else (0, 0)
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
            found.append(numbers.take(rows + at).astype(np.uint64))
    return np.concatenate(places), np.concatenate(found)


class Met:
    """The known documents that rows met, each with one row that did. State: two arrays of those, 16 bytes a document."""

    def __init__(self) -> None:
        self.known: Numbers = np.zeros(0, np.uint64)  # ascending
        self.rows: npt.NDArray[np.int64] = np.zeros(0, np.int64)

    def meet(self, forest: Forest, rows: Rows, known: Numbers) -> None:
        """Row rows[i] met document known[i]; rows that met the same one come together in the forest."""
        order = np.argsort(known, kind="stable")
        rows, known = rows[order], known[order]
        again = known[1:] == known[:-1]
        forest.unite(rows[:-1][again], rows[1:][again])
        first = np.concatenate([np.ones(min(1, known.size), np.bool_), ~again])
        rows, known = rows[first], known[first]
        at = np.searchsorted(self.known, known)
        held = np.zeros(known.size, np.bool_)
        inside = at < self.known.size
        held[inside] = self.known[at[inside]] == known[inside]
        forest.unite(self.rows[at[held]].astype(rows.dtype), rows[held])
        self.known = np.insert(self.known, at[~held], known[~held])
        self.rows = np.insert(self.rows, at[~held], rows[~held].astype(np.int64))

    def number_alone(self, labels: Rows, alone: int, clusters: int) -> int:
        """Gives rows that met a known document and no other row a cluster number, in place, from `clusters` on; how many
        clusters there are then."""
        lone = np.unique(self.rows[labels[self.rows] == alone])
        labels[lone] = np.arange(clusters, clusters + lone.size, dtype=labels.dtype)
        return clusters + int(lone.size)

    def names(self, generations: Sequence[Generation], labels: Rows) -> tuple[Rows, npt.NDArray[np.bytes_]]:
        """The clusters with a known document, ascending, and the smallest id of those in it (32 hex digits)."""
        starts = firsts(generations)
        cluster = labels[self.rows]
        source = np.searchsorted(starts, self.known, "right") - 1
        order = np.lexsort((self.known, source, cluster))
        first = _changes(cluster[order], source[order])  # a generation's numbers follow its ids
        chosen = order[first]
        ids = np.zeros(chosen.size, "S32")
        for number, generation in enumerate(generations):
            mine = np.flatnonzero(source[chosen] == number)
            wanted = (self.known[chosen[mine]] - starts[number]).astype(np.int64)
            ascending = np.argsort(wanted)
            ids[mine[ascending]] = generation.ids(wanted[ascending])
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
