"""Charts as inline SVG, drawn by Altair (Vega-Lite) and vl-convert, with every colour left to the page.

Colours are given as CSS variables, which Vega writes into the SVG as they are; so one drawing serves the light and the
dark scheme. A chart is static; text in it stays text. What a chart shows is told in its label, and in a table nearby.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

import altair as alt
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
KEPT, DROP, FAIL = "var(--kept)", "var(--drop)", "var(--fail)"

Rows = list[dict[str, Any]]


def histogram(axis: Axis, seen: Sequence[int], kept: Sequence[int], label: str) -> tuple[Markup, tuple[float, float]]:
    """Rows by value, all and kept in front, with thresholds and what they refuse shaded.

    Returns the SVG, which ends with a hidden line of class `try` for scripts to move, and the plot's origin in it.
    """
    edges = [float(edge) for edge in axis.edges]
    steps = [{"at": edges[0], "n": 0, "k": 0}]
    for n, (all_rows, kept_rows) in enumerate(zip(seen, kept, strict=True)):
        steps += [{"at": edges[n], "n": all_rows, "k": kept_rows}, {"at": edges[n + 1], "n": all_rows, "k": kept_rows}]
    steps.append({"at": edges[-1], "n": 0, "k": 0})
    refused = [{"from": low, "to": high} for low, high in axis.refused]
    inside = sorted({t for _, _, t in axis.bounds if axis.low <= t <= axis.high})
    spec = json.loads(_histogram(axis.scale, "sqrt" if crowded(seen) else "linear", axis.ticks is None))
    spec["datasets"] = {"steps": steps, "refused": refused, "thresholds": [{"t": t} for t in inside]}
    for layer in spec["layer"]:
        layer["encoding"]["x"]["scale"]["domain"] = [axis.low, axis.high]
        if axis.ticks is not None and layer["encoding"]["x"].get("axis"):
            layer["encoding"]["x"]["axis"]["values"] = axis.ticks
    svg = _render(spec, label, "histogram")
    found = re.search(r'stroke-miterlimit="10" transform="translate\(([\d.]+),([\d.]+)\)"', svg)
    origin = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    line = f'<line class="try" x1="0" x2="0" y1="{origin[1]:g}" y2="{origin[1] + HEIGHT:g}" visibility="hidden"/>'
    return Markup(svg[: -len("</svg>")] + line + "</svg>"), origin


def crowded(seen: Sequence[int]) -> bool:
    """Whether one bar is so high that the others would not be seen: heights then go by their square root."""
    common = sorted(n for n in seen if n)
    return bool(common) and common[-1] > 20 * common[len(common) // 2]


@cache
def _histogram(scale: str, height: Literal["linear", "sqrt"], ticks: bool) -> str:
    """The specification without its data, once for each kind of scale: building one costs more than drawing it."""
    more: dict[str, Any] = {"type": scale, "constant": 1} if scale == "symlog" else {"type": scale}
    x_scale = alt.Scale(nice=False, zero=False, domain=[0, 1], **more)
    words = "format(datum.value, '~s')"
    own: dict[str, Any] = {"tickCount": 5, "labelExpr": "format(datum.value, '~g')"} if ticks else {"labelExpr": words}
    x_axis = alt.Axis(title=None, grid=False, labelFlush=True, **own)
    x = alt.X("at:Q", scale=x_scale, axis=x_axis)
    y_scale = alt.Scale(type=height, zero=True, nice=True)
    y_axis = alt.Axis(title=None, tickCount=3, labelExpr=words, minExtent=34, maxExtent=34)

    def area(field: str, color: str) -> Any:
        base = alt.Chart(alt.NamedData("steps")).mark_area(color=color, opacity=1, interpolate="linear")
        return base.encode(x=x, y=alt.Y(f"{field}:Q", scale=y_scale, axis=y_axis, stack=None))

    shade = alt.Chart(alt.NamedData("refused")).mark_rect(color=DROP, opacity=0.13)
    rule = alt.Chart(alt.NamedData("thresholds")).mark_rule(color=DROP, strokeWidth=1.5)
    layers = alt.layer(
        area("n", FAINT),
        area("k", KEPT),
        shade.encode(x=alt.X("from:Q", scale=x_scale, axis=x_axis), x2="to:Q"),
        rule.encode(x=alt.X("t:Q", scale=x_scale, axis=x_axis)),
    )
    return json.dumps(_configured(layers, WIDTH, HEIGHT).to_dict(validate=False))


def shares(rows: Rows, steps: Sequence[str], measures: Sequence[str], label: str) -> Markup:
    """What is left after each step, in every measure. Rows: step, measure, kept, seen (shares of the first step)."""
    order = alt.Y("step:N", sort=list(steps), axis=_names(steps))
    width = (WIDE - 130) // max(len(measures), 1) - 24

    def panel(measure: str, first: bool) -> Any:
        data = _values([row for row in rows if row["measure"] == measure])
        y = order if first else alt.Y("step:N", sort=list(steps), axis=None)
        x = alt.X(
            "seen:Q",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(title=None, format=".0%", values=[0, 0.5, 1], grid=False),
        )
        back = alt.Chart(data).mark_bar(color=DROP, opacity=0.28, height=11).encode(y=y, x=x)
        front = alt.Chart(data).mark_bar(color=KEPT, height=11).encode(y=y, x="kept:Q")
        text = (
            alt.Chart(data).mark_text(align="left", dx=4, color=INK, fontSize=10).encode(y=y, x="seen:Q", text="text:N")
        )
        title = alt.TitleParams(measure, anchor="start", fontSize=11, fontWeight="normal", color=INK)
        return alt.layer(back, front, text).properties(width=width, height=20 * len(steps), title=title)

    panels = [panel(measure, n == 0) for n, measure in enumerate(measures)]
    return Markup(_render(_configured(alt.hconcat(*panels, spacing=40)).to_dict(validate=False), label, "shares"))


def overlap(names: Sequence[str], rows: Rows, label: str, cell: int = 26, color: str = DROP) -> Markup:
    """A matrix of shares, with cells that wide. Rows: a, b, share, text."""
    extent = _extent(names)
    x_axis = alt.Axis(
        title=None, labelAngle=-50, orient="top", grid=False, labelLimit=LIMIT, minExtent=round(0.8 * extent)
    )
    x = alt.X("b:N", sort=list(names), axis=x_axis)
    y = alt.Y("a:N", sort=list(names), axis=_names(names))
    base = alt.Chart(_values(rows)).encode(x=x, y=y)
    square = base.mark_rect(color=color).encode(
        opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 0.9]), legend=None)
    )
    text = (
        base.transform_filter("datum.share >= 0.005")
        .mark_text(fontSize=9, color="var(--ink)")
        .encode(text=alt.Text("text:N"))
    )
    chart = alt.layer(square, text).properties(width=cell * len(names), height=22 * len(names))
    padding = {"left": 2, "top": 2, "bottom": 2, "right": round(0.65 * extent)}  # for the last column's slanted name
    return Markup(_render({**_configured(chart).to_dict(validate=False), "padding": padding}, label, "overlap"))


def grouped(
    rows: Rows, names: Sequence[str], sides: Sequence[str], label: str, colors: Sequence[str] | None = None
) -> Markup:
    """Shares for every name, one bar for each side under the other. Rows: name, side, share, text."""
    palette = colors or [f"var(--side-{n % SIDES})" for n in range(len(sides))]
    y = alt.Y("name:N", sort=list(names), axis=_names(names))
    color = alt.Color("side:N", scale=alt.Scale(domain=list(sides), range=list(palette)), legend=None)
    x = alt.X("share:Q", axis=alt.Axis(title=None, format=".0%", tickCount=6))
    base = alt.Chart(_values(rows)).encode(y=y, x=x, yOffset=alt.YOffset("side:N", sort=list(sides)))
    bars = base.mark_bar(height={"band": 0.92}).encode(color=color)
    text = base.mark_text(align="left", dx=4, fontSize=10, color=INK).encode(text="text:N")
    chart = alt.layer(bars, text).properties(width=WIDE - 320, height=max((4 + 13 * len(sides)) * len(names), 40))
    return Markup(_render(_configured(chart).to_dict(validate=False), label, "grouped"))


def periods(rows: Rows, label: str) -> Markup:
    """Records and selected records by period, in order. Rows: name, seen, kept."""
    names = [row["name"] for row in rows]
    x_axis = alt.Axis(title=None, grid=False, labelAngle=0, labelOverlap="parity", labelSeparation=8)
    x = alt.X("name:N", sort=names, axis=x_axis, scale=alt.Scale(paddingInner=0.06, paddingOuter=0))
    y_axis = alt.Axis(title=None, tickCount=4, labelExpr="format(datum.value, '~s')")
    base = alt.Chart(_values(rows)).encode(x=x)
    seen = base.mark_bar(color=FAINT).encode(y=alt.Y("seen:Q", axis=y_axis))
    kept = base.mark_bar(color=KEPT).encode(y=alt.Y("kept:Q", axis=y_axis))
    chart = alt.layer(seen, kept).properties(width=min(WIDE - 60, 70 * len(rows)), height=130)
    return Markup(_render(_configured(chart).to_dict(validate=False), label, "periods"))


def bars(rows: Rows, names: Sequence[str], label: str, *, upright: bool = False, log: bool = False) -> Markup:
    """One bar for every name. Rows: name, n, text."""
    scale = alt.Scale(type="symlog", constant=1) if log else alt.Scale()
    data = alt.Chart(_values(rows))
    if upright:
        x = alt.X("name:N", sort=list(names), axis=alt.Axis(title=None, grid=False, labelAngle=0))
        y = alt.Y("n:Q", scale=scale, axis=None)
        bar = data.mark_bar(color=KEPT, width={"band": 0.8}).encode(x=x, y=y)
        text = data.mark_text(dy=-6, fontSize=10, color=INK).encode(x=x, y=y, text="text:N")
        chart = alt.layer(bar, text).properties(width=min(WIDE - 60, 62 * len(names)), height=120)
    else:
        y = alt.Y("name:N", sort=list(names), axis=_names(names))
        x = alt.X("n:Q", scale=scale, axis=None)
        bar = data.mark_bar(color=KEPT, height=11).encode(x=x, y=y)
        text = data.mark_text(align="left", dx=4, fontSize=10, color=INK).encode(x=x, y=y, text="text:N")
        chart = alt.layer(bar, text).properties(width=WIDE - 320, height=21 * len(names))
    return Markup(_render(_configured(chart).to_dict(validate=False), label, "bars"))


def _values(rows: Rows) -> Any:
    return alt.Data(values=rows)  # type: ignore[no-untyped-call]


def _extent(names: Sequence[str]) -> int:
    """Pixels to keep for labels: the page's font is not known here, and one that is too wide would be cut off."""
    return min(LIMIT, round(6.4 * max(map(len, names), default=0)) + 8)


def _names(names: Sequence[str]) -> alt.Axis:
    return alt.Axis(title=None, grid=False, domain=False, ticks=False, labelLimit=LIMIT, minExtent=_extent(names))


def _configured(chart: Any, width: int | None = None, height: int | None = None) -> Any:
    if width is not None:
        chart = chart.properties(width=width, height=height)
    return chart.properties(background="transparent", padding=2).configure(
        aria=False,
        font="system-ui, sans-serif",
        axis=alt.AxisConfig(
            labelColor=INK,
            labelFontSize=10,
            domainColor=LINE,
            tickColor=LINE,
            gridColor=LINE,
            tickSize=3,
            labelPadding=3,
        ),
        view=alt.ViewConfig(stroke=None),
    )


def _render(spec: Mapping[str, Any], label: str, kind: str) -> str:
    """The SVG for use inside a page: sized by it, labelled, without namespaces that HTML does not need."""
    svg = str(vl_convert.vegalite_to_svg(dict(spec)))
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
