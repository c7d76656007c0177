"""What runs on a worker. Every task is a pure function of the plan's table and what it is given beside it, such as a
partition; running one twice does no harm."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from winnow.filters.hash_random import realise
from winnow.pipelines.engine.accounting import Tally
from winnow.pipelines.engine.frame import PartitionFrame, RowBatch
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.ingest import Ingest
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.signals import MEASURED, flags_of, side_by_side, signals_schema
from winnow.pipelines.engine.store import BATCH_ROWS
from winnow.pipelines.engine.tasks import Kind
from winnow.pipelines.engine.texts import EditedBatches, SelectedRows, population
from winnow.pipelines.selection.statistics import PartialStatistic, StatisticRequest, partial_statistics
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT, MULTIPLICITY, PENDING
from winnow.stages.base import Reducer, StageError, Writer
from winnow.stages.opening import measured

SELECTION_SCHEMA = pa.schema({"status": pa.uint8(), "multiplicity": pa.uint16(), "reason": pa.int16()})
"""The decision on every document, row-aligned. `reason`: the first, in the order of the stages, for which it is not kept,
as its number in `selection.verdict.reasons`; -1 where it is. Value and threshold follow from it and the signals."""


def measure(plan: Plan, partition: Partition, level: int) -> dict[str, Any]:
    """Ingest a partition if it is not there yet, and measure every stage of the level on it, reading its text once."""
    tally, accounts = Tally(), Tally()
    record = plan.store.record(plan.records(partition))
    nodes = [n for n in plan.measuring(level) if record is None or not plan.measured(n.name)]
    filed = {n.name: plan.signals(n, partition, own=True) for n in nodes}
    parts = {name: [part for part, _ in own] for name, own in filed.items()}
    schemas = {part: signals_schema(columns) for own in filed.values() for part, columns in own}
    before = {part: plan.store.read(part) if record and plan.store.record(part) else None for part in schemas}
    writers = {part: plan.store.writer(part, schema, wide=True) for part, schema in schemas.items()}
    fresh = {part for part, table in before.items() if table is None}
    flags = {part: xxhash.xxh3_64() for part in writers}
    ingest = None if record else Ingest(plan, partition, tally)
    with ExitStack() as unless_done:
        for writer in writers.values():
            unless_done.callback(writer.discard)
        if ingest:
            unless_done.callback(ingest.discard)
        for view, text in ingest.row_batches() if ingest else _stored(plan, partition, record or {}):
            texts = EditedBatches(plan, view, text)
            for node in nodes:
                begun = time.perf_counter()
                tables, counts = _measure(plan, node, view, texts, [before[part] for part in parts[node.name]])
                tally.seconds[node.name] += time.perf_counter() - begun
                tally.measured[node.name] += max(counts)
                view.put(node.name, side_by_side(tables))
                for part, table, count in zip(parts[node.name], tables, counts, strict=True):
                    writers[part].write(table)
                    flags[part].update(flags_of(table))
                    fresh |= {part} if count else set()
            _account(plan, view, level, accounts)
        unless_done.pop_all()
    for name, writer in writers.items():
        if name in fresh:
            writer.close(flags=flags[name].hexdigest())
        else:
            writer.discard()
    if ingest:
        ingest.close()
    return {
        "seconds": dict(tally.seconds),
        "measured": dict(tally.measured),
        "index": partition.index,
        "stages": accounts.stages,
        "ingested": tally.stages,
    }


def _account(plan: Plan, view: PartitionFrame, level: int, accounts: Tally) -> None:
    """What the stages of a level decide on the rows of a view, where that does not need all documents together."""
    for node in plan.measuring(level):
        if plan.task(Kind.DECIDE, node.name).step == 2 * level and not node.writes:
            accounts.verdict(node, *view.verdict(node))


def uncovered(plan: Plan, partition: Partition, level: int) -> bool:
    """Whether a stage of the level has yet to measure some document of a partition. Reads signals, no text."""
    if plan.store.record(plan.records(partition)) is None:
        return True
    open_ = [node for node in plan.measuring(level) if not plan.measured(node.name)]
    parts = [part for node in open_ for part, _ in plan.signals(node, partition, own=True)]
    return not all(map(plan.store.record, parts)) or any(rows for _, rows in unmeasured(plan, partition, level))


def exchange(
    plan: Plan, stage: str, first: int, stop: int, buckets: int, partitions: Sequence[Partition]
) -> dict[str, Any]:
    """The buckets `first` to `stop - 1` of a corpus stage's exchange."""
    node = plan.pipeline.nodes[stage]
    parts = _parts(plan, node, partitions)
    reducer: Reducer = plan.opened(stage)
    for bucket in range(first, stop):
        part = _exchanged(plan, stage, bucket)
        if plan.store.record(part) is None:
            plan.store.write(part, reducer.exchange(bucket, buckets, parts))
    return {}


