"""`winnow compare`: several selections on one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winnow.pipelines.results.report import charts
from winnow.pipelines.results.report.comparison import Comparison, compare
from winnow.pipelines.results.report.page import put, render
from winnow.pipelines.results.report.wording import share, short

if TYPE_CHECKING:
    from winnow.pipelines.results.table import Run

NAME = "compare.html"

MOST_VALUES = 20
"""Values of a string signal that a chart shows."""


def write_compare(runs: Sequence[tuple[str, Run]], out: Path | str | None = None) -> str:
    """Write the comparison of named runs or selections; returns where. Default: `compare.html` in the first one's folder.

    Raises RunError for fewer than two, OSError where `out` cannot be written.
    """
    return put(runs[0][1] if runs else None, compare_html(compare(runs)), out, NAME)


def compare_html(found: Comparison) -> str:
    """The page. The same figures give the same bytes."""
    return render(
        "compare.html.jinja",
        c=found,
        accounts=_accounts(found),
        clauses=_differing([side.clauses for side in found.sides]),
        settings=_differing([side.settings for side in found.sides]),
        jaccard=_jaccard(found),
        labels=_labels(found),
    )


def _accounts(found: Comparison) -> list[dict[str, Any]]:
    """Stages of all sides in the order in which they come, with rows in, kept and dropped by each clause."""
    out = []
    for stage in dict.fromkeys(name for side in found.sides for name in side.stages):
        accounts = [side.stages.get(stage) for side in found.sides]
        clauses = dict.fromkeys(clause for account in accounts if account for clause in account["dropped"])
        rows = [
            (clause, [account["dropped"].get(clause, 0) if account else None for account in accounts])
            for clause in clauses
        ]
        rows.sort(key=lambda row: (-max(n or 0 for n in row[1]), row[0]))
        for key, words in (("failed", "failed"), ("pending", "not measured")):
            counts = [account.get(key, 0) if account else None for account in accounts]
            rows += [(words, counts)] if any(counts) else []
        out.append(
            {
                "stage": stage,
                "seen": [account["in"] if account else None for account in accounts],
                "kept": [account["kept"] if account else None for account in accounts],
                "dropped": rows,
            }
        )
    return out


def _differing(sides: Sequence[dict[str, str]]) -> list[tuple[str, list[str | None]]]:
    """Names whose values are not the same on every side, with the values; None where a side has none."""
    names = dict.fromkeys(name for side in sides for name in side)
    rows = [(name, [side.get(name) for side in sides]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _jaccard(found: Comparison) -> Any:
    """The matrix of shares: documents that both keep, of those that either keeps."""
    names = [side.label for side in found.sides]
    rows = []
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            both = int(found.shared[i, j])
            either = int(found.shared[i, i]) + int(found.shared[j, j]) - both
            value = both / either if either else 1.0
            rows.append({"a": a, "b": b, "share": value, "text": f"{value:.2f}"})
    return charts.overlap(
        names, rows, "Documents that two selections both keep, of those that either keeps", 44, charts.KEPT
    )


def _labels(found: Comparison) -> list[dict[str, Any]]:
    """Signals that all sides have and that take several values, with their shares of each selection."""
    out = []
    names = [side.label for side in found.sides]
    for signal in found.sides[0].labels:
        sides = [side.labels.get(signal) for side in found.sides]
        known = [side for side in sides if side]
        values = {value: max(side.get(value, 0) for side in known) for side in known for value in side}
        if len(known) < len(sides) or len(values) < 2:
            continue
        ranked = sorted(values, key=lambda value: (-values[value], value))[:MOST_VALUES]
        totals = [sum(side.values()) or 1 for side in known]
        rows = [
            {
                "name": value or "(none)",
                "side": name,
                "share": side.get(value, 0) / total,
                "text": f"{share(side.get(value, 0), total)}  {short(side.get(value, 0))}",
            }
            for value in ranked
            for name, side, total in zip(names, known, totals, strict=True)
        ]
        label = f"{signal}: share of each value in each selection"
        chart = charts.grouped(rows, [value or "(none)" for value in ranked], names, label)
        table = [(value or "(none)", [side.get(value, 0) for side in known]) for value in ranked]
        out.append({"signal": signal, "chart": chart, "rows": table, "more": len(values) - len(ranked)})
    return out
