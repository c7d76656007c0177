"""What a text's lines are when they are not prose: lists, tables, code, figures; and how much of it is links.

Sources: link density is the measure of boilerplate detection (Kohlschütter et al. 2010, doi:10.1145/1718487.1718542),
here over the plain text after extraction; RedPajama-Data-v2 (arXiv:2411.12372) has the bullets; the others are ours.
All are measured on lines and characters, so that none depends on the word unit.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np

from winnow.filters.character_classes import CONTENT, LETTER, SPACE
from winnow.filters.kernel import Bytes, Codes, Ints, inline, kernel
from winnow.filters.passages import Span
from winnow.filters.rules.measure import OWN, Cut, Group, Measure, Records, record
from winnow.filters.rules.quality import BULLETS

if TYPE_CHECKING:
    from winnow.filters.rules.table import Texts

_URI = np.zeros(128, np.bool_)  # unreserved, reserved and % of RFC 3986
for _character in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?#[]@!$&'()*+,;=%":
    _URI[ord(_character)] = True

_MARKS = np.zeros(128, np.bool_)  # what a table, a Markdown link, http, www and ftp are known by
for _character in "\t|]hHwWfF":
    _MARKS[ord(_character)] = True

_NUMBERS_SIZE = 0x20000  # no code point from here on is a number
# Numbers of any kind (N*). A mark is none: the variation selector of an emoji would make a line of hearts one of numbers.
_NUMBERS = np.array([unicodedata.category(chr(code))[0] == "N" for code in range(_NUMBERS_SIZE)], np.bool_)

_HANGUL_ITEMS = np.array([ord(letter) for letter in "가나다라마바사아자차카타파하"], np.int32)
_LINK = re.compile(r"(?i)(?<![a-z0-9])(?:(?:https?|ftp)://|www\.)[\w\-.~:/?#\[\]@!$&'()*+,;=%]+", re.ASCII)
_TARGET = re.compile(r"\]\(([^\s)]+)\)")


def lines_with(cut: Cut, name: str) -> list[Span]:
    """The lines that count in a measure: each line taken for a text."""
    words = cut.texts.words
    each = np.arange(len(cut.lines) + 1, dtype=np.int64)
    out = np.zeros(len(cut.lines), record(MEASURES))
    fill(words.characters, words.classes, each, words.line_start, words.line_end, BULLETS, out)
    return cut.lines_where(out[name] > 0)


def links(cut: Cut) -> list[Span]:
    """URLs and the targets of Markdown links."""
    found: list[Span] = []
    for start, end in lines_with(cut, "link_density"):
        line = cut.text[start:end]
        places = [at.span(1) for at in _TARGET.finditer(line)]
        places += [
            at.span()
            for at in _LINK.finditer(line)
            if not any(first < at.end() and at.start() < last for first, last in places)
        ]
        found.extend((start + first, start + last) for first, last in sorted(places))
    return found


MEASURES = (
    Measure(
        "list_lines",
        "share",
        OWN,
        "lines that start with a bullet (as bullet_lines) or a number of a list (1. 12) (3) ① 가. b)) / lines",
        partial(lines_with, name="list_lines"),
    ),
    Measure(
        "table_lines",
        "share",
        OWN,
        "lines with a tab, or at least two of | │ ┃, inside / lines: tables that extraction wrote out",
        partial(lines_with, name="table_lines"),
    ),
    Measure(
        "code_lines",
        "share",
        OWN,
        "lines that end in { or }, or in ; with an assignment or a call before it / lines: C, Java, JavaScript, CSS, "
        "JSON, not Python",
        partial(lines_with, name="code_lines"),
    ),
    Measure(
        "number_lines",
        "share",
        OWN,
        "lines with a number (Unicode N*) and no letter / lines: counters, prices, dates, page numbers",
        partial(lines_with, name="number_lines"),
    ),
    Measure(
        "link_density",
        "share",
        OWN,
        "characters of URLs (http://, https://, ftp://, www. up to a character that RFC 3986 forbids) and of Markdown "
        "link targets / characters but white space",
        links,
    ),
)
Rows: TypeAlias = Annotated[Records, record(MEASURES)]


@inline
def _numbered(codes: Any, start: Any, end: Any) -> Any:
    """Whether a line starts as an item of a numbered list does: 1. 12) (3) ① 가. b)"""
    first = codes[start]
    if 0x2460 <= first <= 0x24FF or 0x2776 <= first <= 0x2793:  # ① ⑴ ⒈ ⓐ ❶
        return True
    if 0x3200 <= first <= 0x3289:  # ㈀ ㈎ ㈠ ㉠ ㉮ ㊀, but not ㈜ and ㈱
        return first <= 0x321B or 0x3220 <= first <= 0x3229 or 0x3260 <= first <= 0x327B or first >= 0x3280
    at = start + (first == 0x28)
    digits = at
    while digits < end and digits - at < 4 and 0x30 <= codes[digits] <= 0x39:
        digits += 1
    if digits > at:
        if digits - at > 3 or digits >= end:
            return False
        mark = codes[digits]
        if first == 0x28:
            return mark == 0x29
        if mark != 0x2E and mark != 0x29:
            return False
        return digits + 1 >= end or not 0x30 <= codes[digits + 1] <= 0x39  # 3.14 is no item
    if at + 1 >= end or (at + 2 < end and codes[at + 2] != 0x20):
        return False
    hangul = False
    for letter in _HANGUL_ITEMS:
        hangul |= codes[at] == letter
    latin = codes[at] < 128 and 0x61 <= codes[at] | 32 <= 0x7A
    return ((hangul or latin) and codes[at + 1] == 0x29) or (hangul and first != 0x28 and codes[at + 1] == 0x2E)


@inline
def _is_code(codes: Any, start: Any, end: Any) -> Any:
    last = end - 1
    if codes[last] == 0x2C and last > start:  # a comma after a brace, as in JSON
        last -= 1
        return codes[last] == 0x7B or codes[last] == 0x7D
    if codes[last] == 0x7B or codes[last] == 0x7D:
        return True
    if codes[last] != 0x3B:
        return False
    for c in range(start, last):
        if codes[c] == 0x3D:
            return True
        if codes[c] == 0x28 and c > start:
            before = codes[c - 1]
            if 0x61 <= (before | 32) <= 0x7A or 0x30 <= before <= 0x39 or before == 0x5F:
                return True
    return False


@inline
def _is(codes: Any, at: Any, a: Any, b: Any) -> Any:
    return (codes[at] | 32) == a and (codes[at + 1] | 32) == b


@inline
def _link(codes: Any, start: Any, c: Any, end: Any) -> Any:
    """Whether a URL starts at `c`, which follows no ASCII letter or digit."""
    if c > start:
        before = codes[c - 1]
        if before < 0x80 and (0x61 <= (before | 32) <= 0x7A or 0x30 <= before <= 0x39):
            return False
    if c + 4 < end and _is(codes, c, 0x77, 0x77) and (codes[c + 2] | 32) == 0x77 and codes[c + 3] == 0x2E:
        return _URI[codes[c + 4]] if codes[c + 4] < 128 else False
    colon = c
    if c + 7 <= end and _is(codes, c, 0x68, 0x74) and _is(codes, c + 2, 0x74, 0x70):
        colon = c + 4 + ((codes[c + 4] | 32) == 0x73)
    elif c + 6 <= end and _is(codes, c, 0x66, 0x74) and (codes[c + 2] | 32) == 0x70:
        colon = c + 3
    after = colon + 3
    if colon == c or after >= end or codes[colon] != 0x3A or codes[colon + 1] != 0x2F or codes[colon + 2] != 0x2F:
        return False
    return _URI[codes[after]] if codes[after] < 128 else False


@kernel
def fill(
    codes: Codes, classes: Bytes, line_offsets: Ints, line_start: Ints, line_end: Ints, bullets: Codes, out: Rows
) -> None:
    for row in range(len(out)):
        lines = line_offsets[row + 1] - line_offsets[row]
        if lines == 0:
            continue
        listed = 0
        tables = 0
        coded = 0
        figures = 0
        visible = 0
        linked = 0
        for line in range(line_offsets[row], line_offsets[row + 1]):
            start = line_start[line]
            end = line_end[line]
            item = _numbered(codes, start, end)
            for mark in bullets:
                item |= codes[start] == mark
            listed += item
            coded += _is_code(codes, start, end)
            tab = False
            bars = 0
            seen = np.uint8(0)
            number = False
            link_start = start
            link_end = start
            barren = start
            for c in range(start, end):
                bits = classes[c]
                code = codes[c]
                space = (bits & SPACE) != 0
                seen |= bits
                if bits & CONTENT and not bits & LETTER:
                    number |= code < _NUMBERS_SIZE and _NUMBERS[code]
                visible += not space
                if c < link_end:
                    linked += c >= link_start and not space
                if code < 128 and not _MARKS[code]:
                    continue
                tab |= code == 9
                bars += code == 0x7C or code == 0x2502 or code == 0x2503
                if c < link_end or code >= 128 or c + 1 == end:
                    continue
                follows = codes[c + 1] | 32
                if code == 0x5D:
                    if codes[c + 1] == 0x28 and c >= barren:
                        stop = c + 2
                        while stop < end and codes[stop] != 0x29 and not classes[stop] & SPACE:
                            stop += 1
                        if stop < end and codes[stop] == 0x29:
                            link_start = c + 2
                            link_end = stop
                        else:
                            barren = stop  # so that no stretch without ) is searched twice
                elif (follows == 0x74 or follows == 0x77) and _link(codes, start, c, end):
                    link_start = c
                    link_end = c
                    while link_end < end and codes[link_end] < 128 and _URI[codes[link_end]]:
                        link_end += 1
                    linked += 1
            tables += tab or bars >= 2
            figures += number and (seen & LETTER) == 0
        out[row].list_lines = listed / lines
        out[row].table_lines = tables / lines
        out[row].code_lines = coded / lines
        out[row].number_lines = figures / lines
        if visible:
            out[row].link_density = linked / visible


def _fill(texts: Texts, out: Records) -> None:
    words = texts.words
    fill(words.characters, words.classes, words.line_offsets, words.line_start, words.line_end, BULLETS, out)


GROUP = Group("density", 1, MEASURES, _fill)
