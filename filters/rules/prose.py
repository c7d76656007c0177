"""Which lines of a text run on as prose, verse and speech do, and which are labels: menus, headings, fields of a form.

Sentences have marks at their ends, verse and speech often none. Where the language pack lists particles and endings,
a line runs when enough of its words bear one; in alphabets with capitals, when most of its words begin with a small
letter; and in any language when a sentence mark ends it. A label is a short line that shows none of these signs.

The shares of words and hash marks here stand beside Gopher's (`quality.py`), which are as datatrove has them, and
leave out what tables, code and headings are drawn with.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np

from winnow.filters.character_classes import (
    CLOSER,
    CONTENT,
    HANGUL,
    LETTER,
    SENTENCE_END,
    SMALL,
    SPACE,
    kind_table,
)
from winnow.filters.kernel import Bytes, Codes, IntRows, ReadBytes, inline, kernel
from winnow.filters.passages import Span
from winnow.filters.rules.measure import OWN, Cut, Group, Measure, Records, record
from winnow.filters.rules.quality import BULLETS
from winnow.filters.words import Words

if TYPE_CHECKING:
    from winnow.filters.rules.table import Texts

RUNS, LABEL, ENTRY = 1, 2, 4
"""What a line is, or 0."""
LABEL_WORDS = 6
"""Words of the longest label."""
LABELS_IN_A_ROW = 2
"""Labels in a row from which on they count: one alone is a heading, or a term before its explanation."""
VERSE_WORDS = 12
"""Words of the longest line that may run on without a mark at its end where no endings tell."""

_CODE, _CALL, _OPENS, _CLOSES = 1, 2, 4, 8
_SIGNS = np.zeros(128, np.uint8)
"""Whether an ASCII character is one that a line of code, a table or a tag is known by, that a call or an index begins
with, that a tag begins or ends with."""
for _bit, _characters in ((_CODE, "{}<>=;|\\$@#`"), (_CALL, "(["), (_OPENS, "<"), (_CLOSES, ">")):
    for _character in _characters:
        _SIGNS[ord(_character)] |= _bit
_TAG = re.compile(r"<[A-Za-z/!][^<>]*(?:<(?![A-Za-z/!])[^<>]*)*>")
_KEY = np.zeros(128, np.bool_)  # what the key of an entry consists of
for _character in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-[]":
    _KEY[ord(_character)] = True


def numbers_alone(cut: Cut) -> list[Span]:
    """Words with a mark or number and no letter."""
    return [word for word in cut.content if not cut.bits_of(word) & LETTER]


def hashtags(cut: Cut) -> list[Span]:
    """The '#' of hashtags, as `hashtag_ratio` counts them."""
    found: list[Span] = []
    words = iter(cut.words)
    word = next(words, None)
    for start, end in cut.lines:
        opening: list[Span] = []
        inside: list[Span] = []
        others = False
        while word is not None and word[0] < end:
            marks = [
                (at, at + 1)
                for at in range(word[0], word[1] - 1)
                if cut.text[word[0]] == cut.text[at] == "#" and cut.bits[at + 1] & CONTENT
            ]
            (opening if word[0] == start else inside).extend(marks)
            others |= not marks
            word = next(words, None)
        found += inside if others else opening + inside
    return found


def tags(cut: Cut) -> list[Span]:
    return [at.span() for start, end in cut.lines for at in _TAG.finditer(cut.text, start, end)]


def lines_that_do_not_run(cut: Cut) -> list[Span]:
    return cut.lines_where((_flags(cut.texts)[:, 0] & RUNS) == 0)


def labels(cut: Cut) -> list[Span]:
    """Entries, and labels with others above or below them."""
    found: list[Span] = []
    for flag, held in groupby(zip(cut.lines, _flags(cut.texts)[:, 0].tolist(), strict=True), lambda pair: pair[1]):
        group = [line for line, _ in held]
        if flag == ENTRY or (flag == LABEL and len(group) >= LABELS_IN_A_ROW):
            found += group
    return found


MEASURES = (
    Measure(
        "lettered_words",
        "share",
        OWN,
        "words with a letter / words with a letter, mark or number: alpha_word_share without the bars of tables, the "
        "brackets of code and dashes",
        numbers_alone,
    ),
    Measure(
        "hashtag_ratio",
        "ratio",
        OWN,
        "hashtags / words: '#' and a letter or number at once behind it, after white space or another hashtag, in the "
        "middle of a line, or in a line of hashtags alone. Headings, comments, shell prompts, C# and anchors are none",
        hashtags,
    ),
    Measure("running_lines", "share", OWN, "lines that run on / lines", lines_that_do_not_run),
    Measure(
        "running_share",
        "share",
        OWN,
        "characters of lines that run on / characters, both but white space",
        lines_that_do_not_run,
    ),
    Measure(
        "label_ratio",
        "ratio",
        OWN,
        "labels with others above or below them, and entries (key = value, with a letter beyond ASCII in the value) / words",
        labels,
    ),
    Measure(
        "tag_share",
        "share",
        OWN,
        "characters of tags (<p>, </a>) that end in their line / characters, both but white space",
        tags,
    ),
)
Rows: TypeAlias = Annotated[Records, record(MEASURES)]


@inline
def _entry(codes: Any, classes: Any, start: Any, end: Any) -> Any:
    """Whether a line is an entry of a file of messages: key = value, with a letter beyond ASCII in the value, so that
    the assignments of code are none."""
    at = start
    while at < end and codes[at] < 128 and _KEY[codes[at]]:
        at += 1
    if at - start < 2:
        return False
    while at < end and codes[at] == 0x20:
        at += 1
    if at == end or codes[at] != 0x3D:
        return False
    lettered = False
    for c in range(at + 1, end):
        lettered |= codes[c] >= 128 and (classes[c] & LETTER) != 0
    return lettered


@kernel
def _lines(words: Words, kinds: ReadBytes, ended: Bytes, marks: Codes, bullets: Codes, by_ending: bool) -> IntRows:
    """[lines, 3]: RUNS, LABEL or ENTRY; characters but white space; those of them in tags."""
    codes, classes = words.characters, words.classes
    word_start, word_classes = words.word_start, words.word_classes
    line_start, line_end = words.line_start, words.line_end
    out = np.zeros((len(line_start), 3), np.int64)
    size = len(kinds)
    w = 0
    for line in range(len(line_start)):
        start = line_start[line]
        stop = line_end[line]
        filled = 0
        signs = 0
        last = False
        final = w
        while w < len(word_start) and word_start[w] < stop:
            if word_classes[w] & CONTENT:
                filled += 1
                final = w
                if by_ending:
                    last = ended[w] != 0
                else:
                    c = word_start[w]
                    while not classes[c] & CONTENT:
                        c += 1
                    last = codes[c] < size and (kinds[codes[c]] & SMALL) != 0
                signs += last
            w += 1
        amount = False
        if filled > 1:
            c = word_start[final]
            while not classes[c] & CONTENT:
                c += 1
            amount = 0x30 <= codes[c] <= 0x39
        signs_seen = np.uint8(0)
        seen = np.uint8(0)
        visible = 0
        tagged = 0
        opened = -1
        for c in range(start, stop):
            bits = classes[c]
            seen |= bits
            visible += (bits & SPACE) == 0
            sign = _SIGNS[codes[c]] if codes[c] < 128 else np.uint8(0)
            if sign == 0:
                continue
            signs_seen |= sign
            if sign & _OPENS:
                follows = codes[c + 1] if c + 1 < stop else np.int32(0)
                tag = follows == 0x2F or follows == 0x21 or 0x61 <= (follows | 32) <= 0x7A
                opened = visible - 1 if tag else -1
            elif sign & _CLOSES and opened >= 0:
                tagged += visible - opened
                opened = -1
        code = (signs_seen & _CODE) != 0
        call = (signs_seen & _CALL) != 0
        out[line, 1] = visible
        out[line, 2] = tagged
        c = stop - 1
        # Behind the mark may stand closing quotation marks, brackets and Markdown's emphasis.
        while c > start and (classes[c] & CLOSER or codes[c] == 0x2A or codes[c] == 0x5F or codes[c] == 0x60):
            c -= 1
        closed = False
        if len(marks):
            for mark in marks:
                closed |= codes[c] == mark
        else:
            closed = (classes[c] & SENTENCE_END) != 0
        closed &= not (c > start and codes[c] == 0x2E and codes[c - 1] == 0x2E)
        comma = codes[c] == 0x2C or codes[c] == 0x3B
        if filled == 0:
            continue
        code |= (call and not seen & HANGUL) or (codes[stop - 1] == 0x3A and filled <= 2)
        for mark in bullets:
            code |= codes[start] == mark
        if _entry(codes, classes, start, stop):
            out[line, 0] = ENTRY
            continue
        if by_ending:
            least = filled if filled <= 2 else 2
            runs = (signs >= least and (2 * signs >= filled or (3 * signs >= filled and (last or closed)))) or (
                signs > 0 and filled <= 2 and closed
            )
            runs &= filled > 1 or closed
            label = 3 * signs < filled or filled == 1
        else:
            runs = closed or (4 <= filled <= VERSE_WORDS and 2 * signs >= filled)
            label = not comma
        if runs:
            out[line, 0] = RUNS
        elif label and not closed and not code and not amount and filled <= LABEL_WORDS:
            out[line, 0] = LABEL
    return out


@kernel
def fill(words: Words, flags: IntRows, out: Rows) -> None:
    codes, classes = words.characters, words.classes
    word_offsets, word_start, word_end = words.word_offsets, words.word_start, words.word_end
    word_classes = words.word_classes
    line_offsets, line_start, line_end = words.line_offsets, words.line_start, words.line_end
    for row in range(len(out)):
        first = line_offsets[row]
        last = line_offsets[row + 1]
        tokens = word_offsets[row + 1] - word_offsets[row]
        if tokens == 0 or first == last:
            continue
        real = 0
        lettered = 0
        for w in range(word_offsets[row], word_offsets[row + 1]):
            real += (word_classes[w] & CONTENT) != 0
            lettered += (word_classes[w] & LETTER) != 0
        tag_marks = 0
        running = 0
        inside = 0
        visible = 0
        tagged = 0
        labelled = 0
        row_of_labels = 0
        w = word_offsets[row]
        for line in range(first, last):
            running += (flags[line, 0] & RUNS) != 0
            if flags[line, 0] & LABEL:
                row_of_labels += 1
            else:
                labelled += row_of_labels if row_of_labels >= LABELS_IN_A_ROW else 0
                row_of_labels = 0
            labelled += (flags[line, 0] & ENTRY) != 0
            visible += flags[line, 1]
            tagged += flags[line, 2]
            inside += flags[line, 1] if flags[line, 0] & RUNS else 0
            opening = 0
            held = 0
            others = 0
            while w < word_offsets[row + 1] and word_start[w] < line_end[line]:
                found = 0
                at = word_start[w]
                if codes[at] == 0x23:
                    for c in range(at, word_end[w] - 1):
                        found += codes[c] == 0x23 and (classes[c + 1] & CONTENT) != 0
                if word_start[w] == line_start[line]:
                    opening = found
                else:
                    held += found
                others += found == 0
                w += 1
            tag_marks += held + (opening if others == 0 else 0)
        labelled += row_of_labels if row_of_labels >= LABELS_IN_A_ROW else 0
        out[row].lettered_words = lettered / real if real else 0.0
        out[row].hashtag_ratio = tag_marks / tokens
        out[row].running_lines = running / (last - first)
        out[row].running_share = inside / visible if visible else 0.0
        out[row].label_ratio = labelled / tokens
        out[row].tag_share = tagged / visible if visible else 0.0


def _flags(texts: Texts) -> IntRows:
    """[lines, 3] as `_lines` says."""
    by_ending = bool(texts.pack.endings)
    return _lines(texts.words, kind_table(), texts.running[1], texts.terminal_marks, BULLETS, by_ending)


GROUP = Group("prose", 1, MEASURES, lambda texts, out: fill(texts.words, _flags(texts), out))
