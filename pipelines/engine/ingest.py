"""From input bytes to documents: read, screen, extract, and account for every record on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from winnow.pipelines.engine.accounting import Tally
from winnow.pipelines.engine.frame import PartitionFrame, RowBatch
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.signals import MEASURED, signals_schema
from winnow.pipelines.engine.store import rebatched
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT, explain, holds, verdict
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
        filed = {node.name: plan.signals(node, partition)[0] for node in self.raw}
        self.raw_writers = {
            name: store.writer(part, signals_schema(columns), wide=True) for name, (part, columns) in filed.items()
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
                    yield self._chunk(chunk)
                    chunk, size = [], 0
            if chunk:
                yield self._chunk(chunk)

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
        names = ("id", "url", "date", "error")
        rows = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
        return self._chunk([Page(**dict(zip(names, row, strict=True))) for row in rows], batch)

    def _chunk(self, pages: Sequence[Page], texts: pa.RecordBatch | None = None) -> pa.RecordBatch:
        """Screen and extract one chunk; every page ends as a document, a drop or a failure. `texts`: of pages that need no
        extraction."""
        rows: dict[str, list[Any]] = {"status": [KEPT] * len(pages)}
        rows |= {name: [None] * len(pages) for name in ("stage", "clause", "value", "threshold")}
        live = self._source_verdict(pages, rows)
        frame = pl.DataFrame({"_": np.zeros(len(live), np.uint8)})
        measured: dict[str, pa.Array] = {}
        screening = [node for node in self.raw if texts is None or node.stage.sees == "addresses"]
        for node in screening:
            live, frame, measured = self._screened(node, pages, live, frame, measured, rows)
        if texts is None:
            extract = next(n.name for n in self.raw if n.stage.outputs.text)
            columns: dict[str, Any] = {name: [getattr(pages[i], name) for i in live] for name in ("id", "url", "date")}
            columns |= {"source": pa.repeat(self.source.name, len(live))}
            columns |= {name: measured[f"{extract}/{name}"] for name in ("title", "text")}
        else:
            kept = texts.take(pa.array(live, pa.int64()))
            columns = {name: kept.column(name) for name in DOCUMENT_SCHEMA.names}
        arrays = {f.name: _array(columns[f.name], f.type) for f in DOCUMENT_SCHEMA}
        for node in self.raw:
            for f in self.raw_writers[node.name].schema:
                name = f"{node.name}/{f.name}"
                given = pa.repeat(node in screening, len(live)) if f.name == MEASURED else measured.get(name)
                arrays[name] = pa.nulls(len(live), f.type) if given is None else given.cast(f.type)
        page_bytes = [len(page.payload) if texts is None else None for page in pages]
        self._recorded(pages, rows, live, pc.binary_length(arrays["text"]).to_pylist(), page_bytes)
        return pa.RecordBatch.from_pydict(arrays)

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
        self.tally.verdict(node, status, first)
        reasons = explain(node.clauses, frame, first)
        for at in np.flatnonzero(status != KEPT):
            row = live[at]
            rows["status"][row], rows["stage"][row] = int(status[at]), node.name
            if status[at] == FAILED:
                rows["value"][row] = errors[at].as_py() if errors is not None else None
            else:
                rows["clause"][row], rows["value"][row], rows["threshold"][row] = reasons.row(int(at))
        return [bool(k) for k in status == KEPT]


def _too_long(url: str | None) -> str | None:
    """What is wrong with an address that no server would be asked for."""
    if url is None or len(url) <= URL_CHARS:
        return None
    return f"its URL has {len(url):,} characters: expected at most {URL_CHARS:,} ({url[:60]}...)"


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind) if isinstance(values, list) else values.cast(kind)


def _given(documents: pa.RecordBatch) -> pa.RecordBatch:
    return documents
