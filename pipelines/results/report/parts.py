"""What the report's template shows beside the figures themselves: charts, and tables worked out from figures."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from winnow.pipelines.results.report import charts, dag
from winnow.pipelines.results.report.clauses import Curve
from winnow.pipelines.results.report.figures import (
    Amount,
    Figures,
    Label,
    Labels,
    Signal,
    bare,
    count,
    number,
    seconds,
    share,
    short,
    sign,
)
from winnow.pipelines.results.report.histogram import Axis, axis_of

MOST_OVERLAP, MOST_PAIRS, MOST_LABELS = 24, 15, 20
"""Rows of a matrix or table before it is cut, always with a line that says so."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """One line of the table of other thresholds."""

    threshold: str
    now: bool
    kept: int
    lost: int
    entering: int
    likely: int


@dataclass(frozen=True, slots=True)
class Control:
    """What one slider needs. `id` is unique in the page."""

    id: str
    curve: Curve
    table: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One signal: its chart and its controls."""

    signal: Signal
    chart: Markup | None
    controls: tuple[Control, ...] = ()
    beyond: str = ""  # thresholds that lie outside the chart
    crowded: bool = False  # whether heights are drawn on a square-root scale


@dataclass(frozen=True, slots=True)
class Parts:
    """Charts and tables by section; a chart is None where there is nothing to draw."""

    dag: Markup
    shares: Markup | None
    decisive: list[Card]  # of signals that a threshold decides on
    descriptive: list[Card]
    curves: dict[str, dict[str, Any]]
    overlap: Markup | None
    overlapping: list[dict[str, Any]]
    failing: list[dict[str, Any]]
    domains: list[tuple[Labels, Markup, list[dict[str, Any]]]]
    languages: list[tuple[Labels, Markup, list[dict[str, Any]]]]
    labels: list[tuple[Labels, Markup, list[dict[str, Any]]]]
    days: Markup | None
    periods: list[dict[str, Any]]
    undated: int
    clusters: list[tuple[Any, Markup]]
    work: Markup | None


def of(figures: Figures) -> Parts:
    """Everything that the template shows of these figures."""
    cards, curves = _cards(figures)
    chart, overlapping = _overlap(figures)
    labels = {role: [_labels(figures, x) for x in figures.labels if x.role == role and x.values] for role in (
        "domain", "language", "label"
    )}  # fmt: skip
    periods = _periods(figures.days)
    return Parts(
        dag.draw(figures, [s.name for s in figures.steps if s.kind == "source" and not s.pages]),
        _shares(figures),
        [card for card in cards if card.signal.bounds],
        [card for card in cards if not card.signal.bounds],
        curves,
        chart,
        overlapping,
        _failing(figures),
        labels["domain"],
        labels["language"],
        labels["label"],
        charts.periods(periods, f"Records by {periods[0]['unit']}, and those selected") if periods else None,
        periods,
        sum(seen for day, (seen, _) in figures.days.items() if not _is_day(day)),
        [(c, _clusters(c.sizes)) for c in figures.clusters if c.sizes],
        _work(figures),
    )


def _shares(figures: Figures) -> Markup | None:
    """What is left after each stage that sees documents: of documents, bytes of text, tokens."""
    steps = [step for step in figures.steps if not step.pages and step.kind != "source" and not step.terminal]
    if not steps or not steps[0].seen.rows:
        return None

    def tokens(amount: Amount) -> float:
        return amount.tokens_at(figures.rate)[0] or 0.0

    measures: dict[str, Callable[[Amount], float]] = {
        "documents": lambda amount: amount.rows,
        "bytes of text": lambda amount: amount.bytes or 0,
    }
    if figures.rate is not None:
        measures["tokens"] = tokens
    rows: list[dict[str, Any]] = []
    for name, measure in measures.items():
        first = measure(steps[0].seen) or 1.0
        lines = [(step.name, measure(step.kept) / first, measure(step.seen) / first) for step in steps]
        lines.append(("selection", measure(figures.selection) / first, measure(figures.selection) / first))
        rows += [{"step": s, "measure": name, "kept": k, "seen": n, "text": share(k, 1)} for s, k, n in lines]
    label = "Share of documents, bytes and tokens left after each stage; the table below has the figures"
    return charts.shares(rows, [*(step.name for step in steps), "selection"], list(measures), label)


