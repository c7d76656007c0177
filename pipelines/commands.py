"""The commands that read a finished run: inspect, verify, why, sample, diff, report, compare, publish."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winnow.pipelines.console import Json, as_lines, console, say

if TYPE_CHECKING:
    from winnow.pipelines.results.table import Run

Reference = Annotated[
    str, typer.Argument(metavar="RUN", help="Folder of a finished run, such as runs/ko, or runs/ko@looser.")
]
Chars = Annotated[int, typer.Option(help="Characters of each text; 0 for all of it, -1 for none.", min=-1)]
Out = Annotated[Path | None, typer.Option(help="The HTML file. Default: in the (first) run's folder.")]


def inspect(
    folder: Annotated[str, typer.Argument(help="Folder of a run, runs/ko@looser, or a folder of shards.")],
    documents: Annotated[int, typer.Option(help="How many documents to show.", min=0)] = 3,
    verify: Annotated[bool, typer.Option("--verify", help="Check every shard against its digest.")] = False,
) -> None:
    """Show what is in a run or in a folder of shards."""
    from winnow.pipelines.results import inspect as shown
    from winnow.pipelines.results.table import open_last

    if (Path(folder) / "manifest.json").exists():
        shown.shards(folder, documents, verify, console())
        return
    done = open_last(folder)
    if done.unfinished:
        shown.so_far(done, folder, console())
        return
    shown.funnel(done, console())
    shown.failures(done, console())
    if done.shards and "://" not in done.shards:
        shown.shards(done.shards, documents, verify, console())


def verify(run: Reference) -> None:
    """Hash every file of a run - records, documents, signals, selections, shards, tokenizer - and say which are damaged or
    missing, and what to do. Exit code 1 where any is."""
    from winnow.pipelines.engine.stored import verify as check

    found = check(run, say)
    if found:
        raise typer.Exit(1)
    say(f"{run}: everything is as it was recorded")


def why(
    run: Reference,
    document: Annotated[str, typer.Argument(help="URL or id of a document, or a fragment of its text.")],
    all_: Annotated[bool, typer.Option("--all", help="All documents that are meant, where there are several.")] = False,
    number: Annotated[int | None, typer.Option(help="Of several, the one of this number in the list.", min=1)] = None,
    chars: Chars = 400,
    as_json: Json = False,
) -> None:
    """Say what was decided about a document: every stage and clause with value and threshold, its duplicates, its copies
    and where they lie, and the models. Where several are meant, list them."""
    from winnow.pipelines.results.find import CANDIDATES, TEXT_HITS, candidates, chosen, find
    from winnow.pipelines.results.table import open_last
    from winnow.pipelines.results.terminal import show_candidates, show_why
    from winnow.pipelines.results.why import explained

    opened = open_last(run).tolerant()
    _unfinished(opened, as_json)
    most = None if all_ else TEXT_HITS if as_json and number is None else CANDIDATES
    found = find(opened, document, most)
    if number is not None:
        found = chosen(found, number)
    if as_json:
        as_lines(explained(opened, found))
    elif len(found.places) > 1 and not all_:
        show_candidates(list(candidates(opened, found, document)), found, run, document, console())
    else:
        show_why(explained(opened, found), console(), chars)


def sample(
    run: Reference,
    kept: Annotated[bool, typer.Option("--kept", help="Of the kept documents; the default.")] = False,
    dropped_by: Annotated[
        str | None,
        typer.Option(help="Of what a clause dropped, such as rules.too_short, or a whole stage.", metavar="CLAUSE"),
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="Of what a stage or source did not keep, failures included.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Of what failed, with the cause.")] = False,
    pending: Annotated[
        bool, typer.Option("--pending", help="Of what a provisional selection has not decided.")
    ] = False,
    near: Annotated[
        str | None, typer.Option(help="The documents whose signal is closest to a number.", metavar="SIGNAL=NUMBER")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Only from this source.")] = None,
    where: Annotated[
        str | None,
        typer.Option(
            help="Only documents for which this holds, kept or not: SQL over dotted signals, url, text, ...",
            metavar="SQL",
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--number", help="How many.", min=1)] = 20,
    seed: Annotated[int | None, typer.Option(help="Another seed, other documents. Default: the declaration's.")] = None,
    chars: Chars = 400,
    as_json: Json = False,
) -> None:
    """Show some documents, the same ones every time: kept, dropped by a clause, near a threshold; what triggered it is
    marked."""
    from winnow.pipelines.results.sample import Question, parse_near
    from winnow.pipelines.results.sample import sample as draw
    from winnow.pipelines.results.table import open_last
    from winnow.pipelines.results.terminal import show_sample

    question = Question(kept, dropped_by, stage, failed, pending, parse_near(near) if near else None, source, where)
    opened = open_last(run)
    _unfinished(opened, as_json)
    found = draw(opened, question, n, seed)
    if as_json:
        as_lines(found.records)
    else:
        show_sample(found, console(), chars)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A run or selection: runs/ko, runs/ko@looser.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    examples: Annotated[int, typer.Option(help="Documents shown per clause.", min=0)] = 3,
    groups: Annotated[int, typer.Option(help="Domains and hosts shown.", min=0)] = 20,
    seed: Annotated[int | None, typer.Option(help="Another seed, other examples. Default: A's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, with every domain and host.")] = False,
) -> None:
    """Compare two selections or runs: documents and tokens gained and lost, per domain and per clause, with examples."""
    from winnow.pipelines.results.diff import diff as compare_two
    from winnow.pipelines.results.table import open_run
    from winnow.pipelines.results.terminal import show_diff

    found = compare_two(open_run(a), open_run(b), examples, seed, (a, b))
    if as_json:
        as_lines([found])
    else:
        show_diff(found, console(), groups)


def report(run: Reference, out: Out = None) -> None:
    """Write a run's figures as one HTML file that needs nothing else."""
    from winnow.pipelines.results.report.page import write_report
    from winnow.pipelines.results.table import open_run

    say(write_report(open_run(run), out))


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Two runs or selections, or more.")],
    out: Out = None,
) -> None:
    """Write several runs or selections beside each other as one HTML file."""
    from winnow.pipelines.results.report.compare import write_compare
    from winnow.pipelines.results.table import open_run

    say(write_compare([(reference, open_run(reference)) for reference in runs], out))


def publish(
    run: Reference,
    to: Annotated[str, typer.Option("--to", help="hub:org/name, a path or an fsspec URL.")],
    rejects: Annotated[bool, typer.Option("--rejects", help="What was not kept, too, with the reasons.")] = False,
    private: Annotated[bool, typer.Option("--private", help="A new repository on the hub is private.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be uploaded; write nothing.")] = False,
    licence: Annotated[str | None, typer.Option(help="Licence of the data, such as cc-by-4.0.")] = None,
) -> None:
    """Publish the kept documents with their signals and a dataset card."""
    from winnow.pipelines.results.publish.publish import publish as send
    from winnow.pipelines.results.table import open_run

    send(open_run(run), to, rejects=rejects, private=private, dry_run=dry_run, licence=licence, console=console())


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    for command in (inspect, verify, why, sample, diff, report, compare, publish):
        app.command()(command)


def _unfinished(run: Run, as_json: bool) -> None:
    """Says that a run did not finish; among lines of JSON beside them."""
    if run.unfinished and as_json:
        print(f"note: {run.unfinished}", file=sys.stderr)
    elif run.unfinished:
        say(run.unfinished)
