"""Whole numbers summed per group and slot over data that comes in parts.

A part is summed where it lies, in any process, into `Cells`: one entry for each (group, slot) that occurs. Entries add
up in any order and any bracketing, because integers do. `Totals` gathers parts in bounded memory.

Groups are strings or None (documents whose label is null are a group of their own). A part gives them as codes into
its own list of names, so parts need not agree on a numbering, nor know each other's groups. A cell takes 16 bytes and
8 for each further column.
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
    """`cells` (m,): place in `names` << 16 | slot, each once, in no particular order; `sums` (m, columns), int64."""

    names: tuple[Group, ...]
    cells: Words
    sums: Integers


def labelled(labels: pa.Array[Any] | pa.ChunkedArray[Any]) -> tuple[npt.NDArray[np.int32], list[Group]]:
    """Codes (n,) and names of a column of group labels (strings or nulls), as every function here takes them."""
    if not (pa.types.is_string(labels.type) or pa.types.is_large_string(labels.type)):
        raise ValueError(f"group labels are of type {labels.type}, expected string or large_string")
    whole = labels.combine_chunks() if isinstance(labels, pa.ChunkedArray) else labels
    encoded = pc.dictionary_encode(whole, null_encoding="encode")
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()


def ungrouped(rows: int) -> tuple[npt.NDArray[np.int32], list[Group]]:
    """Codes and names that put all rows into one group, None."""
    return np.zeros(rows, np.int32), [None]


def checked(codes: Codes, names: Sequence[Group], rows: int) -> Integers:
    """The codes, if they are `rows` integers below the number of names. Raises ValueError if not."""
    if codes.shape != (rows,) or codes.dtype.kind not in "iu":
        raise ValueError(f"group codes are {codes.dtype} of shape {codes.shape}, expected integers of shape ({rows},)")
    if rows and (int(codes.min()) < 0 or int(codes.max()) >= len(names)):
        wrong = int(codes.min()) if int(codes.min()) < 0 else int(codes.max())
        raise ValueError(f"group code {wrong} has no name, expected 0 to {len(names) - 1}")
    return codes.astype(np.int64, copy=False)


def touched(codes: Integers, names: Sequence[Group]) -> tuple[Integers, tuple[Group, ...]]:
    """Codes and names without the names that no row has."""
    seen = np.bincount(codes, minlength=len(names)) > 0
    if seen.all():
        return codes, tuple(names)
    return (np.cumsum(seen) - 1)[codes], tuple(name for name, here in zip(names, seen.tolist(), strict=True) if here)


def places(names: Sequence[Group], index: Mapping[Group, int]) -> Integers:
    """Where each name stands in an index, shape (names,); -1 for one that is not in it."""
    return np.fromiter((index.get(name, -1) for name in names), np.int64, len(names))


def tallied(codes: Integers, names: Sequence[Group], slots: npt.NDArray[Any], values: Integers) -> Cells:
    """Sums `values` (n, columns) by group and slot (n,), 0 to 65,535. Sums must stay within int64."""
    few, kept = touched(codes, names)
    return _tallied(kept, few.astype(np.uint64) << np.uint64(SLOT) | slots.astype(np.uint64), values)


def combined(parts: Sequence[Cells], columns: int) -> Cells:
    """The sum of parts, with names in order of first appearance. Raises ValueError when the columns are not as said."""
    index: dict[Group, int] = {}
    cells = [np.zeros(0, np.uint64)]
    for part in parts:
        if part.sums.shape[1] != columns:
            raise ValueError(f"a part has {part.sums.shape[1]} columns where {columns} are wanted: another search's")
        moved = np.fromiter((index.setdefault(name, len(index)) for name in part.names), np.int64, len(part.names))
        group = moved[(part.cells >> np.uint64(SLOT)).astype(np.int64)].astype(np.uint64)
        cells.append(group << np.uint64(SLOT) | (part.cells & np.uint64(2**SLOT - 1)))
    sums = [np.zeros((0, columns), np.int64), *(part.sums for part in parts)]
    return _tallied(tuple(index), np.concatenate(cells), np.concatenate(sums))


def _tallied(names: tuple[Group, ...], cells: Words, values: Integers) -> Cells:
    from winnow.filters.cells_kernel import tally

    found = np.empty(cells.size, np.uint64)
    sums = np.empty(values.shape, np.int64)
    used = tally(cells, values, found, sums)
    return Cells(names, found[:used].copy(), sums[:used].copy())


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
