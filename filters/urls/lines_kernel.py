"""The loop that reads lists of plain names, apart so that importing a caller does not import numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

_DOT, _HASH, _HYPHEN, _UNDERSCORE = 46, 35, 45, 95


_BYTES = types.uint8[::1]
_LONGS = types.int64[::1]
_READ = types.Array(types.uint8, 1, "C", readonly=True)


@njit((_READ, _BYTES, _LONGS, _BYTES, _LONGS, _LONGS, types.int64[:, ::1], _LONGS), cache=True, nogil=True)
def plain_names(
    data: Any, names: Any, name_offsets: Any, parents: Any, parent_offsets: Any, plain: Any, starts: Any, ends: Any
) -> Any:
    """Sorts the lines of `data` (uint8, ends with a newline) into plain names and others.

    A plain name consists of two or more labels of ASCII letters, digits, hyphens and underscores, the last not of
    digits alone. It is written in lower case to `names`, and what follows its first dot to `parents`, one after the
    other, with where they end in `*_offsets` [1 + plain]; `plain` gets its line. Of the others that are neither blank
    nor a comment, `starts` and `ends` get their first and last byte, and the line. Returns how many there are of both
    and of lines: (plain, others, lines).
    """
    count, others, line = 0, 0, 0
    used, parent_used = 0, 0
    name_offsets[0] = 0
    parent_offsets[0] = 0
    start = 0
    for at in range(data.size):
        if data[at] != 10:
            continue
        begin, end = start, at
        start = at + 1
        while begin < end and (data[begin] == 32 or data[begin] == 9):
            begin += 1
        while end > begin and (data[end - 1] == 32 or data[end - 1] == 9 or data[end - 1] == 13):
            end -= 1
        line += 1
        if begin == end or data[begin] == _HASH:
            continue
        first_dot, last_dot = -1, begin - 1
        good, digits = end - begin <= 253, True
        for i in range(begin, end):
            byte = data[i]
            if 65 <= byte <= 90:
                byte += np.uint8(32)
            if byte == _DOT:
                if i == last_dot + 1:
                    good = False
                    break
                if first_dot < 0:
                    first_dot = i
                last_dot = i
                digits = True
            elif 97 <= byte <= 122 or byte in (_HYPHEN, _UNDERSCORE):
                digits = False
            elif not 48 <= byte <= 57:
                good = False
                break
            names[used + i - begin] = byte
        if not good or first_dot < 0 or last_dot == end - 1 or digits:
            starts[others, 0], starts[others, 1] = begin, line
            ends[others] = end
            others += 1
            continue
        for i in range(first_dot + 1, end):
            parents[parent_used] = names[used + i - begin]
            parent_used += 1
        used += end - begin
        name_offsets[count + 1] = used
        parent_offsets[count + 1] = parent_used
        plain[count] = line
        count += 1
    return count, others, line
