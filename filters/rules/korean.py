"""Signs of Korean that is no running text: hanja, broken spacing, typed emotion, stuffed keywords, repeated contacts.

An eojeol is a whitespace word. A word is *bare* when no particle or verb ending of the language pack ends it; that
nouns come back again and again without one is what lists of keywords and places, made for search engines, are known
by. All is 0 for a text of other scripts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from winnow.filters.rules.measure import OWN, Measure
from winnow.filters.rules.phrases import Places

if TYPE_CHECKING:
    from winnow.filters.rules.words import Bytes, Words

LONG_EOJEOL = 15
"""Hangul syllables of the longest word that is spaced as usual: of the words of Korean manuals, law and news, 1 in
10,000 is longer."""
SPELLED = 4
"""Words of one syllable in a row from which on they are lettering: 안 내 말 씀."""
BARE_REPEATS = 3
"""From this occurrence on a bare word counts as repeated."""

COLUMNS = (
    "hanja_ratio",
    "unspaced_share",
    "spelled_share",
    "jamo_runs",
    "bare_repeats",
    "place_share",
    "phone_lines",
    "repeated_phones",
)
"""The kernel's columns, in its order."""

MEASURES = (
    Measure("hanja_ratio", "share", OWN, "Han characters / letters"),
    Measure(
        "unspaced_share",
        "share",
        OWN,
        f"Hangul syllables in words of more than {LONG_EOJEOL} of them / Hangul syllables: text without spaces",
    ),
    Measure(
        "spelled_share",
        "share",
        OWN,
        f"words of one Hangul syllable, {SPELLED} or more in a row, symbols between which do not end the row / word_count: "
        "lettering spaced out",
    ),
    Measure("jamo_runs", "ratio", OWN, "runs of two or more equal jamo, as in 'ㅋㅋ', 'ㅠㅠ' / word_count"),
    Measure(
        "bare_repeats",
        "share",
        OWN,
        f"words of two Hangul syllables and more without a particle or ending, from their {BARE_REPEATS}rd occurrence "
        "on / word_count: stuffed keywords",
    ),
    Measure(
        "place_share",
        "share",
        OWN,
        "words that are a place name of `phrases.yaml` with at most two letters behind it and no particle / word_count",
    ),
    Measure("phone_lines", "share", OWN, "lines with a Korean telephone number / lines"),
    Measure("repeated_phones", "count", OWN, "Korean telephone numbers that stood before in the text"),
)


def korean(words: Words, ended: Bytes, found: Places) -> npt.NDArray[np.float64]:
    """[texts, COLUMNS]; 0 where a text has no words. `ended` [words] is of `running_text`; `found` are the phrases."""
    from winnow.filters.rules import korean_kernel

    sums: npt.NDArray[np.float64] = korean_kernel.korean(
        words.characters,
        words.classes,
        words.word_offsets,
        words.word_start,
        words.word_end,
        words.word_hash,
        words.word_classes,
        ended,
        words.line_offsets,
        words.line_start,
        words.line_end,
        found.start,
        found.end,
        found.kind,
    )
    return sums


def phone_numbers(words: Words) -> list[tuple[int, int, int]]:
    """Start, end and key of every Korean telephone number of a column, for highlighting."""
    from winnow.filters.rules import korean_kernel

    found = korean_kernel.phones(words.characters, words.line_start, words.line_end)
    return [(int(start), int(end), int(number)) for start, end, number in found]
