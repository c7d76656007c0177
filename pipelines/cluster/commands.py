"""The commands that put runs on a cluster and follow them: submit, watch, jobs, logs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from winnow.pipelines.console import Json, as_lines, console, say

if TYPE_CHECKING:
    from winnow.pipelines.cluster.server import JobsServer, JobStatus
    from winnow.pipelines.cluster.watch import Row

NEEDS_SOMEBODY = 3
"""Exit code of `winnow watch --once` where a snapshot waits for a person. 1 is an error, 2 a wrong command line."""

KUBERAY = "KubeRay manifest"


class Code(StrEnum):
    """How the code gets to the cluster's machines."""

    installed = "installed"
    wheel = "wheel"


Declaration = Annotated[str, typer.Argument(help="The declaration, such as pipelines/ko.yaml.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Override: path=value, such as stages.quality.keep='score >= 0.5'.")
]
Address = Annotated[
    str | None,
    typer.Option(
        help="The cluster's dashboard, such as http://head:8265. Default: RAY_DASHBOARD_ADDRESS, or RAY_ADDRESS's."
    ),
]
CodeOption = Annotated[
    Code, typer.Option(help="installed: the machines have winnow. wheel: send this checkout; they have what it needs.")
]
Shared = Annotated[
    bool, typer.Option("--shared", help="Every machine of the cluster sees local files under the same paths.")
]
Python = Annotated[
    str | None, typer.Option(help="The interpreter there. Default: python, or this one for a server on this machine.")
]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job's id, as `winnow jobs` shows it.")]


def submit(
    declaration: Declaration,
    set_: Set = None,
    folder: Annotated[
        str | None, typer.Option("--folder", help="Where the run lives: a storage URL. Default: runs/<name>.")
    ] = None,
    address: Address = None,
    code: CodeOption = Code.installed,
    shared: Shared = False,
    python: Python = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Hash stored files, not only their sizes; damaged input is an error.")
    ] = False,
    manifest: Annotated[
        bool,
        typer.Option("--manifest", help="Submit nothing; print YAML for `kubectl apply`.", rich_help_panel=KUBERAY),
    ] = False,
    image: Annotated[
        str | None, typer.Option(help="Container image with winnow and ray[default].", rich_help_panel=KUBERAY)
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="A RayCronJob at these times, such as '0 6 * * *'; it watches for snapshots where the declaration has them.",
            rich_help_panel=KUBERAY,
        ),
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(help="Secret with AWS_ACCESS_KEY_ID and the like, as environment.", rich_help_panel=KUBERAY),
    ] = None,
    head_cpus: Annotated[int, typer.Option(min=1, rich_help_panel=KUBERAY)] = 4,
    head_memory: Annotated[str, typer.Option(rich_help_panel=KUBERAY)] = "16Gi",
    workers: Annotated[str, typer.Option(help="Machines, or at least..at most.", rich_help_panel=KUBERAY)] = "1..4",
    worker_cpus: Annotated[int, typer.Option(min=1, rich_help_panel=KUBERAY)] = 8,
    worker_memory: Annotated[str, typer.Option(rich_help_panel=KUBERAY)] = "32Gi",
    worker_gpus: Annotated[int, typer.Option(min=0, rich_help_panel=KUBERAY)] = 0,
) -> None:
    """Carry out a declaration as a job of a Ray cluster; or print a manifest for KubeRay."""
    from winnow.pipelines.cluster.manifest import Cluster, parse_workers
    from winnow.pipelines.cluster.manifest import manifest as make_manifest
    from winnow.pipelines.cluster.snapshots import named_snapshot, watched_source
    from winnow.pipelines.cluster.submit import Job, SubmitOptions, placed
    from winnow.pipelines.cluster.submit import submit as hand_over
    from winnow.pipelines.engine.declaration import load_pipeline
    from winnow.pipelines.engine.errors import RunError

    pipeline = load_pipeline(declaration, set_ or [])
    job = Job(pipeline.name, placed(folder, pipeline), named_snapshot(pipeline), strict=strict)
    if not manifest:
        if image or schedule:
            raise RunError("--image and --schedule say how a cluster is made; expected with --manifest")
        done = hand_over(pipeline, job, _server(address), SubmitOptions(code.value, shared, python))
        say(f"{done.id}: submitted; the run is in {done.folder}; follow it: winnow logs {done.id} --follow")
        return
    if image is None:
        raise RunError("--manifest: expected the --image that the pods run, with winnow and ray[default] installed")
    if code is Code.wheel:
        raise RunError("--code wheel: a manifest carries no code; expected --code installed and an --image with winnow")
    machines = parse_workers(workers)
    made_of = (head_cpus, head_memory, machines, worker_cpus, worker_memory, worker_gpus)
    cluster = Cluster(image, schedule, secret, *made_of, shared=shared)
    watching = schedule is not None and watched_source(pipeline) is not None
    sys.stdout.write(make_manifest(pipeline, job, cluster, ["--folder", job.folder] if watching else None))


