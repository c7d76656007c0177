"""The kernels of `filters/rules/url_shape.py`, over UTF-8 bytes, valid or not."""

from __future__ import annotations

import numpy as np
from numba import njit, types

_OFFSETS = types.Array(types.int64, 1, "C", readonly=True)
_DATA = types.Array(types.uint8, 1, "C", readonly=True)


@njit(inline="always")
def _digit(byte):  # type: ignore[no-untyped-def]
    return 0x30 <= byte <= 0x39


_COUNTS_SHARES = types.Tuple((types.int64[:, ::1], types.float64[::1]))  # type: ignore[no-untyped-call]


@njit(_COUNTS_SHARES(_OFFSETS, _DATA), cache=True, nogil=True)
def parts(offsets, data):  # type: ignore[no-untyped-def]
    """Length, depth, parameters [rows, 3] and the share of digits [rows]."""
    rows = len(offsets) - 1
    counts = np.zeros((rows, 3), np.int64)
    shares = np.zeros(rows, np.float64)
    for row in range(rows):
        start = offsets[row]
        end = offsets[row + 1]
        for i in range(start, end):
            counts[row, 0] += (data[i] & 0xC0) != 0x80
        at = start
        while at < end and data[at] != 0x3A and data[at] != 0x2F and data[at] != 0x3F and data[at] != 0x23:
            at += 1
        if at + 2 < end and data[at] == 0x3A and data[at + 1] == 0x2F and data[at + 2] == 0x2F:
            at += 3
        else:
            at = start
        while at < end and data[at] != 0x2F and data[at] != 0x3F and data[at] != 0x23:
            at += 1
        segment = 0
        characters = 0
        digits = 0
        while at < end and data[at] != 0x3F and data[at] != 0x23:
            if data[at] == 0x2F:
                segment = 0
            elif (data[at] & 0xC0) != 0x80:
                counts[row, 1] += segment == 0
                segment += 1
                characters += 1
                digits += _digit(data[at])
            at += 1
        if characters:
            shares[row] = digits / characters
        if at < end and data[at] == 0x3F:
            length = 0
            at += 1
            while at < end and data[at] != 0x23:
                if data[at] == 0x26:
                    length = 0
                else:
                    counts[row, 2] += length == 0
                    length += 1
                at += 1
    return counts, shares


@njit(inline="always")
def _number(data, start, digits):  # type: ignore[no-untyped-def]
    value = 0
    for i in range(start, start + digits):
        if not _digit(data[i]):
            return -1
        value = value * 10 + (data[i] - 0x30)
    return value


@njit(types.int64[:, ::1](_OFFSETS, _DATA), cache=True, nogil=True)
def days(offsets, data):  # type: ignore[no-untyped-def]
    """Days since 1970-01-01, year, and 1 where the row begins with a date of the calendar [rows, 3]."""
    rows = len(offsets) - 1
    out = np.zeros((rows, 3), np.int64)
    for row in range(rows):
        start = offsets[row]
        length = offsets[row + 1] - start
        if length >= 10 and data[start + 4] == 0x2D and data[start + 7] == 0x2D:
            month = _number(data, start + 5, 2)
            day = _number(data, start + 8, 2)
            if length > 10 and _digit(data[start + 10]):
                continue
        elif length >= 8 and (length in (8, 14) or not _digit(data[start + 8])):
            month = _number(data, start + 4, 2)
            day = _number(data, start + 6, 2)
        else:
            continue
        year = _number(data, start, 4)
        if year < 1 or not 1 <= month <= 12 or day < 1:
            continue
        leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
        longest = 31
        if month in (4, 6, 9, 11):
            longest = 30
        elif month == 2:
            longest = 28 + leap
        if day > longest:
            continue
        # Days before the year, before the month (March first, so that a leap day comes last), in the month.
        shifted = year - (month <= 2)
        before = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400
        in_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
        out[row, 0] = before + in_year - 719468
        out[row, 1] = year
        out[row, 2] = 1
    return out
