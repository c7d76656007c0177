"""Lines of boilerplate: what a page says about itself (share, log in, cookies, copyright) and not about its matter.

What they say is in `phrases/*.yaml`, per language, read once and compiled to regular expressions. A line is boilerplate
where a pattern matches all of it, or where it holds nothing but phrases with digits, signs and white space between and
around them. Case does not matter, except that a single Latin word must have a capital: `Login` is a button, `login` may be
code. A word with capitals inside is written with them in the file. Nothing is ever cut out of a line.

The lines of a column are matched as one column of short strings by Rust's engine; Python sees only the texts that have such
a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import polars as pl
import yaml
from pydantic import BaseModel, ConfigDict, Field

from winnow.filters.cleaning import Changes, Step
from winnow.filters.edits import removals

FOLDER = Path(__file__).parent / "phrases"

Category = Annotated[str, Field(pattern="^[a-z_]+$")]
# Marks that programs are full of are no such signs: a line of code says `'login'`, `/login`, `print $_;`.
_AFTER = r"[\s\d\p{P}\p{S}--[\x22\x27`$;=_{}\\<]]"
_BULLET = r"[\s•·∙‣▪◦■□◆◇●○▷►*+|–—-]"
_BEFORE = rf"[{_AFTER}--[/]]"


class BadPhrases(ValueError):
    """A file of phrases that cannot be used: the file and what is wrong in it."""


class PhraseFile(BaseModel):
    """One language's file: category -> phrases, and category -> patterns of whole lines (Rust's regular expressions)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    phrases: dict[Category, tuple[Annotated[str, Field(min_length=1)], ...]] = {}
    patterns: dict[Category, tuple[Annotated[str, Field(min_length=1)], ...]] = {}


@dataclass(frozen=True, slots=True)
class Boilerplate:
    """A line is boilerplate where one of `lines` matches it; `categories`, in order, say which: the first counts of which
    one matches. What is made of phrases and what are whole lines are apart: the states of one expression for both would
    be more than the engine holds, and matching many times slower."""

    lines: tuple[str, ...]
    categories: tuple[tuple[str, tuple[str, ...]], ...]


def languages() -> list[str]:
    """Codes of the languages that have phrases, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def boilerplate_of(codes: tuple[str, ...]) -> Boilerplate:
    """The phrases of these languages together. A language without a file adds nothing. Raises BadPhrases."""
    files = [_read(FOLDER / f"{code}.yaml") for code in dict.fromkeys(codes) if code in languages()]
    names = list(dict.fromkeys(name for file in files for name in (*file.phrases, *file.patterns)))
    categories: list[tuple[str, tuple[str, ...]]] = []
    everything: list[str] = []
    all_patterns: list[str] = []
    for name in names:
        phrases = [phrase for file in files for phrase in file.phrases.get(name, ())]
        patterns = [pattern for file in files for pattern in file.patterns.get(name, ())]
        everything += phrases
        all_patterns += patterns
        categories.append((name, _whole_lines(phrases, patterns)))
    return Boilerplate(_whole_lines(everything, all_patterns), tuple(categories))


def _whole_lines(phrases: Iterable[str], patterns: Iterable[str]) -> tuple[str, ...]:
    # The longest first: where one phrase begins another, the engine then needs no second thought.
    literals = sorted({phrase.strip() for phrase in phrases}, key=lambda phrase: (-len(phrase), phrase))
    # Unicode's word boundaries would make the engine leave its automaton for a far slower way at any Hangul.
    whole = "|".join("(?:{})".format(pattern.replace(r"\b", r"(?-u:\b)")) for pattern in patterns)
    spelt = "|".join(map(_spelt, literals))
    choices = (f"{_BEFORE}*(?:(?:{spelt}){_AFTER}*)+" if spelt else "", whole)
    return tuple(rf"(?i)^{_BULLET}*(?:{choice})\s*$" for choice in choices if choice)


def _spelt(phrase: str) -> str:
    if re.fullmatch("[A-Za-z]+", phrase):
        # In small letters a single word is as often code or running text as a button.
        capitals = {phrase.capitalize(), phrase.upper(), phrase} - {phrase.lower()}
        return f"(?-i:{'|'.join(sorted(capitals))})"
    return (r"\s+" if phrase.isascii() else r"\s*").join(map(_escaped, phrase.split()))


def _escaped(word: str) -> str:
    return re.sub(r"([\\.+*?()|\[\]{}^$#&~-])", r"\\\1", word)


def _read(path: Path) -> PhraseFile:
    try:
        return PhraseFile.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except (yaml.YAMLError, ValueError) as error:
        raise BadPhrases(
            f"{path.name}: expected `phrases` and `patterns`, each category -> list of texts: {error}"
        ) from error


LONGEST = 600
"""Bytes of the longest line that can be boilerplate; a longer one is running text whatever it says."""


def boilerplate(languages: tuple[str, ...]) -> Step:
    """Edits that remove lines, of rule `boilerplate.CATEGORY`, or `boilerplate.several` where a line holds phrases of
    several categories. `languages` are codes of phrase files; unknown ones add nothing. Raises BadPhrases."""
    return partial(_boilerplate, known=boilerplate_of(languages))


def _boilerplate(texts: pl.Series, known: Boilerplate) -> Changes:
    lines = texts.str.split("\n").list.explode(keep_nulls=False, empty_as_null=False)
    counts = texts.str.count_matches("\n", literal=True).cast(pl.Int64) + 1
    short = (lines.str.len_bytes() <= LONGEST).arg_true()
    found = short.filter(_any(lines.gather(short), known.lines))
    if not len(found):
        return {}
    matched = lines.gather(found)
    rules = ["boilerplate.several"] * len(matched)
    for name, patterns in reversed(known.categories):
        for at in _any(matched, patterns).arg_true().to_list():
            rules[at] = f"boilerplate.{name}"
    ends = counts.cum_sum()
    rows = ends.search_sorted(found, side="right").to_list()
    starts = (ends - counts).to_list()
    per_row: dict[int, dict[int, str]] = {}
    for row, line, rule in zip(rows, found.to_list(), rules, strict=True):
        per_row.setdefault(row, {})[line - starts[row]] = rule
    return {row: removals(texts[row], gone) for row, gone in per_row.items()}


def _any(lines: pl.Series, patterns: tuple[str, ...]) -> pl.Series:
    """Which lines one of the patterns matches."""
    found = pl.repeat(False, len(lines), eager=True)
    for pattern in patterns:
        found |= lines.str.contains(pattern)
    return found
