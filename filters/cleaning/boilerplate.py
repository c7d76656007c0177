"""Lines of boilerplate: what a page says about itself (share, log in, cookies, copyright) and not about its matter.

A line goes only where the phrases of `phrases/` explain all of it. The lines of a column are matched as one column of
short strings by Rust's engine; Python sees only the texts that have such a line.
"""

from __future__ import annotations

from functools import partial

import polars as pl

from winnow.filters.cleaning import Changes, Step
from winnow.filters.cleaning.lines import removals
from winnow.filters.cleaning.phrases import Boilerplate, boilerplate_of

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
