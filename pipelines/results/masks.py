"""What must not leave a run is taken out of the texts that leave it, those included that a masking stage never saw.

Documents dropped before such a stage, which a publication lists among its rejects and a report shows as samples, have no
edits of it. They are masked here, by the stage itself, as it would have done.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from winnow.filters.edits import Edit, apply_column, edits
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.plan import Plan
from winnow.stages.stage import DOCUMENT_SCHEMA, EDITED, RETITLED


def masking(plan: Plan) -> list[Node]:
    """The stages that mask, in order."""
    return [n for n in plan.pipeline.nodes.values() if n.stage.outputs.masks]


def masked(plan: Plan, rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows (columns of documents, and dotted signals) with texts and titles masked that were not; where that
    fails, without text and title."""
    for node in masking(plan):
        signal = next(iter(node.stage.signals()))
        todo = rows.get_column(f"{node.name}.{signal}").is_null() & (
            rows.get_column("text").fill_null("").str.len_bytes()
            + rows.get_column("title").fill_null("").str.len_bytes()
            > 0
        )
        at = np.flatnonzero(todo.to_numpy())
        if not len(at):
            continue
        texts, titles, _ = _taken_out(plan, node, rows[at.tolist()])
        rows = rows.with_columns(
            rows.get_column(name).scatter(at, pl.Series(values, dtype=pl.String))
            for name, values in (("text", texts), ("title", titles))
        )
    return rows


def mask_shown(
    plan: Plan, title: str | None, text: str, seen: Sequence[str]
) -> tuple[str | None, str | None, list[list[Edit]]]:
    """Title and text of one document that is shown, masked by the stages that are not among those whose edits it has, and
    their edits, one list a stage; text None where masking failed."""
    changes: list[list[Edit]] = []
    shown: str | None = text
    for node in masking(plan):
        if node.name in seen or shown is None:
            continue
        texts, titles, found = _taken_out(plan, node, pl.DataFrame({"title": [title], "text": [shown]}))
        (shown,), (title,) = texts, titles
        changes += found
    return title, shown, changes


def shifted(spans: Sequence[tuple[int, int]], changes: Sequence[Sequence[Edit]]) -> list[tuple[int, int]]:
    """Stretches of a text as stretches of the edited one; what lies in an edit becomes the whole of what it put there."""
    out = list(spans)
    for found in changes:
        out = [(_moved(start, found, False), _moved(end, found, True)) for start, end in out]
    return out


def _moved(at: int, changes: Sequence[Edit], end: bool) -> int:
    shift = 0
    for change in changes:
        if at >= change.end:
            shift += len(change.text) - (change.end - change.start)
        elif at > change.start:
            return change.start + shift + (len(change.text) if end else 0)
    return at + shift


def _taken_out(
    plan: Plan, node: Node, rows: pl.DataFrame
) -> tuple[list[str | None], list[str | None], list[list[Edit]]]:
    """Texts, titles (null where masking failed) and edits."""
    fill = {"id": "", "source": "", "text": ""}
    columns = {
        f.name: rows.get_column(f.name).fill_null(fill[f.name]).to_arrow().cast(f.type)
        if f.name in rows.columns and f.name in fill
        else rows.get_column(f.name).to_arrow().cast(f.type)
        if f.name in rows.columns
        else pa.array([fill.get(f.name)] * len(rows), f.type)
        for f in DOCUMENT_SCHEMA
    }
    found = plan.opened(node.name).measure(pa.RecordBatch.from_pydict(columns, schema=DOCUMENT_SCHEMA))
    texts = apply_column(columns["text"], found.column(EDITED)).to_pylist()
    titles = columns["title"].to_pylist()
    if RETITLED in found.schema.names:
        titles = [
            new if new is not None else old for new, old in zip(found.column(RETITLED).to_pylist(), titles, strict=True)
        ]
    errors = found.column("error").to_pylist() if "error" in found.schema.names else [None] * len(rows)
    blank = rows.get_column("text").is_null().to_list()
    texts = [None if gone or none else text for text, gone, none in zip(texts, errors, blank, strict=True)]
    titles = [None if gone else title for title, gone in zip(titles, errors, strict=True)]
    return texts, titles, [edits(row) for row in found.column(EDITED).to_pylist()]
