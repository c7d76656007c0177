"""The kernel of `repetition.py`."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from winnow.filters.rules.classes import CONTENT


@njit(inline="always")
def slot_of(keys, mask, wanted):  # type: ignore[no-untyped-def]
    """Where `wanted` (not 0) lives or would live in an open-addressed table."""
    slot = np.int64((wanted ^ (wanted >> np.uint64(32))) & np.uint64(mask))
    while keys[slot] != 0 and keys[slot] != wanted:
        slot = (slot + 1) & mask
    return slot


@njit(inline="always")
def room(entries):  # type: ignore[no-untyped-def]
    size = 16
    while size < 2 * entries:
        size *= 2
    return size


NATURAL = 2
"""Occurrences of an n-gram that `spare_*gram_share` does not count: a title and its text share a term."""

REFRAIN = 3
"""Occurrences of a line that `spare_lines` does not count."""

_LONGS = types.int64[::1]
_HASHES = types.uint64[::1]


@njit(
    types.float64[:, ::1](
        *(_LONGS, _LONGS, _LONGS, _HASHES, types.uint8[::1]),
        *(_LONGS, _LONGS, _LONGS, _HASHES, _LONGS),
    ),
    cache=True,
    nogil=True,
)
def repetition(  # type: ignore[no-untyped-def]
    word_offsets, word_start, word_end, word_hash, word_classes,
    line_offsets, line_start, line_end, line_hash, line_block,
):  # fmt: skip
    texts = len(word_offsets) - 1
    out = np.zeros((texts, 19), np.float64)
    most = 1
    for row in range(texts):
        most = max(most, word_offsets[row + 1] - word_offsets[row], line_offsets[row + 1] - line_offsets[row])
    keys = np.empty(room(most), np.uint64)
    counts = np.empty(room(most), np.int32)
    slots = np.empty(most, np.int64)
    places = np.empty(most, np.int64)
    grams = np.empty(most, np.uint64)
    again = np.zeros(most + 1, np.bool_)
    before = np.empty(most + 1, np.int64)
    prime = np.uint64(0x9E3779B97F4A7C15)
    one = np.uint64(1)
    for row in range(texts):
        base = word_offsets[row]
        tokens = word_offsets[row + 1] - base
        if tokens == 0:
            continue

        first = line_offsets[row]
        lines = line_offsets[row + 1] - first
        size = room(lines)
        keys[:size] = 0
        counts[:size] = 0
        spare = 0
        repeated = 0
        repeated_chars = 0
        letters = 0
        for line in range(first, first + lines):
            wanted = line_hash[line] | one
            slot = slot_of(keys, size - 1, wanted)
            length = line_end[line] - line_start[line]
            letters += length
            if keys[slot] == wanted:
                repeated += 1
                repeated_chars += length
            keys[slot] = wanted
            counts[slot] += 1
            spare += counts[slot] > REFRAIN
        whole = letters + lines - 1
        out[row, 0] = repeated / lines
        out[row, 1] = repeated_chars / letters
        out[row, 18] = spare / lines

        keys[:size] = 0
        repeated = 0
        repeated_chars = 0
        paragraphs = 0
        line = first
        while line < first + lines:
            wanted = np.uint64(0)
            length = -1
            block = line_block[line]
            while line < first + lines and line_block[line] == block:
                wanted = (wanted ^ line_hash[line]) * prime
                length += line_end[line] - line_start[line] + 1
                line += 1
            wanted |= one
            paragraphs += 1
            slot = slot_of(keys, size - 1, wanted)
            if keys[slot] == wanted:
                repeated += 1
                repeated_chars += length
            keys[slot] = wanted
        out[row, 2] = repeated / paragraphs
        out[row, 3] = repeated_chars / whole

        before[0] = 0
        for i in range(tokens):
            before[i + 1] = before[i] + word_end[base + i] - word_start[base + i]
            places[i] = i
            grams[i] = 0
        active = tokens
        for n in range(1, 11):
            size = room(active)
            keys[:size] = 0
            counts[:size] = 0
            distinct = 0
            real = 0
            for k in range(active):
                i = places[k]
                grams[i] = (grams[i] ^ word_hash[base + i + n - 1]) * prime
                wanted = (grams[i] ^ (grams[i] >> np.uint64(31))) | one
                slot = slot_of(keys, size - 1, wanted)
                if n == 1 and word_classes[base + i] & CONTENT:
                    real += 1
                    distinct += counts[slot] == 0
                keys[slot] = wanted
                counts[slot] += 1
                slots[i] = slot
            top = 1
            leader = -1
            for k in range(active):
                i = places[k]
                count = counts[slots[i]]
                again[i] = count > 1
                if count > top and (n > 1 or word_classes[base + i] & CONTENT):
                    top = count
                    leader = i
            if n == 1:
                out[row, 4] = distinct / real if real else 0.0
                out[row, 5] = top / real if real else 0.0
            elif n <= 4 and leader >= 0:
                span = n - 1 + before[leader + n] - before[leader]
                for w in range(base + leader + 1, base + leader + n):
                    span -= word_start[w] == word_end[w - 1]
                out[row, 4 + n] = min(1.0, span * top / whole)
                out[row, 13 + n] = min(1.0, span * max(0, top - NATURAL) / whole)
            elif n >= 5:
                free = 0
                repeated_chars = 0
                for k in range(active):
                    i = places[k]
                    if i < free or not again[i]:
                        continue
                    if counts[slots[i]] < 0:
                        repeated_chars += before[i + n] - before[i]
                        free = i + n
                    else:
                        counts[slots[i]] = -1
                out[row, 4 + n] = repeated_chars / whole
            left = 0
            for k in range(active):
                i = places[k]
                if again[i] and i + n < tokens and again[i + 1]:
                    places[left] = i
                    left += 1
                else:
                    again[i] = False
            active = left
            if active == 0:
                break
    return out
