"""Walks a fastText model file before fastText loads it: given garbage or half a file, fastText itself aborts the
process or reads past what is there.

The layout is that of `FastText::loadModel`, `Args::load`, `Dictionary::load`, `DenseMatrix::load`, `QuantMatrix::load` and
`ProductQuantizer::load` in fastText 0.9.2.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from winnow.classifiers.artifacts import ModelError

MAGIC, FORMAT = 793712314, 12
SUPERVISED = 3  # model_name::sup
CENTROIDS = 256  # ProductQuantizer::ksub_


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
            raise struct.error(f"{size} bytes wanted at offset {self.at}")
        self.at += size

    def words(self, count: int) -> None:
        for _ in range(count):
            end = self.content.find(b"\0", self.at)
            if end < 0:
                raise struct.error("a word without an end")
            self.at = end + 1
            self.skip(9)  # its count and its type

    def quantizer(self) -> None:
        dim, *_ = self.read("4i")
        self.skip(dim * CENTROIDS * 4)

    def matrix(self, quantized: bool) -> None:
        if not quantized:
            rows, columns = self.read("2q")
            self.skip(rows * columns * 4)
            return
        norms, rows, _, size = self.read("?2qi")
        self.skip(size)
        self.quantizer()
        if norms:
            self.skip(rows)
            self.quantizer()


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
        model = reader.read("12id")[7]
        if model != SUPERVISED:
            raise ModelError(f"{path} holds fastText word vectors: expected a supervised classifier")
        size, _, labels, _, pruned = reader.read("3i2q")
        reader.words(size)
        reader.skip(max(pruned, 0) * 8)
        (quantized,) = reader.read("?")
        reader.matrix(bool(quantized))
        (quantized_output,) = reader.read("?")
        reader.matrix(bool(quantized and quantized_output))
    except struct.error as error:
        raise ModelError(f"{path} is a damaged fastText model: {error}") from error
    if reader.at != len(reader.content) or labels < 2:
        raise ModelError(f"{path} is a damaged fastText model: {len(reader.content) - reader.at} bytes are left over")
