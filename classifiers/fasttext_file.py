"""Walks a fastText model file before fastText loads it: given garbage or half a file, fastText itself aborts the
process, reads past what is there, or takes as much memory as a header claims. Passed is a file whose every size agrees
with the others and with the file's own.

The layout is that of `FastText::loadModel`, `Args::load`, `Dictionary::load`, `DenseMatrix::load`, `QuantMatrix::load` and
`ProductQuantizer::load` in fastText 0.9.2.
"""

from __future__ import annotations

import mmap
import struct
from functools import lru_cache
from pathlib import Path

import numpy as np

from winnow.classifiers.artifacts import ModelError

MAGIC, FORMAT = 793712314, 12
SUPERVISED = 3  # model_name::sup
CHUNK = 1 << 24  # bytes looked at together
CENTROIDS = 256  # ProductQuantizer::ksub_


GRAMS, LOSSES = 64, 4
"""No model has longer n-grams, which cost time on every text; loss_name counts from 1 to 4."""


class _Unsound(ValueError):
    """Where a file contradicts itself or its size."""


class _Reader:
    def __init__(self, content: mmap.mmap) -> None:
        self.content = content
        self.at = 0

    def read(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from("<" + layout, self.content, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def skip(self, size: int) -> None:
        if size < 0 or self.at + size > len(self.content):
            raise _Unsound(f"{size:,} bytes wanted at offset {self.at:,} of {len(self.content):,}")
        self.at += size

    def floats(self, count: int) -> None:
        """So many float32 values, all finite: one that is not makes every score of fastText's nan."""
        start = self.at
        self.skip(count * 4)
        for first in range(start, self.at, CHUNK):
            if not np.isfinite(np.frombuffer(self.content, "<f4", min(CHUNK, self.at - first) // 4, first)).all():
                raise _Unsound("a matrix has values that are no numbers (nan)")

    def words(self, words: int, labels: int) -> None:
        """The entries of the dictionary: all words, then all labels."""
        for number in range(words + labels):
            end = self.content.find(b"\0", self.at)
            if end < 0:
                raise _Unsound(f"its dictionary ends after {number:,} of {words + labels:,} entries")
            self.at = end + 1
            (count, kind) = self.read("qb")
            if count < 0 or kind != (number >= words):
                raise _Unsound(f"entry {number:,} of its dictionary is neither a word nor a label")

    def pruned(self, count: int) -> None:
        """What the rows of pruned features are."""
        start = self.at
        self.skip(count * 8)
        rows = np.frombuffer(self.content[start : self.at], "<i4")[1::2]
        if len(rows) and not (rows.min() >= 0 and rows.max() < count):
            raise _Unsound("its table of pruned features points outside of its matrix")

    def quantizer(self, columns: int, rows: int) -> int:
        """A product quantizer for so many columns; returns its codes per row."""
        dim, subs, width, last = self.read("4i")
        if dim != columns or width < 1 or subs != -(-dim // width) or last != (dim % width or width):
            raise _Unsound(f"its quantizer is for {dim:,} dimensions, expected {columns:,}")
        self.floats(dim * CENTROIDS)
        return subs * rows

    def matrix(self, quantized: bool, expected: tuple[int, int]) -> None:
        norms = quantized and bool(self.read("?")[0])
        shape = self.read("2q")
        if shape != expected:
            raise _Unsound(
                f"a matrix has {shape[0]:,} rows and {shape[1]:,} columns, expected {expected[0]:,} and {expected[1]:,}"
            )
        if not quantized:
            return self.floats(shape[0] * shape[1])
        (codes,) = self.read("i")
        self.skip(codes)
        if self.quantizer(shape[1], shape[0]) != codes:
            raise _Unsound(f"a matrix has {codes:,} codes, which is not what its shape needs")
        if norms:
            self.skip(shape[0])
            self.quantizer(1, shape[0])
        return None


@lru_cache(maxsize=64)
def check_once(path: Path, digest: str) -> None:
    """`check_model`, once per process for the same content."""
    check_model(path)


def check_model(path: Path) -> None:
    """Passes a whole supervised fastText model (`.bin` or `.ftz`). Raises ModelError for anything else."""
    try:
        if path.stat().st_size < 8:
            raise ModelError(f"{path} is not a fastText model: it has {path.stat().st_size} bytes")
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            _walk(_Reader(content), path)
    except OSError as error:
        raise ModelError(f"cannot read model {path}: {error.strerror}") from error


def _walk(reader: _Reader, path: Path) -> None:
    if reader.read("2i") != (MAGIC, FORMAT):
        raise ModelError(f"{path} is not a fastText model: expected a .bin or .ftz file of format {FORMAT}")
    try:
        dim, _, _, _, _, grams, loss, model, buckets, _, longest, _, _ = reader.read("12id")
        if model != SUPERVISED:
            raise ModelError(f"{path} holds fastText word vectors: expected a supervised classifier")
        size, words, labels, _, pruned = reader.read("3i2q")
        room = len(reader.content)  # each of them takes that many bytes at least
        for name, value, least, most in (
            ("dimension", dim, 1, room // 4),
            ("number of words", words, 0, room // 10),
            ("number of labels", labels, 0, room // 10),
            ("number of buckets", buckets, 0, 2**31),
            ("number of pruned features", pruned, -1, room // 8),
            ("longest word n-gram", grams, 1, GRAMS),
            ("longest character n-gram", longest, 0, GRAMS),
            ("loss", loss, 1, LOSSES),
        ):
            if not least <= value <= most:
                raise _Unsound(f"its header has the {name} {value:,}, expected {least:,} to {most:,}")
        if size != words + labels or (not buckets and (grams > 1 or longest)):
            raise _Unsound(
                f"its header has {size:,} entries for {words:,} words and {labels:,} labels, {buckets} buckets"
            )
        if labels < 2:
            raise ModelError(f"{path} has {labels} labels: expected a classifier with two or more")
        reader.words(words, labels)
        reader.pruned(max(pruned, 0))
        (quantized,) = reader.read("?")
        reader.matrix(bool(quantized), (words + (buckets if pruned < 0 else pruned), dim))
        (quantized_output,) = reader.read("?")
        reader.matrix(bool(quantized and quantized_output), (labels, dim))
    except (_Unsound, struct.error) as error:
        raise ModelError(f"{path} is a damaged fastText model: {error}") from error
    if reader.at != len(reader.content):
        raise ModelError(f"{path} is a damaged fastText model: {len(reader.content) - reader.at} bytes are left over")
