"""The normal form in which texts and entries are compared, as tables over code points.

- Case is lost, where the small letter is one character; compatibility characters are what they stand for where that is
  one character (full-width and mathematical letters, half-width kana, circled letters).
- Characters of format (zero width, soft hyphen, variation selectors) are skipped.
- A Hangul syllable is its letters and an end; letters that stand alone, whether compatibility jamo, half-width or
  conjoining (an NFD text), are the same letters with the end left open.
- Look-alikes (Cyrillic and Greek letters, digits, signs) are a second and third reading of a character beside its own.

A combining mark is a letter: entries are made NFC, as texts are expected to be.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from winnow.filters.character_classes import TABLE_SIZE

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
