"""Texts cut into characters, words and lines once, as columns that every rule reads.

What is measured is the *trimmed text*: every line between line feeds without its outer white space, lines that hold
nothing left out. Indentation and blank lines therefore change no measure; a run of blank lines only ends a paragraph.

A word is, with the unit `whitespace`, a maximal run of characters that are not white space (for Korean an eojeol,
particles attached). With `character`, every letter of a script written without spaces (Han, kana and others, `SINGLE`)
is a word of its own and every maximal run of other characters that are not white space is one word.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from numba import njit, types

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

# numba keys its cache by the source file of each kernel and freezes these values into the machine code of every
# kernel that reads them. Append bits; never renumber one.
SPACE = 1  # str.isspace
LETTER = 2  # Unicode categories L*, str.isalpha
CONTENT = 4  # letters, marks and numbers (L*, M*, N*): what makes a word more than a symbol
HANGUL = 8  # precomposed syllables U+AC00-D7A3
JAMO = 16  # Hangul letters that stand alone: U+1100-11FF, 3131-318E, A960-A97C, D7B0-D7FB
SENTENCE_END = 32  # Unicode property Sentence_Terminal
CLOSER = 64  # closing brackets and quotation marks (Pe, Pf, and the straight ones): may follow a sentence end
SINGLE = 128  # letters of scripts written without spaces: Han, kana, Bopomofo, Thai, Lao, Khmer, Myanmar, Tibetan, Yi

TABLE_SIZE = 0x34000
"""Code points from here on (tags, variation selectors, private planes) are neither letters nor spaces: class 0."""

_JAMO = ((0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97C), (0xD7B0, 0xD7FB))
_SINGLE = (
    *((0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FD5), (0x3005, 0x3007)),
    *((0x3021, 0x3029), (0x3031, 0x3035), (0x3038, 0x303C), (0x3041, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF)),
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xA48C), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1B000, 0x1B16F)),
    (0x20000, 0x33FFF),
)
# Sentence_Terminal of Unicode's PropList.txt, Basic Multilingual Plane.
_SENTENCE_END = "!.?։؝؞؟۔܀܁܂߹࠷࠹࠽࠾।॥၊။።፧፨᙮᜵᜶។៕᠃᠉᥄᥅᪨᪩᪪᪫᭎᭏᭚᭛᭞᭟᭽᭾᰻᰼᱾᱿‼‽⁇⁈⁉⳹⳺⳻⸮⸼⹓⹔。꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫︒︕︖﹒﹖﹗！．？｡"


@dataclass(frozen=True, slots=True)
class Words:
    """A column of texts, cut. All positions are characters counted from the start of the column.

    Shapes: `characters`, `classes` [characters]; `word_*` [words]; `line_*` [lines]; `*_offsets` [texts + 1], where
    text `i` owns `word_start[word_offsets[i]:word_offsets[i + 1]]` and so on. Ends are exclusive.
    """

    characters: npt.NDArray[np.int32]  # code points
    classes: Bytes  # the bits above
    word_offsets: Ints
    word_start: Ints
    word_end: Ints
    word_hash: Hashes
    word_classes: Bytes  # of all its characters together
    line_offsets: Ints
    line_start: Ints  # of the trimmed line
    line_end: Ints
    line_hash: Hashes
    line_block: Ints  # number of the paragraph, counted over the column

    @property
    def texts(self) -> int:
        return len(self.word_offsets) - 1


@cache
def class_table() -> Bytes:
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
    for character in _SENTENCE_END:
        table[ord(character)] |= SENTENCE_END
    table.setflags(write=False)
    return table


def split(offsets: Ints, data: Bytes, by_character: bool) -> Words:
    """Cuts `len(offsets) - 1` UTF-8 texts; text `i` is `data[offsets[i]:offsets[i + 1]]` (Arrow's large_string layout).

    `by_character` chooses the word unit. Text that is not valid UTF-8 is read without failing, its
    characters unspecified.
    """
    return Words(*_split(offsets, data, class_table(), by_character))


_LONGS = types.int64[::1]
_COLUMNS = (
    *(types.int32[::1], types.uint8[::1], _LONGS, _LONGS, _LONGS, types.uint64[::1], types.uint8[::1]),
    *(_LONGS, _LONGS, _LONGS, types.uint64[::1], _LONGS),
)


@njit(
    types.Tuple(_COLUMNS)(  # type: ignore[no-untyped-call]
        types.Array(types.int64, 1, "C", readonly=True),
        types.Array(types.uint8, 1, "C", readonly=True),
        types.Array(types.uint8, 1, "C", readonly=True),
        types.boolean,
    ),
    cache=True,
    nogil=True,
)
def _split(offsets, data, table, by_character):  # type: ignore[no-untyped-def]
    texts = len(offsets) - 1
    characters = 0
    breaks = 0
    for i in range(offsets[0], offsets[texts]):
        characters += (data[i] & 0xC0) != 0x80
        breaks += data[i] == 10
    most_words = characters if by_character else characters // 2 + texts
    codes = np.empty(characters, np.int32)
    classes = np.empty(characters, np.uint8)
    word_offsets = np.zeros(texts + 1, np.int64)
    word_start = np.empty(most_words, np.int64)
    word_end = np.empty(most_words, np.int64)
    word_hash = np.empty(most_words, np.uint64)
    word_classes = np.empty(most_words, np.uint8)
    line_offsets = np.zeros(texts + 1, np.int64)
    line_start = np.empty(breaks + texts, np.int64)
    line_end = np.empty(breaks + texts, np.int64)
    line_hash = np.empty(breaks + texts, np.uint64)
    line_block = np.empty(breaks + texts, np.int64)
    prime = np.uint64(0x100000001B3)
    basis = np.uint64(0xCBF29CE484222325)
    at = 0
    words = 0
    lines = 0
    block = 0
    for row in range(texts):
        i = offsets[row]
        stop = offsets[row + 1]
        block += 1
        in_word = False
        word_single = False
        line_open = False
        blank = False
        seen = np.uint8(0)
        h = basis
        lh = basis
        while i <= stop:
            if i == stop:
                code = np.int64(10)
                bits = np.uint8(SPACE)
                i += 1
                real = False
            else:
                real = True
                byte = data[i]
                if (byte & 0xC0) == 0x80:
                    i += 1
                    continue
                code = np.int64(0xFFFD)
                step = 1
                if byte < 0x80:
                    code = np.int64(byte)
                elif byte >= 0xF0 and i + 4 <= stop:
                    code = (
                        (np.int64(byte & 7) << 18)
                        | (np.int64(data[i + 1] & 63) << 12)
                        | (np.int64(data[i + 2] & 63) << 6)
                        | np.int64(data[i + 3] & 63)
                    )
                    step = 4
                elif 0xE0 <= byte < 0xF0 and i + 3 <= stop:
                    code = (np.int64(byte & 15) << 12) | (np.int64(data[i + 1] & 63) << 6) | np.int64(data[i + 2] & 63)
                    step = 3
                elif 0xC0 <= byte < 0xE0 and i + 2 <= stop:
                    code = (np.int64(byte & 31) << 6) | np.int64(data[i + 1] & 63)
                    step = 2
                i += step
                bits = table[code] if code < len(table) else np.uint8(0)
                codes[at] = code
                classes[at] = bits
            space = (bits & SPACE) != 0
            single = by_character and (bits & SINGLE) != 0
            if in_word and (space or single or word_single):
                word_end[words] = at
                h ^= h >> np.uint64(29)
                h *= np.uint64(0xBF58476D1CE4E5B9)
                h ^= h >> np.uint64(32)
                word_hash[words] = h
                word_classes[words] = seen
                # The place within the line enters too, so that lines differ where only their spacing does.
                lh = (lh ^ (h + np.uint64(word_start[words] - line_start[lines]))) * prime
                lh ^= lh >> np.uint64(32)
                line_end[lines] = at
                words += 1
                in_word = False
            if not space:
                if not line_open:
                    line_open = True
                    line_start[lines] = at
                    lh = basis
                    if blank:
                        block += 1
                    blank = False
                if not in_word:
                    in_word = True
                    word_start[words] = at
                    word_single = single
                    seen = np.uint8(0)
                    h = basis
                h = (h ^ np.uint64(code)) * prime
                seen |= bits
            elif code == 10:
                if line_open:
                    line_hash[lines] = lh
                    line_block[lines] = block
                    lines += 1
                    line_open = False
                    blank = False
                else:
                    blank = True
            if real:
                at += 1
        word_offsets[row + 1] = words
        line_offsets[row + 1] = lines
    return (
        codes[:at],
        classes[:at],
        word_offsets,
        word_start[:words].copy(),
        word_end[:words].copy(),
        word_hash[:words].copy(),
        word_classes[:words].copy(),
        line_offsets,
        line_start[:lines].copy(),
        line_end[:lines].copy(),
        line_hash[:lines].copy(),
        line_block[:lines].copy(),
    )
