"""Clauses that fail on the same documents, counted 64 documents at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from winnow.pipelines.results.report.figures import Overlap

Flags = npt.NDArray[np.bool_]


class Overlaps:
    """Counts which clauses fail on the same documents. State: the counts."""

    def __init__(self, clauses: Sequence[str]) -> None:
        self.clauses = tuple(clauses)
        size = len(self.clauses)
        self.both = np.zeros((size, size), np.int64)
        self.alone, self.first = np.zeros(size, np.int64), np.zeros(size, np.int64)

    def dropped(self, clauses: Sequence[str], first: npt.NDArray[np.int16]) -> None:
        """Count documents that a stage with these clauses drops, by the number of the first that fails."""
        numbers = [self.clauses.index(name) for name in clauses]
        self.first[numbers] += np.bincount(first, minlength=len(numbers))

    def add(self, failing: Mapping[str, Flags], failures: npt.NDArray[np.uint16]) -> None:
        """Count documents: clauses with the rows that fail them, and how many each row fails in all."""
        if not failing:
            return
        columns = [self.clauses.index(name) for name in failing]
        bits = np.stack([_bits(fails) for fails in failing.values()])
        for column, row in zip(columns, bits, strict=True):
            self.both[column, columns] += np.bitwise_count(bits & row).sum(axis=1, dtype=np.int64)
        self.alone[columns] += np.bitwise_count(bits & _bits(failures == 1)).sum(axis=1, dtype=np.int64)

    def overlap(self) -> Overlap:
        """What was counted so far."""
        return Overlap(self.clauses, self.both, self.alone, self.first)


def _bits(flags: Flags) -> npt.NDArray[np.uint64]:
    """64 flags to a word, so that pairs of clauses are counted 64 rows at a time."""
    packed = np.packbits(flags)
    return np.pad(packed, (0, -len(packed) % 8)).view(np.uint64)
