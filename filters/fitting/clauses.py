"""Each clause of a base pack as a threshold for another language or another word unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from winnow.filters.fitting import FitError
from winnow.filters.fitting.clamps import FIXED, LAYOUT, sensible
from winnow.filters.fitting.quantiles import Match, Side, Values, constant, dropped, matched, rounded, tail
from winnow.filters.languages.bounds import COMPARISON, bound_problem

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
