"""What a run looks like to a person: its funnel, its failures, its shards."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from winnow.pipelines.console import say, visible
from winnow.pipelines.results.table import Run
from winnow.pipelines.selection.verdict import FAILED

MOST_CLAUSES = 6
"""Clauses of a stage that the funnel names."""


def funnel(run: Run, console: Console) -> None:
    """Rows in, kept, dropped by clause and failed at every stage, then the totals and where the shards are."""
    accounting = run.accounting
    _stages(run, console)
    for name, report in accounting.get("reports", {}).items():
        print_report(name, report, console)
    _damage(accounting, console)
    if shared := accounting.get("shared_ids"):
        why = f"winnow why {shlex.quote(run.reference)} {shared['examples'][0]}"
        say(f"warning: {sharing(shared)}; to see them: {why}", console)
    text = f"{accounting['kept']:,} documents kept"
    if accounting["copies"] != accounting["kept"]:
        text += f", {accounting['copies']:,} with repetitions"
    if run.tokens():
        text += f", {accounting['tokens']:,} tokens"
    say(f"{text}; selection {accounting['digest']}", console)
    if (manifest := run.manifest()) is not None:
        say(f"shards: {run.shards}  (digest {manifest.digest[:16]})", console)
    if run.unmeasured:
        say("provisional: clauses let documents in that were never measured", console)
    for stage, documents in run.unmeasured.items():
        say(f"  {stage}: {documents:,} documents to measure", console)


def so_far(run: Run, reference: str, console: Console) -> None:
    """Of a run that did not finish: that it did not, what its stages decided so far, and what failed."""
    say(str(run.unfinished), console)
    accounting = run.accounts()
    _stages(replace(run, accounting=accounting), console)
    _damage(accounting, console)
    failures(run, console)
    if any(account["failed"] for account in accounting["stages"].values()):
        say(f"what failed, with its text: winnow sample {shlex.quote(reference)} --failed", console)


def _stages(run: Run, console: Console) -> None:
    stages, nodes = run.accounting["stages"], run.pipeline.nodes
    table = Table(title=f"{run.pipeline.name}: what was kept, and why not")
    for column in ("stage", "over", "in", "kept", "dropped by", "failed"):
        table.add_column(column, justify="right" if column in ("in", "kept") else "left")
    undecided = "not measured" if run.unmeasured else "not decided" if run.unfinished else ""
    if undecided:
        table.add_column(undecided, justify="right")
    for name in (n for n in [*run.pipeline.sources, *nodes] if n in stages):
        account, over = stages[name], nodes[name].over if name in nodes else ()
        dropped = sorted(account["dropped"].items(), key=lambda item: (-item[1], item[0]))
        reasons = [f"{clause.removeprefix(name + '.')} {rows:,}" for clause, rows in dropped[:MOST_CLAUSES]]
        if rest := dropped[MOST_CLAUSES:]:
            reasons.append(f"{len(rest)} other clauses {sum(rows for _, rows in rest):,}")
        cells = [name, ", ".join(over) if len(over) <= 2 else "all before"]
        cells += [f"{account['in']:,}", f"{account['kept']:,}", "\n".join(reasons)]
        left = [account["failed"], *([account.get("pending", 0)] if undecided else [])]
        table.add_row(*cells, *(f"{rows:,}" if rows else "" for rows in left))
    console.print(table)


def _damage(accounting: dict[str, Any], console: Console) -> None:
    """Every stretch of the input that could not be read."""
    for damage in accounting["damage"]:
        say(f"warning: {damage['file']}: damaged at byte {damage['offset']:,}: {damage['cause']}", console)


def speed(run: Run, console: Console) -> None:
    """Seconds of work per stage, and the engine's own share."""
    spent = run.accounting.get("work")
    if run.did_nothing or not spent or not spent["tasks"]:
        return
    seconds = {n: s for n, s in spent["seconds"].items() if s >= 0.005}
    parts = ", ".join(f"{n} {s:.1f}" for n, s in sorted(seconds.items(), key=lambda item: -item[1]))
    overhead = 1 - sum(spent["seconds"].values()) / spent["tasks"]
    console.print(
        f"worker seconds: {parts}; engine's own share {overhead:.1%} of {spent['tasks']:.1f}", highlight=False
    )


def print_report(name: str, report: dict[str, Any], console: Console) -> None:
    """What a stage or source says of all documents together."""
    groups = report.get("groups")
    if plain := {k: v for k, v in report.items() if k != "groups"}:
        figures = (f"{k} {v:,}" if isinstance(v, int) else f"{k} {v}" for k, v in plain.items())
        console.print(f"{name}: " + ", ".join(figures), highlight=False)
    if not groups:
        return
    rows = [{"group": k, **v} for k, v in groups.items()] if isinstance(groups, dict) else groups
    table = Table(*rows[0], title=name)
    for at, column in enumerate(table.columns):
        column.overflow = "fold"  # a figure without its end would be another
        column.min_width = max(len(str(next(iter(row.values())))) for row in rows) if at == 0 else None
    for row in rows:
        table.add_row(
            *(f"{v:,}" if isinstance(v, int) else f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values())
        )
    console.print(table)


def failures(run: Run, console: Console, most: int = 20) -> None:
    """The first failed records and documents, with their causes."""
    failed = pl.col("status") == FAILED
    shown = 0
    for records in run.read(["stage", "url", "id", "value"], failed & (pl.col("row") < 0), of="records"):
        for row in records.iter_rows(named=True):
            shown += 1
            if shown <= most:
                say(visible(f"failed at {row['stage']}: {row['url'] or row['id']}: {row['value']}"), console)
    if shown > most:
        console.print(f"... and {shown - most:,} more failed before they were documents")


def shards(folder: str, documents: int, verify: bool, console: Console) -> None:
    """Shards, tokens and digest of a hand-off, and the beginning of its first documents."""
    from tokenizers import Tokenizer

    from winnow.tokenize.reader import ShardSet
    from winnow.tokenize.verify import verify as verify_files

    verify_files(folder, again=verify)
    found = ShardSet.open(folder)
    checked = ", every digest checked" if verify else ""
    holds = (
        f"{len(found.manifest.shards)} shards, {found.manifest.documents:,} documents, {found.total_tokens:,} tokens"
    )
    say(f"{folder}: {holds}, digest {found.digest[:16]}{checked}", console)
    if not documents or not found.manifest.shards:
        return
    tokenizer = Tokenizer.from_file(f"{folder}/{found.manifest.tokenizer.file}")
    for row in found.documents().slice(0, documents).to_pylist():
        say(f"{row['doc_id']}: {tokenizer.decode(row['input_ids'][:80])!r}", console)


def sharing(shared: dict[str, Any]) -> str:
    """The sentence about documents that have the id of another one."""
    several = shared["kept_documents"]
    kept = f"{several:,} of them are kept" if several else "at most one of each is kept"
    ids = f"{shared['ids']:,} id" + ("s" if shared["ids"] != 1 else "")
    return (
        f"{shared['documents']:,} documents have only {ids} between them; {kept}. What goes by the id (joins, `programs:`) "
        "means all that have it"
    )
