"""Texts as arrays of symbols: the characters of a closed vocabulary, numbered by code point."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]

WORD, OTHER, SPACE = 1, 2, 0
"""Classes of characters: letters, digits and `_`; neither those nor white space; white space."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`numbers` int32 [0x110000]: symbol of each code point, -1 outside; `size`: characters. Symbol `size` ends a document."""

    numbers: Codes
    size: int

    def encode(self, texts: Sequence[str]) -> tuple[Codes, Ints]:
        """The texts' symbols one after the other, int32, and where each begins, int64 [texts + 1]. Raises ValueError for
        a character outside the vocabulary."""
        points = points_of("".join(texts))
        codes = self.numbers[points]
        if len(codes) and codes.min() < 0:
            raise ValueError(f"U+{int(points[codes.argmin()]):04X} is outside the vocabulary")
        starts = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(text) for text in texts], out=starts[1:])
        return codes, starts


def vocabulary(texts: Iterable[str]) -> Vocabulary:
    """Every character of these texts."""
    seen = np.zeros(sys.maxunicode + 1, np.bool_)
    for text in texts:
        seen[points_of(text)] = True
    numbers = np.full(sys.maxunicode + 1, -1, np.int32)
    numbers[seen] = np.arange(seen.sum(), dtype=np.int32)
    return Vocabulary(numbers, int(seen.sum()))


def points_of(text: str) -> npt.NDArray[np.uint32]:
    """Code points; lone surrogates stay what they are."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
