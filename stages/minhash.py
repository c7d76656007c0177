"""`use: minhash`: near-duplicates by MinHash, and which one of them stays.

Every document is signed on its own (`measure`). Documents that share a band's key are joined (`exchange`, one bucket
per band and slice of the keys; each reads its own band's column, one part at a time), and the connected components
are the clusters (`reduce`). The one that stays is the longest, then the one with the smallest id: clusters and
survivors are properties of the set of documents, whatever the partitions and their order.

Duplicates of what earlier runs kept are found in the duplicate indexes (`stages/duplicate_index.py`) that `known:` names,
without reading those runs again: a cluster that shares a key with a document of one has its representative there, and none here.

Candidates are not verified against each other: at 14 bands of 8 rows, documents of Jaccard similarity .5 are joined
with probability .053, and joins are transitive.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, Field

from winnow.identity import Located, OfCorpus
from winnow.stages.base import Artifact, CorpusStage, Outputs, Part, Reducer, Settings, StageError

if TYPE_CHECKING:
    from winnow.filters.dedup.clusters import Rows
    from winnow.filters.dedup.minhash import Scheme
    from winnow.stages.duplicate_index import StoredIndex

SLICE_ROWS = 2**24
"""Rows whose keys one exchange task sorts: about 0.6 GB at its peak, 0.85 GB where documents are known."""

SIGNATURES = 1
"""Raised, with the stage's `version`, when the same text gives other keys than before: what was remembered is of no use."""


class MinHashSettings(Settings):
    """P(two documents of similarity s are joined) = 1 - (1 - s^rows)^bands."""

    bands: int = Field(default=14, ge=1, le=1024)
    """Keys of a document; two documents are joined that share one."""
    rows: int = Field(default=8, ge=1, le=1024)
    """Hashes in a key."""
    ngram: int = Field(default=5, ge=1, le=1024)
    """Words of a shingle; characters where those are the word unit."""
    seed: int = 1
    """Of the hashes."""
    known: Annotated[
        tuple[str, ...] | None, BeforeValidator(lambda v: (v,) if isinstance(v, str) else v), Located(), OfCorpus()
    ] = None
    """Indexes that `winnow remember` has written, folders of them, or globs, as paths or URLs; none that was made from this
    very run. `keep: "not known and representative"` tells copies of earlier documents apart from those of new ones. An empty
    list has the first of many runs measure what the others do."""


