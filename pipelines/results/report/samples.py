"""Samples of what was kept and of what each clause dropped: those records whose xxh64(id, seed) is least.

Such a sample is the same for any partitioning, and two selections of one crawl show the same documents as far as they
agree. Candidates are drawn while columns pass by; texts are read at the end, masked as they leave the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from winnow.pipelines.results.report.figures import Sample, Samples
from winnow.pipelines.results.shown import (
    HighlightedText,
    content,
    excerpt,
    highlighted,
    mask_shown,
    pieces,
    seen_at,
    shifted,
)
from winnow.pipelines.results.sums import Drawn
from winnow.pipelines.results.table import Run
from winnow.pipelines.selection.verdict import reasons

KEPT_SAMPLES, DROPPED_SAMPLES = 8, 3
"""Records shown of the selection, and of what each reason dropped."""

EXCERPT = 420
"""Characters of a text that are shown."""


def samples(run: Run, drawn: Drawn, rows: Mapping[tuple[str, str], int]) -> tuple[Samples, ...]:
    """Read the texts of what was drawn by stage and clause, null for the selection, which comes first; then the clauses in the
    order of the stages. `rows`: per stage and clause, how many it dropped."""
    nodes, kept = run.pipeline.nodes, run.accounting["kept"]
    order = [*run.pipeline.sources, *nodes]
    known = {why.clause: n for n, why in enumerate(reasons(run.pipeline.measured())) if why.clause}
    clauses = {c.name: c for node in nodes.values() for c in node.clauses}
    part = cache(run.part)
    out = []
    for (stage, clause), best in (
        drawn.rows.group_by(["stage", "clause"], maintain_order=True) if drawn.rows.width else ()
    ):
        places = best.head(KEPT_SAMPLES if clause is None else DROPPED_SAMPLES).select("partition", "number").rows()
        read = clauses[clause].signals if clause in clauses and not nodes[stage].raw else ()
        columns = ["partition", "row", "id", "url", "date", "value", "threshold", *read]
        records = run.rows(places, list(dict.fromkeys(columns))).to_dicts()
        marks = clauses[clause].signal if read else None
        shown = tuple(_sample(run, part, record, stage, marks, read) for record in records)
        threshold = (records[0]["threshold"] or "") if clause else ""
        out.append(Samples(stage or "", clause, threshold, rows.get((stage, clause), 0) if clause else kept, shown))
    if not any(found.clause is None for found in out):
        out.append(Samples("", None, "", kept, ()))

    def place(found: Samples) -> tuple[int, int, str]:
        if found.clause is None:
            return -1, 0, ""
        number = known.get(found.clause, -1)
        return order.index(found.stage), number, "" if number >= 0 else found.clause

    return tuple(sorted(out, key=place))


def _sample(
    run: Run, part: Any, record: Mapping[str, Any], stage: str | None, signal: str | None, signals: tuple[str, ...]
) -> Sample:
    seen, note = seen_at(run, stage), ""
    title, text = content(part(record["partition"]), record["row"], seen)
    shown = highlighted(run, text, [signal] if signal else [])
    if record["row"] >= 0 and text:
        note = (shown.note or "").replace("nothing is marked", "Not marked")
    elif record["row"] >= 0:
        empty = content(part(record["partition"]), record["row"], ())[1]
        note = "Empty after its edits." if empty else "The text of what is not selected was given up."
    title, masked, changes = mask_shown(run, title, text, seen)
    if masked is None:
        note = "Not shown: it could not be masked."
    shown = HighlightedText(masked or "", tuple(shifted(shown.spans, changes)) if masked else ())
    value = record["value"] or "" if record["row"] < 0 else _values(record, signals)
    cut, before, after = excerpt(shown, EXCERPT)
    facts = (record["id"], record["url"], record["date"])
    return Sample(*facts, title, value, tuple(pieces(cut)), before > 0, after > 0, note)


def _values(record: Mapping[str, Any], signals: tuple[str, ...]) -> str:
    written = [(name, _written(record[name])) for name in signals]
    return written[0][1] if len(written) == 1 else ", ".join(f"{name}={value}" for name, value in written)


def _written(value: Any) -> str:
    return "null" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
