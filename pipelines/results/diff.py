"""`winnow diff`: what one selection keeps that another does not, in documents and tokens, per domain and per clause.

Selections of one folder and one ingest have the same records in the same order, so their rows are laid beside each other some
partitions at a time. Other runs are joined by document id, which holds about 250 bytes per record of each in memory.

A document that both keep but repeat differently counts in tokens. A document that one side keeps and the other, being
provisional, has not decided is neither lost nor gained: it is counted apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from winnow.pipelines.results.shown import DECISION, Decision, decision
from winnow.pipelines.results.sums import Drawn, Sums
from winnow.pipelines.results.table import Run, RunError
from winnow.pipelines.selection.verdict import FAILED, KEPT, PENDING

SIDE = ("partition", "number", "id", "url", "status", "multiplicity", "stage", "clause", "text_bytes")
"""What is read of every side."""

NO_LABEL = "(none)"

EXAMPLES = 3
"""Documents shown per clause."""

ABSENT = "not in its input"
"""The label of a document that the other side never read."""

NO_URL = "(no URL)"

HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]+)"
"""The host in a URL, an address of IPv6 in its brackets."""


@dataclass(frozen=True, slots=True)
class Count:
    """Documents, their tokens with repetitions, and how many of them have no token count (nothing measured it)."""

    documents: int = 0
    tokens: int = 0
    uncounted: int = 0


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


def diff(
    a: Run, b: Run, examples: int = EXAMPLES, seed: int | None = None, names: tuple[str, str] | None = None
) -> Difference:
    """What B keeps and A does not, and the other way round. `names`: how the two are called; `seed`: of the choice of
    examples, those of smallest xxh64(id, seed).

    Raises RunError where the two have no record in common.
    """
    names = names or (a.reference, b.reference)
    a, b = a.tolerant(), b.tolerant()
    sums = Sums(["kind", "by", "name"], ["documents", "tokens", "uncounted", "copies"])
    drawn = Drawn(examples, a.pipeline.seed if seed is None else seed, by=["kind", "reason"])
    met = 0
    for left, right in side_by_side([a, b]):
        pair = paired(left, right)
        met += pair.select((pl.col("a_partition").is_not_null() & pl.col("b_partition").is_not_null()).sum()).item()
        rows = judged(pair)
        sums.add(_counts(pair, rows))
        drawn.add(_places(rows))
    if not met:
        raise RunError(
            f"{names[0]} and {names[1]} have no record in common: they read different inputs, or their sources name "
            "documents differently; expected two runs over (mostly) the same documents"
        )
    counts = {(kind, by, name): (Count(*n), copies) for kind, by, name, *n, copies in sums.ranked().iter_rows()}

    def of(kind: str, by: str) -> dict[str, Count]:
        found = {name: count for (k, b_, name), (count, _) in counts.items() if (k, b_) == (kind, by)}
        return dict(sorted(found.items(), key=lambda item: (-item[1].documents, item[0])))

    def total(kind: str) -> Count:
        return of(kind, "total").get("", Count())

    def side(run: Run, letter: str, name: str) -> Side:
        waiting = {stage: count.documents for stage, count in of(f"pending {letter}", "stage").items()}
        pending = {stage: waiting[stage] for stage in run.pipeline.nodes if stage in waiting}
        copies = counts.get((f"kept {letter}", "total", ""), (Count(), 0))[1]
        return Side(name, total(f"kept {letter}"), copies, pending, str(run.accounting["digest"]))

    def groups(by: str) -> tuple[Group, ...]:
        lost, gained, more, less = (of(kind, by) for kind in ("lost", "gained", "more", "less"))
        out = [
            Group(n, lost.get(n, Count()), gained.get(n, Count()), sum(x[n].tokens for x in (more, less) if n in x))
            for n in dict.fromkeys([*lost, *gained, *more, *less])
        ]
        return tuple(sorted(out, key=lambda g: (-(g.lost.documents + g.gained.documents), -abs(g.repeated), g.name)))

    def reasons(kind: str, run: Run, against: Run) -> tuple[Reason, ...]:
        mine = drawn.rows.filter(pl.col("kind") == kind)
        return tuple(
            Reason(reason, count, tuple(_examples(run, against, mine.filter(pl.col("reason") == reason))))
            for reason, count in of(kind, "reason").items()
        )

    undecided = {f"{x}: {stage}": n for x in "ab" for stage, n in of(f"undecided in {x}", "stage").items()}
    return Difference(
        a=side(a, "a", names[0]),
        b=side(b, "b", names[1]),
        by_id=not a.same_rows(b),
        both=total("both").documents,
        lost=total("lost"),
        gained=total("gained"),
        more=total("more"),
        less=total("less"),
        undecided=dict(sorted(undecided.items())),
        domains=groups("domain"),
        hosts=groups("host"),
        lost_by=reasons("lost", a, b),
        gained_by=reasons("gained", b, a),
        clauses=tuple(Change(name, *values) for name, values in differing([clauses_of(a), clauses_of(b)])),
        settings=tuple(Change(name, *values) for name, values in differing([_settings(a), _settings(b)])),
    )


def side_by_side(runs: Sequence[Run], more: Sequence[Sequence[str]] | None = None) -> Iterator[list[pl.DataFrame]]:
    """SIDE and `more` columns of the records of several selections, row by row the same record: one frame for each, null where a
    selection has no such record; with `tokens`, null where nothing counted them, and `domain`, null where nothing says it."""
    reads = [_read(run, more[n] if more else ()) for n, run in enumerate(runs)]
    if all(run.same_rows(runs[0]) for run in runs):
        yield from (list(frames) for frames in zip(*reads, strict=True))
        return
    key = ["id", "nth"]
    nth = pl.int_range(pl.len(), dtype=pl.Int32).over("id").alias("nth")
    sides = [pl.concat(list(read)).with_columns(pl.col("id").fill_null("")).with_columns(nth) for read in reads]
    keys = pl.concat([side.select(key) for side in sides]).unique(maintain_order=True)
    yield [keys.join(side, on=key, how="left", maintain_order="left").drop("nth") for side in sides]


def domain_signal(run: Run) -> str | None:
    """The label that says which domain a document is of: the one that a mixture mixes, or the stage `domain`'s."""
    nodes = run.pipeline.nodes
    for node in nodes.values():
        if "multiplicity" in node.stage.signals() and hasattr(node.stage.settings, "by"):
            return str(node.stage.settings.by)
    return "domain.label" if "domain" in nodes and "label" in nodes["domain"].stage.signals() else None


