"""The kernels of `web_lines.py`: what each line is, and the sums of a text."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from winnow.filters.rules.characters import CAPITAL, DIGIT
from winnow.filters.rules.classes import CONTENT, HANGUL, LETTER, SINGLE, SPACE
from winnow.filters.rules.lexicon import BASIS, PRIME
from winnow.filters.rules.phrases import ANYWHERE, BOILERPLATE, END, START
from winnow.filters.rules.running_text_kernel import fold

MOST_WORDS = 10
"""Words of the longest line that a phrase of the page marks."""
BOILERPLATE_WORDS = 15
"""Words of the longest line on rights and terms: a paragraph that names them is prose about them."""
COUNTER_WORDS = 6
"""Words of the longest line that only counts something."""


@njit(inline="always")
def _listed(keys, h):  # type: ignore[no-untyped-def]
    at = np.searchsorted(keys, h)
    return at < len(keys) and keys[at] == h


@njit(inline="always")
def _goes_on(classes, at, end):  # type: ignore[no-untyped-def]
    """Whether a letter at `at` belongs to a word begun before it: not in Hangul, whose particles follow the word, nor
    in scripts without spaces."""
    return at < end and (classes[at] & LETTER) != 0 and not classes[at] & (HANGUL | SINGLE)


_INTS = types.int32[::1]
_LONGS = types.int64[::1]
_BYTES = types.uint8[::1]


@njit(
    types.int64[:, ::1](
        *(_INTS, _BYTES, types.Array(types.uint8, 1, "C", readonly=True), _LONGS, _LONGS, _LONGS, _LONGS, _LONGS),
        types.uint64[::1],
    ),
    cache=True,
    nogil=True,
)
def lines(  # type: ignore[no-untyped-def]
    codes, classes, kinds, line_start, line_end, found_start, found_end, found_kind, counters
):
    """[lines, 2]: bits as `web_lines.line_flags` says, words."""
    out = np.zeros((len(line_start), 2), np.int64)
    size = len(kinds)
    basis = np.uint64(BASIS)
    prime = np.uint64(PRIME)
    next_found = 0
    for line in range(len(line_start)):
        start = line_start[line]
        stop = line_end[line]
        letters = 0
        capitals = 0
        numbers = 0
        digits = 0
        spaced = 0
        single = 0
        first = stop
        last = start
        fresh = True
        for c in range(start, stop):
            bits = classes[c]
            if bits & SPACE:
                fresh = True
                continue
            spaced += fresh and not bits & SINGLE
            single += (bits & SINGLE) != 0
            fresh = (bits & SINGLE) != 0
            if bits & CONTENT:
                first = min(first, c)
                last = c + 1
                numbers += 1
                letters += (bits & LETTER) != 0
                code = codes[c]
                kind = kinds[code] if code < size else np.uint8(0)
                capitals += (kind & CAPITAL) != 0
                digits += (kind & DIGIT) != 0
        words = spaced + single
        bits_of_line = 0
        if 2 * capitals > letters:
            bits_of_line |= 1
        if digits and letters and words <= COUNTER_WORDS:
            named = 0
            strange = False
            h = basis
            long = 0
            for c in range(start, stop + 1):
                if c < stop and classes[c] & LETTER:
                    h = (h ^ np.uint64(fold(codes[c]))) * prime
                    long += 1
                elif long and (c == stop or classes[c] & SPACE):
                    if _listed(counters, h if h != 0 else np.uint64(1)):
                        named += 1
                    else:
                        strange = True
                        break
                    h = basis
                    long = 0
            if named and not strange:
                bits_of_line |= 2
        if words == 1:
            bits_of_line |= 4
        short = spaced + single // 2 <= MOST_WORDS
        while next_found < len(found_start) and found_start[next_found] < stop:
            kind = found_kind[next_found]
            begun = found_start[next_found]
            ended = found_end[next_found]
            whole = not _goes_on(classes, ended, stop) and not (
                begun > start and classes[begun - 1] & LETTER and not classes[begun] & (HANGUL | SINGLE)
            )
            if kind == BOILERPLATE:
                bits_of_line |= 32 if spaced + single // 2 <= BOILERPLATE_WORDS else 0
            elif (
                short
                and whole
                and ((kind == START and begun <= first) or (kind == END and ended >= last) or kind == ANYWHERE)
            ):
                bits_of_line |= 8
            next_found += 1
        if bits_of_line & 15 or (numbers and not letters):
            bits_of_line |= 16
        out[line, 0] = bits_of_line
        out[line, 1] = words
    return out


@njit(types.float64[:, ::1](types.int64[:, ::1], _LONGS, _LONGS), cache=True, nogil=True)
def totals(flags, word_offsets, line_offsets):  # type: ignore[no-untyped-def]
    """[texts, columns]."""
    texts = len(line_offsets) - 1
    out = np.zeros((texts, 6), np.float64)
    for row in range(texts):
        first = line_offsets[row]
        last = line_offsets[row + 1]
        if word_offsets[row + 1] == word_offsets[row] or first == last:
            continue
        words = 0
        flagged = 0
        for line in range(first, last):
            bits = flags[line, 0]
            for column in range(6):
                out[row, column] += (bits >> column) & 1
            words += flags[line, 1]
            flagged += flags[line, 1] if bits & 16 else 0
        for column in range(6):
            out[row, column] /= last - first
        out[row, 4] = flagged / max(words, 1)
    return out
