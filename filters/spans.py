"""Which stretches of a text the value of a measure comes from, for every measure of `measures.py`.

The kernels count, this names the places, so that a person can see what a rule saw. It is plain Python for the few
documents that are looked at, but it cuts a text with the kernels' own `words.split` and compares lines by their hashes:
what it names reproduces the value that was measured, and `tests/filters/test_spans.py` checks that for every measure
where an equality exists. Stretches are sorted and never overlap; two may touch, since their number means something
(words of a script without spaces, '##').
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np

from winnow.filters.languages import LanguagePack
from winnow.filters.lexicon import fold
from winnow.filters.passages import Span
from winnow.filters.quality import BULLETS
from winnow.filters.running_text import RUN, _fold
from winnow.filters.words import CLOSER, CONTENT, HANGUL, JAMO, LETTER, SENTENCE_END, split

SHORT_LINE = 30
"""Characters of the longest line that `short_lines` counts."""
LONG_WORD = 2.0
"""`mean_word_length` is shown by the words more than this many times as long as the mean: what pulls it up."""

_KERNEL_FOLD: Callable[[int], int] = _fold.py_func
_ELLIPSIS = re.compile(r"\.\.\.|…")
_RUN = re.compile(rf"(\S)\1{{{RUN - 1},}}")


@dataclass(frozen=True, slots=True)
class Cut:
    """One text as the kernels see it."""

    text: str
    pack: LanguagePack
    bits: Sequence[int]  # class bits of each character
    words: Sequence[Span]
    word_bits: Sequence[int]
    lines: Sequence[Span]  # trimmed, those that hold anything
    line_keys: Sequence[int]  # equal for equal lines
    line_blocks: Sequence[int]  # number of the paragraph

    @property
    def content(self) -> list[Span]:
        """The words that `word_count` counts."""
        return [word for word, bits in zip(self.words, self.word_bits, strict=True) if bits & CONTENT]

    def core(self, word: Span) -> Span:
        """From the first to the last letter, mark or number of a content word."""
        inside = [at for at in range(*word) if self.bits[at] & CONTENT]
        return inside[0], inside[-1] + 1

    def read(self, span: Span) -> str:
        return self.text[slice(*span)]


def spans(text: str, measure: str, pack: LanguagePack, by_character: bool) -> list[Span]:
    """The stretches of `text` that the value of `measure` comes from, sorted, not overlapping; none for a measure of
    the whole text (`char_count`, `line_count`, `word_count`, `newline_ratio`) or where nothing was found.

    `by_character` is the word unit and `pack` gives the word lists, both as the value was measured with. Shares that
    are high in good text are shown by what lowers them: `line_punctuation` by lines that do not end a sentence,
    `alpha_word_share` by words without a letter, `hangul_ratio` by other letters, `unique_words` by repeated words;
    `stop_words`, `ending_share` and `sentence_end_share` by what was found. Raises ValueError for an unknown measure.
    """
    if measure not in _FINDERS:
        raise ValueError(f"no measure '{measure}': expected one of {', '.join(_FINDERS)}")
    return _FINDERS[measure](_cut(text, pack, by_character))


def _cut(text: str, pack: LanguagePack, by_character: bool) -> Cut:
    data = np.frombuffer(text.encode(), np.uint8)
    words = split(np.array([0, len(data)], np.int64), data, by_character)
    return Cut(
        text=text,
        pack=pack,
        bits=words.classes.tolist(),
        words=list(zip(words.word_start.tolist(), words.word_end.tolist(), strict=True)),
        word_bits=words.word_classes.tolist(),
        lines=list(zip(words.line_start.tolist(), words.line_end.tolist(), strict=True)),
        line_keys=words.line_hash.tolist(),
        line_blocks=words.line_block.tolist(),
    )


def _none(cut: Cut) -> list[Span]:
    return []


def _repeated(found: Iterable[tuple[Span, Hashable]]) -> list[Span]:
    """The stretches whose key an earlier one has."""
    seen: set[Hashable] = set()
    again: list[Span] = []
    for span, key in found:
        if key in seen:
            again.append(span)
        seen.add(key)
    return again


def _apart(found: Sequence[Span]) -> list[Span]:
    """Sorted stretches of distinct starts, each ended where the next begins: as many, over the same characters."""
    apart: list[Span] = []
    for start, end in found:
        if apart and apart[-1][1] > start:
            end = max(end, apart[-1][1])
            apart[-1] = (apart[-1][0], start)
        apart.append((start, end))
    return apart


def _runs(cut: Cut, wanted: Callable[[int], bool]) -> list[Span]:
    """Unbroken runs of the characters whose class bits are wanted."""
    runs: list[Span] = []
    for hit, places in groupby(range(len(cut.bits)), lambda at: wanted(cut.bits[at])):
        if hit:
            run = list(places)
            runs.append((run[0], run[-1] + 1))
    return runs


def _long_words(cut: Cut) -> list[Span]:
    content = cut.content
    letters = sum(end - start for start, end in content)
    return [(start, end) for start, end in content if (end - start) * len(content) > LONG_WORD * letters]


def _words_without_letter(cut: Cut) -> list[Span]:
    return [word for word, bits in zip(cut.words, cut.word_bits, strict=True) if not bits & LETTER]


def _hashes(cut: Cut) -> list[Span]:
    return [(at, at + 1) for at, character in enumerate(cut.text) if character == "#"]


def _ellipses(cut: Cut) -> list[Span]:
    return [found.span() for found in _ELLIPSIS.finditer(cut.text)]


def _bullet_lines(cut: Cut) -> list[Span]:
    marks = {chr(mark) for mark in BULLETS.tolist()}
    return [line for line in cut.lines if cut.text[line[0]] in marks]


def _ellipsis_lines(cut: Cut) -> list[Span]:
    return [line for line in cut.lines if cut.read(line).endswith(("...", "…"))]


def _short_lines(cut: Cut) -> list[Span]:
    return [(start, end) for start, end in cut.lines if end - start <= SHORT_LINE]


def _unended_lines(cut: Cut) -> list[Span]:
    """The lines whose last character but closing quotation marks and brackets ends no sentence."""

    def ends(start: int, end: int) -> bool:
        at = end - 1
        while at > start and cut.bits[at] & CLOSER:
            at -= 1
        return bool(cut.bits[at] & SENTENCE_END)

    return [line for line in cut.lines if not ends(*line)]


def _repeated_lines(cut: Cut) -> list[Span]:
    return _repeated(zip(cut.lines, cut.line_keys, strict=True))


def _repeated_paragraphs(cut: Cut) -> list[Span]:
    paragraphs: list[tuple[Span, Hashable]] = []
    for _, places in groupby(range(len(cut.lines)), lambda at: cut.line_blocks[at]):
        held = list(places)
        span = (cut.lines[held[0]][0], cut.lines[held[-1]][1])
        paragraphs.append((span, tuple(cut.line_keys[at] for at in held)))
    return _repeated(paragraphs)


def _repeated_words(cut: Cut) -> list[Span]:
    return _repeated((word, cut.read(word)) for word in cut.content)


def _top_word(cut: Cut) -> list[Span]:
    return _most_frequent([(word, cut.read(word)) for word in cut.content])


def _most_frequent(found: Sequence[tuple[Span, Hashable]]) -> list[Span]:
    """The stretches of the most frequent key, the first of equals; none where nothing occurs twice."""
    counts = Counter(key for _, key in found)
    top = max(counts, key=counts.__getitem__, default=None)
    return [span for span, key in found if key == top] if top is not None and counts[top] > 1 else []


def _grams(cut: Cut, n: int) -> list[tuple[Span, Hashable]]:
    tokens = [cut.read(word) for word in cut.words]
    return [
        ((cut.words[at][0], cut.words[at + n - 1][1]), tuple(tokens[at : at + n])) for at in range(len(tokens) - n + 1)
    ]


def _top_grams(cut: Cut, n: int) -> list[Span]:
    return _apart(_most_frequent(_grams(cut, n)))


def _repeated_grams(cut: Cut, n: int) -> list[Span]:
    """The words of n-grams that occurred before, none counted twice: after one the search goes on behind it."""
    seen: set[Hashable] = set()
    found: list[Span] = []
    free = 0
    for at, (_, gram) in enumerate(_grams(cut, n)):
        if at < free:
            continue
        if gram in seen:
            found.extend(cut.words[at : at + n])
            free = at + n
        seen.add(gram)
    return found


def _folded(characters: str) -> str:
    """Lower case as the kernel has it, which knows fewer alphabets than `str.lower`."""
    return "".join(chr(_KERNEL_FOLD(ord(character))) for character in characters)


def _entries(listed: Iterable[str]) -> set[str]:
    return {"".join(map(fold, entry)) for entry in listed if entry}


def _stop_words(cut: Cut) -> list[Span]:
    entries = _entries(cut.pack.stop_words)
    return [core for core in map(cut.core, cut.content) if _folded(cut.read(core)) in entries]


def _bad_words(cut: Cut) -> list[Span]:
    """The part of a word that is the bad word, without a particle behind it. In a script without spaces a bad word is
    several words, and the next may begin within it."""
    whole = {"".join(map(fold, entry.rstrip("*"))): not entry.endswith("*") for entry in cut.pack.bad_words}
    longest = max(map(len, whole), default=0)
    found: list[Span] = []
    for word in cut.content:
        start, end = cut.core(word)
        ahead = _folded("".join(cut.text[start : start + longest].split(maxsplit=1)[:1]))
        for length in range(1, len(ahead) + 1):
            must_end = whole.get(ahead[:length])
            if must_end is not None and (not must_end or start + length == end):
                found.append((start, start + length))
                break
    return _apart(found)


def _ends_in(cut: Cut, core: Span, endings: set[str]) -> bool:
    """Whether a core ends in one of `endings` with something before it."""
    read = _folded(cut.read(core))
    return any(len(ending) < len(read) and read.endswith(ending) for ending in endings)


def _words_with_ending(cut: Cut) -> list[Span]:
    endings = _entries(cut.pack.endings)
    return [word for word in cut.content if _ends_in(cut, cut.core(word), endings)]


def _words_that_end_sentences(cut: Cut) -> list[Span]:
    endings = _entries(cut.pack.sentence_endings)
    line_ends = {end for _, end in cut.lines}

    def closes(word: Span) -> bool:
        end = cut.core(word)[1]
        return word[1] in line_ends or (end < word[1] and bool(cut.bits[end] & SENTENCE_END))

    return [word for word in cut.content if closes(word) and _ends_in(cut, cut.core(word), endings)]


def _letters_of_other_scripts(cut: Cut) -> list[Span]:
    return _runs(cut, lambda bits: bool(bits & LETTER) and not bits & (HANGUL | JAMO))


def _jamo(cut: Cut) -> list[Span]:
    return _runs(cut, lambda bits: bool(bits & JAMO))


def _character_runs(cut: Cut) -> list[Span]:
    return [found.span() for found in _RUN.finditer(cut.text)]


_FINDERS: Mapping[str, Callable[[Cut], list[Span]]] = {
    "char_count": _none,
    "line_count": _none,
    "word_count": _none,
    "mean_word_length": _long_words,
    "alpha_word_share": _words_without_letter,
    "hash_ratio": _hashes,
    "ellipsis_ratio": _ellipses,
    "bullet_lines": _bullet_lines,
    "ellipsis_lines": _ellipsis_lines,
    "stop_words": _stop_words,
    "dup_lines": _repeated_lines,
    "dup_line_chars": _repeated_lines,
    "dup_paragraphs": _repeated_paragraphs,
    "dup_paragraph_chars": _repeated_paragraphs,
    "unique_words": _repeated_words,
    "top_word_share": _top_word,
    **{f"top_{n}gram_share": partial(_top_grams, n=n) for n in (2, 3, 4)},
    **{f"dup_{n}gram_share": partial(_repeated_grams, n=n) for n in range(5, 11)},
    "line_punctuation": _unended_lines,
    "short_lines": _short_lines,
    "newline_ratio": _none,
    "hangul_ratio": _letters_of_other_scripts,
    "jamo_ratio": _jamo,
    "ending_share": _words_with_ending,
    "sentence_end_share": _words_that_end_sentences,
    "bad_words": _bad_words,
    "bad_word_share": _bad_words,
    "char_run_share": _character_runs,
}
