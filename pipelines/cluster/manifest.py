"""A declaration as a manifest for KubeRay: a RayJob with a cluster of its own, or a RayCronJob that makes one at every
time of a schedule, and the declaration beside it in a ConfigMap (`kuberay.yaml.jinja`)."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from winnow.pipelines.cluster.bundle import DECLARATION, bundle, local
from winnow.pipelines.cluster.submit import Job
from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.errors import RunError

MOUNTED = "/etc/winnow"
"""Where the head finds the declaration. Workers are sent what they need of it."""

LARGEST = 900_000
"""Bytes of a declaration; a ConfigMap holds 1 MiB."""

KEPT_SECONDS = 600
"""How long a cluster stays after its job, for whoever wants to look at it."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster of the manifest. `memory` as Kubernetes writes it, such as 16Gi. `workers`: machines at least and at
    most. `secret`: of Kubernetes, whose keys become environment variables (AWS_ACCESS_KEY_ID, ...)."""

    image: str
    schedule: str | None = None
    secret: str | None = None
    head_cpus: int = 4
    head_memory: str = "16Gi"
    workers: tuple[int, int] = (1, 4)
    worker_cpus: int = 8
    worker_memory: str = "32Gi"
    worker_gpus: int = 0
    retries: int = 2
    shared: bool = False


def manifest(pipeline: Pipeline, job: Job, cluster: Cluster, watch: list[str] | None = None) -> str:
    """YAML of two resources. `watch`: further words of `winnow watch`, which a schedule of snapshots runs; None runs the
    declaration itself. Raises RunError for what a cluster in Kubernetes cannot see."""
    if local(job.folder) and not cluster.shared:
        raise RunError(
            f"--folder {job.folder}: is on this machine; expected a storage URL such as s3://bucket/runs/{job.name}, or "
            "--shared where the image or a volume has it under this path"
        )
    bundled = bundle(pipeline, cluster.shared, "a cluster in Kubernetes")
    if bundled.files:
        first = next(iter(bundled.files.values()))
        raise RunError(
            f"{first}: a stage names this local file, which a manifest cannot carry; put it into the image, and give --shared "
            "where it has the same path there"
        )
    if len(bundled.declaration.encode()) > LARGEST:
        raise RunError(f"the declaration has more than {LARGEST:,} bytes, which is too much for a ConfigMap")
    path = f"{MOUNTED}/{DECLARATION}"
    command = job.command("python", path)
    if watch is not None:
        command = shlex.join(["python", "-m", "winnow.pipelines.cli", "watch", path, "--once", "--wait", *watch])
    if cluster.schedule is not None:
        _check_schedule(cluster.schedule)
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=folder, trim_blocks=True, undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters["quoted"] = partial(json.dumps, ensure_ascii=False)  # JSON is YAML, whatever a text holds
    return environment.get_template("kuberay.yaml.jinja").render(
        name=_resource_name(job.name),
        declaration=bundled.declaration,
        command=command,
        cluster=cluster,
        ray=version("ray"),
        mounted=MOUNTED,
        kept_seconds=KEPT_SECONDS,
    )


def parse_workers(text: str) -> tuple[int, int]:
    """Machines at least and at most, of `4` or `1..16`."""
    found = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 0 <= least <= most or most < 1:
        raise RunError(f"--workers {text}: expected a number of machines, or a range such as 1..16")
    return least, most


def _resource_name(name: str) -> str:
    """A name as Kubernetes wants it: short, since names of pods and services are made from it."""
    made = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:30].strip("-")
    return f"winnow-{made}" if made else "winnow"


def _check_schedule(text: str) -> None:
    if len(text.split()) != 5 and not text.startswith("@"):
        raise RunError(f"--schedule '{text}': expected five fields of cron, such as '0 6 * * *', or @daily")
