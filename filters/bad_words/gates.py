"""Which characters are worth a walk: what an entry can begin with, and what its second and third character can be.

The second and third are compared by a class of 61, so that a gate is a bit mask for each; class ODD stands for whatever
evasion is made of (lone jamo, digits, signs, letters of other scripts, characters of format) and always passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt

from winnow.filters.bad_words.alphabet import (
    END,
    FIRST_VOWEL,
    GAP,
    IGNORED,
    INITIALS,
    LAST_JAMO,
    look_alikes,
    syllable_letters,
    symbols,
)
from winnow.filters.character_classes import SPACE, class_table

# Frozen into the kernel's machine code: change them and the kernels together.
CLASSES = 61
ODD = 61
BLANK = 62

_ALL = (1 << 64) - 1
_SILENT = INITIALS.index("ㅇ")


class Gates(NamedTuple):
    """`group` [TABLE_SIZE]: which gate a code point has as the first character, 0 where no entry begins with it. The
    others [groups]: masks of the classes that may follow, and 1 where an entry may begin inside a word."""

    group: npt.NDArray[np.int16]
    second: npt.NDArray[np.uint64]
    third: Annotated[npt.NDArray[np.uint64], 2]
    inside: npt.NDArray[np.uint8]


@cache
def follower_classes() -> npt.NDArray[np.uint8]:
    """[TABLE_SIZE]: the class of every code point as a second or third character."""
    code = symbols()
    classes = (code % CLASSES).astype(np.uint8)
    at = np.arange(11172)
    classes[0xAC00:0xD7A4] = at // 28 % CLASSES  # initial and vowel
    odd = (code == IGNORED) | ((code >= 0x3131) & (code <= LAST_JAMO)) | ((code >= 0x2600) & (code <= 0x27BF))
    odd |= (code < 0x80) & ~((code >= 0x61) & (code <= 0x7A)) | np.isin(code, [0xB7, 0xFF0E])
    odd |= np.isin(code, np.flatnonzero(look_alikes()[0]))
    classes[odd] = ODD
    classes[(class_table() & SPACE) != 0] = BLANK
    classes.setflags(write=False)
    return classes


def gates(children: Mapping[int, Mapping[int, int]], marks: list[int], inside: set[int]) -> Gates:
    """The gates of a trie: `children[node][symbol]` is a node, 1 the root; `inside` holds the first symbols of entries
    that may begin inside a word."""
    root = children.get(1, {})
    code = symbols()
    group = np.zeros(len(code), np.int16)
    held: list[tuple[int, list[int], int]] = [(0, [0] * 64, 0)]

    def add(where: npt.NDArray[np.intp] | int, first: Iterable[int], drawn: int | None, within: bool) -> None:
        second, behind = _followers(children, marks, _closed(children, first))
        third = [_ALL if second == _ALL or kind == drawn else 0 for kind in range(64)]
        for kind, nodes in behind.items():
            third[kind] |= _followers(children, marks, _closed(children, nodes))[0]
        group[where] = len(held)
        held.append((second | (0 if drawn is None else 1 << drawn), third, int(within)))

    for symbol in sorted(root):
        if symbol != GAP:
            add(np.flatnonzero(code == symbol), [root[symbol]], symbol % CLASSES, symbol in inside)
    for at, (initial, vowel, final) in enumerate(syllable_letters().tolist()):
        node = children.get(root.get(initial, 0), {}).get(vowel, 0)
        node = children.get(node, {}).get(final, 0) if final else node
        if node and (not final or END in children.get(node, {})):
            drawn = None if final else (_SILENT * 21 + vowel - FIRST_VOWEL) % CLASSES
            add(0xAC00 + at, [node], drawn, initial in inside)
    for sign in np.flatnonzero(look_alikes()[0]).tolist():
        read = [letter for letter in look_alikes()[:, sign].tolist() if letter in root]
        # A digit begins no masked word: "4nal" is rarer than a number with a unit.
        if read and not 0x30 <= sign <= 0x39:
            first = [root[letter] for letter in read] + ([root[sign]] if sign in root else [])
            add(np.flatnonzero(code == sign), first, None, sign in inside)
    second, third, within = zip(*held, strict=True)
    return Gates(group, np.array(second, np.uint64), np.array(third, np.uint64), np.array(within, np.uint8))


def _closed(children: Mapping[int, Mapping[int, int]], nodes: Iterable[int]) -> set[int]:
    """Where a walk can be behind a character: past the END of a syllable, and past a GAP that Korean may leave out."""
    found = set(nodes)
    for symbol in (END, GAP):
        found |= {children[node][symbol] for node in found if symbol in children.get(node, {})}
    return found


def _followers(
    children: Mapping[int, Mapping[int, int]], marks: list[int], nodes: set[int]
) -> tuple[int, dict[int, set[int]]]:
    """The mask of the classes that may follow, and where a walk then is by class. Behind an entry anything follows."""
    mask = 0
    behind: dict[int, set[int]] = {}
    for node in nodes:
        if marks[node]:
            mask = _ALL
        for symbol, child in children.get(node, {}).items():
            if symbol == GAP:
                mask |= 1 << BLANK
            elif 0x3131 <= symbol < FIRST_VOWEL:
                for vowel, grown in children.get(child, {}).items():
                    if FIRST_VOWEL <= vowel <= LAST_JAMO:
                        kind = (INITIALS.index(chr(symbol)) * 21 + vowel - FIRST_VOWEL) % CLASSES
                        mask |= 1 << kind
                        finals = {n for s, n in children.get(grown, {}).items() if s != END}
                        behind.setdefault(kind, set()).update({grown}, finals)
            elif symbol != END:
                mask |= 1 << symbol % CLASSES
                behind.setdefault(symbol % CLASSES, set()).add(child)
    return mask, behind
