"""Handing a declaration to a cluster: the parcel, the code, the command, the id."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from winnow.pipelines.cluster.checkout import package
from winnow.pipelines.cluster.job import Job, local
from winnow.pipelines.cluster.parcel import pack
from winnow.pipelines.cluster.server import WAITING, JobsServer, Seen
from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.execute import RunError

Code = Literal["installed", "wheel"]


@dataclass(frozen=True, slots=True)
class Sending:
    """How jobs are handed over. `shared`: every machine of the cluster sees the files of this one. `python`: the
    interpreter there; None for this one where the jobs server is on this machine, else `python`."""

    code: Code = "installed"
    shared: bool = False
    python: str | None = None


def submit(pipeline: Pipeline, job: Job, server: JobsServer, sending: Sending) -> Job:
    """Submit as the next attempt after those that the server knows. Returns the job. Raises RunError where an attempt is
    still at work."""
    check_folder(job.folder, server, sending)
    known = server.jobs()
    while (before := known.get(job.id)) is not None:
        if before.state in WAITING:
            raise RunError(f"{server.address}: {job.id} is at work on this already; see: winnow logs {job.id} --follow")
        job = replace(job, attempt=job.attempt + 1)
    if not send(pipeline, job, server, sending):
        raise RunError(f"{server.address}: {job.id} was submitted by somebody else just now")
    return job


def send(pipeline: Pipeline, job: Job, server: JobsServer, sending: Sending) -> bool:
    """Submit exactly this job. False where the server has it already."""
    seen_there = sending.shared or server.here
    with tempfile.TemporaryDirectory(prefix="winnow-job-") as folder:
        parcel = Path(folder) / "parcel"
        parcel.mkdir()
        pack(pipeline, seen_there, server.address).write(parcel)
        environment: dict[str, Any] = {"working_dir": str(parcel)}
        if sending.code == "wheel":
            environment["py_modules"] = [str(package(Path(folder) / "wheel"))]
        python = sending.python or (sys.executable if server.here else "python")
        only_here = local(job.folder) and not sending.shared
        return server.submit(job.id, job.command(python, here=only_here), environment, job.metadata(own_version()))


def check_folder(folder: str, server: JobsServer, sending: Sending) -> None:
    """Raises RunError for the folder of a run on this disk, where the cluster may not see it."""
    if local(folder) and not (sending.shared or server.here):
        raise RunError(
            f"--folder {folder}: is on this machine, and the jobs server at {server.address} is not; expected a storage URL "
            "such as s3://bucket/runs/ko, or --shared where every machine has it under this path"
        )


def placed(folder: str | None, pipeline: Pipeline) -> str:
    """The folder of a run as any machine can name it: a URL, or an absolute path. Default: runs/<name>."""
    found = folder or f"runs/{pipeline.name}"
    return found if "://" in found else os.path.abspath(found)  # noqa: PTH100 (links stay as they are written)


def own_version() -> str:
    """The version of winnow that submits."""
    try:
        return version("winnow")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"


def newest_first(jobs: Mapping[str, Seen]) -> list[Seen]:
    """Winnow's jobs; those that have not started come first."""
    ours = [job for job in jobs.values() if job.ours]
    return sorted(ours, key=lambda job: (job.started is not None, -(job.started or 0.0), job.id))
