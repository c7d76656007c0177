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
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from winnow.filters.rules.classes import (
    CLOSER,
    CONTENT,
    HANGUL,
    JAMO,
    LETTER,
    SENTENCE_END,
    SINGLE,
    SPACE,
    TABLE_SIZE,
    class_table,
)

__all__ = [
    "CLOSER",
    "CONTENT",
    "HANGUL",
    "JAMO",
    "LETTER",
    "SENTENCE_END",
    "SINGLE",
    "SPACE",
    "TABLE_SIZE",
    "Bytes",
    "Hashes",
    "Ints",
    "Words",
    "class_table",
    "decode",
    "split",
    "split_at",
]

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Words:
    """A column of texts, cut. All positions are characters counted from the start of the column.

    Shapes: `characters`, `classes` [characters]; `word_*` [words]; `line_*` [lines]; `*_offsets` [texts + 1], where
    text `i` owns `word_start[word_offsets[i]:word_offsets[i + 1]]` and so on. Ends are exclusive.
    """

    characters: npt.NDArray[np.int32]  # code points
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
    from winnow.filters.rules import words_kernel

    return Words(*words_kernel.split(offsets, data, class_table(), by_character))


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
    from winnow.filters.rules import words_kernel

    held = words_kernel.split_at(offsets, data, class_table(), *map(_longs, (starts, ends, word_offsets)))
    wrong = int(held[0])
    if wrong >= 0:
        raise ValueError(
            f"word {wrong} from character {starts[wrong]} to {ends[wrong]}: expected words in order, none empty, apart "
            "from each other and inside their text"
        )
    return Words(*held[1:])


def _longs(given: Ints) -> Ints:
    return np.ascontiguousarray(given, np.int64)


def decode(data: bytes) -> str:
    """The characters that `split` and `split_at` count in one text, whether or not it is valid UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "".join(found.decode("utf-8", "replace")[0] for found in _CHARACTER.findall(data))


_CHARACTER = re.compile(rb"[^\x80-\xbf][\x80-\xbf]*")
