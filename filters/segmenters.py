"""Segmenters: words where white space does not part them, or parts them too coarsely.

A segmenter finds words in decoded texts and gives their places; `winnow.filters.words.split_at` makes the columns that
every rule reads. The units `whitespace` and `character` need none: the kernel of `words.py` cuts them.

Words are in order, apart from each other, not empty and hold no white space. Symbols are words too, as with the
tokenizers on which FineWeb2's thresholds were found. A text's words depend on that text alone. Long texts are cut in
pieces, so that what a segmenter holds at a time is bounded.

**The unit `segment`**: word boundaries of UAX 29, in scripts without spaces by ICU's dictionaries. Thai, Lao, Khmer, Burmese,
Chinese and Japanese words come from dictionaries (ICU's LSTM models are not built in); all others from the rules of
https://unicode.org/reports/tr29/. Every segment that holds more than white space is a word, so that punctuation marks are
words of their own as with spaCy's and most other tokenizers; equal symbols in a row (`...`, `----`) are one word. A segment
is parted where it holds white space (U+202F joins digits in UAX 29).

**The unit `morpheme`**: Korean morphemes as Kiwi cuts them (https://github.com/bab2min/Kiwi), for FineWeb2's thresholds. The
words are those of datatrove's Korean tokenizer, `Kiwi(model_type="sbg")`, with three differences. Where two morphemes share
a syllable (`했` is 하 + 었) datatrove counts the syllable once for each, 5% of its words; here a syllable belongs to the
first morpheme alone. A number of twenty digits and commas or more, which datatrove takes out before it cuts and then slices
the text as if it were still there, is one word. And texts longer than a limit are analysed in pieces, because Kiwi's time
and memory grow faster than the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from winnow.filters.character_classes import CONTENT, SPACE, TABLE_SIZE, class_table
from winnow.filters.languages import LanguagePack

if TYPE_CHECKING:
    from kiwipiepy import Kiwi


SURROGATE = re.compile("[\ud800-\udfff]")
"""Characters of a `str` that no segmenter takes; to be replaced one for one, so that places stay."""


def pieces(text: str, limit: int) -> Iterator[tuple[int, str]]:
    """Consecutive pieces of `text` of at most `limit` characters, each with the place where it starts.

    A text is cut after the last blank line that fits, else after the last line break, else after the last space, else
    within a word. Where it is cut depends on the text alone.
    """
    start = 0
    while len(text) - start > limit:
        for mark in ("\n\n", "\n", " "):
            found = text.rfind(mark, start, start + limit)
            if found >= 0:
                end = found + len(mark)
                break
        else:
            end = start + limit
        yield start, text[start:end]
        start = end
    yield start, text[start:]


Ints = npt.NDArray[np.int64]


class MissingSegmenter(ValueError):
    """The package that cuts a word unit is not installed, or cuts no words of the language; the message says what to
    do."""


class Segmenter(Protocol):
    """Cuts texts into the words of one unit."""

    @property
    def version(self) -> str:
        """What cuts, with its version: another one may find other words."""
        ...

    def cut(self, texts: list[str]) -> tuple[Ints, Ints, Ints]:
        """Starts [words], ends [words] and word offsets [texts + 1].

        Places are characters (code points) counted from the start of the word's own text, ends exclusive; text `i` has
        the words from `offsets[i]` up to `offsets[i + 1]`. Any `str` is cut, lone surrogates and NUL included.
        """
        ...


def segmenter(unit: str, pack: LanguagePack) -> Segmenter | None:
    """What cuts words of `unit` in the pack's language; None for the units that the kernel cuts itself.

    Loads no model: that is done at the first text. Raises MissingSegmenter.
    """
    if unit == "segment":
        return Boundaries(pack.code)
    if unit == "morpheme":
        if pack.code != "ko":
            raise MissingSegmenter(
                f"word unit 'morpheme' is for Korean (ko), and the language is '{pack.code}': expected word_unit: "
                f"{pack.word_unit}"
            )
        return Morphemes()
    return None


_ICU_LIMIT = 1 << 16
"""Characters that ICU holds at a time; it is also faster on short strings."""


class Boundaries:
    """Cuts at ICU's word boundaries. `language`: an ISO 639 code, for the few languages with rules of their own."""

    def __init__(self, language: str) -> None:
        from icu4py.locale import Locale

        self._locale = Locale(language)

    @property
    def version(self) -> str:
        """ICU's version, of which the rules and dictionaries are part."""
        import icu4py

        return f"ICU {icu4py.icu_version}"

    def cut(self, texts: list[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Starts, ends and word offsets, as `Segmenter.cut` says."""
        codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        text_start = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(text) for text in texts], out=text_start[1:])
        bits = np.where(codes < TABLE_SIZE, class_table()[np.minimum(codes, TABLE_SIZE - 1)], 0)
        space = (bits & SPACE) != 0
        fresh = np.zeros(len(codes) + 1, np.bool_)
        for text, at in zip(texts, text_start.tolist(), strict=False):
            for start, piece in pieces(text, _ICU_LIMIT):
                fresh[at + start + self._ends(piece, codes[at + start : at + start + len(piece)])] = True
        fresh[1:-1] &= (codes[1:] != codes[:-1]) | ((bits[1:] & CONTENT) != 0)
        fresh[1:-1] |= space[1:] | space[:-1]
        fresh[text_start] = True
        starts = np.flatnonzero(fresh[:-1] & ~space)
        ends = np.flatnonzero(fresh[1:] & ~space) + 1
        word_offsets = np.searchsorted(starts, text_start)
        shift = np.repeat(text_start[:-1], np.diff(word_offsets))
        return starts - shift, ends - shift, word_offsets.astype(np.int64)

    def _ends(self, text: str, codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Where segments end, in characters. ICU counts UTF-16 code units."""
        from icu4py.breakers import WordBreaker

        breaker = WordBreaker(SURROGATE.sub("\ufffd", text), self._locale)
        ends = np.fromiter((end for _, end in breaker.segments()), np.int64)
        wide = np.flatnonzero(codes > 0xFFFF)
        if len(wide):
            ends -= np.searchsorted(wide + np.arange(1, len(wide) + 1), ends, "right")
        return ends


_KIWI_LIMIT = 1 << 13
"""Characters analysed at a time: a repeated syllable takes time by the square of the piece, and at this length about
as much as prose does."""

_NUMBER = re.compile("[0-9,]{20,}")


class Morphemes:
    """Cuts Korean into morphemes. Raises MissingSegmenter where Kiwi is not installed."""

    def __init__(self) -> None:
        try:
            import kiwipiepy  # noqa: F401
        except ImportError:
            raise MissingSegmenter(
                "word unit 'morpheme' needs the package kiwipiepy, which is not installed: pip install 'winnow[ko]'"
            ) from None

    @property
    def version(self) -> str:
        """Kiwi's version and its model's."""
        return f"kiwipiepy {version('kiwipiepy')}, kiwipiepy_model {version('kiwipiepy_model')}"

    def cut(self, texts: list[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Starts, ends and word offsets, as `Segmenter.cut` says."""
        starts: list[int] = []
        ends: list[int] = []
        word_offsets = [0]
        for text in texts:
            for at, piece in pieces(SURROGATE.sub("\ufffd", text), _KIWI_LIMIT):
                for start, end in _words(piece):
                    starts.append(at + start)
                    ends.append(at + end)
            word_offsets.append(len(starts))
        return np.array(starts, np.int64), np.array(ends, np.int64), np.array(word_offsets, np.int64)


@cache
def _kiwi() -> Kiwi:
    """One model per process: about 0.75 GiB and a second to load."""
    from kiwipiepy import Kiwi

    return Kiwi(model_type="sbg", num_workers=1)


def _words(text: str) -> list[tuple[int, int]]:
    numbers = [match.span() for match in _NUMBER.finditer(text)]
    found = [(token.start, token.end) for token in _kiwi().tokenize(_NUMBER.sub(_blank, text))]
    words: list[tuple[int, int]] = []
    covered = 0
    for start, end in sorted([*found, *numbers]) if numbers else found:
        first = max(start, covered)
        while first < end and text[first].isspace():
            first += 1
        while end > first and text[end - 1].isspace():
            end -= 1
        if first < end:
            words.append((first, end))
            covered = end
    return words


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])
