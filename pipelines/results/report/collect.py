"""One pass over a run's parts, reading columns and no text, into the figures of its report.

Every part is visited once and forgotten: what stays is sums, histograms and the few rows drawn as samples, whose text is
read at the end. Whatever the accounting of the run says too is compared with it, and a difference is an error.

It is one loop and no polars query for each figure: those share no scan of a table that Python reads, so that a hundred of
them would read every part a hundred times, and their counts by host would not be bounded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import yaml

from winnow.pipelines.results.diff import HOST
from winnow.pipelines.results.report.clauses import Curve, Notches, Overlaps, compared
from winnow.pipelines.results.report.figures import (
    Amount,
    Clusters,
    Drop,
    Figures,
    Labels,
    Signal,
    Step,
)
from winnow.pipelines.results.report.histogram import Counter
from winnow.pipelines.results.report.samples import KEPT_SAMPLES, samples
from winnow.pipelines.results.sums import Drawn, Sums
from winnow.pipelines.results.table import Node, Rows, Run, RunError
from winnow.pipelines.selection.clause import Clause
from winnow.pipelines.selection.verdict import DROPPED, FAILED, KEPT, MULTIPLICITY, PENDING, UNSEEN, reasons
from winnow.stages.reading.files import public_tree

MOST_HOSTS, MOST_DAYS, MOST_LABELS = 200_000, 20_000, 2_000
"""Names that are counted at the same time; see `Sums`."""

MOST_CAUSES = 1_000
"""Causes of failure that are counted apart; the rows of all others are counted together."""

DAY = r"^(\d{4}-\d{2}-\d{2})"

Flags = npt.NDArray[Any]

STORED = "id url date page_bytes text_bytes status stage clause value".split()
"""Columns of records that are read."""

RECORD = ["partition", "number", "row", *STORED[:-1]]
"""Those of every record; the value is of those that were refused."""

AMOUNT = ["rows", "bytes", "sized", "tokens", "uncounted"]
"""`sized`: rows whose bytes are known."""


def collect(run: Run) -> Figures:
    """The figures of a finished run. Raises RunError where its parts contradict its accounting."""
    counts = Counts(run)
    for part in run.parts([*run.signals(), *STORED], "records"):
        counts.add(part)
    return _figures(run, counts)


class Counts:
    """State: everything that is counted of a run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.drawn = Drawn(KEPT_SAMPLES, run.pipeline.seed, by=["stage", "clause"])
        pipeline, tokens = run.pipeline, run.tokens()
        self.tokens = tokens
        self.reasons = {(why.stage, why.clause): n for n, why in enumerate(reasons(pipeline.measured()))}
        self.nodes = list(pipeline.nodes.values())
        names = [clause.name for node in self.nodes if not node.raw for clause in node.clauses]
        self.overlaps = Overlaps(names)
        self.amounts = Sums(["stage", "what"], AMOUNT)
        self.selection = Sums(["what"], AMOUNT)
        self.hosts, self.days = Sums(["host"], ["seen", "kept"], MOST_HOSTS), Sums(["day"], ["seen", "kept"], MOST_DAYS)
        self.causes = pl.DataFrame(schema={"stage": pl.String, "cause": pl.String, "rows": pl.UInt32, "url": pl.String})
        self.rare = 0
        self.sizes: dict[str, dict[int, int]] = {name: defaultdict(int) for name in run.clustering()}
        self.histograms: dict[str, Counter] = {}
        self.labels: dict[str, Sums] = {}
        self.integer = {name: pa.types.is_integer(kind) for name, kind in run.signals().items()}
        self.notches: dict[str, Notches] = {}  # of every clause that compares one signal with one number
        self.judges: dict[str, list[tuple[Node, Clause]]] = defaultdict(list)  # those clauses, by that signal
        for node in self.nodes:
            results = run.statistics(node.name)
            for bare, kind in node.stage.signals().items():
                name = f"{node.name}.{bare}"
                if pa.types.is_integer(kind) or pa.types.is_floating(kind):
                    self.histograms[name] = Counter()
                elif (pa.types.is_string(kind) or pa.types.is_large_string(kind)) and not node.reduces:
                    self.labels[name] = Sums(["value"], ["seen", "kept", "copies", "tokens"], MOST_LABELS)
            for clause in node.clauses:
                found = compared(clause, results)
                if found is not None and clause.signal in self.histograms:
                    self.notches[clause.name] = Notches(*found, self.integer[clause.signal])
                    self.judges[clause.signal].append((node, clause))

    def add(self, part: Rows) -> None:
        """Count some partitions: their records, then those of them that became documents."""
        records = part.records(RECORD)
        kept = pl.col("status") == KEPT
        places = records.select(
            pl.col("url").str.extract(HOST).str.to_lowercase().fill_null("").alias("host"),
            pl.col("date").str.extract(DAY).fill_null("").alias("day"),
            pl.lit(1).alias("seen"),
            kept.alias("kept"),
        )
        self.hosts.add(places)
        self.days.add(places)
        shown = kept | ((pl.col("status") == DROPPED) & pl.col("clause").is_not_null())
        self.drawn.add(records.filter(shown).select("stage", "clause", "id", "partition", "number"))
        self._refused(part, records)
        if part.rows:
            self._documents(part)

    def _refused(self, part: Rows, records: pl.DataFrame) -> None:
        """Where records ended before there were documents, with their bytes: those of pages, or of texts where the source
        gives no pages."""
        source = part.partition.source
        pages = self.run.pipeline.sources[source].gives == "pages"
        size = pl.col("page_bytes" if pages else "text_bytes")
        lost = pl.col("row") < 0
        ends = records.with_columns(pl.when(lost).then(pl.col(c)).alias(c) for c in ("status", "stage", "clause"))
        known = size.is_not_null().sum().alias("sized")
        every = [n.name for n in self.nodes if n.raw and (pages or n.stage.sees == "addresses")]
        out = []
        for status, stage, clause, rows, total, sized in (
            ends.group_by("status", "stage", "clause").agg(pl.len(), size.sum().alias("bytes"), known).iter_rows()
        ):
            amount = (rows, total, 0 if stage == source else sized, 0, 0)  # what a source refuses is not read
            steps = [source, *every]
            if stage is not None:
                out.append((stage, "failed" if status == FAILED else clause, *amount))
                steps = steps[: steps.index(stage)]
            out += [(step, "kept", *amount) for step in steps]
        self.amounts.add(pl.DataFrame(out, ["stage", "what", *AMOUNT], orient="row"))
        numbers = records.select(lost).to_series().arg_true().to_numpy().astype(np.intp)
        refused = part.records(["stage", "status", "clause", "value", "url"], numbers)
        self._failed(refused.filter(pl.col("status") == FAILED).rename({"value": "cause"}))
        for clause in (c for node in self.nodes if node.raw for c in node.clauses if c.name in self.notches):
            values = refused.filter(pl.col("clause") == clause.name).get_column("value").cast(pl.Float32, strict=False)
            found = values.drop_nulls().to_numpy()
            self.histograms[str(clause.signal)].add(found, np.ones(len(found), bool), np.zeros(len(found), bool))
            exact = found.astype(np.float64) if self.integer[str(clause.signal)] else found
            self.notches[clause.name].add(exact[:0], exact)

    def _failed(self, rows: pl.DataFrame) -> None:
        """Count failures (stage, cause, url) by cause, each with one of its addresses."""
        if rows.is_empty():
            return
        causes = pl.col("cause").fill_null("no cause was recorded")
        found = rows.group_by("stage", causes).agg(pl.len().alias("rows"), pl.col("url").min()).sort("stage", "cause")
        every = pl.concat([self.causes, found]).group_by("stage", "cause", maintain_order=True)
        total = every.agg(pl.col("rows").sum(), pl.col("url").first())
        self.rare += int(total.get_column("rows")[MOST_CAUSES:].sum())
        self.causes = total.head(MOST_CAUSES)

    def _documents(self, part: Rows) -> None:
        chosen = part.documents(["status", "reason", "multiplicity", "text_bytes", "url"])
        kept = (chosen.get_column("status") == KEPT).to_numpy()
        tokens = pl.Series([None] * part.rows, dtype=pl.Float64)
        if self.tokens:
            tokens = part.column(self.tokens).cast(pl.Float64)
        size, counted = pl.col("text_bytes").fill_null(0), pl.col("tokens").is_not_null()
        weights = chosen.with_columns(tokens.fill_nan(None).alias("tokens")).select(
            pl.lit(1).alias("rows"),
            size.alias("bytes"),
            pl.lit(1).alias("sized"),
            pl.col("tokens").fill_null(0),
            pl.when(counted).then(0).otherwise(size).alias("uncounted"),
            "multiplicity",
            "reason",
        )
        self.selection.add(weights.filter(pl.Series(kept)).with_columns(what=pl.lit("kept")))
        failing: dict[str, np.ndarray] = {}
        lost = np.zeros(part.rows, np.uint8)
        for node in (n for n in self.nodes if not n.raw):
            at, first = (part.column(f"{what} {node.name}").to_numpy() for what in ("@status", "@first"))
            self._amounts(node, at, first, weights)
            dropped = at == DROPPED
            lost += dropped | (at == FAILED) | (at == PENDING)
            if (at == FAILED).any():
                causes = pl.DataFrame({"cause": part.column(f"@error {node.name}"), "url": chosen.get_column("url")})
                self._failed(causes.filter(pl.Series(at == FAILED)).with_columns(stage=pl.lit(node.name)))
            if dropped.any():
                for clause in node.clauses:
                    fails = dropped & ~part.column(f"@holds {clause.name}").to_numpy()
                    if fails.any():
                        failing[clause.name] = fails
                self.overlaps.dropped([clause.name for clause in node.clauses], first[dropped])
        failures = np.zeros(part.rows, np.uint16)
        for fails in failing.values():
            failures += fails
        self.overlaps.add(failing, failures)
        single = (failures == 1) & (lost == 1)
        alone = {name: fails & single for name, fails in failing.items()}
        copies = weights.select(copies=pl.col("multiplicity"), tokens=pl.col("tokens") * pl.col("multiplicity"))
        for node in self.nodes:
            self._signals(part, node, kept, alone, copies)

    def _amounts(self, node: Node, status: Flags, first: Flags, weights: pl.DataFrame) -> None:
        """Rows of a stage by what became of them there."""
        repeated = f"{node.name}.{MULTIPLICITY}"
        none = pl.col("reason") == self.reasons[node.name, repeated]  # kept here, but in no copy
        rows = weights.with_columns(status=status, first=first, none=none).filter(pl.col("status") != UNSEEN)
        sums = rows.group_by("status", "first", "none").agg(pl.col(AMOUNT).sum())
        words = {KEPT: "kept", FAILED: "failed", PENDING: "unmeasured"}
        clauses = dict(enumerate(clause.name for clause in node.clauses))
        at, what = pl.col("status"), pl.lit(None, pl.String)
        if clauses:
            what = pl.col("first").replace_strict(clauses, default=None, return_dtype=pl.String)
        what = pl.when(at == DROPPED).then(what).when((at == KEPT) & pl.col("none")).then(pl.lit(repeated))
        what = what.otherwise(at.replace_strict(words, default=None, return_dtype=pl.String))
        self.amounts.add(sums.with_columns(stage=pl.lit(node.name), what=what))

    def _signals(
        self, part: Rows, node: Node, kept: np.ndarray, alone: Mapping[str, np.ndarray], copies: pl.DataFrame
    ) -> None:
        names = [f"{node.name}.{name}" for name in node.stage.signals()]
        if not names:
            return
        seen = np.ones(part.rows, bool) if node.raw else part.column(f"@seen {node.name}").to_numpy()
        for name in names:
            column = part.column(name)
            if name in self.histograms:
                self.histograms[name].add(column.cast(pl.Float32).to_numpy(), seen, kept)
                exact = (
                    column.cast(pl.Float64).to_numpy()
                    if name in self.judges and self.integer[name]
                    else column.to_numpy()
                )
                for _, clause in self.judges.get(name, ()):
                    entering = exact[alone[clause.name]] if clause.name in alone else exact[:0]
                    self.notches[clause.name].add(exact[kept], entering[~np.isnan(entering)])
            elif name in self.labels:
                frame = copies.with_columns(column.alias("value"), pl.Series("seen", seen), pl.Series("kept", kept))
                self.labels[name].add(frame)
        if node.name in self.sizes:
            chosen = part.column(f"{node.name}.representative").fill_null(False).to_numpy() & seen
            found = part.column(f"{node.name}.copies").fill_null(0).to_numpy()[chosen]
            for size, clusters in zip(*np.unique(found, return_counts=True), strict=True):
                self.sizes[node.name][int(size)] += int(clusters)


