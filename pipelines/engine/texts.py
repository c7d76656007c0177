"""Documents as a stage sees them: the rows that it sees, and their texts with the edits of the stages above it applied.

A text is stored once. Stages that change texts store what to change (`filters/edits.py`), and whoever reads a text says
whose edits it should have: those above a stage for what that stage sees, all of them for what is handed off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from winnow.filters.edits import apply_column
from winnow.pipelines.engine.frame import PartitionFrame
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.signals import ERROR, MEASURED, read_signals
from winnow.pipelines.engine.store import BATCH_ROWS
from winnow.pipelines.selection.statistics import Population
from winnow.stages.base import EDITED, RETITLED, StageError

CONTENT = ("text", "title")
"""The columns of documents that edits change."""


def hidden(plan: Plan, editor: str) -> list[str]:
    """The columns in which a stage says what to change."""
    titles = plan.pipeline.nodes[editor].stage.outputs.titles
    return [EDITED, RETITLED] if titles else [EDITED]


class EditedBatches:
    """The documents of a view as each of its stages sees them. State: the versions made so far, by their editors."""

    def __init__(self, plan: Plan, view: PartitionFrame, stored: Callable[[], pa.RecordBatch]) -> None:
        self.plan, self.view, self.stored = plan, view, stored
        self.made: dict[tuple[str, ...], pa.RecordBatch] = {}

    def seen_by(self, stage: str) -> pa.RecordBatch:
        """The documents that a stage sees, all rows of the view."""
        return self._edited(self.plan.pipeline.nodes[stage].edited_by)

    def check(self, stage: str, rows: npt.NDArray[np.intp]) -> None:
        """Raises StageError where the text that a stage is to measure was given up."""
        view = self.view
        record = None if view.batch is not None else self.plan.store.record(self.plan.documents(view.partition))
        if record is None or "freed" not in record:
            return
        now = np.asarray(pc.binary_length(self._edited(()).column("text")).to_numpy(zero_copy_only=False))[rows]
        before = view.documents(["text_bytes"]).get_column("text_bytes").to_numpy()[rows]
        if lost := int(((now == 0) & (before > 0)).sum()):
            raise StageError(
                f"{stage}: {lost:,} documents of partition {view.partition.key} have no text any more, because an earlier run "
                "had 'rejected: metadata'; run in another folder to read them again"
            )

    def _edited(self, editors: tuple[str, ...]) -> pa.RecordBatch:
        if editors not in self.made:
            if not editors:
                self.made[editors] = self.stored()
            else:
                changes = self.view.table(editors[-1], hidden(self.plan, editors[-1]))
                self.made[editors] = _changed(self._edited(editors[:-1]), changes)
        return self.made[editors]


class Reader:
    """A partition's documents, one batch of BATCH_ROWS at a time, texts and titles with these stages' edits. State: the
    open part and the edits."""

    def __init__(self, plan: Plan, partition: Partition, columns: Sequence[str], editors: Sequence[str]) -> None:
        self.stored = plan.store.reader(plan.documents(partition), columns)
        nodes = [plan.pipeline.nodes[editor] for editor in editors if any(column in CONTENT for column in columns)]
        self.changes = [read_signals(plan, node, partition, hidden(plan, node.name)) for node in nodes]

    @property
    def batches(self) -> int:
        """Number of batches."""
        return int(self.stored.num_record_batches)

    def batch(self, number: int) -> pa.RecordBatch:
        """One batch."""
        found = self.stored.get_batch(number)
        for changes in self.changes:
            found = _changed(found, changes.slice(number * BATCH_ROWS, found.num_rows))
        return found

    def table(self) -> pa.Table:
        """All of them."""
        found = self.stored.read_all()
        for changes in self.changes:
            found = _changed(found, changes)
        return found


def _changed(documents: pa.RecordBatch | pa.Table, changes: pa.Table) -> pa.RecordBatch | pa.Table:
    """The documents with one stage's edits, row-aligned."""
    names = documents.schema.names
    if "text" in names:
        text, edits = (_whole(column) for column in (documents.column("text"), changes.column(EDITED)))
        documents = documents.set_column(names.index("text"), "text", apply_column(text, edits))
    if "title" in names and RETITLED in changes.schema.names:
        title = pc.coalesce(_whole(changes.column(RETITLED)), _whole(documents.column("title")))
        documents = documents.set_column(names.index("title"), "title", title)
    return documents


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


