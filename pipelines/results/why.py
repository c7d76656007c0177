"""`winnow why`: everything that was decided about a document, and what each decision rests on.

Every stage is shown in order with every clause, its value and its threshold, also where an earlier clause had already
dropped the document; then its duplicates, its mixture group and copies, where it lies in the shards, and the models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from winnow.filters.edits import edits
from winnow.filters.hash_random import hashes
from winnow.pipelines.results.find import Found, find
from winnow.pipelines.results.shown import (
    DECISION,
    NO_TEXT,
    Cluster,
    Decision,
    HighlightedText,
    clusters_of,
    content,
    decision,
    highlighted,
    seen_at,
)
from winnow.pipelines.results.table import Node, Rows, Run
from winnow.pipelines.selection.clause import GUMBEL, UNIFORM, Clause
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT, MULTIPLICITY, PENDING, UNSEEN
from winnow.stages.base import EDITED, RETITLED

RECORD = ("partition", "row", "id", "url", "date", "source", "page_bytes", "text_bytes", "status", *DECISION)

WORDS = {UNSEEN: "not reached", KEPT: "passed", DROPPED: "dropped", FAILED: "failed", PENDING: "pending"}
"""The status of a document at a stage."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """One copy of a document. `row` counts the shard's documents from 0, `offset` its tokens; `tokens` is its length."""

    shard: str
    row: int
    offset: int
    tokens: int


@dataclass(frozen=True, slots=True)
class TextChange:
    """One edit. `start`: where in the text that the stage was given; of a title, None."""

    stage: str
    rule: str
    before: str
    after: str
    start: int | None


@dataclass(frozen=True, slots=True)
class Resolved:
    """A statistic that a clause compares with: its number for the document's group (None: the group has none)."""

    text: str
    group: str | None
    number: float | None
    meaning: str


@dataclass(frozen=True, slots=True)
class ClauseCheck:
    """A clause on this document. `holds` is None where it cannot be told; `decides`: it is the one that drops it."""

    name: str
    text: str
    value: str | None
    threshold: str
    signals: tuple[str, ...]
    holds: bool | None
    decides: bool = False
    resolved: tuple[Resolved, ...] = ()


@dataclass(frozen=True, slots=True)
class StageCheck:
    """A stage on this document. `status`: passed, dropped, failed, pending, not reached, or not for texts (it looks at
    pages); `measured`: its signals are known, which they may be of a stage that it does not reach (sibling branches, an
    earlier selection)."""

    stage: str
    kind: str
    over: tuple[str, ...]
    status: str
    measured: bool
    error: str | None
    clauses: tuple[ClauseCheck, ...]
    signals: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Repetition:
    """How often a stage has the document repeated. `group`: of a mixture; `text`: the `repeat` expression, if it is one."""

    stage: str
    group: str | None
    multiplicity: float
    text: str | None


