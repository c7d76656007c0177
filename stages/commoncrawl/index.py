"""One part of a snapshot's columnar index: which of its rows are wanted, read with as few bytes as it takes.

The columns that the rules read come first; addresses and places in WARC files, which are most of the index, are read
of the row groups alone that have something wanted. Beside the wanted rows a part gives a few that only miss the language,
drawn at random, for an audit of what the index misses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from winnow.nearest import hint
from winnow.stages.base import StageError
from winnow.stages.commoncrawl.fetcher import Fetcher
from winnow.stages.commoncrawl.index_filter import REASONS, IndexFilter, first_missed

PLACES = ("url", "content_digest", "warc_filename", "warc_record_offset", "warc_record_length", "content_languages")
ROWS = pa.schema(
    [
        pa.field("url", pa.string()),
        pa.field("digest", pa.string()),  # SHA-1 of the payload in base 32, as in WARC-Payload-Digest
        pa.field("warc", pa.string()),
        pa.field("offset", pa.int64()),
        pa.field("length", pa.int64()),
        pa.field("languages", pa.string()),
        pa.field("order", pa.uint64()),  # a hash of `warc`: files come in its order
        pa.field("draw", pa.uint64()),  # null for a wanted row; the number that an audited one was drawn by
    ]
)
"""Rows of a scanned part, by `order`, `warc` and `offset`."""

_BATCH = 1 << 16
_SINCE = {"content_languages": "CC-MAIN-2018-39", "content_charset": "CC-MAIN-2018-39"}


@dataclass(frozen=True, slots=True)
class Draw:
    """A random sample of a part's rows that miss the language alone: those with the lowest hashes of the seed and
    their place in the index, `most` of them. (Their places in WARC files are columns that a scan is there to spare.)"""

    seed: int
    most: int


def scan_part(fetcher: Fetcher, part: str, index_filter: IndexFilter, draw: Draw) -> pa.Table:
    """The wanted and the drawn rows of a part as ROWS; the schema's metadata has `scan`: counts of rows by what
    they are passed over for, and what the reading took. Raises StageError where the part cannot be read."""
    where = f"index part {part}"
    with fetcher.ranged_file(part) as handle:
        try:
            footer = pq.read_metadata(handle)
            _check_columns(footer.schema.names, [*index_filter.columns(), *PLACES], where)
            texts = [*index_filter.texts(), "warc_filename"]
            file = pq.ParquetFile(handle, metadata=footer, pre_buffer=False, read_dictionary=texts)
            rows, facts = _rows(file, part, index_filter, draw)
        except pa.ArrowException as failure:
            raise StageError(f"{where} is no readable Parquet file: {str(failure).partition(chr(10))[0]}") from failure
    facts |= {"index_bytes": fetcher.traffic.bytes, "index_requests": fetcher.traffic.requests}
    order = pc.sort_indices(rows, [(name, "ascending") for name in ("order", "warc", "offset")])
    return rows.take(order).combine_chunks().replace_schema_metadata({b"scan": orjson.dumps(facts)})


def scan_facts(table: pa.Table) -> dict[str, int]:
    """What `scan_part` counted."""
    return dict(orjson.loads(table.schema.metadata[b"scan"]))


def _rows(file: pq.ParquetFile, part: str, index_filter: IndexFilter, draw: Draw) -> tuple[pa.Table, dict[str, int]]:
    facts = dict.fromkeys(("rows", *REASONS, "wanted"), 0)
    hits: dict[int, npt.NDArray[np.int64]] = {}
    pool = _Pool(draw.most)
    base = 0
    for group in range(file.metadata.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        facts["rows"] += count
        if _outside(file, group, index_filter):
            facts["site"] += count
        else:
            counts, mine, foreign = first_missed(
                index_filter.masks(file.read_row_group(group, columns=index_filter.columns()))
            )
            for reason, number in counts.items():
                facts[reason] += number
            hits[group] = np.flatnonzero(mine)
            facts["wanted"] += len(hits[group])
            if draw.most:
                rows = np.flatnonzero(foreign)
                pool.add(group, rows, _numbers(draw.seed, part, base + rows))
        base += count
    tables = [ROWS.empty_table()]
    for group, rows in hits.items():
        drawn, numbers = pool.of(group)
        chosen = np.concatenate([rows, drawn])
        if len(chosen):
            number = pa.array(np.concatenate([np.zeros(len(rows), np.uint64), numbers]))
            draws = pc.if_else(pa.array(np.arange(len(chosen)) < len(rows)), pa.scalar(None, pa.uint64()), number)
            tables += list(_places(file, group, chosen, draws))
    return pa.concat_tables(tables), facts


def _places(file: pq.ParquetFile, group: int, chosen: npt.NDArray[np.int64], draws: pa.Array) -> Iterator[pa.Table]:
    """The chosen rows of a row group as ROWS, which is decoded a stretch at a time."""
    by_row = np.argsort(chosen, kind="stable")
    chosen, draws = chosen[by_row], draws.take(pa.array(by_row))
    start = 0
    for batch in file.iter_batches(_BATCH, row_groups=[group], columns=list(PLACES)):
        low, high = np.searchsorted(chosen, [start, start + batch.num_rows])
        if high > low:
            found = batch.take(pa.array(chosen[low:high] - start))
            warcs = found.column("warc_filename")
            hashes = pa.array([file_order(name) for name in warcs.dictionary.to_pylist()], pa.uint64())
            columns = {
                "url": found.column("url"),
                "digest": found.column("content_digest"),
                "warc": warcs.cast(pa.string()),
                "offset": found.column("warc_record_offset"),
                "length": found.column("warc_record_length"),
                "languages": found.column("content_languages"),
                "order": hashes.take(warcs.indices),
                "draw": draws.slice(low, high - low),
            }
            yield pa.table([columns[field.name].cast(field.type) for field in ROWS], schema=ROWS)
        start += batch.num_rows


def file_order(path: str) -> int:
    """Where a file comes among the others of its snapshot: at random, and the same for whoever reads it."""
    return xxhash.xxh3_64_intdigest(path)


class _Pool:
    """State: the lowest numbers seen so far, `most` of them, with their rows."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._groups = np.zeros(0, np.int64)
        self._rows = np.zeros(0, np.int64)
        self._numbers = np.zeros(0, np.uint64)

    def add(self, group: int, rows: npt.NDArray[np.int64], numbers: npt.NDArray[np.uint64]) -> None:
        groups = np.concatenate([self._groups, np.full(len(rows), group)])
        rows, numbers = np.concatenate([self._rows, rows]), np.concatenate([self._numbers, numbers])
        best = np.argsort(numbers, kind="stable")[: self._most]
        self._groups, self._rows, self._numbers = groups[best], rows[best], numbers[best]

    def of(self, group: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
        mine = self._groups == group
        return self._rows[mine], self._numbers[mine]


def _numbers(seed: int, part: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """A number for each row, evenly spread: SplitMix64 (Steele et al., 2014) of the row and a hash of seed and part."""
    value = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    value += np.uint64(xxhash.xxh3_64_intdigest(f"{seed}:{part.rpartition('/')[2]}"))
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _outside(file: pq.ParquetFile, group: int, index_filter: IndexFilter) -> bool:
    """Whether the statistics of a row group, in which hosts are sorted from their last label on, rule it out."""
    if not index_filter.tlds:
        return False
    place = file.schema_arrow.get_field_index("url_host_tld")
    statistics: Any = file.metadata.row_group(group).column(place).statistics
    if statistics is None or not statistics.has_min_max or statistics.null_count:
        return False
    return index_filter.outside(str(statistics.min), str(statistics.max))


def _check_columns(have: Sequence[str], names: Sequence[str], where: str) -> None:
    for name in names:
        if name not in have:
            since = f"; snapshots before {_SINCE[name]} lack it, read those via: warc" if name in _SINCE else ""
            raise StageError(
                f"{where} has no column '{name}'; expected the columns of Common Crawl's index"
                + (since or hint(name, have, 0.6))
            )
