"""What a measure of the rules is, what a group of them is, and a text as those see it who show where a value comes from.

A file holds one group: its kernels, what each measure counts in one text (`shown`), and the table of its measures.
Kernels write records with a field for each measure, so that a column is known by its name alone. Shares and ratios are
0 for a text without words. "as datatrove" means: equal to the measure of datatrove 0.10's filter on the trimmed text
with the same words; "not as datatrove" says what differs, and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.filters.character_classes import CONTENT
from winnow.filters.passages import Span

if TYPE_CHECKING:
    from winnow.filters.rules.table import Texts

GOPHER = "Gopher quality, arXiv:2112.11446 A1.1"
TABLE_A1 = "Gopher repetition, arXiv:2112.11446 Table A1"
FINEWEB = "FineWeb, arXiv:2406.17557 3.6"
OWN = "winnow"

Records = npt.NDArray[np.void]
"""[texts]: one field for each measure of a group, float64."""


@dataclass(frozen=True)
class Cut:
    """One text as the kernels see it, in Python's terms."""

    text: str
    texts: Texts  # a column of this text alone

    @cached_property
    def bits(self) -> Sequence[int]:
        """The class bits of each character."""
        return self.texts.words.classes.tolist()  # type: ignore[no-any-return]

    @cached_property
    def words(self) -> Sequence[Span]:
        return _spans(self.texts.words.word_start, self.texts.words.word_end)

    @cached_property
    def lines(self) -> Sequence[Span]:
        """The trimmed lines that hold anything."""
        return _spans(self.texts.words.line_start, self.texts.words.line_end)

    @cached_property
    def line_keys(self) -> Sequence[int]:
        """Equal for equal lines."""
        return self.texts.words.line_hash.tolist()  # type: ignore[no-any-return]

    @property
    def content(self) -> list[Span]:
        """The words that `word_count` counts."""
        return [word for word, bits in zip(self.words, self.texts.words.word_classes, strict=True) if bits & CONTENT]

    def bits_of(self, span: Span) -> int:
        """The class bits of all characters of a span together."""
        return int(np.bitwise_or.reduce(self.texts.words.classes[slice(*span)], initial=0))

    def holds(self, bits: int) -> bool:
        """Whether any character of a word has one of the bits."""
        return bool(np.any(self.texts.words.word_classes & bits))

    def core(self, word: Span) -> Span:
        """From the first to the last letter, mark or number of a content word."""
        inside = [at for at in range(*word) if self.bits[at] & CONTENT]
        return inside[0], inside[-1] + 1

    def read(self, span: Span) -> str:
        return self.text[slice(*span)]

    def runs(self, wanted: Callable[[int], bool]) -> list[Span]:
        """Unbroken runs of the characters at whose place `wanted` holds."""
        found: list[Span] = []
        for hit, places in groupby(range(len(self.bits)), wanted):
            if hit:
                run = list(places)
                found.append((run[0], run[-1] + 1))
        return found

    def lines_where(self, flags: Any) -> list[Span]:
        """The lines for which `flags` [lines] holds."""
        return [line for line, flag in zip(self.lines, flags.tolist(), strict=True) if flag]


def nowhere(cut: Cut) -> list[Span]:
    """For measures of the whole text."""
    return []


@dataclass(frozen=True, slots=True)
class Measure:
    """One signal. `share`: in [0, 1]. `ratio`: at least 0. `count`: a whole number. `characters`: a mean length."""

    name: str
    unit: Literal["count", "share", "ratio", "characters"]
    source: str
    meaning: str
    shown: Callable[[Cut], list[Span]] = nowhere
    """What the value comes from in a text: sorted stretches that do not overlap, though two may touch, since their
    number means something. A share that is high in good text is shown by what lowers it."""

    @property
    def type(self) -> pa.DataType:
        """int32 for counts, float32 for all others."""
        return pa.int32() if self.unit == "count" else pa.float32()


@dataclass(frozen=True, slots=True)
class Group:
    """Measures that are taken together, in the order of their columns. Raising `version` has this group measured again,
    and no other. `fill` writes the records of texts; a field that it leaves at NaN is null."""

    name: str
    version: int
    measures: tuple[Measure, ...]
    fill: Callable[[Texts, Records], None]


def record(measures: Iterable[Measure]) -> np.dtype[np.void]:
    """The type of a group's records."""
    return np.dtype([(measure.name, np.float64) for measure in measures])


def repeated(found: Iterable[tuple[Span, Hashable]]) -> list[Span]:
    """The stretches whose key an earlier one has."""
    return beyond(1, found)


def beyond(most: int, found: Iterable[tuple[Span, Hashable]]) -> list[Span]:
    """The stretches whose key so many earlier ones have."""
    seen: Counter[Hashable] = Counter()
    again: list[Span] = []
    for span, key in found:
        seen[key] += 1
        if seen[key] > most:
            again.append(span)
    return again


def _spans(starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> list[Span]:
    return list(zip(starts.tolist(), ends.tolist(), strict=True))
