"""The unit `morpheme`: Korean morphemes as Kiwi cuts them (https://github.com/bab2min/Kiwi), for FineWeb2's thresholds.

The words are those of datatrove's Korean tokenizer, `Kiwi(model_type="sbg")`, with three differences. Where two
morphemes share a syllable (`했` is 하 + 었) datatrove counts the syllable once for each, 5% of its words; here a
syllable belongs to the first morpheme alone. A number of twenty digits and commas or more, which datatrove takes out
before it cuts and then slices the text as if it were still there, is one word. And texts longer than LIMIT are
analysed in pieces, because Kiwi's time and memory grow faster than the text.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from winnow.filters.segmenters import MissingSegmenter
from winnow.filters.segmenters.pieces import SURROGATE, pieces

if TYPE_CHECKING:
    from kiwipiepy import Kiwi

LIMIT = 1 << 13
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
            for at, piece in pieces(SURROGATE.sub("\ufffd", text), LIMIT):
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
