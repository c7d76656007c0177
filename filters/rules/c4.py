"""What C4's cleaning decides of the lines of a text, and what it would leave.

Source: Raffel et al. 2020, JMLR 21 (20-074), section 2.2, in the order of datatrove 0.10's C4QualityFilter: a line with a
word of more than 1,000 characters goes; citations (`[12]`, `[edit]`) are stripped; a line without end punctuation, or
that ends in an ellipsis, goes; a line of fewer than three words; one that names javascript or the site's policy. Of a
line that comes that far, "lorem ipsum" and curly brackets condemn the page, and sentences are counted.

Words here are parted by white space in every word unit, as in datatrove; a letter of a script without spaces is one.
A sentence ends at a terminal mark that a word follows, as with spaCy's sentencizer, but not after an abbreviation, a
single capital letter, or in an ellipsis.
"""

from __future__ import annotations

import re
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np

from winnow.filters.character_classes import (
    CAPITAL,
    CLOSER,
    CONTENT,
    LETTER,
    PUNCTUATION,
    SENTENCE_END,
    SINGLE,
    SPACE,
    kind_table,
)
from winnow.filters.kernel import Codes, Hashes, IntRows, Ints, ReadBytes, inline, kernel
from winnow.filters.passages import Span
from winnow.filters.rules.lexicon import BASIS, PRIME, fold_code, key, listed
from winnow.filters.rules.measure import Cut, Group, Measure, Records, record
from winnow.filters.rules.phrases import JAVASCRIPT, LOREM_IPSUM, POLICY, Places
from winnow.filters.words import Words

if TYPE_CHECKING:
    from winnow.filters.rules.table import Texts

C4 = "C4, JMLR 21 (20-074) 2.2"

END_PUNCTUATION = (".", "?", "!", '"', "'")
"""What a line may end in: the curly quotation marks are not among them."""

_KEPT = (
    "mr mrs ms dr adm bros co corp gen gov inc jr ltd messrs mt ph.d prof rep rev sen st vs v.s e.g i.e a.m p.m jan feb mar "
    "apr jun jul aug sep sept oct nov dec ala ariz ark calif colo conn del fla ga ill ind kan kans ky la mass mich minn miss "
    "mo mont n.c n.d n.h n.j n.m n.y neb nebr nev okla ore pa tenn va wash wis d.c s.c"
)
ABBREVIATIONS = frozenset(_KEPT.split())
"""English words that keep their full stop, as in spaCy's tokenizer exceptions."""
KEPT, UNENDED, FEW, LONG, SCRIPT, PAGE_POLICY, LOREM, CURLY = range(8)
"""What becomes of a line: it stays, or goes for one reason; the last two condemn the page."""
_EDIT = np.array([ord(letter) for letter in "[edit]"], np.int32)
_NEEDED = np.array([ord(letter) for letter in "[citation needed]"], np.int32)


def lines_of_fate(cut: Cut, fate: int) -> list[Span]:
    return cut.lines_where(_fates(cut.texts)[:, 0] == fate)


def dropped_lines(cut: Cut) -> list[Span]:
    """The lines that C4 would drop, for what counts those that stay."""
    return cut.lines_where(_fates(cut.texts)[:, 0] != KEPT)


def citations(cut: Cut) -> list[Span]:
    """The citations of lines without a word of more than 1,000 characters."""
    return [
        (start + at.start(), start + at.end())
        for start, end in cut.lines_where(_fates(cut.texts)[:, 0] != LONG)
        for at in re.finditer(r"\[\d*\]|\[edit\]|\[citation needed\]", cut.text[start:end], re.ASCII)
    ]


