"""A declaration as a manifest for KubeRay: a RayJob with a cluster of its own, or a RayCronJob that makes one at every
time of a schedule, and the declaration beside it in a ConfigMap.

Field names are those of the ray.io/v1 resources. `authOptions` needs KubeRay 1.5.1; RayCronJob needs 1.6 with the
operator's feature gate of that name.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import yaml

from winnow.pipelines.cluster.bundle import DECLARATION, bundle, local
from winnow.pipelines.cluster.submit import Job
from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.execute import RunError

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
    name = _resource_name(job.name)
    path = f"{MOUNTED}/{DECLARATION}"
    command = job.command("python", path)
    if watch is not None:
        command = shlex.join(["python", "-m", "winnow.pipelines.cli", "watch", path, "--once", "--wait", *watch])
    spec = _job(name, command, cluster)
    resource: dict[str, Any] = {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": name}, "spec": spec}
    if cluster.schedule is not None:
        resource |= {"kind": "RayCronJob", "spec": {"schedule": _schedule(cluster.schedule), "jobTemplate": spec}}
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {DECLARATION: bundled.declaration},
    }
    return yaml.dump_all([config, resource], Dumper=_Readable, allow_unicode=True, sort_keys=False, width=4096)


def parse_workers(text: str) -> tuple[int, int]:
    """Machines at least and at most, of `4` or `1..16`."""
    found = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 0 <= least <= most or most < 1:
        raise RunError(f"--workers {text}: expected a number of machines, or a range such as 1..16")
    return least, most


def _job(name: str, command: str, cluster: Cluster) -> dict[str, Any]:
    least, most = cluster.workers
    mount = {"name": "declaration", "mountPath": MOUNTED, "readOnly": True}
    head = _container("ray-head", cluster, cluster.head_cpus, cluster.head_memory, 0)
    head |= {
        "ports": [
            {"containerPort": 6379, "name": "gcs-server"},
            {"containerPort": 8265, "name": "dashboard"},
            {"containerPort": 10001, "name": "client"},
            {"containerPort": 8080, "name": "metrics"},
        ],
        "volumeMounts": [mount],
    }
    worker = _container("ray-worker", cluster, cluster.worker_cpus, cluster.worker_memory, cluster.worker_gpus)
    volume = {"name": "declaration", "configMap": {"name": name}}
    return {
        "entrypoint": command,
        "submissionMode": "K8sJobMode",
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": KEPT_SECONDS,
        "backoffLimit": cluster.retries,
        "rayClusterSpec": {
            "rayVersion": version("ray"),
            "authOptions": {"mode": "token"},
            "enableInTreeAutoscaling": least != most,
            "headGroupSpec": {
                "rayStartParams": {"dashboard-host": "0.0.0.0"},
                "template": {"spec": {"containers": [head], "volumes": [volume]}},
            },
            "workerGroupSpecs": [
                {
                    "groupName": "workers",
                    "replicas": least,
                    "minReplicas": least,
                    "maxReplicas": most,
                    "rayStartParams": {},
                    "template": {"spec": {"containers": [worker]}},
                }
            ],
        },
    }


def _container(name: str, cluster: Cluster, cpus: int, memory: str, gpus: int) -> dict[str, Any]:
    amounts: dict[str, Any] = {"cpu": str(cpus), "memory": memory}
    amounts |= {"nvidia.com/gpu": str(gpus)} if gpus else {}
    container: dict[str, Any] = {"name": name, "image": cluster.image}
    if cluster.secret:
        container["envFrom"] = [{"secretRef": {"name": cluster.secret}}]
    return container | {"resources": {"requests": amounts, "limits": dict(amounts)}}


def _resource_name(name: str) -> str:
    """A name as Kubernetes wants it: short, since names of pods and services are made from it."""
    made = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:30].strip("-")
    return f"winnow-{made}" if made else "winnow"


def _schedule(text: str) -> str:
    if len(text.split()) != 5 and not text.startswith("@"):
        raise RunError(f"--schedule '{text}': expected five fields of cron, such as '0 6 * * *', or @daily")
    return text


class _Readable(yaml.SafeDumper):
    """Texts of several lines as blocks, everything written out where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)
