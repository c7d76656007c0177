"""`winnow diff`: what one selection keeps that another does not, in documents and tokens, per domain and per clause.

A document that both keep but repeat differently counts in tokens. A document that one side keeps and the other, being
provisional, has not decided is neither lost nor gained: it is counted apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from winnow.filters.noise import hashes
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.results.decision import Decision, decisions, of_record, reading, whole
from winnow.pipelines.results.find import records
from winnow.pipelines.results.pairs import PENDING_SUFFIX, Labels, aligned, pairs
from winnow.pipelines.results.table import Run, RunError
from winnow.pipelines.selection.verdict import KEPT

EXAMPLES = 3
"""Documents shown per clause."""

ABSENT = "not in its input"
"""The label of a document that the other side never read."""

NO_URL = "(no URL)"


@dataclass(frozen=True, slots=True)
class Count:
    """Documents, their tokens with repetitions, and how many of them have no token count (nothing measured it)."""

    documents: int = 0
    tokens: int = 0
    uncounted: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.documents + other.documents, self.tokens + other.tokens, self.uncounted + other.uncounted)


@dataclass(frozen=True, slots=True)
class Side:
    """What one selection keeps. `copies`: documents with repetitions; `pending`: stage -> documents that
    are undecided because it never measured them."""

    reference: str
    kept: Count
    copies: int
    pending: dict[str, int]
    digest: str


@dataclass(frozen=True, slots=True)
class Group:
    """Documents of one domain label or host. `repeated`: tokens that other multiplicities add or take away."""

    name: str
    lost: Count
    gained: Count
    repeated: int


@dataclass(frozen=True, slots=True)
class Example:
    """A document that changes. `decision`: of the side that does not keep it, None where that never read it."""

    id: str
    url: str | None
    tokens: int | None
    decision: Decision | None


@dataclass(frozen=True, slots=True)
class Reason:
    """What drops the lost documents in B, or dropped the gained ones in A: a clause, a failure, or ABSENT."""

    reason: str
    count: Count
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the declaration that differs: `a` and `b` as written, None where it is not there."""

    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """From selection A to selection B. `more`, `less`: documents of both that are repeated more or less often, with the
    tokens that this adds or takes away; `undecided`: kept by one side, pending in the other, by the pending stage."""

    a: Side
    b: Side
    by_id: bool
    both: int
    lost: Count
    gained: Count
    more: Count
    less: Count
    undecided: dict[str, Count]
    domains: tuple[Group, ...]  # by the label that the mixture mixes or the stage `domain` gives; none without one
    hosts: tuple[Group, ...]
    lost_by: tuple[Reason, ...]
    gained_by: tuple[Reason, ...]
    clauses: tuple[Change, ...]
    settings: tuple[Change, ...]


@dataclass(slots=True)
class _Tally:
    """State: everything counted so far."""

    counts: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    copies: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    pending: dict[str, dict[str, int]] = field(default_factory=lambda: {"a": {}, "b": {}})
    undecided: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    by: dict[tuple[str, str], Count] = field(default_factory=lambda: defaultdict(Count))
    groups: dict[tuple[str, str], dict[str, Count]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Count))
    )
    best: dict[tuple[str, str], list[tuple[int, int, int, int, int]]] = field(default_factory=lambda: defaultdict(list))


def diff(
    a: Run, b: Run, examples: int = EXAMPLES, seed: int | None = None, names: tuple[str, str] | None = None
) -> Difference:
    """What B keeps and A does not, and the other way round. `names`: how the two are called; `seed`: of the choice of
    examples, those of smallest xxh64(id, seed).

    Raises RunError where the two have no record in common.
    """
    names = names or (reference(a), reference(b))
    a, b = reading(a), reading(b)
    seed = a.plan.pipeline.seed if seed is None else seed
    labels_a, labels_b = Labels(), Labels()
    tally = _Tally()
    met = 0
    for frame in pairs(a, b, labels_a, labels_b):
        met += frame.select((pl.col("a_part").is_not_null() & pl.col("b_part").is_not_null()).sum()).item()
        _add_pending(tally, frame, labels_a, labels_b)
        _add(tally, _judged(frame, labels_a, labels_b), a, b, labels_a, labels_b, examples, seed)
    if not met:
        raise RunError(
            f"{names[0]} and {names[1]} have no record in common: they read different inputs, or their sources name "
            "documents differently; expected two runs over (mostly) the same documents"
        )
    shown = {
        way: tuple(
            Reason(label, tally.by[way, label], tuple(_examples(tally.best[way, label], way, a, b)))
            for label in _ranked({label: c for (w, label), c in tally.by.items() if w == way})
        )
        for way in ("lost", "gained")
    }
    counts = tally.counts
    return Difference(
        a=_side(a, "a", names[0], tally),
        b=_side(b, "b", names[1], tally),
        by_id=not aligned(a, b),
        both=counts["both"].documents,
        lost=counts["lost"],
        gained=counts["gained"],
        more=counts["more"],
        less=counts["less"],
        undecided=dict(sorted(tally.undecided.items())),
        domains=_groups(tally, "domain"),
        hosts=_groups(tally, "host"),
        lost_by=shown["lost"],
        gained_by=shown["gained"],
        clauses=tuple(_changes(_clauses(a), _clauses(b))),
        settings=tuple(_changes(_settings(a), _settings(b))),
    )