def reduce(plan: Plan, stage: str, buckets: int, partitions: Sequence[Partition]) -> dict[str, Any]:
    """A corpus stage's reduce: its signals for every row it sees, written part by part."""
    node = plan.pipeline.nodes[stage]
    parts = _parts(plan, node, partitions)
    reducer: Reducer = plan.opened(stage)
    exchanged = (plan.store.read(_exchanged(plan, stage, b)) for b in range(buckets))
    documents = 0
    for part, batch in zip(parts, reducer.reduce(parts, exchanged), strict=True):
        if batch.num_rows != part.rows:
            raise StageError(f"{stage}: reduce gave {batch.num_rows} rows for the {part.rows} of part {part.index}")
        at = np.full(part.documents, -1, np.int64)
        at[part.selected] = np.arange(part.rows)
        take = pa.array(at, mask=at < 0)
        ((name, columns),) = plan.signals(node, part.partition)
        values = [batch.column(column).cast(kind).take(take) for column, kind in columns.items()]
        arrays = [pa.array(at >= 0), part.errors, *values]
        plan.store.write(name, pa.Table.from_arrays(arrays, schema=signals_schema(columns)))
        documents += part.rows
    plan.store.write_json(plan.marker(Kind.REDUCE, stage), {"documents": documents, "report": reducer.report()})
    return {"measured": {stage: documents}}


def buckets(plan: Plan, stage: str) -> int:
    """How many exchange tasks a corpus stage wants for the rows it sees."""
    node = plan.pipeline.nodes[stage]
    return node.stage.buckets(sum(part.rows for part in _parts(plan, node, plan.partitions)))


def unmeasured(plan: Plan, partition: Partition, level: int) -> list[tuple[str, int]]:
    """The stages of a level that are not recorded as measured, and how many documents of a partition each must measure and has
    not. Reads signals, no text."""
    view = PartitionFrame(replace(plan, allow_unmeasured=True), partition, 0, plan.ingested(partition)["documents"])
    nodes = [node for node in plan.measuring(level) if not plan.measured(node.name)]
    return [(node.name, int((view.needed(node) & ~view.measured(node)).sum())) for node in nodes]


def count(plan: Plan, partition: Partition, stage: str, requests: Sequence[StatisticRequest]) -> list[PartialStatistic]:
    """One partition's part of a pass of statistics over the documents that a stage sees."""
    node = plan.pipeline.nodes[stage]
    try:
        view = SelectedRows(plan, partition, node).view
        asked = population(view, node)
        return partial_statistics(asked, lambda salt: view.hashes(salt)[asked.indices(view.rows)], requests)
    except ValueError as error:
        raise StageError(f"{stage}.keep: {requests[0].statistic.text}: {error}") from error


def select(plan: Plan, partition: Partition) -> dict[str, Any]:
    """Decide on every document of a partition and account for it at every stage. Raises StageError if rows are lost."""
    tally = Tally()
    view = PartitionFrame(plan, partition, 0, plan.ingested(partition)["documents"])
    status = np.full(view.rows, KEPT, np.uint8)
    reason = np.full(view.rows, -1, np.int16)
    number = 0
    repeating: dict[int, Node] = {}
    for node in plan.pipeline.measured():
        at, first = view.verdict(node)
        tally.verdict(node, at, first)
        decided = (at >= DROPPED) & (status == KEPT)
        reason[decided] = number + 1 + first[decided]
        status[decided] = at[decided]
        number += len(node.clauses) + 2
        if node.repeats:
            repeating[number - 1] = node
    copies, left_out = _copies(view, status, list(repeating.values()))
    if left_out.any():
        last = max(repeating)
        reason[left_out], status[left_out] = last, DROPPED
        account = tally.stages[repeating[last].name]
        account["kept"] -= int(left_out.sum())
        account["dropped"][f"{repeating[last].name}.{MULTIPLICITY}"] = int(left_out.sum())  # the name is no clause's
    columns = [pa.array(status), pa.array(copies), pa.array(reason)]
    written = plan.store.write(plan.selected(partition), pa.Table.from_arrays(columns, schema=SELECTION_SCHEMA))
    by_status = np.bincount(status, minlength=5)
    return {
        "stages": tally.stages,
        "kept": int(by_status[KEPT]),
        "failed": int(by_status[FAILED]),
        "pending": int(by_status[PENDING]),
        "copies": int(copies.sum()),
        "tokens": _tokens(plan, view, copies),
        "documents": view.rows,
        "hash": written["hash"],
        "index": partition.index,
    }


