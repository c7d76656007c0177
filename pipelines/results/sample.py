"""`winnow sample`: some documents of a run, chosen so that the same question always shows the same ones.

The sample holds the records of smallest xxh64(id, seed), whatever the partitions and workers; `near` instead those
whose signal is closest to a number. Columns pass by one partition at a time, texts are read for the sample alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from winnow.filters.noise import hashes
from winnow.nearest import expected, nearest
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.view import View
from winnow.pipelines.results.changes import content, seen_at
from winnow.pipelines.results.decision import Decision, decisions, of_record, reading, whole
from winnow.pipelines.results.find import records
from winnow.pipelines.results.marked import Marked, marked
from winnow.pipelines.results.table import Run, RunError
from winnow.pipelines.selection.clause import Clause, ClauseError
from winnow.pipelines.selection.language import compile_clauses
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT, MULTIPLICITY, PENDING, reasons
from winnow.stages.stage import DOCUMENT_SCHEMA

SAMPLE = 20
"""Records that a sample holds unless told otherwise."""

WHERE = "--where"
"""The stage name under which `where` conditions are compiled: none that a declaration can use."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sampled:
    """A record of a sample. `near`: the value of the signal that was asked for. Pages that never became documents have
    no text."""

    id: str
    url: str | None
    date: str | None
    source: str
    title: str | None
    text_bytes: int | None
    decision: Decision
    near: float | None
    text: Marked


