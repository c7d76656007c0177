"""The unit `segment`: word boundaries of UAX 29, in scripts without spaces by ICU's dictionaries.

Thai, Lao, Khmer, Burmese, Chinese and Japanese words come from dictionaries (ICU's LSTM models are not built in); all
others from the rules of https://unicode.org/reports/tr29/. Every segment that holds more than white space is a word, so
that punctuation marks are words of their own as with spaCy's and most other tokenizers; equal symbols in a row (`...`,
`----`) are one word. A segment is parted where it holds white space (U+202F joins digits in UAX 29).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from winnow.filters.rules.classes import CONTENT, SPACE, TABLE_SIZE, class_table
from winnow.filters.segmenters.pieces import SURROGATE, pieces

LIMIT = 1 << 16
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
            for start, piece in pieces(text, LIMIT):
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