MEASURES = (
    Measure(
        "c4_sentences",
        "count",
        C4,
        "sentences of the lines that stay; as datatrove, but for how a sentence is found",
        dropped_lines,
    ),
    Measure(
        "c4_lorem_ipsum",
        "count",
        C4,
        "lines with 'lorem ipsum' that end in punctuation and have three words",
        partial(lines_of_fate, fate=LOREM),
    ),
    Measure(
        "c4_curly_brackets",
        "count",
        C4,
        "lines with '{' that end in punctuation, have three words, no javascript",
        partial(lines_of_fate, fate=CURLY),
    ),
    Measure("c4_citations", "count", C4, "citations stripped: [], [1], [edit], [citation needed]", citations),
    Measure(
        "c4_kept_lines",
        "share",
        C4,
        "lines that stay / lines; one that c4_lorem_ipsum or c4_curly_brackets counts neither stays nor is in the shares "
        "of lines that go, since it condemns the page",
        dropped_lines,
    ),
    Measure(
        "c4_unended_lines",
        "share",
        C4,
        "lines that go since no punctuation, or an ellipsis, ends them / lines",
        partial(lines_of_fate, fate=UNENDED),
    ),
    Measure(
        "c4_few_word_lines",
        "share",
        C4,
        "lines that go since they have fewer than three words / lines",
        partial(lines_of_fate, fate=FEW),
    ),
    Measure(
        "c4_long_word_lines",
        "share",
        C4,
        "lines that go since a word has more than 1,000 characters / lines",
        partial(lines_of_fate, fate=LONG),
    ),
    Measure(
        "c4_javascript_lines",
        "share",
        C4,
        "lines that go since they name javascript / lines",
        partial(lines_of_fate, fate=SCRIPT),
    ),
    Measure(
        "c4_policy_lines",
        "share",
        C4,
        "lines that go since they hold a policy or cookie phrase / lines",
        partial(lines_of_fate, fate=PAGE_POLICY),
    ),
)
Rows: TypeAlias = Annotated[Records, record(MEASURES)]


@inline
def _citation(codes: Any, start: Any, end: Any) -> Any:
    """Length of the citation that ends before `end`, 0 for none."""
    if end - start < 2 or codes[end - 1] != 0x5D:
        return 0
    at = end - 2
    while at > start and 0x30 <= codes[at] <= 0x39:
        at -= 1
    if codes[at] == 0x5B:
        return end - at
    for text in (_EDIT, _NEEDED):
        length = len(text)
        if end - start >= length:
            same = True
            for k in range(length):
                same &= codes[end - length + k] == text[k]
            if same:
                return length
    return 0


@kernel
def _lines(
    words: Words, kinds: ReadBytes, found: Places, marks: Codes, closers: bool, abbreviations: Hashes
) -> IntRows:
    """[lines, 3]: what becomes of the line, its sentences if it stays, its citations."""
    codes, classes = words.characters, words.classes
    line_start, line_end = words.line_start, words.line_end
    found_start, found_kind = found.start, found.kind
    out = np.zeros((len(line_start), 3), np.int64)
    size = len(kinds)
    next_found = 0
    for line in range(len(line_start)):
        start = line_start[line]
        stop = line_end[line]
        javascript = False
        lorem = False
        policy = False
        while next_found < len(found_start) and found_start[next_found] < stop:
            kind = found_kind[next_found]
            javascript |= kind == JAVASCRIPT
            lorem |= kind == LOREM_IPSUM
            policy |= kind == POLICY
            next_found += 1
        spaced = 0
        longest = 0
        length = 0
        curly = False
        citations = 0
        for c in range(start, stop):
            bits = classes[c]
            if bits & SPACE:
                length = 0
            else:
                spaced += length == 0 or (bits & SINGLE) != 0
                length += 1
                longest = max(longest, length)
                code = codes[c]
                curly |= code == 0x7B
                if code == 0x5D and _citation(codes, start, c + 1):
                    citations += 1
        if longest > 1000:
            out[line, 0] = LONG
            continue
        out[line, 2] = citations
        end = stop
        if citations:
            cut = _citation(codes, start, end)
            while cut:
                end -= cut
                cut = _citation(codes, start, end)
        last = end - 1
        if closers:
            while last > start and classes[last] & CLOSER:
                last -= 1
        ended = False
        if last >= start:
            for mark in marks:
                ended |= codes[last] == mark
            dots = last - start >= 2 and codes[last] == 0x2E and codes[last - 1] == 0x2E and codes[last - 2] == 0x2E
            ended &= not dots
        if not ended:
            out[line, 0] = UNENDED
            continue
        if spaced < 3:
            out[line, 0] = FEW
            continue
        if lorem:
            out[line, 0] = LOREM
            continue
        if javascript:
            out[line, 0] = SCRIPT
            continue
        if curly:
            out[line, 0] = CURLY
            continue
        if policy:
            out[line, 0] = PAGE_POLICY
            continue
        out[line, 0] = KEPT
        sentences = 1
        pending = False
        for c in range(start, end):
            bits = classes[c]
            if bits & SPACE:
                continue
            code = codes[c]
            kind = kinds[code] if code < size else np.uint8(0)
            if not bits & SENTENCE_END:
                if pending and not kind & PUNCTUATION:
                    sentences += 1
                    pending = False
                continue
            if code >= 0x80:
                pending = True
                continue
            after = codes[c + 1] if c + 1 < end else 0x20
            after_kind = kinds[after] if after < size else np.uint8(0)
            open_after = c + 1 == end or (classes[c + 1] & SPACE) != 0 or (after_kind & PUNCTUATION) != 0
            if code != 0x2E:
                pending |= open_after
                continue
            before = codes[c - 1] if c > start else 0x20
            if after == 0x2E or before == 0x2E:
                continue
            before_kind = kinds[before] if before < size else np.uint8(0)
            before_letter = c > start and (classes[c - 1] & LETTER) != 0
            if not open_after:
                # spaCy parts words joined by a full stop: "end.Next".
                if before_letter and not before_kind & CAPITAL and after_kind & CAPITAL:
                    pending = True
                continue
            if c == start or classes[c - 1] & SPACE:
                pending = True
                continue
            if before_kind & CAPITAL:
                second = codes[c - 2] if c - 2 >= start else 0x20
                if not (second < size and kinds[second] & CAPITAL):
                    continue
            word = c
            while word > start and c - word <= 8 and not classes[word - 1] & SPACE:
                word -= 1
            while word < c and not classes[word] & CONTENT:
                word += 1
            if before_letter:
                if c - word == 1:
                    continue
                if c - word <= 8:
                    h = np.uint64(BASIS)
                    for k in range(word, c):
                        h = (h ^ np.uint64(fold_code(codes[k]))) * np.uint64(PRIME)
                    if listed(abbreviations, h):
                        continue
            pending = True
        out[line, 1] = sentences
    return out