@dataclass(frozen=True, slots=True)
class Sample:
    """`population`: how many records the question is about; `question`: it in words."""

    question: str
    population: int
    records: tuple[Sampled, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """Which records are meant; conditions hold together. Without any but `source`, the kept documents."""

    kept: bool = False
    dropped_by: str | None = None  # a clause, or a stage for all of its clauses
    stage: str | None = None  # dropped, failed or pending there
    failed: bool = False
    pending: bool = False
    near: tuple[str, float] | None = None
    source: str | None = None
    where: str | None = None  # SQL over dotted signals and the columns of documents

    def words(self) -> str:
        """For people."""
        told = [w for w, on in (("kept", self.kept), ("failed", self.failed), ("pending", self.pending)) if on]
        told += [f"dropped by {self.dropped_by}"] if self.dropped_by else []
        told += [f"not kept at {self.stage}"] if self.stage and not (self.failed or self.pending) else []
        told += [f"at {self.stage}"] if self.stage and (self.failed or self.pending) else []
        told += [f"from {self.source}"] if self.source else []
        told += [f"where {self.where}"] if self.where else []
        told += [f"{self.near[0]} nearest to {self.near[1]:g}"] if self.near else []
        return ", ".join(told)


@dataclass(frozen=True, slots=True)
class _Hit:
    order: tuple[float, int, str]  # distance, hash, id
    partition: Partition
    number: int  # among the partition's records
    row: int  # among its documents, -1 where it is none
    near: float | None


def sample(run: Run, question: Question | None = None, n: int = SAMPLE, seed: int | None = None) -> Sample:
    """The n records of smallest xxh64(id, seed) that a question is about, least first. `seed`: the declaration's unless
    given, so that a report shows the same ones.

    Raises RunError for a clause, stage, signal or source that the run does not have, with the nearest that it has.
    """
    run = reading(run)
    question = _checked(run, question or Question())
    clauses = _clauses(run, question)
    where = _where(run, question.where)
    seed = run.plan.pipeline.seed if seed is None else seed
    best: list[_Hit] = []
    population = 0
    for partition in run.plan.partitions:
        if question.source not in (None, partition.source):
            continue
        for hits, count in _partition(run, partition, question, clauses, where, seed, n):
            population += count
            best = sorted([*best, *hits], key=lambda hit: hit.order)[:n]
    return Sample(question.words(), population, tuple(_read(run, best, question)))


def parse_near(text: str) -> tuple[str, float]:
    """`quality.score=0.4` as signal and number. Raises RunError."""
    name, equals, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not equals or not name.strip() or not math.isfinite(value):
        raise RunError(f"--near: '{text}' cannot be read; expected SIGNAL=NUMBER, such as quality.score=0.4")
    return name.strip(), value


def _checked(run: Run, question: Question) -> Question:
    """The question with full names, or one sentence about what is wrong with it."""
    pipeline = run.plan.pipeline
    chosen = [o for o in ("kept", "failed", "pending", "dropped_by") if getattr(question, o)]
    if len(chosen) > 1:
        options = ", ".join(f"--{o.replace('_', '-')}" for o in chosen)
        raise RunError(f"{options}: no document is all of that; expected one of them")
    if question.kept and question.stage:
        raise RunError("--kept, --stage: a kept document was dropped at no stage; expected one of them")
    stages = [*pipeline.sources, *pipeline.nodes]
    if question.stage is not None and question.stage not in stages:
        raise RunError(f"--stage: no stage or source '{question.stage}'; {expected(question.stage, stages)}")
    if question.source is not None and question.source not in pipeline.sources:
        raise RunError(f"--source: no source '{question.source}'; {expected(question.source, pipeline.sources)}")
    open_ = not chosen and not (question.stage or question.near or question.where)
    near = (_signal(run, question.near[0]), question.near[1]) if question.near else None
    return replace(question, kept=question.kept or open_, near=near)


def _signal(run: Run, name: str) -> str:
    """A numeric signal by its dotted name, or by its bare one where only one stage has it."""
    known = _signals(run)
    fitting = [s for s in known if s.partition(".")[2] == name]
    full = name if name in known or len(fitting) != 1 else fitting[0]
    if full not in known:
        raise RunError(f"--near: no signal '{name}'; {expected(name, fitting or known)}")
    if not (pa.types.is_floating(known[full]) or pa.types.is_integer(known[full])):
        numeric = [s for s, t in known.items() if pa.types.is_floating(t) or pa.types.is_integer(t)]
        raise RunError(f"--near: signal '{full}' is {known[full]}; expected a number; {expected(full, numeric)}")
    return full


def _signals(run: Run) -> dict[str, pa.DataType]:
    return {f"{n.name}.{s}": t for n in run.plan.pipeline.nodes.values() for s, t in n.stage.signals().items()}


def _clauses(run: Run, question: Question) -> frozenset[str] | None:
    """The clauses that `dropped_by` means; None where it is not asked."""
    wanted = question.dropped_by
    if wanted is None:
        return None
    pipeline = run.plan.pipeline
    clauses = {c.name: c for node in pipeline.nodes.values() for c in node.clauses}
    names = [*clauses, *(f"{n.name}.{MULTIPLICITY}" for n in pipeline.measured() if n.repeats)]
    dropped = [c for account in run.accounting["stages"].values() for c in account["dropped"]]
    names = list(dict.fromkeys([*names, *dropped]))
    if wanted in names:
        return frozenset([wanted])
    stage = [name for name in names if name.partition(".")[0] == wanted]
    bare = [name for name in names if name.partition(".")[2] == wanted]
    if stage or len(bare) == 1:
        return frozenset(stage or bare)
    reads = {s: [n for n, c in clauses.items() if s in c.signals] for c in clauses.values() for s in c.signals}
    reads |= {s.partition(".")[2]: readers for s, readers in reads.items() if s.partition(".")[2] not in reads}
    near = nearest(wanted, [*names, *reads], 0.4)
    if near and near not in names:
        missing = "" if near == wanted else f"no clause '{wanted}'; nearest: "
        raise RunError(f"--dropped-by: {missing}'{near}' is a signal; clauses that read it: {', '.join(reads[near])}")
    raise RunError(f"--dropped-by: no clause '{wanted}'; {expected(wanted, bare or names)}")


def _where(run: Run, text: str | None) -> list[Clause]:
    """The compiled condition: dotted names are signals, bare ones columns of the documents."""
    if text is None:
        return []
    own = {f"{WHERE}.{f.name}": f.type for f in DOCUMENT_SCHEMA} | {f"{WHERE}.text_bytes": pa.int64()}
    own |= {f"{WHERE}.multiplicity": pa.int64()}
    own = {name: pa.string() if pa.types.is_large_string(t) else t for name, t in own.items()}
    try:
        clauses = compile_clauses(WHERE, text, _signals(run) | own)
    except ClauseError as error:
        raise RunError(str(error).replace(f"{WHERE}.keep: ", f"{WHERE}: ")) from None
    for clause in clauses:
        if clause.statistics or clause.draws:
            raise RunError(
                f"{WHERE}: '{clause.text}' needs statistics or chance, which belong to a selection; expected plain SQL over "
                "signals (`winnow select` tries a clause out)"
            )
    return clauses


def _partition(
    run: Run,
    partition: Partition,
    question: Question,
    clauses: frozenset[str] | None,
    where: Sequence[Clause],
    seed: int,
    n: int,
) -> Iterable[tuple[list[_Hit], int]]:
    """The best hits of a partition and how many there are: among its documents, then among what never became one."""
    if not (question.kept or question.pending or question.near or where):
        table = records(run, partition).with_row_index("number").filter(pl.col("status") != KEPT)
        lost = table.filter(_refused(question, clauses))
        yield _best(partition, lost, seed, n), len(lost)
    view = whole(run, partition)
    if view.rows:
        mask = _wanted(run, view, question, clauses)
        for clause in where:
            rows = np.flatnonzero(mask)
            mask[rows] = _condition(view, clause)[rows]
        values = None
        if question.near is not None:
            values = view.frame([question.near[0]]).to_series().cast(pl.Float64).fill_null(math.nan).to_numpy()
            mask &= ~np.isnan(values)
        rows = np.flatnonzero(mask)
        table = view.documents(["id"])[rows].with_columns(pl.Series("row", rows), pl.Series("number", rows))
        if values is not None and question.near is not None:
            table = table.with_columns(pl.Series("near", values[rows]))
            yield _best(partition, table, seed, n, question.near[1]), len(rows)
        else:
            yield _best(partition, table, seed, n), len(rows)


def _refused(question: Question, clauses: frozenset[str] | None) -> pl.Expr:
    """Which records that never became documents are meant."""
    condition = pl.lit(True)
    if question.failed:
        condition &= pl.col("status") == FAILED
    if clauses is not None:
        condition &= pl.col("clause").is_in(list(clauses))
    if question.stage is not None:
        condition &= pl.col("stage") == question.stage
    return condition.fill_null(False)


def _wanted(run: Run, view: View, question: Question, clauses: frozenset[str] | None) -> Mask:
    """Which documents are meant, but for `where` and `near`."""
    decided = view.decided()
    status = decided.get_column("status").to_numpy()
    mask = np.ones(view.rows, bool)
    if question.kept:
        mask &= decided.get_column("multiplicity").to_numpy() > 0
    for on, code in ((question.failed, FAILED), (question.pending, PENDING)):
        if on:
            mask &= status == code
    named = reasons(run.plan.pipeline)
    if clauses is not None:
        numbers = [number for number, why in enumerate(named) if why.clause in clauses]
        mask &= (status == DROPPED) & np.isin(decided.get_column("reason").to_numpy(), numbers)
    if question.stage is not None:
        numbers = [number for number, why in enumerate(named) if why.stage == question.stage]
        mask &= np.isin(decided.get_column("reason").to_numpy(), numbers)
    return mask


def _condition(view: View, clause: Clause) -> Mask:
    bare = [s.removeprefix(f"{WHERE}.") for s in clause.signals if s.startswith(f"{WHERE}.")]
    frame = view.frame([s for s in clause.signals if not s.startswith(f"{WHERE}.")])
    for name in bare:
        column = (view.decided() if name == "multiplicity" else view.documents([name])).get_column(name)
        frame = frame.with_columns(column.alias(f"{WHERE}.{name}"))
    held = frame.select(clause.expr().alias("held")).get_column("held").to_numpy()
    return held if len(held) == view.rows else np.full(view.rows, bool(held[0]))


def _best(partition: Partition, table: pl.DataFrame, seed: int, n: int, target: float | None = None) -> list[_Hit]:
    """The n smallest by distance, hash and id."""
    ids = table.get_column("id").fill_null("")
    distance = pl.lit(0.0) if target is None else (pl.col("near") - target).abs()
    ordered = table.with_columns(
        distance.alias("distance"), pl.Series("key", hashes(ids.to_arrow(), seed)), ids.alias("id")
    )
    out = []
    for row in ordered.sort("distance", "key", "id", "number").head(n).iter_rows(named=True):
        order = (row["distance"], row["key"], row["id"])
        out.append(_Hit(order, partition, row["number"], row["row"], row.get("near")))
    return out


def _read(run: Run, hits: Sequence[_Hit], question: Question) -> list[Sampled]:
    """Texts and reasons of the chosen records, in their order."""
    grouped: dict[str, list[int]] = defaultdict(list)
    for at, hit in enumerate(hits):
        grouped[hit.partition.key].append(at)
    out: dict[int, Sampled] = {}
    signals = {c.name: c.signals for node in run.plan.pipeline.nodes.values() for c in node.clauses}
    for places in grouped.values():
        partition = hits[places[0]].partition
        everything = records(run, partition)
        view = whole(run, partition)
        documents = [at for at in places if hits[at].row >= 0]
        decided = dict(zip(documents, decisions(run, view, [hits[at].row for at in documents]), strict=True))
        names = everything.with_row_index("number").filter(pl.col("status") == KEPT).get_column("number")
        for at in places:
            hit = hits[at]
            number = int(names[hit.row]) if hit.row >= 0 else hit.number
            record = everything.row(number, named=True)
            decision = decided[at] if at in decided else of_record(record)
            source, title, text = partition.source, None, ""
            if hit.row >= 0:
                stage = question.near[0].partition(".")[0] if question.near else decision.stage
                source, title, text = content(run, partition, hit.row, seen_at(run, stage))
            wanted = [question.near[0]] if question.near else list(signals.get(decision.clause or "", ()))
            out[at] = Sampled(
                record["id"],
                record["url"],
                record["date"],
                source,
                title,
                record["text_bytes"],
                decision,
                hit.near,
                marked(run, text, wanted if text else ()),
            )
    return [out[at] for at in range(len(hits))]
