"""A text's code points as a classifier's line: runs cut, digits masked, punctuation set apart, white space gathered, in one pass."""

from __future__ import annotations

from winnow.filters.kernel import Codes, ReadBytes, ReadCodes, kernel

DIGIT, PUNCTUATION, SPACE = 1, 2, 3
"""Kinds of code points; 0 is every other."""

LAST = 0xFFFF
"""A noncharacter: every code point above the first plane is looked up as it."""


@kernel
def line_codes(codes: ReadCodes, kinds: ReadBytes, runs: ReadBytes, squeeze: bool, gather: bool, out: Codes) -> int:
    """Writes the line and returns its length; `out` has room for three a code point. `kinds`: uint8 [65536], what is done with each;
    `runs`: 1 for those whose third in a row is left out where `squeeze` is set. With `gather` words are parted by single spaces."""
    used = 0
    apart = False  # a space is due before the next word
    for at in range(codes.size):
        code = codes[at]
        place = min(code, LAST)
        if squeeze and at > 1 and code == codes[at - 1] and code == codes[at - 2] and runs[place] != 0:
            continue
        kind = kinds[place]
        if kind == SPACE:
            if gather:
                apart = used > 0
            else:
                out[used] = code
                used += 1
            continue
        if kind == PUNCTUATION:
            if gather:
                apart = used > 0
            else:
                out[used] = 32
                used += 1
        if apart:
            out[used] = 32
            used += 1
            apart = False
        out[used] = 48 if kind == DIGIT else code
        used += 1
        if kind == PUNCTUATION:
            if gather:
                apart = True
            else:
                out[used] = 32
                used += 1
    return used
