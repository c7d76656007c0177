"""The kernels of `korean.py`."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from winnow.filters.rules.classes import CONTENT, HANGUL, JAMO, LETTER, SINGLE
from winnow.filters.rules.phrases import PLACE
from winnow.filters.rules.repetition_kernel import room, slot_of

_INTS = types.int32[::1]
_LONGS = types.int64[::1]
_BYTES = types.uint8[::1]


@njit(types.int64[:, ::1](_INTS, _LONGS, _LONGS), cache=True, nogil=True)
def phones(codes, line_start, line_end):  # type: ignore[no-untyped-def]
    """[found, 3]: start, end and digits of the telephone numbers, in order.

    Groups of digits parted by one mark (or a bracket and a space): 02-123-4567, 010.1234.5678, (031) 123-4567,
    1588-1234; and 01012345678.
    """
    found = np.empty((16, 3), np.int64)
    count = 0
    for line in range(len(line_start)):
        # The two groups before: where each starts, how many digits, their value; and whether one mark parts them.
        begun0 = begun1 = np.int64(0)
        long0 = long1 = 0
        value0 = value1 = np.int64(0)
        c = line_start[line]
        stop = line_end[line]
        gap = 9
        while c < stop:
            code = codes[c]
            if code > 0x39:
                gap = 9
                c += 1
                continue
            if code < 0x30:
                # A hyphen, full stop, space or closing bracket.
                gap = gap + 1 if code == 0x2D or code == 0x2E or code == 0x20 or code == 0x29 else 9
                c += 1
                continue
            if gap > 2:
                long0 = long1 = 0
            begun = c
            value = np.int64(0)
            while c < stop and 0x30 <= codes[c] <= 0x39:
                value = (value * 10 + codes[c] - 0x30) % 1_000_000_000_000
                c += 1
            long = c - begun
            start = np.int64(-1)
            number = np.int64(0)
            if long == 4 and 3 <= long1 <= 4 and 2 <= long0 <= 3 and codes[begun0] == 0x30:
                start = begun0
                number = (value0 * 10_000 + value1) * 10_000 + value
            elif long == 4 and long1 == 4 and codes[begun1] == 0x31 and 0x35 <= codes[begun1 + 1] <= 0x38:
                start = begun1
                number = value1 * 10_000 + value
            elif 10 <= long <= 11 and codes[begun] == 0x30 and codes[begun + 1] == 0x31:
                start = begun
                number = value
            if start >= 0:
                if count == len(found):
                    found = np.concatenate((found, np.empty((count, 3), np.int64)))
                found[count, 0] = start
                found[count, 1] = c
                found[count, 2] = number
                count += 1
                long = 0
            begun0, long0, value0 = begun1, long1, value1
            begun1, long1, value1 = begun, long, value
            gap = 0
    return found[:count].copy()


@njit(
    types.float64[:, ::1](
        *(_INTS, _BYTES, _LONGS, _LONGS, _LONGS, types.uint64[::1], _BYTES, _BYTES),
        *(_LONGS, _LONGS, _LONGS, _LONGS, _LONGS, _LONGS),
    ),
    cache=True,
    nogil=True,
)
def korean(  # type: ignore[no-untyped-def]
    codes, classes, word_offsets, word_start, word_end, word_hash, word_classes, ended,
    line_offsets, line_start, line_end, found_start, found_end, found_kind,
):  # fmt: skip
    texts = len(word_offsets) - 1
    out = np.zeros((texts, 8), np.float64)
    most = 1
    for row in range(texts):
        most = max(most, word_offsets[row + 1] - word_offsets[row])
    keys = np.empty(room(most), np.uint64)
    counts = np.empty(room(most), np.int32)
    one = np.uint64(1)
    next_found = 0
    for row in range(texts):
        first = line_offsets[row]
        last = line_offsets[row + 1]
        if first == last:
            continue
        tokens = word_offsets[row + 1] - word_offsets[row]
        text_end = line_end[last - 1]
        seen = np.uint8(0)
        for w in range(word_offsets[row], word_offsets[row + 1]):
            seen |= word_classes[w]
        if not seen & (HANGUL | JAMO | SINGLE):
            while next_found < len(found_start) and found_start[next_found] < text_end:
                next_found += 1
            continue
        letters = 0
        han = 0
        syllables = 0
        runs = 0
        for line in range(first, last):
            of_line = codes[line_start[line] : line_end[line]]
            bits_of_line = classes[line_start[line] : line_end[line]]
            seen = np.uint8(0)
            for bits in bits_of_line:
                seen |= bits
                letters += (bits & LETTER) != 0
                syllables += (bits & HANGUL) != 0
            if seen & SINGLE:
                for at in range(len(of_line)):
                    code = of_line[at]
                    han += (bits_of_line[at] & (LETTER | SINGLE)) == LETTER | SINGLE and (
                        0x3400 <= code <= 0x4DBF
                        or 0x4E00 <= code <= 0x9FFF
                        or 0xF900 <= code <= 0xFAFF
                        or code >= 0x20000
                    )
            if seen & JAMO:
                alike = 1
                for at in range(1, len(of_line)):
                    alike = alike + 1 if of_line[at] == of_line[at - 1] else 1
                    runs += alike == 2 and (bits_of_line[at] & (LETTER | JAMO)) == LETTER | JAMO
        if letters:
            out[row, 0] = han / letters
        if syllables:
            size = room(tokens)
            keys[:size] = 0
            counts[:size] = 0
            real = 0
            unspaced = 0
            spelled = 0
            lone = 0
            repeats = 0
            places = 0
            for w in range(word_offsets[row], word_offsets[row + 1]):
                if not word_classes[w] & CONTENT:
                    continue
                real += 1
                hangul = 0
                if word_classes[w] & HANGUL:
                    for c in range(word_start[w], word_end[w]):
                        hangul += (classes[c] & HANGUL) != 0
                if hangul > 15:
                    unspaced += hangul
                if hangul == 1 and word_end[w] - word_start[w] == 1:
                    lone += 1
                    if lone == 4:
                        spelled += 4
                    elif lone > 4:
                        spelled += 1
                else:
                    lone = 0
                if hangul >= 2 and not ended[w] & 1:
                    wanted = word_hash[w] | one
                    at = slot_of(keys, size - 1, wanted)
                    keys[at] = wanted
                    counts[at] += 1
                    repeats += counts[at] >= 3
                while next_found < len(found_start) and found_end[next_found] <= word_start[w]:
                    next_found += 1
                place = False
                while next_found < len(found_start) and found_end[next_found] <= word_end[w]:
                    begun = found_start[next_found]
                    if found_kind[next_found] == PLACE and begun >= word_start[w] and not place and not ended[w] & 1:
                        clean = True
                        for c in range(word_start[w], begun):
                            clean &= not classes[c] & CONTENT
                        behind = 0
                        for c in range(found_end[next_found], word_end[w]):
                            behind += (classes[c] & CONTENT) != 0
                        place = clean and behind <= 2
                    next_found += 1
                places += place
            out[row, 1] = unspaced / syllables
            if real:
                out[row, 2] = spelled / real
                out[row, 4] = repeats / real
                out[row, 5] = places / real
        real = 0
        if runs:
            for w in range(word_offsets[row], word_offsets[row + 1]):
                real += (word_classes[w] & CONTENT) != 0
            out[row, 3] = runs / max(real, 1)
        while next_found < len(found_start) and found_start[next_found] < text_end:
            next_found += 1
        numbers = phones(codes, line_start[first:last], line_end[first:last])
        if len(numbers):
            line = first
            marked = 0
            last_marked = np.int64(-1)
            repeated = 0
            # A text holds more words than telephone numbers only where the word unit parts them so.
            size = room(min(most, len(numbers)))
            keys[:size] = 0
            held = 0
            for k in range(len(numbers)):
                while line_end[line] <= numbers[k, 0]:
                    line += 1
                if line != last_marked:
                    marked += 1
                    last_marked = line
                wanted = np.uint64(numbers[k, 2]) * np.uint64(2) | one
                at = slot_of(keys, size - 1, wanted)
                if keys[at] == wanted:
                    repeated += 1
                elif 2 * held < size:
                    keys[at] = wanted
                    held += 1
            out[row, 6] = marked / (last - first)
            out[row, 7] = repeated
    return out
