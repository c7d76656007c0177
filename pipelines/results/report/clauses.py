"""What clauses drop: which of them fail on the same documents, and what another threshold would keep.

Alternatives are counted exactly, at the notches of a grid that the present threshold suggests. Two kinds of rows can change when one clause's number moves, and every other clause stays. Rows that are kept now go
when it is tightened: they are counted by their value, and the answer is exact. Rows that this clause alone drops come
back when it is loosened: they reach the next stage, but what follows has never measured them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from winnow.pipelines.results.report.histogram import Floats, Ints
from winnow.pipelines.selection.clause import Clause
from winnow.pipelines.selection.statistic_result import StatisticResult

Flags = npt.NDArray[np.bool_]

COMPARED = ("<", "<=", ">", ">=")

STEPS = 100
"""About so many notches on a grid."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What a clause would keep at each notch of its grid; `now` is the position of its present number."""

    clause: str
    operator: str  # <, <=, > or >=
    number: float
    notches: Floats
    now: int
    kept: Ints  # documents of the present selection that a notch keeps
    entering: Ints  # documents that this clause alone drops now, and a notch would let in
    later: float  # share of what the stage keeps now that is in the selection: what those may expect of later stages
    last: bool  # whether nothing after the stage drops anything

    def likely(self, notch: int) -> int:
        """Documents that a notch would keep, those let in counted at the later stages' present rate."""
        return round(int(self.kept[notch]) + int(self.entering[notch]) * self.later)


def compared(clause: Clause, results: Mapping[str, StatisticResult]) -> tuple[str, float] | None:
    """The operator and the number that a clause compares its one signal with: as declared, or the one figure that a
    statistic over all documents came to. None where it does something else."""
    if clause.number is not None and clause.operator in COMPARED:
        return clause.operator, clause.number
    if clause.signal is None or len(clause.statistics) != 1 or clause.statistics[0].column not in results:
        return None
    statistic = clause.statistics[0]
    operator = clause.sql.removeprefix(f'"{clause.signal}" ').removesuffix(f' "{statistic.column}"')
    groups = results[statistic.column].groups()
    if operator not in COMPARED or statistic.by is not None or statistic.kind == "top" or len(groups) != 1:
        return None
    return operator, groups[0][1]


def grid(number: float, integer: bool) -> Floats:
    """Ascending round numbers around a threshold, itself among them.

    A share (0 to 1) gets steps of 0.01, or finer ones if it is small; larger numbers get steps up to three times the
    threshold, or from a tenth of it to ten times in even ratios.
    """
    size = abs(number)
    if size == 0:
        points = np.arange(0, 51) if integer else np.linspace(-1, 1, STEPS + 1)
    elif integer and size <= 20:
        points = np.arange(0, max(20, int(3 * size)) + 1)
    elif size <= 1:
        points = _steps(1.0 if size >= 0.1 else 10 * size)
    elif size <= 20:
        points = _steps(3 * size)
    else:
        points = np.array([_round(size * 10 ** (n / (STEPS / 2) - 1)) for n in range(STEPS + 1)])
        points = np.rint(points) if integer else points
    return np.unique(np.append(math.copysign(1, number) * points if number else points, number))


class Notches:
    """Counts one clause's rows at every notch. State: rows per interval between notches, present and entering."""

    def __init__(self, operator: str, number: float, integer: bool) -> None:
        self.operator, self.number = operator, number
        self.notches = grid(number, integer)
        self.present = np.zeros(len(self.notches) + 1, np.int64)
        self.entering = np.zeros(len(self.notches) + 1, np.int64)

    def add(self, present: npt.NDArray[Any], entering: npt.NDArray[Any]) -> None:
        """Count the values of rows that are kept now, and of rows that this clause alone drops (no nulls)."""
        self.present += self._intervals(present)
        self.entering += self._intervals(entering)

    def curve(self, clause: str, later: float, last: bool) -> Curve:
        """What was counted so far."""
        now = int(np.searchsorted(self.notches, self.number))
        kept, entering = self._passing(self.present), self._passing(self.entering)
        return Curve(clause, self.operator, self.number, self.notches, now, kept, entering, later, last)

    def _intervals(self, values: npt.NDArray[Any]) -> Ints:
        """Rows per interval; a value that is a notch counts where the operator puts it. Compared in the column's own
        type, as the selection does: 0.1 as float32 is not 0.1."""
        side = "right" if self.operator in (">=", "<") else "left"
        notches = self.notches.astype(values.dtype) if values.dtype == np.float32 else self.notches
        return np.bincount(np.searchsorted(notches, values, side=side), minlength=len(self.notches) + 1)  # type: ignore[call-overload]

    def _passing(self, intervals: Ints) -> Ints:
        below = np.cumsum(intervals)[:-1]  # rows before each notch
        return below if self.operator[0] == "<" else intervals.sum() - below


class Overlaps:
    """Counts clauses that drop the same documents. `both[i, j]`: documents that fail clauses i and j; the diagonal, those that
    fail i. `alone[i]`: those that fail no other clause; `first[i]`: those that count as dropped by i. State: the counts."""

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


def _bits(flags: Flags) -> npt.NDArray[np.uint64]:
    """64 flags to a word, so that pairs of clauses are counted 64 rows at a time."""
    packed = np.packbits(flags)
    return np.pad(packed, (0, -len(packed) % 8)).view(np.uint64)


def _steps(top: float) -> Floats:
    step = _nice(top / STEPS)
    return np.array([_round(n * step, 6) for n in range(round(top / step) + 1)])


def _nice(step: float) -> float:
    """The nearest 1, 2 or 5 times a power of ten at or above `step`."""
    power = 10 ** math.floor(math.log10(step) + 1e-9)
    return float(next(n * power for n in (1, 2, 5, 10) if n * power >= step * (1 - 1e-9)))


def _round(value: float, digits: int = 2) -> float:
    return float(f"{value:.{digits}g}")