def purge(plan: Plan, partition: Partition, selections: Sequence[str]) -> None:
    """Write a partition's documents anew without the text of those that none of the selections keeps."""
    table = plan.store.read(plan.documents(partition))
    kept = pa.array(np.zeros(table.num_rows, bool))
    for selection in selections:
        part = f"selection/{selection}/{partition.key}"
        kept = pc.or_(kept, pc.greater(plan.store.read(part, ["multiplicity"]).column(0), 0))
    at = table.schema.get_field_index("text")
    text = pc.if_else(kept, table.column(at), pa.scalar("", pa.large_string()))
    slim = table.set_column(at, table.schema.field(at), text)
    batches = slim.to_batches(max_chunksize=BATCH_ROWS)
    plan.store.write(plan.documents(partition), pa.Table.from_batches(batches, slim.schema), freed=True)


def missing_text(plan: Plan, partition: Partition) -> int:
    """How many documents that the selection keeps have lost their text in a partition."""
    empty = pc.equal(pc.binary_length(plan.store.read(plan.documents(partition), ["text"]).column(0)), 0)
    view = PartitionFrame(plan, partition, 0, plan.ingested(partition)["documents"])
    had = view.documents(["text_bytes"]).get_column("text_bytes").to_numpy() > 0
    kept = view.decided().get_column("multiplicity").to_numpy() > 0
    return int((np.asarray(empty.to_numpy(zero_copy_only=False), bool) & had & kept).sum())


def plan_shards(plan: Plan, stage: str) -> list[Any]:
    """The terminal stage's plan: what goes into each shard, from the selection alone."""
    node = plan.pipeline.nodes[stage]
    parts = _parts(plan, node, plan.partitions)
    chosen = [plan.store.read(plan.selected(p.partition), ["multiplicity"]).column(0) for p in parts]
    writer: Writer = plan.opened(node.name)
    return writer.plan(
        parts, [c.combine_chunks().take(pa.array(p.selected)) for c, p in zip(chosen, parts, strict=True)]
    )


def write_shard(plan: Plan, stage: str, shard: Any, partitions: Sequence[Partition]) -> dict[str, Any]:
    """Write one shard; returns its manifest entry under `entry`."""
    writer: Writer = plan.opened(stage)
    parts = _parts(plan, plan.pipeline.nodes[stage], partitions)
    return {"entry": writer.write(shard, parts, plan.store.url(plan.shards))}


def _measure(
    plan: Plan, node: Node, view: PartitionFrame, texts: EditedBatches, before: Sequence[pa.Table | None]
) -> tuple[list[pa.Table], list[int]]:
    """The columns of a stage on a batch of rows, a table for each of its groups, and how many rows of each were measured
    now. `before`: what was measured of the partition; groups that lack the same rows are measured together."""
    needed, tasks = view.needed(node), plan.groups(node.name)
    old = [None if table is None else table.slice(view.start, view.rows) for table in before]
    have = [np.zeros(view.rows, bool) if table is None else table.column(MEASURED).to_numpy() for table in old]
    todo = [np.flatnonzero(needed & ~rows) for rows in have]
    batches: dict[bytes, pa.RecordBatch] = {}
    tables: list[pa.Table] = []
    groups = node.groups()
    for number, (rows, task) in enumerate(zip(todo, tasks, strict=True)):
        if rows.tobytes() not in batches and len(rows):
            alike = [t.group for t, other in zip(tasks, todo, strict=True) if np.array_equal(rows, other)]
            batches[rows.tobytes()] = _measured(
                plan, node, view, texts, rows, alike if len(alike) < len(tasks) else None
            )
        schema = signals_schema(groups[task.group].columns)
        fresh = schema.empty_table()
        if len(rows):
            batch = batches[rows.tobytes()]
            columns = [_numbers(batch.column(name)) for name in groups[task.group].columns]
            fresh = pa.Table.from_arrays([pa.repeat(True, len(rows)), batch.column("error"), *columns], schema=schema)
        tables.append(_merged(old[number], have[number], fresh, rows, view.rows))
    return tables, [len(rows) for rows in todo]


