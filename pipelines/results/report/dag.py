"""The DAG as it is drawn (`dag.svg.jinja`): one row for each source and stage, edges in lanes beside it as `git log --graph` draws them.

Rows leave room for what an ordinary graph does not show: how much of the crawl reaches a stage, and why some of it goes
no further. A branch opens a lane that ends where another stage joins it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winnow.pipelines.results.report.figures import Figures, Step, bare, count, short

WIDTH, ROW, LANE, TOP = 960, 46, 20, 6
BAR, BAR_WIDTH, NUMBERS = 214, 350, 580
REASONS = 3
"""Clauses named beside a stage if they fit, the rest is summed up."""

WORDS = 62
"""Characters that fit beside a stage."""

THIN = 0.8
"""Width of the narrowest bar, which would not be seen otherwise."""


@dataclass(frozen=True, slots=True)
class Place:
    """Row and lane of a step, and the steps that it continues, nearest first."""

    row: int
    lane: int
    parents: tuple[str, ...]


def places(steps: Sequence[Step], texts: Sequence[str] = ()) -> dict[str, Place]:
    """Lays the steps out, in their order. `texts`: sources whose rows enter after the stages that see pages.

    A step stands in the lane of a parent that nothing else continues later, the leftmost if there are several; else it
    opens the leftmost lane that is free from its first parent on. So no line runs through a step that it passes.
    """
    parents = _parents(steps, texts)
    row = {step.name: n for n, step in enumerate(steps)}
    lane: dict[str, int] = {}
    busy: list[int] = []  # row until which each lane is taken
    last = {name: max((row[c] for c, above in parents.items() if name in above), default=row[name]) for name in row}
    for step in steps:
        name, above = step.name, parents[step.name]
        open_lanes = [lane[parent] for parent in above if last[parent] == row[name]]
        first = min((row[parent] for parent in above), default=row[name])
        free = next((n for n, until in enumerate(busy) if until <= first), len(busy))
        lane[name] = min(open_lanes, default=free)
        busy += [0] * (lane[name] == len(busy))
        busy[lane[name]] = last[name]
    return {step.name: Place(row[step.name], lane[step.name], parents[step.name]) for step in steps}


def graph(figures: Figures, texts: Sequence[str] = ()) -> dict[str, Any]:
    """What `dag.svg.jinja` draws: edges, and for every step rows in, kept, dropped and failed; last what all keep together."""
    laid = places(figures.steps, texts)
    scale = BAR_WIDTH / (max((step.seen.rows for step in figures.steps), default=0) or 1)
    names = (f"{step.name} after {' and '.join(laid[step.name].parents) or 'nothing'}" for step in figures.steps)
    rows = [_row(step, laid[step.name], scale) for step in figures.steps]
    return {
        "width": WIDTH,
        "height": TOP + ROW * (len(figures.steps) + 1),
        "label": "The stages: " + ", ".join(names),
        "edges": [_edge(laid[p], place, laid) for place in laid.values() for p in place.parents if p in laid],
        "rows": [*rows, _selection(figures, scale)],
        "left": 12 + LANE * (1 + max((p.lane for p in laid.values()), default=0)),
        "numbers": NUMBERS,
    }


def _parents(steps: Sequence[Step], texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What each step continues: its `over` without what another of them implies; sources where there is none."""
    above: dict[str, set[str]] = {}
    sources = [step.name for step in steps if step.kind == "source"]
    pages = {step.name for step in steps if step.pages and step.kind != "source"}
    out: dict[str, tuple[str, ...]] = {}
    known = {step.name for step in steps}
    for at, step in enumerate(steps):
        before = [s.name for s in steps[:at] if s.name in pages]
        over = [o for o in step.over if o in known]
        if len(over) < len(step.over):  # what no row came to, such as the extraction of a run over texts, has no step
            over += [name for name in before[-1:] if name not in over]
        if not over and step.kind != "source":
            over = [name for name in sources if name not in texts or not step.pages] or list(sources)
        elif over and not step.pages and all(name in pages for name in over):
            over += texts
        direct = [o for o in over if not any(o in above.get(other, set()) for other in over)]
        above[step.name] = {a for o in over for a in (o, *above.get(o, set()))}
        out[step.name] = tuple(reversed(direct))
    return out


def _edge(parent: Place, child: Place, laid: Mapping[str, Place]) -> str:
    """The path from a step to one that continues it: in the lane of whichever of the two the other does not stand in."""
    x0, y0, x1, y1 = *_dot(parent), *_dot(child)
    joins = any(laid[name].lane == child.lane for name in child.parents if name in laid)
    if x0 == x1:
        return f"M{x0},{y0}V{y1}"
    if joins:  # down beside what comes between, then over
        return f"M{x0},{y0}V{y1 - ROW}C{x0},{y1 - ROW * 0.4:g} {x1},{y1 - ROW * 0.6:g} {x1},{y1}"
    # the child opened its lane: over at once, then down
    return f"M{x0},{y0}C{x0},{y0 + ROW * 0.6:g} {x1},{y0 + ROW * 0.4:g} {x1},{y0 + ROW}V{y1}"


def _dot(place: Place) -> tuple[int, int]:
    return 12 + LANE * place.lane, TOP + ROW * place.row + 15


def _row(step: Step, place: Place, scale: float) -> dict[str, Any]:
    x, y = _dot(place)
    dropped = sum(drop.amount.rows for drop in step.drops)
    bars, at = [], float(BAR)
    for what, rows in (
        ("kept", step.kept.rows),
        ("drop", dropped),
        ("fail", step.failed.rows + step.unmeasured.rows),
    ):
        if rows > 0:
            bars.append((what, at, max(rows * scale, THIN)))
            at += rows * scale
    unit = "pages" if step.pages else "documents"
    numbers = f"{count(step.kept.rows)} of {count(step.seen.rows)} {unit}"
    if step.terminal:
        numbers = f"{count(step.seen.rows)} documents tokenized"
    elif step.kept.rows == step.seen.rows:
        numbers = f"{count(step.seen.rows)} {unit}"
    said = {"name": _cut(step.name, 22), "kind": _cut(step.kind, 26), "numbers": numbers}
    return {"x": x, "y": y, "bars": bars, "reasons": _reasons(step, dropped), **said}


def _selection(figures: Figures, scale: float) -> dict[str, Any]:
    """The last row: what all stages together keep."""
    rows, copies = figures.selection.rows, figures.accounting["copies"]
    also = [f"{count(copies)} with repetitions"] if copies != rows else []
    also += [f"{short(figures.accounting['tokens'])} tokens"] if figures.rate is not None else []
    said = {"name": "selection", "kind": "kept by every clause", "numbers": f"{count(rows)} documents"}
    bars = [("kept", float(BAR), max(rows * scale, THIN))]
    return {"x": None, "y": TOP + ROW * len(figures.steps) + 15, "bars": bars, "reasons": ", ".join(also), **said}


def _reasons(step: Step, dropped: int) -> str:
    for most in range(REASONS, -1, -1):
        named = step.drops[:most]
        parts = [f"{bare(drop.clause)} {count(drop.amount.rows)}" for drop in named]
        rest = dropped - sum(drop.amount.rows for drop in named)
        if rest:
            parts.append(f"{len(step.drops) - len(named)} {'others' if named else 'clauses'} {count(rest)}")
        if step.failed.rows:
            parts.append(f"failed {count(step.failed.rows)}")
        if step.unmeasured.rows:
            parts.append(f"not measured {count(step.unmeasured.rows)}")
        text = "− " + ", ".join(parts) if parts else ""
        if len(text) <= WORDS:
            break
    return _cut(text, WORDS)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
