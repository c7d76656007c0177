"""The words of texts as strings, cut as the rules cut them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from winnow.filters.languages import LanguagePack
from winnow.filters.rules.table import buffers, cut

BATCH = 200
"""Texts cut at a time: bounds memory."""


def cut_words(texts: Sequence[str], pack: LanguagePack, unit: str) -> Iterator[list[str]]:
    """The words of each text. Raises `segmenters.MissingSegmenter`."""
    for first in range(0, len(texts), BATCH):
        offsets, data = buffers(pa.array(texts[first : first + BATCH], pa.large_string()))
        words = cut(offsets, data, pack, unit)
        characters = words.characters.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
        bounds = words.word_offsets
        starts, ends = np.asarray(words.word_start), np.asarray(words.word_end)
        for i in range(words.texts):
            yield [characters[starts[w] : ends[w]] for w in range(bounds[i], bounds[i + 1])]
