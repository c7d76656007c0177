"""`winnow status`: how far a run is, from its folder alone, wherever the run is at work."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winnow.pipelines.console import Json, as_lines, console

if TYPE_CHECKING:
    from rich.console import Console

WORDS = {
    "planning": "looking for its inputs",
    "running": "at work",
    "done": "done",
    "failed": "failed",
    "stopped": "stopped",
}


def status(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run: a path or fsspec URL, such as runs/ko.")],
    as_json: Json = False,
) -> None:
    """Show how far a run is, wherever it is at work: what its driver last wrote into the folder.

    Exit code 0 where the run is at work or done, 1 where it failed or was stopped, its driver is gone, or no run ever began there.
    """
    said = read_status(run)
    if as_json:
        as_lines([said])
    else:
        show(said, console())
    raise typer.Exit(
        0 if said["state"] == "done" or (said["state"] not in ("failed", "stopped") and not said["stale"]) else 1
    )


def read_status(folder: str) -> dict[str, Any]:
    """What the driver last wrote, and `stale`: whether it is gone without a word. Raises RunError where no run began."""
    from winnow.pipelines.engine.errors import RunError
    from winnow.pipelines.engine.heartbeat import NAME, is_stale
    from winnow.pipelines.engine.store import Store

    store = Store.at(folder)
    said = store.read_json(NAME)
    if said is None:
        there = "a run of an older winnow, which kept no progress" if store.exists("run.json") else "no run began there"
        raise RunError(f"{folder}: {there}; expected the folder of a run, with {NAME}")
    stale = said["state"] in ("running", "planning") and is_stale(said)
    return {**said, "stale": stale}


def show(said: Mapping[str, Any], console: Console) -> None:
    """A few lines and a table of rows per stage."""
    from rich.table import Table

    def line(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    ago = time.time() - said["heartbeat"]
    state = "its driver is gone" if said["stale"] else WORDS[said["state"]]
    job = f", Ray job {said['job']}" if said["job"] else ""
    line(f"{said['name']} in {said['folder']}: {state}")
    line(
        f"driver {said['pid']} on {said['host']}{job}, began {_span(time.time() - said['started'])} ago, last heard of {_span(ago)} ago"
    )
    if said["stale"]:
        line("nothing has been heard of it since: run the same command again, and it goes on where it stopped")
    if said["state"] in ("failed", "stopped"):
        line(str(said["sentence"]))
    if said["step"] and said["state"] != "done":
        level = f"level {said['level'] + 1} of {said['levels']}, " if said["level"] is not None else ""
        left = f", about {_span(said['seconds_left'])} left in this step" if said["seconds_left"] is not None else ""
        line(f"{level}{said['step']}: {said['done']:,} of {said['total']:,} tasks{left}")
    if said["records"]:
        line(f"{said['records']:,} records read at {said['records_per_second']:,.0f}/s")
    if said["rows"]:
        table = Table("stage", *(f"rows {outcome}" for outcome in ("in", "kept", "dropped", "failed")))
        for column in table.columns[1:]:
            column.justify = "right"
        for name in sorted(said["rows"], key=said["order"].index):
            table.add_row(name, *(f"{said['rows'][name][o]:,}" for o in ("in", "kept", "dropped", "failed")))
        console.print(table)


def _span(seconds: float) -> str:
    """A length of time in its largest fitting unit."""
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{max(seconds, 0):.0f} s"