def _figures(run: Run, counts: Counts) -> Figures:
    pipeline, accounting, work = run.pipeline, run.accounting, run.work()
    amounts = {(stage, what): _amount(*rest) for stage, what, *rest in counts.amounts.ranked().iter_rows()}
    terminal = pipeline.terminal()
    read = amounts.get((terminal.name, "kept"), Amount()) if terminal else Amount()
    measured = (read.bytes or 0) - read.uncounted
    failures = counts.causes.sort(["rows", "stage", "cause"], descending=[True, False, False])
    hosts, days = counts.hosts.ranked().filter(pl.col("host") != ""), counts.days.ranked().sort("day")
    selected = [_amount(*rest) for _, *rest in counts.selection.ranked().iter_rows()]
    return Figures(
        name=pipeline.name if run.name is None else f"{pipeline.name}@{run.name}",
        language=pipeline.language,
        digest=accounting["digest"],
        seed=pipeline.seed,
        accounting=accounting,
        steps=tuple(_steps(run, amounts, work)),
        selection=selected[0] if selected else Amount(),
        signals=tuple(_signals(run, counts, amounts)),
        statistics=tuple(_statistics(run)),
        overlap=counts.overlaps,
        labels=tuple(_labels(run, counts)),
        hosts=hosts,
        hosts_error=counts.hosts.error,
        days=days,
        clusters=tuple(Clusters(name, dict(sorted(sizes.items()))) for name, sizes in counts.sizes.items() if sizes),
        samples=samples(run, counts.drawn, {key: amount.rows for key, amount in amounts.items()}),
        failures=tuple(failures.iter_rows(named=True)),
        other_failures=counts.rare,
        rate=read.tokens / measured if measured else None,
        wall=work.get("wall"),
        declaration=yaml.safe_dump(public_tree(pipeline.tree), allow_unicode=True, sort_keys=False, width=110),
        facts={
            name: {**fact, "settings": dict(sorted(fact["settings"].items()))} for name, fact in run.facts().items()
        },
    )


