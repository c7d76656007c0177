"""Folding: which code points count as the same when two texts are compared for being copies.

`fold_table()` maps a code point to what it stands for:

- letters to lower case, one code point each (final sigma to sigma);
- decimal digits of any script (Unicode category Nd) to `DIGIT`: whoever walks the text folds a whole number into one;
- punctuation, symbols, separators and controls (P*, S*, Z*, Cc) to `SPACE`;
- marks of U+0300-036F, format characters and variation selectors to `DROP`; a precomposed letter whose canonical
  decomposition is a base and such marks only, to the base: é counts as e.

The steps are those of the normalisation that FineWeb's MinHash uses (lower case, numbers, punctuation, whitespace,
diacritics). Two departures: it decomposes everything, which tears Hangul into jamo and strips the voicing of kana and
the vowels of Indic scripts, and here those stay whole; and its list of punctuation is enumerated by hand, here it is
the Unicode categories.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

DROP = 0x0
SPACE = 0x20
DIGIT = 0x30
LIMIT = 0x20000
"""Code points from here on (CJK extensions, private use) stand for themselves, but for the tags of plane 14."""

_UNCHANGED = (  # letters without case, of which there are too many to look up one by one
    range(0x3400, 0x4DC0),  # CJK extension A
    range(0x4E00, 0xA000),  # CJK unified ideographs
    range(0xAC00, 0xD7A4),  # Hangul syllables
    range(0xD800, 0xF900),  # surrogates and private use
    range(0x17000, 0x1B170),  # Tangut, Khitan, historic kana
)


def _fold(char: str) -> int:
    category = unicodedata.category(char)
    if category == "Nd":
        return DIGIT
    if category[0] in "PSZ" or category == "Cc":
        return SPACE
    if category == "Cf" or "\u0300" <= char <= "\u036f" or "\ufe00" <= char <= "\ufe0f":
        return DROP
    if category == "Cn":
        return ord(char)
    parts = unicodedata.normalize("NFD", char)
    if len(parts) > 1 and all("\u0300" <= mark <= "\u036f" for mark in parts[1:]):
        char = parts[0]
    lower = char.lower()[0]
    return ord("σ") if lower == "ς" else ord(lower)


@cache
def fold_table() -> npt.NDArray[np.uint32]:
    """Shape (LIMIT,): the folded code point, or `SPACE`, `DIGIT`, `DROP`. Follows the interpreter's Unicode version."""
    table = np.arange(LIMIT, dtype=np.uint32)
    start = 0
    for gap in (*_UNCHANGED, range(LIMIT, LIMIT)):
        for point in range(start, gap.start):
            table[point] = _fold(chr(point))
        start = gap.stop
    table.setflags(write=False)
    return table