def _cards(figures: Figures) -> tuple[list[Card], dict[str, dict[str, Any]]]:
    """Every signal, in the order of the stages; and what the sliders' script reads."""
    cards: list[Card] = []
    curves: dict[str, dict[str, Any]] = {}
    for signal in figures.signals:
        if not signal.histogram.rows:
            cards.append(Card(signal, None))
            continue
        axis = axis_of(signal)
        seen, kept = signal.histogram.rebinned(axis.edges)
        words = ", ".join(f"{bare(c)} {sign(o)} {number(n)}" for c, o, n in signal.bounds)
        label = f"{signal.name}: {count(signal.histogram.rows)} documents by value" + (f"; {words}" if words else "")
        chart, origin = charts.histogram(axis, seen.tolist(), kept.tolist(), label)
        controls = []
        for curve in signal.curves:
            name = f"t{len(curves)}"
            curves[name] = _script(curve, axis, origin[0])
            controls.append(Control(name, curve, _alternatives(curve)))
        beyond = ", ".join(f"{bare(c)} ({sign(o)} {number(n)})" for c, o, n in axis.beyond)
        cards.append(Card(signal, chart, tuple(controls), beyond, charts.crowded(seen.tolist())))
    return cards, curves


def _script(curve: Curve, axis: Axis, left: float) -> dict[str, Any]:
    """One slider's data: words and answers at each notch, and where the chart's line goes."""
    at = left + charts.WIDTH * axis.position(curve.notches)
    return {
        "at": [f"{sign(curve.operator)} {number(float(n))}" for n in curve.notches],
        "kept": curve.kept.tolist(),
        "entering": curve.entering.tolist(),
        "x": [round(float(x), 1) for x in at],
        "now": curve.now,
        "later": round(curve.later, 4),
        "last": curve.last,
    }


def _alternatives(curve: Curve) -> tuple[Alternative, ...]:
    """A few notches around the present one, further apart the further away."""
    reach = [curve.now + step for step in (-40, -20, -10, -5, -2, 0, 2, 5, 10, 20, 40)]
    chosen = sorted({n for n in reach if 0 <= n < len(curve.notches)} | {curve.now})
    kept = int(curve.kept[curve.now])
    return tuple(
        Alternative(
            f"{sign(curve.operator)} {number(float(curve.notches[n]))}",
            n == curve.now,
            int(curve.kept[n]),
            kept - int(curve.kept[n]),
            int(curve.entering[n]),
            curve.likely(n),
        )
        for n in chosen
    )


def _overlap(figures: Figures) -> tuple[Markup | None, list[dict[str, Any]]]:
    """The matrix of the clauses that fail most documents, and the pairs that share most."""
    found = figures.overlap
    used = [i for i in np.argsort(-np.diag(found.both), kind="stable").tolist() if found.both[i, i]]
    shown = sorted(used[:MOST_OVERLAP])  # as declared, so that a stage's clauses stand together
    names = _distinct(found.clauses)
    rows = [
        {
            "a": names[i],
            "b": names[j],
            "share": float(found.both[i, j] / found.both[i, i]) if i != j else 0.0,
            "text": f"{100 * found.both[i, j] / found.both[i, i]:.0f}",
        }
        for i in shown
        for j in shown
    ]
    pairs = sorted(
        ((int(found.both[i, j]), i, j) for n, i in enumerate(used) for j in used[n + 1 :] if found.both[i, j]),
        key=lambda item: (-item[0], found.clauses[item[1]], found.clauses[item[2]]),
    )
    table = [
        {
            "a": names[i],
            "b": names[j],
            "both": both,
            "of_a": share(both, int(found.both[i, i])),
            "of_b": share(both, int(found.both[j, j])),
        }
        for both, i, j in pairs[:MOST_PAIRS]
    ]
    if len(shown) < 2:
        return None, table
    label = "Share of the documents that fail a row's clause which fail the column's clause too, in percent"
    return charts.overlap([names[i] for i in shown], rows, label), table


def _distinct(clauses: Sequence[str]) -> list[str]:
    """Clauses by their bare names, where no other has the same."""
    short_names = [bare(name) for name in clauses]
    return [s if short_names.count(s) == 1 else name for s, name in zip(short_names, clauses, strict=True)]


