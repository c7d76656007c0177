"""How far a text compresses: low for boilerplate and repetition, high for lists of codes, names and noise.

Source: the compression ratio as a measure of difficulty is that of Zhang et al. 2025, *Beyond Random Sampling*,
arXiv:2506.11300. The compressor is Zstandard (RFC 8878) at one fixed level, whose output for a release of the library
does not depend on the machine; builds of zlib (the original, zlib-ng, ISA-L) write different bytes, and some of them
other bytes on another processor. The release comes with the package `zstandard`, whose version is locked.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from winnow.filters.rules.measure import Measure

if TYPE_CHECKING:
    from winnow.filters.rules.words import Bytes, Ints

LEVEL = 3
"""Zstandard's default: a window of at most 2 MiB, which bounds memory, and its next level gains little on text."""

CURRICULUM = "Beyond Random Sampling, arXiv:2506.11300"

COLUMNS = ("compression_ratio",)

MEASURES = (
    Measure(
        "compression_ratio",
        "ratio",
        CURRICULUM,
        "bytes after Zstandard (level 3) / UTF-8 bytes of the whole text, 0 for an empty one. Short texts compress less "
        "(above 1 below some 20 bytes), so that a clause asks for a word_count too",
    ),
)


def compression(offsets: Ints, data: Bytes) -> npt.NDArray[np.float64]:
    """[texts, COLUMNS]; text `i` is `data[offsets[i]:offsets[i + 1]]`, valid UTF-8 or not. One context serves them all."""
    import zstandard

    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False, write_content_size=False)
    held = np.ascontiguousarray(data).data
    bounds = offsets.tolist()
    found = np.zeros((len(bounds) - 1, 1), np.float64)
    for row, (start, end) in enumerate(pairwise(bounds)):
        if end > start:
            found[row, 0] = len(compressor.compress(held[start:end])) / (end - start)
    return found
