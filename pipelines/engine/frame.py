"""A partition as a stage sees it: signals loaded on demand, each stage's verdict on each row computed once.

Used in two ways: over a stretch of rows while they are being measured (results are `put` as they come), and over a
whole partition afterwards (`SelectedRows`, the selection, everything that explains one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from winnow.filters import hash_random
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.signals import ERROR, MEASURED, Unmeasured, read_signals
from winnow.pipelines.engine.store import Store
from winnow.pipelines.engine.tasks import Kind
from winnow.pipelines.selection.clause import BYTES, GUMBEL, UNIFORM, Clause, compiled
from winnow.pipelines.selection.statistic_result import StatisticResult
from winnow.pipelines.selection.statistics import apply
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT, PENDING, holds, verdict
from winnow.stages.base import StageError

Mask = npt.NDArray[np.bool_]


class PartitionFrame:
    """Rows [start, start + rows) of a partition. State: the signal tables loaded or put so far, and verdicts.

    Where the plan allows unmeasured rows, one that a stage sees but never measured is PENDING there rather than an error.
    """

    def __init__(
        self,
        plan: Plan,
        partition: Partition,
        start: int,
        rows: int,
        loaded: dict[str, pa.Table] | None = None,
        batch: pa.RecordBatch | None = None,
    ) -> None:
        self.plan, self.partition, self.start, self.rows = plan, partition, start, rows
        self.loaded = {} if loaded is None else loaded  # whole parts, shared by the views of one partition
        self.batch = batch  # the documents of the rows, where they are at hand
        self.tables: dict[str, pa.Table] = {}
        self.kept: dict[str, list[Mask]] = {}
        self.verdicts: dict[str, tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]] = {}

    def put(self, stage: str, table: pa.Table) -> None:
        """Signals of a stage measured just now, aligned with the rows."""
        self.tables[stage] = table

    def table(self, stage: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The public signals of a stage under their bare names, with MEASURED and ERROR; loaded if need be.

        `columns` names those that are wanted: where the part is not at hand, no others are read.
        """
        if stage in self.tables:
            return self.tables[stage]
        node = self.plan.pipeline.nodes[stage]
        have = self.loaded.get(stage)
        wanted = list(dict.fromkeys([*(node.stage.signals() if columns is None else columns), MEASURED, ERROR]))
        missing = [c for c in wanted if have is None or c not in have.schema.names]
        if missing:
            read = self.stored(node, missing)
            if have is not None:
                for name in missing:
                    have = have.append_column(name, read.column(name))
            self.loaded[stage] = read if have is None else have
        return self.loaded[stage].slice(self.start, self.rows)

    def stored(self, node: Node, columns: Sequence[str]) -> pa.Table:
        """Columns of a stage's signals in whole, as they are stored."""
        return read_signals(self.plan, node, self.partition, columns)

    def frame(self, signals: Sequence[str]) -> pl.DataFrame:
        """Dotted signals as columns."""
        wanted: dict[str, list[str]] = {}
        for signal in dict.fromkeys(signals):
            stage, _, bare = signal.partition(".")
            wanted.setdefault(stage, []).append(bare)
        tables = {stage: self.table(stage, columns) for stage, columns in wanted.items()}
        columns = {f"{stage}.{c}": pl.from_arrow(tables[stage].column(c)) for stage in wanted for c in wanted[stage]}
        return pl.DataFrame(columns) if columns else pl.DataFrame({"_": np.zeros(self.rows, np.uint8)})

    def documents(self, columns: Sequence[str]) -> pl.DataFrame:
        """Columns of the documents (id, url, date, source, title, text), and `text_bytes`: UTF-8 bytes of the text."""
        plain = [c for c in columns if c != "text_bytes"]
        out = {}
        if plain:
            if self.batch is not None:
                table = pa.Table.from_batches([self.batch]).select(plain)
            else:
                table = self.plan.store.read(self.plan.documents(self.partition), plain).slice(self.start, self.rows)
            out = {c: pl.from_arrow(table.column(c)) for c in plain}
        if "text_bytes" in columns:
            out["text_bytes"] = pl.Series(self._bytes())
        return pl.DataFrame({c: out[c] for c in columns})

    def ids(self) -> pa.Array:
        """The documents' ids, from the records where most of those became documents: they lie in larger batches."""
        if self.batch is None:
            store, part = self.plan.store, self.plan.records(self.partition)
            record = store.record(part)
            if record is not None and record["rows"] <= 2 * record["documents"]:
                table = store.read(part, ["id", "status"])
                kept = (
                    table.column("id").filter(pc.equal(table.column("status"), KEPT))
                    if record["rows"] > record["documents"]
                    else table.column("id")
                )
                return kept.slice(self.start, self.rows).combine_chunks()
        return self.documents(["id"]).get_column("id").to_arrow()

    def inputs(self, clauses: Sequence[Clause], computed: bool = True) -> pl.DataFrame:
        """Everything that clauses read: signals, the document's random numbers, and (`computed`) the stage's statistics."""
        frame = self.frame([s for clause in clauses for s in clause.signals])
        statistics = [s for clause in clauses for s in clause.statistics]
        drawn = {c: s for clause in clauses if clause.draws for c, s in self._drawn(clause).items()}
        if any(s.weight == BYTES for s in statistics):
            drawn[BYTES] = pl.Series(self._bytes())
        frame = frame.with_columns(s.alias(c) for c, s in drawn.items()) if drawn else frame
        if computed and statistics:
            stage = clauses[0].name.partition(".")[0]
            known = _read_statistics(self.plan.store, self.plan.statistics(stage))
            frame = apply(statistics, known, frame, self.hashes)
        return frame

    def flag(self, stage: str, column: str) -> Mask:
        """MEASURED, or whether ERROR is set, as booleans."""
        values = self.table(stage, []).column(column)
        flags = values if column == MEASURED else values.is_valid()
        return np.asarray(flags.to_numpy(zero_copy_only=False), dtype=bool)

    def seen(self, node: Node) -> Mask:
        """Which rows a stage sees: those that every ancestor with clauses keeps."""
        mask = self._kept_by(self.plan.filters(node.name))
        for name in node.reads_itself():
            mask &= ~self.flag(name, ERROR)  # what it reads failed there, and is accounted for there
            if self.plan.allow_unmeasured:
                mask &= self.flag(name, MEASURED)  # likewise
        return mask

    def measured(self, node: Node) -> Mask:
        """Which rows a stage has measured document by document, in all its groups."""
        column = read_signals(self.plan, node, self.partition, [MEASURED], own=True).column(0)
        return np.asarray(column.to_numpy(zero_copy_only=False), bool)[self.start : self.start + self.rows]

    def needed(self, node: Node) -> Mask:
        """Which rows a stage must measure: those it sees, and those that its own signals help to choose."""
        own, *others = map(self._kept_by, self.plan.groups(node.name)[0].filters)
        for mask in others:
            own |= mask
        return own

    def holds(self, node: Node) -> list[Mask]:
        """For every clause of a stage, whether it keeps each row; means nothing for a row that it does not see."""
        if node.name not in self.kept:
            self.kept[node.name] = self._holds(node) if node.clauses else []
        return self.kept[node.name]

    def verdict(self, node: Node) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
        """(status, index of the first failing clause) of every row at a stage; see `selection.verdict`.

        Raises StageError where a row that the stage sees was never measured, unless the plan allows that.
        """
        if node.name not in self.verdicts:
            prefix = f"{node.name}."
            own = [s.removeprefix(prefix) for c in node.clauses for s in c.signals if s.startswith(prefix)]
            self.table(node.name, own)  # with MEASURED and ERROR: the part is opened once
            seen, failed = self.seen(node), self.flag(node.name, ERROR)
            measured = self.flag(node.name, MEASURED) | failed
            if not self.plan.allow_unmeasured:
                self.check_measured(node, seen, measured)
                self.check_read(node, seen & ~failed)
            for other in self._read(node) if self.plan.allow_unmeasured else ():
                measured &= self.flag(other.name, MEASURED) | self.flag(other.name, ERROR)
            known = self.has_statistics(node)
            self.verdicts[node.name] = verdict(self.holds(node) if known else [], seen, failed, measured & known)
        return self.verdicts[node.name]

    def multiplicity(self, nodes: Sequence[Node]) -> npt.NDArray[np.float64] | None:
        """How often these stages have each row repeated, together; None where none of them says. Raises StageError
        for a number that is none."""
        out = None
        for node in nodes:
            factors: list[npt.NDArray[np.float64]] = []
            if node.repeat is not None:
                factors.append(self._repeat(node, node.repeat))
            if signal := node.stage.outputs.multiplicity:
                column = self.table(node.name, [signal]).column(signal)
                factors.append(np.nan_to_num(column.to_numpy(zero_copy_only=False).astype(np.float64)))
            for factor in factors:
                out = factor if out is None else out * factor
        return out

    def has_statistics(self, node: Node) -> bool:
        """Whether what a stage's clauses compare with is there: of a run that did not finish, statistics may not be."""
        return not (self.plan.unfinished and node.statistics) or self.plan.done(Kind.STATISTIC, node.name)

    def decided(self) -> pl.DataFrame:
        """The finished selection of the rows: status, multiplicity, reason; of a run that did not finish what its stages
        decided so far."""
        if self.plan.unfinished and self.plan.store.record(self.plan.selected(self.partition)) is None:
            return self._so_far()
        table = self.plan.store.read(self.plan.selected(self.partition)).slice(self.start, self.rows)
        return pl.DataFrame({c: pl.from_arrow(table.column(c)) for c in table.schema.names})

    def _so_far(self) -> pl.DataFrame:
        """The first stage that dropped a row or failed on it, else PENDING at the first that has not decided, if any."""
        status, reason = np.full(self.rows, PENDING, np.uint8), np.full(self.rows, -1, np.int16)
        number = 0
        for node in self.plan.pipeline.measured():
            at, first = self.verdict(node)
            lost = (status == PENDING) & ((at == DROPPED) | (at == FAILED))
            reason[lost], status[lost] = number + 1 + first[lost], at[lost]
            reason[(status == PENDING) & (at == PENDING) & (reason < 0)] = number
            number += len(node.clauses) + 2
        return pl.DataFrame({"status": status, "multiplicity": np.zeros(self.rows, np.uint16), "reason": reason})

    def check_measured(self, node: Node, seen: Mask, measured: Mask) -> None:
        """Refuses to decide on rows that were never measured, and takes back the claim that they were.

        A worker that outlives its killed driver can put an older part back over a newer one; the next run looks again.
        """
        if lost := int((seen & ~measured).sum()):
            plan = self.plan
            for task in plan.groups(node.name):
                plan.store.remove(str(task.done))
            if plan.has(Kind.REDUCE, node.name):
                plan.store.remove(plan.marker(Kind.REDUCE, node.name))
            if plan.has(Kind.EXCHANGE, node.name):
                plan.store.remove_all(f"{plan.task(Kind.EXCHANGE, node.name).folder}/exchange-*")
            raise Unmeasured(
                f"{node.name}: {lost} of {int(seen.sum())} rows of partition {self.partition.key} were never measured; "
                "run again to measure them"
            )

    def check_read(self, node: Node, rows: Mask) -> None:
        """Refuses to decide by the signals of a later stage (the tokens) on rows where that never measured them."""
        for other in self._read(node):
            if other.writes:
                self.check_measured(other, rows, self.flag(other.name, MEASURED) | self.flag(other.name, ERROR))

    def _read(self, node: Node) -> list[Node]:
        """The stages whose signals a stage's clauses and repeat read beside its own."""
        nodes = [self.plan.pipeline.nodes[name] for name in sorted(node.decides_by())]
        return [other for other in nodes if not other.raw]

    def _holds(self, node: Node) -> list[Mask]:
        try:
            return holds(node.clauses, self.inputs(node.clauses))
        except (pl.exceptions.PolarsError, ValueError, OverflowError) as error:
            raise StageError(
                f"{node.name}.keep: {_culprit(node.clauses, self)}: {' '.join(str(error).split())[:200]}"
            ) from error

    def _kept_by(self, stages: Sequence[str]) -> Mask:
        mask = np.ones(self.rows, bool)
        for stage in stages:
            mask &= self.verdict(self.plan.pipeline.nodes[stage])[0] == KEPT
        return mask

    def _repeat(self, node: Node, repeat: Clause) -> npt.NDArray[np.float64]:
        """1 where the stage does not keep a row: what it would have been repeated is of no matter."""
        kept = self.verdict(node)[0] == KEPT
        try:
            value = self.inputs([repeat]).select(compiled(repeat.sql).cast(pl.Float64).alias("n")).get_column("n")
        except (pl.exceptions.PolarsError, ValueError, OverflowError) as error:
            raise StageError(f"{node.name}.repeat: '{repeat.text}': {' '.join(str(error).split())[:200]}") from error
        numbers = value.to_numpy() if len(value) == self.rows else np.full(self.rows, value.to_numpy()[0])
        if self.plan.allow_unmeasured:
            for other in self._read(node):
                kept &= self.flag(other.name, MEASURED) | self.flag(other.name, ERROR)
        wrong = kept & ~((numbers >= 0) & np.isfinite(numbers))
        if wrong.any():
            row = int(np.argmax(wrong))
            name = self.documents(["id"]).item(row, 0)
            raise StageError(
                f"{node.name}.repeat: '{repeat.text}' gives {numbers[row]} for {int(wrong.sum()):,} documents of partition "
                f"{self.partition.key}, such as '{name}'; expected a number from 0 on (coalesce(x, 1) gives nulls a value)"
            )
        return np.where(kept, numbers, 1.0)

    def _drawn(self, clause: Clause) -> dict[str, pl.Series]:
        ids, seed = self.ids(), self.plan.pipeline.seed
        text = " ".join([clause.sql, *(s.key for s in clause.statistics)])
        drawn = {}
        if UNIFORM in text:
            drawn[f"{UNIFORM} {clause.name}"] = pl.Series(hash_random.uniform(ids, seed, clause.name))
        if GUMBEL in text:
            drawn[f"{GUMBEL} {clause.name}"] = pl.Series(hash_random.gumbel(ids, seed, clause.name))
        return drawn

    def hashes(self, salt: str) -> npt.NDArray[np.uint64]:
        """One hash per document: of its id, with the pipeline's seed and a salt."""
        return hash_random.hashes(self.ids(), self.plan.pipeline.seed, salt)

    def _bytes(self) -> npt.NDArray[np.int64]:
        if self.batch is not None:
            return np.asarray(pc.binary_length(self.batch.column("text")).to_numpy(zero_copy_only=False), np.int64)
        records = self.plan.store.read(self.plan.records(self.partition), ["text_bytes"]).column(0)
        sizes: npt.NDArray[np.int64] = records.drop_null().to_numpy()
        return sizes[self.start : self.start + self.rows]


def _culprit(clauses: Sequence[Clause], view: PartitionFrame) -> str:
    """The clause that cannot be evaluated."""
    for clause in clauses:
        try:
            holds([clause], view.inputs([clause]))
        except (pl.exceptions.PolarsError, ValueError, OverflowError):
            return f"clause '{clause.text}' of {clause.name}"
    return "its clauses together"


RowBatch = tuple[PartitionFrame, Callable[[], pa.RecordBatch]]
"""Consecutive rows of a partition, and how to get their documents; the text is read only if that is called."""


@lru_cache(maxsize=64)
def _read_statistics(store: Store, name: str) -> dict[str, StatisticResult]:
    saved = store.read_json(name)
    if saved is None:
        raise store.damaged(name, "missing: it holds the statistics of a stage")
    return {column: StatisticResult.restore(value) for column, value in saved.items()}
