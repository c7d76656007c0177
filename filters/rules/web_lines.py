"""Lines that serve a page and not its text: RefinedWeb's line-wise corrections, measured instead of carried out.

Source: Penedo et al. 2023, *The RefinedWeb Dataset*, arXiv:2306.01116, section G.2: lines mostly of capital letters,
only of numbers, that count something ("3 likes"), of one word, and short lines (at most ten words) that begin with, end
with or hold a phrase of the page ("sign in", "read more", "items in cart"); a page is dropped where such lines hold
more than 5% of its words. The phrases are ours, for the languages in `phrases.yaml`.

Words here are parted by white space in every word unit; a letter of a script without spaces is one, and counts half
towards the ten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from winnow.filters.rules.characters import kind_table
from winnow.filters.rules.measure import OWN, Measure
from winnow.filters.rules.phrases import Phrases, Places

if TYPE_CHECKING:
    from winnow.filters.rules.words import Words

REFINEDWEB = "RefinedWeb, arXiv:2306.01116 G.2"

COLUMNS = (
    "capital_lines",
    "counter_lines",
    "one_word_lines",
    "page_lines",
    "page_words",
    "boilerplate_lines",
)
"""The kernel's columns, in its order."""

MEASURES = (
    Measure("capital_lines", "share", REFINEDWEB, "lines more than half of whose letters are capitals / lines"),
    Measure("counter_lines", "share", REFINEDWEB, "lines of numbers and words that count, as '3 likes' / lines"),
    Measure(
        "one_word_lines",
        "share",
        REFINEDWEB,
        "lines of one word / lines; a letter of a script without spaces (Han, kana, Thai) is a word of its own",
    ),
    Measure(
        "page_lines",
        "share",
        REFINEDWEB,
        "lines of at most ten words that begin with, end with or hold a phrase that serves the page / lines",
    ),
    Measure(
        "page_words",
        "share",
        REFINEDWEB,
        "words of the lines that the four measures before or number_lines count / words",
    ),
    Measure(
        "boilerplate_lines",
        "share",
        OWN,
        "lines of at most fifteen words with a phrase on rights, terms or the publisher / lines",
    ),
)


def web_lines(words: Words, table: Phrases, found: Places) -> npt.NDArray[np.float64]:
    """[texts, COLUMNS]; 0 where a text has no words. `found` are the phrases of `table` in `words`."""
    from winnow.filters.rules import web_lines_kernel

    sums: npt.NDArray[np.float64] = web_lines_kernel.totals(
        line_flags(words, table, found), words.word_offsets, words.line_offsets
    )
    return sums


def line_flags(words: Words, table: Phrases, found: Places) -> npt.NDArray[np.int64]:
    """[lines, 2]: bit `i` for a line that COLUMNS[i] counts, the bit of `page_words` for any of the others but
    boilerplate, and for a line of numbers; and its words."""
    from winnow.filters.rules import web_lines_kernel

    flags: npt.NDArray[np.int64] = web_lines_kernel.lines(
        words.characters,
        words.classes,
        kind_table(),
        words.line_start,
        words.line_end,
        found.start,
        found.end,
        found.kind,
        table.counters,
    )
    return flags
