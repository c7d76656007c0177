"""Words in hosts and paths.

A word of an alphabet with spaces between words (Latin, Cyrillic, Arabic ...) is found where it is a whole run of letters,
or of letters and digits: `sex` is in `/sex/` and `sex24`, not in `essex`. A word in Hangul, Han, kana, Thai, Lao, Khmer
or Myanmar script is found anywhere, so that particles and compounds do not hide it; one of two Hangul syllables at the
beginning of a word alone, or behind what such words are compounded with: `야동` is in `최신야동`, not in the quarter `가야동` nor in
`분야동향`, `도박` not in `독도박물관`. A substring is looked for in each
label of a host above the public suffix, hyphens left out (`free-porn.example` is `freeporn`), never in a path; romanised Korean in a label or its part under the same
condition (`gaya-dong`). What
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

_HYPHEN = re.compile("-")
_TWO_SYLLABLES = re.compile("[가-힣]{2}")
_ROMANISED = frozenset(("yadong", "yasul"))
_COMPOUNDED = re.compile(
    "(?:[^가-힣]|무료|공짜|한국|일본|중국|미국|서양|동양|러시아|국산|국내|해외|성인|최신|신작|인기|추천|화질|노모|유모|백마|흑인|애니|몰카|셀카|직캠|연예인|유출|실시간"
    "|모바일|하드코어|여대생|유부녀|레전드|자막|풀버전|근친|커플|아마추어|고전|리얼|야한|섹스|포르노|사이트|다운|보기|모음|불법|온라인|인터넷|사이버|사설|스포츠|안전|메이저"
    "|원정|상습|억대|내기|당일|긴급|청소년)$"
)
_COMPOUNDED_LATIN = re.compile(
    "(?:[^a-z]|free|best|hot|top|new|all|korean?|kor|japan|japanese|asian?|sex|porn|adult|live|real|mobile|super|jav|vip|king)$"
)

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
        hits = self._free(_hits(self._parts, glued), glued)
        edges = _edges(labels)
        parts = [word for start, _, word in sorted(hits) if start in edges or not _inside(glued, start, word)]
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
        glued = [hit for hit in _hits(self._glued_words, text) if not _inside(text, hit[0], hit[2])]
        return self._free(hits + glued, text)

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


def _inside(text: str, start: int, word: str) -> bool:
    """Whether a short word is the middle of another one, by what is in front of it."""
    if word in _ROMANISED:
        return start > 0 and not _COMPOUNDED_LATIN.search(text, max(0, start - 8), start)
    if _TWO_SYLLABLES.fullmatch(word) is None:
        return False
    return start > 0 and not _COMPOUNDED.search(text, max(0, start - 4), start)


def _edges(labels: str) -> set[int]:
    """Where parts between hyphens begin, in the labels without hyphens."""
    return {match.start() - number for number, match in enumerate(_HYPHEN.finditer(labels))}


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
