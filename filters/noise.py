"""Random numbers that belong to a document: functions of its id, a seed and a salt, whatever file or batch it is in.

The number is xxh64 of the id as UTF-8. A salt (the name of a clause) makes two clauses with the same seed draw
independently: the seed becomes xxh64(salt as UTF-8, seed), which costs nothing per row. Uniform numbers are the hash's
leading bits; Gumbel noise added to log-weights turns the largest k into a sample of k without replacement in
proportion to the weights (Vieira 2014, https://timvieira.github.io/blog/gumbel-max-trick-and-weighted-reservoir-sampling/;
Kool, van Hoof, Welling 2019, https://arxiv.org/abs/1903.06059). Every figure has the same bits on every machine, so
the passes of a search (`pipelines/selection/ranks.py`) may run on different ones.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

Ids: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"


def hashes(ids: Ids, seed: int, salt: str | None = None) -> npt.NDArray[np.uint64]:
    """xxh64 of each id, shape (n,): seed modulo 2^64 as it is, or with a salt xxh64(salt, seed) in its place.

    `ids` is a string or large_string array without nulls, sliced or chunked as may be. Raises ValueError otherwise.
    """
    from winnow.filters.noise_kernel import xxh64

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
    from winnow.filters import noise_kernel

    drawn = hashes(ids, seed, salt)
    out = np.empty(drawn.size, np.float64)
    noise_kernel.gumbel(drawn, out)
    return out
