"""What texts say of their language: script, whether pages can be told by it, word unit, what ends a sentence, the least
language-ID score, stop words.

The score is max(0.3, min(0.9, median - standard deviation)) of the scores of good text that the model puts in the language
(FineWeb2, arXiv:2506.20920; there of GlotLID's scores on crawl).

Stop words go by frequency, as FineWeb2 takes them from Wikipedia: the words of good text that are more than a share of all.
Ours must also stand in many documents, which leaves out a foreign quotation's words (its Turkish list has 'the'), and are
bounded in number. Words are cut as the rules cut them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from winnow.filters.character_classes import CLOSER, SENTENCE_END, class_table
from winnow.filters.fitting import FitError
from winnow.filters.languages import LanguagePack
from winnow.filters.rules.table import buffers, cut
from winnow.filters.script import RANGES

WITHOUT_SPACES = frozenset({"Hani", "Hans", "Hant", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"})
"""Scripts that put no space between words."""

_SHARED = ("Hans", "Hant")  # the same characters as Hani: which of them, a person says
_NEVER = re.compile(
    r"COMMA|COLON|WORDSPACE|QUOTATION|APOSTROPHE|SOLIDUS|ASTERISK|AMPERSAND|NUMBER SIGN|COMMERCIAL AT|PERCENT|ELLIPSIS|"
    r"\bDOT\b|BULLET|REFERENCE MARK|PRIME|DAGGER|SECTION|PILCROW|REPETITION|EMPHASIS"
)
"""Names of punctuation that ends lines and no sentence."""
KANA = 0.05
"""Share of the letters that must be kana for Japanese; the rest of its letters are Han."""
ENDS = 0.01
"""Share of the lines that a character must end to be taken for terminal punctuation."""


@dataclass(slots=True)
class Seen:
    """Letters by character, and the last characters of lines, closing quotation marks and brackets left out."""

    letters: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    lines: int = 0

    def add(self, text: str) -> None:
        self.letters.update(c for c in text if c.isalpha())
        for line in text.splitlines():
            line = line.strip()
            while line and _is(line[-1], CLOSER):
                line = line[:-1].rstrip()
            if line:
                self.lines += 1
                self.ends[line[-1]] += 1


def script(letters: Counter[str]) -> tuple[str, bool]:
    """The ISO 15924 code of the script that most letters are in, and whether it is one that pages are screened for
    (`filters/script.py` has its ranges). Raises FitError for a script without a name here, and for texts without
    letters."""
    total = sum(letters.values())
    if not total:
        raise FitError("the reference holds no letters: expected text")
    counts: Counter[str] = Counter()
    for name, ranges in RANGES.items():
        if name not in _SHARED:
            counts[name] = sum(n for c, n in letters.items() if any(a <= ord(c) <= b for a, b in ranges))
    counts["Latn"] = sum(
        n for c, n in letters.items() if unicodedata.name(c, "").startswith(("LATIN", "FULLWIDTH LATIN"))
    )
    if counts["Jpan"] >= KANA * total and counts["Jpan"] + counts["Hani"] >= total / 2:
        return "Jpan", True
    name, most = max(counts.items(), key=lambda item: (item[1], item[0]))
    if 2 * most < total:
        common, _ = max(letters.items(), key=lambda item: (item[1], item[0]))
        raise FitError(
            f"no script holds most letters of the reference ({name}: {most / total:.0%}; the commonest letter is "
            f"{unicodedata.name(common, repr(common))}): give --script CODE, as ISO 15924 names it"
        )
    return name, name in RANGES


def word_unit(script: str, segments: bool) -> str:
    """`whitespace`, or for scripts without spaces `segment` where there is a segmenter for it, else `character`."""
    if script not in WITHOUT_SPACES:
        return "whitespace"
    return "segment" if segments else "character"


def terminal_punctuation(seen: Seen, script: str) -> tuple[str, ...]:
    """What ends the language's sentences, sorted; empty where Unicode's Sentence_Terminal has all of it, or where
    nothing does (`unpunctuated`). The Greek question mark is a semicolon once composed (NFC)."""
    found = {c for c, n in seen.ends.items() if n >= ENDS * seen.lines and _ends(c)}
    if script == "Grek" and seen.ends[";"] >= ENDS * seen.lines:
        found.add(";")
    return () if all(_is(c, SENTENCE_END) for c in found) else tuple(sorted({*found, *".!?"}))


def unpunctuated(seen: Seen) -> bool:
    """Whether hardly a line ends in punctuation, as in languages that have none."""
    return sum(n for c, n in seen.ends.items() if _ends(c)) < ENDS * seen.lines


def _ends(character: str) -> bool:
    if _is(character, SENTENCE_END):
        return True
    return unicodedata.category(character) == "Po" and not _NEVER.search(unicodedata.name(character, ""))


def _is(character: str, bits: int) -> bool:
    table = class_table()
    return ord(character) < len(table) and bool(table[ord(character)] & bits)


LEAST_SCORE, MOST_SCORE = 0.3, 0.9


def cut_off(scores: Sequence[float]) -> float:
    """The cut-off for these scores, of which there must be one, rounded down to three decimals."""
    values = np.asarray(scores, np.float64)
    found = max(LEAST_SCORE, min(MOST_SCORE, float(np.median(values) - values.std())))
    return math.floor(found * 1000 + 1e-9) / 1000


def of_language(labels: Sequence[str], scores: Sequence[float], code: str, what: str, of: str) -> list[float]:
    """The scores of the texts that the model puts in the language. Raises FitError unless that is most of them; `what`:
    the name of the texts; `of`: the option that says their language."""
    own = [score for label, score in zip(labels, scores, strict=True) if label == code]
    if 2 * len(own) < len(labels):
        others = Counter(label for label in labels if label != code).most_common(3)
        shares = ", ".join(f"{count / len(labels):.0%} '{label}'" for label, count in others)
        raise FitError(
            f"{what}: {len(own) / max(len(labels), 1):.0%} of {len(labels):,} documents are in '{code}' by the language "
            f"model, and {shares}: expected most; is {of} right? (--language-score NUMBER does without the model)"
        )
    return own


BATCH = 200
"""Texts cut at a time: bounds memory."""


def cut_words(texts: Sequence[str], pack: LanguagePack, unit: str) -> Iterator[list[str]]:
    """The words of each text. Raises `segmenters.MissingSegmenter`."""
    for first in range(0, len(texts), BATCH):
        offsets, data = buffers(pa.array(texts[first : first + BATCH], pa.large_string()))
        words = cut(offsets, data, pack, unit)
        characters = words.characters.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
        bounds = words.word_offsets
        starts, ends = np.asarray(words.word_start), np.asarray(words.word_end)
        for i in range(words.texts):
            yield [characters[starts[w] : ends[w]] for w in range(bounds[i], bounds[i + 1])]


SHARE = 0.003
DOCUMENTS = 0.1
FEWEST, MOST = 8, 60
LEAST_WORDS = 5_000
"""Below this a word of share SHARE is expected fewer than fifteen times."""


@dataclass(slots=True)
class WordCounts:
    """How often each word was seen, and in how many texts."""

    words: int = 0
    texts: int = 0
    times: Counter[str] = field(default_factory=Counter)
    within: Counter[str] = field(default_factory=Counter)

    def add(self, words: Iterable[str]) -> None:
        """The words of one text; symbols and numbers count as words and are none of the list's."""
        found = [w for w in (core(word) for word in words) if w]
        self.words += len(found)
        self.texts += 1
        self.times.update(found)
        self.within.update(set(found))