@dataclass(frozen=True, slots=True)
class Model:
    """What a stage measured with: sha256 of each artifact, as the run recorded it."""

    stage: str
    kind: str
    version: int
    artifacts: dict[str, str]
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One record, explained. `draw`: the document's number in [0, 1) that rounds a fractional `wanted` number of copies
    up where it is below the fraction. `text`: as the stage that dropped it saw it, or as it is handed off."""

    id: str
    url: str | None
    date: str | None
    source: str
    partition: str
    found_by: str
    decision: Decision
    stages: tuple[StageCheck, ...]
    models: tuple[Model, ...]
    page_bytes: int | None
    notes: tuple[str, ...]
    row: int = -1  # among the partition's documents
    title: str | None = None
    text: HighlightedText = NO_TEXT
    text_bytes: int | None = None
    changes: tuple[TextChange, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    repetitions: tuple[Repetition, ...] = ()
    wanted: float | None = None
    draw: float | None = None
    places: tuple[Place, ...] = ()


def explain(run: Run, wanted: str) -> list[Explanation]:
    """Everything decided about the records with an id or URL, or about the first documents that hold a fragment of text.

    Raises RunError where there is none, StoreError for a damaged part.
    """
    run = run.tolerant()
    return explained(run, find(run, wanted))


def explained(run: Run, found: Found) -> list[Explanation]:
    """The same for records that are found already; clusters and shards are looked through once for all of them."""
    run = run.tolerant()
    records = run.rows(found.places, RECORD).to_dicts()
    written = run.places({record["id"] for record in records if record["multiplicity"]})
    part = cache(run.part)
    clusters = clusters_of(run, found.places)
    models = tuple(
        Model(name, fact["kind"], fact["version"], fact["artifacts"], fact["settings"])
        for name, fact in run.facts().items()
    )
    note = () if found.complete else (f"the scan stopped after {len(records)} texts; others may hold it too",)
    common: dict[str, Any] = {"found_by": found.by, "models": models}
    out = []
    for record, grouped in zip(records, clusters, strict=True):
        common |= {name: record[name] for name in ("id", "url", "date", "source", "page_bytes")}
        common |= {"partition": run.plan.partitions[record["partition"]].key, "decision": decision(record)}
        if record["row"] < 0:
            notes = (*note, "it never became a document: of its signals only the value that dropped it is stored")
            out.append(Explanation(stages=tuple(_page_stages(run, record)), notes=notes, **common))
        else:
            places = [Place(*place) for _, *place in written.filter(pl.col("id") == record["id"]).rows()]
            out.append(_document(run, record, part(record["partition"]), common, grouped, places, note))
    return out


def _document(
    run: Run,
    record: Row,
    part: Rows,
    common: dict[str, Any],
    clusters: list[Cluster],
    places: list[Place],
    notes: tuple[str, ...],
) -> Explanation:
    pipeline, decided = run.pipeline, decision(record)
    repeating = [node for node in pipeline.measured() if node.repeats]
    columns = [*run.signals(), "@copies", *(f"@copies {node.name}" for node in repeating)]
    for node in (n for n in pipeline.nodes.values() if _meets(run, record, n)):
        columns += [f"{what} {node.name}" for what in ("@status", "@first", "@measured", "@error")]
        columns += [f"@holds {clause.name}" for clause in node.clauses]
    row = part.documents(columns, np.array([record["row"]]))
    values = row.row(0, named=True)
    stages = [_passed_source(run, record)] + [
        _stage(run, record, part, row, node, decided) for node in pipeline.nodes.values()
    ]
    title, text = content(part, record["row"], seen_at(run, decided.stage))
    kept = decided.status == "kept" or decided.clause in {f"{n.name}.{MULTIPLICITY}" for n in repeating}
    wanted = values["@copies"] if kept else None
    draw = None
    if wanted is not None:
        draw = int(hashes(pl.Series([record["id"]]).to_arrow().cast("string"), pipeline.seed)[0]) / 2**64
    shards = tuple(places) if decided.multiplicity else ()
    if decided.multiplicity and run.shards is None and pipeline.terminal():
        notes += ("this selection has no shards yet",)
    if len(shards) > decided.multiplicity:
        notes += ("another document has the same id: the places are of both",)
    if not text and record["text_bytes"]:
        purged = not content(part, record["row"], ())[1]
        words = "was given up, as 'rejected: metadata' asks" if purged else "is empty after the changes below"
        notes += (f"its text ({record['text_bytes']:,} bytes) {words}",)
    dropping = next((c for n in pipeline.nodes.values() for c in n.clauses if c.name == decided.clause), None)
    return Explanation(
        **common,
        stages=tuple(stages),
        notes=notes,
        row=record["row"],
        title=title,
        text=highlighted(run, text, dropping.signals if dropping and text else ()),
        text_bytes=record["text_bytes"],
        changes=_changes(part, record, pipeline.edits()),
        clusters=tuple(clusters),
        repetitions=tuple(_repetition(values, node) for node in repeating) if kept else (),
        wanted=wanted,
        draw=draw,
        places=shards,
    )


def _page_stages(run: Run, record: Row) -> Iterator[StageCheck]:
    """Of a record that never became a document: the stages before the one that refused it passed it."""
    source, dropping = run.pipeline.sources[record["source"]], record["clause"]
    before = [source.name, *(n.name for n in run.pipeline.raw())]
    at = before.index(record["stage"]) if record["stage"] in before else 0
    error = record["value"] if record["status"] == FAILED else None
    if at:
        yield _passed_source(run, record)
    else:
        given = (dropping, dropping, record["value"], record["threshold"] or "", (), False, True)
        own = (ClauseCheck(*given),) if dropping is not None else ()
        yield StageCheck(source.name, source.kind, (), WORDS[record["status"]], True, error, own, {})
    for node in run.pipeline.nodes.values():
        place = before.index(node.name) if node.name in before else len(before)
        names = [clause.name for clause in node.clauses]
        cut = names.index(dropping) if place == at and dropping in names else len(names)
        told = len(names) if place < at else cut if place == at and record["status"] == DROPPED else 0
        checks = []
        for n, c in enumerate(node.clauses):
            holds = False if n == cut else True if n < told else None
            value = record["value"] if n == cut else None
            checks.append(ClauseCheck(c.name, c.text, value, c.threshold, c.signals, holds, n == cut))
        status = "passed" if place < at else WORDS[record["status"] if place == at else UNSEEN]
        failed = error if place == at else None
        yield StageCheck(node.name, node.stage.kind, node.over, status, False, failed, tuple(checks), {})


def _passed_source(run: Run, record: Row) -> StageCheck:
    source = run.pipeline.sources[record["source"]]
    return StageCheck(source.name, source.kind, (), "passed", True, None, (), {})


def _meets(run: Run, record: Row, node: Node) -> bool:
    """Whether a stage meets documents of the record's source: one that looks at pages never meets those given as texts."""
    gives = run.pipeline.sources[record["source"]].gives
    return gives == "pages" or not node.raw or node.stage.sees == "addresses"


