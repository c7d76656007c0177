"""A partition as a stage sees it: signals loaded on demand, each stage's verdict on each row computed once.

Used in two ways: over a stretch of rows while they are being measured (results are `put` as they come), and over a
whole partition afterwards (`PartView`, the selection, `winnow why`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import pyarrow as pa

from winnow.pipelines.plan import Partition, Plan
from winnow.pipelines.selection import KEPT, verdict
from winnow.pipelines.spec import Node
from winnow.stages.stage import Corpus

MEASURED, ERROR = "_measured", "_error"
"""Columns of every signals part: whether the row was measured, and why it failed (null if it did not)."""


class View:
    """Rows [start, start + rows) of a partition. State: the signal tables loaded or put so far, and verdicts."""

    def __init__(
        self, plan: Plan, partition: Partition, start: int, rows: int, loaded: dict[str, pa.Table] | None = None
    ) -> None:
        self.plan, self.partition, self.start, self.rows = plan, partition, start, rows
        self.loaded = {} if loaded is None else loaded  # whole parts, shared by the views of one partition
        self.tables: dict[str, pa.Table] = {}
        self.verdicts: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def put(self, stage: str, table: pa.Table) -> None:
        """Signals of a stage measured just now, aligned with the rows."""
        self.tables[stage] = table

    def table(self, stage: str) -> pa.Table:
        """The public signals of a stage under their bare names, with MEASURED and ERROR; loaded if need be."""
        if stage not in self.tables:
            if stage not in self.loaded:
                node, plan = self.plan.pipeline.nodes[stage], self.plan
                reduced = isinstance(node.stage, Corpus)
                part = plan.reduced(stage, self.partition) if reduced else plan.signals(stage, self.partition)
                self.loaded[stage] = plan.store.read(part, [*node.stage.signals(), MEASURED, ERROR])
            self.tables[stage] = self.loaded[stage].slice(self.start, self.rows)
        return self.tables[stage]

    def frame(self, signals: Sequence[str]) -> pl.DataFrame:
        """Dotted signals as columns."""
        columns = {}
        for signal in dict.fromkeys(signals):
            stage, _, bare = signal.partition(".")
            columns[signal] = pl.from_arrow(self.table(stage).column(bare))
        return pl.DataFrame(columns) if columns else pl.DataFrame({"_": np.zeros(self.rows, np.uint8)})

    def flag(self, stage: str, column: str) -> np.ndarray:
        """MEASURED, or whether ERROR is set, as booleans."""
        values = self.table(stage).column(column)
        flags = values if column == MEASURED else values.is_valid()
        return np.asarray(flags.to_numpy(zero_copy_only=False), dtype=bool)

    def seen(self, node: Node) -> np.ndarray:
        """Which rows a stage sees: those that every ancestor with clauses keeps."""
        mask = np.ones(self.rows, bool)
        for gate in self.plan.pipeline.gates(node):
            mask &= self.verdict(gate)[0] == KEPT
        if isinstance(node.stage, Corpus):
            for name in {signal.partition(".")[0] for signal in node.stage.reads()}:
                mask &= ~self.flag(name, ERROR)  # what it reads failed there, and is accounted for there
        return mask

    def verdict(self, node: Node) -> tuple[np.ndarray, np.ndarray]:
        """(status, index of the first failing clause) of every row at a stage; see `selection.verdict`."""
        if node.name not in self.verdicts:
            signals = [s for clause in node.clauses for s in clause.signals]
            failed = self.flag(node.name, ERROR)
            self.verdicts[node.name] = verdict(node.clauses, self.frame(signals), self.seen(node), failed)
        return self.verdicts[node.name]


Stretch = tuple[View, Callable[[], pa.RecordBatch]]
"""Consecutive rows of a partition, and how to get their documents; the text is read only if that is called."""


@dataclass(frozen=True)
class PartView:
    """The rows of one partition that a stage sees, as corpus and terminal stages read them (stage.Part)."""

    plan: Plan
    partition: Partition
    node: Node

    @property
    def index(self) -> int:
        """Position of the partition in the corpus."""
        return self.partition.index

    @cached_property
    def view(self) -> View:
        """The whole partition."""
        record = self.plan.store.record(self.plan.records(self.partition))
        assert record is not None, "a reduce runs only after every partition is ingested"
        return View(self.plan, self.partition, 0, record["documents"])

    @cached_property
    def errors(self) -> pa.ChunkedArray | pa.Array:
        """Why the stage's own per-document part failed, per row of the partition; null where it did not."""
        if self.node.name not in self.plan.measure:
            return pa.nulls(self.view.rows, pa.string())
        return self.plan.store.read(self.plan.signals(self.node.name, self.partition), [ERROR]).column(ERROR)

    @cached_property
    def selected(self) -> np.ndarray:
        """Row numbers (int64) that the stage sees and measured without failure, ascending."""
        sound = self.errors.is_null().to_numpy(zero_copy_only=False)
        return np.flatnonzero(self.view.seen(self.node) & sound)

    @property
    def rows(self) -> int:
        """Number of selected rows."""
        return len(self.selected)

    def read(self, columns: Sequence[str]) -> pa.Table:
        """The selected rows' columns: document columns, dotted signals, hidden columns."""
        plan, own = self.plan, self.node.name
        take = pa.array(self.selected)
        out = {}
        for column in columns:
            stage, dot, bare = column.partition(".")
            if dot:
                hidden = stage == own or not isinstance(plan.pipeline.nodes[stage].stage, Corpus)
                part = plan.signals(stage, self.partition) if hidden else plan.reduced(stage, self.partition)
            elif column.startswith("_"):
                part, bare = plan.signals(own, self.partition), column
            else:
                part, bare = plan.documents(self.partition), column
            out[column] = plan.store.read(part, [bare]).column(bare).take(take)
        return pa.table(out)
