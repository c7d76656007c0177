"""What of a document is shown: what was decided about it, and its text with the stretches marked that a signal comes from.

Texts that leave a run are masked by its own stages, those included that a masking stage never saw: documents dropped before
it, which a publication lists among its rejects and a report shows as samples, have no edits of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from rich.console import Console
from rich.text import Text

from winnow.filters.edits import Edit, apply_column, edits
from winnow.pipelines.console import visible
from winnow.pipelines.results.table import Node, Rows, Run
from winnow.stages.stage import DOCUMENT_SCHEMA, EDITED, RETITLED, StageError

LEAD = 80
"""Characters shown before the first marked stretch, where that lies beyond the excerpt."""

READ_AT_MOST = 100_000
"""Characters of a text in which stretches are looked for."""

DECISION = ("outcome", "multiplicity", "stage", "clause", "value", "threshold")
"""The columns of a table that a decision is made of."""

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """`status`: kept, dropped, failed or pending. `multiplicity`: copies in the corpus. For what failed `value` is the
    cause, for what is pending stage is the first that has not decided on it, None where all have that did their work."""

    status: str
    multiplicity: int
    stage: str | None = None
    clause: str | None = None
    value: str | None = None
    threshold: str | None = None

    def sentence(self) -> str:
        """One line for people."""
        if self.status == "kept":
            return f"kept, multiplicity {self.multiplicity}"
        if self.status == "dropped":
            return (
                f"dropped by {self.clause}" + (f": {self.value}" if self.value else "") + f", expected {self.threshold}"
            )
        if self.status == "failed":
            return f"failed at {self.stage}: {self.value}"
        if self.stage is None:
            return "pending: no stage so far drops it, and the run did not finish"
        return f"pending: {self.stage} has not decided on it"


@dataclass(frozen=True, slots=True)
class HighlightedText:
    """A text and the stretches (start, end in characters; sorted, apart) that signals' values come from. `note`: why
    none could be looked for."""

    text: str
    spans: Spans = ()
    note: str | None = None


NO_TEXT = HighlightedText("")
"""Of what never had one."""


def decision(row: Mapping[str, Any]) -> Decision:
    """What a row of DECISION says."""
    return Decision(*(row[name] for name in DECISION))


def seen_at(run: Run, stage: str | None) -> tuple[str, ...]:
    """The stages whose edits a text has where it is judged: at a stage what is above it, else all."""
    nodes = run.pipeline.nodes
    return nodes[stage].edited_by if stage in nodes else run.pipeline.edits()


def content(part: Rows, row: int, editors: Sequence[str]) -> tuple[str | None, str]:
    """Title and text of a document with the edits of these stages."""
    title, text = part.texts(np.array([row]), editors, ["title", "text"]).row(0)
    return title, text


def highlighted(run: Run, text: str, signals: Iterable[str]) -> HighlightedText:
    """Mark what dotted signals' values come from, as far as their stages can say."""
    found: list[tuple[int, int]] = []
    for signal in signals:
        stage, _, bare = signal.partition(".")
        try:
            found += run.plan.opened(stage).highlight(text[:READ_AT_MOST], bare)
        except StageError as error:
            return HighlightedText(text, (), f"nothing is marked: {error}")
    return HighlightedText(text, _merged(found))


def excerpt(shown: HighlightedText, chars: int) -> tuple[HighlightedText, int, int]:
    """At most `chars` characters around the first mark, and how many were cut off before and after; all of it for 0."""
    text, spans, lead = shown.text, shown.spans, min(LEAD, chars // 2)
    if not chars or len(text) <= chars:
        return shown, 0, 0
    start = spans[0][0] - lead if spans and spans[0][0] >= chars - lead else 0
    end = min(start + chars, len(text))
    cut = tuple((max(a, start) - start, min(b, end) - start) for a, b in spans if a < end and b > start)
    return HighlightedText(text[start:end], cut, shown.note), start, len(text) - end


def rendered(shown: HighlightedText, console: Console) -> Text:
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


def masked(run: Run, rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows (columns of documents, and dotted signals) with texts and titles masked that were not; where that
    fails, without text and title."""
    for node in _masking(run):
        signal = next(iter(node.stage.signals()))
        size = rows.get_column("text").fill_null("").str.len_bytes()
        size += rows.get_column("title").fill_null("").str.len_bytes()
        at = np.flatnonzero((rows.get_column(f"{node.name}.{signal}").is_null() & (size > 0)).to_numpy())
        if not len(at):
            continue
        texts, titles, _ = _taken_out(run, node, rows[at.tolist()])
        rows = rows.with_columns(
            rows.get_column(name).scatter(at, pl.Series(values, dtype=pl.String))
            for name, values in (("text", texts), ("title", titles))
        )
    return rows


def mask_shown(
    run: Run, title: str | None, text: str, seen: Sequence[str]
) -> tuple[str | None, str | None, list[list[Edit]]]:
    """Title and text of one document that is shown, masked by the stages that are not among those whose edits it has, and
    their edits, one list a stage; text None where masking failed."""
    changes: list[list[Edit]] = []
    shown: str | None = text
    for node in _masking(run):
        if node.name in seen or shown is None:
            continue
        texts, titles, found = _taken_out(run, node, pl.DataFrame({"title": [title], "text": [shown]}))
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


def _merged(spans: Sequence[tuple[int, int]]) -> Spans:
    out: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        elif start < end:
            out.append((start, end))
    return tuple(out)


def _masking(run: Run) -> list[Node]:
    """The stages that mask, in order."""
    return [node for node in run.pipeline.nodes.values() if node.stage.outputs.masks]


def _taken_out(run: Run, node: Node, rows: pl.DataFrame) -> tuple[list[str | None], list[str | None], list[list[Edit]]]:
    """Texts, titles (null where masking failed) and edits."""
    empty = {"id": "", "source": "", "text": ""}  # columns that are never null
    columns = {}
    for field in DOCUMENT_SCHEMA:
        if field.name in rows.columns:
            column = rows.get_column(field.name)
            column = column.fill_null(empty[field.name]) if field.name in empty else column
            columns[field.name] = column.to_arrow().cast(field.type)
        else:
            columns[field.name] = pa.array([empty.get(field.name)] * len(rows), field.type)
    found = run.plan.opened(node.name).measure(pa.RecordBatch.from_pydict(columns, schema=DOCUMENT_SCHEMA))
    texts = apply_column(columns["text"], found.column(EDITED)).to_pylist()
    titles = columns["title"].to_pylist()
    if RETITLED in found.schema.names:
        new = found.column(RETITLED).to_pylist()
        titles = [title if other is None else other for other, title in zip(new, titles, strict=True)]
    errors = found.column("error").to_pylist() if "error" in found.schema.names else [None] * len(rows)
    blank = rows.get_column("text").is_null().to_list()
    texts = [None if gone or none else text for text, gone, none in zip(texts, errors, blank, strict=True)]
    titles = [None if gone else title for title, gone in zip(titles, errors, strict=True)]
    return texts, titles, [edits(row) for row in found.column(EDITED).to_pylist()]
