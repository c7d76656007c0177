"""Charts as inline SVG: Vega-Lite specifications, drawn by vl-convert, with every colour left to the page.

Colours are given as CSS variables, which Vega writes into the SVG as they are; so one drawing serves the light and the
dark scheme. A chart is static; text in it stays text. What a chart shows is told in its label, and in a table nearby.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import vl_convert
import xxhash
from markupsafe import Markup, escape

from winnow.pipelines.results.report.histogram import Axis

WIDTH, HEIGHT = 296, 84
"""Of a histogram's plot, in CSS pixels."""

WIDE = 860
"""Plot and labels of a chart that has the page's width."""

SIDES = 6
"""Colours of compared selections, after which they come again."""

LIMIT = 190
"""Longest label of an axis, in CSS pixels; longer ones end in an ellipsis."""

INK, FAINT, LINE = "var(--ink-2)", "var(--seen)", "var(--line)"
KEPT, DROP = "var(--kept)", "var(--drop)"

Spec = dict[str, Any]
Rows = list[Spec]

CONFIG: Spec = {
    "aria": False,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {"labelColor": INK, "labelFontSize": 10, "labelPadding": 3, "tickSize": 3}
    | {"domainColor": LINE, "tickColor": LINE, "gridColor": LINE},
}
TEXT: Spec = {"type": "text", "fontSize": 10, "color": INK}
BESIDE: Spec = TEXT | {"align": "left", "dx": 4}
PLAIN_AXIS: Spec = {"title": None, "grid": False}
UNITS = "format(datum.value, '~s')"


def histogram(axis: Axis, seen: Sequence[int], kept: Sequence[int], label: str) -> tuple[Markup, tuple[float, float]]:
    """Rows by value, all and kept in front, with thresholds and what they refuse shaded.

    Returns the SVG, which ends with a hidden line of class `try` for scripts to move, and the plot's origin in it.
    """
    edges = [float(edge) for edge in axis.edges]
    steps = [{"at": edges[0], "n": 0, "k": 0}]
    for n, (all_rows, kept_rows) in enumerate(zip(seen, kept, strict=True)):
        steps += [{"at": edges[n], "n": all_rows, "k": kept_rows}, {"at": edges[n + 1], "n": all_rows, "k": kept_rows}]
    steps.append({"at": edges[-1], "n": 0, "k": 0})
    inside = sorted({t for _, _, t in axis.bounds if axis.low <= t <= axis.high})
    data = {
        "steps": steps,
        "refused": [{"from": low, "to": high} for low, high in axis.refused],
        "thresholds": [{"t": t} for t in inside],
    }
    ticks: Spec = {"labelExpr": UNITS, "values": axis.ticks}
    if axis.ticks is None:
        ticks = {"labelExpr": "format(datum.value, '~g')", "tickCount": 5}
    scale: Spec = {"type": axis.scale, "nice": False, "zero": False, "domain": [axis.low, axis.high]}
    scale |= {"constant": 1} if axis.scale == "symlog" else {}
    rows_axis = {"title": None, "tickCount": 3, "labelExpr": UNITS, "minExtent": 34, "maxExtent": 34}
    rows_scale = {"type": "sqrt" if crowded(seen) else "linear", "zero": True, "nice": True}

    def layer(of: str, field: str, mark: Spec, more: Spec) -> Spec:
        x = _amount(field, scale=scale, axis={**PLAIN_AXIS, "labelFlush": True, **ticks})
        return {"data": {"name": of}, "mark": mark, "encoding": {"x": x, **more}}

    def area(field: str, color: str) -> Spec:
        mark = {"type": "area", "color": color, "opacity": 1, "interpolate": "linear"}
        return layer("steps", "at", mark, {"y": _amount(field, scale=rows_scale, axis=rows_axis, stack=None)})

    shade = layer("refused", "from", {"type": "rect", "color": DROP, "opacity": 0.13}, {"x2": {"field": "to"}})
    rule = layer("thresholds", "t", {"type": "rule", "color": DROP, "strokeWidth": 1.5}, {})
    layers = [area("n", FAINT), area("k", KEPT), shade, rule]
    svg = _svg({"datasets": data, "layer": layers, "width": WIDTH, "height": HEIGHT}, label, "histogram")
    found = re.search(r'stroke-miterlimit="10" transform="translate\(([\d.]+),([\d.]+)\)"', svg)
    origin = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    line = f'<line class="try" x1="0" x2="0" y1="{origin[1]:g}" y2="{origin[1] + HEIGHT:g}" visibility="hidden"/>'
    return Markup(svg[: -len("</svg>")] + line + "</svg>"), origin


