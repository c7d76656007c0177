"""Rows of a run: consecutive partitions with everything that was recorded, measured and decided of them, column by column.

A crawl in thousands of small files would cost a reader thousands of small steps, so that small partitions are read together.
Columns are loaded when they are first asked for; texts are read one batch at a time, and only those of the rows that are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from winnow.pipelines.engine.frame import PartitionFrame
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.signals import ERROR, MEASURED, read_signals
from winnow.pipelines.engine.store import BATCH_ROWS
from winnow.pipelines.engine.texts import Reader, hidden
from winnow.pipelines.selection.clause import GUMBEL, UNIFORM
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT, PENDING, UNSEEN, reasons
from winnow.stages.base import DOCUMENT_SCHEMA, StageError

RECORD = ("id", "url", "date", "page_bytes", "text_bytes")
"""Columns that records have whatever became of them."""

TEXTS = ("title", "text")

OUTCOMES = {UNSEEN: "not reached", KEPT: "kept", DROPPED: "dropped", FAILED: "failed", PENDING: "pending"}
"""The statuses of `selection.verdict` in words: the column `outcome`."""

DECIDED = ("status", "multiplicity", "reason")
"""What a selection holds of a document: status (`selection.verdict`), copies in the corpus, number of the reason."""

REASON = ("stage", "clause", "value", "threshold")
"""Why a record is not kept, as text. The value of a failure is its cause."""

REFUSED = ("status", "outcome", *REASON)
"""What a record says itself that never became a document."""

AT_STAGE = ("@status", "@first", "@seen", "@measured", "@error", "@own")
"""`@status rules`: the status of every document at a stage; `@first`: number of the first of its clauses that drops it, -1 for
none; `@seen`: whether the stage sees it; `@measured`, `@error`: whether it was measured, and why that failed; `@own`: whether
the stage's own part of the work was done, as a duplicate index needs it. `@holds rules.too_short`: whether a clause holds, null
where that cannot be told. `@copies`, `@copies mixture`: how often all stages, or one, have it repeated, null for unasked."""

Indices = npt.NDArray[np.intp]


def column_types(plan: Plan) -> dict[str, pl.DataType]:
    """Type of every column that `Rows.documents` has, in order: of documents, of the selection, then every signal."""
    nodes = plan.pipeline.nodes.values()
    kinds: dict[str, pa.DataType] = {field.name: field.type for field in DOCUMENT_SCHEMA}
    kinds |= {"partition": pa.uint32(), "row": pa.int64(), "number": pa.int64(), "page_bytes": pa.int64()}
    kinds |= {"text_bytes": pa.int64(), "status": pa.uint8(), "multiplicity": pa.uint16(), "reason": pa.int16()}
    kinds |= dict.fromkeys(("outcome", *REASON), pa.string())
    kinds |= {"shard": pa.list_(pa.string()), "offset": pa.list_(pa.int64())}
    for node in nodes:
        kinds |= {
            f"@status {node.name}": pa.uint8(),
            f"@first {node.name}": pa.int16(),
            f"@error {node.name}": pa.string(),
        }
        kinds |= {f"{what} {node.name}": pa.bool_() for what in ("@seen", "@measured", "@own")}
        kinds |= {f"@holds {clause.name}": pa.bool_() for clause in node.clauses}
        kinds |= {f"{node.name}.{name}": kind for name, kind in node.stage.signals().items()}
        if not node.raw:
            kinds |= {f"{node.name}.{name}": kind for name, kind in node.stage.hidden().items()}
    schema = pa.schema([pa.field(name, kind) for name, kind in kinds.items()])
    return dict(pl.DataFrame(schema.empty_table()).schema)


class Rows(PartitionFrame):
    """State: as of a view over all documents of the partitions, and the columns of records read so far.

    Reading changes nothing in the run: rows that were never measured are an error, unless the plan allows them.
    """

    def __init__(self, plan: Plan, partitions: Sequence[Partition], placed: Callable[[], pl.DataFrame]) -> None:
        self.partitions, self.placed = tuple(partitions), placed
        self.sizes = [int(plan.ingested(p)["documents"]) for p in self.partitions]
        self.filled = [p for p, size in zip(self.partitions, self.sizes, strict=True) if size]
        self.columns: dict[str, pl.Series] = {}
        super().__init__(plan, self.partitions[0], 0, sum(self.sizes))

    def documents(self, columns: Sequence[str], rows: Indices | None = None) -> pl.DataFrame:
        """Columns of the documents, or of some of them: those of RECORD, `source`, `partition` (its index), `row` (the
        position there), `number` (among its records), TEXTS with all edits, DECIDED, `outcome` (its status in words), REASON, `shard` and `offset` (lists, one
        entry a copy), dotted signals, hidden columns of a stage (`dedup._band_0`), and those of AT_STAGE."""
        found: dict[str, pl.Series] = {}
        texts = [name for name in columns if name in TEXTS]
        if texts:
            shown = self.texts(rows, self.plan.pipeline.edits(), ["title", "text"])
            found |= {name: shown.get_column(name) for name in texts}
        for name in columns:
            if name == "value":
                found[name] = self._values(rows)
            elif name not in found:
                column = self.column(name)
                found[name] = column if rows is None else column.gather(rows)
        return pl.DataFrame({name: found[name] for name in columns})

    def records(self, columns: Sequence[str], numbers: Indices | None = None) -> pl.DataFrame:
        """The same columns of all records, or of some: null where a record never became a document and the source, the
        stages before documents, or the record itself do not say. `row` is -1 there."""
        self._read_records(["status", *(name for name in columns if name in (*RECORD, *REFUSED) and name != "outcome")])
        position = self.position if numbers is None else self.position[numbers]
        there = position >= 0
        own = [name for name in columns if name in (*RECORD, "source", "partition", "number")]
        found = {name: self._record(name) if numbers is None else self._record(name).gather(numbers) for name in own}
        rest = [name for name in columns if name not in found]
        if rest:
            everything = numbers is None
            documents = self.documents(rest, None if everything else position[there])
            at = np.cumsum(there) - 1
            back = pl.Series(at).set(pl.Series(~there), None) if not there.all() else None
            for name in rest:
                column = documents.get_column(name)
                column = column if back is None else column.gather(back)
                if back is not None and name in REFUSED:
                    refused = self._record(name) if numbers is None else self._record(name).gather(numbers)
                    column = refused.zip_with(pl.Series(~there), column)
                elif back is not None and name in ("row", "multiplicity"):
                    column = column.fill_null(0 if name == "multiplicity" else -1)
                found[name] = column
        return pl.DataFrame({name: found[name] for name in columns})

    @cached_property
    def became(self) -> npt.NDArray[np.bool_]:
        """Which records became documents."""
        return np.asarray(self._record("status").to_numpy() == KEPT)

    @cached_property
    def position(self) -> Indices:
        """Of every record its row among the documents, -1 where it became none."""
        return np.where(self.became, np.cumsum(self.became) - 1, -1)

    def texts(self, rows: Indices | None, editors: Sequence[str], columns: Sequence[str]) -> pl.DataFrame:
        """Columns of stored documents, titles and texts with the edits of these stages."""
        if rows is None:
            frames = [frame for _, frame in self.batches(editors, columns)]
            return pl.concat(frames) if frames else pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
        order = np.argsort(rows, kind="stable")
        wanted, found = rows[order], []
        for first, frame in self.batches(editors, columns, wanted):
            here = wanted[(wanted >= first) & (wanted < first + len(frame))] - first
            found.append(frame[here])
        back = np.empty(len(rows), np.intp)
        back[order] = np.arange(len(rows))
        return pl.concat(found)[back] if found else pl.DataFrame(schema=dict.fromkeys(columns, pl.String))

    def batches(
        self, editors: Sequence[str], columns: Sequence[str], wanted: Indices | None = None
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        """The same, one stored batch at a time, each with its first row; only batches that hold a row of `wanted`."""
        start = 0
        for partition, size in zip(self.partitions, self.sizes, strict=True):
            hits = (
                None
                if wanted is None
                else np.unique((wanted[(wanted >= start) & (wanted < start + size)] - start) // BATCH_ROWS)
            )
            if size and (hits is None or len(hits)):
                reader = Reader(self.plan, partition, list(columns), editors)
                for number in range(reader.batches) if hits is None else hits.tolist():
                    yield start + number * BATCH_ROWS, pl.DataFrame(reader.batch(number))
            start += size

    def changes(self, editor: str, row: int) -> dict[str, Any]:
        """What a stage that changes texts has a document's text and title changed to: its hidden columns."""
        columns = hidden(self.plan, editor)
        return dict(self.table(editor, columns).select(columns).slice(row, 1).to_pylist()[0])

    def load(self, columns: Sequence[str], of: str) -> None:
        """Read columns ahead, of `documents` or of `records`. Every part is opened once, whatever is wanted of it."""
        signals: dict[str, list[str]] = {}
        for stage, _, bare in (name.partition(".") for name in columns):
            if bare and not bare.startswith("_"):
                signals.setdefault(stage, []).append(bare)
        for stage, wanted in signals.items() if self.rows else ():
            self.table(stage, wanted)
        if of == "records":
            self._read_records([name for name in columns if name in (*RECORD, *REFUSED) and name != "outcome"])
        for name in columns:
            if of == "documents" or name not in RECORD:
                self.column(name) if name != "value" else None

    def column(self, name: str) -> pl.Series:
        """A column of all documents."""
        if name not in self.columns:
            found = self._load(name) if self.rows else pl.Series([], dtype=column_types(self.plan)[name])
            self.columns[name] = found.alias(name)
        return self.columns[name]

    def _load(self, name: str) -> pl.Series:
        if name in RECORD or name in ("source", "partition", "number"):
            column = self._record(name)
            return column if self.rows == len(column) else column.filter(pl.Series(self.became))
        if name == "row":
            return pl.Series(np.concatenate([np.arange(size, dtype=np.int64) for size in self.sizes]))
        if name in DECIDED:
            return self.decided().get_column(name)
        if name == "outcome":
            return self.column("status").replace_strict(OUTCOMES, return_dtype=pl.String)
        if name in ("stage", "clause", "threshold"):
            said = [getattr(reason, name) for reason in reasons(self.plan.pipeline.measured())]
            return self.column("reason").replace_strict(
                list(range(len(said))), said, default=None, return_dtype=pl.String
            )
        if name in ("shard", "offset"):
            kept = self.column("multiplicity") > 0  # another document may have the same id
            ids = pl.DataFrame({"id": self.column("id").set(~kept, None)})
            return ids.join(self.placed(), on="id", how="left", maintain_order="left").get_column(name)
        if name.startswith("@"):
            return self._at_stage(*name.partition(" ")[::2])
        stage, _, bare = name.partition(".")
        if bare.startswith("_"):
            return self._own(stage, bare)
        return self.frame([name]).to_series()

    def _at_stage(self, what: str, of: str) -> pl.Series:
        nodes = self.plan.pipeline.nodes
        if what == "@copies":
            repeating = [nodes[of]] if of else [n for n in self.plan.pipeline.measured() if n.repeats]
            factors = self.multiplicity(repeating)
            return pl.Series([None] * self.rows, dtype=pl.Float64) if factors is None else pl.Series(factors)
        if what in ("@holds", UNIFORM, GUMBEL):
            node, number = self._clause(of)
            if what == "@holds":
                known = self.has_statistics(node)
                return pl.Series(self.holds(node)[number]) if known else pl.Series([None] * self.rows, dtype=pl.Boolean)
            return self.inputs([node.clauses[number]], computed=False).get_column(f"{what} {of}")
        if what in ("@measured", "@error"):
            return pl.Series(self.table(of, []).column(MEASURED if what == "@measured" else ERROR))
        if what == "@own":
            return pl.Series(self._own(of, MEASURED) & self._own(of, ERROR).is_null())
        if what == "@seen":
            return pl.Series(self.seen(nodes[of]))
        return pl.Series(self.verdict(nodes[of])[("@status", "@first").index(what)])

    def _clause(self, name: str) -> tuple[Node, int]:
        node = self.plan.pipeline.nodes[name.partition(".")[0]]
        return node, [clause.name for clause in node.clauses].index(name)

    def _values(self, rows: Indices | None) -> pl.Series:
        """The value that each reason is about, worked out for the rows that have that reason."""
        at = np.arange(self.rows) if rows is None else rows
        reason, status = (self.column(name).to_numpy()[at] for name in ("reason", "status"))
        out = np.full(len(at), None, object)
        named, nodes = reasons(self.plan.pipeline.measured()), self.plan.pipeline.nodes
        clauses = {clause.name: clause for node in nodes.values() for clause in node.clauses}
        for number in np.unique(reason[reason >= 0]).tolist():
            why, here = named[number], np.flatnonzero(reason == number)
            if why.clause is None:
                here = here[status[here] == FAILED]
                value = (
                    self.column(f"@error {why.stage}").gather(at[here]) if len(here) else pl.Series([], dtype=pl.String)
                )
            elif (clause := clauses.get(why.clause)) is not None:
                frame = self.documents(clause.signals, at[here]) if clause.signals else pl.DataFrame({"": here})
                value = frame.select(clause.value().alias("value")).to_series()
                value = value if len(value) == len(here) else value.new_from_index(0, len(here))
            else:
                value = self.column("@copies").gather(at[here]).cast(pl.Float32).cast(pl.String)
            out[here] = value.to_numpy()
        return pl.Series("value", out.tolist(), pl.String)

    def _record(self, name: str) -> pl.Series:
        """A column of all records."""
        key = f"record {name}"
        if key not in self.columns:
            self.columns[key] = self._made_record(name).alias(name)
        return self.columns[key]

    def _made_record(self, name: str) -> pl.Series:
        if name == "outcome":
            return self._record("status").replace_strict(OUTCOMES, return_dtype=pl.String)
        if name not in ("source", "partition", "number"):
            self._read_records([name])
            return self._record(name)
        counts = [int(self.plan.ingested(p)["rows"]) for p in self.partitions]
        if name == "source":
            return pl.Series([self.partition.source], dtype=pl.String).new_from_index(0, sum(counts))
        if name == "partition":
            return pl.Series(np.repeat(np.array([p.index for p in self.partitions], np.uint32), counts))
        return pl.Series(np.concatenate([np.arange(count, dtype=np.int64) for count in counts]))

    def _read_records(self, names: Sequence[str]) -> None:
        """Columns of all records as they are stored; every part is opened once."""
        missing = [name for name in dict.fromkeys(names) if f"record {name}" not in self.columns]
        if missing:
            table = pa.concat_tables(self.plan.store.read(self.plan.records(p), missing) for p in self.partitions)
            self.columns |= {f"record {name}": pl.Series(name, table.column(name)) for name in missing}

    def _own(self, stage: str, column: str) -> pl.Series:
        """What a stage measured itself; for one that all documents together decide, not what came of it."""
        node = self.plan.pipeline.nodes[stage]
        return pl.Series(_joined(read_signals(self.plan, node, p, [column], own=True) for p in self.filled).column(0))

    def stored(self, node: Node, columns: Sequence[str]) -> pa.Table:
        """As of a view, over all partitions."""
        types, there = node.stage.signals(), self._recorded(node)
        absent = {name: pa.nulls(self.rows, types[name]) for name in columns if name in types and name not in there}
        found = [name for name in columns if name not in absent]
        table = _joined(read_signals(self.plan, node, p, found) for p in self.filled) if found else pa.table({})
        return pa.table(dict(zip(table.column_names, table.columns, strict=True)) | absent)

    def _recorded(self, node: Node) -> set[str]:
        """The columns that the run has of a stage: one made by an earlier version lacks what is measured since, which is null."""
        store, names = self.plan.store, set[str]()
        for part, columns in self.plan.signals(node, self.filled[0]):
            record = store.record(part)
            names |= set(columns if record is None else record.get("columns") or store.reader(part).schema.names)
        return names

    def ids(self) -> pa.Array:
        """The documents' ids, from the records: those lie in larger batches."""
        return self.column("id").to_arrow()

    def decided(self) -> pl.DataFrame:
        """The selection of the rows: DECIDED; of a run that did not finish what its stages decided so far."""
        if self.plan.unfinished:
            return super().decided()
        return pl.DataFrame(_joined(self.plan.store.read(self.plan.selected(p)) for p in self.filled))

    def check_measured(self, node: Node, seen: npt.NDArray[np.bool_], measured: npt.NDArray[np.bool_]) -> None:
        """Refuses to read rows that were never measured."""
        if lost := int((seen & ~measured).sum()):
            raise StageError(
                f"{node.name}: {lost} of {int(seen.sum())} rows were never measured; run again to measure them"
            )

    def _bytes(self) -> npt.NDArray[np.int64]:
        return self.column("text_bytes").to_numpy()


def _joined(tables: Iterator[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).combine_chunks()
