"""The kernel of `quality.py`: one pass over the words and lines of each text."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from winnow.filters.rules.classes import CLOSER, CONTENT, LETTER, SENTENCE_END

_LONGS = types.int64[::1]


@njit(
    types.float64[:, ::1](
        *(types.int32[::1], types.uint8[::1], _LONGS, _LONGS, _LONGS, types.uint8[::1]),
        *(_LONGS, _LONGS, _LONGS, types.int32[::1], types.int32[::1]),
    ),
    cache=True,
    nogil=True,
)
def quality(  # type: ignore[no-untyped-def]
    codes, classes, word_offsets, word_start, word_end, word_classes, line_offsets, line_start, line_end, bullets, marks
):
    texts = len(word_offsets) - 1
    out = np.zeros((texts, 13), np.float64)
    for row in range(texts):
        tokens = word_offsets[row + 1] - word_offsets[row]
        if tokens == 0:
            continue
        real = 0
        length = 0
        alphabetic = 0
        hashes = 0
        for w in range(word_offsets[row], word_offsets[row + 1]):
            seen = word_classes[w]
            if seen & CONTENT:
                real += 1
                length += word_end[w] - word_start[w]
            if seen & LETTER:
                alphabetic += 1
        first = line_offsets[row]
        lines = line_offsets[row + 1] - first
        characters = lines - 1
        ellipses = 0
        bulleted = 0
        trailing = 0
        punctuated = 0
        bare = 0
        short = 0
        for line in range(first, first + lines):
            start = line_start[line]
            end = line_end[line]
            characters += end - start
            short += end - start <= 30  # FineWeb's short_line_length
            for mark in bullets:
                if codes[start] == mark:
                    bulleted += 1
                    break
            dots = 0
            for c in range(start, end):
                hashes += codes[c] == 0x23
                if codes[c] == 0x2E:
                    dots += 1
                    if dots == 3:
                        ellipses += 1
                        dots = 0
                else:
                    dots = 0
                    ellipses += codes[c] == 0x2026
            trailing += codes[end - 1] == 0x2026 or (
                end - start >= 3 and codes[end - 1] == 0x2E and codes[end - 2] == 0x2E and codes[end - 3] == 0x2E
            )
            bare += (classes[end - 1] & SENTENCE_END) != 0
            c = end - 1
            while c > start and classes[c] & CLOSER:
                c -= 1
            if len(marks):
                for mark in marks:
                    if codes[c] == mark:
                        punctuated += 1
                        break
            else:
                punctuated += (classes[c] & SENTENCE_END) != 0
        out[row, 0] = characters
        out[row, 1] = lines
        out[row, 2] = real
        out[row, 3] = length / real if real else 0.0
        out[row, 4] = alphabetic / tokens
        out[row, 5] = hashes / tokens
        out[row, 6] = ellipses / tokens
        out[row, 7] = bulleted / lines
        out[row, 8] = trailing / lines
        out[row, 9] = punctuated / lines
        out[row, 10] = bare / lines
        out[row, 11] = short / lines
        out[row, 12] = (lines - 1) / tokens
    return out
