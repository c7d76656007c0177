"""A set of millions of names, each with the list that it stands in, nine bytes apiece.

Names are their 64-bit hashes (xxh64), sorted, with the number of the list beside each in one byte (two from 256 lists
on). A name that is in no list is taken for one that is with probability n / 2^64 for n entries: 2.4e-13 for 4.5 million.
A host asks once for itself and each domain above it; over a thousand million hosts of four names each and 4.5 million
entries that is one wrong answer in a thousand crawls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class HashTable:
    """`hashes`: sorted, distinct. `owners` (uint8 or uint16): aligned with them, the position of the list."""

    hashes: Hashes
    owners: npt.NDArray[Any]

    @property
    def bytes(self) -> int:
        """What it occupies."""
        return self.hashes.nbytes + self.owners.nbytes

    def find(self, hashes: Hashes) -> npt.NDArray[np.int32]:
        """The list of each hash, -1 where it is in none."""
        if self.hashes.size == 0:
            return np.full(hashes.size, -1, np.int32)
        at = np.minimum(np.searchsorted(self.hashes, hashes), self.hashes.size - 1)
        return np.where(self.hashes[at] == hashes, self.owners[at].astype(np.int32), np.int32(-1))


def hash_of(name: str) -> int:
    """xxh64 of the name's UTF-8, seed 0."""
    return xxhash.xxh64_intdigest(name.encode())


def distinct(hashes: Hashes) -> Hashes:
    """Sorted, each once. (`numpy.unique` goes through a hash table, at six times the time for millions.)"""
    out = np.sort(hashes)
    return out[np.concatenate(([True], out[1:] != out[:-1]))] if out.size else out


def table(parts: Sequence[tuple[int, Hashes]]) -> HashTable:
    """The union of (list, hashes in any order); what several hold belongs to the first."""
    kind = np.uint8 if all(owner < 2**8 for owner, _ in parts) else np.uint16
    hashes: Hashes = np.empty(0, np.uint64)
    owners: npt.NDArray[Any] = np.empty(0, kind)
    for owner, part in parts:
        new = distinct(part)
        if hashes.size:
            at = np.minimum(np.searchsorted(hashes, new), hashes.size - 1)
            new = new[hashes[at] != new]
            places = np.searchsorted(hashes, new)
            owners = np.insert(owners, places, owner)
            hashes = np.insert(hashes, places, new)
        else:
            hashes, owners = new, np.full(new.size, owner, kind)
    return HashTable(hashes, owners)