def reference(run: Run) -> str:
    """How one names a selection: its folder, or `folder@name`."""
    return run.folder if run.name is None else f"{run.folder}@{run.name}"


def _judged(frame: pl.DataFrame, labels_a: Labels, labels_b: Labels) -> pl.DataFrame:
    """The rows that either side keeps, with `kind`, and tokens with repetitions `a_all`, `b_all` (null: not counted)."""
    kept_a, kept_b = (pl.col(f"{side}_copies").fill_null(0) > 0 for side in "ab")
    open_a = pl.col("a_why").is_in(labels_a.pending()).fill_null(False)
    open_b = pl.col("b_why").is_in(labels_b.pending()).fill_null(False)
    delta = pl.col("b_all") - pl.col("a_all")
    copies = pl.col("b_copies") - pl.col("a_copies")
    kind = (
        pl.when(kept_a & open_b)
        .then(pl.lit("undecided in b"))
        .when(kept_b & open_a)
        .then(pl.lit("undecided in a"))
        .when(kept_a & ~kept_b)
        .then(pl.lit("lost"))
        .when(kept_b & ~kept_a)
        .then(pl.lit("gained"))
        .when((delta > 0) | ((delta.fill_null(0) == 0) & (copies > 0)))
        .then(pl.lit("more"))
        .when((delta < 0) | ((delta.fill_null(0) == 0) & (copies < 0)))
        .then(pl.lit("less"))
        .otherwise(pl.lit("same"))
    )
    kept = frame.filter(kept_a | kept_b).with_columns(
        *((pl.col(f"{side}_copies") * pl.col(f"{side}_tokens")).alias(f"{side}_all") for side in "ab")
    )
    return kept.with_columns(kind.alias("kind"), delta.alias("delta"))


def _add(
    tally: _Tally, rows: pl.DataFrame, a: Run, b: Run, labels_a: Labels, labels_b: Labels, examples: int, seed: int
) -> None:
    for side in "ab":
        mine = rows.filter(pl.col(f"{side}_copies") > 0)
        tally.counts[side] += _count(mine, f"{side}_all")
        tally.copies[side] += int(mine.get_column(f"{side}_copies").sum())
    tally.counts["both"] += Count(rows.filter((pl.col("a_copies") > 0) & (pl.col("b_copies") > 0)).height)
    for side, other, labels in (("a", "b", labels_a), ("b", "a", labels_b)):
        for (why,), mine in rows.filter(pl.col("kind") == f"undecided in {side}").group_by(f"{side}_why"):
            tally.undecided[f"{side}: {labels.names[why].removesuffix(PENDING_SUFFIX)}"] += _count(mine, f"{other}_all")
    for way, side, other, labels in (("lost", "a", "b", labels_b), ("gained", "b", "a", labels_a)):
        mine = rows.filter(pl.col("kind") == way)
        tally.counts[way] += _count(mine, f"{side}_all")
        for (why,), part in mine.group_by(f"{other}_why"):
            tally.by[way, _label(labels, why)] += _count(part, f"{side}_all")
        _add_named(tally, mine, way, a if way == "lost" else b, side, other, labels, examples, seed)
    for way in ("more", "less"):
        mine = rows.filter(pl.col("kind") == way)
        tally.counts[way] += _count(mine, "delta")
        _add_named(tally, mine, way, b, "b", "b", labels_b, 0, seed)


def _add_named(
    tally: _Tally,
    rows: pl.DataFrame,
    way: str,
    run: Run,
    side: str,
    other: str,
    labels: Labels,
    examples: int,
    seed: int,
) -> None:
    """Domains and examples, for which URLs and ids are read, one partition at a time."""
    amount = "delta" if way in ("more", "less") else f"{side}_all"
    for (index,), mine in rows.group_by(f"{side}_part"):
        named = whole(run, run.plan.partitions[index]).documents(["id", "url"])[
            mine.get_column(f"{side}_row").to_list()
        ]
        mine = mine.with_columns(named.get_column("id"), host(named.get_column("url")).alias("host"))
        if (signal := domain_signal(run)) is not None:
            labels_of = whole(run, run.plan.partitions[index]).frame([signal]).to_series()
            mine = mine.with_columns(
                labels_of[mine.get_column(f"{side}_row").to_list()].cast(pl.String).alias("domain")
            )
        for kind in ("domain", "host"):
            for (name,), part in mine.group_by(kind) if kind in mine.columns else ():
                tally.groups[kind, str(name)][way] += _count(part, amount)
        if not examples:
            continue
        mine = mine.with_columns(pl.Series("key", hashes(mine.get_column("id").to_arrow(), seed)))
        for (why,), part in mine.group_by(f"{other}_why"):
            label = _label(labels, why)
            for row in part.sort("key").head(examples).iter_rows(named=True):
                place = row[f"{side}_part"], row[f"{side}_row"]
                against = (-1, -1) if row[f"{other}_part"] is None else (row[f"{other}_part"], row[f"{other}_number"])
                tally.best[way, label].append((row["key"], *place, *against))
            tally.best[way, label].sort()
            del tally.best[way, label][examples:]


