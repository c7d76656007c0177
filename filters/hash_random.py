"""Random numbers that belong to a document: functions of its id, a seed and a salt, whatever file or batch it is in.

The number is xxh64 of the id as UTF-8. A salt (the name of a clause) makes two clauses with the same seed draw
independently: the seed becomes xxh64(salt as UTF-8, seed), which costs nothing per row. Uniform numbers are the hash's
leading bits; Gumbel noise added to log-weights turns the largest k into a sample of k without replacement in
proportion to the weights (Vieira 2014, https://timvieira.github.io/blog/gumbel-max-trick-and-weighted-reservoir-sampling/;
Kool, van Hoof, Welling 2019, https://arxiv.org/abs/1903.06059). A multiplicity becomes a number of copies by a coin that is
the document's. Every figure has the same bits on every machine, so the passes of a search (`pipelines/selection/ranks.py`)
may run on different ones.

xxh64 as in its specification (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md). The logarithm is fdlibm's
(`e_log.c`, Sun Microsystems 1993, error below one unit in the last place), written out because it uses nothing but
+ - * / and so gives the same bits on every machine; numpy's and the C library's depend on the processor.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from winnow.filters.kernel import READ_ONLY, Hashes, ReadBytes, ReadInts, inline, kernel

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

Ids: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"


def hashes(ids: Ids, seed: int, salt: str | None = None) -> npt.NDArray[np.uint64]:
    """xxh64 of each id, shape (n,): seed modulo 2^64 as it is, or with a salt xxh64(salt, seed) in its place.

    `ids` is a string or large_string array without nulls, sliced or chunked as may be. Raises ValueError otherwise.
    """
    if not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)):
        raise ValueError(f"document ids are of type {ids.type}, expected string or large_string")
    if ids.null_count:
        raise ValueError(f"{ids.null_count} of {len(ids)} document ids are null, expected an id in every row")
    wanted = seed % 2**64
    if salt is not None:
        wanted = xxhash.xxh64_intdigest(salt.encode(), wanted)
    width: type[np.signedinteger[Any]] = np.int64 if pa.types.is_large_string(ids.type) else np.int32
    out = np.empty(len(ids), np.uint64)
    done = 0
    for chunk in ids.chunks if isinstance(ids, pa.ChunkedArray) else [ids]:
        if len(chunk) == 0:
            continue
        _, starts, data = chunk.buffers()
        offsets = np.frombuffer(starts, width, len(chunk) + 1, chunk.offset * np.dtype(width).itemsize)
        content = np.frombuffer(data or b"", np.uint8)
        xxh64(content, offsets.astype(np.int64, copy=False), np.uint64(wanted), out[done : done + len(chunk)])
        done += len(chunk)
    return out


def uniform(ids: Ids, seed: int, salt: str | None = None) -> npt.NDArray[np.float64]:
    """Uniform numbers in [0, 1), shape (n,): the 53 leading bits of `hashes`, over 2^53. Arguments as there."""
    return (hashes(ids, seed, salt) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def gumbel(ids: Ids, seed: int, salt: str | None = None) -> npt.NDArray[np.float64]:
    """Standard Gumbel numbers, shape (n,): -ln(-ln u), finite. Arguments as in `hashes`.

    u is the middle of one of 2^52 equal cells, (the 52 leading bits + 1/2) / 2^52: never 0 and never 1, which a
    53rd bit would round to. The numbers lie between -3.7 and 36.8.
    """
    drawn = hashes(ids, seed, salt)
    out = np.empty(drawn.size, np.float64)
    gumbel_of(drawn, out)
    return out


@inline
def _left(value: Any, bits: Any) -> Any:
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@inline
def _four(data: Any, at: Any) -> Any:
    value = np.uint64(data[at])
    value |= np.uint64(data[at + 1]) << np.uint64(8)
    value |= np.uint64(data[at + 2]) << np.uint64(16)
    return value | np.uint64(data[at + 3]) << np.uint64(24)


@inline
def _eight(data: Any, at: Any) -> Any:
    return _four(data, at) | _four(data, at + 4) << np.uint64(32)


@inline
def _round(lane: Any, word: Any) -> Any:
    return _left(lane + word * _P2, 31) * _P1


@inline
def _merge(value: Any, lane: Any) -> Any:
    return (value ^ _round(np.uint64(0), lane)) * _P1 + _P4


@kernel
def xxh64(data: ReadBytes, offsets: ReadInts, seed: np.uint64, out: Hashes) -> None:
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


@inline
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


@kernel
def gumbel_of(hashes: Annotated[npt.NDArray[np.uint64], READ_ONLY], out: npt.NDArray[np.float64]) -> None:
    """out[k] = -ln(-ln u), u = (top 52 bits of hashes[k] + 1/2) / 2^52."""
    for k in range(out.size):
        u = (np.float64(hashes[k] >> np.uint64(12)) + 0.5) * 2.0**-52
        out[k] = -_log(-_log(u))


MOST = 2**16 - 1


def realise(multiplicity: npt.NDArray[np.floating[Any]], ids: pa.Array[Any], seed: int) -> npt.NDArray[np.uint16]:
    """floor(m), and one more where xxh64(id, seed) / 2^64 < m - floor(m): copies per row, expected value m.

    Both have shape (n,); `ids` is a string array without nulls, hashed as UTF-8. A row's copies depend on its id, its
    multiplicity and the seed alone, and never fall when its multiplicity rises. Raises ValueError for a multiplicity
    that is not a number from 0 to 65,535, for lengths that differ and for ids that are null or no strings.
    """
    exact = np.asarray(multiplicity, np.float64)
    if exact.shape != (len(ids),):
        raise ValueError(f"multiplicities of shape {exact.shape} for {len(ids)} ids")
    good = (exact >= 0) & (exact <= MOST)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"document '{ids[row]}' has multiplicity {exact[row]}, expected a number from 0 to {MOST}")
    whole = np.floor(exact)
    copies = whole.astype(np.uint16)
    if (exact != whole).any():
        # a fraction below 1 has at most 53 bits, so its product with 2^64 is exact and fits; without one it is 0,
        # which no hash is below
        copies += hashes(ids, seed) < ((exact - whole) * 2.0**64).astype(np.uint64)
    return copies