@dataclass(frozen=True)
class SelectedRows:
    """The rows of one partition that a stage sees, as corpus and terminal stages read them (stage.Part)."""

    plan: Plan
    partition: Partition
    node: Node

    @property
    def index(self) -> int:
        """Position of the partition in the corpus."""
        return self.partition.index

    @property
    def view(self) -> PartitionFrame:
        """The whole partition, loaded anew: a corpus stage visits thousands, and must not hold their signals."""
        return PartitionFrame(self.plan, self.partition, 0, self.documents)

    @cached_property
    def documents(self) -> int:
        """Number of documents of the partition, selected or not."""
        return int(self.plan.ingested(self.partition)["documents"])

    @property
    def errors(self) -> pa.ChunkedArray | pa.Array:
        """Why the stage's own per-document part failed, per row of the partition; null where it did not."""
        if not self.node.measures:
            return pa.nulls(self.documents, pa.string())
        return read_signals(self.plan, self.node, self.partition, [ERROR], own=True).column(ERROR)

    @cached_property
    def selected(self) -> npt.NDArray[np.uint32]:
        """Row numbers (uint32, 4 bytes a document) that the stage sees and measured without failure, ascending."""
        view = self.view
        seen = view.seen(self.node)
        for name in self.node.reads() if not self.plan.allow_unmeasured else ():
            read = self.plan.pipeline.nodes[name]
            if not read.raw:
                view.check_measured(read, seen, view.flag(name, MEASURED) | view.flag(name, ERROR))
        if self.node.measures:
            own = read_signals(self.plan, self.node, self.partition, [MEASURED, ERROR], own=True)
            sound = np.asarray(own.column(ERROR).is_null().to_numpy(zero_copy_only=False), bool)
            measured = np.asarray(own.column(MEASURED).to_numpy(zero_copy_only=False), bool)
            if not self.plan.allow_unmeasured:
                view.check_measured(self.node, seen, measured)
            seen &= sound & measured
        return np.flatnonzero(seen).astype(np.uint32)

    @property
    def rows(self) -> int:
        """Number of selected rows."""
        return len(self.selected)

    def read(self, columns: Sequence[str]) -> pa.Table:
        """The selected rows' columns: document columns, dotted signals, hidden columns, `multiplicity`."""
        plan, own = self.plan, self.node.name
        take = pa.array(self.selected)
        out: dict[str, Any] = {}
        for column in columns:
            stage, dot, bare = column.partition(".")
            if column == "multiplicity":
                out[column] = self._multiplicity()
                continue
            if not dot and not column.startswith("_"):
                table = Reader(plan, self.partition, [column], self.node.edited_by).table()
                out[column] = table.column(column).take(take)
                continue
            stage, bare = (stage, bare) if dot else (own, column)
            table = read_signals(plan, plan.pipeline.nodes[stage], self.partition, [bare], own=stage == own)
            out[column] = table.column(bare).take(take)
        return pa.table(out)

    def _multiplicity(self) -> pa.Array:
        before = [self.plan.pipeline.nodes[name] for name in self.node.ancestors]
        value = self.view.multiplicity([n for n in before if n.repeats])
        return pa.array(np.ones(self.rows) if value is None else value[self.selected], pa.float64())


REMEMBERED_BYTES = 2**28
"""Every pass of statistics asks for the same columns of every partition again. A process keeps so much of them, 10 to 40 bytes a
document, and reads the others anew, so memory does not grow with the corpus."""

_REMEMBERED: dict[tuple[str, ...], tuple[Population, int]] = {}
_LOCK = Lock()


def population(view: PartitionFrame, node: Node) -> Population:
    """The population of a stage in a view's partition. Raises Unmeasured where it is not all measured."""
    name = (view.plan.store.root, view.plan.statistics(node.name), view.partition.key)
    if (remembered := _REMEMBERED.get(name)) is not None:
        return remembered[0]
    found = _look_up(view, node)
    with _LOCK:
        for old in [n for n in _REMEMBERED if n[:2] != name[:2]]:  # an earlier statistic's
            del _REMEMBERED[old]
        if sum(size for _, size in _REMEMBERED.values()) + found.bytes <= REMEMBERED_BYTES:
            _REMEMBERED[name] = (found, found.bytes)
    return found


def _look_up(view: PartitionFrame, node: Node) -> Population:
    seen, failed = view.seen(node), view.flag(node.name, ERROR)
    measured = view.flag(node.name, MEASURED)
    if not view.plan.allow_unmeasured:
        view.check_measured(node, seen, measured | failed)
        view.check_read(node, seen & ~failed)
    mask = seen & measured & ~failed
    frame = view.inputs([clause for clause in node.clauses if clause.statistics], computed=False)
    return Population(np.packbits(mask), frame.filter(pl.Series(mask)))
