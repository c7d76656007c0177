"""The counting kernel of `filters/rules/characters.py`, apart so that importing the table does not import numba."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from winnow.filters.rules.characters import CAPITAL, DAMAGED, DIGIT, PRIVATE, PUNCTUATION, SMALL, SYMBOL
from winnow.filters.rules.classes import LETTER, SPACE


@njit(inline="always")
def _beyond(code):  # type: ignore[no-untyped-def]
    return np.uint8(DAMAGED) if code >= PRIVATE or code & 0xFFFE == 0xFFFE else np.uint8(0)


_COUNTED = DIGIT | SYMBOL | PUNCTUATION | DAMAGED | CAPITAL

_LONGS = types.int64[::1]


@njit(
    types.float64[:, ::1](
        *(types.int32[::1], types.uint8[::1], types.Array(types.uint8, 1, "C", readonly=True)),
        *(_LONGS, _LONGS, _LONGS, _LONGS, _LONGS, _LONGS),
    ),
    cache=True,
    nogil=True,
)
def count(  # type: ignore[no-untyped-def]
    codes, classes, kinds, word_offsets, word_start, word_end, line_offsets, line_start, line_end
):
    """[texts, COLUMNS] of `characters.py`."""
    texts = len(word_offsets) - 1
    out = np.zeros((texts, 6), np.float64)
    size = len(kinds)
    for row in range(texts):
        visible = 0
        letters = 0
        digits = 0
        symbols = 0
        marks = 0
        damaged = 0
        capitals = 0
        for line in range(line_offsets[row], line_offsets[row + 1]):
            for bits in classes[line_start[line] : line_end[line]]:
                visible += (bits & SPACE) == 0
                letters += (bits & LETTER) != 0
            for c in range(line_start[line], line_end[line]):
                code = codes[c]
                kind = kinds[code] if code < size else _beyond(code)
                if not kind & _COUNTED:
                    continue
                digits += (kind & DIGIT) != 0
                symbols += (kind & SYMBOL) != 0
                marks += (kind & PUNCTUATION) != 0
                damaged += (kind & DAMAGED) != 0 and not classes[c] & SPACE
                capitals += (kind & CAPITAL) != 0
        if visible:
            out[row, 0] = digits / visible
            out[row, 1] = symbols / visible
            out[row, 2] = marks / visible
            out[row, 3] = damaged / visible
        if letters:
            out[row, 4] = capitals / letters
        words = word_offsets[row + 1] - word_offsets[row]
        shouted = 0
        for w in range(word_offsets[row], word_offsets[row + 1]):
            kind = np.uint8(0)
            for c in range(word_start[w], word_end[w]):
                code = codes[c]
                if code < size:
                    kind |= kinds[code]
                if kind & SMALL:
                    break
            shouted += (kind & (CAPITAL | SMALL)) == CAPITAL
        if words:
            out[row, 5] = shouted / words
    return out
