"""Lexical diversity: how soon a text repeats its words, how evenly it uses them, how many it uses once.

MTLD is that of McCarthy and Jarvis 2010, *MTLD, vocd-D, and HD-D*, doi:10.3758/BRM.42.2.381: the mean length of the
stretches over which types / tokens stays above 0.72, read forward and backward and averaged. A stretch ends with the
word at which the quotient reaches 0.72; the rest counts as (1 - quotient) / (1 - 0.72) of one. A text in which no word
repeats, for which the paper has no value, gets the one that it would have if the next word repeated. The paper
recommends no fewer than 100 words.

The entropy is RedPajama-Data-v2's `rps_doc_unigram_entropy`, in nats.

Words are those with a letter; they are equal when their *cores* (first to last letter, mark or number) are, in lower
case where that is one character. Equality is that of 64-bit hashes.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from winnow.filters.rules.measure import OWN, Measure

if TYPE_CHECKING:
    from winnow.filters.rules.words import Words

LOWER_SIZE = 0x1E944
"""Past the last capital letter of Unicode (Adlam)."""

COLUMNS = ("mtld", "word_entropy", "single_use_words")
"""The kernel's columns, in its order."""

MEASURES = (
    Measure(
        "mtld",
        "ratio",
        "MTLD, doi:10.3758/BRM.42.2.381",
        "mean number of words over which types / tokens stays above 0.72, forward and backward, of the words with a "
        "letter, equal when their cores are in lower case; low in templates and stuffed keywords. Unsteady below 100 "
        "words, so that a clause asks for a word_count too",
    ),
    Measure(
        "word_entropy",
        "ratio",
        "RedPajama-v2, arXiv:2411.12372",
        "entropy of the distribution of words, in nats, of the words with a letter, equal when their cores are in lower "
        "case: at most the logarithm of how many they are, so that it grows with length",
    ),
    Measure(
        "single_use_words", "share", OWN, "words that occur once / words, of those with a letter, equal as for mtld"
    ),
)


@cache
def lower_table() -> npt.NDArray[np.int32]:
    """[LOWER_SIZE]: the lower case of every code point, where that is one character; else itself."""
    table = np.arange(LOWER_SIZE, dtype=np.int32)
    for code in range(LOWER_SIZE):
        lower = chr(code).lower()
        if len(lower) == 1:
            table[code] = ord(lower)
    table.setflags(write=False)
    return table


def diversity(words: Words) -> npt.NDArray[np.float64]:
    """[texts, COLUMNS]; 0 where no word has a letter."""
    from winnow.filters.rules.diversity_kernel import walk

    found: npt.NDArray[np.float64] = walk(
        words.characters,
        words.classes,
        lower_table(),
        words.word_offsets,
        words.word_start,
        words.word_end,
        words.word_classes,
    )
    return found
