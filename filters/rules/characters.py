"""What a text's characters are, by Unicode category: digits, symbols, punctuation, capitals, and what no text holds.

Sources: the signals of RedPajama-Data-v2 (Weber et al. 2024, arXiv:2411.12372; Computer 2023), there per line, here
per text. Counted over the trimmed text, so the shares do not depend on the word unit, save for the capital words.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from winnow.filters.rules.measure import OWN, Measure

if TYPE_CHECKING:
    from winnow.filters.rules.words import Bytes, Words

REDPAJAMA = "RedPajama-v2, arXiv:2411.12372"

# Frozen into the machine code that numba caches for `characters_kernel.py`: change them and that file together.
DIGIT = 1  # Nd
SYMBOL = 2  # Sm, Sc, Sk, So: + = $ ^ and emoji
PUNCTUATION = 4  # P*
CAPITAL = 8  # Lu
SMALL = 16  # Ll, Lt: a word with one of these is not all capitals
DAMAGED = 32  # U+FFFD, controls other than white space, surrogates, private use, noncharacters

TABLE_SIZE = 0x20000
"""Code points from here to PRIVATE are ideographs, tags and variation selectors: none of these kinds."""

PRIVATE = 0xF0000
"""Code points from here on are private use."""

COLUMNS = (
    "digit_ratio",
    "symbol_ratio",
    "punctuation_ratio",
    "damaged_ratio",
    "uppercase_ratio",
    "all_caps_words",
)
"""The kernel's columns, in its order."""

MEASURES = (
    Measure(
        "digit_ratio",
        "share",
        REDPAJAMA,
        "decimal digits / characters but white space: high in tables of figures, price lists, logs",
    ),
    Measure(
        "symbol_ratio",
        "share",
        OWN,
        "symbols (Unicode S*: + = | $ ~ ★ → emoji; U+FFFD is damage) / characters but white space: high in adverts, code",
    ),
    Measure("punctuation_ratio", "share", OWN, "punctuation (Unicode P*) / characters but white space"),
    Measure(
        "damaged_ratio",
        "share",
        OWN,
        "U+FFFD, controls, surrogates, private-use and noncharacters / characters but white space: wrong decoding",
    ),
    Measure("uppercase_ratio", "share", REDPAJAMA, "capital letters / letters; RedPajama's divides by all characters"),
    Measure(
        "all_caps_words",
        "share",
        REDPAJAMA,
        "words with a capital letter and no small one / words. As RedPajama's",
    ),
)


@cache
def kind_table() -> Bytes:
    """The bits of every code point below TABLE_SIZE, from this Python's `unicodedata`."""
    bits = {
        **dict.fromkeys(("Nd",), DIGIT),
        **dict.fromkeys(("Sm", "Sc", "Sk", "So"), SYMBOL),
        **dict.fromkeys(("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"), PUNCTUATION),
        **dict.fromkeys(("Lu",), CAPITAL),
        **dict.fromkeys(("Ll", "Lt"), SMALL),
        **dict.fromkeys(("Cc", "Cs", "Co"), DAMAGED),
    }
    table = np.array([bits.get(unicodedata.category(chr(code)), 0) for code in range(TABLE_SIZE)], np.uint8)
    table[0xFFFD] = DAMAGED
    table[0xFDD0:0xFDF0] = DAMAGED
    table[0xFFFE::0x10000] = DAMAGED
    table[0xFFFF::0x10000] = DAMAGED
    table.setflags(write=False)
    return table


def characters(words: Words) -> npt.NDArray[np.float64]:
    """[texts, COLUMNS]; 0 where a text has no words."""
    from winnow.filters.rules.characters_kernel import count

    found: npt.NDArray[np.float64] = count(
        words.characters,
        words.classes,
        kind_table(),
        words.word_offsets,
        words.word_start,
        words.word_end,
        words.line_offsets,
        words.line_start,
        words.line_end,
    )
    return found
