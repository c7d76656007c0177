"""Each clause of a base pack as a threshold for another language or another word unit.

A *side* says which values a clause keeps: `most`, those up to the threshold (`<=`), or `least`, those from it (`>=`). Its
threshold lies at a quantile of old values, and the new one at the same quantile of new values.

What a fitted threshold may be is bounded, and some measures a fit may not move. The ranges are ours, wide around every
published value: those of Gopher (arXiv:2112.11446), FineWeb (arXiv:2406.17557) and the middle of the languages of FineWeb2
(`configs/*.yml`), whose outermost are degenerate (a mean word length of 3,141, a share of duplicate lines of 1.32).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from winnow.filters.fitting import FitError
from winnow.filters.pack_check import COMPARISON, bound_problem

Values = npt.NDArray[np.float64]
Side = Literal["least", "most"]

EDGE = 0.01
"""A threshold nearer than this to an end of a distribution is matched by ratio, not by quantile."""


@dataclass(frozen=True, slots=True)
class Match:
    """A threshold among new values. `quantile`: of the old threshold among the old values, 0 to 1. `beyond`: it lies
    outside their middle 98%, where a quantile is a matter of few values, and is scaled by the ratio of the two
    distributions' quantiles there."""

    threshold: float
    quantile: float
    beyond: bool


def dropped(values: Values, side: Side, threshold: float) -> float:
    """Share of the values that the clause drops; 0 for no values."""
    if not len(values):
        return 0.0
    return float(np.mean(values > threshold if side == "most" else values < threshold))


def tail(values: Values, side: Side, share: float) -> float:
    """The tightest value among `values` that drops at most `share` of them."""
    ordered = np.sort(values) if side == "most" else -np.sort(-values)
    # In whole values, not in shares: 1 - share is no exact number.
    beyond = math.floor(share * len(ordered) + 1e-9)
    return float(ordered[max(len(ordered) - 1 - beyond, 0)])


def constant(values: Values) -> bool:
    """Whether there is but one value, so that no threshold can be found in it."""
    return not len(values) or bool(values.min() == values.max())


def matched(old: Values, new: Values, threshold: float) -> Match | None:
    """The value of `new` at the quantile that `threshold` has in `old`; None where either has one value only, or where
    the ratio of their 1% or 99% quantiles is needed and is none (0 / 0).

    Distributions are read as straight lines between the mid-ranks of distinct values, so that the result grows with
    `threshold`, without steps.
    """
    if constant(old) or constant(new):
        return None
    olds, old_ranks = _ranks(old)
    news, new_ranks = _ranks(new)
    # Where many texts share the outermost value, its middle rank is the last quantile there is.
    low, high = max(EDGE, old_ranks[0]), min(1 - EDGE, old_ranks[-1])
    low_value, high_value = np.interp([low, high], old_ranks, olds)
    if low_value <= threshold <= high_value:
        quantile = float(np.interp(threshold, olds, old_ranks))
        return Match(float(np.interp(quantile, new_ranks, news)), quantile, False)
    edge, old_edge = (low, low_value) if threshold < low_value else (high, high_value)
    new_edge = float(np.interp(edge, new_ranks, news))
    if old_edge <= 0 or new_edge <= 0:
        return None
    outside = threshold < olds[0] or threshold > olds[-1]
    quantile = float(threshold > olds[-1]) if outside else float(np.interp(threshold, olds, old_ranks))
    return Match(float(threshold * new_edge / old_edge), quantile, True)


def _ranks(values: Values) -> tuple[Values, Values]:
    """Distinct values, ascending, and the middle of the ranks that each takes, 0 to 1."""
    distinct, counts = np.unique(values, return_counts=True)
    upto = np.cumsum(counts)
    return distinct, (upto - counts / 2) / len(values)


def rounded(threshold: float, side: Side, whole: bool) -> float:
    """To two significant digits, to no more than three decimals, or none of a whole number, on the looser side."""
    digits = 0 if threshold == 0 else math.floor(math.log10(abs(threshold))) - 1
    step: float = 10.0 ** max(digits, 0 if whole else -3)
    # The nearest step first: 0.29 / 0.01 is 28.999999999999996, and what is round already must stay.
    nearest = float(f"{round(threshold / step) * step:.3f}")
    if math.isclose(nearest, threshold, rel_tol=1e-12) or (nearest > threshold) == (side == "most"):
        return nearest
    turn = math.ceil if side == "most" else math.floor
    return float(f"{turn(threshold / step) * step:.3f}")


