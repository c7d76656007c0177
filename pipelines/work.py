"""What runs on a worker. Every task is a pure function of the plan and an index; running one twice does no harm."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from winnow.filters.rounding import realise
from winnow.pipelines.ingest import Ingest, Tally
from winnow.pipelines.plan import Partition, Plan
from winnow.pipelines.selection import DROPPED, FAILED, KEPT, UNSEEN, explain
from winnow.pipelines.spec import Node
from winnow.pipelines.store import BATCH_ROWS
from winnow.pipelines.view import ERROR, MEASURED, PartView, Stretch, View
from winnow.stages.stage import Corpus, Measured, StageError, Terminal

SELECTION_SCHEMA = pa.schema(
    {
        "status": pa.uint8(),
        "multiplicity": pa.uint16(),
        "stage": pa.string(),
        "clause": pa.string(),
        "value": pa.string(),
        "threshold": pa.string(),
    }
)
"""The decision on every document, row-aligned: the first stage, in order, that did not keep it, and why."""


def measure(plan: Plan, index: int, wave: int) -> dict[str, Any]:
    """Ingest a partition if it is not there yet, and measure every stage of the wave on it, reading its text once."""
    started = time.perf_counter()
    partition, tally = plan.partitions[index], Tally()
    record = plan.store.record(plan.records(partition))
    nodes = [n for n in plan.wave(wave) if record is None or not plan.store.exists(plan.covered(n.name))]
    writers = {n.name: plan.store.writer(plan.signals(n.name, partition), _schema(n)) for n in nodes}
    before = {n.name: _measured_before(plan, n, partition) for n in nodes} if record else {}
    fresh = {n.name for n in nodes if before.get(n.name) is None}
    ingest = None if record else Ingest(plan, partition, tally)
    with ExitStack() as unless_done:
        for writer in writers.values():
            unless_done.callback(writer.discard)
        if ingest:
            unless_done.callback(ingest.discard)
        for view, text in ingest.stretches() if ingest else _stored(plan, partition, record or {}):
            for node in nodes:
                begun = time.perf_counter()
                table, count = _measure(node, view, text, before.get(node.name))
                tally.seconds[node.name] += time.perf_counter() - begun
                tally.measured[node.name] += count
                if count:
                    fresh.add(node.name)
                view.put(node.name, table)
                writers[node.name].write(table)
        unless_done.pop_all()
    for name, writer in writers.items():
        if name in fresh:
            writer.close()
        else:
            writer.discard()
    if ingest:
        ingest.close()
    rows = {name: [account["in"], account["kept"]] for name, account in tally.stages.items()}
    wall = time.perf_counter() - started
    return {"seconds": dict(tally.seconds), "measured": dict(tally.measured), "wall": wall, "rows": rows}


def uncovered(plan: Plan, index: int, wave: int) -> bool:
    """Whether a stage of the wave has yet to measure some document of a partition. Reads signals, no text."""
    partition = plan.partitions[index]
    record = plan.store.record(plan.records(partition))
    if record is None:
        return True
    view = View(plan, partition, 0, record["documents"])
    for node in plan.wave(wave):
        before = (
            None if plan.store.exists(plan.covered(node.name)) else _measured_before(plan, node, partition, [MEASURED])
        )
        if before is None and not plan.store.exists(plan.covered(node.name)):
            return True
        if before is not None and (view.seen(node) & ~before.column(MEASURED).to_numpy()).any():
            return True
    return False


def exchange(plan: Plan, stage: str, bucket: int, buckets: int) -> dict[str, Any]:
    """One bucket of a corpus stage's exchange."""
    started = time.perf_counter()
    node = plan.pipeline.nodes[stage]
    assert isinstance(node.stage, Corpus)
    part = _exchanged(plan, stage, bucket)
    if plan.store.record(part) is None:
        table = node.stage.exchange(bucket, buckets, _parts(plan, node))
        plan.store.write(part, table)
    wall = time.perf_counter() - started
    return {"seconds": {stage: wall}, "measured": {}, "wall": wall, "rows": {}}


def reduce(plan: Plan, stage: str, buckets: int) -> dict[str, Any]:
    """A corpus stage's reduce: its signals for every row it sees, written part by part."""
    started = time.perf_counter()
    node = plan.pipeline.nodes[stage]
    assert isinstance(node.stage, Corpus)
    parts = _parts(plan, node)
    exchanged = (plan.store.read(_exchanged(plan, stage, b)) for b in range(buckets))
    schema = pa.schema({MEASURED: pa.bool_(), ERROR: pa.string(), **node.stage.signals()})
    documents = 0
    for part, batch in zip(parts, node.stage.reduce(parts, exchanged), strict=True):
        if batch.num_rows != part.rows:
            raise StageError(f"{stage}: reduce gave {batch.num_rows} rows for the {part.rows} of part {part.index}")
        at = np.full(part.documents, -1, np.int64)
        at[part.selected] = np.arange(part.rows)
        take = pa.array(at, mask=at < 0)
        columns = [batch.column(f.name).cast(f.type).take(take) for f in list(schema)[2:]]
        table = pa.Table.from_arrays([pa.array(at >= 0), part.errors, *columns], schema=schema)
        plan.store.write(plan.reduced(stage, part.partition), table)
        documents += part.rows
    plan.store.write_json(plan.reduce_done(stage), {"documents": documents, "report": node.stage.report()})
    wall = time.perf_counter() - started
    return {"seconds": {stage: wall}, "measured": {stage: documents}, "wall": wall, "rows": {}}


