"""The word lists of a language pack as hash tables that kernels can read."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from winnow.filters.languages import LanguagePack

# Frozen into the machine code that numba caches for `running_text.py`: change them and that file together.
BASIS = 0xCBF29CE484222325
PRIME = 0x100000001B3
_MASK = (1 << 64) - 1


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


def fold_code(code: int) -> int:
    """The small letter of a capital of the alphabets in which they lie a fixed step apart (Latin-1, Greek, Cyrillic),
    any other code point as it is. `running_text_kernel.fold` is this function compiled."""
    if code < 0x80:
        return code + 32 if 0x41 <= code <= 0x5A else code
    if code >= 0x530:
        return code
    if (0xC0 <= code <= 0xDE and code != 0xD7) or 0x391 <= code <= 0x3A9 or 0x410 <= code <= 0x42F:
        return code + 32
    if 0x400 <= code <= 0x40F:
        return code + 80
    return code


def fold(character: str) -> str:
    """`fold_code` of a character."""
    return chr(fold_code(ord(character)))


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


def _composed(listed: tuple[str, ...]) -> list[str]:
    """Entries in NFC and small letters, each once, in their order; empty ones are none."""
    plain = ("".join(map(fold, unicodedata.normalize("NFC", entry))) for entry in listed)
    return list(dict.fromkeys(entry for entry in plain if entry))


def lexicon(pack: LanguagePack) -> Lexicon:
    """The tables of a pack. Its bad words have their own (`winnow.filters.bad_words`)."""
    return _lexicon(pack.stop_words, pack.endings, pack.sentence_endings)


@cache
def _lexicon(stop_words: tuple[str, ...], endings: tuple[str, ...], sentence_endings: tuple[str, ...]) -> Lexicon:
    return Lexicon(
        stop_words=_table([(word, 1 + i) for i, word in enumerate(_composed(stop_words))]),
        endings=_table([(ending[::-1], 1) for ending in _composed(endings)]),
        sentence_endings=_table([(ending[::-1], 1) for ending in _composed(sentence_endings)]),
    )
