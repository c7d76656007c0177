"""The word lists of a language pack as hash tables that kernels can read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from winnow.filters.languages import LanguagePack

# Frozen into the machine code that numba caches for `running_text.py`: change them and that file together.
BASIS = 0xCBF29CE484222325
PRIME = 0x100000001B3
_MASK = (1 << 64) - 1

WHOLE = 1  # the entry must be the whole word
PREFIX = 2  # the word may go on (Korean particles, endings)


@dataclass(frozen=True, slots=True)
class Table:
    """An open-addressed map from 64-bit FNV-1a keys (over code points) to small positive integers; 0 marks no entry."""

    keys: npt.NDArray[np.uint64]  # [power of two]
    values: npt.NDArray[np.int64]
    longest: int  # characters of the longest entry
    entries: int


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The lists of one pack. Suffix tables are keyed from the last character backwards."""

    stop_words: Table  # value: 1 + position in the list
    endings: Table
    sentence_endings: Table
    bad_words: Table  # value: WHOLE or PREFIX


def fold(character: str) -> str:
    """The lower case of one capital of the Latin, Greek and Cyrillic alphabets; any other character as it is."""
    lower = character.lower()
    return lower if len(lower) == 1 and ord(character) < 0x530 else character


def key(characters: str) -> int:
    """FNV-1a over folded code points, as the kernels compute it; never 0."""
    h = BASIS
    for character in characters:
        h = ((h ^ ord(fold(character))) * PRIME) & _MASK
    return h or 1


def _table(entries: list[tuple[str, int]]) -> Table:
    values = {key(text): value for text, value in entries}
    longest = max((len(text) for text, _ in entries), default=0)
    size = 8
    while size < 4 * len(values):
        size *= 2
    keys = np.zeros(size, np.uint64)
    slots = np.zeros(size, np.int64)
    for h, value in values.items():
        slot = (h ^ (h >> 32)) & (size - 1)
        while keys[slot]:
            slot = (slot + 1) & (size - 1)
        keys[slot] = h
        slots[slot] = value
    return Table(keys, slots, longest, len(values))


def lexicon(pack: LanguagePack) -> Lexicon:
    """The tables of a pack. A bad word that ends in `*` matches at the start of a word, any other the whole word."""
    return _lexicon(pack.stop_words, pack.endings, pack.sentence_endings, pack.bad_words)


@cache
def _lexicon(
    stop_words: tuple[str, ...], endings: tuple[str, ...], sentence_endings: tuple[str, ...], bad_words: tuple[str, ...]
) -> Lexicon:
    return Lexicon(
        stop_words=_table([(word, 1 + i) for i, word in enumerate(dict.fromkeys(stop_words))]),
        endings=_table([(ending[::-1], 1) for ending in endings]),
        sentence_endings=_table([(ending[::-1], 1) for ending in sentence_endings]),
        bad_words=_table([(word.rstrip("*"), PREFIX if word.endswith("*") else WHOLE) for word in bad_words]),
    )
