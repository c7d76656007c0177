"""Samples of what was kept and of what each clause dropped: those records whose xxh64(id, seed) is least.

Such a sample is the same for any partitioning, and two selections of one crawl show the same documents as far as they
agree. Candidates are drawn while columns pass by; text is read at the end, one batch of rows for each.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

from winnow.pipelines.engine.store import BATCH_ROWS
from winnow.pipelines.engine.texts import Reader
from winnow.pipelines.results.changes import seen_at
from winnow.pipelines.results.masks import mask_shown, shifted
from winnow.pipelines.results.report.figures import Sample, Samples
from winnow.pipelines.selection.verdict import reasons
from winnow.stages.stage import StageError

if TYPE_CHECKING:
    from winnow.pipelines.engine.inputs import Partition
    from winnow.pipelines.results.report.stretch import Stretch
    from winnow.pipelines.results.table import Run

KEPT_SAMPLES, DROPPED_SAMPLES = 8, 3
"""Records shown of the selection, and of what each reason dropped."""

EXCERPT = 420
"""Characters of a text that are shown."""

LEAD = 80
"""Characters shown before the first marked stretch, where that lies beyond the excerpt."""

READ_AT_MOST = 100_000
"""Characters of a text in which stretches are looked for."""

_ENDLESS = np.uint64(2**64 - 1)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that may be shown. `row`: its position among the partition's documents, -1 if it never was one."""

    key: int
    id: str
    url: str | None
    date: str | None
    partition: Partition | None
    row: int
    value: str


