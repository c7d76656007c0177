"""Writes token shards: rows in, one Arrow file out, under a temporary name until it is whole.

What a shard file contains depends on its rows alone: the same documents in other portions give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from winnow.tokenize.shard import (
    BATCH_TOKENS,
    COLUMNS,
    MANIFEST,
    Manifest,
    ShardEntry,
    ShardError,
    TokenizerIdentity,
    ids_of,
    shard_schema,
)


def write_shard(
    folder: str,
    file: str,
    tokenizer: TokenizerIdentity,
    rows: Iterable[pa.RecordBatch],
    batch_tokens: int = BATCH_TOKENS,
) -> ShardEntry:
    """Writes `folder`/`file` from batches with the columns of shard.COLUMNS (any number of rows each, in order).

    Record batches are filled to at most `batch_tokens` tokens; a longer document is a batch of its own. `folder` is a
    local path or an fsspec URL. Raises ShardError where a row does not fit the format.
    """
    if batch_tokens < 1:
        raise ShardError(f"{file}: batches of {batch_tokens} tokens were asked for, expected at least 1")
    schema = shard_schema(tokenizer)
    tokens = documents = 0
    with _replacing(folder, file) as out:
        sink = _Hashing(out)
        with pa.ipc.new_file(pa.PythonFile(cast(Any, sink), mode="w"), schema) as writer:
            for batch in _rebatched(rows, schema, batch_tokens, tokenizer.vocab_size, file):
                writer.write_batch(batch)
                documents += batch.num_rows
                tokens += len(ids_of(batch).values)
    return ShardEntry(file=file, bytes=sink.size, tokens=tokens, documents=documents, digest=sink.hexdigest())


def write_manifest(folder: str, manifest: Manifest | dict[str, Any]) -> None:
    """Writes manifest.json, which makes the dataset complete. A dict is checked against the format first."""
    content = manifest if isinstance(manifest, Manifest) else Manifest.model_validate(manifest)
    with _replacing(folder, MANIFEST) as out:
        out.write(json.dumps(content.model_dump(), indent=2, ensure_ascii=False).encode() + b"\n")


def write_bytes(folder: str, file: str, content: bytes) -> None:
    """Writes a small companion file (tokenizer.json) as a shard is written: whole or not at all."""
    with _replacing(folder, file) as out:
        out.write(content)


@contextmanager
def _replacing(folder: str, file: str) -> Iterator[BinaryIO]:
    """A writable binary file that appears as `folder`/`file` only when the block ends well.

    Local disks: a temporary name beside it, fsync, rename. Elsewhere: a local temporary file, then one upload, which
    object stores make visible only when it is complete.
    """
    fs, root = fsspec.core.url_to_fs(folder)
    fs.makedirs(root, exist_ok=True)
    local = isinstance(fs, LocalFileSystem)
    temporary = Path(root if local else tempfile.gettempdir()) / f".{file}.{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("xb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        if local:
            temporary.replace(Path(root) / file)
        else:
            fs.put_file(str(temporary), posixpath.join(root, file))
    finally:
        temporary.unlink(missing_ok=True)


class _Hashing:
    """A write-only file that counts and hashes what passes through."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._sha256 = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self._out.write(view)
        self._sha256.update(view)
        self.size += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._out.flush()

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


def _rebatched(
    rows: Iterable[pa.RecordBatch], schema: pa.Schema, batch_tokens: int, vocab_size: int, file: str
) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that depend on their lengths alone: as many documents as fit `batch_tokens`."""
    waiting: list[pa.RecordBatch] = []
    filled = 0
    for batch in rows:
        lengths = _checked(batch, vocab_size, file)
        ends = np.cumsum(lengths)
        row = 0
        while row < batch.num_rows:
            before = int(ends[row - 1]) if row else 0
            fits = int(np.searchsorted(ends, before + batch_tokens - filled, side="right"))
            if fits > row:
                waiting.append(batch.slice(row, fits - row))
                filled += int(ends[fits - 1]) - before
                row = fits
            elif waiting:
                yield _compact(waiting, schema)
                waiting, filled = [], 0
            else:
                yield _compact([batch.slice(row, 1)], schema)
                row += 1
    if waiting:
        yield _compact(waiting, schema)


def _checked(batch: pa.RecordBatch, vocab_size: int, file: str) -> npt.NDArray[np.int64]:
    """Row lengths in tokens, of a batch that fits the format."""
    if not batch.schema.equals(COLUMNS, check_metadata=False):
        wanted = ", ".join(f"{field.name}: {field.type}" for field in COLUMNS)
        found = ", ".join(f"{field.name}: {field.type}" for field in batch.schema)
        raise ShardError(f"{file}: rows have the columns {found}, expected {wanted}")
    for field in COLUMNS:
        if not field.nullable and batch.column(field.name).null_count:
            raise ShardError(f"{file}: column {field.name} holds nulls, expected a value in every row")
    flat = ids_of(batch).flatten().to_numpy(zero_copy_only=False)
    if len(flat) and int(flat.max()) >= vocab_size:
        raise ShardError(f"{file}: token id {int(flat.max())}, expected ids below the vocabulary's {vocab_size}")
    lengths: npt.NDArray[np.int64] = np.diff(ids_of(batch).offsets.to_numpy(zero_copy_only=False)).astype(np.int64)
    prefixes = batch.column(3).to_numpy()
    beyond = np.flatnonzero(prefixes > lengths)
    if len(beyond):
        row = int(beyond[0])
        raise ShardError(
            f"{file}: document {batch.column(1)[row]} has prefix_len {prefixes[row]}, expected at most its {lengths[row]} tokens"
        )
    return lengths


def _compact(pieces: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    """One batch with buffers of its own, so that its bytes do not show how the rows arrived (offsets of slices,
    values that lie under nulls)."""
    ids = [ids_of(piece) for piece in pieces]
    flat = np.concatenate([array.flatten().to_numpy(zero_copy_only=False) for array in ids])
    lengths = np.concatenate([np.diff(array.offsets.to_numpy(zero_copy_only=False)) for array in ids])
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    quality = pa.concat_arrays([piece.column(2) for piece in pieces])
    missing = quality.is_null().to_numpy(zero_copy_only=False)
    scores = quality.fill_null(0.0).to_numpy(zero_copy_only=False)
    return pa.RecordBatch.from_arrays(
        [
            pa.ListArray.from_arrays(
                pa.array(offsets, pa.int32()), pa.array(flat, pa.uint32()), type=schema.field(0).type
            ),
            pa.array(pa.concat_arrays([piece.column(1) for piece in pieces]).to_pylist(), pa.string()),
            pa.array(scores, pa.float32(), mask=missing) if missing.any() else pa.array(scores, pa.float32()),
            pa.array(pa.concat_arrays([piece.column(3) for piece in pieces]).to_numpy(), pa.uint16()),
        ],
        schema=schema,
    )
