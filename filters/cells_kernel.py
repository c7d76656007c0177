"""The loops of `filters/cells.py` and `filters/moments.py`, apart so that importing a caller does not import numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: multiplicative hashing (Knuth, volume 3, 6.4)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_27 = np.uint64(27)


@njit(cache=True, nogil=True)
def tally(cells: Any, values: Any, found: Any, sums: Any) -> Any:
    """Sums the rows of `values` (n, k) by `cells` (n,) into `found` and `sums`, room for n; returns how many cells."""
    bits = 12
    while bits < 16 and 1 << bits < 2 * cells.size:
        bits += 1
    table = np.full(1 << bits, -1, np.int64)
    used = 0
    for i in range(cells.size):
        cell = cells[i]
        at = np.int64((cell * _GOLDEN) >> np.uint64(64 - bits))
        while table[at] >= 0 and found[table[at]] != cell:
            at = (at + 1) & (table.size - 1)
        if table[at] >= 0:
            for j in range(values.shape[1]):
                sums[table[at], j] += values[i, j]
            continue
        table[at] = used
        found[used] = cell
        for j in range(values.shape[1]):
            sums[used, j] = values[i, j]
        used += 1
        if 2 * used > table.size:
            bits += 1
            table = np.full(1 << bits, -1, np.int64)
            for k in range(used):
                at = np.int64((found[k] * _GOLDEN) >> np.uint64(64 - bits))
                while table[at] >= 0:
                    at = (at + 1) & (table.size - 1)
                table[at] = k
    return used


@njit(cache=True, nogil=True, inline="always")
def _add(limbs: Any, start: Any, value: Any, position: Any, sign: Any) -> None:
    """limbs += sign * value * 2^position, limbs of 32 bits from `start`; value below 2^63."""
    at = start + (position >> 5)
    shift = np.uint64(position & 31)
    limbs[at] += sign * np.int64((value << shift) & _LOW)
    limbs[at + 1] += sign * np.int64((value >> (_32 - shift)) & _LOW)
    limbs[at + 2] += sign * np.int64((value >> _32) >> (_32 - shift))


@njit(cache=True, nogil=True)
def accumulate(bits: Any, codes: Any, limbs: Any, first: Any, second: Any) -> None:
    """Adds 1, x and x^2 of every row to limbs[code]: at 0 the count, from `first` the sum, from `second` the squares.

    `bits`: float64 as uint64, no NaN. Slots 1 and 2 count the infinities, which are in neither sum. The unit of the
    sum is 2^-1074, of the squares 2^-2148. Limbs end between -2^31 and 2^31, so few are not zero."""
    for i in range(bits.size):
        row = limbs[codes[i]]
        sign = -1 if bits[i] >> np.uint64(63) else 1
        exponent = np.int64((bits[i] >> np.uint64(52)) & np.uint64(0x7FF))
        mantissa = bits[i] & np.uint64(0xFFFFFFFFFFFFF)
        row[0] += 1
        if exponent == 0x7FF:
            row[1 if sign > 0 else 2] += 1
            continue
        if exponent > 0:
            mantissa |= np.uint64(1) << np.uint64(52)
            exponent -= 1
        if mantissa == 0:
            continue
        _add(row, first, mantissa, exponent, sign)
        high = mantissa >> _27
        low = mantissa & np.uint64(0x7FFFFFF)
        _add(row, second, high * high, 2 * exponent + 54, 1)
        _add(row, second, high * low, 2 * exponent + 28, 1)
        _add(row, second, low * low, 2 * exponent, 1)
    for k in range(limbs.shape[0]):
        row = limbs[k]
        for j in range(first, row.size - 1):
            if j == second - 1:
                continue
            carry = (row[j] + (1 << 31)) >> 32
            row[j] -= carry << 32
            row[j + 1] += carry