@kernel
def fill(fates: IntRows, word_offsets: Ints, line_offsets: Ints, out: Rows) -> None:
    counts = np.zeros(8, np.int64)
    for row in range(len(out)):
        lines = line_offsets[row + 1] - line_offsets[row]
        if word_offsets[row + 1] == word_offsets[row] or lines == 0:
            continue
        counts[:] = 0
        sentences = 0
        stripped = 0
        for line in range(line_offsets[row], line_offsets[row + 1]):
            counts[fates[line, 0]] += 1
            sentences += fates[line, 1]
            stripped += fates[line, 2]
        out[row].c4_sentences = sentences
        out[row].c4_lorem_ipsum = counts[LOREM]
        out[row].c4_curly_brackets = counts[CURLY]
        out[row].c4_citations = stripped
        out[row].c4_kept_lines = counts[KEPT] / lines
        out[row].c4_unended_lines = counts[UNENDED] / lines
        out[row].c4_few_word_lines = counts[FEW] / lines
        out[row].c4_long_word_lines = counts[LONG] / lines
        out[row].c4_javascript_lines = counts[SCRIPT] / lines
        out[row].c4_policy_lines = counts[PAGE_POLICY] / lines


@cache
def _abbreviations() -> Hashes:
    return np.array(sorted(map(key, ABBREVIATIONS)), np.uint64)


def _fates(texts: Texts) -> IntRows:
    """[lines, 3] as `_lines` says. A line must end in one of END_PUNCTUATION; where the language pack lists marks, in one
    of those, closing quotation marks and brackets behind it left out."""
    listed_marks = texts.terminal_marks
    marks = listed_marks if len(listed_marks) else np.array(sorted(map(ord, END_PUNCTUATION)), np.int32)
    return _lines(texts.words, kind_table(), texts.places, marks, len(listed_marks) > 0, _abbreviations())


def _fill(texts: Texts, out: Records) -> None:
    fill(_fates(texts), texts.words.word_offsets, texts.words.line_offsets, out)


GROUP = Group("c4", 1, MEASURES, _fill)
