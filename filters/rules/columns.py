"""All rules over a column of texts: cut once, measured by one kernel per idea, returned as columns.

Loading the kernels takes about a second; compiled code is cached on disk by numba.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.filters import bad_words
from winnow.filters.languages import LanguagePack
from winnow.filters.rules import (
    c4,
    characters,
    compression,
    density,
    diversity,
    korean,
    phrases,
    prose,
    quality,
    repetition,
    running_text,
    url_shape,
    web_lines,
)
from winnow.filters.rules.lexicon import Lexicon, lexicon
from winnow.filters.rules.measures import MEASURES
from winnow.filters.rules.words import Bytes, Ints, Words, decode, split, split_at
from winnow.filters.segmenters import segmenter

CHUNK = 1 << 20
"""Bytes of text cut at a time: bounds memory (about 20 bytes per byte of text) and keeps the columns in cache."""

OF_TEXT = MEASURES[: -len(url_shape.MEASURES)]
"""The measures of the text; the others are of its address and date."""

COLUMNS = tuple(m.name for m in MEASURES)


def measure(
    texts: pa.LargeStringArray,
    pack: LanguagePack,
    unit: str | None = None,
    *,
    urls: pa.Array | None = None,
    dates: pa.Array | None = None,
    more_bad_words: tuple[str, ...] = (),
) -> pa.RecordBatch:
    """One row per text, one column per measure of MEASURES, int32 for counts and float32 for the others.

    `unit` is the word unit, the pack's own unless given; in a unit for which the pack has no rules, stop words are
    those of its own. `urls` and `dates` [texts] are string columns, or not there. `more_bad_words` are entries beside
    the pack's (`bad_words.read`). `texts` may be a slice and hold bytes that are not UTF-8; nulls are not allowed. A
    row depends on its own document alone. Raises `segmenters.MissingSegmenter` for a unit that needs a package which
    is not there, `bad_words.BadWordsError` for a bad list.
    """
    offsets, data = buffers(texts)
    lists = word_lists(pack, unit or pack.word_unit)
    rude = bad_words.table((*pack.bad_words, *more_bad_words))
    marks = phrases.phrases(pack.code)
    rows = [np.zeros((0, len(OF_TEXT)))]
    for piece in _pieces(offsets, CHUNK):
        words = cut(piece, data, pack, unit or pack.word_unit)
        found, ended = running_text.running_text(words, lists)
        standing = phrases.find(words, marks)
        groups = (
            quality.quality(words, pack.terminal_punctuation),
            repetition.repetition(words),
            found,
            korean.korean(words, ended, standing),
            c4.c4(words, standing, pack.terminal_punctuation),
            web_lines.web_lines(words, marks, standing),
            characters.characters(words),
            density.density(words),
            diversity.diversity(words),
            compression.compression(piece, data),
            bad_words.bad_words(words, rude),
            prose.prose(words, ended, pack),
        )
        rows.append(np.hstack(groups))
    return _batch(np.concatenate(rows), *(_strings(column, len(texts)) for column in (urls, dates)))


def buffers(texts: pa.LargeStringArray) -> tuple[Ints, Bytes]:
    """Offsets [texts + 1] and UTF-8 bytes of a column, not copied. Of a slice, the offsets are the slice's own."""
    _, offsets, data = texts.buffers()
    if offsets is None:
        if len(texts):
            raise ValueError(f"a column of {len(texts)} texts has no offsets: expected large_string as Arrow writes it")
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    held = np.frombuffer(memoryview(offsets), np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return held, np.frombuffer(memoryview(data), np.uint8) if data else np.zeros(0, np.uint8)


def cut(offsets: Ints, data: Bytes, pack: LanguagePack, unit: str) -> Words:
    """The words of texts in one unit. Raises `segmenters.MissingSegmenter`."""
    found = segmenter(unit, pack)
    if found is None:
        return split(offsets, data, unit == "character")
    texts = [decode(data[first:last].tobytes()) for first, last in pairwise(offsets.tolist())]
    return split_at(offsets, data, *found.cut(texts))


def word_lists(pack: LanguagePack, unit: str) -> Lexicon:
    """The pack's lists as tables, with the stop words of a unit where the pack has any for it."""
    rules = pack.units.get(unit) if unit != pack.word_unit else None  # type: ignore[call-overload]
    return lexicon(pack if rules is None else pack.model_copy(update={"stop_words": rules.stop_words}))


def _pieces(offsets: Ints, size: int) -> Iterator[Ints]:
    """Runs of consecutive texts of about `size` bytes; a longer text is a run of its own."""
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + size, "right")) - 1
        last = min(max(last, first + 1), len(offsets) - 1)
        yield offsets[first : last + 1]
        first = last


def _strings(column: pa.Array | None, rows: int) -> pa.Array:
    return pa.nulls(rows, pa.large_string()) if column is None else column


def _batch(found: npt.NDArray[np.float64], urls: pa.Array, dates: pa.Array) -> pa.RecordBatch:
    columns = [
        pa.array(found[:, at].astype(np.int32 if m.unit == "count" else np.float32)) for at, m in enumerate(OF_TEXT)
    ]
    shape = url_shape.url_shape(urls, dates)
    return pa.RecordBatch.from_arrays([*columns, *shape.columns], names=list(COLUMNS))
