"""Documents that have one id between them: whoever joins by id means all of them, and a key of the published data is none.

Found once for what is read, by hashes of all ids, and kept; each selection then says how many of them it keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from winnow.filters.hash_random import hashes
from winnow.pipelines.engine.execute import Executor, Shared
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.store import fingerprint

BUCKET = 20_000_000
"""Documents whose hashes one task holds, at 20 bytes each."""

EXAMPLES = 3
"""Ids that are named."""

_SCHEMA = pa.schema({"id": pa.string(), "partition": pa.int32(), "row": pa.int64()})


def shared_ids(plan: Plan, executor: Executor, light: bool) -> pa.Table:
    """A row for each document whose id another one has: `id`, `partition` (its index) and `row` among its documents."""
    part = f"ids/{fingerprint(plan.ingest, [p.key for p in plan.partitions])}"
    if plan.store.record(part) is None:
        buckets, partitions = max(1, -(-sum(_documents(plan, p) for p in plan.partitions) // BUCKET)), Shared(plan.bare)
        found = executor.run(same_ids, [(bucket, buckets, partitions) for bucket in range(buckets)], light)
        table = pa.concat_tables([_SCHEMA.empty_table(), *found])
        plan.store.write(part, table.sort_by([(name, "ascending") for name in _SCHEMA.names]).combine_chunks())
    return plan.store.read(part)


def same_ids(plan: Plan, bucket: int, buckets: int, partitions: Sequence[Partition]) -> pa.Table:
    """A task: the documents of shared ids among those whose hash falls into a bucket."""
    frames = [pl.DataFrame(schema={"hash": pl.UInt64, "partition": pl.Int32, "row": pl.Int64})]
    for partition in partitions:
        if _documents(plan, partition):
            hashed = hashes(_ids(plan, partition), 0)
            rows = np.flatnonzero(hashed % np.uint64(buckets) == bucket)
            at = np.full(len(rows), partition.index, np.int32)
            frames.append(pl.DataFrame({"hash": hashed[rows], "partition": at, "row": rows}))
    twice = pl.concat(frames).filter(pl.len().over("hash") > 1)
    names = [pa.array([], pa.string())]
    for (index,), mine in twice.group_by("partition", maintain_order=True):
        ids = _ids(plan, partitions[int(index)]).take(mine.get_column("row").to_arrow())
        names.append(ids.cast(pa.string()).combine_chunks())
    found = twice.select(pl.Series("id", pl.from_arrow(pa.chunked_array(names))), "partition", "row")
    return found.filter(pl.len().over("id") > 1).to_arrow().cast(_SCHEMA)


def sharing(plan: Plan, table: pa.Table) -> dict[str, Any]:
    """How many documents have the id of another one, and how many of those that the selection keeps; how many ids these are,
    and the first of them."""
    frame = pl.DataFrame(table)
    kept = np.zeros(len(frame), bool)
    for (index,), mine in frame.with_row_index("at").group_by("partition"):
        copies = plan.store.read(plan.selected(plan.partitions[int(index)]), ["multiplicity"]).column(0).to_numpy()
        kept[mine.get_column("at").to_numpy()] = copies[mine.get_column("row").to_numpy()] > 0
    kept_frame = frame.filter(pl.Series(kept, dtype=pl.Boolean)).filter(pl.len().over("id") > 1)
    first = (kept_frame if len(kept_frame) else frame).get_column("id").unique(maintain_order=True).head(EXAMPLES)
    return {
        "documents": len(frame),
        "ids": frame.get_column("id").n_unique(),
        "kept_documents": len(kept_frame),
        "kept_ids": kept_frame.get_column("id").n_unique(),
        "examples": first.to_list(),
    }


def _documents(plan: Plan, partition: Partition) -> int:
    record = plan.store.record(plan.records(partition))
    return int(record["documents"]) if record else 0


def _ids(plan: Plan, partition: Partition) -> pa.ChunkedArray[Any]:
    return plan.store.read(plan.documents(partition), ["id"]).column(0)
