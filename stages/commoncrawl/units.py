"""From scanned parts to units of work: which bytes of which files one task fetches, and which records it cuts out of them.

Files come in the order of a hash of their names, so a limit takes whole files and a fair sample of them. The rows of a
snapshot need not fit into memory: they are sorted a group of files at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from winnow.stages.commoncrawl.index import ROWS, scan_facts
from winnow.stages.source import Kept

UNIT = pa.schema(
    [
        *(ROWS.field(name) for name in ("url", "digest", "warc", "offset", "length", "languages")),
        pa.field("start", pa.int64()),  # the range [start, end) of `warc` that the record is fetched with
        pa.field("end", pa.int64()),
    ]
)
"""Records of a unit, by the order of their files and by offset."""

PLAN = pa.schema(
    {
        "unit": pa.string(),
        "identity": pa.string(),
        "records": pa.int64(),
        "requests": pa.int64(),
        "bytes": pa.int64(),
        "gap_bytes": pa.int64(),
        "files": pa.int64(),
    }
)
"""The units of a snapshot; `files` are those whose first record of the snapshot is in the unit."""

ROWS_AT_ONCE = 500_000
"""Rows in memory at a time, but for the files of one bucket (a 256th of a snapshot)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How records are put together. `gap`: bytes between two that are fetched with them. `limit`: the first so many
    records. `sample`: so many of the drawn rows in place of the wanted ones."""

    gap: int
    unit_bytes: int
    unit_records: int
    limit: int | None = None
    sample: int | None = None


def plan_units(kept: Kept, parts: Sequence[str], name: str, sizes: Sizes) -> pa.Table:
    """Keeps every unit as `<name>/<number>` and their list as `units_list(name)`, which it returns: PLAN, with the scan's
    figures, summed up, in the metadata under `scan`. `parts`: names of the scanned parts."""
    facts: dict[str, int] = {}
    for part in parts:
        for key, number in scan_facts(kept.read(part, ["order"])).items():
            facts[key] = facts.get(key, 0) + number
    groups = _wanted(kept, parts, sizes.limit) if sizes.sample is None else iter([_drawn(kept, parts, sizes.sample)])
    units = [*_units(kept, groups, name, sizes)]
    table = pa.Table.from_pylist(units, PLAN).replace_schema_metadata({b"scan": orjson.dumps(facts)})
    kept.make({units_list(name): lambda: table})
    return kept.read(units_list(name))


def units_list(name: str) -> str:
    """The kept table that lists the units of a plan; it is there once all of them are."""
    return f"{name}/units"


def _wanted(kept: Kept, parts: Sequence[str], limit: int | None) -> Iterator[pa.Table]:
    """The wanted rows in order, whole files at a time."""
    counts = np.zeros(256, np.int64)
    for part in parts:
        rows = kept.read(part, ["order", "draw"])
        orders = rows.filter(pc.is_null(rows.column("draw"))).column("order").to_numpy()
        counts += np.bincount((orders >> np.uint64(56)).astype(np.int64), minlength=256)
    left = int(counts.sum()) if limit is None else limit
    low = 0
    while low < 256 and left:
        high = low + 1
        while high < 256 and counts[low : high + 1].sum() <= ROWS_AT_ONCE:
            high += 1
        if counts[low:high].any():
            group = _sorted([_between(kept.read(part), low, high) for part in parts]).slice(0, left)
            left -= group.num_rows
            yield group
        low = high


def _between(rows: pa.Table, low: int, high: int) -> pa.Table:
    """The wanted rows of the buckets from `low` up to `high`."""
    bucket = pc.shift_right(rows.column("order"), pa.scalar(56, pa.uint64()))
    inside = pc.and_(pc.greater_equal(bucket, low), pc.less(bucket, high))
    return rows.filter(pc.and_(inside, pc.is_null(rows.column("draw"))))


def _drawn(kept: Kept, parts: Sequence[str], sample: int) -> pa.Table:
    """The rows with the `sample` lowest numbers of all; fewer, where a part may hold more of those than it gave."""
    drawn, bound = [], None
    for part in parts:
        rows = kept.read(part)
        found = rows.filter(pc.is_valid(rows.column("draw")))
        if 0 < found.num_rows < scan_facts(rows)["language"]:
            highest = pc.max(found.column("draw")).as_py()
            bound = highest if bound is None else min(bound, highest)
        drawn.append(found)
    together = _sorted(drawn)
    if bound is not None:
        together = together.filter(pc.less_equal(together.column("draw"), pa.scalar(bound, pa.uint64())))
    best = pc.sort_indices(together, [("draw", "ascending")])[:sample]
    return _sorted([together.take(best)])


def _sorted(tables: Sequence[pa.Table]) -> pa.Table:
    together = pa.concat_tables([ROWS.empty_table(), *(table.replace_schema_metadata(None) for table in tables)])
    keys = [(name, "ascending") for name in ("order", "warc", "offset", "length")]
    return together.take(pc.sort_indices(together, keys)).combine_chunks()


def _units(kept: Kept, groups: Iterator[pa.Table], name: str, sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Keeps the units as they fill up and yields the rows of their list. What is left of a group opens the next unit."""
    number, rest, last = 0, ROWS.empty_table(), ""
    group = next(groups, None)
    while group is not None:
        following = next(groups, None)
        rows = pa.concat_tables([rest, group]).combine_chunks()
        tables = _packed(rows, sizes)
        if following is not None:
            rest = rows.slice(rows.num_rows - tables.pop().num_rows)
        kept.make({f"{name}/{number + at:06d}": partial(_same, table) for at, table in enumerate(tables)})
        for table in tables:
            warcs = table.column("warc").to_pylist()
            yield _facts(table, f"{name}/{number:06d}") | {"files": len(set(warcs)) - (warcs[0] == last)}
            last, number = warcs[-1], number + 1
        group = following