def _amount(rows: int, size: int, sized: int, tokens: int, uncounted: int) -> Amount:
    return Amount(rows, size if sized else None, tokens, uncounted)


def _steps(run: Run, amounts: Mapping[tuple[str, str], Amount], work: dict[str, Any]) -> Iterator[Step]:
    pipeline = run.pipeline
    for name in [*pipeline.sources, *pipeline.nodes]:
        account = run.accounting["stages"].get(name)
        if account is None:
            continue
        node = pipeline.nodes.get(name)
        texts = {clause.name: clause.text for clause in node.clauses} if node else {}
        mine = {what: amount for (stage, what), amount in amounts.items() if stage == name}
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
            pages=node.raw if node else pipeline.sources[name].gives == "pages",
            terminal=node is not None and node.writes,
            over=node.over if node else (),
            seen=sum((a for _, a in drops), kept + failed + unmeasured),
            kept=kept,
            failed=failed,
            drops=tuple(Drop(clause, texts.get(clause, ""), amount) for clause, amount in drops),
            unmeasured=unmeasured,
            seconds=work.get("seconds", {}).get(name),
            measured=work.get("rows", {}).get(name),
        )


def _signals(run: Run, counts: Counts, amounts: Mapping[tuple[str, str], Amount]) -> Iterator[Signal]:
    for name, histogram in counts.histograms.items():
        judges = counts.judges.get(name, [])
        yield Signal(
            name,
            name.partition(".")[0],
            counts.integer[name],
            histogram.histogram(),
            tuple(
                (clause.name, counts.notches[clause.name].operator, counts.notches[clause.name].number)
                for _, clause in judges
            ),
            tuple(_curve(run, counts, amounts, node, clause) for node, clause in judges),
        )


