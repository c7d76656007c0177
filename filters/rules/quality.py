"""Gopher's quality rules and FineWeb's line rules: one pass over the words and lines of each text.

Sources: Rae et al. 2021, *Scaling Language Models*, arXiv:2112.11446, A1.1 (quality filtering); Penedo et al. 2024,
*The FineWeb Datasets*, arXiv:2406.17557, section 3.6. Where a definition here is another than datatrove's, the table
says so.
"""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

import numpy as np

from winnow.filters.character_classes import CLOSER, CONTENT, LETTER, SENTENCE_END
from winnow.filters.kernel import Codes, kernel
from winnow.filters.passages import Span
from winnow.filters.rules.measure import FINEWEB, GOPHER, OWN, Cut, Group, Measure, Records, record
from winnow.filters.words import Words

BULLETS = np.array([ord(mark) for mark in "-*•·ㆍ‣⁃◦▪▫■□●○◆◇▶►▷※"], np.int32)
"""What a bullet line starts with: Gopher's hyphen and bullet, Markdown's asterisk, and the marks of Korean lists."""
SHORT_LINE = 30
"""Characters of the longest line that `short_lines` counts: FineWeb's short_line_length."""
LONG_WORD = 2.0
"""`mean_word_length` is shown by the words more than this many times as long as the mean: what pulls it up."""
_ELLIPSIS = re.compile(r"\.\.\.|…")


def long_words(cut: Cut) -> list[Span]:
    content = cut.content
    letters = sum(end - start for start, end in content)
    return [(start, end) for start, end in content if (end - start) * len(content) > LONG_WORD * letters]


def words_without_letter(cut: Cut) -> list[Span]:
    return [word for word in cut.words if not cut.bits_of(word) & LETTER]


def hashes(cut: Cut) -> list[Span]:
    return [(at, at + 1) for at, character in enumerate(cut.text) if character == "#"]


def ellipses(cut: Cut) -> list[Span]:
    return [found.span() for found in _ELLIPSIS.finditer(cut.text)]


def bullet_lines(cut: Cut) -> list[Span]:
    marks = {chr(mark) for mark in BULLETS.tolist()}
    return [line for line in cut.lines if cut.text[line[0]] in marks]


def ellipsis_lines(cut: Cut) -> list[Span]:
    return [line for line in cut.lines if cut.read(line).endswith(("...", "…"))]


def short_lines(cut: Cut) -> list[Span]:
    return [(start, end) for start, end in cut.lines if end - start <= SHORT_LINE]


def unended_lines(cut: Cut) -> list[Span]:
    """The lines whose last character but closing quotation marks and brackets ends no sentence."""

    def ends(start: int, end: int) -> bool:
        at = end - 1
        while at > start and cut.bits[at] & CLOSER:
            at -= 1
        marks = cut.texts.pack.terminal_punctuation
        return cut.text[at] in marks if marks else bool(cut.bits[at] & SENTENCE_END)

    return [line for line in cut.lines if not ends(*line)]


def bare_unended_lines(cut: Cut) -> list[Span]:
    """The lines whose last character ends no sentence."""
    return [line for line in cut.lines if not cut.bits[line[1] - 1] & SENTENCE_END]


