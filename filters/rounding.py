"""From a multiplicity to a number of copies, by a coin that belongs to the document."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.filters.noise import hashes

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