def _statistics(run: Run) -> Iterator[dict[str, Any]]:
    for node in run.pipeline.measured():
        for clause, statistic, group, number, words in run.compared_with(node.name):
            said = {"group": group, "number": number, "words": words}
            yield {"clause": clause.name, "text": statistic.text, **said}


def _curve(run: Run, counts: Counts, amounts: Mapping[tuple[str, str], Amount], node: Node, clause: Clause) -> Curve:
    """What a clause would keep elsewhere; its stage's present figures say what later stages may be expected to do."""
    stays = amounts.get((node.name, "kept"), Amount()).rows
    later = min(run.accounting["kept"] / stays, 1.0) if stays else 0.0
    gated = [n for n in run.pipeline.measured() if node.name in n.ancestors and (n.clauses or n.repeats)]
    last = not gated and not node.repeats and not node.raw
    return counts.notches[clause.name].curve(clause.name, later, last)


def _labels(run: Run, counts: Counts) -> Iterator[Labels]:
    pipeline = run.pipeline
    mixed = {signal for node in pipeline.measured() if node.reduces for signal in node.stage.reads()}
    for name, sums in counts.labels.items():
        stage, _, bare = name.partition(".")
        says_language = pipeline.nodes[stage].stage.outputs.language == bare
        role = "language" if says_language else "domain" if name in mixed else "label"
        rows = sums.ranked().filter(pl.col("seen") > 0).with_columns(pl.col("value").fill_null(""))
        yield Labels(name, role, tuple(rows.iter_rows(named=True)), sums.forgotten)
