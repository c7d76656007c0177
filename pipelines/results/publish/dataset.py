"""Parquet files of a finished run: the kept documents, and the rejects with their reasons.

One partition is in memory at a time. Rows are gathered into row groups and row groups into files by two bounds on
rows and text bytes alone, and nothing of the time or the machine is written, so the same selection gives the same
bytes, however its rows were spread over partitions. Pages are cut by content: the hub stores a page that two
versions of a dataset share once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.worker import missing_text
from winnow.pipelines.results.masks import masked
from winnow.pipelines.results.table import Run, RunError
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT, reasons
from winnow.stages.stage import DOCUMENT_SCHEMA

FILE_BYTES = 256 * 2**20
"""Bytes of text and URLs, uncompressed, after which the next file begins."""

GROUP_BYTES = 32 * 2**20
GROUP_ROWS = 8192
"""A row group ends at whichever comes first; a single longer document is a row group of its own."""

KEPT_FILES, REJECT_FILES = "data/kept", "rejects/rejects"

STATUS = {DROPPED: "dropped", FAILED: "failed"}
OTHER_STATUS = "not measured"
"""`selection.status` of a reject, in words."""

REASON = ("stage", "clause", "value", "threshold")

_OPTIONS: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 3,
    "write_page_index": True,
    "use_content_defined_chunking": True,
}


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file as written. `text_bytes`: UTF-8 bytes of its texts, uncompressed."""

    path: str
    rows: int
    bytes: int
    sha256: str
    text_bytes: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What a selection holds, from its parts. `thresholds`: clause -> what it compares with, sorted."""

    kept: int
    copies: int
    rejects: int
    failed: int
    thresholds: dict[str, list[str]]


def count(run: Run) -> Counts:
    """Count the selection, as a rule without reading any text. Raises RunError where the parts and the accounting differ,
    where the selection is provisional, or where the text of a kept document was given up."""
    if run.plan.allow_unmeasured:
        name = f" --selection {run.name}" if run.name else ""
        raise RunError(
            f"{run.folder}: the selection is provisional: clauses let documents in that were never measured; "
            f"`winnow run {run.folder}{name}` measures them, then publish"
        )
    _check_texts(run)
    kept = copies = rejects = failed = 0
    thresholds = {why.clause: {why.threshold} for why in reasons(run.plan.pipeline) if why.clause and why.threshold}
    for partition in run.plan.partitions:
        rows = pl.DataFrame(run.plan.store.read(run.plan.selected(partition), ["multiplicity", "status"]))
        multiplicity = rows.get_column("multiplicity")
        here = int((multiplicity > 0).sum())
        kept, copies, rejects = kept + here, copies + int(multiplicity.sum()), rejects + len(rows) - here
        failed += int((rows.get_column("status") == FAILED).sum())
    for _, records in _records(run, ["status", "clause", "threshold"]):
        rejects += len(records)
        failed += int((records.get_column("status") == FAILED).sum())
        for clause, threshold in records.select("clause", "threshold").drop_nulls().unique().iter_rows():
            thresholds.setdefault(clause, set()).add(threshold)
    found = Counts(kept, copies, rejects, failed, {clause: sorted(t) for clause, t in sorted(thresholds.items())})
    _reconcile(run, found)
    return found


def _reconcile(run: Run, found: Counts) -> None:
    stages = run.accounting["stages"]
    expected = {
        "kept": run.accounting["kept"],
        "copies": run.accounting["copies"],
        "failed": run.accounting["failed"],
        "rejects": sum(stages[s]["in"] for s in run.plan.pipeline.sources if s in stages) - run.accounting["kept"],
    }
    wrong = [f"{n} {getattr(found, n):,}, accounted for {e:,}" for n, e in expected.items() if getattr(found, n) != e]
    if wrong:
        raise RunError(
            f"{run.folder}: rows do not reconcile: {'; '.join(wrong)}; run `winnow run` again in that folder, then publish"
        )


def kept_schema(run: Run) -> pa.Schema:
    """Columns of the kept documents: their own, how often each is repeated, every signal under its dotted name."""
    return pa.schema([*DOCUMENT_SCHEMA, pa.field("selection.multiplicity", pa.uint16()), *_signals(run)])


def rejects_schema(run: Run) -> pa.Schema:
    """Columns of the rejects: the same with the reason in place of the multiplicity. Records that were dropped before
    they were documents have neither title, text nor signals; `rejected: metadata` gives up the text of the others."""
    own = [field.with_nullable(field.name in ("title", "text", "url", "date")) for field in DOCUMENT_SCHEMA]
    reason = [pa.field(f"selection.{name}", pa.string()) for name in ("status", *REASON)]
    return pa.schema([*own, *reason, *_signals(run)])


def kept(run: Run) -> Iterator[pa.Table]:
    """The kept documents, one table per partition, in the run's order."""
    schema = kept_schema(run)
    for frame in run.partitions():
        yield frame.filter(pl.col("selection.multiplicity") > 0).select(schema.names).collect().to_arrow().cast(schema)


def rejects(run: Run, clean: Callable[[str], str]) -> Iterator[pa.Table]:
    """What was not kept: the records that never were documents, one table per partition, then the documents, likewise.
    `clean` is applied to the causes of failures, which quote whatever an error message says."""
    schema = rejects_schema(run)
    given_up = any(_freed(run, partition) for partition in run.plan.partitions)
    for source, records in _records(run, ["id", "url", "date", "status", *REASON]):
        rows = records.rename({name: f"selection.{name}" for name in ("status", *REASON)})
        yield _rejected(rows.with_columns(pl.lit(source).alias("source")), schema, clean)
    for frame in run.partitions():
        rejected = frame.filter(pl.col("selection.multiplicity") == 0).select(schema.names)
        if given_up:
            rejected = rejected.with_columns(pl.when(pl.col("text") != "").then("text").alias("text"))
        yield _rejected(masked(run.plan, rejected.collect()), schema, clean)