def _failing(figures: Figures) -> list[dict[str, Any]]:
    """Every clause that fails a document: how many, how many alone, how many it counts as its own drops."""
    found = figures.overlap
    rows = [
        {"clause": name, "fails": int(found.both[i, i]), "first": int(found.first[i]), "alone": int(found.alone[i])}
        for i, name in enumerate(found.clauses)
        if found.both[i, i]
    ]
    return sorted(rows, key=lambda row: (-row["fails"], row["clause"]))


def _labels(figures: Figures, labels: Labels) -> tuple[Labels, Markup, list[dict[str, Any]]]:
    shown = list(labels.values[:MOST_LABELS])
    if rest := labels.values[MOST_LABELS:]:
        total = [sum(getattr(x, field) for x in rest) for field in ("seen", "kept", "copies", "tokens")]
        shown.append(Label(f"{len(rest)} others", *total))
    seen, copies = sum(x.seen for x in labels.values) or 1, sum(x.copies for x in labels.values) or 1
    tokens = sum(x.tokens for x in labels.values)
    table = [
        {
            "value": x.value or "(none)",
            "seen": x.seen,
            "before": share(x.seen, seen),
            "kept": x.kept,
            "survive": share(x.kept, x.seen),
            "copies": x.copies,
            "after": share(x.copies, copies),
            "tokens": x.tokens,
            "of_tokens": share(x.tokens, tokens),
        }
        for x in shown
    ]
    names = [str(row["value"]) for row in table]
    rows = [
        {"name": row["value"], "side": side, "share": n / whole, "text": f"{share(n, whole)}  {short(n)}"}
        for row, x in zip(table, shown, strict=True)
        for side, n, whole in (("before", x.seen, seen), ("after", x.copies, copies))
    ]
    label = f"{labels.signal}: share of each value among the documents measured and in the selection"
    return labels, charts.grouped(rows, names, ("before", "after"), label, (charts.FAINT, charts.KEPT)), table


def _periods(days: dict[str, tuple[int, int]]) -> list[dict[str, Any]]:
    """Days, months or years, whichever makes few enough bars, without gaps."""
    valid = {day: pair for day, pair in days.items() if _is_day(day)}
    if not valid:
        return []
    first, last = min(valid), max(valid)
    span = (datetime.date.fromisoformat(last) - datetime.date.fromisoformat(first)).days
    unit, digits = ("day", 10) if span < 60 else ("month", 7) if span < 31 * 48 else ("year", 4)
    if unit == "day":
        start = datetime.date.fromisoformat(first)
        names = [(start + datetime.timedelta(days=n)).isoformat() for n in range(span + 1)]
    elif unit == "month":
        months = range(int(first[:4]) * 12 + int(first[5:7]) - 1, int(last[:4]) * 12 + int(last[5:7]))
        names = [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in months]
    else:
        names = [f"{year:04d}" for year in range(int(first[:4]), int(last[:4]) + 1)]
    sums = {name: [0, 0] for name in names}
    for day, (seen, kept) in valid.items():
        sums[day[:digits]][0] += seen
        sums[day[:digits]][1] += kept
    return [{"name": name, "seen": seen, "kept": kept, "unit": unit} for name, (seen, kept) in sums.items()]


def _is_day(text: str) -> bool:
    """Whether it is a day of a time in which pages were crawled; crawls hold other dates too."""
    try:
        return 1990 <= datetime.date.fromisoformat(text).year < 2100
    except ValueError:
        return False


def _clusters(sizes: dict[int, int]) -> Markup:
    """Clusters by size; large sizes in classes that double."""
    classes: dict[str, int] = {}
    for size, clusters in sorted(sizes.items()):
        low = size if size <= 8 else 2 ** (int(np.log2(size - 1)))
        name = str(size) if size <= 8 else f"{low + 1}–{2 * low}"
        classes[name] = classes.get(name, 0) + clusters
    rows = [{"name": name, "n": n, "text": short(n)} for name, n in classes.items()]
    return charts.bars(rows, list(classes), "Clusters by the number of documents in them", upright=True, log=True)


def _work(figures: Figures) -> Markup | None:
    timed = sorted((s for s in figures.steps if s.seconds), key=lambda s: -(s.seconds or 0))
    rows = [{"name": s.name, "n": s.seconds, "text": seconds(s.seconds)} for s in timed]
    return charts.bars(rows, [s.name for s in timed], "Seconds of work of each stage") if rows else None