def _label(labels: Labels, why: Any) -> str:
    return ABSENT if why is None else labels.names[int(why)]


def _count(rows: pl.DataFrame, column: str) -> Count:
    values = rows.get_column(column)
    return Count(len(rows), int(values.sum() or 0), values.null_count())


def domain_signal(run: Run) -> str | None:
    """The label that says which domain a document is of: the one that a mixture mixes, or the stage `domain`'s."""
    nodes = run.plan.pipeline.nodes
    for node in nodes.values():
        if node.stage.kind == "mixture":
            return str(node.stage.settings.by)
    return "domain.label" if "domain" in nodes and "label" in nodes["domain"].stage.signals() else None


def _groups(tally: _Tally, kind: str) -> tuple[Group, ...]:
    """Those of most documents first."""
    out = [
        Group(name, found["lost"], found["gained"], (found["more"] + found["less"]).tokens)
        for (of, name), found in tally.groups.items()
        if of == kind
    ]
    return tuple(sorted(out, key=lambda g: (-(g.lost.documents + g.gained.documents), -abs(g.repeated), g.name)))


def host(urls: pl.Series) -> pl.Series:
    """The host of each URL, in lower case and without `www.`."""
    names = urls.cast(pl.String).str.extract(r"^[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/@]*@)?([^/:?#]+)").str.to_lowercase()
    return names.str.replace(r"^www\.", "").fill_null(NO_URL)


def _examples(best: list[tuple[int, int, int, int, int]], way: str, a: Run, b: Run) -> Iterator[Example]:
    run, against = (a, b) if way == "lost" else (b, a)
    for _, part, row, other_part, number in best:
        view = whole(run, run.plan.partitions[part])
        identity, url = view.documents(["id", "url"]).row(row)
        terminal = run.plan.pipeline.terminal()
        tokens = view.frame([f"{terminal.name}.tokens"]).to_series()[row] if terminal else None
        decision = _decision(against, against.plan.partitions[other_part], number) if other_part >= 0 else None
        yield Example(identity, url, tokens, decision)


def _decision(run: Run, partition: Partition, number: int) -> Decision:
    record = records(run, partition).row(number, named=True)
    if record["status"] != KEPT:
        return of_record(record)
    return decisions(run, whole(run, partition), [record["row"]])[0]


def _side(run: Run, side: str, name: str, tally: _Tally) -> Side:
    pending = {stage: tally.pending[side][stage] for stage in run.plan.pipeline.nodes if stage in tally.pending[side]}
    return Side(name, tally.counts[side], tally.copies[side], pending, str(run.accounting["digest"]))


def _add_pending(tally: _Tally, frame: pl.DataFrame, labels_a: Labels, labels_b: Labels) -> None:
    for side, labels in (("a", labels_a), ("b", labels_b)):
        for number in labels.pending():
            stage = labels.names[number].removesuffix(PENDING_SUFFIX)
            rows = int((frame.get_column(f"{side}_why") == number).sum())
            tally.pending[side][stage] = tally.pending[side].get(stage, 0) + rows


def _ranked(counts: Mapping[str, Count]) -> list[str]:
    return sorted(counts, key=lambda label: (-counts[label].documents, label))


def _clauses(run: Run) -> dict[str, str]:
    """Every clause and repetition of a declaration as it is written."""
    nodes = run.plan.pipeline.nodes.values()
    out = {c.name: c.text for node in nodes for c in node.clauses}
    return out | {f"{n.name}.repeat": n.repeat.text for n in nodes if n.repeat is not None}


def _settings(run: Run) -> dict[str, str]:
    """Every stage, with each of its settings, and what decides beside them."""
    out: dict[str, str] = {"language": run.plan.pipeline.language, "seed": str(run.plan.pipeline.seed)}
    for number, (name, node) in enumerate(run.plan.pipeline.nodes.items()):
        over = "every stage before it" if len(node.over) == number > 1 else ", ".join(node.over) or "the source"
        out[name] = f"use: {node.stage.kind}, over: {over}"
        settings = node.stage.settings.model_dump(mode="json")
        out |= {f"{name}.{key}": str(value) for key, value in settings.items()}
    return out


def _changes(a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Change]:
    for name in {**a, **b}:
        if a.get(name) != b.get(name):
            yield Change(name, a.get(name), b.get(name))
