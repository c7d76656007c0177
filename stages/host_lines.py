"""`use: host_lines`: lines that many documents of one host share, menus and notices of a site, removed from their texts.

Every line is hashed with its host (`measure`). An exchange counts, bucket by bucket of the hashes, in how many documents
of the host each line occurs, and hands on only the lines that occur in enough. `reduce` finds them in each document and
says what to remove. All of it is a property of the set of documents, whatever the partitions and their order.

A line is compared without its outer white space. Two lines are the same where their 64-bit hashes are; a document
without a URL has no host, and none of its lines is ever repeated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from winnow.filters.edits import EDITS
from winnow.identity import OfCorpus
from winnow.stages.base import EDITED, Artifact, CorpusStage, Outputs, Part, Reducer, Settings, StageError

Hashes = npt.NDArray[np.uint64]

BUCKET_ROWS = 2**18
"""Documents per bucket: at 50 lines each, its lines take 13 million x 24 bytes while they are counted."""

RULE = "host_lines.repeated"


class HostLinesSettings(Settings):
    documents: Annotated[int, OfCorpus()] = Field(default=10, ge=2)
    """A line is repeated where at least so many documents of its host have it,"""
    share: Annotated[float, OfCorpus()] = Field(default=0.0, ge=0, le=1)
    """and at least this share of them."""
    shortest: int = Field(default=2, ge=1)
    """Characters of the shortest line that is counted,"""
    longest: int = Field(default=500, ge=1)
    """and of the longest."""
    keep_first: Annotated[bool, OfCorpus()] = False
    """Whether the document of the smallest id keeps the line."""

    @model_validator(mode="after")
    def _ordered(self) -> HostLinesSettings:
        if self.shortest > self.longest:
            raise ValueError(f"shortest is {self.shortest} and longest {self.longest}: expected shortest <= longest")
        return self


class HostLines(CorpusStage):
    """Signals: `repeated_lines` (how many are removed) and `repeated_share` (of the characters of the text).

    Each counted line takes 16 bytes on disk: its hash, and where it starts and ends. `reduce` holds
    8 bytes per document where `share` is set and 8 to 40 bytes per distinct repeated line of the corpus.
    """

    __slots__ = ()
    kind = "host_lines"
    outputs = Outputs(edits=True)
    version = 1
    Settings = HostLinesSettings

    def signals(self) -> dict[str, pa.DataType]:
        return {"repeated_lines": pa.int32(), "repeated_share": pa.float32()}

    def clauses(self) -> dict[str, str]:
        return {"empty": "repeated_share < 1"}

    def hidden(self) -> dict[str, pa.DataType]:
        return {
            "_host": pa.uint64(),  # null without one
            "_chars": pa.int32(),
            "_lines": pa.list_(pa.uint64()),
            "_starts": pa.list_(pa.int32()),
            "_ends": pa.list_(pa.int32()),
        }

    def buckets(self, rows: int) -> int:
        return 0 if rows < self.settings.documents else 1 + rows // BUCKET_ROWS

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> LineCounter:
        return LineCounter(self.name, self.settings)


class LineCounter(Reducer):
    """Counts the lines of hosts and says which go. State: the figures of the last `reduce`."""

    def __init__(self, name: str, settings: HostLinesSettings) -> None:
        self.name, self.settings, self.figures = name, settings, dict[str, int]()

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        from winnow.filters.cleaning import emptied, invalid
        from winnow.filters.cleaning.host_keys import hosts, keyed_lines

        errors = invalid(documents.column("text"))
        host, known = hosts(documents.column("url").to_pylist())
        texts = emptied(documents.column("text"), errors)
        lines = keyed_lines(texts, host, known, self.settings.shortest, self.settings.longest)
        offsets = pa.array(lines.offsets.astype(np.int32))
        failed = np.isin(np.arange(documents.num_rows), list(errors))
        columns = {
            "_host": pa.array(host, pa.uint64(), mask=~known | failed),
            "_chars": pa.array(lines.chars.astype(np.int32), mask=failed),
            "_lines": pa.ListArray.from_arrays(offsets, pa.array(lines.keys)),
            "_starts": pa.ListArray.from_arrays(offsets, pa.array(lines.starts)),
            "_ends": pa.ListArray.from_arrays(offsets, pa.array(lines.ends)),
            "error": pa.array([errors.get(row) for row in range(documents.num_rows)], pa.string()),
        }
        return pa.RecordBatch.from_pydict(columns)

    def exchange(self, bucket: int, buckets: int, parts: Sequence[Part]) -> pa.Table:
        """Columns `line` (hash, ascending), `documents` (how many have it), `host`, and with `keep_first` `first` (the
        smallest id of a document that has it), for the lines in at least `documents` documents."""
        keep_first = self.settings.keep_first
        columns = ["_host", "_lines"] + (["id"] if keep_first else [])
        all_lines: list[Hashes] = [np.zeros(0, np.uint64)]
        all_hosts: list[Hashes] = [np.zeros(0, np.uint64)]
        all_ids: list[npt.NDArray[np.bytes_]] = [np.zeros(0, "S1")]
        for part in parts:
            table = self._read(part, columns)
            lines, row = _flat(table.column("_lines"))
            here = (lines >> np.uint64(32)) * np.uint64(buckets) >> np.uint64(32) == np.uint64(bucket)
            lines, row = _distinct(lines[here], row[here])
            all_lines.append(lines)
            host = np.asarray(table.column("_host").combine_chunks().fill_null(0), np.uint64)
            all_hosts.append(host[row])
            if keep_first:
                all_ids.append(_bytes(table.column("id"))[row])
        lines, hosts = np.concatenate(all_lines), np.concatenate(all_hosts)
        ids = np.concatenate(all_ids)
        order = np.lexsort((ids, lines)) if keep_first else np.argsort(lines, kind="stable")
        lines, hosts = lines[order], hosts[order]
        first = (
            np.flatnonzero(np.concatenate(([True], lines[1:] != lines[:-1]))) if len(lines) else np.zeros(0, np.int64)
        )
        documents = np.diff(np.append(first, len(lines)))
        enough = documents >= self.settings.documents
        first, documents = first[enough], documents[enough]
        found = {
            "line": pa.array(lines[first], pa.uint64()),
            "documents": pa.array(documents, pa.int64()),
            "host": pa.array(hosts[first], pa.uint64()),
        }
        if keep_first:
            found["first"] = pa.array(ids[order][first].tolist(), pa.binary()).cast(pa.string())
        return pa.table(found)

    def reduce(self, parts: Sequence[Part], exchanged: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
        self.figures.clear()
        lines, firsts = self._repeated(parts, exchanged)
        removed_lines = changed = 0
        for part in parts:
            names = ["_chars", "_lines", "_starts", "_ends"] + (["id"] if self.settings.keep_first else [])
            table = self._read(part, names)
            keys, row = _flat(table.column("_lines"))
            starts, ends = (_flat(table.column(name))[0].astype(np.int64) for name in ("_starts", "_ends"))
            at = np.searchsorted(lines, keys)
            gone = np.zeros(len(keys), np.bool_)
            if len(lines):
                gone = lines[np.minimum(at, len(lines) - 1)] == keys
            if self.settings.keep_first and gone.any():
                ids = _bytes(table.column("id"))
                gone[gone] = firsts[at[gone]] != ids[row[gone]]
            chars = table.column("_chars").combine_chunks().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
            row, starts, ends = row[gone], starts[gone], ends[gone]
            counts = np.bincount(row, minlength=part.rows)
            starts, ends = _with_line_feeds(row, starts, ends, chars[row])
            sizes = np.bincount(row, weights=ends - starts, minlength=part.rows)
            removed_lines += len(row)
            changed += int(np.count_nonzero(counts))
            yield pa.RecordBatch.from_pydict(
                {
                    "repeated_lines": pa.array(counts, pa.int32()),
                    "repeated_share": pa.array(sizes / np.maximum(chars, 1), pa.float32()),
                    EDITED: _edits(counts, row, starts, ends),
                }
            )
        self.figures.update(distinct=len(lines), removed=removed_lines, documents=changed)

    def report(self) -> dict[str, Any]:
        """`distinct` repeated lines, `removed` lines in `documents` documents."""
        return dict(self.figures)

    def _repeated(self, parts: Sequence[Part], exchanged: Iterable[pa.Table]) -> tuple[Hashes, npt.NDArray[np.bytes_]]:
        """The repeated lines' hashes, ascending, and the document that keeps each (with `keep_first`)."""
        kept: list[Hashes] = [np.zeros(0, np.uint64)]
        firsts: list[npt.NDArray[np.bytes_]] = [np.zeros(0, "S1")]
        hosts, sizes = self._hosts(parts) if self.settings.share else (None, None)
        for table in exchanged:
            if not table.num_rows:
                continue
            enough = np.ones(table.num_rows, np.bool_)
            if hosts is not None and sizes is not None:
                of_host = sizes[np.searchsorted(hosts, table.column("host").to_numpy())]
                enough = table.column("documents").to_numpy() >= self.settings.share * of_host
            kept.append(table.column("line").to_numpy()[enough])
            if self.settings.keep_first:
                ids = _bytes(table.column("first"))
                firsts.append(ids[enough])
        lines, ids = np.concatenate(kept), np.concatenate(firsts)
        order = np.argsort(lines)
        return lines[order], ids[order] if self.settings.keep_first else ids

    def _hosts(self, parts: Sequence[Part]) -> tuple[Hashes, npt.NDArray[np.int64]]:
        """Every host, ascending, and how many documents it has."""
        read = [self._read(part, ["_host"]).column(0).drop_null().to_numpy().astype(np.uint64) for part in parts]
        return np.unique(np.concatenate([np.zeros(0, np.uint64), *read]), return_counts=True)

    def _read(self, part: Part, columns: list[str]) -> pa.Table:
        table = part.read(columns)
        if table.num_rows != part.rows:
            raise StageError(
                f"{self.name}: part {part.index} gave {table.num_rows} rows of {', '.join(columns)}, "
                f"expected its {part.rows} selected rows"
            )
        return table


