"""Two selections side by side, document by document.

Selections of one folder and one ingest have the same rows in the same order, so their partitions are laid beside each
other one at a time. Other runs are joined by document id, which holds about 100 bytes per record of both in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.results.decision import whole
from winnow.pipelines.results.find import records
from winnow.pipelines.results.table import Run
from winnow.pipelines.selection.verdict import FAILED, KEPT, PENDING, reasons

COLUMNS = {
    "part": pl.Int32,
    "row": pl.Int64,
    "number": pl.Int64,
    "copies": pl.Int64,
    "tokens": pl.Int64,
    "why": pl.Int32,
}
"""Of each side, prefixed `a_` and `b_`, null where it has no such record. `part`: index of the partition; `row` and
`number`: position among its documents (-1: it is none) and records; `copies`: in the corpus; `tokens`: of one copy,
null where they were not measured; `why`: number of the label that says what became of it."""


PENDING_SUFFIX = " (pending)"
"""Ends the label of what a stage never measured."""


@dataclass(slots=True)
class Labels:
    """What can become of a record of one side. State: the labels met so far, numbered."""

    names: list[str] = field(default_factory=lambda: ["kept"])
    numbers: dict[str, int] = field(default_factory=lambda: {"kept": 0})

    def number(self, name: str) -> int:
        """The number of a label, a new one if need be."""
        if name not in self.numbers:
            self.numbers[name] = len(self.names)
            self.names.append(name)
        return self.numbers[name]

    def pending(self) -> list[int]:
        """The numbers of labels that mean: not decided."""
        return [number for number, name in enumerate(self.names) if name.endswith(PENDING_SUFFIX)]


def aligned(a: Run, b: Run) -> bool:
    """Whether the rows of two selections are the same documents in the same order."""
    same_input = [p.key for p in a.plan.partitions] == [p.key for p in b.plan.partitions]
    return a.plan.store.root == b.plan.store.root and a.plan.ingest == b.plan.ingest and same_input


def pairs(a: Run, b: Run, labels_a: Labels, labels_b: Labels) -> Iterator[pl.DataFrame]:
    """Frames of COLUMNS of both sides: one per partition where rows align, else one for all."""
    if aligned(a, b):
        for pa_, pb in zip(a.plan.partitions, b.plan.partitions, strict=True):
            left, right = _side(a, pa_, labels_a, ids=False), _side(b, pb, labels_b, ids=False)
            yield pl.concat([_prefixed(left, "a_"), _prefixed(right, "b_")], how="horizontal")
        return
    left, right = (
        pl.concat([_side(run, p, labels, ids=True) for p in run.plan.partitions])
        for run, labels in ((a, labels_a), (b, labels_b))
    )
    keys = ["id", "nth"]
    left, right = (
        f.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).over("id").alias("nth")) for f in (left, right)
    )
    both = _prefixed(left, "a_", keys).join(_prefixed(right, "b_", keys), on=keys, how="full", coalesce=True)
    yield both.sort("a_part", "a_number", "b_part", "b_number").drop(keys)


def _prefixed(frame: pl.DataFrame, prefix: str, but: list[str] | None = None) -> pl.DataFrame:
    return frame.rename({c: f"{prefix}{c}" for c in frame.columns if c not in (but or [])})


def _side(run: Run, partition: Partition, labels: Labels, ids: bool) -> pl.DataFrame:
    """COLUMNS of every record of a partition, in order; with `ids` also their `id`."""
    table = records(run, partition)
    became = (table.get_column("status") == KEPT).to_numpy()
    copies, tokens, why = (
        np.zeros(len(table), np.int64),
        np.full(len(table), -1, np.int64),
        np.zeros(len(table), np.int32),
    )
    for (stage, clause, status), number in _refusals(table, labels).items():
        at = table.select(
            ((pl.col("stage") == stage) & pl.col("clause").eq_missing(clause) & (pl.col("status") == status)).fill_null(
                False
            )
        ).to_series()
        why[at.to_numpy()] = number
    view = whole(run, partition)
    if view.rows:
        decided = view.decided()
        copies[became] = decided.get_column("multiplicity").to_numpy()
        why[became] = _whys(run, decided, labels)
        terminal = run.plan.pipeline.terminal()
        if terminal is not None:
            lengths = view.frame([f"{terminal.name}.tokens"]).to_series().cast(pl.Int64).fill_null(-1)
            tokens[became] = lengths.to_numpy()
    out = pl.DataFrame(
        {
            "part": np.full(len(table), partition.index, np.int32),
            "row": table.get_column("row"),
            "number": np.arange(len(table)),
            "copies": copies,
            "tokens": pl.Series(tokens).replace(-1, None),
            "why": why,
        },
        schema=COLUMNS,
    )
    return out.with_columns(table.get_column("id").fill_null("")) if ids else out


def _refusals(table: pl.DataFrame, labels: Labels) -> dict[tuple[str, str | None, int], int]:
    """The labels of records that never became documents, by stage, clause and status."""
    lost = table.filter(pl.col("status") != KEPT).select("stage", "clause", "status").unique(maintain_order=True)
    return {
        (stage, clause, status): labels.number(clause if clause is not None else f"{stage} (failed)")
        for stage, clause, status in lost.rows()
    }


def _whys(run: Run, decided: pl.DataFrame, labels: Labels) -> np.ndarray:
    """The label number of each document."""
    named = reasons(run.plan.pipeline)
    out = np.zeros(len(decided), np.int32)
    reason, status = decided.get_column("reason").to_numpy(), decided.get_column("status").to_numpy()
    for number in np.unique(reason[reason >= 0]):
        why, here = named[number], reason == number
        if why.clause is not None:
            out[here] = labels.number(why.clause)
            continue
        for code, suffix in ((FAILED, " (failed)"), (PENDING, PENDING_SUFFIX)):
            mine = here & (status == code)
            if mine.any():
                out[mine] = labels.number(f"{why.stage}{suffix}")
    return out
