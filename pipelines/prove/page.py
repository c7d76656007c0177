"""The page of an experiment: one HTML file that needs nothing else, made of results.json's tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from winnow.pipelines.results.report.page import environment

HERE = Path(__file__).parent
STYLE = HERE.parent / "results" / "report" / "report.css"

WIDTH = 460
"""Of an interval's line, in CSS pixels."""

MOST = 12
"""Values of a column that are listed of an arm."""


def page(found: Mapping[str, Any], protocol: Mapping[str, Any], cost: Mapping[str, Any]) -> str:
    """The same tree gives the same bytes."""
    measures = [_measure(name, m, found["baseline"]) for name, m in found["measures"].items()]
    measures.sort(key=lambda m: m["name"] != found["primary"])
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return (
        environment(HERE)
        .get_template("prove.html.jinja")
        .render(
            f=found,
            p=protocol,
            cost=cost,
            measures=measures,
            style=Markup(STYLE.read_text("utf-8")),
            policy=policy,
            most=MOST,
        )
    )


def _measure(name: str, found: Mapping[str, Any], baseline: str) -> dict[str, Any]:
    """Intervals against the baseline as positions on a line; the curve as points."""
    others = [arm for arm in found["arms"] if arm != baseline]
    against = {p["a"]: p for p in found["pairs"] if p["b"] == baseline}
    targets = list(next(iter(found["arms"].values()))["targets"])
    shown = [against[arm]["macro"] for arm in others] + [against[arm]["targets"][t] for arm in others for t in targets]
    shown += [e for arm in others for e in against[arm]["panels"].values()]
    reach = max([abs(v) for e in shown for v in (e["low"], e["high"])] or [1.0]) or 1.0

    def placed(e: Mapping[str, Any]) -> dict[str, Any]:
        at = {key: (e[key] / reach + 1) / 2 * WIDTH for key in ("low", "high", "value")}
        return {**e, "x": at}

    rows = [
        {
            "arm": arm,
            "macro": placed(against[arm]["macro"]),
            "targets": {t: placed(against[arm]["targets"][t]) for t in targets},
            "panels": {n: placed(e) for n, e in against[arm]["panels"].items()},
        }
        for arm in others
    ]
    curves = {arm: figures["curve"] for arm, figures in found["arms"].items() if len(figures["curve"]) > 1}
    return {
        **found,
        "name": name,
        "rows": rows,
        "target_names": targets,
        "panels": list(rows[0]["panels"]),
        "reach": reach,
        "width": WIDTH,
        "lines": _lines(curves),
        "best": min(found["arms"], key=lambda arm: found["arms"][arm]["macro"]),
    }


def _lines(curves: Mapping[str, list[dict[str, float]]]) -> dict[str, Any] | None:
    """Polylines in a plot of 460 by 180, more bits higher up, each with the band of its intervals."""
    every = [point for curve in curves.values() for point in curve]
    if not every:
        return None
    low, high = min(point["low"] for point in every), max(point["high"] for point in every)
    span = (high - low) or 1.0

    def at(points: Iterable[dict[str, float]], key: str) -> str:
        return " ".join(f"{p['share'] * WIDTH:.1f},{180 - (p[key] - low) / span * 170:.1f}" for p in points)

    paths = [
        {
            "arm": arm,
            "color": f"var(--side-{n % 6})",
            "points": at(curve, "bits"),
            "band": f"{at(curve, 'low')} {at(reversed(curve), 'high')}",
        }
        for n, (arm, curve) in enumerate(curves.items())
    ]
    return {"paths": paths, "low": low, "high": high}