def _read(run: Run, more: Sequence[str]) -> Iterator[pl.DataFrame]:
    counted, labelled = run.tokens(), domain_signal(run)
    tokens = pl.lit(None) if counted is None else pl.col(counted)
    domain = pl.lit(None, pl.String) if labelled is None else pl.col(labelled).cast(pl.String).fill_null(NO_LABEL)
    wanted = dict.fromkeys([*SIDE, *filter(None, (counted, labelled)), *more])
    for frame in run.read(list(wanted), of="records"):
        yield frame.with_columns(tokens.cast(pl.Int64).alias("tokens"), domain.alias("domain"))


def paired(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """Two frames of `side_by_side` as one, with the columns of the first as `a_...`, of the other as `b_...`."""
    sides = [left.select(pl.all().name.prefix("a_")), right.select(pl.all().name.prefix("b_"))]
    return pl.concat(sides, how="horizontal")


def judged(pair: pl.DataFrame) -> pl.DataFrame:
    """The rows that either side keeps, with `kind`; `amount`: the tokens that it is about, with repetitions, null where they
    are not counted; `domain` and `host` by the side that keeps it, `reason` by the other one, and its `stage`."""
    kept_a, kept_b = (pl.col(f"{side}_multiplicity").fill_null(0) > 0 for side in "ab")
    open_a, open_b = ((pl.col(f"{side}_status") == PENDING).fill_null(False) for side in "ab")
    copies_a, copies_b = (pl.col(f"{side}_multiplicity").cast(pl.Int64) for side in "ab")
    all_a, all_b = copies_a * pl.col("a_tokens"), copies_b * pl.col("b_tokens")
    delta = all_b - all_a
    change = pl.when(delta.fill_null(0) == 0).then(copies_b - copies_a).otherwise(delta)
    kind = pl.when(kept_a & open_b).then(pl.lit("undecided in b")).when(kept_b & open_a).then(pl.lit("undecided in a"))
    kind = kind.when(kept_a & ~kept_b).then(pl.lit("lost")).when(kept_b & ~kept_a).then(pl.lit("gained"))
    kind = kind.when(change > 0).then(pl.lit("more")).when(change < 0).then(pl.lit("less"))
    of_a = pl.col("kind").is_in(["lost", "undecided in b"])
    rows = pair.filter(kept_a | kept_b).with_columns(kind=kind.otherwise(pl.lit("same")), a_all=all_a, b_all=all_b)
    return rows.with_columns(
        amount=pl.when(kept_a & kept_b).then(delta).when(of_a).then("a_all").otherwise("b_all"),
        domain=pl.when(of_a).then("a_domain").otherwise("b_domain"),
        host=pl.when(of_a).then(host(pl.col("a_url"))).otherwise(host(pl.col("b_url"))),
        reason=pl.when(of_a).then(_label("b")).otherwise(_label("a")),
        stage=pl.when(of_a).then("b_stage").otherwise("a_stage"),
    )


def _counts(pair: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """What there is to sum up: `kind`, by what (`total`, `stage`, `reason`, `domain`, `host`), its `name`, and documents, tokens,
    documents without a token count, copies."""
    nothing = pl.lit(0, pl.Int64)
    total: dict[str, Any] = {"by": pl.lit("total"), "name": pl.lit("")}
    changed = rows.filter(pl.col("kind") != "same").with_columns(total=pl.lit(""))
    found = changed.unpivot(
        ["total", "stage", "reason", "domain", "host"],
        index=["kind", "amount"],
        variable_name="by",
        value_name="name",
    )
    undecided, by = pl.col("kind").str.starts_with("undecided"), pl.col("by")
    found = found.filter(pl.col("name").is_not_null() & ((by == "total") | ((by == "stage") == undecided)))
    out = [found.with_columns(copies=nothing)]
    for side in "ab":
        copies = pl.col(f"{side}_multiplicity").cast(pl.Int64)
        kept = total | {"kind": pl.lit(f"kept {side}"), "amount": f"{side}_all", "copies": copies}
        out.append(rows.filter(copies > 0).select(**kept))
        waiting = pair.filter(pl.col(f"{side}_status") == PENDING).select(name=f"{side}_stage")
        out.append(
            waiting.with_columns(kind=pl.lit(f"pending {side}"), by=pl.lit("stage"), amount=nothing, copies=nothing)
        )
    both = rows.filter((pl.col("a_multiplicity") > 0) & (pl.col("b_multiplicity") > 0))
    out.append(both.select("amount", kind=pl.lit("both"), copies=nothing, **total))
    amount = pl.col("amount")
    return pl.concat(out, how="diagonal_relaxed").with_columns(
        documents=pl.lit(1), tokens=amount.fill_null(0), uncounted=amount.is_null()
    )


def _label(side: str) -> pl.Expr:
    """What became of a record on a side: the clause that drops it, or the stage with what happened there."""
    stage, status = pl.col(f"{side}_stage"), pl.col(f"{side}_status")
    word = pl.when(status == FAILED).then(pl.lit(" (failed)")).otherwise(pl.lit(" (pending)"))
    said = pl.when(status == KEPT).then(pl.lit("kept")).otherwise(pl.coalesce(pl.col(f"{side}_clause"), stage + word))
    return pl.when(status.is_null()).then(pl.lit(ABSENT)).otherwise(said)


def host(url: pl.Expr) -> pl.Expr:
    """The host of a URL, in lower case and without `www.`."""
    name = url.str.extract(HOST).str.to_lowercase()
    return name.str.replace(r"^www\.", "").fill_null(NO_URL)


def _places(rows: pl.DataFrame) -> pl.DataFrame:
    """Documents that are lost or gained: kind, reason, id, where they are, and where on the other side."""
    of_a = pl.col("kind") == "lost"
    out: dict[str, pl.Expr] = {}
    for name, a, b in (
        ("id", "a_id", "b_id"),
        ("partition", "a_partition", "b_partition"),
        ("number", "a_number", "b_number"),
    ):
        out |= {name: pl.when(of_a).then(a).otherwise(b), f"{name}_there": pl.when(of_a).then(b).otherwise(a)}
    return rows.filter(pl.col("kind").is_in(["lost", "gained"])).select("kind", "reason", **out)


def _examples(run: Run, against: Run, chosen: pl.DataFrame) -> Iterator[Example]:
    names = ["id", "url", *filter(None, [run.tokens()])]
    found = run.rows(chosen.select("partition", "number").rows(), names)
    there = chosen.select("partition_there", "number_there").rows()
    met = [place for place in there if place[0] is not None]
    decided = iter(against.rows(met, DECISION).iter_rows(named=True))
    for (identity, url, *tokens), place in zip(found.rows(), there, strict=True):
        made = decision(next(decided)) if place[0] is not None else None
        yield Example(identity, url, tokens[0] if tokens else None, made)


def clauses_of(run: Run) -> dict[str, str]:
    """Every clause and repetition of a declaration as it is written."""
    nodes = run.pipeline.nodes.values()
    out = {c.name: c.text for node in nodes for c in node.clauses}
    return out | {f"{n.name}.repeat": n.repeat.text for n in nodes if n.repeat is not None}


def _settings(run: Run) -> dict[str, str]:
    """Every stage, with each of its settings, and what decides beside them."""
    out: dict[str, str] = {"language": run.pipeline.language, "seed": str(run.pipeline.seed)}
    for number, (name, node) in enumerate(run.pipeline.nodes.items()):
        over = "every stage before it" if len(node.over) == number > 1 else ", ".join(node.over) or "the source"
        out[name] = f"use: {node.stage.kind}, over: {over}"
        settings = node.stage.settings.model_dump(mode="json")
        out |= {f"{name}.{key}": str(value) for key, value in settings.items()}
    return out


def differing(sides: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str | None]]]:
    """Names whose values are not the same on every side, with the values; None where a side has none."""
    names = dict.fromkeys(name for side in sides for name in side)
    rows = [(name, [side.get(name) for side in sides]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]
