"""Hashed n-grams of characters and words, straight from an Arrow column's bytes, and the linear score that they add up to.

A text is read as code points: in small letters, digits as 0, runs of three and more cut to two, white space as one space, with
a space before and after. Each different n-gram of a segment (a document, or a window of it) counts once, by a bucket of 2^bits;
the features of a segment are the buckets that it has, each by its rarity (inverse document frequency; 0 for a bucket that no
text of the fit has), brought to length 1, so that length alone tells nothing.

Rarities are uint8 and weights int8, so that sums are whole numbers, the same in any order and on any machine.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from winnow.filters.kernel import READ_ONLY, Bytes, Codes, Ints, ReadBytes, inline, kernel

ReadWeights = Annotated[npt.NDArray[np.int8], 2, READ_ONLY]
Floats = npt.NDArray[np.float64]
FloatRows = Annotated[npt.NDArray[np.float64], 2]

SPACE, BREAK = 32, 10
KNOWN = 0x20000
"""Code points above stand for themselves: none has a small letter."""

_START = np.uint64(0xCBF29CE484222325)
_WORDS = np.uint64(0x84222325CBF29CE4)
_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Shape(NamedTuple):
    """Character n-grams of `minn` to `maxn` (none where `maxn` is 0), `across` words or of one word and the spaces beside it, word
    n-grams up to `words`, 2^`bits` buckets."""

    minn: int
    maxn: int
    across: bool
    words: int
    bits: int


@cache
def tables(lower: bool, mask: bool, latin: bool = True) -> tuple[Codes, Bytes]:
    """What each code point is read as, int32 [KNOWN] (white space as SPACE, line feeds as BREAK; without `latin` its letters as
    `a`), and whether it is of a word."""
    read, word = np.arange(KNOWN, dtype=np.int32), np.zeros(KNOWN, np.uint8)
    for code in range(KNOWN):
        char = chr(code)
        word[code] = char.isalnum()
        if char.isspace():
            read[code] = BREAK if char == "\n" else SPACE
        elif mask and char.isdecimal():
            read[code] = ord("0")
        elif not latin and code < 0x250 and char.isalpha():
            read[code] = ord("a")
        elif lower and len(small := char.lower()) == 1:
            read[code] = ord(small)
    return read, word


@kernel
def read_codes(
    data: ReadBytes, offsets: Ints, chars: int, table: Codes, squeeze: bool, out: Codes, starts: Ints
) -> None:
    """The code points of documents, as the table reads them. `out` has room for two more than there are bytes, a document;
    `starts` int64 [documents + 1]. At most `chars` code points of a document are read, from its first that is no space."""
    used = 0
    for document in range(offsets.size - 1):
        starts[document] = used
        at, end = offsets[document], offsets[document + 1]
        left = chars
        out[used] = SPACE
        used += 1
        first = used
        while at < end and left > 0:
            lead = np.int64(data[at])
            size = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            code = lead if size == 1 else lead & (0xFF >> (size + 1))
            for n in range(1, size):
                if at + n < end:
                    code = (code << 6) | (np.int64(data[at + n]) & 0x3F)
            at += size
            value = np.int64(table[code]) if code < KNOWN else code
            blank = value in (SPACE, BREAK)
            if blank and used == first:
                continue
            left -= 1
            before = np.int64(out[used - 1])
            if blank and before in (SPACE, BREAK):
                if value == BREAK:
                    out[used - 1] = BREAK
                continue
            if squeeze and not blank and used - first >= 2 and before == value and np.int64(out[used - 2]) == value:
                continue
            out[used] = value
            used += 1
        if used > first and (out[used - 1] == SPACE or out[used - 1] == BREAK):
            used -= 1
        if used == first:
            used -= 1  # nothing but spaces
        else:
            out[used] = SPACE
            used += 1
    starts[offsets.size - 1] = used


@kernel
def cut(codes: Codes, starts: Ints, window: int, begins: Ints, ends: Ints, owners: Ints) -> int:
    """Windows of documents of about `window` words, [begins, ends) with the spaces around them; returns how many there are. A
    window closes at a line's end once it has a third of its words, and at `window` words in any case; 0: one a document."""
    used = 0
    least = (window + 2) // 3
    for document in range(starts.size - 1):
        begin, end = starts[document], starts[document + 1]
        if end - begin < 3:
            continue
        words = 0
        for at in range(begin + 1, end):
            if codes[at] != SPACE and codes[at] != BREAK:
                continue
            words += 1
            closes = window > 0 and (words >= window or (codes[at] == BREAK and words >= least))
            if closes or at == end - 1:
                begins[used], ends[used], owners[used] = begin, at + 1, document
                used += 1
                begin, words = at, 0
    return used


