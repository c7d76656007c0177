"""`winnow why`: everything that was decided about a document, and what each decision rests on.

Every stage is shown in order with every clause, its value and its threshold, also where an earlier clause had already
dropped the document; then its duplicates, its mixture group and copies, where it lies in the shards, and the models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from winnow.filters.noise import hashes
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.view import ERROR, MEASURED, View
from winnow.pipelines.results.changes import TextChange, changes, content, seen_at
from winnow.pipelines.results.cluster import Cluster, cluster_of, clustering, clusters
from winnow.pipelines.results.decision import WORDS, Decision, decisions, of_record, reading, whole
from winnow.pipelines.results.find import Found, Record, find
from winnow.pipelines.results.locate import Place, places
from winnow.pipelines.results.marked import NO_TEXT, Marked, marked
from winnow.pipelines.results.table import Run
from winnow.pipelines.selection.clause import GUMBEL, UNIFORM, Clause
from winnow.pipelines.selection.statistic_result import StatisticResult
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT, MULTIPLICITY, PENDING, UNSEEN
from winnow.stages.stage import Measured, Screen


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
    """A stage on this document. `status`: passed, dropped, failed, pending, not reached, or not for texts (it looks at pages); `measured`: its signals are
    known, which they may be of a stage that it does not reach (sibling branches, an earlier selection)."""

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
    text: Marked = NO_TEXT
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
    run = reading(run)
    return explained(run, find(run, wanted))


def explained(run: Run, found: Found) -> list[Explanation]:
    """The same for records that are found already; clusters and shards are looked through once for all of them."""
    run = reading(run)
    views = {p.key: whole(run, p) for p in {r.partition.key: r.partition for r in found.records if r.row >= 0}.values()}
    decided: dict[int, Decision] = {}
    for key, view in views.items():
        mine = [at for at, r in enumerate(found.records) if r.partition.key == key and r.row >= 0]
        decided |= dict(zip(mine, decisions(run, view, [found.records[at].row for at in mine]), strict=True))
    written = places(run, {found.records[at].id for at, d in decided.items() if d.multiplicity > 0})
    grouped = _clusters(run, views, found)
    models = _models(run)
    out = []
    for at, record in enumerate(found.records):
        note = () if found.complete else (f"the scan stopped after {len(found.records)} texts; others may hold it too",)
        if at in decided:
            one = View(run.plan, record.partition, record.row, 1, views[record.partition.key].loaded)
            out.append(_document(run, record, one, decided[at], found.by, grouped.get(at, ()), written, models, note))
        else:
            out.append(_page(run, record, found.by, models, note))
    return out


def _document(
    run: Run,
    record: Record,
    view: View,
    decision: Decision,
    by: str,
    grouped: Sequence[Cluster],
    written: dict[str, list[Place]],
    models: tuple[Model, ...],
    notes: tuple[str, ...],
) -> Explanation:
    pipeline = run.plan.pipeline
    stages = [_passed_source(run, record)] + [_stage(run, view, node, decision) for node in pipeline.nodes.values()]
    source, title, text = content(run, record.partition, record.row, seen_at(run, decision.stage))
    repeating = [node for node in pipeline.measured() if node.repeats]
    kept = decision.status == "kept" or decision.clause in {f"{n.name}.{MULTIPLICITY}" for n in repeating}
    factors = view.multiplicity(repeating) if kept and repeating else None
    draw = None
    if factors is not None:
        draw = int(hashes(pl.Series([record.id]).to_arrow().cast("string"), pipeline.seed)[0]) / 2**64
    shards = tuple(written.get(record.id, ())) if decision.multiplicity else ()
    if decision.multiplicity and run.shards is None and pipeline.terminal():
        notes += ("this selection has no shards yet",)
    if len(shards) > decision.multiplicity:
        notes += ("another document has the same id: the places are of both",)
    if not text and record.text_bytes:
        given_up = not content(run, record.partition, record.row, ())[2]
        words = "was given up, as 'rejected: metadata' asks" if given_up else "is empty after the changes below"
        notes += (f"its text ({record.text_bytes:,} bytes) {words}",)
    dropping = next((c for n in pipeline.nodes.values() for c in n.clauses if c.name == decision.clause), None)
    return Explanation(
        id=record.id,
        url=record.url,
        date=record.date,
        source=source,
        partition=record.partition.key,
        found_by=by,
        decision=decision,
        stages=tuple(stages),
        models=models,
        page_bytes=record.page_bytes,
        notes=notes,
        row=record.row,
        title=title,
        text=marked(run, text, dropping.signals if dropping and text else ()),
        text_bytes=record.text_bytes,
        changes=changes(run, view),
        clusters=tuple(grouped),
        repetitions=tuple(_repetition(view, node) for node in repeating) if kept else (),
        wanted=None if factors is None else float(factors[0]),
        draw=draw,
        places=shards,
    )


def _page(run: Run, record: Record, by: str, models: tuple[Model, ...], notes: tuple[str, ...]) -> Explanation:
    """A record that never became a document: the stages before the one that refused it passed it."""
    pipeline, decision = run.plan.pipeline, of_record(asdict(record))
    source = pipeline.sources[record.partition.source]
    names = [source.name, *(n.name for n in pipeline.raw())]
    at = names.index(record.stage) if record.stage in names else 0
    error = record.value if record.status == FAILED else None
    stages = [_passed_source(run, record)]
    if at == 0:
        own = (
            ()
            if record.clause is None
            else (ClauseCheck(record.clause, record.clause, record.value, record.threshold or "", (), False, True),)
        )
        stages = [StageCheck(source.name, source.kind, (), WORDS[record.status], True, error, own, {})]
    for node in pipeline.nodes.values():
        place = names.index(node.name) if node.name in names else len(names)
        here = place == at
        dropping = next((n for n, c in enumerate(node.clauses) if here and c.name == record.clause), len(node.clauses))
        checks = []
        for number, clause in enumerate(node.clauses):
            decides = here and number == dropping
            before = place < at or (here and record.status == DROPPED and number < dropping)
            holds = False if decides else True if before else None
            value = record.value if decides else None
            checks.append(
                ClauseCheck(clause.name, clause.text, value, clause.threshold, clause.signals, holds, decides)
            )
        status = "passed" if place < at else WORDS[record.status] if here else WORDS[UNSEEN]
        stages.append(
            StageCheck(node.name, node.stage.kind, node.over, status, False, error if here else None, tuple(checks), {})
        )
    notes += ("it never became a document: of its signals only the value that dropped it is stored",)
    return Explanation(
        id=record.id,
        url=record.url,
        date=record.date,
        source=source.name,
        partition=record.partition.key,
        found_by=by,
        decision=decision,
        stages=tuple(stages),
        models=models,
        page_bytes=record.page_bytes,
        notes=notes,
    )


def _passed_source(run: Run, record: Record) -> StageCheck:
    source = run.plan.pipeline.sources[record.partition.source]
    return StageCheck(source.name, source.kind, (), "passed", True, None, (), {})


def _stage(run: Run, view: View, node: Node, decision: Decision) -> StageCheck:
    source = run.plan.pipeline.sources[view.partition.source]
    by_address = isinstance(node.stage, Screen) and node.stage.by_address
    if source.gives == "texts" and not isinstance(node.stage, Measured) and not by_address:
        return StageCheck(node.name, node.stage.kind, node.over, "not for texts", False, None, (), {})
    status, first = view.verdict(node)
    table = view.table(node.name).to_pylist()[0]
    measured = bool(table[MEASURED]) and table[ERROR] is None
    word = "passed" if status[0] == KEPT else WORDS[int(status[0])]
    known = measured and status[0] != PENDING and view.has_statistics(node)
    checks = []
    for number, clause in enumerate(node.clauses):
        frame = view.frame(clause.signals)
        unsaid = status[0] == UNSEEN and None in frame.row(0)  # it reads a stage that never met the document
        holds = bool(view.holds(node)[number][0]) if known and not unsaid else None
        value = frame.select(clause.value().alias("v")).get_column("v")[0] if known and clause.signals else None
        if known and value is None and len(clause.signals) == 1:
            value = "null"
        if known and clause.draws:
            value = ", ".join([*filter(None, [value]), *_drawn(view, clause)])
        resolved = _resolved(run, view, node, clause) if known else ()
        decides = int(first[0]) == number
        checks.append(
            ClauseCheck(clause.name, clause.text, value, clause.threshold, clause.signals, holds, decides, resolved)
        )
    if decision.clause == f"{node.name}.{MULTIPLICITY}":
        word = "dropped"
        checks.append(
            ClauseCheck(
                decision.clause, "copies >= 1", decision.value, decision.threshold or "", (), False, decides=True
            )
        )
    signals = {name: value for name, value in table.items() if name in node.stage.signals()} if measured else {}
    return StageCheck(node.name, node.stage.kind, node.over, word, measured, table[ERROR], tuple(checks), signals)


def _drawn(view: View, clause: Clause) -> list[str]:
    """The random numbers that a clause drew for the document."""
    row = view.inputs([clause], computed=False).row(0, named=True)
    columns = {noise: f"{noise} {clause.name}" for noise in (UNIFORM, GUMBEL)}
    return [f"{noise.removeprefix('@')} {row[column]:.6f}" for noise, column in columns.items() if column in row]


def _resolved(run: Run, view: View, node: Node, clause: Clause) -> tuple[Resolved, ...]:
    """The statistics of a clause for the document's group."""
    if not clause.statistics:
        return ()
    saved = run.plan.store.read_json(run.plan.statistics(node.name))
    out = []
    for statistic in clause.statistics:
        group = None
        if statistic.by is not None:
            group = view.frame([statistic.by]).get_column(statistic.by).cast(pl.String)[0]
        told = StatisticResult.restore(saved[statistic.column])
        number, meaning = next(((n, m) for g, n, m in told.groups() if g == group), (None, "its group has none"))
        out.append(Resolved(statistic.text, group, number, meaning))
    return tuple(out)


