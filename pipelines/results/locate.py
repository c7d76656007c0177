"""Where documents ended up: shard file, row, and the token offset within the shard."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from winnow.pipelines.engine.handoff import manifest_name, read_manifest
from winnow.pipelines.results.table import Run
from winnow.tokenize.shard import ids_of


@dataclass(frozen=True, slots=True)
class Place:
    """One copy of a document. `row` counts the shard's documents from 0, `offset` its tokens; `tokens` is its length."""

    shard: str
    row: int
    offset: int
    tokens: int


def places(run: Run, ids: Collection[str]) -> dict[str, list[Place]]:
    """Every copy of the documents with these ids, in the order of the hand-off; no entry where there is none."""
    out: dict[str, list[Place]] = {}
    if run.shards is None or not ids:
        return out
    manifest = read_manifest(run.plan.store, run.plan.shards)
    if manifest is None:
        raise run.plan.store.damaged(manifest_name(run.plan.shards), "missing")
    wanted = pa.array(sorted(ids), pa.string())
    for entry in manifest.shards:
        part, recorded = f"{run.plan.shards}/{entry.file.removesuffix('.arrow')}", (entry.bytes, entry.digest)
        if not _holds(run.plan.store.reader(part, ["doc_id"], recorded), wanted):
            continue
        row = offset = 0
        reader = run.plan.store.reader(part, recorded=recorded)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            ends = ids_of(batch).offsets.to_numpy(zero_copy_only=False).astype(np.int64)
            column = batch.column("doc_id")
            for at in np.flatnonzero(pc.is_in(column, wanted).to_numpy(zero_copy_only=False)):
                place = Place(entry.file, row + int(at), offset + int(ends[at] - ends[0]), int(ends[at + 1] - ends[at]))
                out.setdefault(column[int(at)].as_py(), []).append(place)
            row, offset = row + batch.num_rows, offset + int(ends[-1] - ends[0])
    return out


def _holds(reader: pa.ipc.RecordBatchFileReader, wanted: pa.Array) -> bool:
    """Whether a shard, opened for its ids alone, holds any of these."""
    batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
    return any(pc.any(pc.is_in(batch.column("doc_id"), wanted)).as_py() for batch in batches)
