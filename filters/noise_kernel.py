"""The loops of `filters/noise.py`, apart so that importing a caller does not import numba.

xxh64 as in its specification (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md). The logarithm is fdlibm's
(`e_log.c`, Sun Microsystems 1993, error below one unit in the last place), written out because it uses nothing but
+ - * / and so gives the same bits on every machine; numpy's and the C library's depend on the processor.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)
_BYTE = np.uint64(8)

_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_ODD = (6.666666666666735130e-01, 2.857142874366239149e-01, 1.818357216161805012e-01, 1.479819860511658591e-01)
_EVEN = (3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01)
_ROOT_HALF = 0.70710678118654752


@njit(cache=True, nogil=True, inline="always")
def _left(value: Any, bits: Any) -> Any:
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@njit(cache=True, nogil=True, inline="always")
def _four(data: Any, at: Any) -> Any:
    value = np.uint64(data[at])
    value |= np.uint64(data[at + 1]) << np.uint64(8)
    value |= np.uint64(data[at + 2]) << np.uint64(16)
    return value | np.uint64(data[at + 3]) << np.uint64(24)


@njit(cache=True, nogil=True, inline="always")
def _eight(data: Any, at: Any) -> Any:
    return _four(data, at) | _four(data, at + 4) << np.uint64(32)


@njit(cache=True, nogil=True, inline="always")
def _round(lane: Any, word: Any) -> Any:
    return _left(lane + word * _P2, 31) * _P1


@njit(cache=True, nogil=True, inline="always")
def _merge(value: Any, lane: Any) -> Any:
    return (value ^ _round(np.uint64(0), lane)) * _P1 + _P4


def _read(kind: Any) -> Any:
    return types.Array(kind, 1, "C", readonly=True)


@njit(types.void(_read(types.uint8), _read(types.int64), types.uint64, types.uint64[::1]), cache=True, nogil=True)
def xxh64(data: Any, offsets: Any, seed: Any, out: Any) -> None:
    """out[k] = xxh64 of data[offsets[k]:offsets[k + 1]] with `seed`; uint8, int64, uint64, uint64."""
    for k in range(out.size):
        at = offsets[k]
        end = offsets[k + 1]
        size = np.uint64(end - at)
        if end - at >= 32:
            one = seed + _P1 + _P2
            two = seed + _P2
            three = seed
            four = seed - _P1
            while at + 32 <= end:
                one = _round(one, _eight(data, at))
                two = _round(two, _eight(data, at + 8))
                three = _round(three, _eight(data, at + 16))
                four = _round(four, _eight(data, at + 24))
                at += 32
            value = _left(one, 1) + _left(two, 7) + _left(three, 12) + _left(four, 18)
            value = _merge(_merge(_merge(_merge(value, one), two), three), four)
        else:
            value = seed + _P5
        value += size
        while at + 8 <= end:
            value = _left(value ^ _round(np.uint64(0), _eight(data, at)), 27) * _P1 + _P4
            at += 8
        if at + 4 <= end:
            value = _left(value ^ _four(data, at) * _P1, 23) * _P2 + _P3
            at += 4
        while at < end:
            value = _left(value ^ np.uint64(data[at]) * _P5, 11) * _P1
            at += 1
        value = (value ^ value >> np.uint64(33)) * _P2
        value = (value ^ value >> np.uint64(29)) * _P3
        out[k] = value ^ value >> np.uint64(32)


@njit(cache=True, nogil=True, inline="always")
def _log(x: Any) -> Any:
    """The natural logarithm of a normal positive number."""
    fraction, exponent = math.frexp(x)
    if fraction < _ROOT_HALF:
        fraction *= 2.0
        exponent -= 1
    f = fraction - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (_EVEN[0] + w * (_EVEN[1] + w * _EVEN[2]))
    odd = z * (_ODD[0] + w * (_ODD[1] + w * (_ODD[2] + w * _ODD[3])))
    half = 0.5 * f * f
    return exponent * _LN2_HIGH - ((half - (s * (half + even + odd) + exponent * _LN2_LOW)) - f)


@njit(types.void(_read(types.uint64), types.float64[::1]), cache=True, nogil=True)
def gumbel(hashes: Any, out: Any) -> None:
    """out[k] = -ln(-ln u), u = (top 52 bits of hashes[k] + 1/2) / 2^52."""
    for k in range(out.size):
        u = (np.float64(hashes[k] >> np.uint64(12)) + 0.5) * 2.0**-52
        out[k] = -_log(-_log(u))
