"""Words in hosts and paths.

A word of an alphabet with spaces between words (Latin, Cyrillic, Arabic ...) is found where it is a whole run of letters,
or of letters and digits: `sex` is in `/sex/` and `sex24`, not in `essex`. A word in Hangul, Han, kana, Thai, Lao, Khmer
or Myanmar script is found anywhere, so that particles and compounds do not hide it. A substring is looked for in each
label of a host above the public suffix, hyphens left out (`free-porn.example` is `freeporn`), never in a path. What
overlaps an exception does not count (`porn` in `pornic`, `sexshop` in `essexshop`), unless it is that very string.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_UNSPACED = "\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u318f\u31a0-\u31ff\u3400-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
_ANY_UNSPACED = re.compile(f"[{_UNSPACED}]")
_LATIN = re.compile("[a-z]+")
_LETTERS = re.compile(rf"[^\W\d_{_UNSPACED}]+")
_ALPHANUMERIC = re.compile(rf"[^\W_{_UNSPACED}]+")
_APART = re.compile(r"[\W_]+")

Found = tuple[tuple[str, ...], tuple[str, ...]]
"""Distinct hard and soft words, each in the order of the text where they are first found."""

NONE: Found = ((), ())


class WordRules:
    """Finds words. All entries are folded (`address.folded`). State: the automata built from them."""

    def __init__(
        self, hard: Iterable[str], soft: Iterable[str], substrings: Iterable[str], exceptions: Iterable[str]
    ) -> None:
        self._hard = frozenset(hard)
        every = self._hard | frozenset(soft)
        glued = {word for word in every if _ANY_UNSPACED.search(word)}
        self._runs = every - glued
        self._digits = {word for word in self._runs if any(c.isdigit() for c in word)}
        self._glued_words = _automaton(glued)
        self._parts = _automaton(substrings)
        self._exceptions = _automaton(exceptions)

    def in_path(self, text: str) -> Found:
        """Words in a folded path with its query."""
        if not self._any(text):
            return NONE
        return self._sorted(self._words(_APART.sub(" ", text)))

    def in_host(self, labels: str) -> Found:
        """Words and substrings in the labels above a host's public suffix, folded, joined by dots."""
        glued = labels.replace("-", "") if "-" in labels else labels
        if (self._parts is None or next(self._parts.iter(glued), None) is None) and not self._any(labels):
            return NONE
        hard, soft = self._sorted(self._words(_APART.sub(" ", labels)))
        parts = [word for _, _, word in sorted(self._free(_hits(self._parts, glued), glued))]
        hard = tuple(dict.fromkeys((*hard, *parts)))
        return (hard, tuple(word for word in soft if word not in hard)) if hard or soft else NONE

    def _any(self, text: str) -> bool:
        if text.isascii():
            return not self._runs.isdisjoint(_LATIN.findall(text)) or self._with_digits(text)
        if self._glued_words is not None and next(self._glued_words.iter(text), None) is not None:
            return True
        return not self._runs.isdisjoint(_LETTERS.findall(text)) or self._with_digits(text)

    def _with_digits(self, text: str) -> bool:
        return bool(self._digits) and not self._digits.isdisjoint(_ALPHANUMERIC.findall(text))

    def _words(self, text: str) -> list[tuple[int, int, str]]:
        hits = [(m.start(), m.end(), m[0]) for m in _LETTERS.finditer(text) if m[0] in self._runs]
        hits += [(m.start(), m.end(), m[0]) for m in _ALPHANUMERIC.finditer(text) if m[0] in self._digits]
        return self._free(hits + _hits(self._glued_words, text), text)

    def _free(self, hits: list[tuple[int, int, str]], text: str) -> list[tuple[int, int, str]]:
        """Those that overlap no exception."""
        if not hits:
            return hits
        covers = _hits(self._exceptions, text)
        return [h for h in hits if not any(start < h[1] and h[0] < end and text != h[2] for start, end, text in covers)]

    def _sorted(self, hits: list[tuple[int, int, str]]) -> Found:
        words = list(dict.fromkeys(word for _, _, word in sorted(hits)))
        hard = tuple(word for word in words if word in self._hard)
        return hard, tuple(word for word in words if word not in hard)


def _automaton(words: Iterable[str]) -> Any:
    import ahocorasick

    found = ahocorasick.Automaton()
    for word in words:
        found.add_word(word, word)
    if not len(found):
        return None
    found.make_automaton()
    return found


def _hits(automaton: Any, text: str) -> list[tuple[int, int, str]]:
    """(start, end, word), overlapping ones too."""
    if automaton is None:
        return []
    return [(last + 1 - len(word), last + 1, word) for last, word in automaton.iter(text)]
