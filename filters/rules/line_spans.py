"""The lines of a text that a measure counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable
from itertools import groupby

import numpy as np

from winnow.filters.passages import Span
from winnow.filters.rules import c4, prose, web_lines
from winnow.filters.rules.cut_text import Cut
from winnow.filters.rules.korean import phone_numbers
from winnow.filters.rules.phrases import find, phrases
from winnow.filters.rules.quality import BULLETS
from winnow.filters.rules.running_text import running_text
from winnow.filters.rules.word_spans import repeated
from winnow.filters.rules.words import CLOSER, HANGUL, JAMO, SENTENCE_END, SINGLE

SHORT_LINE = 30
"""Characters of the longest line that `short_lines` counts."""

_LINK = re.compile(r"(?i)(?<![a-z0-9])(?:(?:https?|ftp)://|www\.)[\w\-.~:/?#\[\]@!$&'()*+,;=%]+", re.ASCII)
_TARGET = re.compile(r"\]\(([^\s)]+)\)")


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
        marks = cut.pack.terminal_punctuation
        return cut.text[at] in marks if marks else bool(cut.bits[at] & SENTENCE_END)

    return [line for line in cut.lines if not ends(*line)]


def repeated_lines(cut: Cut) -> list[Span]:
    return repeated(zip(cut.lines, cut.line_keys, strict=True))


def spare_lines(cut: Cut) -> list[Span]:
    """The lines that three earlier ones are equal to."""
    seen: Counter[int] = Counter()
    found = []
    for line, key in zip(cut.lines, cut.line_keys, strict=True):
        seen[key] += 1
        if seen[key] > 3:
            found.append(line)
    return found


def lines_that_do_not_run(cut: Cut) -> list[Span]:
    return [line for line, flags in zip(cut.lines, _prose(cut), strict=True) if not flags & prose.RUNS]


def labels(cut: Cut) -> list[Span]:
    """Entries, and labels with others above or below them."""
    found: list[Span] = []
    for flag, held in groupby(zip(cut.lines, _prose(cut), strict=True), lambda pair: pair[1]):
        group = [line for line, _ in held]
        if flag == prose.ENTRY or (flag == prose.LABEL and len(group) >= prose.LABELS_IN_A_ROW):
            found += group
    return found


def _prose(cut: Cut) -> list[int]:
    from winnow.filters.rules.columns import word_lists

    _, ended = running_text(cut.held, word_lists(cut.pack, cut.pack.word_unit))
    flags: list[int] = prose.line_flags(cut.held, ended, cut.pack)[:, 0].tolist()
    return flags


def repeated_paragraphs(cut: Cut) -> list[Span]:
    paragraphs: list[tuple[Span, Hashable]] = []
    for _, places in groupby(range(len(cut.lines)), lambda at: cut.line_blocks[at]):
        held = list(places)
        span = (cut.lines[held[0]][0], cut.lines[held[-1]][1])
        paragraphs.append((span, tuple(cut.line_keys[at] for at in held)))
    return repeated(paragraphs)


def bare_unended_lines(cut: Cut) -> list[Span]:
    """The lines whose last character ends no sentence."""
    return [line for line in cut.lines if not cut.bits[line[1] - 1] & SENTENCE_END]


def c4_lines(cut: Cut, column: str) -> list[Span]:
    """The lines that count in a column of C4's measures."""
    fates = c4.fates(cut.held, find(cut.held, phrases(cut.pack.code)), cut.pack.terminal_punctuation)
    wanted = c4.COLUMNS.index(column)
    return [line for line, fate in zip(cut.lines, fates[:, 0].tolist(), strict=True) if fate == wanted]


def c4_dropped_lines(cut: Cut) -> list[Span]:
    """The lines that C4 would drop, for what counts those that stay."""
    kept = set(c4_lines(cut, "c4_kept_lines"))
    return [line for line in cut.lines if line not in kept]


def c4_citations(cut: Cut) -> list[Span]:
    """The citations of lines without a word of more than 1,000 characters."""
    long = set(c4_lines(cut, "c4_long_word_lines"))
    return [
        (start + at.start(), start + at.end())
        for start, end in cut.lines
        if (start, end) not in long
        for at in re.finditer(r"\[\d*\]|\[edit\]|\[citation needed\]", cut.text[start:end], re.ASCII)
    ]


def page_lines(cut: Cut, column: str) -> list[Span]:
    """The lines that count in a column of `web_lines.py`."""
    table = phrases(cut.pack.code)
    flags = web_lines.line_flags(cut.held, table, find(cut.held, table))[:, 0].tolist()
    bit = 1 << web_lines.COLUMNS.index(column)
    return [line for line, bits in zip(cut.lines, flags, strict=True) if bits & bit]


def dense_lines(cut: Cut, column: int) -> list[Span]:
    """The lines that count in a column of `density.py`, whose kernel takes each line for a text."""
    from winnow.filters.rules.density_kernel import scan

    held = cut.held
    each = np.arange(len(cut.lines) + 1, dtype=np.int64)
    found = scan(held.characters, held.classes, each, held.line_start, held.line_end, BULLETS)
    return [line for line, value in zip(cut.lines, found[:, column].tolist(), strict=True) if value > 0]


def links(cut: Cut) -> list[Span]:
    """URLs and the targets of Markdown links."""
    found: list[Span] = []
    for start, end in dense_lines(cut, 4):
        line = cut.text[start:end]
        places = [at.span(1) for at in _TARGET.finditer(line)]
        places += [
            at.span()
            for at in _LINK.finditer(line)
            if not any(first < at.end() and at.start() < last for first, last in places)
        ]
        found.extend((start + first, start + last) for first, last in sorted(places))
    return found


def phone_lines(cut: Cut) -> list[Span]:
    return _holding(cut, [(start, end) for start, end, _ in _phones(cut)])


def repeated_phones(cut: Cut) -> list[Span]:
    return repeated(((start, end), number) for start, end, number in _phones(cut))


def _phones(cut: Cut) -> list[tuple[int, int, int]]:
    korean = any(bits & (HANGUL | JAMO | SINGLE) for bits in cut.word_bits)
    return phone_numbers(cut.held) if korean else []


def _holding(cut: Cut, places: list[Span]) -> list[Span]:
    """The lines that hold any of the places."""
    return [(start, end) for start, end in cut.lines if any(start <= first < end for first, _ in places)]
