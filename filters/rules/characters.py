"""What a text's characters are, by Unicode category: digits, symbols, punctuation, capitals, and what no text holds.

Sources: the signals of RedPajama-Data-v2 (Weber et al. 2024, arXiv:2411.12372; Computer 2023), there per line, here
per text. Counted over the trimmed text, so the shares do not depend on the word unit, save for the capital words.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, TypeAlias

import numpy as np

from winnow.filters.character_classes import (
    CAPITAL,
    DAMAGED,
    DIGIT,
    LETTER,
    PRIVATE,
    PUNCTUATION,
    SMALL,
    SPACE,
    SYMBOL,
    kind_table,
)
from winnow.filters.kernel import ReadBytes, inline, kernel
from winnow.filters.passages import Span
from winnow.filters.rules.measure import OWN, Cut, Group, Measure, Records, record
from winnow.filters.words import Words

REDPAJAMA = "RedPajama-v2, arXiv:2411.12372"

_COUNTED = DIGIT | SYMBOL | PUNCTUATION | DAMAGED | CAPITAL


@inline
def _beyond(code: int) -> Any:
    """The kind of a code point behind the table's last."""
    return np.uint8(DAMAGED) if code >= PRIVATE or code & 0xFFFE == 0xFFFE else np.uint8(0)


def of_kind(cut: Cut, wanted: int) -> list[Span]:
    """Runs of the characters of a kind."""
    table = kind_table()

    def kind(at: int) -> bool:
        code = ord(cut.text[at])
        return not cut.bits[at] & SPACE and bool((table[code] if code < len(table) else _beyond(code)) & wanted)

    return cut.runs(kind)


def shouted_words(cut: Cut) -> list[Span]:
    """Words with a capital letter and no small one."""
    table = kind_table()

    def kinds(word: Span) -> int:
        return int(np.bitwise_or.reduce([table[ord(c)] if ord(c) < len(table) else 0 for c in cut.read(word)]))

    return [word for word in cut.words if kinds(word) & (CAPITAL | SMALL) == CAPITAL]


MEASURES = (
    Measure(
        "digit_ratio",
        "share",
        REDPAJAMA,
        "decimal digits / characters but white space: high in tables of figures, price lists, logs",
        partial(of_kind, wanted=DIGIT),
    ),
    Measure(
        "symbol_ratio",
        "share",
        OWN,
        "symbols (Unicode S*: + = | $ ~ ★ → emoji; U+FFFD is damage) / characters but white space: high in adverts, code",
        partial(of_kind, wanted=SYMBOL),
    ),
    Measure(
        "punctuation_ratio",
        "share",
        OWN,
        "punctuation (Unicode P*) / characters but white space",
        partial(of_kind, wanted=PUNCTUATION),
    ),
    Measure(
        "damaged_ratio",
        "share",
        OWN,
        "U+FFFD, controls, surrogates, private-use and noncharacters / characters but white space: wrong decoding",
        partial(of_kind, wanted=DAMAGED),
    ),
    Measure(
        "uppercase_ratio",
        "share",
        REDPAJAMA,
        "capital letters / letters; RedPajama's divides by all characters",
        partial(of_kind, wanted=CAPITAL),
    ),
    Measure(
        "all_caps_words",
        "share",
        REDPAJAMA,
        "words with a capital letter and no small one / words. As RedPajama's",
        shouted_words,
    ),
)
Rows: TypeAlias = Annotated[Records, record(MEASURES)]


@kernel
def fill(words: Words, kinds: ReadBytes, out: Rows) -> None:
    codes, classes = words.characters, words.classes
    word_offsets, word_start, word_end = words.word_offsets, words.word_start, words.word_end
    line_offsets, line_start, line_end = words.line_offsets, words.line_start, words.line_end
    size = len(kinds)
    for row in range(len(out)):
        visible = 0
        letters = 0
        digits = 0
        symbols = 0
        marks = 0
        damaged = 0
        capitals = 0
        for line in range(line_offsets[row], line_offsets[row + 1]):
            for bits in classes[line_start[line] : line_end[line]]:
                visible += (bits & SPACE) == 0
                letters += (bits & LETTER) != 0
            for c in range(line_start[line], line_end[line]):
                code = codes[c]
                kind = kinds[code] if code < size else _beyond(code)
                if not kind & _COUNTED:
                    continue
                digits += (kind & DIGIT) != 0
                symbols += (kind & SYMBOL) != 0
                marks += (kind & PUNCTUATION) != 0
                damaged += (kind & DAMAGED) != 0 and not classes[c] & SPACE
                capitals += (kind & CAPITAL) != 0
        if visible:
            out[row].digit_ratio = digits / visible
            out[row].symbol_ratio = symbols / visible
            out[row].punctuation_ratio = marks / visible
            out[row].damaged_ratio = damaged / visible
        if letters:
            out[row].uppercase_ratio = capitals / letters
        tokens = word_offsets[row + 1] - word_offsets[row]
        shouted = 0
        for w in range(word_offsets[row], word_offsets[row + 1]):
            kind = np.uint8(0)
            for c in range(word_start[w], word_end[w]):
                code = codes[c]
                if code < size:
                    kind |= kinds[code]
                if kind & SMALL:
                    break
            shouted += (kind & (CAPITAL | SMALL)) == CAPITAL
        if tokens:
            out[row].all_caps_words = shouted / tokens


GROUP = Group("characters", 1, MEASURES, lambda texts, out: fill(texts.words, kind_table(), out))
