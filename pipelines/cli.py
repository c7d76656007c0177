"""The `winnow` command. Here: what builds a corpus (run, select, plan, train, fit); `commands.py` has what reads one.

Everything heavy is imported by the command that needs it.
"""

from __future__ import annotations

import gc
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from winnow.pipelines.cluster.commands import register_jobs
from winnow.pipelines.commands import Reference, register
from winnow.pipelines.console import console, say
from winnow.pipelines.evaluation.command import register_evaluate
from winnow.pipelines.fit_commands import fit_app
from winnow.pipelines.fit_counts import register as register_counts
from winnow.pipelines.fit_head import register_head
from winnow.pipelines.process import guarded, in_utf8
from winnow.pipelines.prove.command import register_prove
from winnow.pipelines.status import status

if TYPE_CHECKING:
    from winnow.pipelines.engine.declaration import Pipeline
    from winnow.pipelines.engine.plan import Plan
    from winnow.pipelines.engine.store import Store

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="Curate a pretraining corpus: measure documents, select them, hand shards to a trainer.",
    no_args_is_help=True,
)

Declaration = Annotated[
    str, typer.Argument(help="The declaration, such as pipelines/ko.yaml, or the folder of a run, such as runs/ko.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Override: path=value, such as stages.quality.keep='score >= 0.5'.")
]
Folder = Annotated[
    str | None, typer.Option("--folder", help="Where the run lives: a path or fsspec URL. Default: runs/<name>.")
]
Selection = Annotated[
    str | None, typer.Option("--selection", help="A selection that `winnow select --name` made, with a run's folder.")
]
Workers = Annotated[int | None, typer.Option(help="CPUs to use on this machine. Default: all.", min=1)]


@app.command()
def describe(
    kind: Annotated[
        str | None, typer.Argument(help="A kind, or package.module:Class. Without it: what there is.")
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Every kind that comes with winnow, as a page of Markdown.")
    ] = False,
) -> None:
    """What a kind of stage, source or solver measures, and its settings."""
    from winnow.pipelines.describe import described, listed, page

    text = page() if all_ else described(kind) if kind else listed()
    console().print(text, highlight=False, markup=False, soft_wrap=True, end="")


@app.command()
def run(
    declaration: Declaration,
    set_: Set = None,
    folder: Folder = None,
    selection: Selection = None,
    local: Annotated[bool, typer.Option("--local", help="In this process, without Ray; the same result.")] = False,
    workers: Workers = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Hash stored files, not only their sizes; damaged input is an error.")
    ] = False,
) -> None:
    """Carry out a declaration, or continue where an earlier run stopped; measure what a selection lacks."""
    from winnow.pipelines.engine.heartbeat import STOPPED
    from winnow.pipelines.engine.run import carry_out
    from winnow.pipelines.results import inspect
    from winnow.pipelines.results.table import as_table

    target = _declared(declaration, set_, folder, selection)
    os.umask(0o077)  # texts and addresses are nobody else's, wherever they are written
    try:
        done = as_table(
            carry_out(
                target.pipeline,
                target.store,
                name=target.name,
                base=target.base,
                local=local,
                workers=workers,
                strict=strict,
            )
        )
    except KeyboardInterrupt:
        print(f"error: {STOPPED}", file=sys.stderr)
        raise typer.Exit(130) from None
    if done.did_nothing:
        console().print("nothing to do: everything is there already")
    inspect.funnel(done, console())
    inspect.speed(done, console())


@app.command()
def select(
    run: Reference,
    set_: Set = None,
    name: Annotated[
        str | None, typer.Option(help="Keep the selection under this name, as RUN@NAME. Default: it is only shown.")
    ] = None,
    workers: Workers = None,
) -> None:
    """Select again from what a run has measured: other thresholds in seconds, no text read."""
    from winnow.pipelines.engine.pointers import parse_reference
    from winnow.pipelines.engine.reselect import reselect
    from winnow.pipelines.results import inspect
    from winnow.pipelines.results.table import open_run

    found = reselect(open_run(run), set_ or [], name=name, workers=workers)
    inspect.funnel(found, console())
    if not found.unmeasured:
        return
    where = parse_reference(run)[0]
    then = (
        f"winnow run {shlex.quote(where)} --selection {name}"
        if name
        else "give the selection a --name, then winnow run measures them"
    )
    if found.plan.store.exists(found.plan.purged):
        then = "not here, where 'rejected: metadata' gave texts up, but by a run in another folder"
    say(f"measure them and no others: {then}")


@app.command()
def plan(
    declaration: Declaration,
    set_: Set = None,
    folder: Folder = None,
    selection: Selection = None,
    strict: Annotated[bool, typer.Option("--strict", help="Hash stored files, not only their sizes.")] = False,
    graph: Annotated[bool, typer.Option("--graph", help="Show every task and what it depends on instead.")] = False,
) -> None:
    """Show the stages, what is cached, what would run and why, and the work to expect."""
    from winnow.pipelines.engine.planning import plan_run
    from winnow.pipelines.plan_table import show_graph, show_plan

    target = _declared(declaration, set_, folder, selection)

    def note(sentence: str) -> None:
        say(f"note: {sentence}")

    planned, found = plan_run(target.pipeline, target.store, target.base, target.name, strict, note)
    if graph:
        show_graph(planned, console())
    else:
        show_plan(planned, console(), found)


