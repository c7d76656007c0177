"""Repetition within a text: lines, paragraphs and word n-grams.

Source: Rae et al. 2021, arXiv:2112.11446, Table A1. Equality is that of 64-bit hashes. An n-gram can repeat only
where the (n-1)-grams that it starts and ends with repeat, so each length looks only at the places that the length
before left over: in ordinary prose almost none beyond 3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from functools import partial
from itertools import groupby
from typing import Annotated, Any, TypeAlias

import numpy as np

from winnow.filters.character_classes import CONTENT
from winnow.filters.kernel import inline, kernel
from winnow.filters.passages import Span
from winnow.filters.rules.measure import (
    FINEWEB,
    OWN,
    TABLE_A1,
    Cut,
    Group,
    Measure,
    Records,
    beyond,
    record,
    repeated,
)
from winnow.filters.words import Words

NATURAL = 2
"""Occurrences of an n-gram that `spare_*gram_share` does not count: a title and its text share a term."""

REFRAIN = 3
"""Occurrences of a line that `spare_lines` does not count."""


def repeated_lines(cut: Cut) -> list[Span]:
    return repeated(zip(cut.lines, cut.line_keys, strict=True))


def spare_lines(cut: Cut) -> list[Span]:
    return beyond(REFRAIN, zip(cut.lines, cut.line_keys, strict=True))


def repeated_paragraphs(cut: Cut) -> list[Span]:
    blocks = cut.texts.words.line_block.tolist()
    paragraphs: list[tuple[Span, Hashable]] = []
    for _, places in groupby(range(len(cut.lines)), blocks.__getitem__):
        held = list(places)
        span = (cut.lines[held[0]][0], cut.lines[held[-1]][1])
        paragraphs.append((span, tuple(cut.line_keys[at] for at in held)))
    return repeated(paragraphs)


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


def apart(found: Sequence[Span]) -> list[Span]:
    """Sorted stretches of distinct starts, each ended where the next begins: as many, over the same characters."""
    apart: list[Span] = []
    for start, end in found:
        if apart and apart[-1][1] > start:
            end = max(end, apart[-1][1])
            apart[-1] = (apart[-1][0], start)
        apart.append((start, end))
    return apart


def top_grams(cut: Cut, n: int) -> list[Span]:
    return apart(most_frequent(grams(cut, n)))


def spare_grams(cut: Cut, n: int) -> list[Span]:
    """The occurrences of the most frequent n-gram but for the first ones."""
    return apart(most_frequent(grams(cut, n)))[NATURAL:]


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


MEASURES = (
    Measure(
        "dup_lines",
        "share",
        TABLE_A1,
        "lines equal to an earlier line / lines; as datatrove, but that the white space at their ends does not count and "
        "inside a line every sort of white space is the same",
        repeated_lines,
    ),
    Measure(
        "dup_line_chars",
        "share",
        FINEWEB,
        "characters of lines equal to an earlier line / characters without line breaks; as datatrove's FineWeb filter "
        "(its Gopher filter also divides by the line breaks)",
        repeated_lines,
    ),
    Measure(
        "dup_paragraphs",
        "share",
        TABLE_A1,
        "paragraphs equal to an earlier one / paragraphs; as datatrove",
        repeated_paragraphs,
    ),
    Measure(
        "dup_paragraph_chars",
        "share",
        TABLE_A1,
        "characters of paragraphs equal to an earlier one / char_count",
        repeated_paragraphs,
    ),
    Measure("unique_words", "share", OWN, "distinct words / words, of those that word_count counts", repeated_words),
    Measure("top_word_share", "share", OWN, "occurrences of the most frequent word / words, likewise", top_word),
    *(
        Measure(
            f"top_{n}gram_share",
            "share",
            TABLE_A1,
            f"characters of the most frequent {n}-gram (the first of equals) x its occurrences / char_count, at most 1. "
            "Not as datatrove: 0 where nothing occurs twice, since one long word in a short text is no repetition",
            partial(top_grams, n=n),
        )
        for n in (2, 3, 4)
    ),
    *(
        Measure(
            f"dup_{n}gram_share",
            "share",
            TABLE_A1,
            f"characters of {n}-grams that occurred before, none counted twice / char_count; as datatrove",
            partial(repeated_grams, n=n),
        )
        for n in range(5, 11)
    ),
    *(
        Measure(
            f"spare_{n}gram_share",
            "share",
            OWN,
            f"as top_{n}gram_share, but for the first two occurrences: in a short text a term and a refrain come twice",
            partial(spare_grams, n=n),
        )
        for n in (2, 3, 4)
    ),
    Measure(
        "spare_lines",
        "share",
        OWN,
        "lines that three earlier lines are equal to / lines: a refrain comes three times",
        spare_lines,
    ),
)
Rows: TypeAlias = Annotated[Records, record(MEASURES)]


@inline
def slot_of(keys: Any, mask: Any, wanted: Any) -> Any:
    """Where `wanted` (not 0) lives or would live in an open-addressed table."""
    slot = np.int64((wanted ^ (wanted >> np.uint64(32))) & np.uint64(mask))
    while keys[slot] != 0 and keys[slot] != wanted:
        slot = (slot + 1) & mask
    return slot


@inline
def room(entries: Any) -> Any:
    """Slots of a table that holds so many."""
    size = 16
    while size < 2 * entries:
        size *= 2
    return size


@kernel
def fill(words: Words, out: Rows) -> None:
    word_offsets, word_start, word_end = words.word_offsets, words.word_start, words.word_end
    word_hash, word_classes = words.word_hash, words.word_classes
    line_offsets, line_start, line_end = words.line_offsets, words.line_start, words.line_end
    line_hash, line_block = words.line_hash, words.line_block
    texts = len(out)
    most = 1
    for row in range(texts):
        most = max(most, word_offsets[row + 1] - word_offsets[row], line_offsets[row + 1] - line_offsets[row])
    keys = np.empty(room(most), np.uint64)
    counts = np.empty(room(most), np.int32)
    slots = np.empty(most, np.int64)
    places = np.empty(most, np.int64)
    grams = np.empty(most, np.uint64)
    again = np.zeros(most + 1, np.bool_)
    before = np.empty(most + 1, np.int64)
    top_shares, dup_shares, spare_shares = np.zeros(11), np.zeros(11), np.zeros(11)  # by the length of n-grams
    prime = np.uint64(0x9E3779B97F4A7C15)
    one = np.uint64(1)
    for row in range(texts):
        base = word_offsets[row]
        tokens = word_offsets[row + 1] - base
        if tokens == 0:
            continue

        first = line_offsets[row]
        lines = line_offsets[row + 1] - first
        size = room(lines)
        keys[:size] = 0
        counts[:size] = 0
        spare = 0
        again_lines = 0
        repeated_chars = 0
        letters = 0
        for line in range(first, first + lines):
            wanted = line_hash[line] | one
            slot = slot_of(keys, size - 1, wanted)
            length = line_end[line] - line_start[line]
            letters += length
            if keys[slot] == wanted:
                again_lines += 1
                repeated_chars += length
            keys[slot] = wanted
            counts[slot] += 1
            spare += counts[slot] > REFRAIN
        whole = letters + lines - 1
        out[row].dup_lines = again_lines / lines
        out[row].dup_line_chars = repeated_chars / letters
        out[row].spare_lines = spare / lines

        keys[:size] = 0
        again_lines = 0
        repeated_chars = 0
        paragraphs = 0
        line = first
        while line < first + lines:
            wanted = np.uint64(0)
            length = -1
            block = line_block[line]
            while line < first + lines and line_block[line] == block:
                wanted = (wanted ^ line_hash[line]) * prime
                length += line_end[line] - line_start[line] + 1
                line += 1
            wanted |= one
            paragraphs += 1
            slot = slot_of(keys, size - 1, wanted)
            if keys[slot] == wanted:
                again_lines += 1
                repeated_chars += length
            keys[slot] = wanted
        out[row].dup_paragraphs = again_lines / paragraphs
        out[row].dup_paragraph_chars = repeated_chars / whole

        before[0] = 0
        for i in range(tokens):
            before[i + 1] = before[i] + word_end[base + i] - word_start[base + i]
            places[i] = i
            grams[i] = 0
        top_shares[:], dup_shares[:], spare_shares[:] = 0.0, 0.0, 0.0
        active = tokens
        for n in range(1, 11):
            size = room(active)
            keys[:size] = 0
            counts[:size] = 0
            distinct = 0
            real = 0
            for k in range(active):
                i = places[k]
                grams[i] = (grams[i] ^ word_hash[base + i + n - 1]) * prime
                wanted = (grams[i] ^ (grams[i] >> np.uint64(31))) | one
                slot = slot_of(keys, size - 1, wanted)
                if n == 1 and word_classes[base + i] & CONTENT:
                    real += 1
                    distinct += counts[slot] == 0
                keys[slot] = wanted
                counts[slot] += 1
                slots[i] = slot
            top = 1
            leader = -1
            for k in range(active):
                i = places[k]
                count = counts[slots[i]]
                again[i] = count > 1
                if count > top and (n > 1 or word_classes[base + i] & CONTENT):
                    top = count
                    leader = i
            if n == 1:
                out[row].unique_words = distinct / real if real else 0.0
                out[row].top_word_share = top / real if real else 0.0
            elif n <= 4 and leader >= 0:
                span = n - 1 + before[leader + n] - before[leader]
                for w in range(base + leader + 1, base + leader + n):
                    span -= word_start[w] == word_end[w - 1]
                top_shares[n] = min(1.0, span * top / whole)
                spare_shares[n] = min(1.0, span * max(0, top - NATURAL) / whole)
            elif n >= 5:
                free = 0
                repeated_chars = 0
                for k in range(active):
                    i = places[k]
                    if i < free or not again[i]:
                        continue
                    if counts[slots[i]] < 0:
                        repeated_chars += before[i + n] - before[i]
                        free = i + n
                    else:
                        counts[slots[i]] = -1
                dup_shares[n] = repeated_chars / whole
            left = 0
            for k in range(active):
                i = places[k]
                if again[i] and i + n < tokens and again[i + 1]:
                    places[left] = i
                    left += 1
                else:
                    again[i] = False
            active = left
            if active == 0:
                break
        out[row].top_2gram_share = top_shares[2]
        out[row].top_3gram_share = top_shares[3]
        out[row].top_4gram_share = top_shares[4]
        out[row].dup_5gram_share = dup_shares[5]
        out[row].dup_6gram_share = dup_shares[6]
        out[row].dup_7gram_share = dup_shares[7]
        out[row].dup_8gram_share = dup_shares[8]
        out[row].dup_9gram_share = dup_shares[9]
        out[row].dup_10gram_share = dup_shares[10]
        out[row].spare_2gram_share = spare_shares[2]
        out[row].spare_3gram_share = spare_shares[3]
        out[row].spare_4gram_share = spare_shares[4]


GROUP = Group("repetition", 1, MEASURES, lambda texts, out: fill(texts.words, out))
