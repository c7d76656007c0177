"""Whether a language pack is sound: which thresholds make no sense, whoever found them.

Published configurations hold some (FineWeb2: a mean word length of at most 3,141; duplicate lines of at most 1.32):
they come out of statistics of few or odd texts, never drop anything, or everything, and look like rules all the same.
"""

from __future__ import annotations

import re
import unicodedata

from winnow.filters.languages import BadLanguagePack, LanguagePack, UnitRules, language_pack
from winnow.nearest import hint

COMPARISON = re.compile(r"(\w+)\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?(?:e-?\d+)?)")
"""A clause of a pack: signal, operator, number."""

MOST = {"count": 1e9, "ratio": 10.0, "characters": 50.0, "mtld": 1000.0}
"""Highest bound that means anything, by signal or unit of measure. Shares lie between 0 and 1, both excluded. Ratios are
of marks or line breaks to words, or of a few bits or bytes; mean lengths are of words, of which no language's reach 50
characters."""


def sound_pack(name: str) -> LanguagePack:
    """`languages.language_pack`, checked where it is a file: those that ship are checked by their tests.

    Raises UnknownLanguage as it does, and BadLanguagePack for one with `problems`.
    """
    pack = language_pack(name)
    found = problems(pack) if name.endswith((".yaml", ".yml")) else []
    if found:
        raise BadLanguagePack("\n".join(f"{name}: {problem}" for problem in found))
    return pack


def problems(pack: LanguagePack) -> list[str]:
    """What is wrong with a pack's thresholds and word lists, one sentence each; empty for a sound pack.

    Loads the table of measures.
    """
    found = [f"{where}{p}" for where, rules in _units(pack) for p in _of_clauses(rules)]
    if "morpheme" in (pack.word_unit, *pack.units) and pack.code != "ko":
        found.append(f"word unit 'morpheme' is for Korean (ko), and this pack is for '{pack.code}': expected 'segment'")
    if pack.word_unit in pack.units:
        found.append(
            f"units.{pack.word_unit}: the pack's own word_unit, whose clauses stand at the top: expected others"
        )
    for name in pack.default_packs:
        found += [
            f"{where}clauses: no rule pack '{name}', which default_packs names: expected one of {', '.join(rules.clauses)}"
            for where, rules in _units(pack)
            if name not in rules.clauses
        ]
    found += [f"{where}{p}" for where, rules in _units(pack) for p in _of_words("stop_words", rules.stop_words)]
    for key in ("endings", "sentence_endings"):
        found += _of_words(key, getattr(pack, key))
    found += _of_bad_words(pack.bad_words)
    by_character = pack.rules("character").stop_words if "character" in (pack.word_unit, *pack.units) else ()
    found += [f"stop_words: '{w}' is longer than the words of unit 'character'" for w in by_character if len(w) > 1]
    return found


def bound_problem(signal: str, unit: str, bound: float) -> str | None:
    """Why `bound` is no bound for a signal of that unit of measure (share, ratio, count, characters), if it is none."""
    if unit == "share" and not 0 < bound < 1:
        return f"{signal} is a share: expected a bound between 0 and 1, both excluded, got {bound:g}"
    most = MOST.get(signal, MOST.get(unit, 1.0))
    if bound > most:
        return f"no {signal} reaches {bound:g}: expected a bound of at most {most:g}"
    return None


def _of_bad_words(entries: tuple[str, ...]) -> list[str]:
    from winnow.filters.bad_words import BadWordsError
    from winnow.filters.bad_words.table import entry

    found = []
    for written in entries:
        try:
            entry(written)
        except BadWordsError as error:
            found.append(f"bad_words: {error}")
    return found


def _units(pack: LanguagePack) -> list[tuple[str, UnitRules]]:
    return [("", pack.rules()), *((f"units.{unit}.", rules) for unit, rules in pack.units.items())]


def _of_clauses(rules: UnitRules) -> list[str]:
    from winnow.filters.rules.table import MEASURES

    units = {m.name: m.unit for m in MEASURES}
    found = []
    for group, clauses in rules.clauses.items():
        for clause, expression in clauses.items():
            where = f"clauses.{group}.{clause}"
            match = COMPARISON.fullmatch(expression.strip())
            if not match:
                found.append(f"{where}: expected a signal, one of <= >= < > and a number, got '{expression}'")
                continue
            signal, _, number = match.groups()
            if signal not in units:
                found.append(f"{where}: no signal '{signal}'{hint(signal, units)}")
                continue
            problem = bound_problem(signal, units[signal], float(number))
            if problem:
                found.append(f"{where}: {problem}")
    return found


def _of_words(key: str, words: tuple[str, ...]) -> list[str]:
    found = []
    for word in words:
        wanted = unicodedata.normalize("NFC", "".join(word.split()).lower())
        if not word or word != wanted:
            found.append(
                f"{key}: '{word}' matches nothing: expected lower case, composed (NFC) and without white space"
            )
    return found