_RANGES: dict[tuple[str, Side], tuple[float, float]] = {
    ("mean_word_length", "least"): (1.0, 5.0),
    ("mean_word_length", "most"): (2.0, 30.0),
    ("alpha_word_share", "least"): (0.3, 0.9),
    ("lettered_words", "least"): (0.3, 0.9),
    ("running_lines", "least"): (0.02, 0.4),
    ("running_share", "least"): (0.02, 0.5),
    ("label_ratio", "most"): (0.02, 0.5),
    ("stop_words", "least"): (1.0, 4.0),
    ("word_count", "least"): (10.0, 200.0),
    ("word_count", "most"): (10_000.0, 1_000_000.0),
    ("line_punctuation", "least"): (0.02, 0.4),
    ("short_lines", "most"): (0.5, 0.97),
    ("newline_ratio", "most"): (0.05, 1.0),
    ("dup_line_chars", "most"): (0.01, 0.5),
    ("unique_words", "least"): (0.02, 0.4),
    ("top_word_share", "most"): (0.05, 0.5),
}
_PATTERNS: tuple[tuple[str, Side, tuple[float, float]], ...] = (
    (r"(top|spare)_\d+gram_share", "most", (0.03, 0.5)),
    (r"dup_\d+gram_share", "most", (0.05, 0.6)),
    (r"dup_(lines|paragraphs|paragraph_chars)", "most", (0.1, 0.7)),
    (r"(hash|hashtag|ellipsis)_ratio", "most", (0.02, 0.5)),
    (r"(bullet|ellipsis)_lines", "most", (0.1, 0.95)),
)
_BY_UNIT: dict[str, tuple[float, float]] = {
    "share": (0.01, 0.99),
    "ratio": (0.01, 5.0),
    "characters": (1.0, 30.0),
    "count": (1.0, 1e6),
}

LAYOUT = re.compile(
    r".*lines?(_|$).*|dup_paragraph.*|newline_ratio|(char|word)_count|(top|dup|spare)_\d+gram_share|unique_words|top_word_share|"
    r".*_run_.*|running_share|(hash|hashtag|label|ellipsis|compression)_ratio|mtld|word_entropy|single_use_words"
)
"""Measures of lines, lengths, repetition and marks, which say nothing of a language where a fit joined the rows of its
reference: sentences that do not belong together repeat nothing."""

FIXED = re.compile(r"c4_.*|url_.*|crawl_.*|page_.*|.*phones|phone_.*|bad_word.*|boilerplate_lines|damaged_ratio")
"""Measures of web pages and addresses, or of lists that a fit does not make: the base's thresholds stand."""


def sensible(signal: str, unit: str, side: Side) -> tuple[float, float]:
    """Least and highest threshold for a signal of that unit of measure on that side."""
    if (signal, side) in _RANGES:
        return _RANGES[signal, side]
    for pattern, of, bounds in _PATTERNS:
        if of == side and re.fullmatch(pattern, signal):
            return bounds
    return _BY_UNIT[unit]


Columns = Mapping[str, Values]
"""Signal -> one value per text."""

How = Literal["matched", "tail", "base", "left out"]


@dataclass(frozen=True, slots=True)
class Limits:
    """`tail`: share of the reference that a threshold may cut where no base reference tells its quantile.
    `most_reference`, `most_crawl`: shares that one clause may drop. `joined`: rows of the reference were joined, so
    its lines, lengths and repetition are no document's. `same_texts`: the base's reference is the same texts in another word unit,
    so that they match whatever they are."""

    tail: float = 0.01
    most_reference: float = 0.1
    most_crawl: float = 0.5
    joined: bool = False
    same_texts: bool = False


