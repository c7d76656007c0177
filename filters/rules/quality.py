"""Gopher's quality rules and FineWeb's line rules: one pass over the words and lines of each text.

Sources: Rae et al. 2021, *Scaling Language Models*, arXiv:2112.11446, A1.1 (quality filtering); Penedo et al. 2024,
*The FineWeb Datasets*, arXiv:2406.17557, section 3.6. Where a definition here is another than datatrove's, the table
in `measures.py` says so.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from winnow.filters.rules.measure import FINEWEB, GOPHER, OWN, Measure
from winnow.filters.rules.words import Words

COLUMNS = (
    "char_count",
    "line_count",
    "word_count",
    "mean_word_length",
    "alpha_word_share",
    "hash_ratio",
    "ellipsis_ratio",
    "bullet_lines",
    "ellipsis_lines",
    "line_punctuation",
    "bare_line_punctuation",
    "short_lines",
    "newline_ratio",
)
"""The kernel's columns, in its order."""

BULLETS = np.array([ord(mark) for mark in "-*•·ㆍ‣⁃◦▪▫■□●○◆◇▶►▷※"], np.int32)
"""What a bullet line starts with: Gopher's hyphen and bullet, Markdown's asterisk, and the marks of Korean lists."""


def quality(words: Words, terminal_punctuation: tuple[str, ...] = ()) -> npt.NDArray[np.float64]:
    """[texts, COLUMNS]; 0 where a text has no words.

    `terminal_punctuation`: what ends a sentence for line_punctuation, Unicode's Sentence_Terminal where it is empty.
    """
    from winnow.filters.rules import quality_kernel

    marks = np.array(sorted(map(ord, terminal_punctuation)), np.int32)
    found: npt.NDArray[np.float64] = quality_kernel.quality(
        words.characters,
        words.classes,
        words.word_offsets,
        words.word_start,
        words.word_end,
        words.word_classes,
        words.line_offsets,
        words.line_start,
        words.line_end,
        BULLETS,
        marks,
    )
    return found


MEASURES = (
    Measure("char_count", "count", OWN, "characters of the trimmed text, line breaks included"),
    Measure("line_count", "count", OWN, "lines that hold anything"),
    Measure(
        "word_count",
        "count",
        GOPHER,
        "words with a letter, mark or number. Not as datatrove, whose symbol list lacks bullets and emoji and holds '１'",
    ),
    Measure("mean_word_length", "characters", GOPHER, "mean length of the words that word_count counts"),
    Measure("alpha_word_share", "share", GOPHER, "words with a letter / words; as datatrove"),
    Measure("hash_ratio", "ratio", GOPHER, "'#' / words; as datatrove"),
    Measure("ellipsis_ratio", "ratio", GOPHER, "'...' and '…' / words; as datatrove"),
    Measure(
        "bullet_lines",
        "share",
        GOPHER,
        "lines that start with a bullet / lines. Not as datatrove: more marks than '-' and '•' (quality.BULLETS), since "
        "Korean lists use others",
    ),
    Measure("ellipsis_lines", "share", GOPHER, "lines that end in '...' or '…' / lines; as datatrove"),
    Measure(
        "line_punctuation",
        "share",
        FINEWEB,
        "lines that end a sentence / lines. Not as datatrove: a closing quotation mark or bracket may follow, as it does "
        "in Korean news",
    ),
    Measure(
        "bare_line_punctuation",
        "share",
        FINEWEB,
        "lines whose last character ends a sentence (Unicode's Sentence_Terminal) / lines; as datatrove",
    ),
    Measure("short_lines", "share", FINEWEB, "lines of at most 30 characters / lines; as datatrove"),
    Measure("newline_ratio", "ratio", FINEWEB, "line breaks / words; as datatrove"),
)
