"""The verdict of a stage's clauses on rows, and the reasons that a finished selection refers to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from winnow.pipelines.selection.clause import Clause

UNSEEN, KEPT, DROPPED, FAILED, PENDING = 0, 1, 2, 3, 4
"""Status of a row at a stage: an ancestor had dropped it; kept; dropped by a clause; the measurement failed; the stage
sees it but never measured it (only where a selection is made without measuring)."""

MULTIPLICITY = "multiplicity"
"""Name of the clause that drops a document which is to be repeated less than once."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a document is not kept: a clause of a stage, or (`clause` None) that the stage failed on it or has not measured
    it."""

    stage: str
    clause: str | None
    threshold: str | None


class Deciding(Protocol):
    """A stage that sees documents."""

    @property
    def name(self) -> str:
        """Its key in the declaration."""
        ...

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """What it keeps."""
        ...


def reasons(stages: Iterable[Deciding]) -> list[Reason]:
    """Every reason that a selection can give in which these stages decide, in order; its rows refer to them by number."""
    out: list[Reason] = []
    for node in stages:
        out.append(Reason(node.name, None, None))
        out += [Reason(node.name, clause.name, clause.threshold) for clause in node.clauses]
        out.append(Reason(node.name, f"{node.name}.{MULTIPLICITY}", "> hash(seed, id)"))
    return out


def holds(clauses: Sequence[Clause], frame: pl.DataFrame) -> list[npt.NDArray[np.bool_]]:
    """For every clause, whether it keeps each row; a null clause does not."""
    if not clauses:
        return []
    columns = frame.select(c.expr().alias(str(i)) for i, c in enumerate(clauses))
    out = []
    for column in columns:
        values = column.to_numpy()
        out.append(values if len(values) == len(frame) else np.full(len(frame), bool(values[0])))
    return out


def verdict(
    keeps: Sequence[npt.NDArray[np.bool_]],
    seen: npt.NDArray[np.bool_],
    failed: npt.NDArray[np.bool_],
    measured: npt.NDArray[np.bool_] | None = None,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
    """Status of every row at a stage, and the index of the first clause that drops it (-1 for none)."""
    status = seen.astype(np.uint8)  # KEPT or UNSEEN
    if measured is not None:
        status[seen & ~measured] = PENDING
    status[seen & failed] = FAILED
    first = np.full(len(seen), -1, np.int16)
    open_rows = status == KEPT
    for index, keep in enumerate(keeps):
        lost = open_rows & ~keep
        first[lost] = index
        open_rows &= keep
    status[first >= 0] = DROPPED
    return status, first


def explain(clauses: Sequence[Clause], frame: pl.DataFrame, first: npt.NDArray[np.int16]) -> pl.DataFrame:
    """Columns clause, value, threshold (strings; null where `first` is -1), aligned with `frame`."""
    index = pl.Series("first", first)
    out = pl.DataFrame({"clause": [None] * len(frame), "value": None, "threshold": None}, _REASON)
    for i in np.unique(first[first >= 0]):
        clause, hit = clauses[i], index == i
        value = frame.select(clause.value().alias("value")).get_column("value")
        out = out.with_columns(
            pl.when(hit).then(pl.lit(clause.name)).otherwise("clause").alias("clause"),
            pl.when(hit).then(value).otherwise("value").alias("value"),
            pl.when(hit).then(pl.lit(clause.threshold)).otherwise("threshold").alias("threshold"),
        )
    return out


_REASON = {"clause": pl.String, "value": pl.String, "threshold": pl.String}
