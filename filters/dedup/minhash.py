"""MinHash signatures of texts, straight from Arrow buffers.

A text is folded (`fold_table`), cut into words (or characters, for languages written without spaces), and
each run of `ngram` of them is a shingle; a text with fewer units than that is one shingle, a text with none has no
signature. Of `bands * rows` random functions the smallest value over all shingles is kept, and the values of each band
are hashed into one 64-bit key: two texts of Jaccard similarity s share a key with probability 1 - (1 - s^rows)^bands
(Broder 1997, https://doi.org/10.1109/SEQUEN.1997.666900; Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*,
section 3.4). 14 bands of 8 rows over word 5-grams are FineWeb's: .924 at s = .8, .564 at .7, .053 at .5.

The functions are h(x) = ((a x + b) mod 2^64) >> 32 on 32-bit shingle hashes with 64-bit a and b: pairwise independent
(Dietzfelbinger 1996, https://doi.org/10.1007/3-540-60922-9_46). The wrap at 2^64 *is* their modulus, so
nothing overflows before it, and they vectorise, which arithmetic modulo 2^61 - 1 does not. Two different shingles
share a 32-bit hash with probability 2^-32; two different bands share a 64-bit key with probability 2^-64, which
expects .4 accidental pairs in 14 bands over 10^9 texts.

Folding says which code points count as the same. Its steps are those of FineWeb's MinHash (lower case, numbers, punctuation,
white space, diacritics), with two departures: that decomposes everything, which tears Hangul into jamo and strips the voicing
of kana and the vowels of Indic scripts, and here those stay whole; and its punctuation is listed by hand, here it is the
Unicode categories.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.filters.kernel import inline, kernel, subroutine

Words = npt.NDArray[np.uint64]
Lengths = npt.NDArray[np.int32]

DROP = 0x0
SPACE = 0x20
DIGIT = 0x30
LIMIT = 0x20000
"""Code points from here on (CJK extensions, private use) stand for themselves, but for the tags of plane 14."""

_UNCHANGED = (  # letters without case, of which there are too many to look up one by one
    range(0x3400, 0x4DC0),  # CJK extension A
    range(0x4E00, 0xA000),  # CJK unified ideographs
    range(0xAC00, 0xD7A4),  # Hangul syllables
    range(0xD800, 0xF900),  # surrogates and private use
    range(0x17000, 0x1B170),  # Tangut, Khitan, historic kana
)

BLOCK = 256  # shingles hashed between two passes over the functions: 1 KiB, stays in the first-level cache

_START = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio (splitmix64's increment)
_STEP = np.uint64(0xD6E8FEB86659FD93)  # odd, half of its bits set; tests/filters measure what it yields
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)  # MurmurHash3's 64-bit finaliser (A. Appleby, public domain)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_32 = np.uint64(32)
_33 = np.uint64(33)
_LARGEST = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Scheme:
    """What makes two signatures comparable. `characters`: the unit of a shingle is a character, not a word."""

    bands: int = 14
    rows: int = 8
    ngram: int = 5
    seed: int = 1
    characters: bool = False

    @property
    def functions(self) -> int:
        """Number of hash functions."""
        return self.bands * self.rows


def _fold(char: str) -> int:
    category = unicodedata.category(char)
    if category == "Nd":
        return DIGIT
    if category[0] in "PSZ" or category == "Cc":
        return SPACE
    if category == "Cf" or "\u0300" <= char <= "\u036f" or "\ufe00" <= char <= "\ufe0f":
        return DROP
    if category == "Cn":
        return ord(char)
    parts = unicodedata.normalize("NFD", char)
    if len(parts) > 1 and all("\u0300" <= mark <= "\u036f" for mark in parts[1:]):
        char = parts[0]
    lower = char.lower()[0]
    return ord("σ") if lower == "ς" else ord(lower)


@cache
def fold_table() -> npt.NDArray[np.uint32]:
    """What each code point stands for, shape (LIMIT,). Follows the interpreter's Unicode version.

    - letters: lower case, one code point each (final sigma to sigma), without the marks of U+0300-036F: é counts as e;
    - decimal digits of any script (Nd): `DIGIT`; whoever walks the text folds a whole number into one;
    - punctuation, symbols, separators and controls (P*, S*, Z*, Cc): `SPACE`;
    - those marks by themselves, format characters and variation selectors: `DROP`.
    """
    table = np.arange(LIMIT, dtype=np.uint32)
    start = 0
    for gap in (*_UNCHANGED, range(LIMIT, LIMIT)):
        for point in range(start, gap.start):
            table[point] = _fold(chr(point))
        start = gap.stop
    table.setflags(write=False)
    return table


def _splitmix(seed: int, count: int) -> Words:
    """The first `count` outputs of splitmix64 (Steele, Lea, Flood 2014, https://doi.org/10.1145/2660193.2660195)."""
    state = (np.uint64(seed % 2**64) + np.arange(1, count + 1, dtype=np.uint64) * _START).astype(np.uint64)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def coefficients(scheme: Scheme) -> tuple[Words, Words]:
    """a and b of every function, shape (functions,), a function of the seed alone."""
    drawn = _splitmix(scheme.seed, 2 * scheme.functions)
    return drawn[: scheme.functions].copy(), drawn[scheme.functions :].copy()


@inline
def _mix(value: Any) -> Any:
    value = (value ^ (value >> _33)) * _MIX_1
    value = (value ^ (value >> _33)) * _MIX_2
    return value ^ (value >> _33)


@inline
def _decode(data: Any, at: Any) -> Any:
    """The code point of valid UTF-8 at `at`, and where the next one starts."""
    first = np.uint32(data[at])
    if first < np.uint32(0x80):
        return first, at + 1
    second = np.uint32(data[at + 1]) & np.uint32(0x3F)
    if first < np.uint32(0xE0):
        return ((first & np.uint32(0x1F)) << np.uint32(6)) | second, at + 2
    third = np.uint32(data[at + 2]) & np.uint32(0x3F)
    if first < np.uint32(0xF0):
        return ((first & np.uint32(0x0F)) << np.uint32(12)) | (second << np.uint32(6)) | third, at + 3
    fourth = np.uint32(data[at + 3]) & np.uint32(0x3F)
    high = ((first & np.uint32(0x07)) << np.uint32(18)) | (second << np.uint32(12))
    return high | (third << np.uint32(6)) | fourth, at + 4


@inline
def _folded(point: Any, table: Any) -> Any:
    if point < np.uint32(LIMIT):
        return table[point]
    if point >= np.uint32(0xE0000) and point < np.uint32(0xE1000):  # tags and variation selectors
        return np.uint32(DROP)
    return point


@subroutine
def _digits(data: Any, at: Any, end: Any, table: Any) -> Any:
    """Where the run of digits that starts at `at` ends."""
    while at < end:
        point, after = _decode(data, at)
        if _folded(point, table) != np.uint32(DIGIT):
            break
        at = after
    return at


@subroutine
def _number(data: Any, at: Any, end: Any, table: Any) -> Any:
    """Where the number whose first digit ends at `at` ends: digits, and once a decimal separator with more digits."""
    at = _digits(data, at, end, table)
    if at < end:
        point, after = _decode(data, at)
        # comma and point, their Arabic forms, and the three decimal separator keys of U+2396-2398
        comma = point == np.uint32(0x2C) or point == np.uint32(0x2E) or point == np.uint32(0x60C)
        if comma or point == np.uint32(0x66B) or (point >= np.uint32(0x2396) and point <= np.uint32(0x2398)):
            last = _digits(data, after, end, table)
            if last > after:
                return last
    return at


@subroutine
def _lower(values: Any, a: Any, b: Any, block: Any, used: Any) -> None:
    """values[i] = min(values[i], h_i(x) for the first `used` x of the block)."""
    at = 0
    while at + 4 <= used:  # four at a time: one load and store of values[i] for each
        w = np.uint64(block[at])
        x = np.uint64(block[at + 1])
        y = np.uint64(block[at + 2])
        z = np.uint64(block[at + 3])
        for i in range(values.size):
            one = min(np.uint32((w * a[i] + b[i]) >> _32), np.uint32((x * a[i] + b[i]) >> _32))
            two = min(np.uint32((y * a[i] + b[i]) >> _32), np.uint32((z * a[i] + b[i]) >> _32))
            values[i] = min(values[i], min(one, two))
        at += 4
    while at < used:
        w = np.uint64(block[at])
        for i in range(values.size):
            values[i] = min(values[i], np.uint32((w * a[i] + b[i]) >> _32))
        at += 1


@inline
def _shingle(ring: Any, units: Any) -> Any:
    """The 32-bit hash of the last `min(units, ring.size)` units, oldest first."""
    size = ring.size
    value = _START
    for i in range(max(units - size, 0), units):
        value = _mix((value * _STEP) ^ ring[i % size])
    return np.uint32(value >> _32)


@subroutine
def _sign(
    data: Any,
    at: Any,
    end: Any,
    table: Any,
    a: Any,
    b: Any,
    ring: Any,
    block: Any,
    characters: Any,
    values: Any,
) -> Any:
    """Fills `values` with the signature of data[at:end]; returns the number of its units."""
    for i in range(values.size):  # `values[:] =` would have numba compile what writes an error message about shapes
        values[i] = _LARGEST
    size = ring.size
    units = 0
    used = 0
    word = _START
    open_word = False
    while at <= end:
        closing = at == end
        folded = np.uint32(SPACE)
        if closing:
            at += 1
        else:
            point, at = _decode(data, at)
            folded = _folded(point, table)
            if folded == np.uint32(DROP):
                continue
            if folded == np.uint32(DIGIT):
                at = _number(data, at, end, table)
        if folded != np.uint32(SPACE):
            word = (word ^ np.uint64(folded)) * _STEP
            word ^= word >> _32
            open_word = True
            if not characters:
                continue
        if open_word:
            ring[units % size] = _mix(word)
            units += 1
            word = _START
            open_word = False
            if units >= size:
                if used == block.size:
                    _lower(values, a, b, block, used)
                    used = 0
                block[used] = _shingle(ring, units)
                used += 1
    if units > 0 and units < size:
        block[0] = _shingle(ring, units)
        used = 1
    _lower(values, a, b, block, used)
    return units


@kernel
def _keys(
    data: Any, offsets: Any, table: Any, a: Any, b: Any, ngram: Any, characters: Any, keys: Any, chars: Any
) -> Any:
    """keys[j, k]: band j of text k; chars[k]: its code points. Returns which texts have no signature."""
    bands, count = keys.shape
    rows = a.size // bands
    empty = np.empty(count, np.bool_)
    values = np.empty(a.size, np.uint32)
    ring = np.empty(ngram, np.uint64)
    block = np.empty(BLOCK, np.uint32)
    for k in range(count):
        start, end = offsets[k], offsets[k + 1]
        empty[k] = _sign(data, start, end, table, a, b, ring, block, characters, values) == 0
        for j in range(bands):
            key = _START
            for i in range(j * rows, (j + 1) * rows):
                key = _mix((key * _STEP) ^ np.uint64(values[i]))
            keys[j, k] = key
        points = 0
        for i in range(start, end):
            points += (data[i] & np.uint8(0xC0)) != np.uint8(0x80)
        chars[k] = points
    return empty


def _buffers(texts: pa.Array[Any]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of a string array and where each text starts and ends in them, without copying large_string."""
    if not pa.types.is_large_string(texts.type):
        texts = texts.cast(pa.large_string())
    _, starts, data = texts.buffers()
    if len(texts) == 0 or starts is None:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    offsets = np.frombuffer(memoryview(starts), np.int64, len(texts) + 1, texts.offset * 8)
    return np.frombuffer(memoryview(data or b""), np.uint8), offsets


def band_keys(texts: pa.Array[Any], scheme: Scheme) -> tuple[Words, Lengths, npt.NDArray[np.bool_]]:
    """Band keys, uint64 of shape (bands, texts); code points per text, int32; which texts have no signature.

    `texts` is a string or large_string array without nulls, NFC. Keys of texts without a signature mean nothing.
    """
    data, offsets = _buffers(texts)
    a, b = coefficients(scheme)
    keys = np.empty((scheme.bands, len(texts)), np.uint64)
    chars = np.empty(len(texts), np.int32)
    empty = _keys(data, offsets, fold_table(), a, b, scheme.ngram, scheme.characters, keys, chars)
    return keys, chars, empty
