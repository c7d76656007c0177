"""The stretches of a column of UTF-8 that can hold personal data, found in one pass over its bytes.

Nothing is decoded: a state per byte counts digits, full-width ones included, across the separators that numbers are
written with, and looks around an at sign, colons and the last syllable of a road's name. Of ordinary Korean text some hundredths
are left, which `search` then decodes and matches.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from winnow.filters.kernel import Bytes, IntRows, Ints, ReadBytes, ReadInts, kernel, subroutine

AT = 1  # an at sign between letters or digits (with `written`, also one in words)
NUMBER = 2  # at least 9 digits, no more than 3 separators between two of them; 7 after a capital letter
DOTTED = 4  # four groups of digits with a dot between
COLONS = 8  # `::` or seven colons among hexadecimal digits
STREET = 16  # 로, 길, 동, 리 or 가 and a number, not far behind 시, 군 or 구

AROUND = 72
"""Characters in front of and behind a candidate that the kinds may look at for words."""

_FIELDS = 5


def windows(offsets: Ints, data: Bytes, written: bool = False) -> Ints:
    """Stretches to look at, [windows, 5]: row, first byte (from the start of `data`), end byte, first character (from the
    start of its text), and the bits above that occur in it.

    Text `i` is `data[offsets[i]:offsets[i + 1]]`, UTF-8. Windows are in order and apart, no candidate is cut by the edge of
    one, and none crosses a text's bounds. Text that is not UTF-8 is read without failing.
    """
    return _windows(offsets, data, written)


@subroutine
def _digit(data: Any, at: Any, end: Any) -> Any:
    """Bytes of the digit at `at`, ASCII or full-width; 0 where there is none."""
    if 48 <= data[at] <= 57:
        return 1
    if data[at] == 0xEF and at + 2 < end and data[at + 1] == 0xBC and 0x90 <= data[at + 2] <= 0x99:
        return 3
    return 0


@subroutine
def _separator(data: Any, at: Any, end: Any) -> Any:
    """Bytes of the separator at `at`; 0 where there is none."""
    c = data[at]
    if c == 32 or c == 45 or c == 46 or c == 40 or c == 41 or c == 47 or c == 95 or c == 9 or c == 43 or c == 60:
        return 1
    if c == 0xC2 and at + 1 < end and (data[at + 1] == 0xA0 or data[at + 1] == 0xB7):
        return 2
    if at + 2 < end:
        d, e = data[at + 1], data[at + 2]
        if c == 0xE2 and ((d == 0x80 and (0x82 <= e <= 0x95 or e == 0xAF)) or (d == 0x88 and (e == 0x92 or e == 0x99))):
            return 3
        if c == 0xE3 and ((d == 0x80 and e == 0x80) or (d == 0x85 and e == 0xA1) or (d == 0x86 and e == 0x8D)):
            return 3
        if c == 0xEF and (d == 0xBC and (e == 0x88 or e == 0x89 or e == 0x8B or e == 0x8D or e == 0x8E or e == 0x8F)):
            return 3
        if c == 0xEF and ((d == 0xB9 and e == 0xA3) or (d == 0xBD and e == 0xB0)):
            return 3
    return 0


@subroutine
def _word(c: Any) -> Any:
    return 48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122


@subroutine
def _hexadecimal(c: Any) -> Any:
    return 48 <= c <= 57 or 65 <= c <= 70 or 97 <= c <= 102


@subroutine
def _street(data: Any, begin: Any, at: Any) -> Any:
    """Whether the number at `at` can be that of a building or a lot."""
    k = at
    while k > begin and data[k - 1] == 32 and at - k < 2:
        k -= 1
    if k - begin < 12:
        return False
    a, b, c = data[k - 3], data[k - 2], data[k - 1]
    road = (a == 0xEB and b == 0xA1 and c == 0x9C) or (a == 0xEA and b == 0xB8 and c == 0xB8)  # 로, 길
    lot = (a == 0xEB and b == 0x8F and c == 0x99) or (a == 0xEB and b == 0xA6 and c == 0xAC)  # 동, 리
    lot = lot or (a == 0xEA and b == 0xB0 and c == 0x80) or (a == 0xEC and b == 0x82 and c == 0xB0)  # 가, 산
    if not road and not lot:
        return False
    for j in range(k - 4, max(begin, k - 72) + 2, -1):
        if data[j] == 32:
            a, b, c = data[j - 3], data[j - 2], data[j - 1]
            if (a == 0xEA and b == 0xB5 and (c == 0xAC or c == 0xB0)) or (a == 0xEC and b == 0x8B and c == 0x9C):
                return True  # 구, 군, 시
            if (a == 0xEC and b == 0x9D and c == 0x8D) or (a == 0xEB and b == 0xA9 and c == 0xB4):
                return True  # 읍, 면
    return False


@kernel
def _windows(offsets: ReadInts, data: ReadBytes, written: bool) -> IntRows:
    out = np.empty((256, _FIELDS), np.int64)
    size = 0
    for row in range(len(offsets) - 1):
        begin, end = offsets[row], offsets[row + 1]
        first_of_row = size
        characters = 0  # of this row before `at`
        at = begin
        # The run of digits that is open: where it began, its last digit's end, and what it has.
        run = np.int64(-1)
        run_end = np.int64(0)
        count = 0
        dots = 0
        gap = 0
        letters = 0
        capital = False
        dotted = False
        street = False
        while at <= end:
            flag = 0
            low, high = at, at
            step = 1
            digit = _digit(data, at, end) if at < end else 0
            close = at == end
            if digit:
                step = digit
                if run < 0:
                    run = at
                    count, dots = 0, 0
                    capital = at > begin and 65 <= data[at - 1] <= 90
                    capital = capital or (at - 1 > begin and data[at - 1] == 32 and 65 <= data[at - 2] <= 90)
                    dotted = False
                    street = _street(data, begin, at)
                elif gap == 1 and (data[at - 1] == 46 or data[at - 1] == 0x8E):
                    dots += 1
                    dotted = dotted or dots >= 3
                elif gap:
                    dots = 0
                    if not street:
                        street = _street(data, begin, at)
                count += 1
                gap, letters = 0, 0
                run_end = at + step
            elif at < end:
                c = data[at]
                if run >= 0:
                    width = _separator(data, at, end)
                    if width:
                        step = width
                        gap += 1
                    elif 65 <= c <= 90 and gap == 0:
                        letters += 1
                        gap += 1
                        capital = True
                    else:
                        close = True
                    if gap > 3 or letters > 1:
                        close = True
                if c == 64 or (
                    (c == 0xEF or c == 37)
                    and at + 2 < end
                    and (
                        (c == 0xEF and data[at + 1] == 0xBC and data[at + 2] == 0xA0)
                        or (c == 37 and data[at + 1] == 52 and data[at + 2] == 48)  # %40
                    )
                ):
                    wide = 1 if c == 64 else 3
                    after = at + wide
                    if (
                        at > begin
                        and after < end
                        and (
                            data[at - 1] >= 0x80
                            or _word(data[at - 1])
                            or data[at - 1] == 95
                            or data[at - 1] == 45
                            or data[at - 1] == 43
                        )
                    ) and (_word(data[after]) or data[after] >= 0x80):
                        flag = AT
                        low, high = at, after
                elif c == 58 and at + 1 < end:
                    if data[at + 1] == 58 and at > begin and _hexadecimal(data[at - 1]):
                        flag = COLONS
                    elif at > begin and _hexadecimal(data[at - 1]) and _hexadecimal(data[at + 1]):
                        colons = 0
                        k = at
                        while k < end and k - at < 40 and (data[k] == 58 or _hexadecimal(data[k])):
                            colons += data[k] == 58
                            k += 1
                        if colons >= 7:
                            flag = COLONS
                elif written and at + 3 < end:
                    if (c == 91 or c == 40 or c == 123 or c == 60) and at > begin:
                        k = at + 1
                        if data[k] == 32:
                            k += 1
                        if (k + 1 < end and (data[k] | 32) == 97 and (data[k + 1] | 32) == 116) or (
                            k + 2 < end and data[k] == 0xEC and data[k + 1] == 0x95 and data[k + 2] == 0xB3
                        ):
                            flag = AT
                    elif (
                        at + 9 < end
                        and c == 0xEA
                        and data[at + 1] == 0xB3
                        and data[at + 2] == 0xA8
                        and data[at + 3] == 0xEB
                    ):
                        flag = AT  # 골뱅이
                if flag and flag != AT:
                    low, high = at, at + 1
                elif flag and low == high:
                    high = at + 1
            if flag in (AT, COLONS):
                reach = 72 if flag == AT else 48
                k = low
                while k > begin and low - k < reach and data[k - 1] > 32:
                    k -= 1
                low = k
                reach = 260 if flag == AT else 64
                k = high
                while k < end and k - high < reach and data[k] > 32:
                    k += 1
                high = k
            for part in range(2):
                bits = 0
                if part == 0 and close and run >= 0:
                    if count >= 9 or (capital and count >= 7):
                        bits |= NUMBER
                    if dotted:
                        bits |= DOTTED
                    if street:
                        bits |= STREET
                    lo, hi = run, run_end
                elif part == 1 and flag:
                    bits = flag
                    lo, hi = low, high
                if not bits:
                    continue
                if bits & STREET:
                    hi = min(end, hi)
                moved = 0
                while lo > begin and moved < AROUND:
                    lo -= 1
                    moved += (data[lo] & 0xC0) != 0x80
                moved = 0
                while hi < end and moved <= AROUND:
                    hi += 1
                    moved += hi < end and (data[hi] & 0xC0) != 0x80
                if hi < end:
                    while hi > lo and (data[hi] & 0xC0) == 0x80:
                        hi -= 1
                # A window may begin in front of the ones before it: join them.
                while size > first_of_row and out[size - 1, 2] >= lo:
                    lo = min(lo, out[size - 1, 1])
                    hi = max(hi, out[size - 1, 2])
                    bits |= out[size - 1, 4]
                    size -= 1
                if size == len(out):
                    grown = np.empty((2 * size, _FIELDS), np.int64)
                    grown[:size] = out
                    out = grown
                out[size, 0] = row
                out[size, 1] = lo
                out[size, 2] = hi
                out[size, 3] = 0
                out[size, 4] = bits
                size += 1
            if close:
                run = np.int64(-1)
                gap, letters = 0, 0
            at += step
        # Bytes to characters, once the windows of the row are known.
        at = begin
        for w in range(first_of_row, size):
            while at < out[w, 1]:
                characters += (data[at] & 0xC0) != 0x80
                at += 1
            out[w, 3] = characters
    return out[:size].copy()