def _flat(column: pa.ChunkedArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The values of a column of lists, and the row of each."""
    import pyarrow.compute as pc

    lists = column.combine_chunks()
    values = pc.list_flatten(lists).to_numpy(zero_copy_only=False)
    sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return values, np.repeat(np.arange(len(lists)), sizes)


def _distinct(lines: Hashes, row: npt.NDArray[np.int64]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Each line once per row."""
    order = np.lexsort((row, lines))
    lines, row = lines[order], row[order]
    new = np.ones(len(lines), np.bool_)
    new[1:] = (lines[1:] != lines[:-1]) | (row[1:] != row[:-1])
    return lines[new], row[new]


def _bytes(ids: pa.ChunkedArray[Any]) -> npt.NDArray[np.bytes_]:
    """UTF-8 in a fixed width: compares like the strings do."""
    return np.array(ids.cast(pa.binary()).to_pylist(), np.bytes_)


def _with_line_feeds(
    row: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], chars: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lines take the line feed after them along, which the last of a text (`chars` long) does not have: where it goes,
    it and the removed lines right before it take the line feed before them instead."""
    last = ends == chars
    starts, ends = starts.copy(), np.where(last, ends, ends + 1)
    for end in np.flatnonzero(last):
        begin = end
        while begin and row[begin - 1] == row[end] and ends[begin - 1] == starts[begin]:
            begin -= 1
        if starts[begin]:
            starts[begin : end + 1] -= 1
            ends[begin:end] -= 1
    return starts, ends


def _edits(
    counts: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
) -> pa.Array:
    offsets = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    values = [
        pa.array(starts, pa.int32()),
        pa.array(ends, pa.int32()),
        pa.array(np.full(len(row), ""), pa.string()),
        pa.array(np.full(len(row), RULE), pa.string()),
    ]
    structs = pa.StructArray.from_arrays(values, fields=list(EDITS.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets), structs, type=EDITS)


KIND = HostLines
