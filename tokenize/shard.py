"""The hand-off format: token shards that a trainer maps into memory, and the manifest that names them.

A dataset is a folder:

    manifest.json        written last; a folder without one is unfinished
    tokenizer.json       the tokenizer the ids come from, byte for byte (sha256 in the manifest)
    shard-00000.arrow    uncompressed Arrow IPC *files*, about 512 MB each, in order
    shard-00001.arrow    ...

A shard holds record batches of about 4 Mi tokens, one row per document, never split over batches:

    input_ids  list<uint32>  the document's tokens with its BOS and EOS; `values` is the flat token stream (zero-copy)
                             and `offsets` (int32) gives the document boundaries, so nothing scans for EOS
    doc_id     string        identity of the document; a repeated document repeats it
    quality    float32       nullable score for curricula
    prefix_len uint16        leading tokens of metadata that carry no loss

Schema metadata (bytes keys and values): `winnow.format` (FORMAT), `winnow.version` (VERSION), `winnow.dtype` ("uint32"),
`winnow.tokenizer` (sha256 of tokenizer.json), `winnow.vocab_size`, `winnow.eos`, `winnow.bos` (decimal ids, "" for none).

manifest.json, one JSON object (class Manifest):

    {"format": "winnow-shards", "version": 1, "dtype": "uint32",
     "tokenizer": {"name": "ko-bpe", "file": "tokenizer.json", "sha256": "...", "vocab_size": 24000, "eos": 0, "bos": null},
     "shards": [{"file": "shard-00000.arrow", "bytes": 1, "tokens": 1, "documents": 1, "digest": "sha256 of the file"}],
     "bytes": 1, "tokens": 1, "documents": 1,
     "digest": "sha256 of the canonical JSON of `shards`",
     "checksum": "sha256 of the canonical JSON of all the rest"}

`digest` is the identity of the dataset: same digest, same tokens in the same order. Canonical JSON is UTF-8 with sorted
keys and no spaces. The token stream of the dataset is the concatenation of all `input_ids`, in shard and row order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final, Literal, cast

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

FORMAT: Final = "winnow-shards"
VERSION: Final = 1
DTYPE: Final = "uint32"
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
SHARD_BYTES = 512 * 2**20  # one file is big enough for sequential reads and small enough to copy again
BATCH_TOKENS = 4 * 2**20  # 16 MiB of ids; int32 offsets hold up to 2**31 - 1 tokens in a batch

COLUMNS = pa.schema(
    [
        pa.field("input_ids", pa.list_(pa.field("item", pa.uint32(), nullable=False)), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("quality", pa.float32()),
        pa.field("prefix_len", pa.uint16(), nullable=False),
    ]
)


class ShardError(ValueError):
    """A dataset folder, manifest or shard is not what it says: one sentence with the file and what was expected."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TokenizerIdentity(_Record):
    """The tokenizer that the ids come from. `eos` and `bos` are the ids *written* around documents, None where none is."""

    name: str
    file: str = TOKENIZER
    sha256: str
    vocab_size: int = Field(gt=0)  # largest id + 1: the rows that an embedding needs
    eos: int | None = None
    bos: int | None = None


class ShardEntry(_Record):
    """One shard of the manifest. `digest` is the sha256 hex of the file's bytes."""

    file: str
    bytes: int = Field(ge=0)
    tokens: int = Field(ge=0)
    documents: int = Field(ge=0)
    digest: str


class Manifest(_Record):
    """manifest.json. Build it with `manifest_of`, which fills in totals and digest."""

    format: Literal["winnow-shards"] = FORMAT
    version: Literal[1] = VERSION
    dtype: Literal["uint32"] = DTYPE
    tokenizer: TokenizerIdentity
    shards: tuple[ShardEntry, ...]
    bytes: int
    tokens: int
    documents: int
    digest: str
    checksum: str = ""  # older manifests have none


def ids_of(batch: pa.RecordBatch) -> pa.ListArray[Any]:
    """The `input_ids` column of a batch in this format."""
    return cast("pa.ListArray[Any]", batch.column(0))


def shard_name(index: int) -> str:
    """File name of shard `index`, from 0."""
    return f"shard-{index:05d}.arrow"


def shard_schema(tokenizer: TokenizerIdentity) -> pa.Schema:
    """COLUMNS with the metadata that ties a shard to its tokenizer."""
    return COLUMNS.with_metadata(
        {
            "winnow.format": FORMAT,
            "winnow.version": str(VERSION),
            "winnow.dtype": DTYPE,
            "winnow.tokenizer": tokenizer.sha256,
            "winnow.vocab_size": str(tokenizer.vocab_size),
            "winnow.eos": "" if tokenizer.eos is None else str(tokenizer.eos),
            "winnow.bos": "" if tokenizer.bos is None else str(tokenizer.bos),
        }
    )


def dataset_digest(shards: Sequence[ShardEntry]) -> str:
    """sha256 hex of the canonical JSON of the shard entries."""
    return _canonical_digest([entry.model_dump() for entry in shards])


def manifest_of(tokenizer: TokenizerIdentity, shards: Sequence[ShardEntry]) -> Manifest:
    """The manifest of these shards, in this order, with totals, digest and checksum."""
    manifest = Manifest(
        tokenizer=tokenizer,
        shards=tuple(shards),
        bytes=sum(entry.bytes for entry in shards),
        tokens=sum(entry.tokens for entry in shards),
        documents=sum(entry.documents for entry in shards),
        digest=dataset_digest(shards),
    )
    return manifest.model_copy(update={"checksum": _canonical_digest(manifest.model_dump(exclude={"checksum"}))})


def _canonical_digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
