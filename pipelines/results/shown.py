"""What of a document is shown: what was decided about it, its duplicates, and its text with the stretches marked that a signal
comes from.

Texts that leave a run are masked by its own stages, those included that a masking stage never saw: documents dropped before
it, which a publication lists among its rejects and a report shows as samples, have no edits of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from winnow.filters.edits import Edit, apply_column, edits
from winnow.pipelines.results.table import Node, Rows, Run
from winnow.stages.base import DOCUMENT_SCHEMA, EDITED, RETITLED, StageError

LEAD = 80
"""Characters shown before the first marked stretch, where that lies beyond the excerpt."""

READ_AT_MOST = 100_000
"""Characters of a text in which stretches are looked for."""

DECISION = ("outcome", "multiplicity", "stage", "clause", "value", "threshold")
"""The columns of a table that a decision is made of."""

MEMBERS = 5
"""Other members of a cluster that are named beside the representative."""

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


@dataclass(frozen=True, slots=True)
class Shown:
    """A record to look at. `near`: the value of a signal that was asked for. Pages that never became documents have no text."""

    id: str
    url: str | None
    date: str | None
    source: str
    title: str | None
    text_bytes: int | None
    decision: Decision
    near: float | None
    text: HighlightedText


@dataclass(frozen=True, slots=True)
class Member:
    """A document of a cluster."""

    id: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """The documents that one stage takes for copies of each other. `id` is the representative's. `members`: others than
    it and the document in question, those of smallest id, at most MEMBERS of them. `known`: the representative is a
    document of an earlier run, counted in `copies`; `earlier`: what the index that it is in was made from (`run`,
    `groups`, `index`, ...), empty where that cannot be told any more."""

    stage: str
    id: str
    copies: int
    representative: Member | None
    members: tuple[Member, ...]
    known: bool = False
    earlier: dict[str, Any] = field(default_factory=dict)


def decision(row: Mapping[str, Any]) -> Decision:
    """What a row of DECISION says."""
    return Decision(*(row[name] for name in DECISION))


def seen_at(run: Run, stage: str | None) -> tuple[str, ...]:
    """The stages whose edits a text has where it is judged: at a stage what is above it, else all."""
    nodes = run.pipeline.nodes
    return nodes[stage].edited_by if stage in nodes else run.pipeline.edits()


def content(part: Rows, row: int, editors: Sequence[str]) -> tuple[str | None, str]:
    """Title and text of a document with the edits of these stages; no text where it never became one (row -1)."""
    if row < 0:
        return None, ""
    title, text = part.texts(np.array([row]), editors, ["title", "text"]).row(0)
    return title, text


def look(
    run: Run,
    places: Sequence[tuple[int, int]],
    stage: str | None = None,
    marks: Callable[[str | None], Sequence[str]] | None = None,
) -> Iterator[Shown]:
    """The records at these places (partition, number), in that order; texts as a stage sees them, with what dotted signals come from
    marked; by default the stage that did not keep a record and the signals of the clause that dropped it. `marks`: the
    signals by the clause, None for what none dropped."""
    reads = {c.name: c.signals for node in run.pipeline.nodes.values() for c in node.clauses}
    own, part = ["id", "url", "date", "source", "text_bytes"], cache(run.part)
    for record in run.rows(places, ["partition", "row", *own, *DECISION]).iter_rows(named=True):
        made = decision(record)
        title, text = content(part(record["partition"]), record["row"], seen_at(run, stage or made.stage))
        signals = reads.get(made.clause or "", ()) if marks is None else marks(made.clause)
        facts = {name: record[name] for name in own}
        yield Shown(**facts, title=title, decision=made, near=None, text=highlighted(run, text, signals))


def highlighted(run: Run, text: str, signals: Iterable[str]) -> HighlightedText:
    """Mark what dotted signals' values come from, as far as their stages can say."""
    found: list[tuple[int, int]] = []
    for signal in signals if text else ():
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


def pieces(shown: HighlightedText) -> list[tuple[str, bool]]:
    """The text cut where marks begin and end, each piece with whether it is marked; none is empty."""
    ends = [end for span in shown.spans for end in span]
    cut = [shown.text[a:b] for a, b in zip([0, *ends], [*ends, len(shown.text)], strict=True)]
    return [(piece, at % 2 == 1) for at, piece in enumerate(cut) if piece]


def clusters_of(run: Run, places: Sequence[tuple[int, int]]) -> list[list[Cluster]]:
    """The clusters of each record at these places (partition, number)."""
    out: list[list[Cluster]] = [[] for _ in places]
    for stage in run.clustering() if places else ():
        known = f"{stage}.known" if f"{stage}.known" in run.signals() else None
        rows = run.rows(places, ["id", f"{stage}.cluster", f"{stage}.copies", *([known] if known else [])])
        mine = [(of, row) for of, row in zip(out, rows.rows(), strict=True) if row[1] is not None]
        members = _members(run, stage, {cluster: copies - any(more) for _, (_, cluster, copies, *more) in mine})
        for of, (own, cluster, copies, *more) in mine:
            earlier, all_ = any(more), members.get(cluster, [])
            representative = None if earlier else next((m for m in all_ if m.id == cluster), None)
            others = [m for m in all_ if m.id != own and (earlier or m.id != cluster)][:MEMBERS]
            look_up = getattr(run.pipeline.nodes[stage].stage, "earlier", None) if earlier else None
            made = (look_up(cluster) if look_up else None) or {}
            of.append(Cluster(stage, cluster, copies, representative, tuple(others), earlier, made))
    return out


def _members(run: Run, stage: str, wanted: Mapping[str, int]) -> dict[str, list[Member]]:
    """The representative and the members of smallest id of each cluster. `wanted`: cluster -> its copies in this run.

    Reads the cluster column of some partitions at a time, until all copies are met.
    """
    found: dict[str, list[Member]] = {cluster: [] for cluster, copies in wanted.items() if copies > 1}
    left, signal = sum(wanted[cluster] for cluster in found), f"{stage}.cluster"
    for frame in run.read([signal, "id", "url"], pl.col(signal).is_in(list(found))) if left else ():
        for cluster, identity, url in frame.rows():
            found[cluster].append(Member(identity, url))
        for cluster, members in found.items():
            members.sort(key=lambda m: (m.id != cluster, m.id))
            del members[MEMBERS + 2 :]
        left -= len(frame)
        if left <= 0:
            break
    return found


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
    for name, kind in zip(DOCUMENT_SCHEMA.names, DOCUMENT_SCHEMA.types, strict=True):
        if name in rows.columns:
            column = rows.get_column(name)
            columns[name] = (column.fill_null(empty[name]) if name in empty else column).to_arrow().cast(kind)
        else:
            columns[name] = pa.array([empty.get(name)] * len(rows), kind)
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
