"""The kernel of `filters/rules/diversity.py`, apart so that importing the table does not import numba.

The words of a text are numbered in the order in which they first occur; every measure is then a walk over numbers, and
a stretch of MTLD begins anew by taking another stamp. Time is linear in characters.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from winnow.filters.rules.classes import CONTENT, LETTER

_LONGS = types.int64[::1]


@njit(inline="always")
def _stretches(numbers, tokens, step, stamps, stamp):  # type: ignore[no-untyped-def]
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


@njit(
    types.float64[:, ::1](
        *(types.int32[::1], types.uint8[::1], types.Array(types.int32, 1, "C", readonly=True)),
        *(_LONGS, _LONGS, _LONGS, types.uint8[::1]),
    ),
    cache=True,
    nogil=True,
)
def walk(codes, classes, lower, word_offsets, word_start, word_end, word_classes):  # type: ignore[no-untyped-def]
    """[texts, COLUMNS] of `diversity.py`."""
    texts = len(word_offsets) - 1
    out = np.zeros((texts, 3), np.float64)
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
        out[row, 0] = (tokens / forward + tokens / backward) / 2
        weighted = 0.0
        once = 0
        for number in range(distinct):
            occurs = counts[number]
            once += occurs == 1
            if occurs > 1:
                weighted += occurs * np.log(occurs)
        out[row, 1] = max(0.0, np.log(tokens) - weighted / tokens)
        out[row, 2] = once / tokens
    return out
