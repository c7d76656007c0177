"""The normal form in which texts and entries are compared, as tables over code points, and which characters are worth a walk.

- Case is lost, where the small letter is one character; compatibility characters are what they stand for where that is
  one character (full-width and mathematical letters, half-width kana, circled letters).
- Characters of format (zero width, soft hyphen, variation selectors) are skipped.
- A Hangul syllable is its letters and an end; letters that stand alone, whether compatibility jamo, half-width or
  conjoining (an NFD text), are the same letters with the end left open.
- Look-alikes (Cyrillic and Greek letters, digits, signs) are a second and third reading of a character beside its own.

A combining mark is a letter: entries are made NFC, as texts are expected to be.

A gate says what an entry can begin with, and what its second and third character can be. Those two are compared by a class
of 61, so that a gate is a bit mask for each; class ODD stands for whatever evasion is made of (lone jamo, digits, signs,
letters of other scripts, characters of format) and always passes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt

from winnow.filters.character_classes import SPACE, TABLE_SIZE, class_table

IGNORED = 0
END = 1  # of a Hangul syllable, or of what stands for one
GAP = 32  # white space between the words of an entry

INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
FINALS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
FIRST_VOWEL = 0x314F
LAST_JAMO = 0x3163

_ALIKE = {
    **dict(zip("013457@$!€", ("o", "il", "e", "a", "s", "t", "a", "s", "il", "e"), strict=True)),
    **dict(zip("аесорхуіјѕһԁԛԝ", "aecopxyijshdqw", strict=True)),
    **dict(zip("αορνικυ", "aopviku", strict=True)),
}

# Ideographs, syllables, surrogates and private use: each its own normal form (a test asks every one of them).
_UNCHANGED = (range(0x3400, 0xA000), range(0xAC00, 0xF900), range(0x20000, 0x2F800), range(0x30000, TABLE_SIZE))


def symbol(character: str) -> int:
    """The normal form of one character; IGNORED for one that is skipped."""
    code = ord(character)
    if unicodedata.category(character) == "Cf" or code == 0x34F or 0xFE00 <= code <= 0xFE0F:
        return IGNORED
    if code == 0:
        return 0xFFFD
    plain = unicodedata.normalize("NFKC", character)
    code = ord(plain) if len(plain) == 1 else code
    if 0x1100 <= code <= 0x1112:
        return ord(INITIALS[code - 0x1100])
    if 0x1161 <= code <= 0x1175:
        return FIRST_VOWEL + code - 0x1161
    if 0x11A8 <= code <= 0x11C2:
        return ord(FINALS[code - 0x11A8])
    lower = chr(code).lower()
    return ord(lower) if len(lower) == 1 else code


@cache
def symbols() -> npt.NDArray[np.int32]:
    """[TABLE_SIZE]: `symbol` of every code point; those beyond stand for themselves."""
    table = np.arange(TABLE_SIZE, dtype=np.int32)
    start = 0
    for same in (*_UNCHANGED, range(TABLE_SIZE, TABLE_SIZE)):
        table[start : same.start] = [symbol(chr(code)) for code in range(start, same.start)]
        start = same.stop
    table.setflags(write=False)
    return table


@cache
def look_alikes() -> npt.NDArray[np.int32]:
    """[2, 0x2100]: the letters that a symbol looks like, 0 where none."""
    table = np.zeros((2, 0x2100), np.int32)
    for character, letters in _ALIKE.items():
        for at, letter in enumerate(letters):
            table[at, ord(character)] = ord(letter)
    table.setflags(write=False)
    return table


@cache
def syllable_letters() -> npt.NDArray[np.int32]:
    """[11172, 3]: initial, vowel and final of every Hangul syllable, the final 0 where there is none."""
    at = np.arange(11172)
    initials = np.array([ord(letter) for letter in INITIALS], np.int32)
    finals = np.array([0, *(ord(letter) for letter in FINALS)], np.int32)
    table = np.stack([initials[at // 588], FIRST_VOWEL + at // 28 % 21, finals[at % 28]], axis=1).astype(np.int32)
    table.setflags(write=False)
    return table


def spelled(text: str) -> list[int]:
    """An entry in the normal form, its white space as GAP."""
    found: list[int] = []
    for character in unicodedata.normalize("NFC", text):
        if character.isspace():
            found.append(GAP)
            continue
        code = symbol(character)
        if 0xAC00 <= code <= 0xD7A3:
            found += [letter for letter in syllable_letters()[code - 0xAC00].tolist() if letter] + [END]
        elif 0x3131 <= code <= LAST_JAMO:
            found += [code, END]
        elif code != IGNORED:
            found.append(code)
    return found


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
