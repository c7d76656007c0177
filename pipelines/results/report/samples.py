"""Samples of what was kept and of what each clause dropped: those records whose xxh64(id, seed) is least.

Such a sample is the same for any partitioning, and two selections of one crawl show the same documents as far as they
agree. Candidates are drawn while columns pass by; texts are read at the end, masked as they leave the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import polars as pl
import xxhash

from winnow.pipelines.results.report.figures import Sample, Samples
from winnow.pipelines.results.shown import (
    HighlightedText,
    content,
    excerpt,
    highlighted,
    mask_shown,
    seen_at,
    shifted,
)
from winnow.pipelines.results.table import Rows, Run
from winnow.pipelines.selection.verdict import DROPPED, KEPT, reasons

KEPT_SAMPLES, DROPPED_SAMPLES = 8, 3
"""Records shown of the selection, and of what each reason dropped."""

EXCERPT = 420
"""Characters of a text that are shown."""

BEST = pl.Schema(
    {
        "stage": pl.String,
        "clause": pl.String,
        "key": pl.UInt64,
        "id": pl.String,
        "partition": pl.UInt32,
        "number": pl.Int64,
    }
)


class Drawn:
    """State: the best candidates so far, of the selection (stage and clause null) and of every clause."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.number = {(r.stage, r.clause): n for n, r in enumerate(reasons(run.pipeline.measured()))}
        self.best = pl.DataFrame(schema=BEST)

    def add(self, records: pl.DataFrame) -> None:
        """Consider records that are kept, and those that a clause dropped."""
        kept = pl.col("status") == KEPT
        shown = records.filter(kept | ((pl.col("status") == DROPPED) & pl.col("clause").is_not_null()))
        ids, seed = shown.get_column("id").fill_null(""), self.run.pipeline.seed % 2**64
        key = pl.Series("key", [xxhash.xxh64_intdigest(name, seed) for name in ids], pl.UInt64)
        found = shown.with_columns(key, ids).select(list(BEST)).cast(BEST)
        ranked = pl.concat([self.best, found]).sort("key", "id", "partition", "number")
        self.best = ranked.group_by("stage", "clause", maintain_order=True).head(KEPT_SAMPLES).select(list(BEST))


def samples(drawn: Drawn, rows: Mapping[tuple[str, str], int]) -> tuple[Samples, ...]:
    """Read the texts of what was drawn. First the selection, then the clauses in the order of the stages.

    `rows`: per stage and clause, how many it dropped.
    """
    run, nodes = drawn.run, drawn.run.pipeline.nodes
    order = [*run.pipeline.sources, *nodes]
    clauses = {c.name: c for node in nodes.values() for c in node.clauses}
    part = cache(run.part)
    out = []
    for (stage, clause), best in drawn.best.group_by(["stage", "clause"], maintain_order=True):
        most = KEPT_SAMPLES if clause is None else DROPPED_SAMPLES
        places = best.sort("key", "id").head(most).select("partition", "number").rows()
        read = clauses[clause].signals if clause in clauses and not nodes[stage].raw else ()
        columns = ["partition", "row", "id", "url", "date", "value", "threshold", *read]
        records = run.rows(places, list(dict.fromkeys(columns))).to_dicts()
        marks = clauses[clause].signal if read else None
        shown = tuple(_sample(run, part, record, stage, marks, read) for record in records)
        dropped = rows.get((stage, clause), 0) if clause else run.accounting["kept"]
        out.append(Samples(stage or "", clause, (records[0]["threshold"] or "") if clause else "", dropped, shown))
    if not any(found.clause is None for found in out):
        out.append(Samples("", None, "", run.accounting["kept"], ()))

    def place(found: Samples) -> tuple[int, int, str]:
        if found.clause is None:
            return -1, 0, ""
        number = drawn.number.get((found.stage, found.clause), -1)
        return order.index(found.stage), number, "" if number >= 0 else found.clause

    return tuple(sorted(out, key=place))


def _sample(
    run: Run, part: Any, record: Mapping[str, Any], stage: str | None, signal: str | None, signals: tuple[str, ...]
) -> Sample:
    shown, title, note = HighlightedText(""), None, ""
    value = record["value"] or "" if record["row"] < 0 else _values(record, signals)
    if record["row"] >= 0:
        rows: Rows = part(record["partition"])
        seen = seen_at(run, stage)
        title, text = content(rows, record["row"], seen)
        if text:
            shown = highlighted(run, text, [signal] if signal else [])
            note = (shown.note or "").replace("nothing is marked", "Not marked")
        elif content(rows, record["row"], ())[1]:
            note = "Empty after its edits."
        else:
            note = "The text of what is not selected was given up."
        title, masked, changes = mask_shown(run, title, text, seen)
        if masked is None:
            note = "Not shown: it could not be masked."
        shown = HighlightedText(masked or "", tuple(shifted(shown.spans, changes)) if masked else ())
    cut, before, after = _excerpt(shown)
    return Sample(record["id"], record["url"], record["date"], title, value, cut, before, after, note)


def _values(record: Mapping[str, Any], signals: tuple[str, ...]) -> str:
    written = [(name, _written(record[name])) for name in signals]
    return written[0][1] if len(written) == 1 else ", ".join(f"{name}={value}" for name, value in written)


def _excerpt(shown: HighlightedText) -> tuple[tuple[tuple[str, bool], ...], bool, bool]:
    """The stretch of a text that is shown, in pieces marked or not; whether text was cut off before it and after it."""
    cut, before, after = excerpt(shown, EXCERPT)
    pieces: list[tuple[str, bool]] = []
    at = 0
    for start, end in cut.spans:
        pieces += [(cut.text[at:start], False), (cut.text[start:end], True)]
        at = end
    pieces.append((cut.text[at:], False))
    return tuple((piece, marked) for piece, marked in pieces if piece), before > 0, after > 0


def _written(value: Any) -> str:
    return "null" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
