"""The kernel of `running_text.py`."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from winnow.filters.rules.classes import CONTENT, HANGUL, JAMO, LETTER, SENTENCE_END, SPACE
from winnow.filters.rules.lexicon import BASIS, PRIME, fold_code


@njit(inline="always")
def value(keys, values, h):  # type: ignore[no-untyped-def]
    wanted = h if h != 0 else np.uint64(1)
    mask = len(keys) - 1
    slot = np.int64((wanted ^ (wanted >> np.uint64(32))) & np.uint64(mask))
    while keys[slot] != 0:
        if keys[slot] == wanted:
            return values[slot]
        slot = (slot + 1) & mask
    return np.int64(0)


fold = njit(inline="always")(fold_code)


@njit(inline="always")
def counts_in_runs(code, bits):  # type: ignore[no-untyped-def]
    """Whether a run of a character is a sign of typed emotion: letters but the dash ㅡ, marks of exclamation and
    question, hearts, stars and emoji. Rules, boxes, leaders of dots, code and numbers are drawn with the others."""
    if bits & LETTER:
        return code != 0x3161
    return (
        code == 0x21
        or code == 0x3F
        or code == 0xFF01
        or code == 0xFF1F
        or (0x2600 <= code < 0x27C0)
        or (0x1F300 <= code < 0x1FB00)
    )


_LONGS = types.int64[::1]


_KEYS = types.UniTuple(types.uint64[::1], 3)  # type: ignore[no-untyped-call]
_VALUES = types.UniTuple(_LONGS, 3)  # type: ignore[no-untyped-call]
_SIZES = types.UniTuple(types.int64, 3)  # type: ignore[no-untyped-call]
_TEXTS = (types.int32[::1], types.uint8[::1], _LONGS, _LONGS, _LONGS, _LONGS, _LONGS, _LONGS)
_FOUND = types.Tuple((types.float64[:, ::1], types.uint8[::1]))  # type: ignore[no-untyped-call]


@njit(_FOUND(*_TEXTS, _KEYS, _VALUES, _SIZES, types.int64), cache=True, nogil=True)
def running_text(  # type: ignore[no-untyped-def]
    codes,
    classes,
    word_offsets,
    word_start,
    word_end,
    line_offsets,
    line_start,
    line_end,
    keys,
    values,
    longest,
    listed,
):
    texts = len(word_offsets) - 1
    out = np.zeros((texts, 7), np.float64)
    endings = np.zeros(len(word_start), np.uint8)
    seen = np.zeros(listed + 1, np.int64)
    seen_plain = np.zeros(listed + 1, np.int64)
    prime = np.uint64(PRIME)
    basis = np.uint64(BASIS)
    for row in range(texts):
        if word_offsets[row + 1] == word_offsets[row]:
            continue
        letters = 0
        hangul = 0
        jamo = 0
        visible = 0
        in_runs = 0
        marks = 0
        for line in range(line_offsets[row], line_offsets[row + 1]):
            start = line_start[line]
            of_line = codes[start : line_end[line]]
            bits_of_line = classes[start : line_end[line]]
            seen_bits = np.uint8(0)
            alike = 0
            for at in range(len(of_line)):
                bits = bits_of_line[at]
                seen_bits |= bits
                visible += (bits & SPACE) == 0
                letters += (bits & LETTER) != 0
                hangul += (bits & HANGUL) != 0
            for at in range(1, len(of_line)):
                alike += of_line[at] == of_line[at - 1]
            if seen_bits & JAMO:
                for at in range(len(of_line)):
                    if bits_of_line[at] & JAMO:
                        jamo += 1
                        after = of_line[1] if len(of_line) > 1 else np.int32(0)
                        marks += at == 0 and (after == 0x20 or after == 0x2E or after == 0x29)
            if alike < 3:  # no run of four
                continue
            run = 1
            for at in range(1, len(of_line)):
                run = run + 1 if of_line[at] == of_line[at - 1] else 1
                bits = bits_of_line[at]
                if run >= 4 and not bits & SPACE and (bits & (HANGUL | JAMO) or counts_in_runs(of_line[at], bits)):
                    in_runs += 4 if run == 4 else 1
        line = line_offsets[row]
        real = 0
        stops = 0
        plain = 0
        ended = 0
        closed = 0
        for w in range(word_offsets[row], word_offsets[row + 1]):
            start = word_start[w]
            end = word_end[w]
            while start < end and not classes[start] & CONTENT:
                start += 1
            if start == end:
                continue
            while not classes[end - 1] & CONTENT:
                end -= 1
            while line_end[line] < word_end[w]:
                line += 1
            real += 1
            length = end - start
            if length <= longest[0]:
                h = basis
                same = length == word_end[w] - word_start[w]
                for c in range(start, end):
                    small = fold(codes[c])
                    same &= small == codes[c]
                    h = (h ^ np.uint64(small)) * prime
                stop = value(keys[0], values[0], h)
                if stop and seen[stop] != row + 1:
                    seen[stop] = row + 1
                    stops += 1
                if stop and same and seen_plain[stop] != row + 1:
                    seen_plain[stop] = row + 1
                    plain += 1
            h = basis
            open_end = True
            unclosed = True
            open_sentence = (end < word_end[w] and (classes[end] & SENTENCE_END) != 0) or word_end[w] == line_end[line]
            deepest = min(length - 1, max(longest[1], longest[2]))
            for k in range(deepest):
                h = (h ^ np.uint64(fold(codes[end - 1 - k]))) * prime
                if open_end and k < longest[1] and value(keys[1], values[1], h):
                    ended += 1
                    endings[w] |= 1
                    open_end = False
                if open_sentence and k < longest[2] and value(keys[2], values[2], h):
                    closed += 1
                    endings[w] |= 2
                    open_sentence = False
                    unclosed = False
            if unclosed and longest[2]:
                # A full stop without a space behind it ends a sentence too: 했다.그러나
                for at in range(start + 2, end - 1):
                    if (classes[at] & SENTENCE_END) == 0 or (classes[at + 1] & LETTER) == 0:
                        continue
                    h = basis
                    for k in range(min(at - start - 1, longest[2])):
                        h = (h ^ np.uint64(fold(codes[at - 1 - k]))) * prime
                        if value(keys[2], values[2], h):
                            unclosed = False
                    if not unclosed:
                        closed += 1
                        endings[w] |= 2
                        break
        out[row, 0] = stops
        out[row, 1] = plain
        if letters:
            out[row, 2] = (hangul + jamo) / letters
            out[row, 3] = (jamo - marks) / letters
        out[row, 4] = ended / real if real else 0.0
        out[row, 5] = closed / real if real else 0.0
        out[row, 6] = in_runs / visible
    return out, endings
