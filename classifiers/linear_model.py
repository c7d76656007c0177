"""A linear classifier over hashed n-grams (`filters/ngram/grams.py`) in one file: `NAME.linear`.

The file: MAGIC; the header's length (uint64, little-endian); the header (JSON: `Header`); packed with zstd the rarities, uint8
[2^bits], and the weights, int8 [2^bits, columns]; sha256 of all that. With two labels there is one column, of the positive label; with more, one for each, fitted
against all others, and their probabilities are brought to the sum 1.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import zstandard
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from winnow.classifiers.artifacts import ModelError
from winnow.classifiers.meaning import Meaning, Predictions, predictions
from winnow.filters.kernel import Bytes, Codes, Ints
from winnow.filters.ngram import grams
from winnow.filters.ngram.grams import Shape
from winnow.filters.urls.address import cut as cut_address
from winnow.filters.urls.address import host

MAGIC = b"WNLINEAR"
BATCH = 1 << 20
"""Bytes of text that are looked at together."""

Weights = npt.NDArray[np.int8]
On = Literal["text", "title", "url", "host"]


class LinearFeatures(BaseModel):
    """What of a document is read, and which n-grams of it count. `version` is raised whenever the same text would give others.

    `minn`, `maxn`: shortest and longest character n-gram (0: none), inside of words unless `across`; `words`: longest word
    n-gram; `bits`: 2^bits buckets. The others are those of `features.Features`; `mask` makes digits 0, and leaves addresses as they
    are. Without `latin` every Latin letter is read as `a`, so that names, code and terms of art say nothing of a text in another
    script.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    on: On = "text"
    chars: int = Field(default=4000, ge=1)
    lower: bool = True
    mask: bool = True
    squeeze: bool = True
    window: int = Field(default=0, ge=0)
    top: float = Field(default=1.0, gt=0.0, le=1.0)
    minn: int = Field(default=1, ge=1, le=10)
    maxn: int = Field(default=4, ge=0, le=10)
    across: bool = False
    words: int = Field(default=0, ge=0, le=5)
    bits: int = Field(default=18, ge=8, le=24)
    latin: bool = True

    @model_validator(mode="after")
    def _some(self) -> LinearFeatures:
        if not self.words and self.maxn < self.minn:
            raise ValueError(f"no n-grams: minn {self.minn}, maxn {self.maxn}, words {self.words}")
        return self

    @property
    def shape(self) -> Shape:
        return Shape(self.minn, self.maxn, self.across, self.words, self.bits)


class Header(Meaning):
    """`scales`, `bias`: of each column; int8 times its scale is a weight in units of rarity."""

    features: LinearFeatures
    scales: tuple[float, ...]
    bias: tuple[float, ...]

    @model_validator(mode="after")
    def _columns(self) -> Header:
        columns = 1 if self.positive is not None else len(self.labels)
        if not len(self.scales) == len(self.bias) == columns:
            raise ValueError(f"{len(self.scales)} scales and {len(self.bias)} biases: expected {columns} of each")
        return self


@dataclass(frozen=True, slots=True)
class LinearScorer:
    """A loaded model."""

    header: Header
    rarities: Bytes
    weights: Weights

    @property
    def meaning(self) -> Meaning:
        return self.header

    @property
    def features(self) -> LinearFeatures:
        return self.header.features

    def reading(self, chars: int) -> LinearScorer:
        """The same, reading so many characters."""
        features = self.features.model_copy(update={"chars": chars})
        return LinearScorer(self.header.model_copy(update={"features": features}), self.rarities, self.weights)

    def predict(self, texts: Sequence[str] | pa.Array, every: bool = False) -> Predictions:
        """Of each text, title or address of a document, as `features.on` says; null as empty."""
        column = texts if isinstance(texts, pa.Array) else pa.array(list(texts), pa.large_string())
        if self.header.features.on in ("host", "url"):
            return self._once(column)
        return self._predicted(column)

    def _once(self, column: Any) -> Predictions:
        """Each different host or address is scored once."""
        urls = pc.fill_null(column, "").dictionary_encode()
        known = [address(url, self.features.on) for url in urls.dictionary.to_pylist()]
        places = pa.DictionaryArray.from_arrays(urls.indices, pa.array(known, pa.string())).cast(pa.string())
        places = places.dictionary_encode()
        found = self._predicted(places.dictionary)
        rows = places.indices.to_numpy(zero_copy_only=False)
        assert found.probabilities is not None
        return Predictions(found.names, found.labels[rows], found.scores[rows], found.probabilities[rows])

    def _predicted(self, column: Any) -> Predictions:
        features, header = self.header.features, self.header
        columns = self.weights.shape[1]
        raw, seen = np.zeros((len(column), columns)), np.zeros(len(column), np.uint8)
        scales, bias = np.array(header.scales), np.array(header.bias)
        done = 0
        for rows, segments in cut_up(column, features):
            windows = np.zeros((len(segments.owners), columns))
            for first, bounds, found in segments.buckets():
                part = windows[first : first + len(bounds) - 1]
                grams.margins(found, bounds, self.rarities, self.weights, scales, bias, part, len(part))
            grams.together(windows, segments.owners, features.top, raw[done : done + rows], seen[done : done + rows])
            done += rows
        if columns > 1:
            raw /= np.maximum(raw.sum(axis=1, keepdims=True), 1e-300)
        return predictions(header, raw[:, 0] if columns == 1 else raw, seen.astype(np.bool_))