@inline
def _bucket(value: Any, bits: Any) -> Any:
    value ^= value >> np.uint64(32)
    value *= _MIX
    return np.int64(value >> np.uint64(64 - bits))


@inline
def _point(code: Any) -> Any:
    return np.uint64(SPACE) if code == BREAK else np.uint64(code)


@kernel
def buckets(
    codes: Codes, begins: Ints, ends: Ints, word: Bytes, shape: Shape, marks: Codes, mark: int, out: Codes, bounds: Ints
) -> int:
    """The different buckets of segments, one segment after the other, in the order of their first n-gram. `marks` int32
    [2^bits], below `mark` before, holds the last segment that had a bucket, plus `mark`; `bounds` int64 [segments + 1].
    Returns how many there are; stops before a segment for which `out` may have no room."""
    used = 0
    for segment in range(begins.size):
        bounds[segment] = used
        begin, end = begins[segment], ends[segment]
        if used + (end - begin) * (max(shape.maxn - shape.minn + 1, 0) + shape.words) > out.size:
            return int(segment)
        if shape.maxn > 0:
            for at in range(begin, end):
                value = _START
                for n in range(1, min(shape.maxn, end - at) + 1):
                    code = codes[at + n - 1]
                    blank = code in (SPACE, BREAK)
                    value = (value ^ _point(code)) * _PRIME
                    if n >= shape.minn and not (blank and n == 1):
                        bucket = _bucket(value, shape.bits)
                        if marks[bucket] != mark + segment:
                            marks[bucket] = mark + segment
                            out[used] = bucket
                            used += 1
                    if blank and n > 1 and not shape.across:
                        break
        if shape.words > 0:
            used = _words(codes, begin, end, word, shape, marks, mark + segment, out, used)
    bounds[begins.size] = used
    return int(begins.size)


@inline
def _words(codes: Any, begin: Any, end: Any, word: Any, shape: Any, marks: Any, mark: Any, out: Any, used: Any) -> Any:
    held = np.zeros(shape.words, np.uint64)
    seen = 0
    at = begin
    while at < end:
        if codes[at] < KNOWN and word[codes[at]] == 0:
            at += 1
            continue
        value = _WORDS
        while at < end and (codes[at] >= KNOWN or word[codes[at]] != 0):
            value = (value ^ _point(codes[at])) * _PRIME
            at += 1
        held[seen % shape.words] = value
        seen += 1
        together = np.uint64(0)
        for back in range(min(seen, shape.words)):
            together = (together * _MIX + held[(seen - 1 - back) % shape.words]) * _PRIME
            bucket = _bucket(together, shape.bits)
            if marks[bucket] != mark:
                marks[bucket] = mark
                out[used] = bucket
                used += 1
    return used


@kernel
def margins(
    found: Codes,
    bounds: Ints,
    rarities: ReadBytes,
    weights: ReadWeights,
    scales: Floats,
    bias: Floats,
    out: FloatRows,
    segments: int,
) -> None:
    """Probabilities of each column of weights, sigmoid(bias + scale * sum of weights / length), float64 [segments, columns];
    the length is the root of the sum of squared rarities."""
    columns = weights.shape[1]
    for segment in range(segments):
        squares = np.int64(0)
        for at in range(bounds[segment], bounds[segment + 1]):
            squares += np.int64(rarities[found[at]]) ** 2
        for column in range(columns):
            total = np.int64(0)
            for at in range(bounds[segment], bounds[segment + 1]):
                total += np.int64(weights[found[at], column])
            z = bias[column] + scales[column] * total / math.sqrt(max(np.float64(squares), 1.0))
            out[segment, column] = 1.0 / (1.0 + math.exp(-z)) if z > -700.0 else 0.0


@kernel
def together(windows: FloatRows, owners: Ints, top: float, out: FloatRows, seen: Bytes) -> None:
    """Of each document the mean over its windows of each column, of one column alone over the `top` share of them, from the
    highest; `seen`: whether it has a window. `owners` ascend."""
    first = 0
    while first < owners.size:
        last = first
        while last < owners.size and owners[last] == owners[first]:
            last += 1
        document = owners[first]
        seen[document] = 1
        size = last - first
        taken = max(1, math.ceil(size * top)) if windows.shape[1] == 1 else size
        for column in range(windows.shape[1]):
            values = np.sort(windows[first:last, column].copy())
            total = 0.0
            for n in range(taken):
                total += values[size - 1 - n]
            out[document, column] = total / taken
        first = last
