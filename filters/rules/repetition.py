"""Repetition within a text: lines, paragraphs and word n-grams.

Source: Rae et al. 2021, arXiv:2112.11446, Table A1. Equality is that of 64-bit hashes. An n-gram can repeat only
where the (n-1)-grams that it starts and ends with repeat, so each length looks only at the places that the length
before left over: in ordinary prose almost none beyond 3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from winnow.filters.rules.measure import FINEWEB, OWN, TABLE_A1, Measure
from winnow.filters.rules.words import Words

COLUMNS = (
    "dup_lines",
    "dup_line_chars",
    "dup_paragraphs",
    "dup_paragraph_chars",
    "unique_words",
    "top_word_share",
    "top_2gram_share",
    "top_3gram_share",
    "top_4gram_share",
    "dup_5gram_share",
    "dup_6gram_share",
    "dup_7gram_share",
    "dup_8gram_share",
    "dup_9gram_share",
    "dup_10gram_share",
    "spare_2gram_share",
    "spare_3gram_share",
    "spare_4gram_share",
    "spare_lines",
)
"""The kernel's columns, in its order."""


def repetition(words: Words) -> npt.NDArray[np.float64]:
    """[texts, COLUMNS]; 0 where a text has no words."""
    from winnow.filters.rules import repetition_kernel

    found: npt.NDArray[np.float64] = repetition_kernel.repetition(
        words.word_offsets,
        words.word_start,
        words.word_end,
        words.word_hash,
        words.word_classes,
        words.line_offsets,
        words.line_start,
        words.line_end,
        words.line_hash,
        words.line_block,
    )
    return found


MEASURES = (
    Measure(
        "dup_lines",
        "share",
        TABLE_A1,
        "lines equal to an earlier line / lines; as datatrove, but that the white space at their ends does not count and "
        "inside a line every sort of white space is the same",
    ),
    Measure(
        "dup_line_chars",
        "share",
        FINEWEB,
        "characters of lines equal to an earlier line / characters without line breaks; as datatrove's FineWeb filter "
        "(its Gopher filter also divides by the line breaks)",
    ),
    Measure("dup_paragraphs", "share", TABLE_A1, "paragraphs equal to an earlier one / paragraphs; as datatrove"),
    Measure("dup_paragraph_chars", "share", TABLE_A1, "characters of paragraphs equal to an earlier one / char_count"),
    Measure("unique_words", "share", OWN, "distinct words / words, of those that word_count counts"),
    Measure("top_word_share", "share", OWN, "occurrences of the most frequent word / words, likewise"),
    *(
        Measure(
            f"top_{n}gram_share",
            "share",
            TABLE_A1,
            f"characters of the most frequent {n}-gram (the first of equals) x its occurrences / char_count, at most 1. "
            "Not as datatrove: 0 where nothing occurs twice, since one long word in a short text is no repetition",
        )
        for n in (2, 3, 4)
    ),
    *(
        Measure(
            f"dup_{n}gram_share",
            "share",
            TABLE_A1,
            f"characters of {n}-grams that occurred before, none counted twice / char_count; as datatrove",
        )
        for n in range(5, 11)
    ),
    *(
        Measure(
            f"spare_{n}gram_share",
            "share",
            OWN,
            f"as top_{n}gram_share, but for the first two occurrences: in a short text a term and a refrain come twice",
        )
        for n in (2, 3, 4)
    ),
    Measure(
        "spare_lines", "share", OWN, "lines that three earlier lines are equal to / lines: a refrain comes three times"
    ),
)
