"""All rules over a column of texts: cut once, measured by three kernels, returned as columns.

Importing this module loads the kernels (about a second; compiled code is cached on disk by numba).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.filters import quality, repetition, running_text
from winnow.filters.lexicon import Lexicon
from winnow.filters.measures import MEASURES
from winnow.filters.words import Bytes, Ints, split

CHUNK = 1 << 20
"""Bytes of text cut at a time: bounds memory (about 20 bytes per byte of text) and keeps the columns in cache."""

COLUMNS = (*quality.COLUMNS, *repetition.COLUMNS, *running_text.COLUMNS)


def measure(texts: pa.LargeStringArray, lexicon: Lexicon, by_character: bool) -> pa.RecordBatch:
    """One row per text, one column per measure of MEASURES, int32 for counts and float32 for the others.

    `texts` may be a slice; nulls are not allowed. A row depends on its own text alone.
    """
    if not len(texts):
        return _batch(np.zeros((0, len(COLUMNS))))
    offsets, data = buffers(texts)
    return _batch(np.concatenate([_measure(piece, data, lexicon, by_character) for piece in _pieces(offsets, CHUNK)]))


def buffers(texts: pa.LargeStringArray) -> tuple[Ints, Bytes]:
    """Offsets [texts + 1] and UTF-8 bytes of a column, not copied. Of a slice, the offsets are the slice's own."""
    _, offsets, data = texts.buffers()
    if offsets is None:
        raise ValueError(f"a column of {len(texts)} texts has no offsets: expected large_string as Arrow writes it")
    held = np.frombuffer(memoryview(offsets), np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return held, np.frombuffer(memoryview(data), np.uint8) if data else np.zeros(0, np.uint8)


def _pieces(offsets: Ints, size: int) -> Iterator[Ints]:
    """Runs of consecutive texts of about `size` bytes; a longer text is a run of its own."""
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + size, "right")) - 1
        last = min(max(last, first + 1), len(offsets) - 1)
        yield offsets[first : last + 1]
        first = last


def _measure(offsets: Ints, data: Bytes, lexicon: Lexicon, by_character: bool) -> npt.NDArray[np.float64]:
    words = split(offsets, data, by_character)
    return np.hstack(
        [quality.quality(words), repetition.repetition(words, by_character), running_text.running_text(words, lexicon)]
    )


def _batch(found: npt.NDArray[np.float64]) -> pa.RecordBatch:
    columns = [
        pa.array(found[:, COLUMNS.index(m.name)].astype(np.int32 if m.unit == "count" else np.float32))
        for m in MEASURES
    ]
    return pa.RecordBatch.from_arrays(columns, names=[m.name for m in MEASURES])
