"""The signals of one partition: where their parts are, whether a row was measured, and reading what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.store import StoreError
from winnow.pipelines.engine.tasks import Kind
from winnow.stages.base import StageError, Types

MEASURED, ERROR = "_measured", "_error"
"""Columns of every signals part: whether the row was measured, and why it failed (null if it did not)."""


def signals_schema(columns: Types) -> pa.Schema:
    """Of a part of signals with these columns."""
    return pa.schema({MEASURED: pa.bool_(), ERROR: pa.string(), **columns})


class Unmeasured(StageError):
    """Rows that a stage must decide on were never measured."""


def read_signals(plan: Plan, node: Node, partition: Partition, columns: Sequence[str], own: bool = False) -> pa.Table:
    """Columns of a stage's signals in a partition. `own`: what it measured itself, for a corpus stage not what its reduce
    wrote. Where the plan allows unmeasured rows, a part that is not there, since the stage or its settings are new, is all
    unmeasured."""
    parts = dict(plan.signals(node, partition, own))
    look = plan.store.record if plan.allow_unmeasured else lambda part: plan.store.read_json(f"{part}.json")
    flags = [column for column in (MEASURED, ERROR) if column in columns]
    mine = {part: [column for column in columns if column in types] for part, types in parts.items()}
    records = {part: look(part) for part in parts if flags or mine[part]}
    telling: dict[str, str] = {}  # what all flags of a part come to -> the part that they are read from, once
    for part in parts if flags else ():
        same = (records[part] or {}).get("flags", part)
        if same not in telling or mine[part]:
            telling[same] = part
    tables = []
    for part in dict.fromkeys([*telling.values(), *parts]):
        wanted = [*(flags if part in telling.values() else []), *mine[part]]
        if wanted and (records[part] is not None or not plan.allow_unmeasured):
            tables.append(_read_part(plan, node, partition, part, records[part], wanted, own))
        elif wanted:
            rows, schema = plan.ingested(partition)["documents"], signals_schema(parts[part])
            nulls = schema.empty_table().select(wanted).take(pa.nulls(rows, pa.int64()))
            tables.append(nulls if MEASURED not in wanted else nulls.set_column(0, MEASURED, pa.repeat(False, rows)))
    return side_by_side(tables).select(list(columns))


def side_by_side(tables: Sequence[pa.Table]) -> pa.Table:
    """Row-aligned tables of a stage's groups as one: a row is measured where all have it, and failed where one did."""
    columns: dict[str, pa.ChunkedArray] = {}
    for table in tables:
        for name, column in zip(table.column_names, table.columns, strict=True):
            if name in (MEASURED, ERROR) and name in columns and not columns[name].equals(column):
                column = (pc.and_ if name == MEASURED else pc.coalesce)(columns[name], column)
            columns[name] = column
    return pa.table(columns)


def flags_of(table: pa.Table) -> bytes:
    """What the flags of some rows come to: equal where MEASURED and ERROR are. A record has the hash of all of a part's as
    `flags`, so that those of groups that were measured together are read once."""
    errors = table.column(ERROR)
    said = errors.to_pylist() if errors.null_count < len(errors) else len(errors)
    return bytes(table.column(MEASURED).to_numpy().tobytes() + repr(said).encode())


def _read_part(
    plan: Plan, node: Node, partition: Partition, name: str, found: Any, columns: Sequence[str], own: bool
) -> pa.Table:
    """`found`: what is recorded of the part."""
    try:
        return plan.store.read(name, columns, found)
    except StoreError as error:
        done = plan.done(Kind.REDUCE, node.name) if node.reduces and not own else plan.measured(node.name)
        if isinstance(error.__cause__, FileNotFoundError) and not node.raw and not done:
            raise Unmeasured(f"{node.name}: partition {partition.key} was never measured; run again") from error
        raise
