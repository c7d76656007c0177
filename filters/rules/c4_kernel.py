"""The kernels of `c4.py`: what becomes of each line, and the sums of a text."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from winnow.filters.rules.characters import CAPITAL, PUNCTUATION
from winnow.filters.rules.classes import CLOSER, CONTENT, LETTER, SENTENCE_END, SINGLE, SPACE
from winnow.filters.rules.lexicon import BASIS, PRIME
from winnow.filters.rules.phrases import JAVASCRIPT, LOREM_IPSUM, POLICY
from winnow.filters.rules.running_text_kernel import fold

LOREM, CURLY, KEPT, UNENDED, FEW, LONG, SCRIPT, PAGE_POLICY = 1, 2, 4, 5, 6, 7, 8, 9
"""Columns of `c4.COLUMNS` that count lines."""


_EDIT = np.array([ord(letter) for letter in "[edit]"], np.int32)
_NEEDED = np.array([ord(letter) for letter in "[citation needed]"], np.int32)


@njit(inline="always")
def _citation(codes, start, end):  # type: ignore[no-untyped-def]
    """Length of the citation that ends before `end`, 0 for none."""
    if end - start < 2 or codes[end - 1] != 0x5D:
        return 0
    at = end - 2
    while at > start and 0x30 <= codes[at] <= 0x39:
        at -= 1
    if codes[at] == 0x5B:
        return end - at
    for text in (_EDIT, _NEEDED):
        length = len(text)
        if end - start >= length:
            same = True
            for k in range(length):
                same &= codes[end - length + k] == text[k]
            if same:
                return length
    return 0


@njit(inline="always")
def _listed(keys, h):  # type: ignore[no-untyped-def]
    at = np.searchsorted(keys, h)
    return at < len(keys) and keys[at] == h


_INTS = types.int32[::1]
_LONGS = types.int64[::1]
_BYTES = types.uint8[::1]


@njit(
    types.int64[:, ::1](
        *(_INTS, _BYTES, types.Array(types.uint8, 1, "C", readonly=True), _LONGS, _LONGS, _LONGS, _LONGS, _INTS),
        *(types.boolean, types.uint64[::1]),
    ),
    cache=True,
    nogil=True,
)
def lines(  # type: ignore[no-untyped-def]
    codes, classes, kinds, line_start, line_end, found_start, found_kind, marks, closers, abbreviations
):
    """[lines, 3]: the column of `c4.COLUMNS` that counts the line, its sentences if it stays, its citations."""
    out = np.zeros((len(line_start), 3), np.int64)
    size = len(kinds)
    next_found = 0
    for line in range(len(line_start)):
        start = line_start[line]
        stop = line_end[line]
        javascript = False
        lorem = False
        policy = False
        while next_found < len(found_start) and found_start[next_found] < stop:
            kind = found_kind[next_found]
            javascript |= kind == JAVASCRIPT
            lorem |= kind == LOREM_IPSUM
            policy |= kind == POLICY
            next_found += 1
        words = 0
        longest = 0
        length = 0
        curly = False
        citations = 0
        for c in range(start, stop):
            bits = classes[c]
            if bits & SPACE:
                length = 0
            else:
                words += length == 0 or (bits & SINGLE) != 0
                length += 1
                longest = max(longest, length)
                code = codes[c]
                curly |= code == 0x7B
                if code == 0x5D and _citation(codes, start, c + 1):
                    citations += 1
        if longest > 1000:
            out[line, 0] = LONG
            continue
        out[line, 2] = citations
        end = stop
        if citations:
            cut = _citation(codes, start, end)
            while cut:
                end -= cut
                cut = _citation(codes, start, end)
        last = end - 1
        if closers:
            while last > start and classes[last] & CLOSER:
                last -= 1
        ended = False
        if last >= start:
            for mark in marks:
                ended |= codes[last] == mark
            dots = last - start >= 2 and codes[last] == 0x2E and codes[last - 1] == 0x2E and codes[last - 2] == 0x2E
            ended &= not dots
        if not ended:
            out[line, 0] = UNENDED
            continue
        if words < 3:
            out[line, 0] = FEW
            continue
        if lorem:
            out[line, 0] = LOREM
            continue
        if javascript:
            out[line, 0] = SCRIPT
            continue
        if curly:
            out[line, 0] = CURLY
            continue
        if policy:
            out[line, 0] = PAGE_POLICY
            continue
        out[line, 0] = KEPT
        sentences = 1
        pending = False
        for c in range(start, end):
            bits = classes[c]
            if bits & SPACE:
                continue
            code = codes[c]
            kind = kinds[code] if code < size else np.uint8(0)
            if not bits & SENTENCE_END:
                if pending and not kind & PUNCTUATION:
                    sentences += 1
                    pending = False
                continue
            if code >= 0x80:
                pending = True
                continue
            after = codes[c + 1] if c + 1 < end else 0x20
            after_kind = kinds[after] if after < size else np.uint8(0)
            open_after = c + 1 == end or (classes[c + 1] & SPACE) != 0 or (after_kind & PUNCTUATION) != 0
            if code != 0x2E:
                pending |= open_after
                continue
            before = codes[c - 1] if c > start else 0x20
            if after == 0x2E or before == 0x2E:
                continue
            before_kind = kinds[before] if before < size else np.uint8(0)
            before_letter = c > start and (classes[c - 1] & LETTER) != 0
            if not open_after:
                # spaCy parts words joined by a full stop: "end.Next".
                if before_letter and not before_kind & CAPITAL and after_kind & CAPITAL:
                    pending = True
                continue
            if c == start or classes[c - 1] & SPACE:
                pending = True
                continue
            if before_kind & CAPITAL:
                second = codes[c - 2] if c - 2 >= start else 0x20
                if not (second < size and kinds[second] & CAPITAL):
                    continue
            word = c
            while word > start and c - word <= 8 and not classes[word - 1] & SPACE:
                word -= 1
            while word < c and not classes[word] & CONTENT:
                word += 1
            if before_letter:
                if c - word == 1:
                    continue
                if c - word <= 8:
                    h = np.uint64(BASIS)
                    for k in range(word, c):
                        h = (h ^ np.uint64(fold(codes[k]))) * np.uint64(PRIME)
                    if _listed(abbreviations, h):
                        continue
            pending = True
        out[line, 1] = sentences
    return out


@njit(types.float64[:, ::1](types.int64[:, ::1], _LONGS, _LONGS), cache=True, nogil=True)
def totals(fates, word_offsets, line_offsets):  # type: ignore[no-untyped-def]
    """[texts, columns]."""
    texts = len(line_offsets) - 1
    out = np.zeros((texts, 10), np.float64)
    for row in range(texts):
        first = line_offsets[row]
        last = line_offsets[row + 1]
        if word_offsets[row + 1] == word_offsets[row] or first == last:
            continue
        for line in range(first, last):
            out[row, fates[line, 0]] += 1
            out[row, 0] += fates[line, 1]
            out[row, 3] += fates[line, 2]
        for column in range(4, 10):
            out[row, column] /= last - first
    return out
