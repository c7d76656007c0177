"""Parquet files of a finished run: the kept documents, and the rejects with their reasons.

One partition is in memory at a time. Rows are gathered into row groups and row groups into files by two bounds on
rows and text bytes alone, and nothing of the time or the machine is written, so the same selection gives the same
bytes, however its rows were spread over partitions. Pages are cut by content: the hub stores a page that two
versions of a dataset share once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count as count_from
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from winnow.pipelines.results.shown import masked
from winnow.pipelines.results.table import Run, RunError
from winnow.pipelines.selection.verdict import DROPPED, FAILED, reasons
from winnow.stages.base import DOCUMENT_SCHEMA

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

NO_DOCUMENT = pl.col("row") < 0

_NAMED = {f"selection.{name}": name for name in ("status", "multiplicity", *REASON)}

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
    if lost := run.missing_texts():
        raise RunError(
            f"{run.folder}: {lost:,} kept documents have no text any more, because a run with another selection had "
            "'rejected: metadata'; run in another folder to read them again"
        )
    kept = copies = rejects = failed = 0
    thresholds = {
        why.clause: {why.threshold} for why in reasons(run.pipeline.measured()) if why.clause and why.threshold
    }
    for rows in run.read(["status", "multiplicity", "clause", "threshold"], of="records"):
        copies += int(rows.get_column("multiplicity").sum())
        here = int((rows.get_column("multiplicity") > 0).sum())
        kept, rejects = kept + here, rejects + len(rows) - here
        failed += int((rows.get_column("status") == FAILED).sum())
        for clause, threshold in rows.select("clause", "threshold").drop_nulls().unique().iter_rows():
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
        "rejects": sum(stages[s]["in"] for s in run.pipeline.sources if s in stages) - run.accounting["kept"],
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
    for frame in run.read(schema.names, pl.col("selection.multiplicity") > 0, named=_NAMED):
        yield frame.to_arrow().cast(schema)


def rejects(run: Run, clean: Callable[[str], str]) -> Iterator[pa.Table]:
    """What was not kept: the records that never were documents, then the documents, one table per partition.
    `clean` is applied to the causes of failures, which quote whatever an error message says."""
    schema = rejects_schema(run)
    own = ["id", "url", "date", "source", *(name for name in schema.names if name.startswith("selection."))]
    for rows in run.read(own, NO_DOCUMENT, of="records", named=_NAMED):
        yield _rejected(rows, schema, clean)
    purged = bool(run.purged())
    for rows in run.read(schema.names, pl.col("selection.multiplicity") == 0, named=_NAMED):
        if purged:
            rows = rows.with_columns(pl.when(pl.col("text") != "").then("text").alias("text"))
        yield _rejected(masked(run, rows), schema, clean)


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
    place: Callable[[str], Path],
    file_bytes: int = FILE_BYTES,
) -> Iterator[tuple[DataFile, Path]]:
    """Write tables of one schema into `<prefix>-00000.parquet` and so on, at least one file; each comes with the place that
    `place(path)` gave to write it to. A file that is not whole is removed."""
    strings = [f.name for f in schema if pa.types.is_string(f.type) and f.name not in ("id", "url", "title")]
    groups = row_groups(tables, GROUP_ROWS, min(GROUP_BYTES, file_bytes))
    group: pa.Table | None = next(groups, schema.empty_table())
    for number in count_from(0):
        if group is None:
            return
        path = f"{prefix}-{number:05d}.parquet"
        rows = weight = text_bytes = 0
        local = place(path)
        local.parent.mkdir(parents=True, exist_ok=True)
        try:
            with pq.ParquetWriter(local, schema, use_dictionary=strings, **_OPTIONS) as writer:
                while group is not None and (not rows or weight + int(_weights(group).sum()) <= file_bytes):
                    writer.write_table(group, row_group_size=max(1, group.num_rows))
                    rows, weight = rows + group.num_rows, weight + int(_weights(group).sum())
                    text_bytes += pc.sum(pc.binary_length(group.column("text"))).as_py() or 0
                    group = None  # it is a slice, and would hold its partition while the next is read
                    group = next(groups, None)
        except BaseException:
            local.unlink(missing_ok=True)
            raise
        with local.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield DataFile(path, rows, local.stat().st_size, digest, text_bytes), local


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
    return [pa.field(name, kind) for name, kind in run.signals().items()]


def _cleaned(rows: pl.DataFrame, clean: Callable[[str], str]) -> pl.DataFrame:
    failed, value = pl.col("selection.status") == FAILED, pl.col("selection.value").cast(pl.String)
    causes = rows.filter(failed).select(value).to_series().drop_nulls().unique()
    cleaned = value.replace({cause: clean(cause) for cause in causes})
    return rows.with_columns(pl.when(failed).then(cleaned).otherwise(value).alias("selection.value"))
