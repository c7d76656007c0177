"""One pass over a run's partitions, reading columns and no text, into the figures of its report.

Every partition is visited once and forgotten: what stays is counts, sketches and the few rows drawn as samples, whose
text is read at the end. Whatever the accounting of the run says too is compared with it, and a difference is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import yaml

from winnow.pipelines.results.decision import reading
from winnow.pipelines.results.report.counts import Counts, told
from winnow.pipelines.results.report.documents import Documents
from winnow.pipelines.results.report.figures import (
    Amount,
    Clusters,
    Drop,
    Figures,
    Host,
    Hosts,
    Label,
    Labels,
    Signal,
    Statistic,
    Step,
)
from winnow.pipelines.results.report.provenance import facts, versions
from winnow.pipelines.results.report.records import Records
from winnow.pipelines.results.report.sample import Drawing, samples
from winnow.pipelines.results.report.stretch import stretches
from winnow.pipelines.results.table import RunError
from winnow.pipelines.selection.verdict import KEPT
from winnow.stages.reading.files import public_tree
from winnow.stages.stage import Corpus, Terminal

if TYPE_CHECKING:
    from winnow.pipelines.engine.graph import Node
    from winnow.pipelines.results.report.threshold import Curve
    from winnow.pipelines.results.table import Run
    from winnow.pipelines.selection.clause import Clause
    from winnow.pipelines.selection.statistic_result import StatisticResult


SHOWN_HOSTS = 15
"""Rows of either table of hosts."""


def collect(run: Run) -> Figures:
    """The figures of a finished run. Raises RunError where its parts contradict its accounting."""
    if run.plan.allow_unmeasured:
        run = reading(run)
    figures = told(run)
    counts, drawing = Counts(run.plan.pipeline, figures), Drawing(run)
    before, documents = Records(run, counts, drawing), Documents(run, counts, drawing)
    for stretch in stretches(run, stages=list(run.plan.pipeline.nodes)):
        selected = np.zeros(len(stretch.all_records), bool)
        if stretch.rows:
            decided = stretch.decided()
            selected[stretch.became] = decided.get_column("status").to_numpy() == KEPT
            documents.add(stretch, decided)
        before.add(stretch.partition.source, stretch.all_records, selected)
    return _figures(run, figures, counts, drawing, before, documents)


def _figures(
    run: Run,
    statistics: dict[str, dict[str, StatisticResult]],
    counts: Counts,
    drawing: Drawing,
    before: Records,
    documents: Documents,
) -> Figures:
    pipeline, accounting, work = run.plan.pipeline, run.accounting, run.work()
    hosts, days = before.hosts.ranked(), before.days.ranked()
    terminal = pipeline.terminal()
    read = counts.amounts[terminal.name, "kept"] if terminal else Amount()
    measured = (read.bytes or 0) - read.uncounted
    rows = {key: amount.rows for key, amount in counts.amounts.items()}
    return Figures(
        name=pipeline.name if run.name is None else f"{pipeline.name}@{run.name}",
        language=pipeline.language,
        digest=accounting["digest"],
        seed=pipeline.seed,
        accounting=accounting,
        steps=tuple(_steps(run, counts, work)),
        selection=documents.selection,
        signals=tuple(_signals(run, counts)),
        statistics=tuple(_statistics(run, statistics)),
        overlap=documents.overlaps.overlap(),
        labels=tuple(_labels(run, documents)),
        hosts=_hosts(hosts, before.hosts.error),
        days={day: (seen, kept) for day, seen, kept in days.sort("day").iter_rows()},
        clusters=tuple(Clusters(name, dict(sorted(sizes.items()))) for name, sizes in documents.sizes.items()),
        samples=samples(drawing, rows, accounting["kept"]),
        failures=counts.failures(),
        other_failures=counts.rare,
        rate=read.tokens / measured if measured else None,
        wall=work.get("wall"),
        declaration=yaml.safe_dump(public_tree(pipeline.tree), allow_unicode=True, sort_keys=False, width=110),
        facts=facts(run),
        versions=versions(),
    )


def _hosts(ranked: pl.DataFrame, error: int) -> Hosts:
    """The hosts with most records selected, and with most not selected."""
    named = ranked.filter(pl.col("host") != "").with_columns(lost=pl.col("seen") - pl.col("kept"))
    kept, dropped = (
        tuple(
            Host(*row)
            for row in named.sort([by, "host"], descending=[True, False]).head(SHOWN_HOSTS).drop("lost").iter_rows()
        )
        for by in ("kept", "lost")
    )
    return Hosts(kept, dropped, len(named), error)


def _steps(run: Run, counts: Counts, work: dict[str, Any]) -> Iterator[Step]:
    pipeline = run.plan.pipeline
    raw = pipeline.raw()
    for name in [*pipeline.sources, *pipeline.nodes]:
        account = run.accounting["stages"].get(name)
        if account is None:
            continue
        node = pipeline.nodes.get(name)
        texts = {clause.name: clause.text for clause in node.clauses} if node else {}
        mine = {what: amount for (stage, what), amount in counts.amounts.items() if stage == name}
        kept, failed, unmeasured = (mine.pop(key, Amount()) for key in ("kept", "failed", "unmeasured"))
        drops = sorted(mine.items(), key=lambda item: (-item[1].rows, item[0]))
        found = {"kept": kept.rows, "failed": failed.rows, "dropped": {clause: a.rows for clause, a in drops}}
        found["pending"] = unmeasured.rows
        said = {key: account.get(key, 0) for key in found}
        if found != said:
            raise RunError(f"{run.folder}: stage '{name}' accounts for {said}, but its parts hold {found}; run again")
        yield Step(
            name=name,
            kind=node.stage.kind if node else "source",
            pages=node in raw or (node is None and pipeline.sources[name].gives == "pages"),
            terminal=node is not None and isinstance(node.stage, Terminal),
            over=node.over if node else (),
            seen=sum((a for _, a in drops), kept + failed + unmeasured),
            kept=kept,
            failed=failed,
            drops=tuple(Drop(clause, texts.get(clause, ""), amount) for clause, amount in drops),
            unmeasured=unmeasured,
            seconds=work.get("seconds", {}).get(name),
            measured=work.get("rows", {}).get(name),
        )


def _signals(run: Run, counts: Counts) -> Iterator[Signal]:
    for name, sketch in counts.sketches.items():
        judges = counts.judges.get(name, [])
        yield Signal(
            name,
            name.partition(".")[0],
            counts.integer[name],
            sketch.histogram(),
            tuple(
                (clause.name, counts.counters[clause.name].operator, counts.counters[clause.name].number)
                for _, clause in judges
            ),
            tuple(_curve(run, counts, node, clause) for node, clause in judges),
        )


def _statistics(run: Run, told: dict[str, dict[str, StatisticResult]]) -> Iterator[Statistic]:
    for node in run.plan.pipeline.measured():
        for clause in node.clauses:
            for statistic in clause.statistics:
                found = told[node.name].get(statistic.column)
                for group, number, words in found.groups() if found else ():
                    yield Statistic(clause.name, statistic.text, group, number, words)


def _curve(run: Run, counts: Counts, node: Node, clause: Clause) -> Curve:
    """What a clause would keep elsewhere; its stage's present figures say what later stages may be expected to do."""
    pipeline = run.plan.pipeline
    stays = counts.amounts[node.name, "kept"].rows
    later = min(run.accounting["kept"] / stays, 1.0) if stays else 0.0
    gated = [n for n in pipeline.measured() if node.name in n.ancestors and (n.clauses or n.repeats)]
    last = not gated and not node.repeats and node not in pipeline.raw()
    return counts.counters[clause.name].curve(clause.name, str(clause.signal), later, last)


def _labels(run: Run, documents: Documents) -> Iterator[Labels]:
    pipeline = run.plan.pipeline
    mixed = {s for node in pipeline.measured() if isinstance(node.stage, Corpus) for s in node.stage.reads()}
    for name, tally in documents.labels.items():
        kind = pipeline.nodes[name.partition(".")[0]].stage.kind
        role = "language" if kind == "langid" else "domain" if name in mixed else "label"
        rows = [Label("" if v is None else v, *counts) for v, *counts in tally.ranked().iter_rows()]
        yield Labels(name, role, tuple(row for row in rows if row.seen), tally.forgotten)
