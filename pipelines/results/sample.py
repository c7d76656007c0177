"""`winnow sample`: some documents of a run, chosen so that the same question always shows the same ones.

The sample holds the records of smallest xxh64(id, seed), whatever the partitions and workers; `near` instead those
whose signal is closest to a number. Columns pass by some partitions at a time, texts are read for the sample alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl
import pyarrow as pa

from winnow.nearest import expected, nearest
from winnow.pipelines.results.shown import Shown, look
from winnow.pipelines.results.sums import Drawn
from winnow.pipelines.results.table import Run, RunError
from winnow.pipelines.selection.clause import Clause, ClauseError
from winnow.pipelines.selection.language import compile_clauses
from winnow.pipelines.selection.verdict import DROPPED, FAILED, MULTIPLICITY, PENDING
from winnow.stages.base import DOCUMENT_SCHEMA

SAMPLE = 20
"""Records that a sample holds unless told otherwise."""

WHERE = "--where"
"""The stage name under which `where` conditions are compiled: none that a declaration can use."""


@dataclass(frozen=True, slots=True)
class Sample:
    """`population`: how many records the question is about; `question`: it in words."""

    question: str
    population: int
    records: tuple[Shown, ...]


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
        words = [w for w, on in (("kept", self.kept), ("failed", self.failed), ("pending", self.pending)) if on]
        words += [f"dropped by {self.dropped_by}"] if self.dropped_by else []
        words += [f"not kept at {self.stage}"] if self.stage and not (self.failed or self.pending) else []
        words += [f"at {self.stage}"] if self.stage and (self.failed or self.pending) else []
        words += [f"from {self.source}"] if self.source else []
        words += [f"where {self.where}"] if self.where else []
        words += [f"{self.near[0]} nearest to {self.near[1]:g}"] if self.near else []
        return ", ".join(words)


def sample(run: Run, question: Question | None = None, n: int = SAMPLE, seed: int | None = None) -> Sample:
    """The n records of smallest xxh64(id, seed) that a question is about, least first. `seed`: the declaration's unless
    given, so that a report shows the same ones.

    Raises RunError for a clause, stage, signal or source that the run does not have, with the nearest that it has.
    """
    run = run.tolerant()
    question = _checked(run, question or Question())
    condition = _condition(question, _clauses(run, question), _where(run, question.where))
    near, target = question.near or (None, 0.0)
    drawn, population = Drawn(n, run.pipeline.seed if seed is None else seed, nearest="distance"), 0
    columns = ["partition", "number", "id", *([near] if near else [])]
    bare = {name: name.removeprefix(f"{WHERE}.") for name in condition.meta.root_names()}
    value = pl.col(near).cast(pl.Float64) if near else pl.lit(None, pl.Float64)
    for found in run.read(columns, condition, of="records", named=bare):
        population += len(found)
        drawn.add(found.select("partition", "number", "id", near=value, distance=(value - target).abs()))
    if not population:
        return Sample(question.words(), 0, ())
    places = drawn.rows.select("partition", "number").rows()
    records = look(run, places, near.partition(".")[0] if near else None, (lambda _: [near]) if near else None)
    values = drawn.rows.get_column("near")
    return Sample(
        question.words(), population, tuple(replace(r, near=value) for r, value in zip(records, values, strict=True))
    )


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
    pipeline = run.pipeline
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
    known = run.signals()
    fitting = [s for s in known if s.partition(".")[2] == name]
    full = name if name in known or len(fitting) != 1 else fitting[0]
    if full not in known:
        raise RunError(f"--near: no signal '{name}'; {expected(name, fitting or known)}")
    if not (pa.types.is_floating(known[full]) or pa.types.is_integer(known[full])):
        numeric = [s for s, t in known.items() if pa.types.is_floating(t) or pa.types.is_integer(t)]
        raise RunError(f"--near: signal '{full}' is {known[full]}; expected a number; {expected(full, numeric)}")
    return full


def _clauses(run: Run, question: Question) -> frozenset[str] | None:
    """The clauses that `dropped_by` means; None where it is not asked."""
    wanted = question.dropped_by
    if wanted is None:
        return None
    pipeline = run.pipeline
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
    """The compiled condition: dotted names are signals, bare ones columns of the documents, under the stage name WHERE."""
    if text is None:
        return []
    own = {field.name: field.type for field in DOCUMENT_SCHEMA} | {"text_bytes": pa.int64(), "multiplicity": pa.int64()}
    own = {f"{WHERE}.{name}": pa.string() if pa.types.is_large_string(t) else t for name, t in own.items()}
    try:
        clauses = compile_clauses(WHERE, text, run.signals() | own)
    except ClauseError as error:
        raise RunError(str(error).replace(f"{WHERE}.keep: ", f"{WHERE}: ")) from None
    for clause in clauses:
        if clause.statistics or clause.draws:
            raise RunError(
                f"{WHERE}: '{clause.text}' needs statistics or chance, which belong to a selection; expected plain SQL over "
                "signals (`winnow select` tries a clause out)"
            )
    return clauses


def _condition(question: Question, clauses: frozenset[str] | None, where: Sequence[Clause]) -> pl.Expr:
    """Which records are meant. Only documents have signals, are kept or wait for a stage."""
    conditions = [clause.expr() for clause in where]
    if question.kept or question.pending or question.near or where:
        conditions.append(pl.col("row") >= 0)
    if question.kept:
        conditions.append(pl.col("multiplicity") > 0)
    for on, status in ((question.failed, FAILED), (question.pending, PENDING), (clauses is not None, DROPPED)):
        conditions += [pl.col("status") == status] if on else []
    if clauses is not None:
        conditions.append(pl.col("clause").is_in(list(clauses)))
    if question.stage is not None:
        conditions.append(pl.col("stage") == question.stage)
    if question.source is not None:
        conditions.append(pl.col("source") == question.source)
    if question.near is not None:
        conditions.append(pl.col(question.near[0]).cast(pl.Float64).fill_null(math.nan).is_not_nan())
    return pl.all_horizontal(conditions)
