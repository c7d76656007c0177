"""The second half of a report's pass: documents, stage by stage, reading columns and no text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from winnow.pipelines.engine.view import ERROR
from winnow.pipelines.results.report.counts import Counts
from winnow.pipelines.results.report.figures import Amount, Overlap
from winnow.pipelines.results.report.sample import Drawing
from winnow.pipelines.results.report.tally import Tally
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT, MULTIPLICITY, PENDING, UNSEEN
from winnow.stages.stage import Map

if TYPE_CHECKING:
    from winnow.pipelines.engine.graph import Node
    from winnow.pipelines.results.report.stretch import Stretch
    from winnow.pipelines.results.table import Run

Flags = npt.NDArray[np.bool_]

MOST_LABELS = 2_000
"""Values of a string signal that are counted at the same time; see `tally`."""


class Overlaps:
    """Counts which clauses fail on the same documents. State: the counts."""

    def __init__(self, clauses: Sequence[str]) -> None:
        self.clauses = tuple(clauses)
        size = len(self.clauses)
        self.both = np.zeros((size, size), np.int64)
        self.alone, self.first = np.zeros(size, np.int64), np.zeros(size, np.int64)

    def add(self, failing: Sequence[tuple[int, Flags]], failures: npt.NDArray[np.uint16]) -> None:
        """Count documents: clauses (by number) with the rows that fail them, and how many each row fails in all."""
        if not failing:
            return
        columns = [column for column, _ in failing]
        bits = np.stack([_bits(fails) for _, fails in failing])
        for column, row in zip(columns, bits, strict=True):
            self.both[column, columns] += np.bitwise_count(bits & row).sum(axis=1, dtype=np.int64)
        self.alone[columns] += np.bitwise_count(bits & _bits(failures == 1)).sum(axis=1, dtype=np.int64)

    def overlap(self) -> Overlap:
        """What was counted so far."""
        return Overlap(self.clauses, self.both, self.alone, self.first)


def _bits(flags: Flags) -> npt.NDArray[np.uint64]:
    """64 flags to a word, so that pairs of clauses are counted 64 rows at a time."""
    packed = np.packbits(flags)
    return np.pad(packed, (0, -len(packed) % 8)).view(np.uint64)


class Documents:
    """State: everything that is counted over documents."""

    def __init__(self, run: Run, counts: Counts, drawing: Drawing) -> None:
        pipeline = run.plan.pipeline
        self.counts, self.drawing = counts, drawing
        self.nodes, self.raw, self.all = pipeline.measured(), pipeline.raw(), list(pipeline.nodes.values())
        terminal = pipeline.terminal()
        self.tokens = f"{terminal.name}.tokens" if terminal else None
        names = [clause.name for node in self.nodes for clause in node.clauses]
        self.column = {name: n for n, name in enumerate(names)}
        self.overlaps = Overlaps(names)
        self.selection = Amount()
        self.sizes: dict[str, dict[int, int]] = {}
        self.labels = {
            f"{node.name}.{name}": Tally("value", ["seen", "kept", "copies", "tokens"], MOST_LABELS)
            for node in self.all
            if isinstance(node.stage, Map) or node in self.raw
            for name, kind in node.stage.signals().items()
            if pa.types.is_string(kind) or pa.types.is_large_string(kind)
        }

    def add(self, view: Stretch, decided: pl.DataFrame) -> None:
        """Count a stretch of documents, and what the selection says of each."""
        records = view.records
        kept = decided.get_column("status").to_numpy() == KEPT
        reason = decided.get_column("reason").to_numpy()
        copies = decided.get_column("multiplicity").to_numpy()
        size = records.get_column("text_bytes").fill_null(0).to_numpy()
        tokens = np.full(view.rows, np.nan)
        if self.tokens:
            tokens = view.frame([self.tokens]).to_series().cast(pl.Float64).to_numpy()
        counted = ~np.isnan(tokens)
        weights = (size, np.where(counted, tokens, 0), np.where(counted, 0, size))
        self.selection += Amount(int(kept.sum()), *(int(w[kept].sum()) for w in weights))
        failing: list[tuple[int, Flags]] = []
        failures, lost = np.zeros(view.rows, np.uint16), np.zeros(view.rows, np.uint8)
        for node in self.nodes:
            status, first = view.verdict(node)
            self._amounts(node, status, first, reason, weights)
            dropped = status == DROPPED
            lost += dropped | (status == FAILED) | (status == PENDING)
            if (status == FAILED).any():
                self._causes(view, node, status == FAILED, records)
            if not dropped.any():
                continue
            for clause, holds in zip(node.clauses, view.holds(node), strict=True):
                fails = dropped & ~holds
                if fails.any():
                    failing.append((self.column[clause.name], fails))
                    failures += fails
            numbers = [self.column[clause.name] for clause in node.clauses]
            self.overlaps.first[numbers] += np.bincount(first[dropped], minlength=len(numbers))
        self.overlaps.add(failing, failures)
        single = (failures == 1) & (lost == 1)
        alone = {column: fails & single for column, fails in failing}
        weighted = {"copies": copies, "tokens": weights[1].astype(np.int64) * copies}
        for node in self.all:
            self._signals(view, node, kept, alone, weighted)
        self.drawing.documents(view, reason, kept)

    def _amounts(
        self,
        node: Node,
        status: npt.NDArray[np.uint8],
        first: npt.NDArray[np.int16],
        reason: npt.NDArray[np.int16],
        weights: Sequence[npt.NDArray[Any]],
    ) -> None:
        names = ["kept", "failed", "unmeasured", f"{node.name}.{MULTIPLICITY}", *(c.name for c in node.clauses)]
        code = np.zeros(len(status), np.int16)
        code[status == FAILED] = 1
        code[status == PENDING] = 2
        number = self.drawing.number.get((node.name, names[3]))
        if number is not None:
            code[(status == KEPT) & (reason == number)] = 3
        dropped = status == DROPPED
        code[dropped] = first[dropped] + 4
        seen = status != UNSEEN
        code = code[seen]
        rows = np.bincount(code, minlength=len(names))
        sums = [np.bincount(code, weights=w[seen], minlength=len(names)) for w in weights]
        for n in np.flatnonzero(rows):
            self.counts.amounts[node.name, names[n]] += Amount(int(rows[n]), *(int(s[n]) for s in sums))

    def _causes(self, view: Stretch, node: Node, failed: Flags, records: pl.DataFrame) -> None:
        mask = pl.Series(failed)
        cause = pl.Series("cause", view.table(node.name).column(ERROR)).filter(mask)
        frame = pl.DataFrame({"cause": cause, "url": records.get_column("url").filter(mask)})
        for text, rows, url in frame.group_by("cause").agg(pl.len(), pl.col("url").min()).sort("cause").iter_rows():
            self.counts.failed(node.name, text, rows, url)

    def _signals(
        self, view: Stretch, node: Node, kept: Flags, alone: dict[int, Flags], weights: dict[str, npt.NDArray[Any]]
    ) -> None:
        names = [f"{node.name}.{name}" for name in node.stage.signals()]
        if not names:
            return
        frame = view.frame(names)
        seen = np.ones(view.rows, bool) if node in self.raw else view.seen(node)
        rows, everything = np.flatnonzero(kept), bool(seen.all())
        among = kept if everything else kept[seen]
        for name in names:
            column = frame.get_column(name)
            if name in self.counts.sketches:
                values = column.cast(pl.Float32).to_numpy()
                self.counts.sketches[name].add(values if everything else values[seen], among)
                clauses = [clause for _, clause in self.counts.judges.get(name, ())]
                exact = (
                    column.cast(pl.Float64).to_numpy() if clauses and self.counts.integer[name] else column.to_numpy()
                )
                for clause in clauses:
                    mask = alone.get(self.column.get(clause.name, -1))
                    entering = exact[:0] if mask is None else exact[mask]
                    self.counts.counters[clause.name].add(exact[rows], entering[~np.isnan(entering)])
            elif name in self.labels:
                self.labels[name].add(pl.DataFrame({"value": column, "seen": seen, "kept": kept, **weights}))
        if {f"{node.name}.copies", f"{node.name}.representative"} <= set(names):
            chosen = frame.get_column(f"{node.name}.representative").fill_null(False).to_numpy() & seen
            into = self.sizes.setdefault(node.name, defaultdict(int))
            copies = frame.get_column(f"{node.name}.copies").fill_null(0).to_numpy()[chosen]
            for size, clusters in zip(*np.unique(copies, return_counts=True), strict=True):
                into[int(size)] += int(clusters)