class Drawing:
    """Draws the samples. State: the best candidates so far of the selection (reason -1), of each numbered reason, and of
    each clause that decides before there are documents (by name)."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.reasons = reasons(run.plan.pipeline)
        self.number = {(r.stage, r.clause): n for n, r in enumerate(self.reasons)}
        self.best: dict[int | str, list[Candidate]] = defaultdict(list)
        self.thresholds: dict[str, str] = {}  # of the clauses before there are documents
        self.stages: dict[str, str] = {}
        self.worst = np.full(len(self.reasons) + 1, _ENDLESS, np.uint64)  # key to beat, per reason; the last for kept
        clauses = {c.name: c for node in run.plan.pipeline.measured() for c in node.clauses}
        self.signals = [clauses[r.clause].signals if r.clause in clauses else () for r in self.reasons]

    def records(self, dropped: pl.DataFrame) -> None:
        """Consider records that were dropped before they were documents."""
        if dropped.is_empty():
            return
        keys = self._keys(dropped.get_column("id"))
        dropped = dropped.with_columns(pl.Series("key", keys))
        for (clause,), rows in dropped.group_by("clause"):
            name = str(clause)
            for row in rows.sort("key").head(DROPPED_SAMPLES).iter_rows(named=True):
                self.thresholds[name], self.stages[name] = row["threshold"] or "", row["stage"]
                value = row["value"] or ""
                self._put(
                    name,
                    Candidate(row["key"], row["id"], row["url"], row["date"], None, -1, value),
                    DROPPED_SAMPLES,
                )

    def documents(self, view: Stretch, reason: npt.NDArray[np.int16], kept: npt.NDArray[np.bool_]) -> None:
        """Consider documents, by the reason that the selection gives for each."""
        documents = view.records
        keys = self._keys(documents.get_column("id"))
        reason = np.where(kept, -1, reason)
        shown = kept | (reason >= 0)
        rows = np.flatnonzero(shown & (keys < self.worst[reason]))
        rows = rows[np.lexsort((keys[rows], reason[rows]))]
        _, starts = np.unique(reason[rows], return_index=True)
        for group in np.split(rows, starts[1:]):
            if not len(group):
                continue
            number = int(reason[group[0]])
            most = KEPT_SAMPLES if number < 0 else DROPPED_SAMPLES
            group = group[:most]
            details = documents.select("id", "url", "date")[group.tolist()].rows()
            for row, (identity, url, date), value in zip(
                group, details, self._values(view, number, group), strict=True
            ):
                partition, at = view.place(int(row))
                self._put(number, Candidate(int(keys[row]), identity, url, date, partition, at, value), most)
            if len(self.best[number]) == most:
                self.worst[number] = self.best[number][-1].key

    def _keys(self, ids: pl.Series) -> npt.NDArray[np.uint64]:
        seed, digest = self.run.plan.pipeline.seed % 2**64, xxhash.xxh64_intdigest
        return np.fromiter((digest(name, seed) for name in ids.to_list()), np.uint64, len(ids))

    def _put(self, reason: int | str, candidate: Candidate, most: int) -> None:
        best = self.best[reason]
        best.append(candidate)
        best.sort(key=lambda c: (c.key, c.id))
        del best[most:]

    def _values(self, view: Stretch, number: int, rows: npt.NDArray[np.intp]) -> list[str]:
        signals = self.signals[number] if number >= 0 else ()
        if not signals:
            return [""] * len(rows)
        values = view.frame(signals)[rows.tolist()]
        if len(signals) == 1:
            return [_written(value) for value in values.to_series()]
        return [", ".join(f"{s}={_written(v)}" for s, v in zip(signals, row, strict=True)) for row in values.rows()]


def samples(drawing: Drawing, dropped: dict[tuple[str, str], int], kept: int) -> tuple[Samples, ...]:
    """Read the texts of what was drawn. First the selection, then the clauses in the order of the stages.

    `dropped`: rows per stage and clause.
    """
    pipeline = drawing.run.plan.pipeline
    texts = _texts(drawing)
    out = [Samples("", None, "", kept, tuple(_sample(drawing, c, texts, None) for c in drawing.best.get(-1, [])))]
    before = sorted((key for key in drawing.best if isinstance(key, str)), key=lambda c: (_order(drawing, c), c))
    for name in before:
        stage = drawing.stages[name]
        shown = tuple(_sample(drawing, c, texts, None) for c in drawing.best[name])
        out.append(Samples(stage, name, drawing.thresholds[name], dropped.get((stage, name), 0), shown))
    clauses = {c.name: c for node in pipeline.measured() for c in node.clauses}
    for number, reason in enumerate(drawing.reasons):
        if reason.clause is None or number not in drawing.best:
            continue
        clause = clauses.get(reason.clause)
        shown = tuple(_sample(drawing, c, texts, clause.signal if clause else None) for c in drawing.best[number])
        rows = dropped.get((reason.stage, reason.clause), 0)
        out.append(Samples(reason.stage, reason.clause, reason.threshold or "", rows, shown))
    return tuple(out)


def _order(drawing: Drawing, clause: str) -> int:
    pipeline = drawing.run.plan.pipeline
    return [*pipeline.sources, *pipeline.nodes].index(drawing.stages[clause])


def _texts(drawing: Drawing) -> dict[tuple[str, int], dict[str, Any]]:
    """Title and text of every candidate document, by partition key and row: as the stage that dropped it saw it, or as
    it is handed off; `seen` names the stages whose edits it has, `stored` tells whether there is a text at all."""
    plan = drawing.run.plan
    wanted: dict[tuple[int, str, tuple[str, ...]], set[int]] = defaultdict(set)
    partitions = {}
    for reason, best in drawing.best.items():
        at = isinstance(reason, int) and reason >= 0
        seen = seen_at(drawing.run, drawing.reasons[int(reason)].stage) if at else plan.pipeline.edits()
        for candidate in best:
            if candidate.partition is not None:
                wanted[candidate.partition.index, candidate.partition.key, seen].add(candidate.row)
                partitions[candidate.partition.key] = candidate.partition
    out = {}
    for (_, key, seen), rows in sorted(wanted.items()):
        reader = Reader(plan, partitions[key], ["title", "text"], seen)
        for number in sorted({row // BATCH_ROWS for row in rows}):
            batch, stored = reader.batch(number), reader.stored.get_batch(number)
            for row in (r for r in rows if r // BATCH_ROWS == number):
                found = batch.slice(row % BATCH_ROWS, 1).to_pylist()[0]
                there = bool(stored.column("text")[row % BATCH_ROWS].as_py())
                out[key, row] = {**found, "seen": seen, "stored": there}
    return out


def _sample(
    drawing: Drawing, candidate: Candidate, texts: dict[tuple[str, int], dict[str, Any]], signal: str | None
) -> Sample:
    found = texts.get((candidate.partition.key, candidate.row), {}) if candidate.partition else {}
    text, title = found.get("text") or "", found.get("title")
    stretches: list[tuple[int, int]] = []
    note = ""
    if candidate.partition is not None and not text:
        note = "Empty after its edits." if found.get("stored") else "The text of what is not selected was given up."
    if signal is not None and text:
        stage, _, bare = signal.partition(".")
        try:
            stretches = drawing.run.plan.opened(stage).highlight(text[:READ_AT_MOST], bare)
        except StageError as error:  # such as a model that is no longer there
            note = f"Not marked: {error}"
    if found:
        title, shown, changes = mask_shown(drawing.run.plan, title, text, found["seen"])
        stretches = shifted(stretches, changes)
        text, note = (shown, note) if shown is not None else ("", "Not shown: it could not be masked.")
    pieces, before, after = _excerpt(text, stretches)
    return Sample(candidate.id, candidate.url, candidate.date, title, candidate.value, pieces, before, after, note)


def _excerpt(text: str, stretches: list[tuple[int, int]]) -> tuple[tuple[tuple[str, bool], ...], bool, bool]:
    """The stretch of a text that is shown, in pieces marked or not; whether text was cut off before it and after it."""
    start = 0
    if stretches and stretches[0][0] >= EXCERPT - LEAD:
        start = stretches[0][0] - LEAD
    end = min(len(text), start + EXCERPT)
    pieces: list[tuple[str, bool]] = []
    at = start
    for first, last in stretches:
        first, last = max(first, at), min(last, end)
        if first >= last:
            continue
        pieces += [(text[at:first], False), (text[first:last], True)]
        at = last
    pieces.append((text[at:end], False))
    return tuple((piece, marked) for piece, marked in pieces if piece), start > 0, end < len(text)


def _written(value: Any) -> str:
    return "null" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