def _rejected(rows: pl.DataFrame, schema: pa.Schema, clean: Callable[[str], str]) -> pa.Table:
    status = pl.col("selection.status").replace_strict(STATUS, default=OTHER_STATUS, return_dtype=pl.String)
    table = _cleaned(rows, clean).with_columns(status).to_arrow()
    known = set(table.column_names)
    columns = [table.column(f.name) if f.name in known else pa.nulls(len(rows), f.type) for f in schema]
    return pa.Table.from_arrays(columns, names=schema.names).cast(schema)


def write(
    tables: Iterator[pa.Table],
    schema: pa.Schema,
    prefix: str,
    opened: Callable[[str], AbstractContextManager[BinaryIO]],
    file_bytes: int = FILE_BYTES,
) -> Iterator[DataFile]:
    """Write tables of one schema into `<prefix>-00000.parquet` and so on, at least one file; each is described once it
    is closed. `opened(path)` gives the file to write and makes it visible when its block ends without an error."""
    strings = [f.name for f in schema if pa.types.is_string(f.type) and f.name not in ("id", "url", "title")]
    groups = row_groups(tables, GROUP_ROWS, min(GROUP_BYTES, file_bytes))
    group: pa.Table | None = next(groups, schema.empty_table())
    number = 0
    while group is not None:
        path = f"{prefix}-{number:05d}.parquet"
        rows = weight = text_bytes = 0
        with opened(path) as file:
            sink = _Hashed(file)
            with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, use_dictionary=strings, **_OPTIONS) as writer:
                while group is not None and (not rows or weight + int(_weights(group).sum()) <= file_bytes):
                    writer.write_table(group, row_group_size=max(1, group.num_rows))
                    rows, weight = rows + group.num_rows, weight + int(_weights(group).sum())
                    text_bytes += pc.sum(pc.binary_length(group.column("text"))).as_py() or 0
                    group = None  # it is a slice, and would hold its partition while the next is read
                    group = next(groups, None)
        yield DataFile(path, rows, sink.bytes, sink.hash.hexdigest(), text_bytes)
        number += 1


def row_groups(
    tables: Iterator[pa.Table], most_rows: int = GROUP_ROWS, most_bytes: int = GROUP_BYTES
) -> Iterator[pa.Table]:
    """The same rows cut anew: each group as many rows as the bounds allow, at least one. Where the cuts lie depends on
    the rows, not on how they were spread over the tables."""
    held: pa.Table | None = None
    for table in tables:
        table = table if held is None else pa.concat_tables([held, table])
        ends = np.concatenate([[0], np.cumsum(_weights(table))])
        start = 0
        while start < table.num_rows:
            full = int(np.searchsorted(ends, ends[start] + most_bytes, side="right")) - 1
            end = min(max(full, start + 1), start + most_rows)
            if end >= table.num_rows:
                break
            yield table.slice(start, end - start)
            start = end
        rest = np.arange(start, table.num_rows)
        held = table.take(pa.array(rest)) if len(rest) else None  # a copy: a slice would hold its whole partition
        del table  # before the next is read
    if held is not None:
        yield held


def _weights(table: pa.Table) -> np.ndarray:
    """Bytes of text and URL per row."""
    total = np.zeros(table.num_rows, np.int64)
    for name in ("text", "url"):
        lengths = pc.fill_null(pc.binary_length(table.column(name)), 0)
        total += lengths.to_numpy().astype(np.int64)
    return total


def _signals(run: Run) -> list[pa.Field]:
    nodes = run.plan.pipeline.nodes.values()
    return [pa.field(f"{node.name}.{name}", kind) for node in nodes for name, kind in node.stage.signals().items()]


def _records(run: Run, columns: list[str]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Per partition, its source and the records that never became documents."""
    for partition in run.plan.partitions:
        part = run.plan.records(partition)
        rows = pl.DataFrame(run.plan.store.read(part, columns)).filter(pl.col("status") != KEPT)
        yield partition.source, rows.with_columns(pl.col(c).cast(pl.String) for c in columns if c != "status")


def _freed(run: Run, partition: Partition) -> bool:
    """Whether a partition gave up the text of what was not selected."""
    return "freed" in (run.plan.store.record(run.plan.documents(partition)) or {})


def _check_texts(run: Run) -> None:
    """Raises RunError where a document is kept whose text another selection gave up."""
    lost = sum(missing_text(run.plan, p) for p in run.plan.partitions if _freed(run, p))
    if lost:
        raise RunError(
            f"{run.folder}: {lost:,} kept documents have no text any more, because a run with another selection had "
            "'rejected: metadata'; run in another folder to read them again"
        )


def _cleaned(rows: pl.DataFrame, clean: Callable[[str], str]) -> pl.DataFrame:
    failed, value = pl.col("selection.status") == FAILED, pl.col("selection.value").cast(pl.String)
    causes = rows.filter(failed).select(value).to_series().drop_nulls().unique()
    cleaned = value.replace({cause: clean(cause) for cause in causes})
    return rows.with_columns(pl.when(failed).then(cleaned).otherwise(value).alias("selection.value"))


class _Hashed:
    """A binary sink that counts and hashes what passes through."""

    def __init__(self, inner: BinaryIO) -> None:
        self.inner, self.bytes, self.hash, self.closed = inner, 0, hashlib.sha256(), False

    def write(self, data: Any) -> int:
        self.hash.update(data)
        self.bytes += len(data)
        self.inner.write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is flushed before the end."""

    def tell(self) -> int:
        return self.bytes
