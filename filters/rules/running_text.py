"""Signs of running text in a language: its script, stop words, particles and endings, and signs of its absence.

Particles and endings are looked for at the end of words, so that no morphological analyser is needed. The *core* of a
word is what lies between its first and last letter, mark or number: `"했다."` has the core `했다`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, TypeAlias

import numpy as np

from winnow.filters.character_classes import CONTENT, HANGUL, JAMO, LETTER, SENTENCE_END, SPACE
from winnow.filters.kernel import Bytes, inline, kernel
from winnow.filters.passages import Span
from winnow.filters.rules.lexicon import BASIS, PRIME, Lexicon, fold_code, value
from winnow.filters.rules.measure import GOPHER, OWN, Cut, Group, Measure, Records, record
from winnow.filters.rules.phrases import folded
from winnow.filters.words import Words

if TYPE_CHECKING:
    from winnow.filters.rules.table import Texts

RUN = 4
"""Equal characters in a row from which on they are a run: `ㅋㅋㅋㅋ`, `!!!!`."""
_RUN = re.compile(rf"(\S)\1{{{RUN - 1},}}")


def entries(listed: Iterable[str]) -> set[str]:
    return {folded(unicodedata.normalize("NFC", entry)) for entry in listed if entry}


def stop_words(cut: Cut) -> list[Span]:
    listed = entries(cut.texts.stop_words)
    return [core for core in map(cut.core, cut.content) if folded(cut.read(core)) in listed]


def plain_stop_words(cut: Cut) -> list[Span]:
    return [word for word in stop_words(cut) if word in cut.words and folded(cut.read(word)) == cut.read(word)]


def ends_in(cut: Cut, core: Span, endings: set[str]) -> bool:
    """Whether a core ends in one of `endings` with something before it."""
    read = folded(cut.read(core))
    return any(len(ending) < len(read) and read.endswith(ending) for ending in endings)


def words_with_ending(cut: Cut) -> list[Span]:
    endings = entries(cut.texts.pack.endings)
    return [word for word in cut.content if ends_in(cut, cut.core(word), endings)]


def words_that_end_sentences(cut: Cut) -> list[Span]:
    endings = entries(cut.texts.pack.sentence_endings)
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


def what_is_no_hangul(cut: Cut) -> list[Span]:
    return cut.runs(lambda at: not cut.bits[at] & (SPACE | HANGUL | JAMO))


def jamo(cut: Cut) -> list[Span]:
    items = {start for start, end in cut.lines if end > start + 1 and cut.text[start + 1] in " .)"}
    return cut.runs(lambda at: bool(cut.bits[at] & JAMO) and at not in items)


def character_runs(cut: Cut) -> list[Span]:
    found = [run.span() for run in _RUN.finditer(cut.text)]
    return [run for run in found if counts_in_runs(ord(cut.text[run[0]]), cut.bits[run[0]])]


@inline
def counts_in_runs(code: int, bits: int) -> bool:
    """Whether a run of a character is a sign of typed emotion: letters but the dash ㅡ, marks of exclamation and
    question, hearts, stars and emoji. Rules, boxes, leaders of dots, code and numbers are drawn with the others."""
    if bits & LETTER:
        return code != 0x3161
    return (
        code == 0x21
        or code == 0x3F
        or code == 0xFF01
        or code == 0xFF1F
        or (0x2600 <= code < 0x27C0)
        or (0x1F300 <= code < 0x1FB00)
    )


MEASURES = (
    Measure(
        "stop_words",
        "count",
        GOPHER,
        "distinct stop words of the language pack. Not as datatrove: words are lower-cased and stripped of punctuation "
        "first, which its tokenizers do and splitting at white space does not",
        stop_words,
    ),
    Measure(
        "plain_stop_words",
        "count",
        GOPHER,
        "distinct stop words that stand in small letters with nothing attached; as datatrove, for lists in small letters",
        plain_stop_words,
    ),
    Measure("hangul_ratio", "share", OWN, "Hangul syllables and jamo / letters", letters_of_other_scripts),
    Measure(
        "hangul_share",
        "share",
        OWN,
        "Hangul syllables and jamo / characters but white space: low in text that is mostly markup, code, tables of "
        "figures, names of files and foreign words",
        what_is_no_hangul,
    ),
    Measure(
        "jamo_ratio",
        "share",
        OWN,
        "jamo that stand alone, as in 'ㅋㅋㅋ' / letters; the middle dot ㆍ, the dash ㅡ and the mark of a list's item at "
        "the start of a line (ㅇ, ㄱ.) are none",
        jamo,
    ),
    Measure(
        "ending_share",
        "share",
        OWN,
        "words that end in a particle or verb ending of the language pack / word_count: low in lists and stuffed keywords",
        words_with_ending,
    ),
    Measure(
        "sentence_end_share",
        "share",
        OWN,
        "words with a sentence ending of the language pack before sentence punctuation or a line's end / word_count",
        words_that_end_sentences,
    ),
    Measure(
        "char_run_share",
        "share",
        OWN,
        "letters, marks of exclamation and question, hearts, stars and emoji in runs of four or more equal ones / "
        "characters but white space; rules, boxes, leaders and numbers are no runs",
        character_runs,
    ),
)
Rows: TypeAlias = Annotated[Records, record(MEASURES)]


@kernel
def fill(words: Words, lists: Lexicon, out: Rows) -> Bytes:
    """Fills `out`; returns [words]: bit 1 for a word that ends in one of the pack's endings, 2 in a sentence's."""
    codes, classes = words.characters, words.classes
    word_offsets, word_start, word_end = words.word_offsets, words.word_start, words.word_end
    line_offsets, line_start, line_end = words.line_offsets, words.line_start, words.line_end
    stop_words, listed_endings, closing = lists.stop_words, lists.endings, lists.sentence_endings
    endings = np.zeros(len(word_start), np.uint8)
    seen = np.zeros(stop_words.entries + 1, np.int64)
    seen_plain = np.zeros(stop_words.entries + 1, np.int64)
    prime = np.uint64(PRIME)
    basis = np.uint64(BASIS)
    for row in range(len(out)):
        if word_offsets[row + 1] == word_offsets[row]:
            continue
        letters = 0
        hangul = 0
        jamo = 0
        visible = 0
        in_runs = 0
        marks = 0
        for line in range(line_offsets[row], line_offsets[row + 1]):
            start = line_start[line]
            of_line = codes[start : line_end[line]]
            bits_of_line = classes[start : line_end[line]]
            seen_bits = np.uint8(0)
            alike = 0
            for at in range(len(of_line)):
                bits = bits_of_line[at]
                seen_bits |= bits
                visible += (bits & SPACE) == 0
                letters += (bits & LETTER) != 0
                hangul += (bits & HANGUL) != 0
            for at in range(1, len(of_line)):
                alike += of_line[at] == of_line[at - 1]
            if seen_bits & JAMO:
                for at in range(len(of_line)):
                    if bits_of_line[at] & JAMO:
                        jamo += 1
                        after = of_line[1] if len(of_line) > 1 else np.int32(0)
                        marks += at == 0 and (after == 0x20 or after == 0x2E or after == 0x29)
            if alike < 3:  # no run of four
                continue
            run = 1
            for at in range(1, len(of_line)):
                run = run + 1 if of_line[at] == of_line[at - 1] else 1
                bits = bits_of_line[at]
                if run >= 4 and not bits & SPACE and (bits & (HANGUL | JAMO) or counts_in_runs(of_line[at], bits)):
                    in_runs += 4 if run == 4 else 1
        line = line_offsets[row]
        real = 0
        stops = 0
        plain = 0
        ended = 0
        closed = 0
        for w in range(word_offsets[row], word_offsets[row + 1]):
            start = word_start[w]
            end = word_end[w]
            while start < end and not classes[start] & CONTENT:
                start += 1
            if start == end:
                continue
            while not classes[end - 1] & CONTENT:
                end -= 1
            while line_end[line] < word_end[w]:
                line += 1
            real += 1
            length = end - start
            if length <= stop_words.longest:
                h = basis
                same = length == word_end[w] - word_start[w]
                for c in range(start, end):
                    small = fold_code(codes[c])
                    same &= small == codes[c]
                    h = (h ^ np.uint64(small)) * prime
                stop = value(stop_words.keys, stop_words.values, h)
                if stop and seen[stop] != row + 1:
                    seen[stop] = row + 1
                    stops += 1
                if stop and same and seen_plain[stop] != row + 1:
                    seen_plain[stop] = row + 1
                    plain += 1
            h = basis
            open_end = True
            unclosed = True
            open_sentence = (end < word_end[w] and (classes[end] & SENTENCE_END) != 0) or word_end[w] == line_end[line]
            deepest = min(length - 1, max(listed_endings.longest, closing.longest))
            for k in range(deepest):
                h = (h ^ np.uint64(fold_code(codes[end - 1 - k]))) * prime
                if open_end and k < listed_endings.longest and value(listed_endings.keys, listed_endings.values, h):
                    ended += 1
                    endings[w] |= 1
                    open_end = False
                if open_sentence and k < closing.longest and value(closing.keys, closing.values, h):
                    closed += 1
                    endings[w] |= 2
                    open_sentence = False
                    unclosed = False
            if unclosed and closing.longest:
                # A full stop without a space behind it ends a sentence too: 했다.그러나
                for at in range(start + 2, end - 1):
                    if (classes[at] & SENTENCE_END) == 0 or (classes[at + 1] & LETTER) == 0:
                        continue
                    h = basis
                    for k in range(min(at - start - 1, closing.longest)):
                        h = (h ^ np.uint64(fold_code(codes[at - 1 - k]))) * prime
                        if value(closing.keys, closing.values, h):
                            unclosed = False
                    if not unclosed:
                        closed += 1
                        endings[w] |= 2
                        break
        out[row].stop_words = stops
        out[row].plain_stop_words = plain
        if letters:
            out[row].hangul_ratio = (hangul + jamo) / letters
            out[row].jamo_ratio = (jamo - marks) / letters
        out[row].ending_share = ended / real if real else 0.0
        out[row].sentence_end_share = closed / real if real else 0.0
        out[row].hangul_share = (hangul + jamo) / visible
        out[row].char_run_share = in_runs / visible
    return endings


def running(words: Words, lists: Lexicon) -> tuple[Records, Bytes]:
    """The records of `words`, and their endings as `fill` returns them, which other groups ask for too."""
    out = np.zeros(words.texts, record(MEASURES))
    return out, fill(words, lists, out)


def _fill(texts: Texts, out: Records) -> None:
    out[:] = texts.running[0]


GROUP = Group("running_text", 2, MEASURES, _fill)