@app.command()
def train(
    declaration: Declaration,
    set_: Set = None,
    folder: Folder = None,
    selection: Selection = None,
    processes: Annotated[
        int | None, typer.Option(help="Processes; default: one per GPU, or one on CPU.", min=1)
    ] = None,
) -> None:
    """Train on the shards of a finished run, as the declaration's `train:` section says."""
    from winnow.pipelines.engine.errors import RunError
    from winnow.pipelines.engine.resources import without_resources
    from winnow.pipelines.results.table import open_run
    from winnow.train_handoff.config import TrainError, parse_config
    from winnow.train_handoff.launch import launch

    target = _declared(declaration, set_, folder, selection, training=True)
    pipeline, store, name = target.pipeline, target.store, target.name
    root = store.root if name is None else f"{store.root}@{name}"
    done = open_run(root)
    if done.shards is None and name is not None:
        raise RunError(f"{root}: the selection has no shards yet: winnow run {store.root} --selection {name}")
    if done.shards is None or "://" in done.folder:
        raise RunError(f"{root}: training maps shards into memory: expected a local run with a tokenize stage")
    selecting = [(without_resources(p.tree["stages"]), p.language) for p in (pipeline, done.plan.pipeline)]
    if selecting[0] != selecting[1]:
        raise RunError(
            f"{root}: its shards were selected by other stages than these; to train on them as they are: "
            f"winnow train {root}; to select again first: winnow run with the same declaration and --set"
        )
    out = f"{done.folder}/train" if name is None else f"{done.folder}/train@{name}"
    settings = {"shards": done.shards, "out": out, **pipeline.train}
    try:
        code = launch(parse_config(settings), processes=processes)
    except TrainError as error:
        raise RunError(str(error)) from error
    raise typer.Exit(code)


@app.command("compile")
def compile_command() -> None:
    """Compile the kernels of rules and filters for this machine, once; a run that finds none does it by itself."""
    from winnow.pipelines.engine.progress import Progress, compile_shown

    with Progress() as show:
        if not compile_shown(show):
            console().print("nothing to do: the kernels are compiled already")


@app.command()
def remember(
    run: Reference,
    out: Annotated[str, typer.Option(help="A new folder for the index: a path or fsspec URL.")],
    stage: Annotated[str | None, typer.Option(help="The minhash stage, where the run has several.")] = None,
) -> None:
    """Write what a run keeps as a duplicate index, which later runs deduplicate against: `known:` of a minhash stage."""
    from winnow.pipelines.results.dedup_index import write_index as write

    made = write(run, out, stage)
    before = "nothing to do: it is there already: " if made.did_nothing else ""
    say(f"{before}{made.url}: {made.manifest.documents:,} documents, digest {made.manifest.digest[:16]}")


register(app)
register_jobs(app)
register_prove(app)
register_evaluate(app)
app.command()(status)
register_counts(fit_app)
register_head(fit_app)
app.add_typer(fit_app, name="fit")


def main() -> None:
    """Entry point."""
    gc.set_threshold(50_000)  # of the many objects of a large plan none is garbage
    in_utf8()
    sys.argv[1:] = [_at_home(argument) for argument in sys.argv[1:]]
    guarded(app)


def _at_home(argument: str) -> str:
    """`~/x` and `--option=~/x` with the home folder, which shells write out at the beginning of a word alone."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return f"{option}{equals}{Path(value).expanduser()}" if value == "~" or value.startswith("~/") else argument


class RunTarget(NamedTuple):
    """What a declaration's argument means: the pipeline, the folder of its run, the name of its selection, None for the
    default one, and the plan of the finished run whose folder it was, if it was one."""

    pipeline: Pipeline
    store: Store
    name: str | None
    base: Plan | None


def _declared(
    declaration: str,
    assignments: list[str] | None,
    folder: str | None,
    selection: str | None,
    training: bool = False,
) -> RunTarget:
    """What a command is about.

    A file is a declaration; with `selection` it stands for the folder of its run. The folder of a run stands for what it
    was made with, or for a named selection's. For `training` the `train:` section of a declaration is taken as it is now, and
    a selection may be given other training settings.
    """
    from winnow.pipelines.engine.declaration import load_pipeline, override_pipeline
    from winnow.pipelines.engine.errors import RunError
    from winnow.pipelines.engine.pointers import open_plan, parse_reference
    from winnow.pipelines.engine.store import Store

    assignments = assignments or []
    now: dict[str, Any] | None = None
    root, name = parse_reference(declaration)
    if Path(declaration).is_file() or not ("://" in root or Path(root).is_dir()):
        pipeline = load_pipeline(declaration, assignments)
        now = pipeline.train
        root = folder or f"runs/{pipeline.name}"
        if selection is None:
            return RunTarget(pipeline, Store.at(root), None, None)
    elif folder is not None:
        raise RunError(f"--folder {folder}: '{declaration}' is a run's folder already; expected one of the two")
    if selection is not None and name is not None:
        raise RunError(f"--selection {selection}: '{declaration}' names a selection already; expected one of the two")
    name = selection or name
    selecting = [a for a in assignments if not (training and a.lstrip().startswith("train."))]
    if name is not None and selecting:
        raise RunError(
            f"--set: selection '{name}' is what its name says; for another one: winnow select {shlex.quote(root)}@{name} "
            "--set ... --name ANOTHER"
        )
    base, _, _ = open_plan(root if name is None else f"{root}@{name}")
    pipeline = override_pipeline(base.pipeline, assignments)
    return RunTarget(replace(pipeline, train=now) if training and now is not None else pipeline, base.store, name, base)


if __name__ == "__main__":
    main()