def _packed(rows: pa.Table, sizes: Sizes) -> list[pa.Table]:
    """The units that rows make up, in order. Cut by the records alone, so that another gap moves none of them."""
    if not rows.num_rows:
        return []
    files = pa.concat_arrays(rows.column("warc").chunks).dictionary_encode().indices
    offset, length = rows.column("offset").to_numpy(), rows.column("length").to_numpy()
    cuts = pack(length, np.ones(len(length), np.int64), sizes.unit_bytes, sizes.unit_records)
    fresh = np.diff(files.to_numpy().astype(np.int64), prepend=0) != 0
    fresh[cuts] = True
    spans = coalesce(
        np.cumsum(fresh),
        offset,
        length,
        sizes.gap,
        min(RANGE_BYTES, sizes.unit_bytes),
        sizes.unit_records,
    )
    counts = np.diff(np.append(spans.first, rows.num_rows))
    columns = {"start": np.repeat(spans.start, counts), "end": np.repeat(spans.end, counts)}
    ranged = pa.table(
        [pa.chunked_array([pa.array(columns[f.name])]) if f.name in columns else rows.column(f.name) for f in UNIT],
        schema=UNIT,
    )
    return [ranged.slice(start, stop - start) for start, stop in zip(cuts, [*cuts[1:], rows.num_rows], strict=True)]


def _facts(unit: pa.Table, name: str) -> dict[str, Any]:
    start, end, length = (unit.column(key).to_numpy() for key in ("start", "end", "length"))
    warcs = unit.column("warc").to_pylist()
    ranges = sorted(set(zip(warcs, start.tolist(), end.tolist(), strict=True)))
    size = sum(stop - begin for _, begin, stop in ranges)
    return {
        "unit": name,
        "identity": _identity(unit),
        "records": unit.num_rows,
        "requests": len(ranges),
        "bytes": size,
        "gap_bytes": max(0, size - int(length.sum())),
    }


def _identity(unit: pa.Table) -> str:
    """A hash of which records it has, whatever they are fetched with."""
    digest = xxhash.xxh3_128()
    for name in ("warc", "offset", "length", "url", "digest"):
        digest.update(orjson.dumps(unit.column(name).to_pylist()))
    return digest.hexdigest()


def _same(table: pa.Table) -> pa.Table:
    return table


Numbers = npt.NDArray[np.int64]

RANGE_BYTES = 8 << 20
"""A range is no longer, so that a few of them fit into a worker's memory; a longer record is a range of its own."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Ranges of consecutive records: `first` is the row each starts with; its bytes are [start, end)."""

    first: Numbers
    start: Numbers
    end: Numbers

    @property
    def sizes(self) -> Numbers:
        """Bytes of each."""
        return self.end - self.start


def coalesce(
    file: Numbers, offset: Numbers, length: Numbers, gap: int, most: int = RANGE_BYTES, records: int | None = None
) -> Spans:
    """Ranges that cover every record, whole. Rows are sorted by file (a number for each) and offset. Two records share a
    range where no more than `gap` bytes lie between them, the range has at most `most` bytes (unless one record
    alone has more) and at most so many records."""
    if not len(file):
        nothing = np.zeros(0, np.int64)
        return Spans(nothing, nothing, nothing)
    end = offset + length
    rank = np.cumsum(np.diff(file, prepend=file[:1]) != 0)
    lift = np.int64(end.max() + 1)
    reach = np.maximum.accumulate(end + rank * lift) - rank * lift  # how far a file's records go up to here
    fresh = np.ones(len(file), bool)
    fresh[1:] = (rank[1:] != rank[:-1]) | (offset[1:] - reach[:-1] > gap)
    first = np.flatnonzero(fresh)
    first = _cut(first, offset, end, gap, most, records or len(file))
    return Spans(first, offset[first], np.maximum.reduceat(end, first))


def _cut(first: Numbers, offset: Numbers, end: Numbers, gap: int, most: int, records: int) -> Numbers:
    """Cuts those runs that are too long. Where records overlap, a cut can leave two more than `gap` apart: cut there, too."""
    behind = np.append(first[1:], len(offset))
    long = (np.maximum.reduceat(end, first) - offset[first] > most) | (behind - first > records)
    more = []
    for start, stop in zip(first[long].tolist(), behind[long].tolist(), strict=True):
        begun, reach = start, 0
        for row in range(start, stop):
            far = offset[row] - reach > gap
            reach = max(reach, int(end[row]))
            if row > begun and (far or reach - offset[begun] > most or row - begun >= records):
                more.append(row)
                begun, reach = row, int(end[row])
    return np.sort(np.concatenate([first, np.array(more, np.int64)]))


def pack(sizes: Numbers, records: Numbers, most_bytes: int, most_records: int) -> list[int]:
    """Where units of consecutive pieces of so many bytes and records start: as many as fit, or one that does not alone."""
    if not len(sizes):
        return []
    bytes_to, records_to = np.cumsum(sizes), np.cumsum(records)
    cuts = [0]
    while True:
        at = cuts[-1]
        before = (0, 0) if at == 0 else (int(bytes_to[at - 1]), int(records_to[at - 1]))
        fits = min(
            int(np.searchsorted(bytes_to, before[0] + most_bytes, "right")),
            int(np.searchsorted(records_to, before[1] + most_records, "right")),
        )
        following = max(fits, at + 1)
        if following >= len(sizes):
            return cuts
        cuts.append(following)
