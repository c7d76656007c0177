"""Lines that serve a page and not its text: RefinedWeb's line-wise corrections, measured instead of carried out.

Source: Penedo et al. 2023, *The RefinedWeb Dataset*, arXiv:2306.01116, section G.2: lines mostly of capital letters,
only of numbers, that count something ("3 likes"), of one word, and short lines (at most ten words) that begin with, end
with or hold a phrase of the page ("sign in", "read more", "items in cart"); a page is dropped where such lines hold
more than 5% of its words. The phrases are ours, for the languages in `phrases.yaml`.

Words here are parted by white space in every word unit; a letter of a script without spaces is one, and counts half
towards the ten.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np

from winnow.filters.character_classes import CAPITAL, CONTENT, DIGIT, HANGUL, LETTER, SINGLE, SPACE, kind_table
from winnow.filters.kernel import Hashes, IntRows, Ints, ReadBytes, inline, kernel
from winnow.filters.passages import Span
from winnow.filters.rules.lexicon import BASIS, PRIME, fold_code, listed
from winnow.filters.rules.measure import OWN, Cut, Group, Measure, Records, record
from winnow.filters.rules.phrases import ANYWHERE, BOILERPLATE, END, START, Places
from winnow.filters.words import Words

if TYPE_CHECKING:
    from winnow.filters.rules.table import Texts

REFINEDWEB = "RefinedWeb, arXiv:2306.01116 G.2"
MOST_WORDS = 10
"""Words of the longest line that a phrase of the page marks."""
BOILERPLATE_WORDS = 15
"""Words of the longest line on rights and terms: a paragraph that names them is prose about them."""
COUNTER_WORDS = 6
"""Words of the longest line that only counts something."""
CAPITALS, COUNTER, ONE_WORD, PAGE, SERVES, RIGHTS = 1, 2, 4, 8, 16, 32
"""Bits of a line: mostly capitals, counts something, one word, a phrase of the page; any of these or numbers alone; a
phrase on rights, terms or the publisher."""


def lines_with(cut: Cut, bit: int) -> list[Span]:
    return cut.lines_where(_flags(cut.texts)[:, 0] & bit)


MEASURES = (
    Measure(
        "capital_lines",
        "share",
        REFINEDWEB,
        "lines more than half of whose letters are capitals / lines",
        partial(lines_with, bit=CAPITALS),
    ),
    Measure(
        "counter_lines",
        "share",
        REFINEDWEB,
        "lines of numbers and words that count, as '3 likes' / lines",
        partial(lines_with, bit=COUNTER),
    ),
    Measure(
        "one_word_lines",
        "share",
        REFINEDWEB,
        "lines of one word / lines; a letter of a script without spaces (Han, kana, Thai) is a word of its own",
        partial(lines_with, bit=ONE_WORD),
    ),
    Measure(
        "page_lines",
        "share",
        REFINEDWEB,
        "lines of at most ten words that begin with, end with or hold a phrase that serves the page / lines",
        partial(lines_with, bit=PAGE),
    ),
    Measure(
        "page_words",
        "share",
        REFINEDWEB,
        "words of the lines that the four measures before or number_lines count / words",
        partial(lines_with, bit=SERVES),
    ),
    Measure(
        "boilerplate_lines",
        "share",
        OWN,
        "lines of at most fifteen words with a phrase on rights, terms or the publisher / lines",
        partial(lines_with, bit=RIGHTS),
    ),
)
Rows: TypeAlias = Annotated[Records, record(MEASURES)]


@inline
def _goes_on(classes: Any, at: Any, end: Any) -> Any:
    """Whether a letter at `at` belongs to a word begun before it: not in Hangul, whose particles follow the word, nor
    in scripts without spaces."""
    return at < end and (classes[at] & LETTER) != 0 and not classes[at] & (HANGUL | SINGLE)


@kernel
def _lines(words: Words, kinds: ReadBytes, found: Places, counters: Hashes) -> IntRows:
    """[lines, 2]: bits, words."""
    codes, classes = words.characters, words.classes
    line_start, line_end = words.line_start, words.line_end
    found_start, found_end, found_kind = found.start, found.end, found.kind
    out = np.zeros((len(line_start), 2), np.int64)
    size = len(kinds)
    basis = np.uint64(BASIS)
    prime = np.uint64(PRIME)
    next_found = 0
    for line in range(len(line_start)):
        start = line_start[line]
        stop = line_end[line]
        letters = 0
        capitals = 0
        numbers = 0
        digits = 0
        spaced = 0
        single = 0
        first = stop
        last = start
        fresh = True
        for c in range(start, stop):
            bits = classes[c]
            if bits & SPACE:
                fresh = True
                continue
            spaced += fresh and not bits & SINGLE
            single += (bits & SINGLE) != 0
            fresh = (bits & SINGLE) != 0
            if bits & CONTENT:
                first = min(first, c)
                last = c + 1
                numbers += 1
                letters += (bits & LETTER) != 0
                code = codes[c]
                kind = kinds[code] if code < size else np.uint8(0)
                capitals += (kind & CAPITAL) != 0
                digits += (kind & DIGIT) != 0
        parts = spaced + single
        bits_of_line = 0
        if 2 * capitals > letters:
            bits_of_line |= CAPITALS
        if digits and letters and parts <= COUNTER_WORDS:
            named = 0
            strange = False
            h = basis
            long = 0
            for c in range(start, stop + 1):
                if c < stop and classes[c] & LETTER:
                    h = (h ^ np.uint64(fold_code(codes[c]))) * prime
                    long += 1
                elif long and (c == stop or classes[c] & SPACE):
                    if listed(counters, h if h != 0 else np.uint64(1)):
                        named += 1
                    else:
                        strange = True
                        break
                    h = basis
                    long = 0
            if named and not strange:
                bits_of_line |= COUNTER
        if parts == 1:
            bits_of_line |= ONE_WORD
        short = spaced + single // 2 <= MOST_WORDS
        while next_found < len(found_start) and found_start[next_found] < stop:
            kind = found_kind[next_found]
            begun = found_start[next_found]
            ended = found_end[next_found]
            whole = not _goes_on(classes, ended, stop) and not (
                begun > start and classes[begun - 1] & LETTER and not classes[begun] & (HANGUL | SINGLE)
            )
            if kind == BOILERPLATE:
                bits_of_line |= RIGHTS if spaced + single // 2 <= BOILERPLATE_WORDS else 0
            elif (
                short
                and whole
                and ((kind == START and begun <= first) or (kind == END and ended >= last) or kind == ANYWHERE)
            ):
                bits_of_line |= PAGE
            next_found += 1
        if bits_of_line & (CAPITALS | COUNTER | ONE_WORD | PAGE) or (numbers and not letters):
            bits_of_line |= SERVES
        out[line, 0] = bits_of_line
        out[line, 1] = parts
    return out


@kernel
def fill(flags: IntRows, word_offsets: Ints, line_offsets: Ints, out: Rows) -> None:
    for row in range(len(out)):
        lines = line_offsets[row + 1] - line_offsets[row]
        if word_offsets[row + 1] == word_offsets[row] or lines == 0:
            continue
        capitals = counters = one_word = page = rights = 0
        words = 0
        serving = 0
        for line in range(line_offsets[row], line_offsets[row + 1]):
            bits = flags[line, 0]
            capitals += (bits & CAPITALS) != 0
            counters += (bits & COUNTER) != 0
            one_word += (bits & ONE_WORD) != 0
            page += (bits & PAGE) != 0
            rights += (bits & RIGHTS) != 0
            words += flags[line, 1]
            serving += flags[line, 1] if bits & SERVES else 0
        out[row].capital_lines = capitals / lines
        out[row].counter_lines = counters / lines
        out[row].one_word_lines = one_word / lines
        out[row].page_lines = page / lines
        out[row].page_words = serving / max(words, 1)
        out[row].boilerplate_lines = rights / lines


def _flags(texts: Texts) -> IntRows:
    """[lines, 2] as `_lines` says."""
    return _lines(texts.words, kind_table(), texts.places, texts.phrases.counters)


def _fill(texts: Texts, out: Records) -> None:
    fill(_flags(texts), texts.words.word_offsets, texts.words.line_offsets, out)


GROUP = Group("web_lines", 1, MEASURES, _fill)
