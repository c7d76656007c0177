"""Handing a declaration to a cluster: the job and its id, the bundle, the code, the command."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import winnow
from winnow.pipelines.cluster.bundle import DECLARATION, bundle, local
from winnow.pipelines.cluster.server import MARK, WAITING, JobsServer, JobStatus
from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.store import fingerprint

Code = Literal["installed", "wheel"]


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """How jobs are handed over. `shared`: every machine of the cluster sees the files of this one. `python`: the
    interpreter there; None for this one where the jobs server is on this machine, else `python`."""

    code: Code = "installed"
    shared: bool = False
    python: str | None = None


def submit(pipeline: Pipeline, job: Job, server: JobsServer, options: SubmitOptions) -> Job:
    """Submit as the next attempt after those that the server knows. Returns the job. Raises RunError where an attempt is
    still at work."""
    check_folder(job.folder, server, options)
    known = server.jobs()
    while (before := known.get(job.id)) is not None:
        if before.state in WAITING:
            raise RunError(f"{server.address}: {job.id} is at work on this already; see: winnow logs {job.id} --follow")
        job = replace(job, attempt=job.attempt + 1)
    if not send(pipeline, job, server, options):
        raise RunError(f"{server.address}: {job.id} was submitted by somebody else just now")
    return job


def send(pipeline: Pipeline, job: Job, server: JobsServer, options: SubmitOptions) -> bool:
    """Submit exactly this job. False where the server has it already."""
    seen_there = options.shared or server.here
    with tempfile.TemporaryDirectory(prefix="winnow-job-") as folder:
        below = Path(folder) / "bundle"
        below.mkdir()
        bundle(pipeline, seen_there, server.address).write(below)
        environment: dict[str, Any] = {"working_dir": str(below)}
        if options.code == "wheel":
            environment["py_modules"] = [str(wheel_package(Path(folder) / "wheel"))]
        python = options.python or (sys.executable if server.here else "python")
        only_here = local(job.folder) and not options.shared
        return server.submit(job.id, job.command(python, here=only_here), environment, job.metadata(own_version()))


def check_folder(folder: str, server: JobsServer, options: SubmitOptions) -> None:
    """Raises RunError for the folder of a run on this disk, where the cluster may not see it."""
    if local(folder) and not (options.shared or server.here):
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


def newest_first(jobs: Mapping[str, JobStatus]) -> list[JobStatus]:
    """Winnow's jobs; those that have not started come first."""
    ours = [job for job in jobs.values() if job.ours]
    return sorted(ours, key=lambda job: (job.started is not None, -(job.started or 0.0), job.id))


@dataclass(frozen=True, slots=True)
class Job:
    """What to run. `folder`: of the run, a path or an fsspec URL. `remember`: where the run's duplicate index goes
    afterwards; None where there is none to keep."""

    name: str
    folder: str
    snapshot: str | None = None
    attempt: int = 1
    remember: str | None = None
    strict: bool = False

    @property
    def id(self) -> str:
        """The submission id, from name, folder, snapshot and attempt. A jobs server refuses a second job of one id."""
        words = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join([self.name, *([self.snapshot] if self.snapshot else [])]))
        digest = fingerprint(self.name, self.folder, self.snapshot)[:8]
        return f"winnow-{words.strip('-')}-{digest}-{self.attempt}"

    def metadata(self, version: str) -> dict[str, str]:
        """What the jobs server keeps beside the job, for `winnow jobs`."""
        facts = {MARK: version, "name": self.name, "folder": self.folder, "attempt": str(self.attempt)}
        return facts | ({"snapshot": self.snapshot} if self.snapshot else {})

    def command(self, python: str, declaration: str = DECLARATION, here: bool = False) -> str:
        """The shell command of the job. `here`: its folder is on this machine, so that it refuses to run on another."""
        words = [python, "-m", "winnow.pipelines.cluster.entry", declaration, "--folder", self.folder]
        words += ["--remember", self.remember] if self.remember else []
        words += ["--strict"] if self.strict else []
        words += ["--only-on", socket.gethostname()] if here else []
        return shlex.join(words)


def wheel_package(folder: Path) -> Path:
    """Build a wheel of the checkout that runs, and unpack it below `folder`. Returns the package's folder, which Ray sends
    as it is: given the wheel itself, it would install everything that winnow depends on for every job."""
    root = Path(winnow.__file__).parent
    if not (root / "pyproject.toml").is_file():
        raise RunError(
            f"--code wheel: winnow runs from {root}, which is not a checkout (no pyproject.toml); expected an editable "
            "installation, or --code installed with winnow on the cluster's machines"
        )
    build, wheels = folder / "build", folder / "wheels"
    build.mkdir(parents=True)
    # The build must leave nothing in the checkout, and take nothing that an earlier one left there.
    settings = folder / "build.cfg"
    settings.write_text(f"[build]\nbuild_base={build}\n[egg_info]\negg_base={build}\n", "utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            str(wheels),
            str(root),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"DIST_EXTRA_CONFIG": str(settings)},
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise RunError(f"--code wheel: {root} cannot be built: {last}")
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "code", [name for name in wheel.namelist() if name.startswith("winnow/")])
    return folder / "code" / "winnow"
