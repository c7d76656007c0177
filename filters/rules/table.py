"""All rules over a column of texts: cut once, measured group by group, returned as columns; and shown in one text.

A new measure is a field that a kernel fills and a row of that group's table. GROUPS is the order of the columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from winnow.filters.bad_words import BadWords
from winnow.filters.bad_words import table as bad_word_table
from winnow.filters.kernel import Bytes, Codes, Ints
from winnow.filters.passages import Span
from winnow.filters.rules import (
    bad_words,
    c4,
    characters,
    density,
    diversity,
    korean,
    prose,
    quality,
    repetition,
    running_text,
    url_shape,
    web_lines,
)
from winnow.filters.rules.lexicon import Lexicon, lexicon
from winnow.filters.rules.measure import Cut, Group, Measure, Records, record
from winnow.filters.rules.phrases import Phrases, Places, find, phrases
from winnow.filters.segmenters import segmenter
from winnow.filters.words import Words, decode, split, split_at

if TYPE_CHECKING:
    from winnow.filters.languages import LanguagePack

__all__ = ["GROUPS", "MEASURES", "Group", "Measure", "Texts", "buffers", "cut", "measure", "pieces", "spans"]

CHUNK = 1 << 20
"""Bytes of text cut at a time: bounds memory (about 20 bytes per byte of text) and keeps the columns in cache."""

GROUPS: tuple[Group, ...] = (
    quality.GROUP,
    repetition.GROUP,
    running_text.GROUP,
    korean.GROUP,
    c4.GROUP,
    web_lines.GROUP,
    characters.GROUP,
    density.GROUP,
    diversity.GROUP,
    diversity.COMPRESSION_GROUP,
    bad_words.GROUP,
    prose.GROUP,
    url_shape.GROUP,
)
MEASURES: tuple[Measure, ...] = tuple(measure for group in GROUPS for measure in group.measures)


class Texts:
    """A piece of a column of texts, and what groups of measures share of it, each computed when it is first asked for.

    Text `i` is `data[offsets[i]:offsets[i + 1]]`. `unit` is the word unit; in one for which the pack has no rules, stop
    words are those of its own. `urls` and `dates` [texts] are string columns, or not there. `more_bad_words` are
    entries beside the pack's (`bad_words.read`).
    """

    def __init__(
        self,
        offsets: Ints,
        data: Bytes,
        pack: LanguagePack,
        unit: str,
        more_bad_words: tuple[str, ...] = (),
        urls: pa.Array | None = None,
        dates: pa.Array | None = None,
    ) -> None:
        self.offsets, self.data = offsets, data
        self.pack, self.unit, self.more_bad_words = pack, unit, more_bad_words
        self.urls, self.dates = urls, dates

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def words(self) -> Words:
        return cut(self.offsets, self.data, self.pack, self.unit)

    @cached_property
    def stop_words(self) -> tuple[str, ...]:
        """Those of the word unit, where the pack has any for it."""
        rules = self.pack.units.get(self.unit) if self.unit != self.pack.word_unit else None  # type: ignore[call-overload]
        return self.pack.stop_words if rules is None else rules.stop_words

    @cached_property
    def lists(self) -> Lexicon:
        return lexicon(self.stop_words, self.pack.endings, self.pack.sentence_endings)

    @cached_property
    def running(self) -> tuple[Records, Bytes]:
        """The records of `running_text`; and [words], not 0 for a word that a listed ending ends."""
        return running_text.running(self.words, self.lists)

    @cached_property
    def phrases(self) -> Phrases:
        return phrases(self.pack.code)

    @cached_property
    def places(self) -> Places:
        """Where the phrases stand."""
        return find(self.words, self.phrases)

    @cached_property
    def bad_words(self) -> BadWords:
        return bad_word_table((*self.pack.bad_words, *self.more_bad_words))

    @cached_property
    def terminal_marks(self) -> Codes:
        """What the pack says ends a sentence; empty where it says nothing."""
        return np.array(sorted(map(ord, self.pack.terminal_punctuation)), np.int32)

    def records(self, group: Group) -> Records:
        """The measures of a group, [texts]."""
        out = np.zeros(len(self), record(group.measures))
        group.fill(self, out)
        return out


def measure(
    texts: pa.LargeStringArray,
    pack: LanguagePack,
    unit: str | None = None,
    *,
    urls: pa.Array | None = None,
    dates: pa.Array | None = None,
    more_bad_words: tuple[str, ...] = (),
    groups: Collection[str] | None = None,
) -> pa.RecordBatch:
    """One row per text, one column per measure, int32 for counts and float32 for the others.

    Arguments as those of `Texts`, `unit` the pack's own unless given. `texts` may be a slice and hold bytes that are not
    UTF-8; nulls are not allowed. A row depends on its own document alone. `groups`: names of GROUPS to measure, all
    unless given. Raises `segmenters.MissingSegmenter` for a unit that needs a package which is not there,
    `bad_words.BadWordsError` for a bad list.
    """
    offsets, data = buffers(texts)
    wanted = [group for group in GROUPS if groups is None or group.name in groups]
    found: list[list[Records]] = [[np.zeros(0, record(group.measures))] for group in wanted]
    for first, last in pieces(offsets):
        parts = (column if column is None else column.slice(first, last - first) for column in (urls, dates))
        piece = Texts(offsets[first : last + 1], data, pack, unit or pack.word_unit, more_bad_words, *parts)
        for records, group in zip(found, wanted, strict=True):
            records.append(piece.records(group))
    columns = {
        measure.name: _column(whole[measure.name], measure)
        for group, records in zip(wanted, found, strict=True)
        for whole in (np.concatenate(records),)
        for measure in group.measures
    }
    return pa.RecordBatch.from_pydict(columns)


def spans(
    text: str, measure: str, pack: LanguagePack, unit: str | None = None, *, more_bad_words: tuple[str, ...] = ()
) -> list[Span]:
    """The stretches of `text` that the value of `measure` comes from, sorted, not overlapping; none for a measure of
    the whole text or where nothing was found.

    The kernels count, this names the places, so that a person can see what a rule saw: plain Python for the few
    documents that are looked at, over a text that the kernels cut; `tests/filters/rules/test_spans.py` checks that it
    reproduces the value of every measure where an equality exists. `pack`, `unit` and `more_bad_words` as the value was
    measured with. Raises ValueError for an unknown measure.
    """
    shown = {m.name: m.shown for m in MEASURES}
    if measure not in shown:
        raise ValueError(f"no measure '{measure}': expected one of {', '.join(shown)}")
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    offsets = np.array([0, len(data)], np.int64)
    return shown[measure](Cut(text, Texts(offsets, data, pack, unit or pack.word_unit, more_bad_words)))


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


def pieces(offsets: Ints) -> Iterator[tuple[int, int]]:
    """The first and last bounds of runs of texts of about CHUNK bytes; a longer text is a run of its own."""
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + CHUNK, "right")) - 1
        last = min(max(last, first + 1), len(offsets) - 1)
        yield first, last
        first = last


def _column(values: Records, measure: Measure) -> pa.Array:
    missing = np.isnan(values)
    if not missing.any():
        return pa.array(values.astype(measure.type.to_pandas_dtype()))
    return pa.array(np.where(missing, 0.0, values).astype(measure.type.to_pandas_dtype()), mask=missing)
