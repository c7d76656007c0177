"""A text's code points as a classifier's lines: runs cut, digits masked, punctuation set apart, white space gathered, in one pass."""

from __future__ import annotations

from winnow.filters.kernel import Codes, ReadBytes, ReadCodes, kernel

DIGIT, PUNCTUATION, SPACE, BREAK = 1, 2, 3, 4
"""Kinds of code points; BREAK is white space that ends a line, 0 every other."""

LAST = 0xFFFF
"""A noncharacter: every code point above the first plane is looked up as it."""


@kernel
def line_codes(
    codes: ReadCodes, kinds: ReadBytes, runs: ReadBytes, squeeze: bool, window: int, least: int, out: Codes
) -> int:
    """Writes the words, parted by single spaces, or by a line feed after `window` words, and where a line of the text ends after
    `least`; returns how many code points they are. `out` has room for three a code point. `kinds`: uint8 [65536], what is done
    with each; `runs`: 1 for those whose third in a row is left out where `squeeze` is set."""
    used = 0
    words = 0
    due = 0  # what parts the next word from the one before: a space, a line's end, or nothing
    for at in range(codes.size):
        code = codes[at]
        place = min(code, LAST)
        if squeeze and at > 1 and code == codes[at - 1] and code == codes[at - 2] and runs[place] != 0:
            continue
        kind = kinds[place]
        if kind == SPACE or kind == BREAK:  # noqa: SIM109 (in numba a tuple is slower)
            if used > 0 and due != 10:
                due = 10 if kind == BREAK else 32
            continue
        if kind == PUNCTUATION and used > 0 and due == 0:
            due = 32
        if due != 0 or used == 0:
            if used > 0:
                ends = words >= window or (due == 10 and words >= least)
                out[used] = 10 if ends else 32
                used += 1
                words = 0 if ends else words
            words += 1
        due = 32 if kind == PUNCTUATION else 0
        out[used] = 48 if kind == DIGIT else code
        used += 1
    return used