def _repetition(view: View, node: Node) -> Repetition:
    factors = view.multiplicity([node])
    group = view.table(node.name).column("group")[0].as_py() if "group" in node.stage.signals() else None
    text = node.repeat.text if node.repeat is not None else None
    return Repetition(node.name, group, 1.0 if factors is None else float(factors[0]), text)


def _clusters(run: Run, views: dict[str, View], found: Found) -> dict[int, tuple[Cluster, ...]]:
    """The clusters of each record, by its place in `found`."""
    out: dict[int, tuple[Cluster, ...]] = {}
    for node in clustering(run):
        names = [name for name in ("cluster", "copies", "known") if name in node.stage.signals()]
        mine: dict[int, tuple[str, int, bool]] = {}
        for at, record in enumerate(found.records):
            if record.row >= 0:
                frame = views[record.partition.key].frame([f"{node.name}.{name}" for name in names])
                cluster, copies, *earlier = frame.row(record.row)
                if cluster is not None:
                    mine[at] = (cluster, copies, any(earlier))
        members = clusters(run, node.name, {cluster: copies - known for cluster, copies, known in mine.values()})
        for at, (cluster, copies, known) in mine.items():
            document = found.records[at].id
            shown = cluster_of(node, cluster, copies, document, members.get(cluster, []), known)
            out[at] = (*out.get(at, ()), shown)
    return out


def _models(run: Run) -> tuple[Model, ...]:
    """Kind, version, settings and artifacts of every stage, as the selection was recorded with."""
    saved = run.plan.store.read_json("run.json" if run.name is None else f"selections/{run.name}.json") or {}
    facts = run.plan.facts or saved.get("facts", {})
    return tuple(
        Model(name, facts[name]["kind"], facts[name]["version"], facts[name]["artifacts"], facts[name]["settings"])
        for name in run.plan.pipeline.nodes
        if name in facts
    )
