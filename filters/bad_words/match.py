"""Bad words counted over a column of texts, and named in one text.

From every character that an entry can begin with, a walk (`walk.py`). One table look-up per character decides whether
there is anything to do; where an entry can begin, the two characters behind decide (`gates.py`). Few pass.

Words spelled with a space behind each character: at most one more single character may stand before a Korean one and
none behind it, since letter-spaced headings and the order of the alphabet are no bad words; none on either side of
others.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from winnow.filters.bad_words.alphabet import BLANK, END, LAST_JAMO, ODD, follower_classes, look_alikes, symbols
from winnow.filters.bad_words.table import PREFIX, WHOLE, BadWords
from winnow.filters.bad_words.walk import DEPTH, SILENT, child, katakana, syllable, walk
from winnow.filters.character_classes import CONTENT, HANGUL, JAMO, SINGLE, SPACE
from winnow.filters.kernel import READ_ONLY, IntRows, Ints, ReadBytes, ReadCodes, inline, kernel, subroutine
from winnow.filters.words import Words, split

_LONGEST_SPELLED = 24


def spans(text: str, table: BadWords) -> list[tuple[int, int]]:
    """Start and end of every bad word of a text, in characters, sorted and apart: what `bad_words` counts."""
    if not table.entries:
        return []
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    words = split(np.array([0, len(data)], np.int64), data, False)
    places = np.empty((len(words.characters), 2), np.int64)
    count = int(_matches(words, table, symbols(), look_alikes(), follower_classes(), places)[0])
    return [(start, end) for start, end in places[:count].tolist()]


def counts(words: Words, table: BadWords) -> Ints:
    """How many bad words each text holds, [texts]."""
    if not table.entries:
        return np.zeros(words.texts, np.int64)
    return _matches(words, table, symbols(), look_alikes(), follower_classes(), np.empty((0, 2), np.int64))


@inline
def _alone(codes: Any, classes: Any, at: Any, begin: Any, stop: Any) -> Any:
    """Whether a letter is the only letter or number between white space; signs may follow it."""
    return (
        begin <= at < stop
        and classes[at] & CONTENT != 0
        and (at == begin or classes[at - 1] & SPACE != 0)
        and (at + 1 >= stop or not classes[at + 1] & CONTENT)
    )


@subroutine
def _spelled(
    codes: Any, classes: Any, begin: Any, first: Any, stop: Any, symbols: Any, keys: Any, values: Any, marks: Any
) -> Any:
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


@inline
def _may_start(codes: Any, classes: Any, at: Any, begin: Any) -> Any:
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


@inline
def _passes(codes: Any, classes: Any, at: Any, begin: Any, stop: Any, followers: Any, second: Any, third: Any) -> Any:
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


@kernel
def _matches(
    words: Words,
    table: BadWords,
    symbols: ReadCodes,
    alike: Annotated[npt.NDArray[np.int32], 2, READ_ONLY],
    followers: ReadBytes,
    places: IntRows,
) -> Ints:
    """[texts]: bad words of each; the first `len(places)` of all are written to `places` as start and end.

    Behind a Korean entry the search goes on with the next white space, so that a word counts once.
    """
    codes, classes = words.characters, words.classes
    line_offsets, line_start, line_end = words.line_offsets, words.line_start, words.line_end
    group, second, third, inside = table.gates.group, table.gates.second, table.gates.third, table.gates.inside
    keys, values, marks, gaps = table.children.keys, table.children.values, table.marks, table.gaps
    rest_keys, rest_values, longest = table.rests.keys, table.rests.values, table.longest_rest
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