def core(word: str) -> str:
    """What lies between a word's first and last letter, mark or number, composed, in lower case; may be empty."""
    start, end = 0, len(word)
    while start < end and unicodedata.category(word[start])[0] not in "LMN":
        start += 1
    while end > start and unicodedata.category(word[end - 1])[0] not in "LMN":
        end -= 1
    return unicodedata.normalize("NFC", word[start:end].lower())


def stop_words(counts: WordCounts, script: str) -> tuple[str, ...]:
    """Words in the script, where it has ranges (`filters/script.py`), of at least SHARE of all and DOCUMENTS of the texts, the most frequent first, FEWEST to MOST of them: the
    next ones fill up where the shares leave too few. Raises FitError for too little text."""
    if counts.words < LEAST_WORDS:
        raise FitError(
            f"stop words: the reference has {counts.words:,} words: expected at least {LEAST_WORDS:,}; give more text"
        )
    letters = [
        (w, n)
        for w, n in counts.times.items()
        if all(unicodedata.category(c)[0] in "LM" for c in w) and _within(w, script)
    ]
    common = [(w, n) for w, n in letters if counts.within[w] >= DOCUMENTS * counts.texts]
    ordered = sorted(common, key=lambda item: (-item[1], item[0]))
    frequent = [w for w, n in ordered if n >= SHARE * counts.words]
    chosen = frequent if len(frequent) >= FEWEST else [w for w, _ in ordered[:FEWEST]]
    if len(chosen) < FEWEST:
        raise FitError(
            f"stop words: {len(chosen)} words stand in {DOCUMENTS:.0%} of the reference's documents or more: expected at "
            f"least {FEWEST}; are they words of this unit, in one language, in documents of some length (--join 1000)?"
        )
    return tuple(chosen[:MOST])


def _within(word: str, script: str) -> bool:
    """Japanese words may be of Han characters, or of both scripts."""
    if script not in RANGES:
        return True
    ranges = (*RANGES[script], *RANGES["Hani"]) if script == "Jpan" else RANGES[script]
    return all(any(a <= ord(c) <= b for a, b in ranges) for c in word)
