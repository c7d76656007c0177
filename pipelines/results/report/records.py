"""The first half of a report's pass: records, whatever became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from winnow.pipelines.results.report.counts import Counts
from winnow.pipelines.results.report.figures import Amount
from winnow.pipelines.results.report.sample import Drawing
from winnow.pipelines.results.report.tally import Tally
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT
from winnow.stages.stage import Screen

if TYPE_CHECKING:
    from winnow.pipelines.results.table import Run

MOST_HOSTS, MOST_DAYS = 200_000, 20_000
"""Names that are counted at the same time; see `tally`."""

HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]+)"
DAY = r"^(\d{4}-\d{2}-\d{2})"


class Records:
    """State: hosts and days."""

    def __init__(self, run: Run, counts: Counts, drawing: Drawing) -> None:
        self.pipeline, self.counts, self.drawing = run.plan.pipeline, counts, drawing
        self.raw = self.pipeline.raw()
        self.hosts = Tally("host", ["seen", "kept"], MOST_HOSTS)
        self.days = Tally("day", ["seen", "kept"], MOST_DAYS)

    def add(self, source: str, records: pl.DataFrame, selected: npt.NDArray[np.bool_]) -> None:
        """Count records of a source, and which of them are in the selection."""
        self._ends(source, records)
        self._places(records, selected)
        self.drawing.records(records.filter(pl.col("status") == DROPPED))

    def _ends(self, name: str, records: pl.DataFrame) -> None:
        """Where records ended, with their bytes: those of pages, or of texts where the source gives no pages."""
        pages = self.pipeline.sources[name].gives == "pages"
        size = pl.col("page_bytes" if pages else "text_bytes")
        known = pl.when(size.is_not_null().any()).then(size.sum())
        for status, stage, clause, rows, total in (
            records.group_by("status", "stage", "clause").agg(pl.len(), known.alias("bytes")).iter_rows()
        ):
            steps = [name, *(n.name for n in self.raw if pages or (isinstance(n.stage, Screen) and n.stage.by_address))]
            amount = Amount(rows, None if stage == name else total)  # what a source refuses is not read
            if status != KEPT:
                self.counts.amounts[stage, "failed" if status == FAILED else clause] += amount
                steps = steps[: steps.index(stage)]
            for step in steps:
                self.counts.amounts[step, "kept"] += amount
        failed = records.filter(pl.col("status") == FAILED)
        causes = failed.group_by("stage", "value").agg(pl.len(), pl.col("url").min()).sort("stage", "value")
        for stage, cause, rows, url in causes.iter_rows():
            self.counts.failed(stage, cause, rows, url)
        for clause in (c for node in self.raw for c in node.clauses if c.name in self.counts.counters):
            lost = records.filter(pl.col("clause") == clause.name).get_column("value")
            values = lost.cast(pl.Float32, strict=False).drop_nulls().to_numpy()
            self.counts.sketches[str(clause.signal)].add(values, np.zeros(len(values), bool))
            exact = values.astype(np.float64) if self.counts.integer[str(clause.signal)] else values
            self.counts.counters[clause.name].add(exact[:0], exact)

    def _places(self, records: pl.DataFrame, selected: npt.NDArray[np.bool_]) -> None:
        """Hosts and days of all records, and of those selected."""
        frame = records.select(
            pl.col("url").str.extract(HOST).str.to_lowercase().fill_null("").alias("host"),
            pl.col("date").str.extract(DAY).fill_null("").alias("day"),
            pl.Series("kept", selected),
        )
        for key, tally in (("host", self.hosts), ("day", self.days)):
            tally.add(frame.group_by(key).agg(pl.len().alias("seen"), pl.col("kept").sum()))
