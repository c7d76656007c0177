"""The words and characters of a text that a measure counts."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import groupby

import numpy as np

from winnow.filters import bad_words
from winnow.filters.passages import Span
from winnow.filters.rules import korean
from winnow.filters.rules.characters import CAPITAL, DAMAGED, PRIVATE, SMALL, kind_table
from winnow.filters.rules.cut_text import Cut
from winnow.filters.rules.phrases import PLACE, find, folded, phrases
from winnow.filters.rules.running_text import RUN, running_text
from winnow.filters.rules.words import CONTENT, HANGUL, JAMO, LETTER, SENTENCE_END, SINGLE, SPACE

LONG_WORD = 2.0
"""`mean_word_length` is shown by the words more than this many times as long as the mean: what pulls it up."""

_ELLIPSIS = re.compile(r"\.\.\.|…")
_TAG = re.compile(r"<[A-Za-z/!][^<>]*(?:<(?![A-Za-z/!])[^<>]*)*>")
_RUN = re.compile(rf"(\S)\1{{{RUN - 1},}}")


def repeated(found: Iterable[tuple[Span, Hashable]]) -> list[Span]:
    """The stretches whose key an earlier one has."""
    seen: set[Hashable] = set()
    again: list[Span] = []
    for span, key in found:
        if key in seen:
            again.append(span)
        seen.add(key)
    return again


def apart(found: Sequence[Span]) -> list[Span]:
    """Sorted stretches of distinct starts, each ended where the next begins: as many, over the same characters."""
    apart: list[Span] = []
    for start, end in found:
        if apart and apart[-1][1] > start:
            end = max(end, apart[-1][1])
            apart[-1] = (apart[-1][0], start)
        apart.append((start, end))
    return apart


def long_words(cut: Cut) -> list[Span]:
    content = cut.content
    letters = sum(end - start for start, end in content)
    return [(start, end) for start, end in content if (end - start) * len(content) > LONG_WORD * letters]


def words_without_letter(cut: Cut) -> list[Span]:
    return [word for word, bits in zip(cut.words, cut.word_bits, strict=True) if not bits & LETTER]


def numbers_alone(cut: Cut) -> list[Span]:
    """Words with a mark or number and no letter."""
    return [word for word in cut.content if not _bits(cut, word) & LETTER]


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


def hashes(cut: Cut) -> list[Span]:
    return [(at, at + 1) for at, character in enumerate(cut.text) if character == "#"]


def ellipses(cut: Cut) -> list[Span]:
    return [found.span() for found in _ELLIPSIS.finditer(cut.text)]


def repeated_words(cut: Cut) -> list[Span]:
    return repeated((word, cut.read(word)) for word in cut.content)


def top_word(cut: Cut) -> list[Span]:
    return most_frequent([(word, cut.read(word)) for word in cut.content])


def most_frequent(found: Sequence[tuple[Span, Hashable]]) -> list[Span]:
    """The stretches of the most frequent key, the first of equals; none where nothing occurs twice."""
    counts = Counter(key for _, key in found)
    top = max(counts, key=counts.__getitem__, default=None)
    return [span for span, key in found if key == top] if top is not None and counts[top] > 1 else []


def grams(cut: Cut, n: int) -> list[tuple[Span, Hashable]]:
    tokens = [cut.read(word) for word in cut.words]
    return [
        ((cut.words[at][0], cut.words[at + n - 1][1]), tuple(tokens[at : at + n])) for at in range(len(tokens) - n + 1)
    ]


def top_grams(cut: Cut, n: int) -> list[Span]:
    return apart(most_frequent(grams(cut, n)))


def spare_grams(cut: Cut, n: int) -> list[Span]:
    """The occurrences of the most frequent n-gram but for the first two."""
    return apart(most_frequent(grams(cut, n)))[2:]


def repeated_grams(cut: Cut, n: int) -> list[Span]:
    """The words of n-grams that occurred before, none counted twice: after one the search goes on behind it."""
    seen: set[Hashable] = set()
    found: list[Span] = []
    free = 0
    for at, (_, gram) in enumerate(grams(cut, n)):
        if at < free:
            continue
        if gram in seen:
            found.extend(cut.words[at : at + n])
            free = at + n
        seen.add(gram)
    return found


def entries(listed: Iterable[str]) -> set[str]:
    return {folded(unicodedata.normalize("NFC", entry)) for entry in listed if entry}


def stop_words(cut: Cut) -> list[Span]:
    listed = entries(cut.stop_words)
    return [core for core in map(cut.core, cut.content) if folded(cut.read(core)) in listed]


def plain_stop_words(cut: Cut) -> list[Span]:
    return [word for word in stop_words(cut) if word in cut.words and folded(cut.read(word)) == cut.read(word)]


def ends_in(cut: Cut, core: Span, endings: set[str]) -> bool:
    """Whether a core ends in one of `endings` with something before it."""
    read = folded(cut.read(core))
    return any(len(ending) < len(read) and read.endswith(ending) for ending in endings)


def words_with_ending(cut: Cut) -> list[Span]:
    endings = entries(cut.pack.endings)
    return [word for word in cut.content if ends_in(cut, cut.core(word), endings)]


def words_that_end_sentences(cut: Cut) -> list[Span]:
    endings = entries(cut.pack.sentence_endings)
    line_ends = {end for _, end in cut.lines}

    def closes(word: Span) -> bool:
        start, end = cut.core(word)
        last = word[1] in line_ends or (end < word[1] and bool(cut.bits[end] & SENTENCE_END))
        return (last and ends_in(cut, (start, end), endings)) or any(
            cut.bits[at] & SENTENCE_END and cut.bits[at + 1] & LETTER and ends_in(cut, (start, at), endings)
            for at in range(start + 2, end - 1)
        )

    return [word for word in cut.content if closes(word)]


def letters_of_other_scripts(cut: Cut) -> list[Span]:
    return cut.runs(lambda at: bool(cut.bits[at] & LETTER) and not cut.bits[at] & (HANGUL | JAMO))


def jamo(cut: Cut) -> list[Span]:
    items = {start for start, end in cut.lines if end > start + 1 and cut.text[start + 1] in " .)"}
    return cut.runs(lambda at: bool(cut.bits[at] & JAMO) and at not in items)


def character_runs(cut: Cut) -> list[Span]:
    from winnow.filters.rules.running_text_kernel import counts_in_runs

    found = [run.span() for run in _RUN.finditer(cut.text)]
    counts = getattr(counts_in_runs, "py_func")  # noqa: B009
    return [run for run in found if counts(ord(cut.text[run[0]]), cut.bits[run[0]])]


def listed_bad_words(cut: Cut) -> list[Span]:
    return bad_words.spans(cut.text, bad_words.table((*cut.pack.bad_words, *cut.more_bad_words)))


def of_kind(cut: Cut, wanted: int) -> list[Span]:
    """Runs of the characters of a kind of `characters.py`."""
    table = kind_table()

    def kind(at: int) -> bool:
        if cut.bits[at] & SPACE:
            return False
        code = ord(cut.text[at])
        if code < len(table):
            return bool(table[code] & wanted)
        return bool(wanted & DAMAGED) and (code >= PRIVATE or code & 0xFFFE == 0xFFFE)

    return cut.runs(kind)


def shouted_words(cut: Cut) -> list[Span]:
    """Words with a capital letter and no small one."""
    table = kind_table()

    def kinds(word: Span) -> int:
        return int(np.bitwise_or.reduce([table[ord(c)] if ord(c) < len(table) else 0 for c in cut.read(word)]))

    return [word for word in cut.words if kinds(word) & (CAPITAL | SMALL) == CAPITAL]


def single_words(cut: Cut) -> list[Span]:
    """Words that occur once."""
    lower = [
        (word, "".join(map(_lower, cut.read(cut.core(word))))) for word in cut.content if LETTER & _bits(cut, word)
    ]
    counts = Counter(key for _, key in lower)
    return [word for word, key in lower if counts[key] == 1]


def _lower(character: str) -> str:
    lower = character.lower()
    return lower if len(lower) == 1 else character


def _bits(cut: Cut, word: Span) -> int:
    return int(np.bitwise_or.reduce(cut.bits[slice(*word)]))


def _syllables(cut: Cut, word: Span) -> int:
    return sum(bool(cut.bits[at] & HANGUL) for at in range(*word))


def hanja(cut: Cut) -> list[Span]:
    return cut.runs(lambda at: bool(cut.bits[at] & SINGLE and cut.bits[at] & LETTER) and _is_han(ord(cut.text[at])))


def _is_han(code: int) -> bool:
    return 0x3400 <= code <= 0x4DBF or 0x4E00 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or code >= 0x20000


def unspaced_words(cut: Cut) -> list[Span]:
    return [word for word in cut.content if _syllables(cut, word) > korean.LONG_EOJEOL]


def spelled_words(cut: Cut) -> list[Span]:
    """Runs of words of one syllable."""
    found: list[Span] = []
    for lone, group in groupby(cut.content, lambda word: word[1] - word[0] == 1 and _syllables(cut, word) == 1):
        held = list(group)
        if lone and len(held) >= korean.SPELLED:
            found.extend(held)
    return found


def jamo_runs(cut: Cut) -> list[Span]:
    """Runs of equal jamo within a line."""
    return [at.span() for at in re.finditer(r"(.)\1+", cut.text) if cut.bits[at.start()] & JAMO]


def _bare(cut: Cut) -> list[Span]:
    from winnow.filters.rules.columns import word_lists

    _, ended = running_text(
        cut.held, word_lists(cut.pack.model_copy(update={"stop_words": cut.stop_words}), cut.pack.word_unit)
    )
    return [word for word, end in zip(cut.words, ended.tolist(), strict=True) if not end & 1]


def bare_repeats(cut: Cut) -> list[Span]:
    """Words of Hangul without an ending, from the third occurrence on."""
    seen: Counter[str] = Counter()
    found: list[Span] = []
    for word in _bare(cut):
        if _syllables(cut, word) >= 2:
            seen[cut.read(word)] += 1
            if seen[cut.read(word)] >= korean.BARE_REPEATS:
                found.append(word)
    return found


def place_names(cut: Cut) -> list[Span]:
    """Words that are a place name, with at most two letters behind it."""
    standing = find(cut.held, phrases(cut.pack.code))
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

    return [word for word in _bare(cut) if _bits(cut, word) & CONTENT and named(word)] if _hangul(cut) else []


def _hangul(cut: Cut) -> bool:
    return any(bits & HANGUL for bits in cut.word_bits)
