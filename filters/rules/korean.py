"""Signs of Korean that is no running text: hanja, broken spacing, typed emotion, stuffed keywords, repeated contacts.

An eojeol is a whitespace word. A word is *bare* when no particle or verb ending of the language pack ends it; that
nouns come back again and again without one is what lists of keywords and places, made for search engines, are known
by. All is 0 for a text of other scripts.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Annotated, TypeAlias

import numpy as np

from winnow.filters.character_classes import CONTENT, HANGUL, JAMO, LETTER, SINGLE
from winnow.filters.kernel import Bytes, Codes, IntRows, Ints, inline, kernel
from winnow.filters.passages import Span
from winnow.filters.rules.measure import OWN, Cut, Group, Measure, Records, beyond, record, repeated
from winnow.filters.rules.phrases import PLACE, Places
from winnow.filters.rules.repetition import room, slot_of
from winnow.filters.words import Words

LONG_EOJEOL = 15
"""Hangul syllables of the longest word that is spaced as usual: of the words of Korean manuals, law and news, 1 in
10,000 is longer."""
SPELLED = 4
"""Words of one syllable in a row from which on they are lettering: 안 내 말 씀."""
BARE_REPEATS = 3
"""From this occurrence on a bare word counts as repeated."""


def _syllables(cut: Cut, word: Span) -> int:
    return sum(bool(cut.bits[at] & HANGUL) for at in range(*word))


def hanja(cut: Cut) -> list[Span]:
    return cut.runs(lambda at: bool(cut.bits[at] & SINGLE and cut.bits[at] & LETTER) and is_han(ord(cut.text[at])))


@inline
def is_han(code: int) -> bool:
    return 0x3400 <= code <= 0x4DBF or 0x4E00 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or code >= 0x20000


def unspaced_words(cut: Cut) -> list[Span]:
    return [word for word in cut.content if _syllables(cut, word) > LONG_EOJEOL]


def spelled_words(cut: Cut) -> list[Span]:
    """Runs of words of one syllable."""
    found: list[Span] = []
    for lone, group in groupby(cut.content, lambda word: word[1] - word[0] == 1 and _syllables(cut, word) == 1):
        held = list(group)
        if lone and len(held) >= SPELLED:
            found.extend(held)
    return found


def jamo_runs(cut: Cut) -> list[Span]:
    """Runs of equal jamo within a line."""
    return [at.span() for at in re.finditer(r"(.)\1+", cut.text) if cut.bits[at.start()] & JAMO]


def _bare(cut: Cut) -> list[Span]:
    """The words that no particle or ending ends."""
    ended = cut.texts.running[1].tolist()
    return [word for word, end in zip(cut.words, ended, strict=True) if not end & 1]


def bare_repeats(cut: Cut) -> list[Span]:
    """Words of Hangul without an ending, from the third occurrence on."""
    bare = ((word, cut.read(word)) for word in _bare(cut) if _syllables(cut, word) >= 2)
    return beyond(BARE_REPEATS - 1, bare)


def place_names(cut: Cut) -> list[Span]:
    """Words that are a place name, with at most two letters behind it."""
    standing = cut.texts.places
    names = [
        (start, end)
        for start, end, kind in zip(standing.start.tolist(), standing.end.tolist(), standing.kind.tolist(), strict=True)
        if kind == PLACE
    ]

    def named(word: Span) -> bool:
        first, _ = cut.core(word)
        inside = (at for at in range(word[0], word[1]) if cut.bits[at] & CONTENT)
        content = list(inside)
        return any(start == first and end <= word[1] and sum(at >= end for at in content) <= 2 for start, end in names)

    return [word for word in _bare(cut) if cut.bits_of(word) & CONTENT and named(word)] if cut.holds(HANGUL) else []


def phone_lines(cut: Cut) -> list[Span]:
    found = _phones(cut)
    return [(start, end) for start, end in cut.lines if any(start <= first < end for first, _, _ in found)]


def repeated_phones(cut: Cut) -> list[Span]:
    return repeated(((start, end), number) for start, end, number in _phones(cut))


def _phones(cut: Cut) -> list[tuple[int, int, int]]:
    """Start, end and key of the telephone numbers."""
    if not cut.holds(HANGUL | JAMO | SINGLE):
        return []
    words = cut.texts.words
    found = phones(words.characters, words.line_start, words.line_end)
    return [(int(start), int(end), int(number)) for start, end, number in found]


MEASURES = (
    Measure("hanja_ratio", "share", OWN, "Han characters / letters", hanja),
    Measure(
        "unspaced_share",
        "share",
        OWN,
        f"Hangul syllables in words of more than {LONG_EOJEOL} of them / Hangul syllables: text without spaces",
        unspaced_words,
    ),
    Measure(
        "spelled_share",
        "share",
        OWN,
        f"words of one Hangul syllable, {SPELLED} or more in a row, symbols between which do not end the row / word_count: "
        "lettering spaced out",
        spelled_words,
    ),
    Measure("jamo_runs", "ratio", OWN, "runs of two or more equal jamo, as in 'ㅋㅋ', 'ㅠㅠ' / word_count", jamo_runs),
    Measure(
        "bare_repeats",
        "share",
        OWN,
        f"words of two Hangul syllables and more without a particle or ending, from their {BARE_REPEATS}rd occurrence "
        "on / word_count: stuffed keywords",
        bare_repeats,
    ),
    Measure(
        "place_share",
        "share",
        OWN,
        "words that are a place name of `phrases.yaml` with at most two letters behind it and no particle / word_count",
        place_names,
    ),
    Measure("phone_lines", "share", OWN, "lines with a Korean telephone number / lines", phone_lines),
    Measure("repeated_phones", "count", OWN, "Korean telephone numbers that stood before in the text", repeated_phones),
)
Rows: TypeAlias = Annotated[Records, record(MEASURES)]


@kernel
def phones(codes: Codes, line_start: Ints, line_end: Ints) -> IntRows:
    """[found, 3]: start, end and digits of the telephone numbers, in order.

    Groups of digits parted by one mark (or a bracket and a space): 02-123-4567, 010.1234.5678, (031) 123-4567,
    1588-1234; and 01012345678.
    """
    found = np.empty((16, 3), np.int64)
    count = 0
    for line in range(len(line_start)):
        # The two groups before: where each starts, how many digits, their value; and whether one mark parts them.
        begun0 = begun1 = np.int64(0)
        long0 = long1 = 0
        value0 = value1 = np.int64(0)
        c = line_start[line]
        stop = line_end[line]
        gap = 9
        while c < stop:
            code = codes[c]
            if code > 0x39:
                gap = 9
                c += 1
                continue
            if code < 0x30:
                # A hyphen, full stop, space or closing bracket.
                gap = gap + 1 if code == 0x2D or code == 0x2E or code == 0x20 or code == 0x29 else 9
                c += 1
                continue
            if gap > 2:
                long0 = long1 = 0
            begun = c
            value = np.int64(0)
            while c < stop and 0x30 <= codes[c] <= 0x39:
                value = (value * 10 + codes[c] - 0x30) % 1_000_000_000_000
                c += 1
            long = c - begun
            start = np.int64(-1)
            number = np.int64(0)
            if long == 4 and 3 <= long1 <= 4 and 2 <= long0 <= 3 and codes[begun0] == 0x30:
                start = begun0
                number = (value0 * 10_000 + value1) * 10_000 + value
            elif long == 4 and long1 == 4 and codes[begun1] == 0x31 and 0x35 <= codes[begun1 + 1] <= 0x38:
                start = begun1
                number = value1 * 10_000 + value
            elif 10 <= long <= 11 and codes[begun] == 0x30 and codes[begun + 1] == 0x31:
                start = begun
                number = value
            if start >= 0:
                if count == len(found):
                    found = np.concatenate((found, np.empty((count, 3), np.int64)))
                found[count, 0] = start
                found[count, 1] = c
                found[count, 2] = number
                count += 1
                long = 0
            begun0, long0, value0 = begun1, long1, value1
            begun1, long1, value1 = begun, long, value
            gap = 0
    return found[:count].copy()


@kernel
def fill(words: Words, ended: Bytes, found: Places, out: Rows) -> None:
    """`ended` [words] is of `running_text`; `found` are the phrases."""
    codes, classes = words.characters, words.classes
    word_offsets, word_start, word_end = words.word_offsets, words.word_start, words.word_end
    word_hash, word_classes = words.word_hash, words.word_classes
    line_offsets, line_start, line_end = words.line_offsets, words.line_start, words.line_end
    found_start, found_end, found_kind = found.start, found.end, found.kind
    texts = len(out)
    most = 1
    for row in range(texts):
        most = max(most, word_offsets[row + 1] - word_offsets[row])
    keys = np.empty(room(most), np.uint64)
    counts = np.empty(room(most), np.int32)
    one = np.uint64(1)
    next_found = 0
    for row in range(texts):
        first = line_offsets[row]
        last = line_offsets[row + 1]
        if first == last:
            continue
        tokens = word_offsets[row + 1] - word_offsets[row]
        text_end = line_end[last - 1]
        seen = np.uint8(0)
        for w in range(word_offsets[row], word_offsets[row + 1]):
            seen |= word_classes[w]
        if not seen & (HANGUL | JAMO | SINGLE):
            while next_found < len(found_start) and found_start[next_found] < text_end:
                next_found += 1
            continue
        letters = 0
        han = 0
        syllables = 0
        runs = 0
        for line in range(first, last):
            of_line = codes[line_start[line] : line_end[line]]
            bits_of_line = classes[line_start[line] : line_end[line]]
            seen = np.uint8(0)
            for bits in bits_of_line:
                seen |= bits
                letters += (bits & LETTER) != 0
                syllables += (bits & HANGUL) != 0
            if seen & SINGLE:
                for at in range(len(of_line)):
                    code = of_line[at]
                    han += (bits_of_line[at] & (LETTER | SINGLE)) == LETTER | SINGLE and is_han(code)
            if seen & JAMO:
                alike = 1
                for at in range(1, len(of_line)):
                    alike = alike + 1 if of_line[at] == of_line[at - 1] else 1
                    runs += alike == 2 and (bits_of_line[at] & (LETTER | JAMO)) == LETTER | JAMO
        if letters:
            out[row].hanja_ratio = han / letters
        if syllables:
            size = room(tokens)
            keys[:size] = 0
            counts[:size] = 0
            real = 0
            unspaced = 0
            spelled = 0
            lone = 0
            repeats = 0
            places = 0
            for w in range(word_offsets[row], word_offsets[row + 1]):
                if not word_classes[w] & CONTENT:
                    continue
                real += 1
                hangul = 0
                if word_classes[w] & HANGUL:
                    for c in range(word_start[w], word_end[w]):
                        hangul += (classes[c] & HANGUL) != 0
                if hangul > LONG_EOJEOL:
                    unspaced += hangul
                if hangul == 1 and word_end[w] - word_start[w] == 1:
                    lone += 1
                    if lone == SPELLED:
                        spelled += SPELLED
                    elif lone > SPELLED:
                        spelled += 1
                else:
                    lone = 0
                if hangul >= 2 and not ended[w] & 1:
                    wanted = word_hash[w] | one
                    at = slot_of(keys, size - 1, wanted)
                    keys[at] = wanted
                    counts[at] += 1
                    repeats += counts[at] >= BARE_REPEATS
                while next_found < len(found_start) and found_end[next_found] <= word_start[w]:
                    next_found += 1
                place = False
                while next_found < len(found_start) and found_end[next_found] <= word_end[w]:
                    begun = found_start[next_found]
                    if found_kind[next_found] == PLACE and begun >= word_start[w] and not place and not ended[w] & 1:
                        clean = True
                        for c in range(word_start[w], begun):
                            clean &= not classes[c] & CONTENT
                        behind = 0
                        for c in range(found_end[next_found], word_end[w]):
                            behind += (classes[c] & CONTENT) != 0
                        place = clean and behind <= 2
                    next_found += 1
                places += place
            out[row].unspaced_share = unspaced / syllables
            if real:
                out[row].spelled_share = spelled / real
                out[row].bare_repeats = repeats / real
                out[row].place_share = places / real
        real = 0
        if runs:
            for w in range(word_offsets[row], word_offsets[row + 1]):
                real += (word_classes[w] & CONTENT) != 0
            out[row].jamo_runs = runs / max(real, 1)
        while next_found < len(found_start) and found_start[next_found] < text_end:
            next_found += 1
        numbers = phones(codes, line_start[first:last], line_end[first:last])
        if len(numbers):
            line = first
            marked = 0
            last_marked = np.int64(-1)
            repeated = 0
            # A text holds more words than telephone numbers only where the word unit parts them so.
            size = room(min(most, len(numbers)))
            keys[:size] = 0
            held = 0
            for k in range(len(numbers)):
                while line_end[line] <= numbers[k, 0]:
                    line += 1
                if line != last_marked:
                    marked += 1
                    last_marked = line
                wanted = np.uint64(numbers[k, 2]) * np.uint64(2) | one
                at = slot_of(keys, size - 1, wanted)
                if keys[at] == wanted:
                    repeated += 1
                elif 2 * held < size:
                    keys[at] = wanted
                    held += 1
            out[row].phone_lines = marked / (last - first)
            out[row].repeated_phones = repeated


GROUP = Group("korean", 1, MEASURES, lambda texts, out: fill(texts.words, texts.running[1], texts.places, out))
