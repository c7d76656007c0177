"""How much of a document stands in held-out texts: windows of characters, white space apart, looked up exactly by hash.

Every 16th window of 32 visible characters of the held-out texts is remembered; a copy of 48 visible characters cannot miss
one. A document's share is the windows of its own that are found, times 16, over its visible characters: about 1 for a
copy, about 0 for what merely quotes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from winnow.filters.kernel import Hashes, Ints, ReadBytes, ReadCodes, ReadInts, kernel
from winnow.filters.ngram.symbols import points_of

WINDOW = 32
STEP = 16
TABLE_BITS = 24

_BASE = np.uint64(0x100000001B3)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_ROLL = np.uint64(pow(0x100000001B3, WINDOW, 2**64))


@kernel
def windows(points: ReadCodes, starts: ReadInts, spaces: ReadBytes, out: Hashes, ends: Ints) -> None:
    """The hash of every window of visible characters, document by document; `ends[d]` is where those of d end."""
    used = 0
    ring = np.zeros(WINDOW, np.uint64)
    for document in range(starts.size - 1):
        value = np.uint64(0)
        seen = 0
        for at in range(starts[document], starts[document + 1]):
            if spaces[points[at]]:
                continue
            point = np.uint64(points[at]) + np.uint64(1)
            value = value * _BASE + point - ring[seen % WINDOW] * _ROLL * np.uint64(seen >= WINDOW)
            ring[seen % WINDOW] = point
            seen += 1
            if seen >= WINDOW:
                mixed = (value ^ (value >> np.uint64(31))) * _MIX
                out[used] = mixed ^ (mixed >> np.uint64(29))
                used += 1
        ends[document] = used


def windows_of(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Hashes of all windows, and where each document's begin, int64 [texts + 1]."""
    points = points_of("".join(texts)).astype(np.int32)
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=starts[1:])
    spaces = np.zeros(int(points.max(initial=0)) + 1, np.uint8)
    for point in np.unique(points).tolist():
        spaces[point] = chr(point).isspace()
    out, ends = np.empty(len(points), np.uint64), np.zeros(len(texts), np.int64)
    windows(points, starts, spaces, out, ends)
    bounds = np.concatenate([np.zeros(1, np.int64), ends])
    return out[: bounds[-1]], bounds


class HeldOut:
    """The windows of held-out texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        hashes, bounds = windows_of(texts)
        chosen = [hashes[low:high:STEP] for low, high in itertools.pairwise(bounds)]
        self._known = np.unique(np.concatenate(chosen)) if chosen else np.zeros(0, np.uint64)
        self._maybe = np.zeros(1 << TABLE_BITS, np.bool_)
        self._maybe[self._known >> np.uint64(64 - TABLE_BITS)] = True

    def shares(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """The share of each text that is found, [texts]; 0 for texts shorter than a window."""
        hashes, bounds = windows_of(texts)
        hit = self._maybe[hashes >> np.uint64(64 - TABLE_BITS)]
        at = np.flatnonzero(hit)
        hit[at] = np.isin(hashes[at], self._known)
        found = np.concatenate([np.zeros(1, np.int64), np.cumsum(hit)])[bounds]
        shares: npt.NDArray[np.float64] = np.minimum(1.0, STEP * np.diff(found) / np.maximum(np.diff(bounds), 1))
        return shares
