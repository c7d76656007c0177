"""What was decided about a document: the status, and for one that is not kept the stage, clause, value and threshold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.view import ERROR, View
from winnow.pipelines.results.table import Run
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT, PENDING, UNSEEN, reasons

WORDS = {UNSEEN: "not reached", KEPT: "kept", DROPPED: "dropped", FAILED: "failed", PENDING: "pending"}
"""The statuses of `selection.verdict` as people read them."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`status`: kept, dropped, failed or pending. `multiplicity`: copies in the corpus. For what failed `value` is the
    cause, for what is pending stage is the first that has not decided on it, None where all have that did their work."""

    status: str
    multiplicity: int
    stage: str | None = None
    clause: str | None = None
    value: str | None = None
    threshold: str | None = None

    def sentence(self) -> str:
        """One line for people."""
        if self.status == "kept":
            return f"kept, multiplicity {self.multiplicity}"
        if self.status == "dropped":
            return (
                f"dropped by {self.clause}" + (f": {self.value}" if self.value else "") + f", expected {self.threshold}"
            )
        if self.status == "failed":
            return f"failed at {self.stage}: {self.value}"
        if self.stage is None:
            return "pending: no stage so far drops it, and the run did not finish"
        return f"pending: {self.stage} has not decided on it"


def reading(run: Run) -> Run:
    """The run for those who only read it: what lacks a measurement is pending, in a provisional selection and after
    damage, and no claim is taken back."""
    return replace(run, plan=replace(run.plan, allow_unmeasured=True))


def whole(run: Run, partition: Partition) -> View:
    """All documents of a partition."""
    return View(run.plan, partition, 0, run.plan.ingested(partition)["documents"])


def of_record(row: Mapping[str, Any]) -> Decision:
    """What a row of the records says that never became a document."""
    return Decision(WORDS[row["status"]], 0, row["stage"], row["clause"], row["value"], row["threshold"])


def decisions(run: Run, view: View, rows: Sequence[int]) -> list[Decision]:
    """What the selection says about rows of a partition's whole view, in their order."""
    table = view.decided()[list(rows)]
    named = reasons(run.plan.pipeline)
    grouped: dict[int, list[int]] = defaultdict(list)
    for at, reason in enumerate(table.get_column("reason").to_list()):
        grouped[reason].append(at)
    status, copies = table.get_column("status").to_list(), table.get_column("multiplicity").to_list()
    out: list[Decision] = [Decision(WORDS[s], c) for s, c in zip(status, copies, strict=True)]
    for number, places in grouped.items():
        if number < 0:
            continue
        why = named[number]
        values = _values(run, view, number, [rows[at] for at in places], [status[at] for at in places])
        for at, value in zip(places, values, strict=True):
            out[at] = replace(out[at], stage=why.stage, clause=why.clause, value=value, threshold=why.threshold)
    return out


def _values(run: Run, view: View, number: int, rows: list[int], status: list[int]) -> list[str | None]:
    pipeline = run.plan.pipeline
    why = reasons(pipeline)[number]
    node = pipeline.nodes[why.stage]
    if why.clause is None:
        causes = view.table(node.name, []).column(ERROR).to_pylist() if FAILED in status else []
        return [causes[row] if s == FAILED else None for row, s in zip(rows, status, strict=True)]
    for clause in node.clauses:
        if clause.name == why.clause:
            values = view.frame(clause.signals)[rows].select(clause.value().alias("value")).get_column("value")
            return values.to_list() if len(values) == len(rows) else values.to_list() * len(rows)
    factors = view.multiplicity([n for n in pipeline.measured() if n.repeats])
    assert factors is not None, "a stage that repeats documents says how often"
    return pl.Series(factors[rows].astype(np.float32)).cast(pl.String).to_list()
