"""What the report's template shows beside the figures themselves: charts, and tables worked out from figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from winnow.pipelines.results.report import charts, dag
from winnow.pipelines.results.report.clauses import Curve
from winnow.pipelines.results.report.figures import (
    Amount,
    Figures,
    Labels,
    bare,
    count,
    number,
    seconds,
    share,
    short,
    sign,
)
from winnow.pipelines.results.report.histogram import Axis, axis_of

MOST_OVERLAP, MOST_PAIRS, MOST_LABELS, MOST_HOSTS = 24, 15, 20, 15
"""Rows of a matrix or table before it is cut, always with a line that says so."""

REACH = (-40, -20, -10, -5, -2, 0, 2, 5, 10, 20, 40)
"""Notches from the present one that a table of other thresholds has."""

PERIODS = ((60, "day", "1d", "%Y-%m-%d"), (31 * 48, "month", "1mo", "%Y-%m"), (10**6, "year", "1y", "%Y"))
"""Below so many days in all: a bar for each day, month or year."""

Row = dict[str, Any]


def of(figures: Figures) -> Row:
    """Everything that the template shows of these figures; a chart is None where there is nothing to draw."""
    cards, curves = _cards(figures)
    matrix, pairs = _overlap(figures)
    unit, periods = _periods(figures.days)
    lost = figures.hosts.with_columns(lost=pl.col("seen") - pl.col("kept"))
    kept_hosts, lost_hosts = (
        lost.sort([by, "host"], descending=[True, False]).head(MOST_HOSTS).to_dicts() for by in ("kept", "lost")
    )
    sizes = [(clusters, _sizes(clusters.sizes)) for clusters in figures.clusters if clusters.sizes]
    return {
        "dag": dag.graph(figures, [s.name for s in figures.steps if s.kind == "source" and not s.pages]),
        "shares": _shares(figures),
        "decisive": [card for card in cards if card["signal"].bounds],
        "descriptive": [card for card in cards if not card["signal"].bounds],
        "curves": curves,
        "overlap": matrix,
        "overlapping": pairs,
        "failing": _failing(figures),
        "labels": {
            role: [_labels(labels) for labels in figures.labels if labels.role == role and labels.values]
            for role in ("domain", "language", "label")
        },
        "hosts": {"kept": kept_hosts, "dropped": lost_hosts},
        "days": charts.periods(periods, f"Records by {unit}, and those selected") if periods else None,
        "unit": unit,
        "periods": periods,
        "undated": int(figures.days["seen"].sum()) - sum(period["seen"] for period in periods),
        "clusters": sizes,
        "work": _work(figures),
    }


def _shares(figures: Figures) -> Markup | None:
    """What is left after each stage that sees documents: of documents, bytes of text, tokens."""
    steps = [step for step in figures.steps if not step.pages and step.kind != "source" and not step.terminal]
    if not steps or not steps[0].seen.rows:
        return None
    measures: dict[str, Callable[[Amount], float]] = {
        "documents": lambda amount: amount.rows,
        "bytes of text": lambda amount: amount.bytes or 0,
    }
    if figures.rate is not None:
        measures["tokens"] = lambda amount: amount.tokens_at(figures.rate)[0] or 0.0
    rows: list[Row] = []
    for name, measure in measures.items():
        first = measure(steps[0].seen) or 1.0
        lines = [(step.name, measure(step.kept) / first, measure(step.seen) / first) for step in steps]
        lines.append(("selection", measure(figures.selection) / first, measure(figures.selection) / first))
        rows += [{"step": s, "measure": name, "kept": k, "seen": n, "text": share(k, 1)} for s, k, n in lines]
    label = "Share of documents, bytes and tokens left after each stage; the table below has the figures"
    return charts.shares(rows, [*(step.name for step in steps), "selection"], list(measures), label)


def _cards(figures: Figures) -> tuple[list[Row], dict[str, Row]]:
    """Every signal with its chart and controls, in the order of the stages; and what the sliders' script reads."""
    cards: list[Row] = []
    curves: dict[str, Row] = {}
    for signal in figures.signals:
        if not signal.histogram.rows:
            cards.append({"signal": signal, "chart": None})
            continue
        axis = axis_of(signal.histogram, signal.integer, signal.bounds)
        seen, kept = (rows.tolist() for rows in signal.histogram.rebinned(axis.edges))
        words = ", ".join(f"{bare(c)} {sign(o)} {number(n)}" for c, o, n in signal.bounds)
        label = f"{signal.name}: {count(signal.histogram.rows)} documents by value" + (f"; {words}" if words else "")
        chart, origin = charts.histogram(axis, seen, kept, label)
        controls = []
        for curve in signal.curves:
            name = f"t{len(curves)}"
            curves[name] = _script(curve, axis, origin[0])
            controls.append({"id": name, "curve": curve, "table": _alternatives(curve)})
        beyond = ", ".join(f"{bare(c)} ({sign(o)} {number(n)})" for c, o, n in axis.beyond)
        cards.append({"signal": signal, "chart": chart, "controls": controls, "beyond": beyond})
        cards[-1]["crowded"] = charts.crowded(seen)
    return cards, curves