class MinHash(CorpusStage):
    """Signals: `cluster` (id of the document that stays for its cluster; its own if it has no duplicate), `copies`
    (size of the cluster), `representative` (whether it is the one that stays). With the setting `known`, empty or not, also `known`:
    whether the cluster has a document of an earlier run. Then `cluster` is the smallest id of those, `copies` counts them
    as one, and nothing of the cluster stays.

    `reduce` holds 4 bytes per document (8 from 2^32 - 1 documents on), 1 more while it numbers the clusters, and
    48 bytes per cluster of two and more (ids of 32 digits). A text without a single word or number is nobody's duplicate.
    A known document takes 184 bytes where it is stored (14 bands) and none in memory but, in `reduce`, 16 bytes for each
    that was met and 33 for each cluster with one; pages of a local index are shared and can be dropped at any time.
    """

    __slots__ = ()
    kind = "minhash"
    outputs = Outputs(clusters=True)
    version = 1
    Settings = MinHashSettings

    def signals(self) -> dict[str, pa.DataType]:
        found = {"cluster": pa.string(), "copies": pa.int32(), "representative": pa.bool_()}
        return found | ({"known": pa.bool_()} if self.settings.known is not None else {})

    def clauses(self) -> dict[str, str]:
        return {"copy": "representative"}

    def artifacts(self) -> list[Artifact]:
        """The indexes, by content: neither their places nor their order matter."""
        found = [(index.manifest.digest, Path(index.url)) for index in self._indexes()]
        return [Artifact(f"known:{digest[:16]}", path, digest, of_corpus=True) for digest, path in found]

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Duplicates:
        return Duplicates(self.name, self.settings, self._scheme(), self._indexes())

    def hidden(self) -> dict[str, pa.DataType]:
        """One column per band, so that an exchange task reads no other; null where a text has no signature."""
        return {_band(j): pa.uint64() for j in range(self.settings.bands)} | {"_chars": pa.int32()}

    def buckets(self, rows: int) -> int:
        fewest = 2 if self.settings.known is None else 1
        return 0 if rows < fewest else self.settings.bands * (1 + rows // SLICE_ROWS)

    def scheme(self) -> dict[str, int | bool]:
        """What makes keys comparable between runs."""
        chosen: MinHashSettings = self.settings
        numbers = {"bands": chosen.bands, "rows": chosen.rows, "ngram": chosen.ngram, "seed": chosen.seed}
        return numbers | {"characters": self.pack.spaceless, "signatures": SIGNATURES}

    def earlier(self, identity: str) -> dict[str, Any] | None:
        """What the index with this document was made from, and its place as `index` (path or URL); None where it is no
        longer to be had."""
        from winnow.stages.duplicate_index import DuplicateIndexError, read_indexes

        try:
            found = (one for one in read_indexes(self.settings.known or ()) if one.holds(identity))
            return next(({**one.manifest.made_from, "index": one.url} for one in found), None)
        except DuplicateIndexError:
            return None

    def _indexes(self) -> list[StoredIndex]:
        """Those that are known. Raises StageError for one that is damaged or was made otherwise."""
        from winnow.stages.duplicate_index import DuplicateIndexError, read_indexes

        if not self.settings.known:
            return []
        try:
            found: list[StoredIndex] = read_indexes(self.settings.known)
            for index in found:
                self._check(index)
        except DuplicateIndexError as error:
            raise StageError(f"{self.name}: {error}") from error
        return found

    def _check(self, index: StoredIndex) -> None:
        index.check()
        theirs, ours = index.manifest.scheme, self.scheme()
        differing = [name for name in {**ours, **theirs} if theirs.get(name) != ours.get(name)]
        if differing:
            made = ", ".join(f"{name} {theirs.get(name)}" for name in differing)
            wanted = ", ".join(f"{name} {ours.get(name)}" for name in differing)
            raise StageError(
                f"{self.name}: known index '{index.url}' was made with {made}, expected {wanted}: keys of different "
                "schemes never meet; take the settings it was made with, or remember its run deduplicated with these"
            )

    def _scheme(self) -> Scheme:
        from winnow.filters.dedup.minhash import Scheme

        chosen: MinHashSettings = self.settings
        characters = self.pack.spaceless
        return Scheme(chosen.bands, chosen.rows, chosen.ngram, chosen.seed, characters)


class Duplicates(Reducer):
    """Signs documents, joins them by keys, and says which of a cluster stays. State: the figures of the last `reduce`."""

    def __init__(self, name: str, settings: MinHashSettings, scheme: Scheme, indexes: Sequence[StoredIndex]) -> None:
        self.name, self.scheme, self.indexes, self.figures = name, scheme, list(indexes), dict[str, int]()
        self.bands, self.compares = settings.bands, settings.known is not None

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        from winnow.filters.dedup.minhash import band_keys

        keys, chars, empty = band_keys(documents.column("text"), self.scheme)
        columns = {_band(j): pa.array(keys[j], pa.uint64(), mask=empty) for j in range(self.bands)}
        return pa.RecordBatch.from_pydict(columns | {"_chars": pa.array(chars, pa.int32())})

    def exchange(self, bucket: int, buckets: int, parts: Sequence[Part]) -> pa.Table:
        """Edges `a`, `b`: rows, numbered through the parts in order, that share a key of the bucket's band. Where
        documents are known also `known`: null there; in rows of a = b the number of a document that shares a's key."""
        from winnow.filters.dedup.clusters import equal_key_edges, row_type

        band = bucket % self.bands
        slices = np.uint64(buckets // self.bands)
        mine = np.uint64(bucket // self.bands)
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
        keys, rows = np.concatenate(all_keys), np.concatenate(all_rows)
        a, b = equal_key_edges(keys, rows)
        between = pa.table({"a": a, "b": b})
        if not self.indexes:
            return between
        from winnow.filters.dedup.index import known_edges

        met, known = known_edges(self.indexes, band, keys, rows)
        nulls = pa.nulls(a.size, pa.uint64())
        return pa.concat_tables([between.append_column("known", nulls), pa.table({"a": met, "b": met, "known": known})])

    def reduce(self, parts: Sequence[Part], exchanged: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
        from winnow.filters.dedup.clusters import Forest, Survivors
        from winnow.filters.dedup.index import KnownMatches

        self.figures.clear()
        total = sum(part.rows for part in parts)
        forest, met = Forest(total), KnownMatches()
        for table in exchanged:
            for edges in table.to_batches():
                forest.unite(edges.column("a").to_numpy(), edges.column("b").to_numpy())
            if "known" in table.schema.names:
                shared = table.filter(table.column("known").is_valid())
                met.add(forest, shared.column("a").to_numpy(), shared.column("known").to_numpy())
        labels, alone, clusters = forest.labels()
        clusters = met.number_alone(labels, alone, clusters)
        with_known, names = met.names(self.indexes, labels)
        del met

        best = Survivors.none_yet(clusters)
        for start, part in _numbered(parts):
            here = labels[start : start + part.rows]
            joined = np.flatnonzero(here != alone)
            if joined.size:
                table = self._read(part, ["id", "_chars"]).take(joined)
                chars = table.column("_chars").to_numpy().astype(np.int32)
                best.meet(here[joined].astype(np.int64), joined + start, chars, _bytes(table.column("id")))

        duplicates = int(best.copies.sum()) - clusters + with_known.size
        figures = {"known": int(best.copies[with_known].sum())} if self.compares else {}
        known = best.yield_to(with_known, names)
        self.figures.update(
            documents=total,
            clusters=total - duplicates,
            duplicates=duplicates,
            largest=int(best.copies.max(initial=min(total, 1))),
            **figures,
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
            columns = {
                "cluster": pc.replace_with_mask(ids, pa.array(joined), survivors),
                "copies": pa.array(copies),
                "representative": pa.array(stays),
            }
            if self.compares:
                earlier = np.zeros(part.rows, np.bool_)
                earlier[joined] = known[label]
                columns["known"] = pa.array(earlier)
            yield pa.RecordBatch.from_pydict(columns)

    def report(self) -> dict[str, Any]:
        """`documents` = `clusters` (a document alone is one) + `duplicates`, of which `known` are in a cluster with a
        document of an earlier run; `largest` cluster, in documents."""
        return dict(self.figures)

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
