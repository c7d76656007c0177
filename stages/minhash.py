"""`use: minhash`: near-duplicates by MinHash, and which one of them stays.

Every document is signed on its own (`measure`). Documents that share a band's key are joined (`exchange`, one bucket
per band and slice of the keys; each reads its own band's column, one part at a time), and the connected components
are the clusters (`reduce`). The one that stays is the longest, then the one with the smallest id: clusters and
survivors are properties of the set of documents, whatever the partitions and their order.

Candidates are not verified against each other: at 14 bands of 8 rows, documents of Jaccard similarity .5 are joined
with probability .053, and joins are transitive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from winnow.stages.stage import Corpus, Part, Settings, StageError

if TYPE_CHECKING:
    from winnow.filters.components import Rows
    from winnow.filters.minhash import Scheme

SLICE_ROWS = 2**24
"""Rows whose keys one exchange task sorts: about 0.5 GB at its peak."""


class MinHashSettings(Settings):
    """P(two documents of similarity s are joined) = 1 - (1 - s^rows)^bands."""

    bands: int = Field(default=14, ge=1, le=1024)
    rows: int = Field(default=8, ge=1, le=1024)
    ngram: int = Field(default=5, ge=1, le=1024)  # words; characters where those are the word unit
    seed: int = 1


@dataclass(slots=True)
class _Survivors:
    """The best row met so far of every cluster of two and more, and how many rows it has: 16 bytes plus an id each."""

    rows: npt.NDArray[np.int64]
    chars: npt.NDArray[np.int32]
    copies: npt.NDArray[np.int32]
    ids: npt.NDArray[np.bytes_]

    @staticmethod
    def none_yet(clusters: int) -> _Survivors:
        unset = np.full(clusters, -1, np.int64)
        return _Survivors(
            unset, np.full(clusters, -1, np.int32), np.zeros(clusters, np.int32), np.zeros(clusters, "S1")
        )

    def meet(
        self,
        labels: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        chars: npt.NDArray[np.int32],
        ids: npt.NDArray[np.bytes_],
    ) -> None:
        """Longest first, then the smallest id, then the first row: `rows` ascend within a call and between calls."""
        if ids.dtype.itemsize > self.ids.dtype.itemsize:
            self.ids = self.ids.astype(ids.dtype)
        np.add.at(self.copies, labels, 1)
        order = np.lexsort((ids, -chars, labels))
        first = np.ones(order.size, np.bool_)
        first[1:] = labels[order[1:]] != labels[order[:-1]]
        best = order[first]
        held = labels[best]
        longer = chars[best] > self.chars[held]
        smaller = (chars[best] == self.chars[held]) & (ids[best] < self.ids[held])
        best = best[longer | smaller]
        held = labels[best]
        self.rows[held], self.chars[held], self.ids[held] = rows[best], chars[best], ids[best]


@dataclass(frozen=True, slots=True)
class MinHash(Corpus):
    """Signals: `cluster` (id of the document that stays for its cluster; its own if it has no duplicate), `copies`
    (size of the cluster), `representative` (whether it is the one that stays).

    `reduce` holds 4 bytes per document (8 from 2^32 - 1 documents on), 1 more while it numbers the clusters, and
    48 bytes per cluster of two and more (ids of 32 digits). A text without a single word or number is nobody's duplicate.
    """

    figures: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    kind = "minhash"
    version = 1
    Settings = MinHashSettings

    def signals(self) -> dict[str, pa.DataType]:
        return {"cluster": pa.string(), "copies": pa.int32(), "representative": pa.bool_()}

    def clauses(self) -> dict[str, str]:
        return {"copy": "representative"}

    def hidden(self) -> dict[str, pa.DataType]:
        """One column per band, so that an exchange task reads no other; null where a text has no signature."""
        return {_band(j): pa.uint64() for j in range(self.settings.bands)} | {"_chars": pa.int32()}

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        from winnow.filters.minhash import band_keys

        keys, chars, empty = band_keys(documents.column("text"), self._scheme())
        columns = {_band(j): pa.array(keys[j], pa.uint64(), mask=empty) for j in range(self.settings.bands)}
        return pa.RecordBatch.from_pydict(columns | {"_chars": pa.array(chars, pa.int32())})

    def buckets(self, rows: int) -> int:
        return 0 if rows < 2 else self.settings.bands * (1 + rows // SLICE_ROWS)

    def exchange(self, bucket: int, buckets: int, parts: Sequence[Part]) -> pa.Table:
        """Edges `a`, `b`: rows, numbered through the parts in order, that share a key of the bucket's band."""
        from winnow.filters.components import equal_key_edges, row_type

        band = bucket % self.settings.bands
        slices = np.uint64(buckets // self.settings.bands)
        mine = np.uint64(bucket // self.settings.bands)
        kind = row_type(sum(part.rows for part in parts))
        all_keys: list[npt.NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
        all_rows: list[Rows] = [np.zeros(0, kind)]
        for start, part in _numbered(parts):
            column = self._read(part, [_band(band)]).column(0)
            row = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
            keys = column.drop_null().to_numpy(zero_copy_only=False).astype(np.uint64, copy=False)
            if slices > 1:
                here = ((keys >> np.uint64(32)) * slices) >> np.uint64(32) == mine
                keys, row = keys[here], row[here]
            all_keys.append(keys)
            all_rows.append((row + start).astype(kind))
        a, b = equal_key_edges(np.concatenate(all_keys), np.concatenate(all_rows))
        return pa.table({"a": a, "b": b})

    def reduce(self, parts: Sequence[Part], exchanged: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
        from winnow.filters.components import Forest

        self.figures.clear()
        total = sum(part.rows for part in parts)
        forest = Forest(total)
        for table in exchanged:
            for edges in table.to_batches():
                forest.unite(edges.column("a").to_numpy(), edges.column("b").to_numpy())
        labels, alone, clusters = forest.labels()

        best = _Survivors.none_yet(clusters)
        for start, part in _numbered(parts):
            here = labels[start : start + part.rows]
            joined = np.flatnonzero(here != alone)
            if joined.size:
                table = self._read(part, ["id", "_chars"]).take(joined)
                chars = table.column("_chars").to_numpy().astype(np.int32)
                best.meet(here[joined].astype(np.int64), joined + start, chars, _bytes(table.column("id")))

        duplicates = int(best.copies.sum()) - clusters
        self.figures.update(
            documents=total,
            clusters=total - duplicates,
            duplicates=duplicates,
            largest=int(best.copies.max(initial=min(total, 1))),
        )
        for start, part in _numbered(parts):
            here = labels[start : start + part.rows]
            joined = here != alone
            label = here[joined].astype(np.int64)
            copies = np.ones(part.rows, np.int32)
            copies[joined] = best.copies[label]
            stays = np.ones(part.rows, np.bool_)
            stays[joined] = best.rows[label] == np.flatnonzero(joined) + start
            ids = self._read(part, ["id"]).column("id").combine_chunks().cast(pa.string())
            survivors = pa.array(best.ids[label], pa.binary()).cast(pa.string())
            yield pa.RecordBatch.from_pydict(
                {
                    "cluster": pc.replace_with_mask(ids, pa.array(joined), survivors),
                    "copies": pa.array(copies),
                    "representative": pa.array(stays),
                }
            )

    def report(self) -> dict[str, Any]:
        """`documents` = `clusters` (a document alone is one) + `duplicates`; `largest` cluster, in documents."""
        return dict(self.figures)

    def _scheme(self) -> Scheme:
        from winnow.filters.minhash import Scheme

        chosen: MinHashSettings = self.settings
        characters = self.pack.spaceless
        return Scheme(chosen.bands, chosen.rows, chosen.ngram, chosen.seed, characters)

    def _read(self, part: Part, columns: list[str]) -> pa.Table:
        table = part.read(columns)
        if table.num_rows != part.rows:
            raise StageError(
                f"{self.name}: part {part.index} gave {table.num_rows} rows of {', '.join(columns)}, "
                f"expected its {part.rows} selected rows"
            )
        return table


def _band(band: int) -> str:
    return f"_band_{band:02d}"


def _numbered(parts: Sequence[Part]) -> Iterator[tuple[int, Part]]:
    """Each part with the number of its first row, counted through the parts in order."""
    start = 0
    for part in parts:
        yield start, part
        start += part.rows


def _bytes(ids: pa.ChunkedArray[Any]) -> npt.NDArray[np.bytes_]:
    """UTF-8 in a fixed width: compares like the strings do."""
    return np.array(ids.cast(pa.binary()).to_pylist(), np.bytes_)


KIND = MinHash
