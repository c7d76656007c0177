"""The `winnow` command: run, plan, train, fit, inspect, why."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console

from winnow.classifiers.artifacts import ModelError
from winnow.classifiers.recipe import RecipeError
from winnow.pipelines.execute import RunError
from winnow.pipelines.plan import make_plan
from winnow.pipelines.report import terminal
from winnow.pipelines.run import Run, open_run
from winnow.pipelines.run import run as carry_out
from winnow.pipelines.spec import load_pipeline
from winnow.pipelines.store import Store, StoreError
from winnow.pipelines.yaml_source import SpecError
from winnow.stages.stage import StageError
from winnow.tokenize.shard import ShardError
from winnow.tokenize.tokenizer import TokenizerError

KNOWN = (SpecError, StageError, StoreError, RunError, ModelError, RecipeError, ShardError, TokenizerError, OSError)
"""Errors that already are one clear sentence."""

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="Curate a pretraining corpus: measure documents, select them, hand shards to a trainer.",
    no_args_is_help=True,
)
fit_app = typer.Typer(pretty_exceptions_enable=False, help="Fit the artifacts that stages use.", no_args_is_help=True)
app.add_typer(fit_app, name="fit")

Declaration = Annotated[Path, typer.Argument(help="The declaration, such as pipelines/ko.yaml.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Override: path=value, such as stages.quality.keep='score >= 0.5'.")
]
Folder = Annotated[
    str | None, typer.Option("--folder", help="Where the run lives: a path or fsspec URL. Default: runs/<name>.")
]
RunFolder = Annotated[str, typer.Argument(help="Folder of a finished run, such as runs/ko.")]


@app.command()
def run(
    declaration: Declaration,
    set_: Set = None,
    folder: Folder = None,
    local: Annotated[bool, typer.Option("--local", help="In this process, without Ray; the same result.")] = False,
    workers: Annotated[int | None, typer.Option(help="CPUs for a local Ray. Default: all.", min=1)] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Hash input files; damaged input is an error.")] = False,
) -> None:
    """Carry out a declaration, or continue where an earlier run stopped."""
    done = carry_out(declaration, set_ or [], folder=folder, local=local, workers=workers, strict=strict)
    console = _console()
    if done.did_nothing:
        console.print("nothing to do: everything is there already")
    terminal.funnel(done, console)
    terminal.speed(done, console)


@app.command()
def plan(
    declaration: Declaration,
    set_: Set = None,
    folder: Folder = None,
    strict: Annotated[bool, typer.Option("--strict", help="Identify input files by content.")] = False,
) -> None:
    """Show the stages, what is cached, what would run and why, and the work to expect."""
    pipeline = load_pipeline(declaration, set_ or [])
    root = folder or f"runs/{pipeline.name}"
    store = Store(root if "://" in root else str(Path(root).resolve()))
    terminal.show_plan(make_plan(pipeline, store, strict), _console())


@app.command()
def train(
    declaration: Declaration,
    set_: Set = None,
    folder: Folder = None,
    processes: Annotated[
        int | None, typer.Option(help="Processes; default: one per GPU, or one on CPU.", min=1)
    ] = None,
) -> None:
    """Train on the shards of a finished run, as the declaration's `train:` section says."""
    try:
        from winnow.train_handoff.config import TrainError, parse_config
        from winnow.train_handoff.launch import launch
    except ModuleNotFoundError as error:
        raise RunError(f"training needs '{error.name}', which is not installed: pip install 'winnow[train]'") from error
    pipeline = load_pipeline(declaration, set_ or [])
    root = folder or f"runs/{pipeline.name}"
    done = open_run(root)
    if done.shards is None or "://" in done.folder:
        raise RunError(f"{root}: training maps shards into memory: expected a local run with a tokenize stage")
    stages = {"stages": pipeline.tree["stages"], "language": pipeline.language}
    if stages != {"stages": done.plan.pipeline.tree["stages"], "language": done.plan.pipeline.language}:
        raise RunError(
            f"{root}: its shards were selected by other stages than these; give `winnow run` the same --set first"
        )
    settings = {"shards": done.shards, "out": f"{done.folder}/train", **pipeline.train}
    try:
        code = launch(parse_config(settings), processes=processes)
    except TrainError as error:
        raise RunError(str(error)) from error
    raise typer.Exit(code)


@app.command()
def inspect(
    folder: Annotated[str, typer.Argument(help="Folder of a run, or of shards.")],
    documents: Annotated[int, typer.Option(help="How many documents to show.", min=0)] = 3,
    verify: Annotated[bool, typer.Option("--verify", help="Check every shard against its digest.")] = False,
) -> None:
    """Show what is in a run or in a folder of shards."""
    console = _console()
    if (Path(folder) / "manifest.json").exists():
        terminal.shards(folder, documents, verify, console)
        return
    done = open_run(folder)
    terminal.funnel(done, console)
    terminal.failures(done, console)
    if done.shards and "://" not in done.shards:
        terminal.shards(done.shards, documents, verify, console)


@app.command()
def why(folder: RunFolder, document: Annotated[str, typer.Argument(help="URL or id of a document.")]) -> None:
    """Say what was decided about one document, by which clause, value and threshold."""
    if not terminal.why(open_run(folder), document, _console()):
        raise RunError(f"{folder}: no record has the URL or id '{document}'")


@fit_app.command("classifier")
def fit_classifier_command(
    recipe: Annotated[
        str, typer.Argument(help="A shipped recipe (ko-quality, ko-toxicity, ko-domain) or a YAML path.")
    ],
    data: Annotated[Path, typer.Option(help="Folder that the recipe's sources are in.")],
    out: Annotated[Path, typer.Option(help="Folder for the model, its sidecar and its card.")],
) -> None:
    """Fit a fastText classifier from a recipe."""
    from winnow.classifiers.fit import fit_classifier

    fitted = fit_classifier(recipe, data, out)
    _console().print(
        f"{fitted.model}: {fitted.size:,} bytes from {fitted.fitted_on:,} examples; {fitted.figures}", soft_wrap=True
    )


@fit_app.command("tokenizer")
def fit_tokenizer_command(
    folder: RunFolder,
    out: Annotated[Path, typer.Option(help="Folder for tokenizer.json.")],
    vocabulary: Annotated[int, typer.Option(help="Number of tokens.", min=300)] = 16_000,
) -> None:
    """Fit a byte-level BPE tokenizer on the corpus that a run selected."""
    from winnow.tokenize.fit import fit_tokenizer

    done = open_run(folder)
    fitted = fit_tokenizer(_texts(done), vocabulary, out, out.name)
    _console().print(
        f"{fitted.path}: {fitted.vocab_size:,} tokens from {fitted.texts:,} texts, {fitted.bytes_per_token:.2f} bytes a token",
        soft_wrap=True,
        highlight=False,
    )


def main() -> None:
    """Entry point: every foreseen error is one sentence on stderr and exit code 1."""
    try:
        app()
    except KNOWN as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 160)


def _texts(done: Run) -> Iterator[str]:
    """The selected texts, one partition in memory at a time."""
    for frame in done.partitions():
        kept = frame.filter(pl.col("selection.multiplicity") > 0)
        yield from kept.select("text").collect().get_column("text")


if __name__ == "__main__":
    main()
