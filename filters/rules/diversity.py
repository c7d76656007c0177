"""How a text repeats itself: its lexical diversity, and how far it compresses.

Lexical diversity is how soon a text repeats its words, how evenly it uses them, how many it uses once.

MTLD is that of McCarthy and Jarvis 2010, *MTLD, vocd-D, and HD-D*, doi:10.3758/BRM.42.2.381: the mean length of the
stretches over which types / tokens stays above 0.72, read forward and backward and averaged. A stretch ends with the
word at which the quotient reaches 0.72; the rest counts as (1 - quotient) / (1 - 0.72) of one. A text in which no word
repeats, for which the paper has no value, gets the one that it would have if the next word repeated. The paper
recommends no fewer than 100 words.

The entropy is RedPajama-Data-v2's `rps_doc_unigram_entropy`, in nats.

Words are those with a letter; they are equal when their *cores* (first to last letter, mark or number) are, in lower
case where that is one character. Equality is that of 64-bit hashes. The words of a text are numbered in the order in
which they first occur; every measure is then a walk over numbers. Time is linear in characters.

Source: the compression ratio as a measure of difficulty is that of Zhang et al. 2025, *Beyond Random Sampling*,
arXiv:2506.11300. The compressor is Zstandard (RFC 8878) at one fixed level, whose output for a release of the library
does not depend on the machine; builds of zlib (the original, zlib-ng, ISA-L) write different bytes, and some of them
other bytes on another processor. The release comes with the package `zstandard`, whose version is locked.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np

from winnow.filters.character_classes import CONTENT, LETTER
from winnow.filters.kernel import Codes, ReadCodes, inline, kernel
from winnow.filters.passages import Span
from winnow.filters.rules.measure import OWN, Cut, Group, Measure, Records, record
from winnow.filters.rules.repetition import repeated_words
from winnow.filters.words import Words

if TYPE_CHECKING:
    from winnow.filters.rules.table import Texts

LEVEL = 3
"""Zstandard's default: a window of at most 2 MiB, which bounds memory, and its next level gains little on text."""

CURRICULUM = "Beyond Random Sampling, arXiv:2506.11300"
LOWER_SIZE = 0x1E944
"""Past the last capital letter of Unicode (Adlam)."""


def single_words(cut: Cut) -> list[Span]:
    """Words that occur once."""
    lower = [
        (word, "".join(map(_lower, cut.read(cut.core(word))))) for word in cut.content if cut.bits_of(word) & LETTER
    ]
    counts = Counter(key for _, key in lower)
    return [word for word, key in lower if counts[key] == 1]


def _lower(character: str) -> str:
    lower = character.lower()
    return lower if len(lower) == 1 else character


MEASURES = (
    Measure(
        "mtld",
        "ratio",
        "MTLD, doi:10.3758/BRM.42.2.381",
        "mean number of words over which types / tokens stays above 0.72, forward and backward, of the words with a "
        "letter, equal when their cores are in lower case; low in templates and stuffed keywords. Unsteady below 100 "
        "words, so that a clause asks for a word_count too",
        repeated_words,
    ),
    Measure(
        "word_entropy",
        "ratio",
        "RedPajama-v2, arXiv:2411.12372",
        "entropy of the distribution of words, in nats, of the words with a letter, equal when their cores are in lower "
        "case: at most the logarithm of how many they are, so that it grows with length",
        repeated_words,
    ),
    Measure(
        "single_use_words",
        "share",
        OWN,
        "words that occur once / words, of those with a letter, equal as for mtld",
        single_words,
    ),
)
COMPRESSION = (
    Measure(
        "compression_ratio",
        "ratio",
        CURRICULUM,
        "bytes after Zstandard (level 3) / UTF-8 bytes of the whole text, 0 for an empty one. Short texts compress less "
        "(above 1 below some 20 bytes), so that a clause asks for a word_count too",
    ),
)
Rows: TypeAlias = Annotated[Records, record(MEASURES)]


@cache
def lower_table() -> Codes:
    """[LOWER_SIZE]: the lower case of every code point, where that is one character; else itself."""
    table = np.arange(LOWER_SIZE, dtype=np.int32)
    for code in range(LOWER_SIZE):
        lower = chr(code).lower()
        if len(lower) == 1:
            table[code] = ord(lower)
    table.setflags(write=False)
    return table


