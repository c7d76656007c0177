"""Reads token shards through mmap: one flat token stream, cut into blocks of any length. No torch, no copies.

    shards = ShardSet.open("runs/ko/shards")
    for b in range(shards.blocks(4096)):
        tokens = shards.block(b, 4096)            # uint32 [4097]: inputs tokens[:-1], labels tokens[1:]
        starts = shards.boundaries(b, 4096)       # where documents begin inside the block

Arrays may be read-only views of the file: `astype` them (which copies) before handing them to torch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.tokenize.shard import Manifest, ShardEntry, ShardError, ids_of, shard_schema
from winnow.tokenize.verify import REMEDY, check_size, read_manifest
from winnow.tokenize.verify import verify as verify_files

Tokens = npt.NDArray[np.uint32]
Positions = npt.NDArray[np.int64]


class ShardSet:
    """A dataset folder, mapped into memory. Batches are opened once; their numpy views are kept.

    Pickling sends only the folder's path and its digest; the receiving process maps the files anew and refuses
    a folder that changed in between.
    """

    def __init__(self, folder: Path, manifest: Manifest, batches: list[pa.RecordBatch]) -> None:
        self.folder = folder
        self.manifest = manifest
        self._batches = batches
        self._tokens: list[Tokens] = []
        self._offsets: list[npt.NDArray[np.int32]] = []
        self._starts = [0]  # global position of each batch's first token, then the total
        for batch in batches:
            ids = ids_of(batch)
            offsets = ids.offsets.to_numpy(zero_copy_only=True)
            tokens = ids.values.to_numpy(zero_copy_only=True)[offsets[0] : offsets[-1]]
            self._tokens.append(tokens)
            self._offsets.append(offsets)
            self._starts.append(self._starts[-1] + len(tokens))

    @classmethod
    def open(cls, folder: str | Path, verify: bool = False) -> ShardSet:
        """Maps a *local* dataset folder. Sizes, schema and counts are always checked; `verify` also hashes
        every byte, the tokenizer's too (winnow.tokenize.verify). Raises ShardError naming the file, what it is and what it should be."""
        if "://" in str(folder) and not str(folder).startswith("file://"):
            raise ShardError(f"{folder}: shards are mapped into memory, so copy the folder to a local disk first")
        path = Path(str(folder).removeprefix("file://"))
        manifest = verify_files(path, again=True) if verify else read_manifest(path)
        batches = [batch for entry in manifest.shards for batch in _open_shard(path, entry, manifest)]
        return cls(path, manifest, batches)

    @property
    def digest(self) -> str:
        """Identity of the dataset (see winnow.tokenize.shard)."""
        return self.manifest.digest

    @property
    def total_tokens(self) -> int:
        """Tokens of all shards."""
        return self._starts[-1]

    def blocks(self, length: int) -> int:
        """How many blocks of `length` inputs there are; each needs one more token for its last label."""
        if length < 1:
            raise ShardError(f"{self.folder}: a block of {length} tokens was asked for, expected at least 1")
        return max(0, (self.total_tokens - 1) // length)

    def block(self, b: int, length: int) -> Tokens:
        """Tokens [b * length, (b + 1) * length] as uint32 [length + 1]; neighbours share one token, so that no label
        is lost. A view of the file where the block lies in one record batch, else a copy."""
        first = b * length
        last = first + length + 1
        starts = self._starts
        if b < 0 or last > starts[-1]:
            raise IndexError(f"block {b} of length {length} in {self.folder}: there are {self.blocks(length)}")
        i = bisect_right(starts, first) - 1
        if last <= starts[i + 1]:
            base = starts[i]
            return self._tokens[i][first - base : last - base]
        return self.tokens(first, last)

    def tokens(self, first: int, last: int) -> Tokens:
        """Tokens [first, last) of the whole stream as uint32 [last - first], over record batches and shards."""
        if not 0 <= first <= last <= self.total_tokens:
            raise IndexError(f"tokens [{first}, {last}) of {self.total_tokens} in {self.folder}")
        pieces = [self._tokens[i][low:high] for i, low, high in self._stretches(first, last)]
        return np.concatenate(pieces) if pieces else np.empty(0, np.uint32)

    def boundaries(self, b: int, length: int) -> Positions:
        """Where documents start inside block `b`, as ascending int64 positions in [0, length]. The block's own first
        position is listed only if a document starts there; position `length` is that of the last label."""
        first, last = self._span(b, length)
        found: list[Positions] = []
        for i, low, high in self._stretches(first, last):
            offsets = self._offsets[i][:-1]
            rebased = int(self._offsets[i][0])
            cut = offsets[np.searchsorted(offsets, low + rebased) : np.searchsorted(offsets, high + rebased)]
            # rows without tokens repeat an offset: one start
            found.append(np.unique(cut).astype(np.int64) + (self._starts[i] - rebased - first))
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def masked(self, b: int, length: int) -> npt.NDArray[np.bool_]:
        """bool [length + 1], true where a token of block `b` belongs to a document's metadata prefix (`prefix_len`),
        which carries no loss."""
        first, last = self._span(b, length)
        mask = np.zeros(length + 1, dtype=np.bool_)
        for i, low, high in self._stretches(first, last):
            offsets = self._offsets[i].astype(np.int64) - int(self._offsets[i][0])
            top = int(np.searchsorted(offsets, low, side="right")) - 1
            end = int(np.searchsorted(offsets, high, side="left"))
            prefixes = self._batches[i].column(3).slice(top, end - top).to_numpy(zero_copy_only=True)
            shift = self._starts[i] - first
            for row in np.flatnonzero(prefixes):
                start = int(offsets[top + row]) + shift
                mask[max(start, 0) : max(min(start + int(prefixes[row]), length + 1), 0)] = True
        return mask

    def documents(self) -> pa.Table:
        """Every row as one zero-copy Arrow table (columns of winnow.tokenize.shard)."""
        return pa.Table.from_batches(self._batches, schema=shard_schema(self.manifest.tokenizer))

    def _span(self, b: int, length: int) -> tuple[int, int]:
        """Block `b` as tokens [first, last) of the stream."""
        if not 0 <= b < self.blocks(length):
            raise IndexError(f"block {b} of length {length} in {self.folder}: there are {self.blocks(length)}")
        return b * length, (b + 1) * length + 1

    def _stretches(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """(batch, low, high) for every batch that holds tokens of [first, last); low and high count inside it."""
        i = bisect_right(self._starts, first) - 1
        while first < last:
            base, end = self._starts[i], min(self._starts[i + 1], last)
            if end > first:
                yield i, first - base, end - base
            first = max(first, end)
            i += 1

    def __reduce__(self) -> tuple[object, tuple[Path, str]]:
        return _reopen, (self.folder, self.digest)


def _reopen(folder: Path, digest: str) -> ShardSet:
    shards = ShardSet.open(folder)
    if shards.digest != digest:
        raise ShardError(f"{folder}: digest is {shards.digest[:12]}, expected {digest[:12]}: the dataset changed")
    return shards


def _open_shard(folder: Path, entry: ShardEntry, manifest: Manifest) -> list[pa.RecordBatch]:
    path = folder / entry.file
    check_size(path, entry.bytes, f"a shard of {entry.bytes} bytes")
    try:
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            schema = reader.schema
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
    except (pa.ArrowInvalid, OSError) as error:
        raise ShardError(f"{path}: not a readable Arrow file ({str(error).splitlines()[0]}); {REMEDY}") from None
    expected = shard_schema(manifest.tokenizer)
    if not schema.equals(expected, check_metadata=True):
        raise ShardError(f"{path}: {_difference(schema, expected)}, so it belongs to another dataset")
    documents = sum(batch.num_rows for batch in batches)
    tokens = sum(int(ids.offsets[-1].as_py()) - int(ids.offsets[0].as_py()) for ids in map(ids_of, batches))
    if (documents, tokens) != (entry.documents, entry.tokens):
        raise ShardError(
            f"{path}: holds {documents} documents and {tokens} tokens, expected {entry.documents} and {entry.tokens}"
        )
    return batches


def _difference(schema: pa.Schema, expected: pa.Schema) -> str:
    if not schema.equals(expected, check_metadata=False):
        return f"its columns are {', '.join(schema.names)}, expected {', '.join(expected.names)} of the shard format"
    found, wanted = schema.metadata or {}, expected.metadata or {}
    key = next(key for key in sorted({*found, *wanted}) if found.get(key) != wanted.get(key))
    return f"{key.decode()} is {found.get(key, b'absent').decode()}, expected {wanted.get(key, b'absent').decode()}"