def _stage(run: Run, record: Row, part: Rows, row: pl.DataFrame, node: Node, decided: Decision) -> StageCheck:
    name, kind = node.name, node.stage.kind
    if not _meets(run, record, node):
        return StageCheck(name, kind, node.over, "not for texts", False, None, (), {})
    values = row.row(0, named=True)
    status, error = values[f"@status {name}"], values[f"@error {name}"]
    measured = bool(values[f"@measured {name}"]) and error is None
    word = WORDS[status]
    checks = []
    for number, clause in enumerate(node.clauses):
        holds, decides = values[f"@holds {clause.name}"], values[f"@first {name}"] == number
        known = measured and status != PENDING and holds is not None
        if status == UNSEEN and any(values[s] is None for s in clause.signals):
            holds = None  # a stage that never met the document
        value = row.select(clause.value().alias("")).item() if known and clause.signals else None
        if known and value is None and len(clause.signals) == 1:
            value = "null"
        if known and clause.draws:
            value = ", ".join([*filter(None, [value]), *_drawn(part, record, clause)])
        said = (clause.name, clause.text, value, clause.threshold, clause.signals)
        resolved = _resolved(run, row, node, clause) if known else ()
        checks.append(ClauseCheck(*said, holds if known else None, decides, resolved))
    if decided.clause == f"{name}.{MULTIPLICITY}":
        word, threshold = "dropped", decided.threshold or ""
        checks.append(ClauseCheck(decided.clause, "copies >= 1", decided.value, threshold, (), False, decides=True))
    signals = {bare: values[f"{name}.{bare}"] for bare in node.stage.signals()} if measured else {}
    return StageCheck(name, kind, node.over, word, measured, error, tuple(checks), signals)


def _drawn(part: Rows, record: Row, clause: Clause) -> list[str]:
    """The random numbers that a clause drew for the document."""
    text = " ".join([clause.sql, *(s.key for s in clause.statistics)])
    columns = [f"{noise} {clause.name}" for noise in (UNIFORM, GUMBEL) if noise in text]
    drawn = part.documents(columns, np.array([record["row"]])).row(0)
    return [f"{name.partition(' ')[0][1:]} {number:.6f}" for name, number in zip(columns, drawn, strict=True)]


def _resolved(run: Run, row: pl.DataFrame, node: Node, clause: Clause) -> tuple[Resolved, ...]:
    """The statistics of a clause for the document's group."""
    out = []
    for statistic in clause.statistics:
        group = None if statistic.by is None else row.get_column(statistic.by).cast(pl.String)[0]
        groups = run.statistics(node.name)[statistic.column].groups()
        number, meaning = next(((n, m) for g, n, m in groups if g == group), (None, "its group has none"))
        out.append(Resolved(statistic.text, group, number, meaning))
    return tuple(out)


def _repetition(values: Row, node: Node) -> Repetition:
    factor = values[f"@copies {node.name}"]
    group = values[f"{node.name}.group"] if "group" in node.stage.signals() else None
    text = node.repeat.text if node.repeat is not None else None
    return Repetition(node.name, group, 1.0 if factor is None else factor, text)


def _changes(part: Rows, record: Row, editors: Sequence[str]) -> tuple[TextChange, ...]:
    """Every edit of a document, in the order of the stages and of the text."""
    out: list[TextChange] = []
    for at, editor in enumerate(editors):
        made = part.changes(editor, record["row"])
        if not made[EDITED] and made.get(RETITLED) is None:
            continue
        title, text = content(part, record["row"], editors[:at])
        found = edits(made[EDITED]) if text else []
        out += [TextChange(editor, e.rule, text[e.start : e.end], e.text, e.start) for e in found]
        if made.get(RETITLED) is not None:
            out.append(TextChange(editor, "title", title or "", made[RETITLED], None))
    return tuple(out)