def _measured(
    plan: Plan,
    node: Node,
    view: PartitionFrame,
    texts: EditedBatches,
    rows: npt.NDArray[np.intp],
    groups: Sequence[str] | None,
) -> pa.RecordBatch:
    """What a stage measures of some rows, in all its groups (None) or in these."""
    documents = texts.seen_by(node.name)
    documents = documents if len(rows) == view.rows else documents.take(pa.array(rows))
    texts.check(node.name, rows)
    asked = [group for name, group in node.groups().items() if groups is None or name in groups]
    columns = {name: kind for group in asked for name, kind in group.columns.items()}
    return measured(node.stage, plan.opened(node.name, groups), documents, columns)


def _merged(
    before: pa.Table | None, have: npt.NDArray[np.bool_], fresh: pa.Table, rows: npt.NDArray[np.intp], total: int
) -> pa.Table:
    """All rows: those measured before (where `have`), the fresh ones (at `rows`), and unmeasured ones, which are null."""
    if before is not None and not len(rows):
        return before
    if len(rows) == total:
        return fresh
    at = np.full(total, -1, np.int64)
    at[have] = np.flatnonzero(have)
    at[rows] = np.arange(len(rows)) + (0 if before is None else total)
    table = (fresh if before is None else pa.concat_tables([before, fresh])).take(pa.array(at, mask=at < 0))
    return table.set_column(0, table.schema.field(0), pa.array(at >= 0))


def _numbers(column: pa.Array) -> pa.Array:
    """A signal that is not a number is null: polars would take it for greater than any number."""
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.fill_null(pc.is_nan(column), False), pa.scalar(None, column.type), column)


def account(plan: Plan, partition: Partition, stage: str) -> dict[str, Any]:
    """What one stage decides on a partition, where all documents together had to be known first."""
    accounts = Tally()
    view = PartitionFrame(plan, partition, 0, plan.ingested(partition)["documents"])
    accounts.verdict(plan.pipeline.nodes[stage], *view.verdict(plan.pipeline.nodes[stage]))
    return {"index": partition.index, "stages": accounts.stages}


def _stored(plan: Plan, partition: Partition, record: dict[str, Any]) -> Iterator[RowBatch]:
    """The stretches of a partition that is ingested; a batch of text is read only when asked for."""
    reader = None

    def text(number: int) -> pa.RecordBatch:
        nonlocal reader
        reader = reader or plan.store.reader(plan.documents(partition))
        return reader.get_batch(number)

    loaded: dict[str, pa.Table] = {}
    for number, start in enumerate(range(0, record["documents"], BATCH_ROWS)):
        view = PartitionFrame(plan, partition, start, min(BATCH_ROWS, record["documents"] - start), loaded)
        yield view, partial(text, number)


def _parts(plan: Plan, node: Node, partitions: Sequence[Partition]) -> list[SelectedRows]:
    return [SelectedRows(plan, partition, node) for partition in partitions]


def _exchanged(plan: Plan, stage: str, bucket: int) -> str:
    return f"{plan.task(Kind.EXCHANGE, stage).folder}/exchange-{bucket:05d}"


def _copies(
    view: PartitionFrame, status: npt.NDArray[np.uint8], nodes: Sequence[Node]
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.bool_]]:
    """How often each row is written, and which rows that every clause keeps are not written at all."""
    kept = status == KEPT
    multiplicity = view.multiplicity(nodes)
    if multiplicity is None or (multiplicity[kept] == 1).all():
        return kept.astype(np.uint16), np.zeros(view.rows, bool)
    rows = np.flatnonzero(kept)
    ids = view.ids().take(pa.array(rows))
    copies = np.zeros(view.rows, np.uint16)
    try:
        copies[rows] = realise(multiplicity[rows], ids, view.plan.pipeline.seed)
    except ValueError as error:
        names = ", ".join(f"{n.name}.repeat" if n.repeat else n.name for n in nodes)
        raise StageError(f"{names}: {error}") from error
    return copies, kept & (copies == 0)


def _tokens(plan: Plan, view: PartitionFrame, copies: np.ndarray) -> int:
    node = plan.pipeline.terminal()
    if node is None or not node.stage.outputs.tokens:
        return 0
    signal = node.stage.outputs.tokens
    tokens = view.table(node.name, [signal]).column(signal).fill_null(0).to_numpy(zero_copy_only=False)
    return int((tokens.astype(np.int64) * copies).sum())
