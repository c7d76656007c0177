"""A partition as a corpus or terminal stage reads it: the rows that the stage sees, columns loaded on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.texts import read_documents
from winnow.pipelines.engine.view import ERROR, MEASURED, View, read_signals


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
                table = read_documents(plan, self.partition, [column], self.node.edited_by)
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
