"""What each character is: the bits of Unicode that the kernels of the rules read, in two tables for all of them."""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

# Class bits. numba keys its cache by the source file of each kernel and freezes these values, and those of the kinds
# below, into the machine code of every kernel that reads them. Append bits; never renumber one.
SPACE = 1  # str.isspace
LETTER = 2  # Unicode categories L*, str.isalpha
CONTENT = 4  # letters, marks and numbers (L*, M*, N*): what makes a word more than a symbol
HANGUL = 8  # precomposed syllables U+AC00-D7A3
JAMO = 16  # Hangul letters that stand alone: U+1100-11FF, 3131-318E, A960-A97C, D7B0-D7FB, but for _NO_JAMO
SENTENCE_END = 32  # Unicode property Sentence_Terminal
CLOSER = 64  # closing brackets and quotation marks (Pe, Pf, and the straight ones): may follow a sentence end
SINGLE = 128  # letters of scripts written without spaces: Han, kana, Bopomofo, Thai, Lao, Khmer, Myanmar, Tibetan, Yi

TABLE_SIZE = 0x34000
"""Code points from here on (tags, variation selectors, private planes) are neither letters nor spaces: class 0."""

# Kinds: what a character counts as where shares of characters are measured.
DIGIT = 1  # Nd
SYMBOL = 2  # Sm, Sc, Sk, So: + = $ ^ and emoji
PUNCTUATION = 4  # P*
CAPITAL = 8  # Lu
SMALL = 16  # Ll, Lt: a word with one of these is not all capitals
DAMAGED = 32  # U+FFFD, controls other than white space, surrogates, private use, noncharacters

KINDS_SIZE = 0x20000
"""Code points from here to PRIVATE are ideographs, tags and variation selectors: none of these kinds."""

PRIVATE = 0xF0000
"""Code points from here on are private use."""

_JAMO = ((0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97C), (0xD7B0, 0xD7FB))
# ㆍ and ᆞ, by which laws and offices write the middle dot, ㅡ, a dash, and the fillers, which nobody sees.
_NO_JAMO = (0x318D, 0x119E, 0x3161, 0x3164, 0x115F, 0x1160)
_SINGLE = (
    *((0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FD5), (0x3005, 0x3007)),
    *((0x3021, 0x3029), (0x3031, 0x3035), (0x3038, 0x303C), (0x3041, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF)),
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xA48C), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1B000, 0x1B16F)),
    (0x20000, 0x33FFF),
)
# Sentence_Terminal of Unicode's PropList.txt, Basic Multilingual Plane.
_SENTENCE_END = "!.?։؝؞؟۔܀܁܂߹࠷࠹࠽࠾।॥၊။።፧፨᙮᜵᜶។៕᠃᠉᥄᥅᪨᪩᪪᪫᭎᭏᭚᭛᭞᭟᭽᭾᰻᰼᱾᱿‼‽⁇⁈⁉⳹⳺⳻⸮⸼⹓⹔。꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫︒︕︖﹒﹖﹗！．？｡"


@cache
def class_table() -> npt.NDArray[np.uint8]:
    """The class bits of every code point below TABLE_SIZE, from this Python's `unicodedata`."""
    table = np.zeros(TABLE_SIZE, np.uint8)
    for code in range(TABLE_SIZE):
        character = chr(code)
        category = unicodedata.category(character)
        bits = SPACE if character.isspace() else 0
        if category[0] == "L":
            bits |= LETTER
        if category[0] in "LMN":
            bits |= CONTENT
        if category in ("Pe", "Pf") or character in "\"'":
            bits |= CLOSER
        table[code] = bits
    table[0xAC00:0xD7A4] |= HANGUL
    for bit, ranges in ((JAMO, _JAMO), (SINGLE, _SINGLE)):
        for first, last in ranges:
            table[first : last + 1] |= np.where(table[first : last + 1] & CONTENT, bit, 0).astype(np.uint8)
    table[list(_NO_JAMO)] &= 0xFF ^ JAMO
    for character in _SENTENCE_END:
        table[ord(character)] |= SENTENCE_END
    table.setflags(write=False)
    return table


@cache
def kind_table() -> npt.NDArray[np.uint8]:
    """The kind of every code point below KINDS_SIZE, from this Python's `unicodedata`."""
    bits = {
        **dict.fromkeys(("Nd",), DIGIT),
        **dict.fromkeys(("Sm", "Sc", "Sk", "So"), SYMBOL),
        **dict.fromkeys(("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"), PUNCTUATION),
        **dict.fromkeys(("Lu",), CAPITAL),
        **dict.fromkeys(("Ll", "Lt"), SMALL),
        **dict.fromkeys(("Cc", "Cs", "Co"), DAMAGED),
    }
    table = np.array([bits.get(unicodedata.category(chr(code)), 0) for code in range(KINDS_SIZE)], np.uint8)
    table[0xFFFD] = DAMAGED
    table[0xFDD0:0xFDF0] = DAMAGED
    table[0xFFFE::0x10000] = DAMAGED
    table[0xFFFF::0x10000] = DAMAGED
    table.setflags(write=False)
    return table
