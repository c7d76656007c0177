"""Texts with white space between their characters, so that a model of words models those; and how many words texts have.

White space between characters is a single space; a word's beginning keeps a mark: `▁` before its first character, or between
two words. All over UTF-8, since that is what goes in and out.
"""

from __future__ import annotations

from winnow.filters.kernel import Bytes, Ints, ReadBytes, ReadCodes, inline, kernel

ALONE, SPACE, BREAK, LETTER, DIGIT = range(5)
"""Classes of characters: one of its own; white space; the end of a line or text, kept as it is; one of a run of letters, or of
digits."""

MARK = "▁"
_MARK = MARK.encode()
_M0, _M1, _M2 = _MARK
ROOM = 4
"""Bytes out for each byte in, at most; eight more for all."""


@inline
def _put(code: int, out: Bytes, used: int) -> int:
    if code < 0x80:
        out[used] = code
        return used + 1
    if code < 0x800:
        out[used] = 0xC0 | code >> 6
        out[used + 1] = 0x80 | code & 63
        return used + 2
    if code < 0x10000:
        out[used] = 0xE0 | code >> 12
        out[used + 1] = 0x80 | code >> 6 & 63
        out[used + 2] = 0x80 | code & 63
        return used + 3
    out[used] = 0xF0 | code >> 18
    out[used + 1] = 0x80 | code >> 12 & 63
    out[used + 2] = 0x80 | code >> 6 & 63
    out[used + 3] = 0x80 | code & 63
    return used + 4


@kernel
def spread(octets: ReadBytes, classes: ReadBytes, folded: ReadCodes, syllables: bool, out: Bytes) -> int:
    """Spreads valid UTF-8; returns the bytes used of `out`, which has ROOM. `classes` and `folded` (what a character becomes)
    for the first plane, whose last code stands for all above. `syllables`: runs of letters or digits stay together, and `▁` is
    part of a word's first unit; without, it is a unit between two words."""
    used = 0
    before = BREAK
    started = False
    at = 0
    while at < octets.size:
        first = int(octets[at])
        if first < 0x80:
            code, width = first, 1
        elif first < 0xE0:
            code, width = (first & 31) << 6 | int(octets[at + 1]) & 63, 2
        elif first < 0xF0:
            code = (first & 15) << 12 | (int(octets[at + 1]) & 63) << 6 | int(octets[at + 2]) & 63
            width = 3
        else:
            code = (first & 7) << 18 | (int(octets[at + 1]) & 63) << 12 | (int(octets[at + 2]) & 63) << 6
            code |= int(octets[at + 3]) & 63
            width = 4
        at += width
        kind = int(classes[code if code < 0xFFFF else 0xFFFF])
        if kind == BREAK:
            out[used] = code
            used += 1
            started = False
        elif kind != SPACE:
            word = before in (SPACE, BREAK)
            if not (syllables and kind == before and kind >= LETTER):
                out[used] = 32
                used += 1
            if word and (syllables or started):
                out[used] = _M0
                out[used + 1] = _M1
                out[used + 2] = _M2
                used += 3
                if not syllables:
                    out[used] = 32
                    used += 1
            used = _put(int(folded[code]) if code < 0xFFFF else code, out, used)
            started = True
        before = kind
    return used


@kernel
def count_words(octets: ReadBytes, ends: Ints, out: Ints) -> None:
    """How many words, parted by ASCII white space, the texts octets[ends[d - 1]:ends[d]] have."""
    start = 0
    for document in range(ends.size):
        words = 0
        blank = True
        for at in range(start, ends[document]):
            here = octets[at] == 32 or 9 <= octets[at] <= 13
            words += blank and not here
            blank = here
        out[document] = words
        start = ends[document]
