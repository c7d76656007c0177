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
from winnow.stages.stage import Corpus, StageError

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
                part = plan.public(node, self.partition)
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
        """(status, index of the first failing clause) of every row at a stage; see `selection.verdict`.

        Raises StageError where a row that the stage sees was never measured.
        """
        if node.name not in self.verdicts:
            signals = [s for clause in node.clauses for s in clause.signals]
            seen, failed = self.seen(node), self.flag(node.name, ERROR)
            self.check_measured(node, seen, self.flag(node.name, MEASURED) | failed)
            self.verdicts[node.name] = verdict(node.clauses, self.frame(signals), seen, failed)
        return self.verdicts[node.name]

    def check_measured(self, node: Node, seen: np.ndarray, measured: np.ndarray) -> None:
        """Refuses to decide on rows that were never measured, and takes back the claim that they were.

        A worker that outlives its killed driver can put an older part back over a newer one; the next run looks again.
        """
        if lost := int((seen & ~measured).sum()):
            plan = self.plan
            plan.store.remove(plan.covered(node.name) if node.name in plan.measure else plan.reduce_done(node.name))
            raise StageError(
                f"{node.name}: {lost} of {int(seen.sum())} rows of partition {self.partition.key} were never measured; "
                "run again to measure them"
            )


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

    @property
    def view(self) -> View:
        """The whole partition, loaded anew: a corpus stage visits thousands, and must not hold their signals."""
        return View(self.plan, self.partition, 0, self.documents)

    @cached_property
    def documents(self) -> int:
        """Number of documents of the partition, selected or not."""
        record = self.plan.store.record(self.plan.records(self.partition))
        assert record is not None, "a reduce runs only after every partition is ingested"
        return int(record["documents"])

    @property
    def errors(self) -> pa.ChunkedArray | pa.Array:
        """Why the stage's own per-document part failed, per row of the partition; null where it did not."""
        if self.node.name not in self.plan.measure:
            return pa.nulls(self.documents, pa.string())
        return self.plan.store.read(self.plan.signals(self.node.name, self.partition), [ERROR]).column(ERROR)

    @cached_property
    def selected(self) -> np.ndarray:
        """Row numbers (uint32, 4 bytes a document) that the stage sees and measured without failure, ascending."""
        view = self.view
        seen = view.seen(self.node)
        if self.node.name in self.plan.measure:
            own = self.plan.store.read(self.plan.signals(self.node.name, self.partition), [MEASURED, ERROR])
            sound = np.asarray(own.column(ERROR).is_null().to_numpy(zero_copy_only=False), bool)
            measured = np.asarray(own.column(MEASURED).to_numpy(zero_copy_only=False), bool)
            view.check_measured(self.node, seen, measured)
            seen &= sound
        return np.flatnonzero(seen).astype(np.uint32)

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
