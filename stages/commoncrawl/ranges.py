"""From records to byte ranges, and from ranges to units of work: arithmetic on arrays, no files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    first = _cut(first, offset, end, most, records or len(file))
    return Spans(first, offset[first], np.maximum.reduceat(end, first))


def _cut(first: Numbers, offset: Numbers, end: Numbers, most: int, records: int) -> Numbers:
    """Cuts those runs that are too long."""
    behind = np.append(first[1:], len(offset))
    long = (np.maximum.reduceat(end, first) - offset[first] > most) | (behind - first > records)
    more = []
    for start, stop in zip(first[long].tolist(), behind[long].tolist(), strict=True):
        begun, reach = start, 0
        for row in range(start, stop):
            reach = max(reach, int(end[row]))
            if row > begun and (reach - offset[begun] > most or row - begun >= records):
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