def crowded(seen: Sequence[int]) -> bool:
    """Whether one bar is so high that the others would not be seen: heights then go by their square root."""
    common = sorted(n for n in seen if n)
    return bool(common) and common[-1] > 20 * common[len(common) // 2]


def shares(rows: Rows, steps: Sequence[str], measures: Sequence[str], label: str) -> Markup:
    """What is left after each step, in every measure. Rows: step, measure, kept, seen (shares of the first step)."""
    panels: list[Spec] = []
    for measure in measures:
        names = _names("step", steps) if not panels else _nominal("step", steps, None)
        axis = {**PLAIN_AXIS, "format": ".0%", "values": [0, 0.5, 1]}
        seen = {"y": names, "x": _amount("seen", scale={"domain": [0, 1]}, axis=axis)}
        kept = {"y": names, "x": _amount("kept")}
        bars = [
            (_bar(DROP, opacity=0.28, height=11), seen),
            (_bar(KEPT, height=11), kept),
            (BESIDE, kept | {"x": _amount("seen")}),
        ]
        panel = _layered([row for row in rows if row["measure"] == measure], *bars)
        title = {"text": measure, "anchor": "start", "fontSize": 11, "fontWeight": "normal", "color": INK}
        width = (WIDE - 130) // max(len(measures), 1) - 24
        panels.append(panel | {"width": width, "height": 20 * len(steps), "title": title})
    return Markup(_svg({"hconcat": panels, "spacing": 40}, label, "shares"))


def overlap(names: Sequence[str], rows: Rows, label: str, cell: int = 26, color: str = DROP) -> Markup:
    """A matrix of shares, with cells that wide. Rows: a, b, share, text."""
    extent = _extent(names)
    slanted = {"labelAngle": -50, "orient": "top", "labelLimit": LIMIT, "minExtent": round(0.8 * extent)}
    place = {"x": _nominal("b", names, PLAIN_AXIS | slanted), "y": _names("a", names)}
    opacity = _amount("share", scale={"domain": [0, 1], "range": [0.04, 0.9]}, legend=None)
    square = ({"type": "rect", "color": color}, place | {"opacity": opacity})
    chart = _layered(rows, square, (TEXT | {"fontSize": 9, "color": "var(--ink)"}, place))
    chart["layer"][1]["transform"] = [{"filter": "datum.share >= 0.005"}]
    padding = {"left": 2, "top": 2, "bottom": 2, "right": round(0.65 * extent)}  # for the last column's slanted name
    size = {"width": cell * len(names), "height": 22 * len(names), "padding": padding}
    return Markup(_svg(chart | size, label, "overlap"))


def grouped(
    rows: Rows, names: Sequence[str], sides: Sequence[str], label: str, colors: Sequence[str] | None = None
) -> Markup:
    """Shares for every name, one bar for each side under the other. Rows: name, side, share, text."""
    palette = list(colors or (f"var(--side-{n % SIDES})" for n in range(len(sides))))
    share = _amount("share", axis={"title": None, "format": ".0%", "tickCount": 6})
    offset = {"field": "side", "type": "nominal", "sort": list(sides)}
    place = {"y": _names("name", names), "x": share, "yOffset": offset}
    scale = {"domain": list(sides), "range": palette}
    color = {"field": "side", "type": "nominal", "scale": scale, "legend": None}
    bar = {"type": "bar", "height": {"band": 0.92}}
    size = {"width": WIDE - 320, "height": max((4 + 13 * len(sides)) * len(names), 40)}
    chart = _layered(rows, (bar, place | {"color": color}), (BESIDE, place))
    return Markup(_svg(chart | size, label, "grouped"))


def periods(rows: Rows, label: str) -> Markup:
    """Records and selected records by period, in order. Rows: name, seen, kept."""
    axis = PLAIN_AXIS | {"labelAngle": 0, "labelOverlap": "parity", "labelSeparation": 8}
    x = _nominal("name", [row["name"] for row in rows], axis) | {"scale": {"paddingInner": 0.06, "paddingOuter": 0}}
    y_axis = {"title": None, "tickCount": 4, "labelExpr": UNITS}
    bars = [(_bar(color), {"x": x, "y": _amount(f, axis=y_axis)}) for f, color in (("seen", FAINT), ("kept", KEPT))]
    size = {"width": min(WIDE - 60, 70 * len(rows)), "height": 130}
    return Markup(_svg(_layered(rows, *bars) | size, label, "periods"))


def bars(rows: Rows, names: Sequence[str], label: str, *, upright: bool = False, log: bool = False) -> Markup:
    """One bar for every name. Rows: name, n, text."""
    length = _amount("n", axis=None, scale={"type": "symlog", "constant": 1} if log else {})
    if upright:
        place = {"x": _nominal("name", names, PLAIN_AXIS | {"labelAngle": 0}), "y": length}
        marks = [_bar(KEPT, width={"band": 0.8}), TEXT | {"dy": -6}]
        size = {"width": min(WIDE - 60, 62 * len(names)), "height": 120}
    else:
        place = {"y": _names("name", names), "x": length}
        marks = [_bar(KEPT, height=11), BESIDE]
        size = {"width": WIDE - 320, "height": 21 * len(names)}
    return Markup(_svg(_layered(rows, *((mark, place) for mark in marks)) | size, label, "bars"))


def _bar(color: str, **more: Any) -> Spec:
    return {"type": "bar", "color": color, **more}


def _amount(field: str, **more: Any) -> Spec:
    return {"field": field, "type": "quantitative", **more}


def _nominal(field: str, order: Sequence[str], axis: Spec | None) -> Spec:
    return {"field": field, "type": "nominal", "sort": list(order), "axis": axis}


def _extent(names: Sequence[str]) -> int:
    """Pixels to keep for labels: the page's font is not known here, and one that is too wide would be cut off."""
    return min(LIMIT, round(6.4 * max(map(len, names), default=0)) + 8)


def _names(field: str, names: Sequence[str]) -> Spec:
    axis = {"domain": False, "ticks": False, "labelLimit": LIMIT, "minExtent": _extent(names)}
    return _nominal(field, names, PLAIN_AXIS | axis)


def _layered(rows: Rows, *layers: tuple[Spec, Spec]) -> Spec:
    """Marks with their encodings over the same rows; text marks show the field `text`."""
    told = {"text": {"field": "text", "type": "nominal"}}
    drawn = [{"mark": mark, "encoding": at | (told if mark["type"] == "text" else {})} for mark, at in layers]
    return {"data": {"values": rows}, "layer": drawn}


def _svg(spec: Spec, label: str, kind: str) -> str:
    """The SVG for use inside a page: sized by it, labelled, without namespaces that HTML does not need."""
    svg = str(vl_convert.vegalite_to_svg({"background": "transparent", "padding": 2, "config": CONFIG} | spec))
    head = re.match(r"<svg[^>]*>", svg)
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', head[0]) if head else None
    if head is None or size is None:
        raise ValueError(f"a chart of kind {kind} was not drawn as SVG")
    opening = (
        f'<svg class="chart {kind}" viewBox="0 0 {size[1]} {size[2]}" width="{size[1]}" height="{size[2]}" role="img" '
        f'aria-label="{escape(label)}">'
    )
    body = svg[head.end() :]
    if "url(#" in body or " id=" in body:  # several charts share a page: their ids must not meet
        body = re.sub(r"(url\(#|\bid=\")", rf"\1c{xxhash.xxh32_hexdigest(label + body)}-", body)
    return opening + body
