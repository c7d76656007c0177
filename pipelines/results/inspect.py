"""What a run looks like to a person: its funnel, its failures, its shards."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from winnow.pipelines.console import PLAIN, visible
from winnow.pipelines.results.table import Run
from winnow.pipelines.selection.verdict import FAILED


def funnel(run: Run, console: Console) -> None:
    """Rows in, kept, dropped by clause and failed at every stage, then the totals and where the shards are."""
    accounting, pipeline = run.accounting, run.pipeline
    _stages(run, console)
    for name, report in accounting.get("reports", {}).items():
        print_report(name, report, console)
    print_damage(accounting, console)
    if "shared_ids" in accounting:
        run_name = run.folder if run.name is None else f"{run.folder}@{run.name}"
        example = accounting["shared_ids"]["examples"][0]
        console.print(
            f"warning: {sharing(accounting['shared_ids'])}; to see them: winnow why {shlex.quote(run_name)} {example}",
            **PLAIN,
        )
    text = f"{accounting['kept']:,} documents kept"
    if accounting["copies"] != accounting["kept"]:
        text += f", {accounting['copies']:,} with repetitions"
    if pipeline.terminal():
        text += f", {accounting['tokens']:,} tokens"
    console.print(f"{text}; selection {accounting['digest']}", **PLAIN)
    if run.shards:
        manifest = run.manifest()
        assert manifest is not None, "where there are shards there is their manifest"
        console.print(f"shards: {run.shards}  (digest {manifest.digest[:16]})", **PLAIN)
    if run.unmeasured:
        console.print("provisional: clauses let documents in that were never measured", **PLAIN)
    for stage, documents in run.unmeasured.items():
        console.print(f"  {stage}: {documents:,} documents to measure", **PLAIN)


def so_far(run: Run, reference: str, console: Console) -> None:
    """Of a run that did not finish: that it did not, what its stages decided so far, and what failed."""
    console.print(run.unfinished, **PLAIN)
    accounting = run.accounts()
    _stages(replace(run, accounting=accounting), console)
    print_damage(accounting, console)
    failures(run, console)
    if any(account["failed"] for account in accounting["stages"].values()):
        console.print(f"what failed, with its text: winnow sample {shlex.quote(reference)} --failed", **PLAIN)


def _stages(run: Run, console: Console) -> None:
    accounting, pipeline = run.accounting, run.pipeline
    table = Table(
        "stage", "over", "in", "kept", "dropped by", "failed", title=f"{pipeline.name}: what was kept, and why not"
    )
    for column in table.columns[2:4]:
        column.justify = "right"
    undecided = "not measured" if run.unmeasured else "not decided" if run.unfinished else ""
    if undecided:
        table.add_column(undecided, justify="right")
    order = [*pipeline.sources, *pipeline.nodes]
    for name in sorted(accounting["stages"], key=order.index):
        account = accounting["stages"][name]
        dropped = sorted(account["dropped"].items(), key=lambda item: (-item[1], item[0]))
        reasons = "\n".join(f"{clause.removeprefix(name + '.')} {rows:,}" for clause, rows in dropped[:6])
        if len(dropped) > 6:
            reasons += f"\n{len(dropped) - 6} other clauses {sum(rows for _, rows in dropped[6:]):,}"
        over = ", ".join(pipeline.nodes[name].over[-2:]) if name in pipeline.nodes else ""
        if name in pipeline.nodes and len(pipeline.nodes[name].over) > 2:
            over = "all before"
        table.add_row(
            name,
            over,
            f"{account['in']:,}",
            f"{account['kept']:,}",
            reasons,
            f"{account['failed']:,}" if account["failed"] else "",
            *([f"{account.get('pending', 0):,}" if account.get("pending") else ""] if undecided else []),
        )
    console.print(table)


def print_damage(accounting: dict[str, Any], console: Console) -> None:
    """Every stretch of the input that could not be read."""
    for damage in accounting["damage"]:
        console.print(
            f"warning: {damage['file']}: damaged at byte {damage['offset']:,}: {damage['cause']}",
            **PLAIN,
        )


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
                console.print(visible(f"failed at {row['stage']}: {row['url'] or row['id']}: {row['value']}"), **PLAIN)
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
    console.print(
        f"{folder}: {len(found.manifest.shards)} shards, {found.manifest.documents:,} documents, {found.total_tokens:,} tokens, "
        f"digest {found.digest[:16]}{checked}",
        **PLAIN,
    )
    if not documents or not found.manifest.shards:
        return
    tokenizer = Tokenizer.from_file(f"{folder}/{found.manifest.tokenizer.file}")
    rows = found.documents().slice(0, documents)
    for row in rows.to_pylist():
        text = tokenizer.decode(row["input_ids"][:80])
        console.print(f"{row['doc_id']}: {text!r}", **PLAIN)


def sharing(shared: dict[str, Any]) -> str:
    """The sentence about documents that have the id of another one."""
    kept = (
        f"; {shared['kept_documents']:,} of them are kept"
        if shared["kept_documents"]
        else "; at most one of each is kept"
    )
    ids = f"{shared['ids']:,} id" + ("s" if shared["ids"] != 1 else "")
    return (
        f"{shared['documents']:,} documents have only {ids} between them{kept}. What goes by the id (joins, `programs:`) means "
        "all that have it"
    )