@inline
def _stretches(numbers: Any, tokens: Any, step: Any, stamps: Any, stamp: Any) -> Any:
    """Stretches in one direction, the last one in part; and the last stamp used. 72 / 100 in whole numbers."""
    full = 0
    kinds = 0
    length = 0
    at = 0 if step > 0 else tokens - 1
    stamp += 1
    for _ in range(tokens):
        number = numbers[at]
        at += step
        length += 1
        if stamps[number] != stamp:
            stamps[number] = stamp
            kinds += 1
        if 100 * kinds <= 72 * length:
            full += 1
            kinds = 0
            length = 0
            stamp += 1
    rest = 0.0
    if length:
        rest = (length - kinds) / length / 0.28
    if full == 0 and kinds == length:
        rest = 1.0 / (length + 1) / 0.28
    return full + rest, stamp


@kernel
def fill(words: Words, lower: ReadCodes, out: Rows) -> None:
    codes, classes = words.characters, words.classes
    word_offsets, word_start, word_end = words.word_offsets, words.word_start, words.word_end
    word_classes = words.word_classes
    texts = len(out)
    most = 1
    for row in range(texts):
        most = max(most, word_offsets[row + 1] - word_offsets[row])
    room = 16
    while room < 2 * most:
        room *= 2
    keys = np.empty(room, np.uint64)
    names = np.empty(room, np.int32)
    numbers = np.empty(most, np.int32)
    counts = np.empty(most, np.int64)
    stamps = np.empty(most, np.int64)
    basis = np.uint64(0xCBF29CE484222325)
    prime = np.uint64(0x100000001B3)
    for row in range(texts):
        size = 16
        while size < 2 * (word_offsets[row + 1] - word_offsets[row]):
            size *= 2
        keys[:size] = 0
        mask = size - 1
        tokens = 0
        distinct = 0
        for w in range(word_offsets[row], word_offsets[row + 1]):
            if not word_classes[w] & LETTER:
                continue
            start = word_start[w]
            end = word_end[w]
            while not classes[start] & CONTENT:
                start += 1
            while not classes[end - 1] & CONTENT:
                end -= 1
            h = basis
            for c in range(start, end):
                code = codes[c]
                h = (h ^ np.uint64(lower[code] if code < len(lower) else code)) * prime
            h ^= h >> np.uint64(29)
            h *= np.uint64(0xBF58476D1CE4E5B9)
            h ^= h >> np.uint64(32)
            h |= np.uint64(1)
            slot = np.int64((h >> np.uint64(1)) & np.uint64(mask))
            while keys[slot] != 0 and keys[slot] != h:
                slot = (slot + 1) & mask
            if keys[slot] == 0:
                keys[slot] = h
                names[slot] = distinct
                counts[distinct] = 0
                stamps[distinct] = 0
                distinct += 1
            number = names[slot]
            counts[number] += 1
            numbers[tokens] = number
            tokens += 1
        if tokens == 0:
            continue
        forward, stamp = _stretches(numbers, tokens, 1, stamps, 0)
        backward, stamp = _stretches(numbers, tokens, -1, stamps, stamp)
        out[row].mtld = (tokens / forward + tokens / backward) / 2
        weighted = 0.0
        once = 0
        for number in range(distinct):
            occurs = counts[number]
            once += occurs == 1
            if occurs > 1:
                weighted += occurs * np.log(occurs)
        out[row].word_entropy = max(0.0, np.log(tokens) - weighted / tokens)
        out[row].single_use_words = once / tokens


def _compress(texts: Texts, out: Records) -> None:
    """Texts that are valid UTF-8 or not. One context serves them all."""
    import zstandard

    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False, write_content_size=False)
    held = np.ascontiguousarray(texts.data).data
    for row, (start, end) in enumerate(pairwise(texts.offsets.tolist())):
        if end > start:
            out["compression_ratio"][row] = len(compressor.compress(held[start:end])) / (end - start)


GROUP = Group("diversity", 1, MEASURES, lambda texts, out: fill(texts.words, lower_table(), out))
COMPRESSION_GROUP = Group("compression", 1, COMPRESSION, _compress)