def watch(
    declaration: Declaration,
    set_: Set = None,
    once: Annotated[
        bool, typer.Option("--once", help="Look once; exit 0, or 3 where a snapshot needs somebody.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="With --once: go on until nothing is at work and nothing due.")
    ] = False,
    every: Annotated[str, typer.Option(help="How often to ask for new snapshots, such as 30m or 6h.")] = "6h",
    folder: Annotated[
        str | None, typer.Option("--folder", help="Runs go to <folder>/<snapshot>. Default: runs/<name>.")
    ] = None,
    state: Annotated[str | None, typer.Option(help="Where the state is kept. Default: <folder>/watch.")] = None,
    snapshots: Annotated[
        str | None, typer.Option(help="Which, such as 2026.. or latest. Default: what the declaration says.")
    ] = None,
    attempts: Annotated[int, typer.Option(help="Jobs at most per snapshot.", min=1)] = 3,
    again: Annotated[
        list[str] | None, typer.Option(help="One more job for a snapshot that failed or was stopped.")
    ] = None,
    together: Annotated[
        int, typer.Option(help="Snapshots at a time, where no duplicate index makes one wait for another.", min=1)
    ] = 4,
    address: Address = None,
    code: CodeOption = Code.installed,
    shared: Shared = False,
    python: Python = None,
    as_json: Json = False,
) -> None:
    """Submit a job for every new snapshot of a crawl, in order; follow and retry them."""
    from winnow.pipelines.cluster.snapshots import Listing
    from winnow.pipelines.cluster.state import State
    from winnow.pipelines.cluster.submit import SubmitOptions, check_folder, placed
    from winnow.pipelines.cluster.watch import Watch, WatchOptions, parse_every, polls, stop_event
    from winnow.pipelines.engine.declaration import load_pipeline

    pipeline = load_pipeline(declaration, set_ or [])
    base = placed(folder, pipeline)
    options = SubmitOptions(code.value, shared, python)
    seconds = parse_every(every)
    kept = State(placed(state, pipeline) if state else f"{base}/watch")

    def show(rows: list[Row]) -> None:
        if as_json:
            as_lines([json_row(row) for row in rows])
        else:
            show_rows(rows)

    server = _server(address)
    check_folder(base, server, options)
    watched = Watch(
        WatchOptions(pipeline, base, attempts, together, options), Listing(pipeline, snapshots, seconds), kept, server
    )
    with kept.locked(), stop_event() as stop:
        polled = polls(watched, stop, None if once else seconds, again or [])
        last: list[Row] | None = None
        if not once:
            for rows in polled:
                if rows != last:
                    show(rows)
                last = rows
            return
        *_, rows = polled if wait else [next(polled)]
        show(rows)
    if any(row.person for row in rows):
        raise typer.Exit(NEEDS_SOMEBODY)


def jobs(address: Address = None, as_json: Json = False) -> None:
    """List winnow's jobs on a cluster."""
    from winnow.pipelines.cluster.submit import newest_first

    found = newest_first(_server(address).jobs())
    if as_json:
        as_lines([json_job(job) for job in found])
    else:
        show_jobs(found)


def logs(
    job: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    address: Address = None,
) -> None:
    """Show what a job printed."""
    server = _server(address)

    def show(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    if follow:
        server.follow(job, show)
    else:
        show(server.logs(job))


def register_jobs(app: typer.Typer) -> None:
    """Add these commands to the application."""
    for command in (submit, watch, jobs, logs):
        app.command()(command)


def _server(address: str | None) -> JobsServer:
    from winnow.pipelines.cluster.server import JobsServer

    return JobsServer(address)


def show_jobs(jobs: Sequence[JobStatus]) -> None:
    """One line per job, and the cause of those that failed."""
    if not jobs:
        say("no jobs of winnow there")
        return
    rows = ((j.metadata.get("snapshot", ""), j.metadata["folder"], _times(j.started, j.ended), j) for j in jobs)
    _table(
        ("job", "state", "snapshot", "started", "took", "folder"),
        ((j.id, j.state.lower(), snapshot, *times, folder) for snapshot, folder, times, j in rows),
    )
    for job in jobs:
        if job.state == "FAILED":
            say(f"{job.id}: {job.cause}")


def show_rows(rows: Sequence[Row]) -> None:
    """One line per snapshot."""
    if not rows:
        say("no snapshots to watch for yet")
        return
    lines = []
    for row in rows:
        last = row.record.last if row.record else None
        job = (str(last.number), *_times(last.started, last.ended), last.id) if last else ("",) * 4
        lines.append((row.snapshot, row.state, *job, row.note))
    _table(("snapshot", "state", "attempt", "started", "took", "job", ""), lines)


def json_job(job: JobStatus) -> dict[str, object]:
    """A job as one JSON object."""
    cause = job.cause if job.state == "FAILED" else ""
    times = {"started": job.started, "ended": job.ended}
    return {"id": job.id, "state": job.state.lower(), **times, "cause": cause, **job.metadata}


def json_row(row: Row) -> dict[str, object]:
    """A line of the watch's table as one JSON object."""
    facts: dict[str, object] = {"snapshot": row.snapshot, "state": row.state, "note": row.note}
    return facts | ({} if row.record is None else {"record": row.record.model_dump()})


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def _times(started: float | None, ended: float | None) -> tuple[str, str]:
    """When it started and how long it took, or takes until now."""
    if started is None:
        return "", ""
    minutes, seconds = divmod(round((ended or time.time()) - started), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{datetime.fromtimestamp(started, UTC):%Y-%m-%d %H:%MZ}", f"{hours}:{minutes:02}:{seconds:02}"
