"""`use: tokenize`: encodes the selected documents and writes them as Arrow token shards (winnow.tokenize.shard).

A document of multiplicity k is written k times, and its copies are kept apart: the stream is written in passes, and
pass p holds, in corpus order, every document of multiplicity above p. Shards are contiguous stretches of that stream,
cut by token count alone, so they depend on the selection and never on workers.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from winnow.identity import Located, OfCorpus
from winnow.stages.base import Artifact, Outputs, Part, Settings, StageError, WriterStage
from winnow.tokenize.shard import (
    BATCH_TOKENS,
    COLUMNS,
    SHARD_BYTES,
    ShardEntry,
    ShardError,
    TokenizerIdentity,
    manifest_of,
    shard_name,
)
from winnow.tokenize.tokenizer import Tokenizer, TokenizerError, TokenizerFile, find, load, shipped
from winnow.tokenize.writer import write_bytes, write_shard

TOKEN_BYTES = 4  # uint32
IDS = pa.list_(pa.uint32())


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows [first, last) of partition `part` in pass `repeat`. `chosen` packs one bit a row (zlib over numpy.packbits)
    where the pass leaves some of them out, None where it holds them all."""

    repeat: int
    part: int
    first: int
    last: int
    chosen: bytes | None

    def rows(self) -> npt.NDArray[np.int64]:
        """The rows it holds, ascending."""
        if self.chosen is None:
            return np.arange(self.first, self.last)
        bits = np.frombuffer(zlib.decompress(self.chosen), np.uint8)
        return np.flatnonzero(np.unpackbits(bits, count=self.last - self.first)) + self.first


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """One shard: its index from 0, its stretches in order, and the tokens and documents they come to."""

    shard: int
    stretches: tuple[Stretch, ...]
    tokens: int
    documents: int


class TokenizeSettings(Settings):
    tokenizer: Annotated[str, Located(shipped)] = "ko-bpe"
    """A shipped name, a path, or `hub:owner/repo`."""
    shard_bytes: Annotated[int, OfCorpus()] = Field(default=SHARD_BYTES, ge=1)
    """Bytes of token ids in a shard; a longer document is a shard of its own."""
    batch_tokens: Annotated[int, OfCorpus()] = Field(default=BATCH_TOKENS, ge=1, lt=2**31)
    """Tokens in a record batch of a shard."""
    quality: Annotated[str | None, OfCorpus()] = None
    """The dotted name of the signal that goes into the shards' quality column."""
    append_eos: bool = True
    """Whether the end-of-sequence token is written after each document."""
    prepend_bos: bool | None = None
    """Whether the begin-of-sequence token is written before each; where the tokenizer has one of its own, unless given."""


