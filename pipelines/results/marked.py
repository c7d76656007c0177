"""Texts with stretches marked, safe to print: what hostile text could do to a terminal is made visible instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from winnow.pipelines.console import visible
from winnow.pipelines.results.table import Run
from winnow.stages.stage import StageError

LEAD = 80
"""Characters shown before the first marked stretch, where that lies beyond the excerpt."""

READ_AT_MOST = 100_000
"""Characters of a text in which stretches are looked for."""

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Marked:
    """A text and the stretches (start, end in characters; sorted, apart) that signals' values come from. `note`: why
    none could be looked for."""

    text: str
    spans: Spans = ()
    note: str | None = None


NO_TEXT = Marked("")
"""Of what never had one."""


def marked(run: Run, text: str, signals: Iterable[str]) -> Marked:
    """Mark what dotted signals' values come from, as far as their stages can say."""
    found: list[tuple[int, int]] = []
    for signal in signals:
        stage, _, bare = signal.partition(".")
        try:
            found += run.plan.opened(stage).highlight(text[:READ_AT_MOST], bare)
        except StageError as error:
            return Marked(text, (), f"nothing is marked: {error}")
    return Marked(text, _merged(found))


def excerpt(shown: Marked, chars: int) -> tuple[Marked, int, int]:
    """At most `chars` characters around the first mark, and how many were cut off before and after; all of it for 0."""
    text, spans = shown.text, shown.spans
    if not chars or len(text) <= chars:
        return shown, 0, 0
    start = max(0, spans[0][0] - min(LEAD, chars // 2)) if spans and spans[0][1] > chars else 0
    start = min(start, len(text) - chars)
    end = start + chars
    cut = tuple((max(a, start) - start, min(b, end) - start) for a, b in spans if a < end and b > start)
    return Marked(text[start:end], cut, shown.note), start, len(text) - end


def rendered(shown: Marked, console: Console) -> Text:
    """For printing: marks in colour where the console has any, else between ⟦ and ⟧."""
    text = visible(shown.text)
    if console.color_system is not None:
        out = Text(text)
        for start, end in shown.spans:
            out.stylize("black on yellow", start, end)
        return out
    pieces, at = [], 0
    for start, end in shown.spans:
        pieces += [text[at:start], "⟦", text[start:end], "⟧"]
        at = end
    return Text("".join([*pieces, text[at:]]))


def _merged(spans: Sequence[tuple[int, int]]) -> Spans:
    out: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        elif start < end:
            out.append((start, end))
    return tuple(out)
