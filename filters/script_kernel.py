"""The counting kernel of `filters/script.py`, apart so that importing the table does not import numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

_BLOCK = 64
_HIGH = np.uint64(0x8080808080808080)
_ONES = np.uint64(0x0101010101010101)
_AMPERSANDS = np.uint64(0x2626262626262626)


_BYTES = types.Array(types.uint8, 1, "C", readonly=True)


@njit((_BYTES, _BYTES), cache=True, nogil=True)
def scan(data: Any, table: Any) -> Any:
    """UTF-8 bytes -> (characters in `table`, non-ASCII characters, valid multi-byte sequences, invalid bytes).

    The first two include numeric character references (`&#44032;`, `&#xAC00;`); the last two tell whether the bytes
    are UTF-8 at all. Well-formedness as in table 3-7 of the Unicode standard."""
    size = data.size
    words = data[: size // 8 * 8].view(np.uint64)
    ours = foreign = good = bad = 0
    i = 0
    while i < size:
        end = min(i + _BLOCK, size)
        if i & 7 == 0 and i + _BLOCK <= size:
            # Eight bytes at a time: a high bit is non-ASCII, a zero byte after the exclusive or an ampersand
            # (Hacker's Delight, 6-1: borrows may add false alarms, never hide one).
            seen = np.uint64(0)
            first = i >> 3
            for j in range(_BLOCK // 8):
                word = words[first + j]
                rest = word ^ _AMPERSANDS
                seen |= word | ((rest - _ONES) & ~rest)
            if seen & _HIGH == 0:
                i = end
                continue
        else:
            end = min((i | 7) + 1, size)
        while i < end:
            byte = data[i]
            if byte < 0x80:
                i += 1
                if byte != 38 or i + 2 >= size or data[i] != 35:
                    continue
                i += 1
                base = 10
                if data[i] == 120 or data[i] == 88:
                    base = 16
                    i += 1
                point = 0
                while i < size and point < 0x110000:
                    digit = data[i]
                    if 48 <= digit <= 57:
                        value = digit - 48
                    elif base == 16 and 97 <= (digit | 32) <= 102:
                        value = (digit | 32) - 87
                    else:
                        break
                    point = point * base + value
                    i += 1
                if 0x80 <= point < 0x110000:
                    foreign += 1
                    if point < table.size:
                        ours += table[point]
                continue
            length = 0
            low, high = 0x80, 0xBF
            if 0xC2 <= byte <= 0xDF:
                length, point = 1, byte & 0x1F
            elif 0xE0 <= byte <= 0xEF:
                length, point = 2, byte & 0x0F
                if byte == 0xE0:
                    low = 0xA0
                elif byte == 0xED:
                    high = 0x9F
            elif 0xF0 <= byte <= 0xF4:
                length, point = 3, byte & 0x07
                if byte == 0xF0:
                    low = 0x90
                elif byte == 0xF4:
                    high = 0x8F
            i += 1
            valid = length > 0
            for _ in range(length):
                if i >= size or data[i] < low or data[i] > high:
                    valid = False
                    break
                point = (point << 6) | (data[i] & 0x3F)
                low, high = 0x80, 0xBF
                i += 1
            if not valid:
                bad += 1
                continue
            good += 1
            foreign += 1
            if point < table.size:
                ours += table[point]
    return ours, foreign, good, bad