@dataclass(frozen=True, slots=True)
class Clause:
    """`signal operator base`: a comparison of the base pack."""

    group: str
    name: str
    signal: str
    operator: str
    base: float

    @property
    def side(self) -> Side:
        return "most" if self.operator.startswith("<") else "least"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A clause with its threshold, None where it is left out, and what was seen on the way.

    `match`: of the base's threshold among its own reference, where that was given. `reference`, `crawl`: shares that the
    threshold drops (the base's, where left out); `crawl` is None without a crawl. `note`: what moved or stopped it.
    """

    clause: Clause
    how: How
    threshold: float | None
    match: Match | None
    reference: float
    crawl: float | None
    note: str = ""

    @property
    def expression(self) -> str:
        """As in a pack: `mean_word_length <= 13`. Of a clause that is not left out."""
        return f"{self.clause.signal} {self.clause.operator} {self.threshold:.10g}"


def parse(clauses: Mapping[str, Mapping[str, str]]) -> list[Clause]:
    """The clauses of a sound pack."""
    found = []
    for group, of in clauses.items():
        for name, expression in of.items():
            match = COMPARISON.fullmatch(expression.strip())
            if match is None:
                raise FitError(
                    f"clause {group}.{name} of the base pack is '{expression}': expected a signal, one of <= >= < > and "
                    "a number; choose another --base"
                )
            signal, operator, number = match.groups()
            found.append(Clause(group, name, signal, operator, float(number)))
    return found


def fit(
    clauses: list[Clause],
    units: Mapping[str, str],
    reference: Columns,
    crawl: Columns | None,
    base: Columns | None,
    limits: Limits,
    base_crawl: Columns | None = None,
) -> list[Fitted]:
    """A threshold for every clause, in order. `units`: signal -> unit of measure. `base`: the base language's own
    reference, measured with the base pack. `base_crawl`: the same crawl as `crawl`, measured in the base's word unit.
    Raises FitError where not one could be fitted."""
    fitted = [_fit(clause, units, reference, crawl, base, base_crawl, limits) for clause in clauses]
    if not any(f.how in ("matched", "tail") for f in fitted):
        raise FitError(
            f"not one of {len(fitted)} thresholds could be fitted ({fitted[0].note if fitted else 'no clauses'}): "
            "expected reference documents that differ"
        )
    return fitted


def _fit(
    clause: Clause,
    units: Mapping[str, str],
    reference: Columns,
    crawl: Columns | None,
    base: Columns | None,
    base_crawl: Columns | None,
    limits: Limits,
) -> Fitted:
    values = reference.get(clause.signal)
    if values is None or not len(values):
        return Fitted(clause, "base", clause.base, None, 0.0, None, "not measured on texts alone")
    seen = crawl.get(clause.signal) if crawl is not None else None
    olds = base.get(clause.signal) if base is not None else None
    before = base_crawl.get(clause.signal) if base_crawl is not None else None

    def result(how: How, threshold: float, match: Match | None, *notes: str) -> Fitted:
        drops = dropped(values, clause.side, threshold)
        taken = dropped(seen, clause.side, threshold) if seen is not None else None
        if drops > limits.most_reference + 1e-9:
            why = f"{threshold:g} would drop {drops:.0%} of the reference"
            return Fitted(clause, "left out", None, match, drops, taken, "; ".join([*notes, why]))
        return Fitted(clause, how, threshold, match, drops, taken, "; ".join(n for n in notes if n))

    if FIXED.fullmatch(clause.signal):
        return result("base", clause.base, None, "of pages, not of the language")
    if limits.joined and not limits.same_texts and LAYOUT.fullmatch(clause.signal):
        return result("base", clause.base, None, "joined rows say nothing of it")
    if constant(values):
        return result("base", clause.base, None, f"{values[0]:g} in every text of the reference")
    match = matched(olds, values, clause.base) if olds is not None else None
    if olds is not None and match is None:
        if constant(olds):
            return result("base", clause.base, None, f"{olds[0]:g} in every text of the base's reference")
        return result(
            "base", clause.base, None, f"{clause.base:g} is in the tail of the base's reference: 0 has no ratio"
        )
    candidate = match.threshold if match else tail(values, clause.side, limits.tail)
    problem = bound_problem(clause.signal, units[clause.signal], candidate)
    if problem:
        return result("base", clause.base, match, problem)
    taken = dropped(before, clause.side, clause.base) if before is not None and len(before) else None
    threshold, notes = _bounded(clause, units[clause.signal], candidate, values, seen, taken, limits)
    return result("matched" if match else "tail", threshold, match, *notes)


def _bounded(
    clause: Clause,
    unit: str,
    candidate: float,
    values: Values,
    seen: Values | None,
    taken: float | None,
    limits: Limits,
) -> tuple[float, list[str]]:
    """The candidate loosened to the limits, then clamped, then rounded, and what was done. `taken`: share of the crawl
    that the base's value drops in the base's word unit."""
    side, threshold, notes = clause.side, candidate, []
    pick = max if side == "most" else min
    least, most = sensible(clause.signal, unit, side)

    def loosen(to: float, why: str) -> None:
        nonlocal threshold
        if pick(to, threshold) != threshold:
            notes.append(f"{why} (from {threshold:.3g})")
            threshold = to

    loosen(tail(values, side, limits.most_reference), f"loosened to {limits.most_reference:.0%} of the reference")
    if seen is not None and len(seen):
        if dropped(seen, side, threshold) <= dropped(values, side, threshold):
            loosen(clause.base, "the crawl has no more beyond it than the reference: no tighter than the base's")
        loosen(tail(seen, side, limits.most_crawl), f"loosened to {limits.most_crawl:.0%} of the crawl")
        if taken is not None:
            loosen(tail(seen, side, taken), f"loosened to the {taken:.1%} that {clause.base:g} drops of the crawl")
    if unit == "count" and not limits.same_texts:
        loosen(clause.base, "it grows with a document: no tighter than the base's")
    if limits.joined and (unit == "share" or not limits.same_texts):
        # Lengths and counts of another word unit are no measure of these; shares are.
        loosen(clause.base, "joined rows are cleaner than documents: no tighter than the base's")
    if not least <= threshold <= most:
        notes.append(f"clamped to {least:g}..{most:g} (from {threshold:.3g})")
        threshold = min(max(threshold, least), most)
    if math.isclose(threshold, clause.base, rel_tol=1e-6):  # columns are float32
        return clause.base, notes
    return min(max(rounded(threshold, side, unit == "count"), least), most), notes
