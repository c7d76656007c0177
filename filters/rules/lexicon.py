"""The word lists of a language pack as hash tables that kernels can read."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from winnow.filters.kernel import Hashes, Ints, inline

# FNV-1a of 64 bits (draft-eastlake-fnv).
BASIS = 0xCBF29CE484222325
PRIME = 0x100000001B3
_MASK = (1 << 64) - 1


class Table(NamedTuple):
    """An open-addressed map from 64-bit FNV-1a keys (over code points) to small positive integers; 0 marks no entry."""

    keys: Hashes  # [power of two]
    values: Ints
    longest: int  # characters of the longest entry
    entries: int


class Lexicon(NamedTuple):
    """The lists of one pack. Suffix tables are keyed from the last character backwards."""

    stop_words: Table  # value: 1 + position in the list
    endings: Table
    sentence_endings: Table


@inline
def fold_code(code: int) -> int:
    """The small letter of a capital of the alphabets in which they lie a fixed step apart (Latin-1, Greek, Cyrillic),
    any other code point as it is."""
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


@cache
def lexicon(stop_words: tuple[str, ...], endings: tuple[str, ...], sentence_endings: tuple[str, ...]) -> Lexicon:
    """The tables of a pack's lists. Bad words have their own (`winnow.filters.bad_words`)."""
    return Lexicon(
        stop_words=_table([(word, 1 + i) for i, word in enumerate(_composed(stop_words))]),
        endings=_table([(ending[::-1], 1) for ending in _composed(endings)]),
        sentence_endings=_table([(ending[::-1], 1) for ending in _composed(sentence_endings)]),
    )


@inline
def value(keys: Any, values: Any, h: Any) -> Any:
    """The value of a key in a table, 0 where it has none."""
    wanted = h if h != 0 else np.uint64(1)
    mask = len(keys) - 1
    slot = np.int64((wanted ^ (wanted >> np.uint64(32))) & np.uint64(mask))
    while keys[slot] != 0:
        if keys[slot] == wanted:
            return values[slot]
        slot = (slot + 1) & mask
    return np.int64(0)


@inline
def listed(keys: Any, h: Any) -> Any:
    """Whether a sorted array holds a key."""
    at = np.searchsorted(keys, h)
    return at < len(keys) and keys[at] == h
