"""Stop words by frequency, as FineWeb2 takes them from Wikipedia (arXiv:2506.20920): the words of good text that are
more than a share of all. Ours must also stand in many documents, which leaves out a foreign quotation's words (its
Turkish list has 'the'), and are bounded in number."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from winnow.filters.fitting import FitError
from winnow.filters.script import RANGES

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
