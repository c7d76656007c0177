"""The kernel that looks for bad words: from every character that an entry can begin with, a walk (`walk_kernel.py`).

One table look-up per character decides whether there is anything to do; where an entry can begin, the two characters
behind decide (`gates.py`). Few pass.

Words spelled with a space behind each character: at most one more single character may stand before a Korean one and
none behind it, since letter-spaced headings and the order of the alphabet are no bad words; none on either side of
others.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from winnow.filters.bad_words.alphabet import END, LAST_JAMO
from winnow.filters.bad_words.gates import BLANK, ODD
from winnow.filters.bad_words.table import PREFIX, WHOLE
from winnow.filters.bad_words.walk_kernel import DEPTH, SILENT, child, katakana, syllable, walk
from winnow.filters.rules.classes import CONTENT, HANGUL, JAMO, SINGLE, SPACE

_LONGEST_SPELLED = 24
_LONGS = types.int64[::1]
_READ_INTS = types.Array(types.int32, 1, "C", readonly=True)
_READ_PAIRS = types.Array(types.int32, 2, "C", readonly=True)
_READ_BYTES = types.Array(types.uint8, 1, "C", readonly=True)


@njit(inline="always")
def _alone(codes, classes, at, begin, stop):  # type: ignore[no-untyped-def]
    """Whether a letter is the only letter or number between white space; signs may follow it."""
    return (
        begin <= at < stop
        and classes[at] & CONTENT != 0
        and (at == begin or classes[at - 1] & SPACE != 0)
        and (at + 1 >= stop or not classes[at + 1] & CONTENT)
    )


@njit
def _spelled(codes, classes, begin, first, stop, symbols, keys, values, marks):  # type: ignore[no-untyped-def]
    """The end of the entry that is spelled with a space behind each character from `first` on; 0 where none is."""
    hangul = classes[first] & HANGUL != 0
    before = first - 2
    if first > begin and codes[first - 1] == 0x20 and _alone(codes, classes, before, begin, stop):
        if not hangul:
            return np.int64(0)
        if before > begin and codes[before - 1] == 0x20 and _alone(codes, classes, before - 2, begin, stop):
            return np.int64(0)
    node = np.int64(1)
    at = first
    letters = 0
    while letters < _LONGEST_SPELLED:
        symbol = np.int64(symbols[codes[at]]) if codes[at] < len(symbols) else np.int64(codes[at])
        if 0xAC00 <= symbol <= 0xD7A3:
            node = child(keys, values, syllable(keys, values, node, symbol), END)
        elif 0x3131 <= symbol <= LAST_JAMO:
            node = child(keys, values, child(keys, values, node, symbol), END)
        else:
            node = child(keys, values, node, symbol)
        if not node:
            return np.int64(0)
        letters += 1
        if not (at + 2 < stop and codes[at + 1] == 0x20 and _alone(codes, classes, at + 2, begin, stop)):
            break
        at += 2
    if marks[node] & (WHOLE | PREFIX) and (letters >= 3 or (letters == 2 and classes[at] & (HANGUL | JAMO))):
        return np.int64(at + 1)
    return np.int64(0)


@njit(inline="always")
def _may_start(codes, classes, at, begin):  # type: ignore[no-untyped-def]
    """Whether a word, or a part of one in another script, begins at `at`."""
    if at == begin:
        return True
    before = classes[at - 1]
    bits = classes[at]
    if bits & SINGLE:
        return not (katakana(codes[at]) and katakana(codes[at - 1]))
    if not before & CONTENT:
        return True
    if bits & HANGUL:
        return before & JAMO != 0
    return not bits & JAMO and before & (HANGUL | JAMO | SINGLE) != 0


@njit(inline="always")
def _passes(codes, classes, at, begin, stop, followers, second, third):  # type: ignore[no-untyped-def]
    """Whether the characters behind the first one are such that a walk can find anything (`gates.py`)."""
    if at + 1 >= stop:
        kind = np.int64(BLANK)
    else:
        kind = np.int64(followers[codes[at + 1]]) if codes[at + 1] < len(followers) else np.int64(ODD)
    if kind == BLANK and (at == begin or classes[at - 1] & SPACE):
        return True
    if kind == ODD:
        return True
    if not (second >> np.uint64(kind)) & np.uint64(1):
        return False
    if at + 2 >= stop:
        behind = np.int64(BLANK)
    else:
        behind = np.int64(followers[codes[at + 2]]) if codes[at + 2] < len(followers) else np.int64(ODD)
    if kind == BLANK or behind in (ODD, kind) or (third[kind] >> np.uint64(behind)) & np.uint64(1):
        return True
    # A vowel drawn out: its syllable begins with the silent letter.
    return at + 2 < stop and 0xAC00 <= codes[at + 2] <= 0xD7A3 and (codes[at + 2] - 0xAC00) // 588 == SILENT


@njit(
    types.int64[::1](
        *(types.int32[::1], types.uint8[::1], _LONGS, _LONGS, _LONGS),
        *(_READ_INTS, _READ_PAIRS, _READ_BYTES, types.int16[::1], types.uint64[::1], types.uint64[:, ::1]),
        types.uint8[::1],
        *(_LONGS, _LONGS, types.uint8[::1], _LONGS, _LONGS, _LONGS, types.int64),
        types.int64[:, ::1],
    ),
    cache=True,
    nogil=True,
)
def matches(  # type: ignore[no-untyped-def]
    codes,
    classes,
    line_offsets,
    line_start,
    line_end,
    symbols,
    alike,
    followers,
    group,
    second,
    third,
    inside,
    keys,
    values,
    marks,
    gaps,
    rest_keys,
    rest_values,
    longest,
    places,
):
    """[texts]: bad words of each; the first `len(places)` of all are written to `places` as start and end.

    Behind a Korean entry the search goes on with the next white space, so that a word counts once.
    """
    texts = len(line_offsets) - 1
    counts = np.zeros(texts, np.int64)
    stack = np.empty((DEPTH, 5), np.int64)
    written = 0
    for row in range(texts):
        if line_offsets[row] == line_offsets[row + 1]:
            continue
        begin = line_start[line_offsets[row]]
        stop = line_end[line_offsets[row + 1] - 1]
        at = begin
        while at < stop:
            code = codes[at]
            gate = group[code] if code < len(group) else np.int16(0)
            if gate == 0:
                at += 1
                continue
            outer = _may_start(codes, classes, at, begin)
            if (not outer and not inside[gate]) or not _passes(
                codes, classes, at, begin, stop, followers, second[gate], third[gate]
            ):
                at += 1
                continue
            hit, veto = walk(
                *(codes, classes, begin, at, stop, not outer, symbols, alike),
                *(keys, values, marks, gaps, rest_keys, rest_values, longest, stack),
            )
            if hit == 0 and veto == 0 and outer and _alone(codes, classes, at, begin, stop):
                hit = _spelled(codes, classes, begin, at, stop, symbols, keys, values, marks)
            if hit > veto:
                counts[row] += 1
                if written < len(places):
                    places[written, 0] = at
                    places[written, 1] = hit
                    written += 1
                at = hit
                if classes[hit - 1] & (HANGUL | JAMO):
                    while at < stop and not classes[at] & SPACE:
                        at += 1
            else:
                at = max(at + 1, veto)
    return counts
