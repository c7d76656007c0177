"""From input bytes to documents: read, screen, extract, and account for every record on the way."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from winnow.pipelines.engine.frame import ERROR, MEASURED, PartitionFrame, RowBatch
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.store import rebatched
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT, PENDING, UNSEEN, explain, holds, verdict
from winnow.stages.base import DOCUMENT_SCHEMA
from winnow.stages.opening import measured
from winnow.stages.reading.files import public
from winnow.stages.source import Damage, Page

CHUNK_PAGES = 64
CHUNK_BYTES = 32 * 2**20

URL_CHARS = 1 << 16
"""Longest address of a row, in characters; so many of a longer one are recorded."""

RECORD_SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "url": pa.string(),
        "date": pa.string(),
        "status": pa.uint8(),
        "stage": pa.string(),
        "clause": pa.string(),
        "value": pa.string(),
        "threshold": pa.string(),
        "page_bytes": pa.int64(),  # of the raw page; null where the source gives texts
        "text_bytes": pa.int64(),  # of the document's text in UTF-8; null where it became none
    }
)
"""Every record of the input, in order. KEPT: it became the next document. FAILED: `value` is the cause."""


@dataclass
class Tally:
    """What one task saw: rows per stage, seconds per stage, damage. Added up by the driver."""

    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    measured: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    damage: list[dict[str, Any]] = field(default_factory=list)

    def count(
        self,
        stage: str,
        rows: int,
        kept: int,
        failed: int = 0,
        dropped: dict[str, int] | None = None,
        pending: int = 0,
    ) -> None:
        """Add rows to a stage's account."""
        account = self.stages.setdefault(stage, {"in": 0, "kept": 0, "failed": 0, "dropped": {}})
        account["in"] += rows
        account["kept"] += kept
        account["failed"] += failed
        if pending:
            account["pending"] = account.get("pending", 0) + pending
        for clause, n in (dropped or {}).items():
            account["dropped"][clause] = account["dropped"].get(clause, 0) + n

    def verdict(self, node: Node, status: npt.NDArray[np.uint8], first: npt.NDArray[np.int16]) -> None:
        """Add a stage's verdict to its account."""
        by_status = np.bincount(status, minlength=5)
        by_clause = np.bincount(first[first >= 0], minlength=len(node.clauses))
        dropped = {c.name: int(n) for c, n in zip(node.clauses, by_clause, strict=True) if n}
        seen, (kept, failed, pending) = (
            len(status) - int(by_status[UNSEEN]),
            map(int, by_status[[KEPT, FAILED, PENDING]]),
        )
        self.count(node.name, seen, kept, failed, dropped, pending)