class Tokenize(WriterStage):
    """Token ids per document, then shards."""

    __slots__ = ()
    kind: ClassVar[str] = "tokenize"
    outputs = Outputs(files=True, tokens="tokens")
    version: ClassVar[int] = 1
    Settings: ClassVar[type[Settings]] = TokenizeSettings

    def signals(self) -> dict[str, pa.DataType]:
        """`tokens`: length in tokens, as written (with EOS and BOS)."""
        return {"tokens": pa.int32()}

    def hidden(self) -> dict[str, pa.DataType]:
        return {"_input_ids": IDS}

    def artifacts(self) -> list[Artifact]:
        file = self._file()
        found = [Artifact("tokenizer", file.path, file.digest)]
        if file.config is not None:  # names EOS and BOS
            found.append(Artifact("tokenizer_config", file.config, sha256(file.config.read_bytes()).hexdigest()))
        return found

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Tokenize:
        """The tokenizer is loaded once per process, by its file."""
        return self

    def reads(self) -> list[str]:
        return [self.settings.quality] if self.settings.quality else []

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        tokenizer, eos, bos = self._tokenizer()
        encoded = tokenizer.encode(cast("list[str]", documents.column("text").to_pylist()), eos=eos, bos=bos)
        offsets = np.zeros(len(encoded.lengths) + 1, np.int64)
        np.cumsum(encoded.lengths, out=offsets[1:])
        if offsets[-1] >= 2**31:
            raise StageError(
                f"{self.name}: a batch of {offsets[-1]} tokens, expected fewer than 2**31; send fewer rows"
            )
        failed = np.zeros(len(encoded.lengths), np.bool_)
        failed[list(encoded.errors)] = True
        columns: dict[str, pa.Array[Any]] = {
            "tokens": pa.array(encoded.lengths, pa.int32(), mask=failed),
            "_input_ids": pa.ListArray.from_arrays(
                pa.array(offsets, pa.int32()), pa.array(encoded.ids), mask=pa.array(failed) if failed.any() else None
            ),
        }
        if encoded.errors:
            causes = [encoded.errors.get(row) for row in range(len(encoded.lengths))]
            columns["error"] = pa.array(causes, pa.string())
        return pa.RecordBatch.from_pydict(columns)

    def plan(self, parts: Sequence[Part], multiplicity: Sequence[pa.Array[Any]]) -> list[ShardPlan]:
        """Cuts the stream where the next document would take a shard over `shard_bytes` of ids."""
        if len(parts) != len(multiplicity):
            raise StageError(f"{self.name}: {len(multiplicity)} multiplicities for {len(parts)} partitions")
        capacity = max(1, self.settings.shard_bytes // TOKEN_BYTES)
        times = [np.asarray(column.to_numpy(zero_copy_only=False)) for column in multiplicity]
        lengths = [self._lengths(part, times[i]) for i, part in enumerate(parts)]
        plans: list[ShardPlan] = []
        stretches: list[Stretch] = []
        tokens = documents = 0
        for repeat in range(max((int(t.max()) for t in times if len(t)), default=0)):
            for part, copies, length in zip(parts, times, lengths, strict=True):
                rows = np.flatnonzero(copies > repeat)
                ends = np.cumsum(length[rows])
                row = 0
                while row < len(rows):
                    before = int(ends[row - 1]) if row else 0
                    fits = int(np.searchsorted(ends, before + capacity - tokens, side="right"))
                    if fits == row and not documents:
                        fits = row + 1  # a document larger than a shard is a shard of its own
                    if fits > row:
                        stretches.append(_stretch(repeat, part.index, rows[row:fits]))
                        tokens += int(ends[fits - 1]) - before
                        documents += fits - row
                        row = fits
                    else:
                        plans.append(ShardPlan(len(plans), tuple(stretches), tokens, documents))
                        stretches, tokens, documents = [], 0, 0
        if documents:
            plans.append(ShardPlan(len(plans), tuple(stretches), tokens, documents))
        return plans

    def write(self, plan: ShardPlan, parts: Sequence[Part], folder: str) -> dict[str, Any]:
        """Writes the shard, and with the first one the tokenizer.json that its ids come from."""
        file, identity = self._identity()
        if plan.shard == 0:
            write_bytes(folder, identity.file, file.path.read_bytes())
        try:
            entry = write_shard(
                folder, shard_name(plan.shard), identity, self._rows(plan, parts), self.settings.batch_tokens
            )
        except ShardError as error:
            raise StageError(f"{self.name}: {error}") from error
        if (entry.tokens, entry.documents) != (plan.tokens, plan.documents):
            raise StageError(
                f"{self.name}: {entry.file} holds {entry.documents} documents and {entry.tokens} tokens, "
                f"planned were {plan.documents} and {plan.tokens}: the partitions changed after planning"
            )
        return entry.model_dump()

    def manifest(self, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        _, identity = self._identity()
        return manifest_of(identity, [ShardEntry.model_validate(entry) for entry in entries]).model_dump(mode="json")

    def _lengths(self, part: Part, copies: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        column = f"{self.name}.tokens"
        lengths = part.read([column]).column(column).combine_chunks()
        if len(lengths) != len(copies):
            raise StageError(
                f"{self.name}: partition {part.index} has {len(lengths)} rows, its multiplicities {len(copies)}"
            )
        missing = np.flatnonzero((lengths.is_null().to_numpy(zero_copy_only=False)) & (copies > 0))
        if len(missing):
            raise StageError(f"{self.name}: row {missing[0]} of partition {part.index} is selected but was not encoded")
        return np.asarray(lengths.fill_null(0).to_numpy(zero_copy_only=False), np.int64)

    def _rows(self, plan: ShardPlan, parts: Sequence[Part]) -> Iterator[pa.RecordBatch]:
        """The shard's rows, one partition in memory at a time."""
        by_index = {part.index: part for part in parts}
        quality = self.settings.quality
        table: pa.Table | None = None
        loaded = -1
        for stretch in plan.stretches:
            if table is None or loaded != stretch.part:
                table = None  # freed before the next one is read
                table = by_index[stretch.part].read(["id", "_input_ids", *self.reads()])
                loaded = stretch.part
            rows = table.take(stretch.rows())
            n = rows.num_rows
            scores = rows.column(quality).cast(pa.float32()) if quality else pa.nulls(n, pa.float32())
            shaped = pa.Table.from_arrays(
                [
                    rows.column("_input_ids").cast(COLUMNS.field("input_ids").type),
                    rows.column("id").cast(pa.string()),
                    scores,
                    pa.array(np.zeros(n, np.uint16)),
                ],
                schema=COLUMNS,
            )
            yield from shaped.to_batches()

    def _file(self) -> TokenizerFile:
        try:
            return find(self.settings.tokenizer)
        except TokenizerError as error:
            raise StageError(f"{self.name}: {error}") from error

    def _tokenizer(self) -> tuple[Tokenizer, bool, bool]:
        """The loaded tokenizer, and whether EOS and BOS are written around documents."""
        file = self._file()
        settings = self.settings
        bos = file.bos is not None if settings.prepend_bos is None else settings.prepend_bos
        try:
            tokenizer = load(file)
            tokenizer.identity(eos=settings.append_eos, bos=bos)
        except TokenizerError as error:
            raise StageError(f"{self.name}: {error}; set append_eos or prepend_bos to false") from error
        return tokenizer, settings.append_eos, bos

    def _identity(self) -> tuple[TokenizerFile, TokenizerIdentity]:
        tokenizer, eos, bos = self._tokenizer()
        return tokenizer.file, tokenizer.identity(eos=eos, bos=bos)


def _stretch(repeat: int, part: int, rows: npt.NDArray[np.int64]) -> Stretch:
    first, last = int(rows[0]), int(rows[-1]) + 1
    if len(rows) == last - first:
        return Stretch(repeat, part, first, last, None)
    bits = np.zeros(last - first, np.uint8)
    bits[rows - first] = 1
    return Stretch(repeat, part, first, last, zlib.compress(np.packbits(bits).tobytes(), 6))


KIND = Tokenize