def buckets(plan: Plan, stage: str) -> int:
    """How many exchange tasks a corpus stage wants for the rows it sees."""
    node = plan.pipeline.nodes[stage]
    assert isinstance(node.stage, Corpus)
    return node.stage.buckets(sum(part.rows for part in _parts(plan, node)))


def select(plan: Plan, index: int) -> dict[str, Any]:
    """Decide on every document of a partition and account for it at every stage. Raises StageError if rows are lost."""
    started = time.perf_counter()
    partition, tally = plan.partitions[index], Tally()
    record = plan.store.record(plan.records(partition))
    assert record is not None, "the selection runs only after every partition is ingested"
    view = View(plan, partition, 0, record["documents"])
    status = np.full(view.rows, KEPT, np.uint8)
    reasons = pl.DataFrame({"stage": [None] * view.rows, "clause": None, "value": None, "threshold": None}, _TEXTS)
    multiplicity = np.ones(view.rows, np.float64)
    for node in plan.pipeline.measured():
        at, first = view.verdict(node)
        why = explain(node.clauses, view.frame([s for c in node.clauses for s in c.signals]), first)
        why = why.with_columns(
            pl.when(pl.Series(at == FAILED))
            .then(pl.Series(view.table(node.name).column(ERROR)))
            .otherwise("value")
            .alias("value")
        )
        counts = why.filter(pl.Series(at == DROPPED)).group_by("clause").len().sort("clause")
        kept, failed = int((at == KEPT).sum()), int((at == FAILED).sum())
        seen = int((at != UNSEEN).sum())
        tally.count(node.name, seen, kept, failed, dict(counts.iter_rows()))
        decided = (at == DROPPED) | (at == FAILED)
        reasons = _first_reason(reasons, why.with_columns(pl.lit(node.name).alias("stage")), decided & (status == KEPT))
        status = np.where((status == KEPT) & decided, at, status)
        if "multiplicity" in node.stage.signals():
            values = view.table(node.name).column("multiplicity").to_numpy(zero_copy_only=False)
            multiplicity *= np.where(at == KEPT, np.nan_to_num(values), 1.0)
    copies = _copies(plan, view, status, multiplicity)
    mixed_out = (status == KEPT) & (copies == 0)
    if mixed_out.any():
        name = next(n.name for n in plan.pipeline.measured() if "multiplicity" in n.stage.signals())
        sampled = pl.DataFrame(
            {"stage": name, "clause": f"{name}.multiplicity", "value": pl.Series(multiplicity).cast(pl.String)}
        )
        reasons = _first_reason(reasons, sampled.with_columns(threshold=pl.lit("> hash(seed, id)")), mixed_out)
        status[mixed_out] = DROPPED
        account = tally.stages[name]
        account["kept"] -= int(mixed_out.sum())
        account["dropped"][f"{name}.multiplicity"] = int(mixed_out.sum())
    columns = [pa.array(status), pa.array(copies), *(reasons.get_column(c).to_arrow() for c in _TEXTS)]
    table = pa.Table.from_arrays(
        [c.cast(f.type) for c, f in zip(columns, SELECTION_SCHEMA, strict=True)], schema=SELECTION_SCHEMA
    )
    written = plan.store.write(plan.selected(partition), table)
    return {
        "stages": tally.stages,
        "kept": int((status == KEPT).sum()),
        "failed": int((status == FAILED).sum()),
        "copies": int(copies.sum()),
        "tokens": _tokens(plan, view, copies),
        "documents": view.rows,
        "hash": written["hash"],
        "index": index,
        "wall": time.perf_counter() - started,
    }


def plan_shards(plan: Plan) -> list[Any]:
    """The terminal stage's plan: what goes into each shard, from the selection alone."""
    node = _terminal(plan)
    parts = _parts(plan, node)
    assert isinstance(node.stage, Terminal)
    chosen = [plan.store.read(plan.selected(p.partition), ["multiplicity"]).column(0) for p in parts]
    return node.stage.plan(
        parts, [c.combine_chunks().take(pa.array(p.selected)) for c, p in zip(chosen, parts, strict=True)]
    )