class Ingest:
    """Reads one partition and writes its documents, the raw stages' signals and its records. State: the open parts."""

    def __init__(self, plan: Plan, partition: Partition, tally: Tally) -> None:
        self.plan, self.partition, self.tally = plan, partition, tally
        self.source = plan.pipeline.sources[partition.source]
        self.raw = plan.pipeline.raw()
        self.records: list[pa.RecordBatch] = []
        self.count = 0
        store = plan.store
        self.writer = store.writer(plan.documents(partition), DOCUMENT_SCHEMA)
        self.raw_writers = {
            n.name: store.writer(plan.signals(n, partition)[0][0], self.schema(n), wide=True) for n in self.raw
        }

    def row_batches(self) -> Iterator[RowBatch]:
        """The documents as they come, in stretches of BATCH_ROWS, written on the way."""
        for wide in rebatched(self.documents()):
            documents = wide.select(DOCUMENT_SCHEMA.names).cast(DOCUMENT_SCHEMA)
            self.writer.write(documents)
            view = PartitionFrame(self.plan, self.partition, self.count, wide.num_rows, batch=documents)
            for name, writer in self.raw_writers.items():
                columns = [wide.column(f"{name}/{f.name}") for f in writer.schema]
                table = pa.Table.from_arrays(columns, schema=writer.schema)
                writer.write(table)
                view.put(name, table)
            self.count += wide.num_rows
            yield view, partial(_given, documents)

    def close(self) -> None:
        """Make it all visible; the records come last, and with them the partition counts as ingested."""
        self.writer.close()
        for writer in self.raw_writers.values():
            writer.close()
        facts = {"documents": self.count, "stages": self.tally.stages, "damage": self.tally.damage}
        records = pa.Table.from_batches(self.records, RECORD_SCHEMA).combine_chunks()
        self.plan.store.write(self.plan.records(self.partition), records, **facts)

    def discard(self) -> None:
        """Leave no trace of a partition that could not be read to its end."""
        for writer in (self.writer, *self.raw_writers.values()):
            writer.discard()

    def schema(self, node: Node) -> pa.Schema:
        """Schema of a raw stage's signals part."""
        return pa.schema({MEASURED: pa.bool_(), ERROR: pa.string(), **node.stage.signals()})

    def documents(self) -> Iterator[pa.RecordBatch]:
        """Wide batches of documents, in order: their own columns, then `stage/column` of the raw signals."""
        for segment in self.partition.segments:
            if self.source.gives == "texts":
                for item in self._timed(self.source.texts(segment)):
                    if isinstance(item, Damage):
                        self._damaged(item)
                    else:
                        yield self._texts(item)
                continue
            chunk: list[Page] = []
            size = 0
            for page in self._timed(self.source.pages(segment)):
                if isinstance(page, Damage):
                    self._damaged(page)
                    continue
                chunk.append(page)
                size += len(page.payload)
                if len(chunk) == CHUNK_PAGES or size > CHUNK_BYTES:
                    yield self._pages(chunk)
                    chunk, size = [], 0
            if chunk:
                yield self._pages(chunk)

    def _timed(self, items: Iterator[Any]) -> Iterator[Any]:
        while True:
            started = time.perf_counter()
            item = next(items, None)
            self.tally.seconds[self.source.name] += time.perf_counter() - started
            if item is None:
                return
            yield item

    def _damaged(self, damage: Damage) -> None:
        self.tally.damage.append({"file": public(damage.file), "offset": damage.offset, "cause": public(damage.cause)})

    def _texts(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Rows that enter after extraction. Those that the source could not read are failures; screens that look at the
        address alone may drop others."""
        errors = batch.column("error").to_pylist()
        addresses = zip(*(batch.column(c).to_pylist() for c in ("id", "url", "date")), errors, strict=True)
        pages = [Page(id=i, url=url, date=date, error=error) for i, url, date, error in addresses]
        rows = _undecided(len(pages))
        live = self._source_verdict(pages, rows)
        frame = pl.DataFrame({"_": np.zeros(len(live), np.uint8)})
        measured: dict[str, pa.Array] = {}
        for node in self.raw:
            if node.stage.sees == "addresses":
                live, frame, measured = self._screened(node, pages, live, frame, measured, rows)
        kept = batch.take(pa.array(live, pa.int64()))
        sizes = pc.binary_length(kept.column("text")).to_pylist()
        self._recorded(pages, rows, live, sizes, [None] * len(pages))
        columns = [kept.column(f.name).cast(f.type) for f in DOCUMENT_SCHEMA]
        names = list(DOCUMENT_SCHEMA.names)
        for node in self.raw:
            screened = node.stage.sees == "addresses"
            for column in self.schema(node):
                name = f"{node.name}/{column.name}"
                value = measured[name] if name in measured else pa.nulls(kept.num_rows, column.type)
                columns.append(
                    pa.repeat(screened, kept.num_rows) if column.name == MEASURED else value.cast(column.type)
                )
                names.append(name)
        return pa.RecordBatch.from_arrays(columns, names)

    def _pages(self, pages: Sequence[Page]) -> pa.RecordBatch:
        """Screen and extract one chunk; every page ends as a document, a drop or a failure."""
        rows = _undecided(len(pages))
        live = self._source_verdict(pages, rows)
        frame = pl.DataFrame({"_": np.zeros(len(live), np.uint8)})
        measured: dict[str, pa.Array] = {}
        for node in self.raw:
            live, frame, measured = self._screened(node, pages, live, frame, measured, rows)
        documents = self._wide([pages[i] for i in live], measured)
        sizes = pc.binary_length(documents.column("text")).to_pylist()
        self._recorded(pages, rows, live, sizes, [len(p.payload) for p in pages])
        return documents

    def _screened(
        self,
        node: Node,
        pages: Sequence[Page],
        live: list[int],
        frame: pl.DataFrame,
        measured: dict[str, pa.Array],
        rows: dict[str, list[Any]],
    ) -> tuple[list[int], pl.DataFrame, dict[str, pa.Array]]:
        """What is left of live pages, their signals and all columns measured so far after a raw stage has decided."""
        batch = self._run(node, [pages[i] for i in live])
        measured = measured | {f"{node.name}/{name}": batch.column(name) for name in batch.schema.names}
        signals = {f"{node.name}.{s}": pl.from_arrow(batch.column(s)) for s in node.stage.signals()}
        frame = frame.with_columns(pl.Series(k, v) for k, v in signals.items())
        keep = self._verdict(node, frame, measured.get(f"{node.name}/error"), live, rows)
        mask = pa.array(keep, pa.bool_())
        left = [row for row, k in zip(live, keep, strict=True) if k]
        return left, frame.filter(pl.Series(keep, dtype=pl.Boolean)), {n: c.filter(mask) for n, c in measured.items()}

    def _recorded(
        self,
        pages: Sequence[Page],
        rows: dict[str, list[Any]],
        live: Sequence[int],
        sizes: Sequence[int],
        page_bytes: Sequence[int | None],
    ) -> None:
        """Add what became of a chunk to the records."""
        text_bytes: list[int | None] = [None] * len(pages)
        for i, size in zip(live, sizes, strict=True):
            text_bytes[i] = size
        names = [[p.id for p in pages], [p.url and p.url[:URL_CHARS] for p in pages], [p.date for p in pages]]
        columns = [*names, *rows.values(), page_bytes, text_bytes]
        self.records.append(
            pa.RecordBatch.from_pydict(dict(zip(RECORD_SCHEMA.names, columns, strict=True)), RECORD_SCHEMA)
        )

    def _source_verdict(self, pages: Sequence[Page], rows: dict[str, list[Any]]) -> list[int]:
        live, dropped, failed = [], dict[str, int](), 0
        for i, page in enumerate(pages):
            error = page.error or _too_long(page.url)
            if error is not None:
                failed += 1
                rows["status"][i], rows["stage"][i], rows["value"][i] = FAILED, self.source.name, error
            elif page.drop is not None:
                clause = f"{self.source.name}.{page.drop.clause}"
                dropped[clause] = dropped.get(clause, 0) + 1
                rows["status"][i], rows["stage"][i], rows["clause"][i] = DROPPED, self.source.name, clause
                rows["value"][i], rows["threshold"][i] = page.drop.value, page.drop.threshold
            else:
                live.append(i)
        self.tally.count(self.source.name, len(pages), len(live), failed, dropped)
        return live

    def _run(self, node: Node, pages: Sequence[Page]) -> pa.RecordBatch:
        started = time.perf_counter()
        stage = node.stage
        texts = {"title": pa.string(), "text": pa.large_string()} if stage.outputs.text else {}
        batch = measured(stage, self.plan.opened(node.name), pages, stage.signals() | texts)
        self.tally.seconds[node.name] += time.perf_counter() - started
        self.tally.measured[node.name] += len(pages)
        return batch

    def _verdict(
        self, node: Node, frame: pl.DataFrame, errors: pa.Array | None, live: list[int], rows: dict[str, list[Any]]
    ) -> list[bool]:
        failed = np.zeros(len(live), bool) if errors is None else errors.is_valid().to_numpy(zero_copy_only=False)
        status, first = verdict(holds(node.clauses, frame), np.ones(len(live), bool), failed)
        reasons = explain(node.clauses, frame, first)
        counts: dict[str, int] = {}
        for at in np.flatnonzero(status != KEPT):
            row = live[at]
            rows["status"][row], rows["stage"][row] = int(status[at]), node.name
            if status[at] == FAILED:
                rows["value"][row] = errors[at].as_py() if errors is not None else None
                continue
            rows["clause"][row], rows["value"][row], rows["threshold"][row] = reasons.row(int(at))
            counts[rows["clause"][row]] = counts.get(rows["clause"][row], 0) + 1
        kept = status == KEPT
        self.tally.count(node.name, len(live), int(kept.sum()), int((status == FAILED).sum()), counts)
        return [bool(k) for k in kept]

    def _wide(self, pages: Sequence[Page], measured: dict[str, pa.Array]) -> pa.RecordBatch:
        extract = next(n.name for n in self.raw if n.stage.outputs.text)
        columns: dict[str, pa.Array] = {
            "id": pa.array([p.id for p in pages], pa.string()),
            "url": pa.array([p.url for p in pages], pa.string()),
            "date": pa.array([p.date for p in pages], pa.string()),
            "source": pa.repeat(self.source.name, len(pages)),
            "title": measured[f"{extract}/title"].cast(pa.string()),
            "text": measured[f"{extract}/text"].cast(pa.large_string()),
        }
        for node in self.raw:
            for f in self.schema(node):
                name = f"{node.name}/{f.name}"
                if f.name == MEASURED:
                    columns[name] = pa.repeat(True, len(pages))
                elif f.name == ERROR:
                    columns[name] = pa.nulls(len(pages), pa.string())
                else:
                    columns[name] = measured[name].cast(f.type)
        return pa.RecordBatch.from_pydict(columns)


def _too_long(url: str | None) -> str | None:
    """What is wrong with an address that no server would be asked for."""
    if url is None or len(url) <= URL_CHARS:
        return None
    return f"its URL has {len(url):,} characters: expected at most {URL_CHARS:,} ({url[:60]}...)"


def _undecided(rows: int) -> dict[str, list[Any]]:
    """The verdict columns of as many records."""
    return {"status": [KEPT] * rows} | {name: [None] * rows for name in ("stage", "clause", "value", "threshold")}


def _given(documents: pa.RecordBatch) -> pa.RecordBatch:
    return documents