MEASURES = (
    Measure("char_count", "count", OWN, "characters of the trimmed text, line breaks included"),
    Measure("line_count", "count", OWN, "lines that hold anything"),
    Measure(
        "word_count",
        "count",
        GOPHER,
        "words with a letter, mark or number. Not as datatrove, whose symbol list lacks bullets and emoji and holds '１'",
    ),
    Measure("mean_word_length", "characters", GOPHER, "mean length of the words that word_count counts", long_words),
    Measure("alpha_word_share", "share", GOPHER, "words with a letter / words; as datatrove", words_without_letter),
    Measure("hash_ratio", "ratio", GOPHER, "'#' / words; as datatrove", hashes),
    Measure("ellipsis_ratio", "ratio", GOPHER, "'...' and '…' / words; as datatrove", ellipses),
    Measure(
        "bullet_lines",
        "share",
        GOPHER,
        "lines that start with a bullet / lines. Not as datatrove: more marks than '-' and '•' (quality.BULLETS), since "
        "Korean lists use others",
        bullet_lines,
    ),
    Measure("ellipsis_lines", "share", GOPHER, "lines that end in '...' or '…' / lines; as datatrove", ellipsis_lines),
    Measure(
        "line_punctuation",
        "share",
        FINEWEB,
        "lines that end a sentence / lines. Not as datatrove: a closing quotation mark or bracket may follow, as it does "
        "in Korean news",
        unended_lines,
    ),
    Measure(
        "bare_line_punctuation",
        "share",
        FINEWEB,
        "lines whose last character ends a sentence (Unicode's Sentence_Terminal) / lines; as datatrove",
        bare_unended_lines,
    ),
    Measure("short_lines", "share", FINEWEB, "lines of at most 30 characters / lines; as datatrove", short_lines),
    Measure("newline_ratio", "ratio", FINEWEB, "line breaks / words; as datatrove"),
)
Rows: TypeAlias = Annotated[Records, record(MEASURES)]


@kernel
def fill(words: Words, bullets: Codes, marks: Codes, out: Rows) -> None:
    """`marks`: what ends a sentence for line_punctuation, Unicode's Sentence_Terminal where there are none."""
    codes, classes = words.characters, words.classes
    word_offsets, word_start, word_end = words.word_offsets, words.word_start, words.word_end
    line_offsets, line_start, line_end = words.line_offsets, words.line_start, words.line_end
    for row in range(len(out)):
        tokens = word_offsets[row + 1] - word_offsets[row]
        if tokens == 0:
            continue
        real = 0
        length = 0
        alphabetic = 0
        hash_marks = 0
        for w in range(word_offsets[row], word_offsets[row + 1]):
            seen = words.word_classes[w]
            if seen & CONTENT:
                real += 1
                length += word_end[w] - word_start[w]
            if seen & LETTER:
                alphabetic += 1
        first = line_offsets[row]
        lines = line_offsets[row + 1] - first
        characters = lines - 1
        dotted = 0
        bulleted = 0
        trailing = 0
        punctuated = 0
        bare = 0
        short = 0
        for line in range(first, first + lines):
            start = line_start[line]
            end = line_end[line]
            characters += end - start
            short += end - start <= SHORT_LINE
            for mark in bullets:
                if codes[start] == mark:
                    bulleted += 1
                    break
            points = 0
            for code in codes[start:end]:
                hash_marks += code == 0x23
                dotted += code == 0x2026
                points += code == 0x2E
            if points >= 3:
                dots = 0
                for c in range(start, end):
                    dots = dots + 1 if codes[c] == 0x2E else 0
                    if dots == 3:
                        dotted += 1
                        dots = 0
            trailing += codes[end - 1] == 0x2026 or (
                end - start >= 3 and codes[end - 1] == 0x2E and codes[end - 2] == 0x2E and codes[end - 3] == 0x2E
            )
            bare += (classes[end - 1] & SENTENCE_END) != 0
            c = end - 1
            while c > start and classes[c] & CLOSER:
                c -= 1
            if len(marks):
                for mark in marks:
                    if codes[c] == mark:
                        punctuated += 1
                        break
            else:
                punctuated += (classes[c] & SENTENCE_END) != 0
        out[row].char_count = characters
        out[row].line_count = lines
        out[row].word_count = real
        out[row].mean_word_length = length / real if real else 0.0
        out[row].alpha_word_share = alphabetic / tokens
        out[row].hash_ratio = hash_marks / tokens
        out[row].ellipsis_ratio = dotted / tokens
        out[row].bullet_lines = bulleted / lines
        out[row].ellipsis_lines = trailing / lines
        out[row].line_punctuation = punctuated / lines
        out[row].bare_line_punctuation = bare / lines
        out[row].short_lines = short / lines
        out[row].newline_ratio = (lines - 1) / tokens


GROUP = Group("quality", 1, MEASURES, lambda texts, out: fill(texts.words, BULLETS, texts.terminal_marks, out))
