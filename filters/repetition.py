"""Repetition within a text: lines, paragraphs and word n-grams.

Source: Rae et al. 2021, arXiv:2112.11446, Table A1. Equality is that of 64-bit hashes. An n-gram can repeat only
where the (n-1)-grams that it starts and ends with repeat, so each length looks only at the places that the length
before left over: in ordinary prose almost none beyond 3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, types

from winnow.filters.words import CONTENT, Words

COLUMNS = (
    "dup_lines",
    "dup_line_chars",
    "dup_paragraphs",
    "dup_paragraph_chars",
    "unique_words",
    "top_word_share",
    "top_2gram_share",
    "top_3gram_share",
    "top_4gram_share",
    "dup_5gram_share",
    "dup_6gram_share",
    "dup_7gram_share",
    "dup_8gram_share",
    "dup_9gram_share",
    "dup_10gram_share",
)
"""The kernel's columns, in its order."""


def repetition(words: Words, by_character: bool) -> npt.NDArray[np.float64]:
    """[texts, COLUMNS]; 0 where a text has no words."""
    found: npt.NDArray[np.float64] = _repetition(
        words.word_offsets,
        words.word_start,
        words.word_end,
        words.word_hash,
        words.word_classes,
        words.line_offsets,
        words.line_start,
        words.line_end,
        words.line_hash,
        words.line_block,
        0 if by_character else 1,
    )
    return found


@njit(inline="always")
def _slot(keys, mask, wanted):  # type: ignore[no-untyped-def]
    """Where `wanted` (not 0) lives or would live in an open-addressed table."""
    slot = np.int64((wanted ^ (wanted >> np.uint64(32))) & np.uint64(mask))
    while keys[slot] != 0 and keys[slot] != wanted:
        slot = (slot + 1) & mask
    return slot


@njit(inline="always")
def _room(entries):  # type: ignore[no-untyped-def]
    size = 16
    while size < 2 * entries:
        size *= 2
    return size


_LONGS = types.int64[::1]
_HASHES = types.uint64[::1]


@njit(
    types.float64[:, ::1](
        *(_LONGS, _LONGS, _LONGS, _HASHES, types.uint8[::1]),
        *(_LONGS, _LONGS, _LONGS, _HASHES, _LONGS, types.int64),
    ),
    cache=True,
    nogil=True,
)
def _repetition(  # type: ignore[no-untyped-def]
    word_offsets, word_start, word_end, word_hash, word_classes,
    line_offsets, line_start, line_end, line_hash, line_block, joiner,
):  # fmt: skip
    texts = len(word_offsets) - 1
    out = np.zeros((texts, 15), np.float64)
    most = 1
    for row in range(texts):
        most = max(most, word_offsets[row + 1] - word_offsets[row])
    keys = np.empty(_room(most), np.uint64)
    counts = np.empty(_room(most), np.int32)
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
        size = _room(lines)
        keys[:size] = 0
        repeated = 0
        repeated_chars = 0
        letters = 0
        for line in range(first, first + lines):
            wanted = line_hash[line] | one
            slot = _slot(keys, size - 1, wanted)
            length = line_end[line] - line_start[line]
            letters += length
            if keys[slot] == wanted:
                repeated += 1
                repeated_chars += length
            keys[slot] = wanted
        whole = letters + lines - 1
        out[row, 0] = repeated / lines
        out[row, 1] = repeated_chars / letters

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
            slot = _slot(keys, size - 1, wanted)
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
            size = _room(active)
            keys[:size] = 0
            counts[:size] = 0
            distinct = 0
            real = 0
            for k in range(active):
                i = places[k]
                grams[i] = (grams[i] ^ word_hash[base + i + n - 1]) * prime
                wanted = (grams[i] ^ (grams[i] >> np.uint64(31))) | one
                slot = _slot(keys, size - 1, wanted)
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
                span = before[leader + n] - before[leader] + (n - 1) * joiner
                out[row, 4 + n] = min(1.0, span * top / whole)
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
