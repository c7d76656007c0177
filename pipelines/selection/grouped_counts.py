"""Whole numbers summed per group and slot over data that comes in parts.

A part is summed where it lies, in any process, into `Cells`: one entry for each (group, slot) that occurs. Entries add
up in any order and any bracketing, because integers do. `Totals` gathers parts in bounded memory.

Groups are strings or None (documents whose label is null are a group of their own). A part gives them as codes into
its own list of names, so parts need not agree on a numbering, nor know each other's groups. A cell takes 8 bytes and
8 for each column of sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Group: TypeAlias = str | None
Codes: TypeAlias = npt.NDArray[np.integer[Any]]
Integers: TypeAlias = npt.NDArray[np.int64]
Words: TypeAlias = npt.NDArray[np.uint64]

SLOT = 16  # bits
SLACK = 2**20  # cells gathered before they are summed: 24 MiB with two columns


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """`cells` (m,): place in `names` << 16 | slot, each once, in no particular order; `sums` (columns, m), int64."""

    names: tuple[Group, ...]
    cells: Words
    sums: Integers

    @property
    def places(self) -> Integers:
        """Where each cell's group stands in `names`."""
        return (self.cells >> np.uint64(SLOT)).astype(np.int64)

    @property
    def slots(self) -> Integers:
        """Each cell's slot."""
        return (self.cells & np.uint64(2**SLOT - 1)).astype(np.int64)


def labelled(labels: pa.Array[Any] | pa.ChunkedArray[Any]) -> tuple[npt.NDArray[np.int32], list[Group]]:
    """Codes (n,) and names of a column of group labels (strings or nulls), as every function here takes them."""
    whole = labels.combine_chunks() if isinstance(labels, pa.ChunkedArray) else labels
    encoded = pc.dictionary_encode(whole, null_encoding="encode")
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()


def ungrouped(rows: int) -> tuple[npt.NDArray[np.int32], list[Group]]:
    """Codes and names that put all rows into one group, None."""
    return np.zeros(rows, np.int32), [None]


def places(names: Sequence[Group], index: Mapping[Group, int]) -> Integers:
    """Where each name stands in an index, shape (names,); -1 for one that is not in it."""
    return np.fromiter((index.get(name, -1) for name in names), np.int64, len(names))


def tallied(
    codes: Codes, names: Sequence[Group], slots: npt.NDArray[Any], *columns: npt.NDArray[np.integer[Any]]
) -> Cells:
    """Sums columns of shape (n,) by group and slot (n,), 0 to 65,535. Sums must stay within int64."""
    seen = np.bincount(codes, minlength=len(names)) > 0
    few = (np.cumsum(seen) - 1)[codes]
    return Cells(tuple(np.array(names, object)[seen].tolist()), *_summed(_cells(few, slots), columns))


def combined(parts: Sequence[Cells], columns: int) -> Cells:
    """The sum of parts, with names in order of first appearance."""
    index: dict[Group, int] = {}
    cells = [np.zeros(0, np.uint64)]
    for part in parts:
        moved = np.fromiter((index.setdefault(name, len(index)) for name in part.names), np.int64, len(part.names))
        cells.append(_cells(moved[part.places], part.slots))
    sums = [np.zeros((columns, 0), np.int64), *(part.sums for part in parts)]
    return Cells(tuple(index), *_summed(np.concatenate(cells), np.concatenate(sums, axis=1)))


def _cells(places: npt.NDArray[Any], slots: npt.NDArray[Any]) -> Words:
    return places.astype(np.uint64) << np.uint64(SLOT) | slots.astype(np.uint64)


def _summed(cells: Words, columns: Sequence[npt.NDArray[np.integer[Any]]] | Integers) -> tuple[Words, Integers]:
    """Each cell once, and its sums."""
    encoded = pc.dictionary_encode(pa.array(cells))  # a few are many rows: hashing is faster than sorting them
    found, at = encoded.dictionary.to_numpy(), encoded.indices.to_numpy()
    sums = np.zeros((len(columns), found.size), np.int64)
    for sum_, column in zip(sums, columns, strict=True):
        np.add.at(sum_, at, column)
    return found, sums


class Totals:
    """The running sum of parts: at most twice its own cells and 2^20 more are held at a time."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._parts: list[Cells] = []
        self._kept = 0
        self._held = 0

    def add(self, part: Cells) -> None:
        """Adds a part; the order does not matter."""
        self._parts.append(part)
        self._held += part.cells.size
        if self._held > 2 * self._kept + SLACK:
            self._parts = [self.sum()]
            self._kept = self._held = self._parts[0].cells.size

    def sum(self) -> Cells:
        """What all parts so far add up to."""
        return combined(self._parts, self._columns)
