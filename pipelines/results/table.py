"""A finished run as a table: its records, documents and clusters as polars LazyFrames, and what else its readers need.

Whatever reads a run - why, sample, diff, report, publish, the duplicate index - reads it here and nothing else of the engine.
A table is read partition by partition, or several small partitions at a time, and of those only the columns that are asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from polars.io.plugins import register_io_source

from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.pointers import RunRecord, accounts, last_record, open_record
from winnow.pipelines.engine.store import Store, fingerprint
from winnow.pipelines.engine.worker import missing_text
from winnow.pipelines.results.rows import REASON, TEXTS, Indices, Rows, column_types
from winnow.pipelines.selection.clause import Clause, Statistic
from winnow.pipelines.selection.statistic_result import StatisticResult
from winnow.stages.base import DOCUMENT_SCHEMA
from winnow.tokenize.shard import Manifest, ids_of

__all__ = [
    "Node",
    "Partition",
    "Pipeline",
    "Rows",
    "Run",
    "RunError",
    "StatisticResult",
    "Store",
    "as_table",
    "fingerprint",
    "open_last",
    "open_run",
]

TOGETHER = 1 << 16
"""Records after which no further partition is read with those before it; a partition is never cut."""

OWN = (
    "partition",
    "number",
    "row",
    "id",
    "url",
    "date",
    "source",
    "page_bytes",
    "text_bytes",
    "status",
    "multiplicity",
)
"""Columns of `records` before the reason, the places and the signals."""

PLACE = pl.Schema({"id": pl.String, "shard": pl.String, "row": pl.Int64, "offset": pl.Int64, "tokens": pl.Int64})


@dataclass(frozen=True, slots=True)
class Run(RunRecord):
    """A run, and what it recorded, measured and decided."""

    @property
    def pipeline(self) -> Pipeline:
        """The checked declaration."""
        return self.plan.pipeline

    @property
    def reference(self) -> str:
        """How one names the selection: its folder, or `folder@name`."""
        return self.folder if self.name is None else f"{self.folder}@{self.name}"

    def records(self) -> pl.LazyFrame:
        """One row for each record of the input, in order, whatever became of it.

        Columns: `partition`, `number` (position among its records), `row` (among its documents, -1: it became none), `id`, `url`,
        `date`, `source`, `page_bytes`, `text_bytes`; `status` (kept, dropped, failed, pending), `multiplicity` (copies in the
        corpus), `stage`, `clause`, `value` and `threshold` of what it was not kept for; `shard` and `offset`, lists with one
        entry for each copy: its file and its first token there; then every signal under its dotted name.
        """
        columns = [*OWN, *REASON, "shard", "offset", *self.signals()]
        return self._lazy({name: "outcome" if name == "status" else name for name in columns}, "records")

    def documents(self, kept_only: bool = True) -> pl.LazyFrame:
        """One row for each document that is kept, or for each document: `id`, `url`, `date`, `source`, `title` and `text` with
        the edits of every stage that changes them; the selection as `selection.status` (a number, see `selection.verdict`),
        `.multiplicity`, `.stage`, `.clause`, `.value`, `.threshold`, `.shard`, `.offset`; every signal under its dotted name.

        Raises RunError where the run has none.
        """
        if not any(self.plan.ingested(partition)["documents"] for partition in self.plan.partitions):
            raise RunError(f"{self.folder}: the run has no documents")
        decided = ["status", "multiplicity", *REASON, "shard", "offset"]
        names = {name: name for name in DOCUMENT_SCHEMA.names} | {f"selection.{name}": name for name in decided}
        frame = self._lazy(names | {name: name for name in self.signals()}, "documents")
        return frame.filter(pl.col("selection.multiplicity") > 0) if kept_only else frame

    def clusters(self) -> pl.LazyFrame:
        """One row for each document and each stage that finds duplicates: `grouped_by` (the stage), `cluster` (the id of its
        representative), `copies` (documents in it), `representative`, `known` (that one is of an earlier run), then the columns
        of `records`. A document without duplicates is a cluster of its own; one that the stage never saw has no row."""
        everything, out = self.records(), []
        for stage in self.clustering():
            known = pl.col(f"{stage}.known") if f"{stage}.known" in self.signals() else pl.lit(False)
            own = [pl.col(f"{stage}.{name}").alias(name) for name in ("cluster", "copies", "representative")]
            columns = [pl.lit(stage).alias("grouped_by"), *own, known.alias("known"), pl.all()]
            out.append(everything.filter(pl.col(f"{stage}.cluster").is_not_null()).select(columns))
        if not out:
            raise RunError(f"{self.folder}: no stage of the run finds duplicates")
        return pl.concat(out)

    def signals(self) -> dict[str, pa.DataType]:
        """Type of every signal by its dotted name, in the order of the stages."""
        nodes = self.pipeline.nodes.values()
        return {f"{node.name}.{name}": kind for node in nodes for name, kind in node.stage.signals().items()}

    def clustering(self) -> list[str]:
        """The stages that group documents into clusters of duplicates."""
        return [node.name for node in self.pipeline.measured() if node.stage.outputs.clusters]

    def tokens(self) -> str | None:
        """The signal that counts the tokens of a document, None where nothing is tokenized."""
        terminal = self.pipeline.terminal()
        return f"{terminal.name}.tokens" if terminal else None

    def tolerant(self) -> Run:
        """The run for those who only read it: what lacks a measurement is pending, in a provisional selection and after
        damage, and no claim is taken back."""
        return replace(self, plan=replace(self.plan, allow_unmeasured=True))

    def read(
        self,
        columns: Sequence[str],
        where: pl.Expr | None = None,
        *,
        of: str = "documents",
        named: Mapping[str, str] | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Columns of `documents` or `records` (see `Rows`), in order, some partitions at a time; of the rows for which `where`
        holds, whose other columns are read only where it holds for any. `named`: what `Rows` calls a column."""
        asked = list(dict.fromkeys(where.meta.root_names())) or ["row"] if where is not None else []
        inside = {name: (named or {}).get(name, name) for name in (*columns, *asked)}
        first = asked if where is not None else columns
        for part in self.parts([inside[name] for name in first], of):

            def frame(wanted: Sequence[str], rows: Indices | None = None, part: Rows = part) -> pl.DataFrame:
                take = part.documents if of == "documents" else part.records
                unique = dict.fromkeys(inside[name] for name in wanted)
                found = take(list(unique), rows)
                return found.select(pl.col(inside[name]).alias(name) for name in wanted)

            if where is None:
                yield frame(columns)
                continue
            holds = frame(asked).select(where.fill_null(False).alias("holds")).to_series()
            rows = holds.arg_true().to_numpy().astype(np.intp)
            if len(rows):
                yield frame(columns, rows)

    def rows(self, places: Sequence[tuple[int, int]], columns: Sequence[str]) -> pl.DataFrame:
        """Columns of some records, by partition and number, in that order."""
        order = pl.DataFrame(places, {"partition": pl.UInt32, "number": pl.Int64}, orient="row")
        found = [
            self.part(index).records(columns, np.array(mine, np.intp)).with_columns(_at=pl.Series(at, dtype=pl.Int64))
            for index, at, mine in order.with_row_index("at").group_by("partition").agg("at", "number").iter_rows()
        ]
        return (
            pl.concat(found).sort("_at").drop("_at") if found else self.part(0).records(columns, np.zeros(0, np.intp))
        )

    def part(self, index: int) -> Rows:
        """One partition."""
        return Rows(self.plan, [self.plan.partitions[index]], cache(self._placed))

    def parts(self, columns: Sequence[str] = (), of: str = "documents", source: str | None = None) -> Iterator[Rows]:
        """All partitions in order, small ones of one source together, but one by one where texts are asked for. `columns` are
        read while the caller still works on the rows before. Runs over the same partitions give the same parts."""
        alone = self.plan.unfinished or any(name in TEXTS for name in columns)
        placed = cache(self._placed)

        def load(partitions: Sequence[Partition]) -> Rows:
            rows = Rows(self.plan, partitions, placed)
            rows.load([name for name in columns if name not in TEXTS and not name.startswith("@")], of)
            return rows

        with ThreadPoolExecutor(1) as ahead:
            following = None
            for partitions in self._grouped(1 if alone else TOGETHER, source):
                ready, following = following, ahead.submit(load, partitions)
                if ready is not None:
                    yield ready.result()
            if following is not None:
                yield following.result()

    def places(self, ids: Collection[str] | None = None) -> pl.DataFrame:
        """Every copy in the hand-off, in its order, or those of the documents with these ids: `id`, `shard` (its file), `row` and
        `offset` (first token) there, `tokens`. About 100 bytes a copy."""
        found = [pl.DataFrame(schema=PLACE)]
        wanted = None if ids is None else pa.array(sorted(ids), pa.string())
        if self.shards is None or (wanted is not None and not len(wanted)):
            return found[0]
        manifest = self.plan.manifest()
        if manifest is None:
            raise self.plan.store.damaged(self.plan.manifest_name, "missing")
        for entry in manifest.shards:
            part, recorded = (
                f"{self.plan.shards}/{entry.file.removesuffix('.arrow')}",
                {"bytes": entry.bytes, "hash": entry.digest},
            )
            if wanted is not None and not _holds(self.plan.store.reader(part, ["doc_id"], recorded), wanted):
                continue
            row = offset = 0
            reader = self.plan.store.reader(part, recorded=recorded)
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                ends = ids_of(batch).offsets.to_numpy(zero_copy_only=False).astype(np.int64)
                column = batch.column("doc_id")
                place = {"id": pl.from_arrow(column), "row": row + np.arange(batch.num_rows)}
                place |= {"offset": offset + ends[:-1] - ends[0], "tokens": np.diff(ends)}
                frame = pl.DataFrame(place).with_columns(pl.lit(entry.file).alias("shard")).select(list(PLACE))
                if wanted is not None:
                    frame = frame.filter(pl.Series(pc.is_in(column, wanted)))
                found.append(frame.cast(PLACE))
                row, offset = row + batch.num_rows, offset + int(ends[-1] - ends[0])
        return pl.concat(found)

    def manifest(self) -> Manifest | None:
        """What the hand-off says of itself, None where there is none."""
        return self.plan.manifest() if self.shards else None

    def statistics(self, stage: str) -> dict[str, StatisticResult]:
        """What the statistics of a stage's clauses came to, by their columns; empty where it has none, or none yet."""
        if not self.pipeline.nodes[stage].statistics:
            return {}
        saved = self.plan.store.read_json(self.plan.statistics(stage)) or {}
        return {column: StatisticResult.restore(value) for column, value in saved.items()}

    def compared_with(self, stage: str) -> Iterator[tuple[Clause, Statistic, str | None, float, str]]:
        """The figures over all documents that a stage's clauses compare each document with: clause and statistic, the group (None:
        all), number and meaning."""
        found = self.statistics(stage)
        for clause in self.pipeline.nodes[stage].clauses:
            for statistic in clause.statistics:
                for figure in found[statistic.column].groups() if statistic.column in found else ():
                    yield clause, statistic, *figure

    def facts(self) -> dict[str, dict[str, Any]]:
        """Stage -> kind, version, settings and artifacts' digests, as the run recorded them; empty where it did not."""
        pointer = "run.json" if self.name is None else f"selections/{self.name}.json"
        recorded = self.plan.facts or (self.plan.store.read_json(pointer) or {}).get("facts", {})
        return {name: recorded[name] for name in self.pipeline.nodes if name in recorded}

    def measured_as(self, stage: str) -> str:
        """The fingerprint of what a stage measured."""
        return "-".join(task.fingerprint for task in self.plan.groups(stage))

    def work(self) -> dict[str, Any]:
        """Seconds of work and rows measured per stage in this folder so far: `seconds`, `rows`, and `wall` in all."""
        return dict(self.plan.store.read_json("work.json", hint=True) or {})

    def accounts(self) -> dict[str, Any]:
        """Of a run that did not finish: what its stages decided so far. Reads signals, no text."""
        return accounts(self)

    def purged(self) -> list[Partition]:
        """Partitions that gave up the text of what was not selected, as `rejected: metadata` asks."""
        store = self.plan.store
        return [p for p in self.plan.partitions if "freed" in (store.record(self.plan.documents(p)) or {})]

    def missing_texts(self) -> int:
        """Documents that are kept, but whose text another selection gave up."""
        return sum(missing_text(self.plan, partition) for partition in self.purged())

    def same_rows(self, other: Run) -> bool:
        """Whether the rows of two selections are the same records in the same order."""
        mine, theirs = ((r.folder, r.plan.ingest, [p.key for p in r.plan.partitions]) for r in (self, other))
        return mine == theirs

    def _lazy(self, named: dict[str, str], of: str) -> pl.LazyFrame:
        types = column_types(self.plan)

        def source(
            columns: list[str] | None, where: pl.Expr | None, most: int | None, batch: int | None
        ) -> Iterator[pl.DataFrame]:
            wanted = list(named) if columns is None else columns
            for frame in self.read(wanted, where if most is None else None, of=of, named=named):
                if most is not None:
                    frame, most = frame.head(most), max(0, most - len(frame))
                    frame = frame if where is None else frame.filter(where)
                yield frame
                if most == 0:
                    return

        schema = {name: types[inside] for name, inside in named.items()}
        return register_io_source(source, schema=schema, is_pure=True)

    def _placed(self) -> pl.DataFrame:
        return self.places().group_by("id", maintain_order=True).agg("shard", "offset")

    def _grouped(self, rows: int, source: str | None) -> Iterator[list[Partition]]:
        """Consecutive partitions of one source that have about so many records together."""
        waiting: list[Partition] = []
        records = 0
        for partition in self.plan.partitions:
            if source not in (None, partition.source):
                continue
            if waiting and (waiting[0].source != partition.source or records >= rows):
                yield waiting
                waiting, records = [], 0
            waiting.append(partition)
            records += int(self.plan.ingested(partition)["rows"])
        if waiting:
            yield waiting


def as_table(record: RunRecord) -> Run:
    """The same run, to be read."""
    return Run(**{field.name: getattr(record, field.name) for field in fields(record)})


def open_run(reference: str | Path) -> Run:
    """A run made earlier, from its folder alone: its inputs may be gone. `folder@name` opens a named selection.

    Raises RunError where there is none.
    """
    return as_table(open_record(reference))


def open_last(reference: str) -> Run:
    """The run that was last begun in a folder, finished or not; `folder@name` opens a named selection. Raises RunError
    where there is none, StoreError for a damaged file."""
    return as_table(last_record(reference))


def _holds(reader: pa.ipc.RecordBatchFileReader, wanted: pa.Array) -> bool:
    """Whether a shard, opened for its ids alone, holds any of these."""
    batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
    return any(pc.any(pc.is_in(batch.column("doc_id"), wanted)).as_py() for batch in batches)
