"""The kernels of `words.py`: UTF-8 read, classed, and cut into words and lines in one pass over the bytes."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from winnow.filters.rules.classes import SINGLE, SPACE

_LONGS = types.int64[::1]
_READ_LONGS = types.Array(types.int64, 1, "C", readonly=True)
_READ_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
_COLUMNS = (
    *(types.int32[::1], types.uint8[::1], _LONGS, _LONGS, _LONGS, types.uint64[::1], types.uint8[::1]),
    *(_LONGS, _LONGS, _LONGS, types.uint64[::1], _LONGS),
)


@njit(inline="always")
def _character(data, i, stop):  # type: ignore[no-untyped-def]
    """The code point whose first byte is `data[i]`, and its length in bytes."""
    byte = data[i]
    code = np.int64(0xFFFD)
    step = 1
    if byte < 0x80:
        code = np.int64(byte)
    elif byte < 0xE0:
        if i + 2 <= stop and (data[i + 1] & 0xC0) == 0x80:
            code = (np.int64(byte & 31) << 6) | np.int64(data[i + 1] & 63)
            step = 2
    elif byte < 0xF0:
        if i + 3 <= stop and (data[i + 1] & 0xC0) == 0x80 and (data[i + 2] & 0xC0) == 0x80:
            code = (np.int64(byte & 15) << 12) | (np.int64(data[i + 1] & 63) << 6) | np.int64(data[i + 2] & 63)
            step = 3
    elif (
        i + 4 <= stop and (data[i + 1] & 0xC0) == 0x80 and (data[i + 2] & 0xC0) == 0x80 and (data[i + 3] & 0xC0) == 0x80
    ):
        code = (
            (np.int64(byte & 7) << 18)
            | (np.int64(data[i + 1] & 63) << 12)
            | (np.int64(data[i + 2] & 63) << 6)
            | np.int64(data[i + 3] & 63)
        )
        step = 4
    return code, step


@njit(inline="always")
def _mixed(h):  # type: ignore[no-untyped-def]
    h ^= h >> np.uint64(29)
    h *= np.uint64(0xBF58476D1CE4E5B9)
    return h ^ (h >> np.uint64(32))


@njit(
    types.Tuple(_COLUMNS)(  # type: ignore[no-untyped-call]
        *(_READ_LONGS, _READ_BYTES, _READ_BYTES, types.boolean),
    ),
    cache=True,
    nogil=True,
)
def split(offsets, data, table, by_character):  # type: ignore[no-untyped-def]
    texts = len(offsets) - 1
    characters = 0
    breaks = 0
    for i in range(offsets[0], offsets[texts]):
        characters += (data[i] & 0xC0) != 0x80
        breaks += data[i] == 10
    most_words = characters if by_character else characters // 2 + texts
    codes = np.empty(characters, np.int32)
    classes = np.empty(characters, np.uint8)
    word_offsets = np.zeros(texts + 1, np.int64)
    word_start = np.empty(most_words, np.int64)
    word_end = np.empty(most_words, np.int64)
    word_hash = np.empty(most_words, np.uint64)
    word_classes = np.empty(most_words, np.uint8)
    line_offsets = np.zeros(texts + 1, np.int64)
    line_start = np.empty(breaks + texts, np.int64)
    line_end = np.empty(breaks + texts, np.int64)
    line_hash = np.empty(breaks + texts, np.uint64)
    line_block = np.empty(breaks + texts, np.int64)
    prime = np.uint64(0x100000001B3)
    basis = np.uint64(0xCBF29CE484222325)
    at = 0
    words = 0
    lines = 0
    block = 0
    for row in range(texts):
        i = offsets[row]
        stop = offsets[row + 1]
        block += 1
        in_word = False
        word_single = False
        line_open = False
        blank = False
        seen = np.uint8(0)
        h = basis
        lh = basis
        while i <= stop:
            if i == stop:
                code = np.int64(10)
                bits = np.uint8(SPACE)
                i += 1
                real = False
            else:
                real = True
                byte = data[i]
                if (byte & 0xC0) == 0x80:
                    i += 1
                    continue
                code, step = _character(data, i, stop)
                i += step
                bits = table[code] if code < len(table) else np.uint8(0)
                codes[at] = code
                classes[at] = bits
            space = (bits & SPACE) != 0
            single = by_character and (bits & SINGLE) != 0
            if in_word and (space or single or word_single):
                word_end[words] = at
                h = _mixed(h)
                word_hash[words] = h
                word_classes[words] = seen
                # The place within the line enters too, so that lines differ where only their spacing does.
                lh = (lh ^ (h + np.uint64(word_start[words] - line_start[lines]))) * prime
                lh ^= lh >> np.uint64(32)
                line_end[lines] = at
                words += 1
                in_word = False
            if not space:
                if not line_open:
                    line_open = True
                    line_start[lines] = at
                    lh = basis
                    if blank:
                        block += 1
                    blank = False
                if not in_word:
                    in_word = True
                    word_start[words] = at
                    word_single = single
                    seen = np.uint8(0)
                    h = basis
                h = (h ^ np.uint64(code)) * prime
                seen |= bits
            elif code == 10:
                if line_open:
                    line_hash[lines] = lh
                    line_block[lines] = block
                    lines += 1
                    line_open = False
                    blank = False
                else:
                    blank = True
            if real:
                at += 1
        word_offsets[row + 1] = words
        line_offsets[row + 1] = lines
    return (
        codes[:at],
        classes[:at],
        word_offsets,
        word_start[:words].copy(),
        word_end[:words].copy(),
        word_hash[:words].copy(),
        word_classes[:words].copy(),
        line_offsets,
        line_start[:lines].copy(),
        line_end[:lines].copy(),
        line_hash[:lines].copy(),
        line_block[:lines].copy(),
    )


@njit(
    types.Tuple((types.int64, *_COLUMNS))(  # type: ignore[no-untyped-call]
        *(_READ_LONGS, _READ_BYTES, _READ_BYTES, _READ_LONGS, _READ_LONGS, _READ_LONGS),
    ),
    cache=True,
    nogil=True,
)
def split_at(offsets, data, table, starts, ends, given):  # type: ignore[no-untyped-def]
    texts = len(offsets) - 1
    characters = 0
    breaks = 0
    for i in range(offsets[0], offsets[texts]):
        characters += (data[i] & 0xC0) != 0x80
        breaks += data[i] == 10
    codes = np.empty(characters, np.int32)
    classes = np.empty(characters, np.uint8)
    word_offsets = np.zeros(texts + 1, np.int64)
    word_start = np.empty(len(starts), np.int64)
    word_end = np.empty(len(starts), np.int64)
    word_hash = np.empty(len(starts), np.uint64)
    word_classes = np.empty(len(starts), np.uint8)
    line_offsets = np.zeros(texts + 1, np.int64)
    line_start = np.empty(breaks + texts, np.int64)
    line_end = np.empty(breaks + texts, np.int64)
    line_hash = np.empty(breaks + texts, np.uint64)
    line_block = np.empty(breaks + texts, np.int64)
    prime = np.uint64(0x100000001B3)
    basis = np.uint64(0xCBF29CE484222325)
    wrong = np.int64(-1)
    at = 0
    words = 0
    lines = 0
    block = 0
    for row in range(texts):
        i = offsets[row]
        stop = offsets[row + 1]
        first = at
        block += 1
        line_open = False
        blank = False
        h = basis
        while i < stop:
            if (data[i] & 0xC0) == 0x80:
                i += 1
                continue
            code, step = _character(data, i, stop)
            i += step
            bits = table[code] if code < len(table) else np.uint8(0)
            codes[at] = code
            classes[at] = bits
            if not bits & SPACE:
                if not line_open:
                    line_open = True
                    line_start[lines] = at
                    line_end[lines] = at
                    h = basis
                    if blank:
                        block += 1
                    blank = False
                # Spaces enter by their number alone, as they do where lines are cut into whitespace words.
                h = (h ^ np.uint64((code << 32) | (at - line_end[lines]))) * prime
                line_end[lines] = at + 1
            elif code == 10:
                if line_open:
                    line_hash[lines] = _mixed(h)
                    line_block[lines] = block
                    lines += 1
                    line_open = False
                    blank = False
                else:
                    blank = True
            at += 1
        if line_open:
            line_hash[lines] = _mixed(h)
            line_block[lines] = block
            lines += 1
        free = first
        for w in range(given[row], given[row + 1]):
            start = first + starts[w]
            end = first + ends[w]
            if start < free or end <= start or end > at:
                wrong = np.int64(w)
                break
            free = end
            while start < end and classes[start] & SPACE:
                start += 1
            while end > start and classes[end - 1] & SPACE:
                end -= 1
            if start == end:
                continue
            h = basis
            seen = np.uint8(0)
            for c in range(start, end):
                h = (h ^ np.uint64(codes[c])) * prime
                seen |= classes[c]
            word_start[words] = start
            word_end[words] = end
            word_hash[words] = _mixed(h)
            word_classes[words] = seen
            words += 1
        if wrong >= 0:
            break
        word_offsets[row + 1] = words
        line_offsets[row + 1] = lines
    return (
        wrong,
        codes[:at],
        classes[:at],
        word_offsets,
        word_start[:words].copy(),
        word_end[:words].copy(),
        word_hash[:words].copy(),
        word_classes[:words].copy(),
        line_offsets,
        line_start[:lines].copy(),
        line_end[:lines].copy(),
        line_hash[:lines].copy(),
        line_block[:lines].copy(),
    )
