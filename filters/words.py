"""Texts cut into characters, words and lines once, as columns that every rule reads.

What is measured is the *trimmed text*: every line between line feeds without its outer white space, lines that hold
nothing left out. Indentation and blank lines therefore change no measure; a run of blank lines only ends a paragraph.

A word is, with the unit `whitespace`, a maximal run of characters that are not white space (for Korean an eojeol,
particles attached). With `character`, every letter of a script written without spaces (Han, kana and others, `SINGLE`)
is a word of its own and every maximal run of other characters that are not white space is one word. `split_at` takes
the words from outside, from a segmenter or a morphological analyser: then a character may lie in no word, and a line
that holds any may hold no word.

Bytes that are not UTF-8 are read without failing: one character for each byte that is no continuation byte, U+FFFD
where what follows makes none; `decode` gives the same characters as a string, so that positions agree.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from winnow.filters.character_classes import SINGLE, SPACE, class_table
from winnow.filters.kernel import Bytes, Codes, Hashes, Ints, ReadBytes, ReadInts, inline, kernel


class Words(NamedTuple):
    """A column of texts, cut. All positions are characters counted from the start of the column.

    Shapes: `characters`, `classes` [characters]; `word_*` [words]; `line_*` [lines]; `*_offsets` [texts + 1], where
    text `i` owns `word_start[word_offsets[i]:word_offsets[i + 1]]` and so on. Ends are exclusive.
    """

    characters: Codes  # code points
    classes: Bytes  # the bits of `classes.py`
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


def split(offsets: Ints, data: Bytes, by_character: bool) -> Words:
    """Cuts `len(offsets) - 1` UTF-8 texts; text `i` is `data[offsets[i]:offsets[i + 1]]` (Arrow's large_string layout).

    `by_character` chooses the word unit.
    """
    return _split(offsets, data, class_table(), by_character)


def split_at(offsets: Ints, data: Bytes, starts: Ints, ends: Ints, word_offsets: Ints) -> Words:
    """Cuts texts as `split` does, but into the words given.

    `starts`, `ends` [words]: characters counted from the start of the word's own text; `word_offsets` [texts + 1]: text
    `i` has the words from `word_offsets[i]` up to `word_offsets[i + 1]`. White space around a word is cut off, and what
    then is empty is no word. Raises ValueError unless words are in order, apart from each other and inside their text.
    """
    texts = len(offsets) - 1
    if len(word_offsets) != texts + 1 or len(starts) != len(ends) or word_offsets[-1] != len(starts):
        raise ValueError(
            f"words of {len(word_offsets) - 1} texts, {len(starts)} starts and {len(ends)} ends for {texts} texts: "
            "expected one word offset more than texts, and as many starts as ends as the last offset says"
        )
    wrong, words = _split_at(offsets, data, class_table(), _longs(starts), _longs(ends), _longs(word_offsets))
    if wrong >= 0:
        raise ValueError(
            f"word {wrong} from character {starts[wrong]} to {ends[wrong]}: expected words in order, none empty, apart "
            "from each other and inside their text"
        )
    return words


def _longs(given: Ints) -> Ints:
    return np.ascontiguousarray(given, np.int64)


def decode(data: bytes) -> str:
    """The characters that `split` and `split_at` count in one text, whether or not it is valid UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "".join(found.decode("utf-8", "replace")[0] for found in _CHARACTER.findall(data))


_CHARACTER = re.compile(rb"[^\x80-\xbf][\x80-\xbf]*")


@inline
def _character(data: Any, i: Any, stop: Any) -> Any:
    """The code point whose first byte is `data[i]`, and its length in bytes."""
    byte = data[i]
    code = np.int64(0xFFFD)
    step = 1
    if byte < 0x80:
        code = np.int64(byte)
    elif byte < 0xE0:
        if i + 2 <= stop and (data[i + 1] & 0xC0) == 0x80:
            code = (np.int64(byte & 31) << 6) | np.int64(data[i + 1] & 63)
            step = 2
    elif byte < 0xF0:
        if i + 3 <= stop and (data[i + 1] & 0xC0) == 0x80 and (data[i + 2] & 0xC0) == 0x80:
            code = (np.int64(byte & 15) << 12) | (np.int64(data[i + 1] & 63) << 6) | np.int64(data[i + 2] & 63)
            step = 3
    elif (
        i + 4 <= stop and (data[i + 1] & 0xC0) == 0x80 and (data[i + 2] & 0xC0) == 0x80 and (data[i + 3] & 0xC0) == 0x80
    ):
        code = (
            (np.int64(byte & 7) << 18)
            | (np.int64(data[i + 1] & 63) << 12)
            | (np.int64(data[i + 2] & 63) << 6)
            | np.int64(data[i + 3] & 63)
        )
        step = 4
    return code, step


@inline
def _mixed(h: Any) -> Any:
    h ^= h >> np.uint64(29)
    h *= np.uint64(0xBF58476D1CE4E5B9)
    return h ^ (h >> np.uint64(32))


@kernel
def _split(offsets: ReadInts, data: ReadBytes, table: ReadBytes, by_character: bool) -> Words:
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
                code, step = _character(data, i, stop)
                i += step
                bits = table[code] if code < len(table) else np.uint8(0)
                codes[at] = code
                classes[at] = bits
            space = (bits & SPACE) != 0
            single = by_character and (bits & SINGLE) != 0
            if in_word and (space or single or word_single):
                word_end[words] = at
                h = _mixed(h)
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
    return Words(
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


@kernel
def _split_at(
    offsets: ReadInts, data: ReadBytes, table: ReadBytes, starts: Ints, ends: Ints, given: Ints
) -> tuple[np.int64, Words]:
    texts = len(offsets) - 1
    characters = 0
    breaks = 0
    for i in range(offsets[0], offsets[texts]):
        characters += (data[i] & 0xC0) != 0x80
        breaks += data[i] == 10
    codes = np.empty(characters, np.int32)
    classes = np.empty(characters, np.uint8)
    word_offsets = np.zeros(texts + 1, np.int64)
    word_start = np.empty(len(starts), np.int64)
    word_end = np.empty(len(starts), np.int64)
    word_hash = np.empty(len(starts), np.uint64)
    word_classes = np.empty(len(starts), np.uint8)
    line_offsets = np.zeros(texts + 1, np.int64)
    line_start = np.empty(breaks + texts, np.int64)
    line_end = np.empty(breaks + texts, np.int64)
    line_hash = np.empty(breaks + texts, np.uint64)
    line_block = np.empty(breaks + texts, np.int64)
    prime = np.uint64(0x100000001B3)
    basis = np.uint64(0xCBF29CE484222325)
    wrong = np.int64(-1)
    at = 0
    words = 0
    lines = 0
    block = 0
    for row in range(texts):
        i = offsets[row]
        stop = offsets[row + 1]
        first = at
        block += 1
        line_open = False
        blank = False
        h = basis
        while i < stop:
            if (data[i] & 0xC0) == 0x80:
                i += 1
                continue
            code, step = _character(data, i, stop)
            i += step
            bits = table[code] if code < len(table) else np.uint8(0)
            codes[at] = code
            classes[at] = bits
            if not bits & SPACE:
                if not line_open:
                    line_open = True
                    line_start[lines] = at
                    line_end[lines] = at
                    h = basis
                    if blank:
                        block += 1
                    blank = False
                # Spaces enter by their number alone, as they do where lines are cut into whitespace words.
                h = (h ^ np.uint64((code << 32) | (at - line_end[lines]))) * prime
                line_end[lines] = at + 1
            elif code == 10:
                if line_open:
                    line_hash[lines] = _mixed(h)
                    line_block[lines] = block
                    lines += 1
                    line_open = False
                    blank = False
                else:
                    blank = True
            at += 1
        if line_open:
            line_hash[lines] = _mixed(h)
            line_block[lines] = block
            lines += 1
        free = first
        for w in range(given[row], given[row + 1]):
            start = first + starts[w]
            end = first + ends[w]
            if start < free or end <= start or end > at:
                wrong = np.int64(w)
                break
            free = end
            while start < end and classes[start] & SPACE:
                start += 1
            while end > start and classes[end - 1] & SPACE:
                end -= 1
            if start == end:
                continue
            h = basis
            seen = np.uint8(0)
            for c in range(start, end):
                h = (h ^ np.uint64(codes[c])) * prime
                seen |= classes[c]
            word_start[words] = start
            word_end[words] = end
            word_hash[words] = _mixed(h)
            word_classes[words] = seen
            words += 1
        if wrong >= 0:
            break
        word_offsets[row + 1] = words
        line_offsets[row + 1] = lines
    return wrong, Words(
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
