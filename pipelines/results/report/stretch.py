"""Documents of several partitions at once, so that a crawl in thousands of small files does not cost a report thousands
of small steps. Only columns are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from winnow.pipelines.engine.view import ERROR, MEASURED, View, read_signals
from winnow.pipelines.selection.verdict import KEPT
from winnow.stages.stage import StageError

if TYPE_CHECKING:
    from winnow.pipelines.engine.graph import Node
    from winnow.pipelines.engine.inputs import Partition
    from winnow.pipelines.results.table import Run
from winnow.pipelines.engine.plan import Plan

ROWS = 1 << 16
"""Documents after which a stretch ends; a partition is never cut."""

RECORD = ["id", "url", "date", "status", "stage", "clause", "value", "threshold", "page_bytes", "text_bytes"]


class Stretch(View):
    """Consecutive partitions of one source. State: as of a view; `records` are those that became its documents.

    `all_records` has every record, in order, whatever became of it. Reading one changes nothing in the run: rows that
    were never measured are an error, unless the plan allows them.
    """

    def __init__(self, plan: Plan, partitions: Sequence[Partition], all_records: pl.DataFrame) -> None:
        self.all_records = all_records
        self.became = all_records.get_column("status").to_numpy() == KEPT
        self.records = all_records.filter(pl.Series(self.became))
        self.partitions = tuple(partitions)
        super().__init__(plan, self.partitions[0], 0, len(self.records))
        sizes = [plan.ingested(p)["documents"] for p in self.partitions]
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.filled = [p for p, size in zip(self.partitions, sizes, strict=True) if size]

    def place(self, row: int) -> tuple[Partition, int]:
        """The partition that a row lies in, and its position there."""
        at = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.partitions[at], row - int(self.starts[at])

    def table(self, stage: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Every public signal of a stage, read once whatever is asked for first."""
        if stage not in self.tables:
            node = self.plan.pipeline.nodes[stage]
            wanted = [*node.stage.signals(), MEASURED, ERROR]
            tables = pa.concat_tables(read_signals(self.plan, node, p, wanted) for p in self.filled)
            self.tables[stage] = tables.combine_chunks()
        return self.tables[stage]

    def documents(self, columns: Sequence[str]) -> pl.DataFrame:
        """Columns of the documents that their records have: id, url, date, text_bytes."""
        return self.records.select(columns)

    def decided(self) -> pl.DataFrame:
        """The finished selection of the rows: status, multiplicity, reason."""
        tables = [self.plan.store.read(self.plan.selected(p)) for p in self.filled]
        return pl.DataFrame(pl.from_arrow(pa.concat_tables(tables).combine_chunks()))

    def check_measured(self, node: Node, seen: npt.NDArray[np.bool_], measured: npt.NDArray[np.bool_]) -> None:
        """Refuses to report on rows that were never measured."""
        if lost := int((seen & ~measured).sum()):
            raise StageError(
                f"{node.name}: {lost} of {int(seen.sum())} rows were never measured; run again to measure them"
            )

    def _bytes(self) -> npt.NDArray[np.int64]:
        return self.records.get_column("text_bytes").to_numpy()


def stretches(
    run: Run, columns: Sequence[str] = RECORD, stages: Sequence[str] = (), rows: int = ROWS
) -> Iterator[Stretch]:
    """All partitions of a run in order, those without documents too, in stretches of about so many records.

    `columns`: of the records, `status` among them. `stages`: those whose signals will be wanted; they are read, with the
    records, while the caller still works on the stretch before. Runs over the same partitions give the same stretches.
    """

    def read(partitions: Sequence[Partition]) -> Stretch:
        records = pa.concat_tables(run.plan.store.read(run.plan.records(p), columns) for p in partitions)
        stretch = Stretch(run.plan, partitions, pl.DataFrame(pl.from_arrow(records.combine_chunks())))
        for stage in stages if stretch.rows else ():
            stretch.table(stage)
        return stretch

    with ThreadPoolExecutor(1) as ahead:
        following: Future[Stretch] | None = None
        for partitions in _grouped(run.plan, rows):
            ready, following = following, ahead.submit(read, partitions)
            if ready is not None:
                yield ready.result()
        if following is not None:
            yield following.result()


def _grouped(plan: Plan, rows: int) -> Iterator[list[Partition]]:
    """Consecutive partitions of one source that have about so many records together."""
    waiting: list[Partition] = []
    records = 0
    for partition in plan.partitions:
        if waiting and (waiting[0].source != partition.source or records >= rows):
            yield waiting
            waiting, records = [], 0
        waiting.append(partition)
        records += int(plan.ingested(partition)["rows"])
    if waiting:
        yield waiting