@dataclass(frozen=True, slots=True)
class Segments:
    """Windows of a batch of texts: `owners` int64, the text's place in the batch, ascending."""

    features: LinearFeatures
    codes: Codes
    begins: Ints
    ends: Ints
    owners: Ints

    def buckets(self) -> Iterator[tuple[int, Ints, Codes]]:
        """First segment, where the buckets of it and of those that follow begin (int64 [segments + 1]), and the buckets."""
        shape = self.features.shape
        _, word = grams.tables(self.features.lower, self.features.mask, self.features.latin)
        sizes = (self.ends - self.begins) * (max(shape.maxn - shape.minn + 1, 0) + shape.words)
        room = max(int(sizes.max(initial=0)), min(int(sizes.sum()), 1 << 22))
        marks = np.full(1 << shape.bits, -1, np.int32)
        first = 0
        while first < len(self.begins):
            out, bounds = np.empty(room, np.int32), np.zeros(len(self.begins) - first + 1, np.int64)
            done = grams.buckets(
                self.codes, self.begins[first:], self.ends[first:], word, shape, marks, first, out, bounds
            )
            bounds = bounds[: done + 1].copy()
            yield first, bounds, out[: bounds[-1]]
            first += done


def cut_up(column: Any, features: LinearFeatures) -> Iterator[tuple[int, Segments]]:
    """A column of texts in batches of BATCH bytes: how many texts, and their segments."""
    column = column.cast(pa.large_string())
    if column.null_count:
        column = pc.fill_null(column, "")
    table, _ = grams.tables(features.lower, features.mask, features.latin)
    _, offsets, data = column.buffers()
    places = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1] if len(column) else None
    if places is None:
        return
    whole = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
    first = 0
    while first < len(column):
        last = max(first + 1, int(np.searchsorted(places, places[first] + BATCH, "right")) - 1)
        part = places[first : last + 1] - places[first]
        rows = last - first
        held = np.minimum(np.diff(part), features.chars)
        codes, starts = np.empty(int(held.sum()) + 2 * rows, np.int32), np.zeros(rows + 1, np.int64)
        data_part = whole[places[first] : places[last]]
        grams.read_codes(data_part, part, features.chars, table, features.squeeze, codes, starts)
        most = rows if not features.window else rows + int(starts[-1]) // 2
        begins, ends, owners = (np.zeros(most, np.int64) for _ in range(3))
        used = grams.cut(codes, starts, features.window, begins, ends, owners)
        yield rows, Segments(features, codes, begins[:used], ends[:used], owners[:used])
        first = last


def address(url: str, on: On) -> str:
    """What a model reads of an address: its host in small letters, or host and path; empty where it has none."""
    authority, rest = cut_address(url)
    found = host(authority)
    if found is None:
        return ""
    return found.name if on == "host" else found.name + rest


def write_model(path: Path, header: Header, rarities: Bytes, weights: Weights) -> None:
    """Writes the file at once or not at all; the same model gives the same bytes."""
    said = json.dumps(header.model_dump(), ensure_ascii=False, sort_keys=True).encode()
    packed = zstandard.ZstdCompressor(level=19, write_content_size=True).compress(
        rarities.tobytes() + weights.tobytes()
    )
    content = MAGIC + struct.pack("<Q", len(said)) + said + packed
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content + hashlib.sha256(content).digest())
    draft.replace(path)


def read_model(path: Path) -> tuple[Header, Bytes, Weights]:
    """Header, rarities and weights. Raises ModelError for a file that is none, damaged, or says what cannot be."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read model {path}: {error.strerror}") from error
    if not content.startswith(MAGIC):
        raise ModelError(f"{path} is no linear model: expected a file that `winnow fit linear` wrote")
    body, check = content[:-32], content[-32:]
    if len(content) < len(MAGIC) + 40 or hashlib.sha256(body).digest() != check:
        raise ModelError(f"{path} is a damaged linear model: its checksum is not that of its {len(content):,} bytes")
    start = len(MAGIC) + 8
    (size,) = struct.unpack_from("<Q", body, len(MAGIC))
    try:
        header = Header.model_validate(json.loads(body[start : start + size]))
        columns = len(header.scales)
        buckets = 1 << header.features.bits
        wanted = (1 + columns) * buckets
        data = zstandard.ZstdDecompressor().decompress(body[start + size :], max_output_size=wanted)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ModelError(
            f"{path} is no linear model that can be used: {where + ': ' if where else ''}{first['msg']}"
        ) from error
    except (ValueError, zstandard.ZstdError) as error:
        raise ModelError(f"{path} is a damaged linear model: {error}") from error
    if len(data) != wanted:
        raise ModelError(
            f"{path} is a damaged linear model: {len(data):,} bytes of weights, its header wants {wanted:,}"
        )
    weights = np.frombuffer(data, np.int8, offset=buckets).reshape(-1, columns)
    return header, np.frombuffer(data, np.uint8, buckets), weights


@cache
def load_linear(path: Path, digest: str) -> LinearScorer:
    """The scorer of a file, once per process for the same content. Raises ModelError."""
    return LinearScorer(*read_model(path))
