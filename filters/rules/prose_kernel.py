"""The kernels of `prose.py`: what each line is, and the sums of a text."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from winnow.filters.rules.characters import SMALL
from winnow.filters.rules.classes import CLOSER, CONTENT, HANGUL, LETTER, SENTENCE_END, SPACE
from winnow.filters.rules.prose import ENTRY, LABEL, LABEL_WORDS, LABELS_IN_A_ROW, RUNS

VERSE_WORDS = 12
"""Words of the longest line that may run on without a mark at its end where no endings tell."""

_CODE, _CALL, _OPENS, _CLOSES = 1, 2, 4, 8
_SIGNS = np.zeros(128, np.uint8)
"""Whether an ASCII character is one that a line of code, a table or a tag is known by, that a call or an index begins
with, that a tag begins or ends with."""
for _bit, _characters in ((_CODE, "{}<>=;|\\$@#`"), (_CALL, "(["), (_OPENS, "<"), (_CLOSES, ">")):
    for _character in _characters:
        _SIGNS[ord(_character)] |= _bit
_KEY = np.zeros(128, np.bool_)  # what the key of an entry consists of
for _character in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-[]":
    _KEY[ord(_character)] = True

_INTS = types.int32[::1]
_LONGS = types.int64[::1]
_BYTES = types.uint8[::1]


@njit(inline="always")
def _entry(codes, classes, start, end):  # type: ignore[no-untyped-def]
    """Whether a line is an entry of a file of messages: key = value, with a letter beyond ASCII in the value, so that
    the assignments of code are none."""
    at = start
    while at < end and codes[at] < 128 and _KEY[codes[at]]:
        at += 1
    if at - start < 2:
        return False
    while at < end and codes[at] == 0x20:
        at += 1
    if at == end or codes[at] != 0x3D:
        return False
    lettered = False
    for c in range(at + 1, end):
        lettered |= codes[c] >= 128 and (classes[c] & LETTER) != 0
    return lettered


@njit(
    types.int64[:, ::1](
        *(_INTS, _BYTES, types.Array(types.uint8, 1, "C", readonly=True)),
        *(_LONGS, _LONGS, _BYTES, _BYTES, _LONGS, _LONGS, _INTS, _INTS, types.boolean),
    ),
    cache=True,
    nogil=True,
)
def lines(  # type: ignore[no-untyped-def]
    codes, classes, kinds, word_start, word_end, word_classes, ended, line_start, line_end, marks, bullets, by_ending
):
    """[lines, 3]: RUNS and LABEL, characters but white space, those of them in tags."""
    out = np.zeros((len(line_start), 3), np.int64)
    size = len(kinds)
    w = 0
    for line in range(len(line_start)):
        start = line_start[line]
        stop = line_end[line]
        words = 0
        signs = 0
        last = False
        final = w
        while w < len(word_start) and word_start[w] < stop:
            if word_classes[w] & CONTENT:
                words += 1
                final = w
                if by_ending:
                    last = ended[w] != 0
                else:
                    c = word_start[w]
                    while not classes[c] & CONTENT:
                        c += 1
                    last = codes[c] < size and (kinds[codes[c]] & SMALL) != 0
                signs += last
            w += 1
        amount = False
        if words > 1:
            c = word_start[final]
            while not classes[c] & CONTENT:
                c += 1
            amount = 0x30 <= codes[c] <= 0x39
        signs_seen = np.uint8(0)
        seen = np.uint8(0)
        visible = 0
        tagged = 0
        opened = -1
        for c in range(start, stop):
            bits = classes[c]
            seen |= bits
            visible += (bits & SPACE) == 0
            sign = _SIGNS[codes[c]] if codes[c] < 128 else np.uint8(0)
            if sign == 0:
                continue
            signs_seen |= sign
            if sign & _OPENS:
                follows = codes[c + 1] if c + 1 < stop else np.int32(0)
                tag = follows == 0x2F or follows == 0x21 or 0x61 <= (follows | 32) <= 0x7A
                opened = visible - 1 if tag else -1
            elif sign & _CLOSES and opened >= 0:
                tagged += visible - opened
                opened = -1
        code = (signs_seen & _CODE) != 0
        call = (signs_seen & _CALL) != 0
        out[line, 1] = visible
        out[line, 2] = tagged
        c = stop - 1
        # Behind the mark may stand closing quotation marks, brackets and Markdown's emphasis.
        while c > start and (classes[c] & CLOSER or codes[c] == 0x2A or codes[c] == 0x5F or codes[c] == 0x60):
            c -= 1
        closed = False
        if len(marks):
            for mark in marks:
                closed |= codes[c] == mark
        else:
            closed = (classes[c] & SENTENCE_END) != 0
        closed &= not (c > start and codes[c] == 0x2E and codes[c - 1] == 0x2E)
        comma = codes[c] == 0x2C or codes[c] == 0x3B
        if words == 0:
            continue
        code |= (call and not seen & HANGUL) or (codes[stop - 1] == 0x3A and words <= 2)
        for mark in bullets:
            code |= codes[start] == mark
        if _entry(codes, classes, start, stop):
            out[line, 0] = ENTRY
            continue
        if by_ending:
            least = words if words <= 2 else 2
            runs = (signs >= least and (2 * signs >= words or (3 * signs >= words and (last or closed)))) or (
                signs > 0 and words <= 2 and closed
            )
            runs &= words > 1 or closed
            label = 3 * signs < words or words == 1
        else:
            runs = closed or (4 <= words <= VERSE_WORDS and 2 * signs >= words)
            label = not comma
        if runs:
            out[line, 0] = RUNS
        elif label and not closed and not code and not amount and words <= LABEL_WORDS:
            out[line, 0] = LABEL
    return out


@njit(
    types.float64[:, ::1](
        *(_INTS, _BYTES, _LONGS, _LONGS, _LONGS, _BYTES, _LONGS, _LONGS, _LONGS, types.int64[:, ::1]),
    ),
    cache=True,
    nogil=True,
)
def totals(  # type: ignore[no-untyped-def]
    codes, classes, word_offsets, word_start, word_end, word_classes, line_offsets, line_start, line_end, flags
):
    """[texts, columns]."""
    texts = len(line_offsets) - 1
    out = np.zeros((texts, 6), np.float64)
    for row in range(texts):
        first = line_offsets[row]
        last = line_offsets[row + 1]
        tokens = word_offsets[row + 1] - word_offsets[row]
        if tokens == 0 or first == last:
            continue
        real = 0
        lettered = 0
        for w in range(word_offsets[row], word_offsets[row + 1]):
            real += (word_classes[w] & CONTENT) != 0
            lettered += (word_classes[w] & LETTER) != 0
        tags = 0
        running = 0
        inside = 0
        visible = 0
        tagged = 0
        labels = 0
        row_of_labels = 0
        w = word_offsets[row]
        for line in range(first, last):
            running += (flags[line, 0] & RUNS) != 0
            if flags[line, 0] & LABEL:
                row_of_labels += 1
            else:
                labels += row_of_labels if row_of_labels >= LABELS_IN_A_ROW else 0
                row_of_labels = 0
            labels += (flags[line, 0] & ENTRY) != 0
            visible += flags[line, 1]
            tagged += flags[line, 2]
            inside += flags[line, 1] if flags[line, 0] & RUNS else 0
            opening = 0
            held = 0
            others = 0
            while w < word_offsets[row + 1] and word_start[w] < line_end[line]:
                found = 0
                at = word_start[w]
                if codes[at] == 0x23:
                    for c in range(at, word_end[w] - 1):
                        found += codes[c] == 0x23 and (classes[c + 1] & CONTENT) != 0
                if word_start[w] == line_start[line]:
                    opening = found
                else:
                    held += found
                others += found == 0
                w += 1
            tags += held + (opening if others == 0 else 0)
        labels += row_of_labels if row_of_labels >= LABELS_IN_A_ROW else 0
        out[row, 0] = lettered / real if real else 0.0
        out[row, 1] = tags / tokens
        out[row, 2] = running / (last - first)
        out[row, 3] = inside / visible if visible else 0.0
        out[row, 4] = labels / tokens
        out[row, 5] = tagged / visible if visible else 0.0
    return out