def write_shard(plan: Plan, shard: Any) -> dict[str, Any]:
    """Write one shard; returns its manifest entry under `entry`."""
    started = time.perf_counter()
    node = _terminal(plan)
    assert isinstance(node.stage, Terminal)
    entry = node.stage.write(shard, _parts(plan, node), plan.store.url(plan.shards))
    wall = time.perf_counter() - started
    return {"entry": entry, "seconds": {node.name: wall}, "measured": {}, "wall": wall, "rows": {}}


def _measure(node: Node, view: View, text: Any, before: pa.Table | None) -> tuple[pa.Table, int]:
    """Signals of one stage on one stretch: those measured before, and now those still missing."""
    assert isinstance(node.stage, Measured)
    schema = _schema(node)
    before = before.slice(view.start, view.rows) if before is not None else None
    have = np.zeros(view.rows, bool) if before is None else before.column(MEASURED).to_numpy()
    todo = np.flatnonzero(view.seen(node) & ~have)
    if before is not None and not len(todo):
        return before, 0
    fresh = schema.empty_table()
    if len(todo):
        documents = text()
        batch = node.stage.measure(documents if len(todo) == view.rows else documents.take(pa.array(todo)))
        if batch.num_rows != len(todo):
            raise StageError(f"{node.name}: kind '{node.stage.kind}' gave {batch.num_rows} rows for {len(todo)}")
        error = batch.column("error") if "error" in batch.schema.names else pa.nulls(len(todo), pa.string())
        columns = [batch.column(f.name).cast(f.type) for f in list(schema)[2:]]
        fresh = pa.Table.from_arrays([pa.repeat(True, len(todo)), error, *columns], schema=schema)
        if len(todo) == view.rows:
            return fresh, len(todo)
    at = np.full(view.rows, -1, np.int64)
    at[have] = np.flatnonzero(have)
    at[todo] = np.arange(len(todo)) + (0 if before is None else view.rows)
    rows = pa.concat_tables([fresh] if before is None else [before, fresh])
    table = rows.take(pa.array(at, mask=at < 0))
    return table.set_column(0, schema.field(0), pa.array(at >= 0)), len(todo)


def _schema(node: Node) -> pa.Schema:
    assert isinstance(node.stage, Measured)
    return pa.schema({MEASURED: pa.bool_(), ERROR: pa.string(), **node.stage.measured(), **node.stage.hidden()})


def _measured_before(
    plan: Plan, node: Node, partition: Partition, columns: Sequence[str] | None = None
) -> pa.Table | None:
    part = plan.signals(node.name, partition)
    return plan.store.read(part, columns) if plan.store.record(part) else None


def _stored(plan: Plan, partition: Partition, record: dict[str, Any]) -> Iterator[Stretch]:
    """The stretches of a partition that is ingested; a batch of text is read only when asked for."""
    reader = None

    def text(number: int) -> pa.RecordBatch:
        nonlocal reader
        reader = reader or plan.store.reader(plan.documents(partition))
        return reader.get_batch(number)

    loaded: dict[str, pa.Table] = {}
    for number, start in enumerate(range(0, record["documents"], BATCH_ROWS)):
        view = View(plan, partition, start, min(BATCH_ROWS, record["documents"] - start), loaded)
        yield view, partial(text, number)


def _parts(plan: Plan, node: Node) -> list[PartView]:
    return [PartView(plan, partition, node) for partition in plan.partitions]


def _terminal(plan: Plan) -> Node:
    node = plan.pipeline.terminal()
    assert node is not None
    return node


def _exchanged(plan: Plan, stage: str, bucket: int) -> str:
    return f"corpus/{stage}/{plan.corpus[stage]}/exchange-{bucket:05d}"


def _first_reason(reasons: pl.DataFrame, why: pl.DataFrame, where: np.ndarray) -> pl.DataFrame:
    here = pl.Series(where)
    return reasons.with_columns(pl.when(here).then(why.get_column(c)).otherwise(pl.col(c)).alias(c) for c in _TEXTS)


def _copies(plan: Plan, view: View, status: np.ndarray, multiplicity: np.ndarray) -> np.ndarray:
    if (multiplicity == 1).all():
        return np.asarray(status == KEPT, np.uint16)
    ids = plan.store.read(plan.documents(view.partition), ["id"]).column("id").combine_chunks()
    copies = np.zeros(view.rows, np.uint16)
    kept = status == KEPT
    copies[kept] = realise(multiplicity, ids, plan.pipeline.seed)[kept]
    return copies


def _tokens(plan: Plan, view: View, copies: np.ndarray) -> int:
    node = plan.pipeline.terminal()
    if node is None:
        return 0
    tokens = view.table(node.name).column("tokens").fill_null(0).to_numpy(zero_copy_only=False)
    return int((tokens.astype(np.int64) * copies).sum())


_TEXTS = {"stage": pl.String, "clause": pl.String, "value": pl.String, "threshold": pl.String}