def _script(curve: Curve, axis: Axis, left: float) -> Row:
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


def _alternatives(curve: Curve) -> list[Row]:
    """A few notches around the present one, further apart the further away."""
    kept = int(curve.kept[curve.now])
    return [
        {
            "threshold": f"{sign(curve.operator)} {number(float(curve.notches[n]))}",
            "now": n == curve.now,
            "kept": int(curve.kept[n]),
            "lost": kept - int(curve.kept[n]),
            "entering": int(curve.entering[n]),
            "likely": curve.likely(n),
        }
        for n in (curve.now + step for step in REACH)
        if 0 <= n < len(curve.notches)
    ]


def _overlap(figures: Figures) -> tuple[Markup | None, list[Row]]:
    """The matrix of the clauses that fail most documents, and the pairs that share most."""
    both, clauses = figures.overlap.both, figures.overlap.clauses
    used = [i for i in np.argsort(-np.diag(both), kind="stable").tolist() if both[i, i]]
    shown = sorted(used[:MOST_OVERLAP])  # as declared, so that a stage's clauses stand together
    names = _distinct(clauses)

    def pair(i: int, j: int) -> Row:
        part = float(both[i, j] / both[i, i])
        return {"a": names[i], "b": names[j], "share": part if i != j else 0.0, "text": f"{100 * part:.0f}"}

    pairs = sorted(
        ((int(both[i, j]), i, j) for n, i in enumerate(used) for j in used[n + 1 :] if both[i, j]),
        key=lambda item: (-item[0], clauses[item[1]], clauses[item[2]]),
    )
    table = [
        {"a": names[i], "b": names[j], "both": n, "fail_a": int(both[i, i]), "fail_b": int(both[j, j])}
        for n, i, j in pairs[:MOST_PAIRS]
    ]
    if len(shown) < 2:
        return None, table
    label = "Share of the documents that fail a row's clause which fail the column's clause too, in percent"
    return charts.overlap([names[i] for i in shown], [pair(i, j) for i in shown for j in shown], label), table


def _distinct(clauses: Sequence[str]) -> list[str]:
    """Clauses by their bare names, where no other has the same."""
    short_names = [bare(name) for name in clauses]
    return [s if short_names.count(s) == 1 else name for s, name in zip(short_names, clauses, strict=True)]


def _failing(figures: Figures) -> list[Row]:
    """Every clause that fails a document: how many, how many alone, how many it counts as its own drops."""
    found = figures.overlap
    rows = [
        {"clause": name, "fails": int(fails), "first": int(first), "alone": int(alone)}
        for name, fails, first, alone in zip(found.clauses, np.diag(found.both), found.first, found.alone, strict=True)
        if fails
    ]
    return sorted(rows, key=lambda row: (-row["fails"], row["clause"]))


def _labels(labels: Labels) -> Row:
    """The most frequent values, the others together, and their shares before and after."""
    fields = ("seen", "kept", "copies", "tokens")
    rest = labels.values[MOST_LABELS:]
    other = {"value": f"{len(rest)} others"} | {field: sum(x[field] for x in rest) for field in fields}
    rows = [x | {"value": x["value"] or "(none)"} for x in [*labels.values[:MOST_LABELS], *([other] if rest else [])]]
    whole = {field: sum(x[field] for x in labels.values) for field in fields}
    bars = [
        {"name": x["value"], "side": side, "share": x[field] / (whole[field] or 1)}
        | {"text": f"{share(x[field], whole[field] or 1)}  {short(x[field])}"}
        for x in rows
        for side, field in (("before", "seen"), ("after", "copies"))
    ]
    label = f"{labels.signal}: share of each value among the documents measured and in the selection"
    names, colors = [x["value"] for x in rows], (charts.FAINT, charts.KEPT)
    chart = charts.grouped(bars, names, ("before", "after"), label, colors)
    return {"labels": labels, "rows": rows, "whole": whole, "chart": chart}


def _periods(days: pl.DataFrame) -> tuple[str, list[Row]]:
    """Days, months or years, whichever makes few enough bars, without gaps; of a time in which pages were crawled, since crawls
    hold other dates too."""
    found = days.with_columns(pl.col("day").str.to_date("%Y-%m-%d", strict=False))
    found = found.filter(pl.col("day").dt.year().is_between(1990, 2099))
    if found.is_empty():
        return "", []
    first, last = pl.col("day").min(), pl.col("day").max()
    span = found.select((last - first).dt.total_days()).item()
    unit, every, form = next(period[1:] for period in PERIODS if span < period[0])
    sums = found.group_by(pl.col("day").dt.truncate(every)).agg(pl.col("seen", "kept").sum())
    every_one = found.select(pl.date_range(first.dt.truncate(every), last, every).alias("day"))
    rows = every_one.join(sums, on="day", how="left", maintain_order="left").fill_null(0)
    return unit, rows.select(pl.col("day").dt.strftime(form).alias("name"), "seen", "kept").to_dicts()


def _sizes(sizes: dict[int, int]) -> Markup:
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
