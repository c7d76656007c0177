"""The manifest for KubeRay: fields that the resources have, values of their types, and what it refuses to carry."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from winnow.pipelines.cluster.manifest import Cluster, manifest, parse_workers
from winnow.pipelines.cluster.submit import Job
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.errors import RunError

Command = Callable[..., "subprocess.CompletedProcess[str]"]

# Field -> type or fields, of the ray.io/v1 custom resource definitions (KubeRay 1.5.1 and 1.6) and of Kubernetes' core/v1,
# as far as a manifest of ours may use them. A list holds the fields of its items.
AMOUNTS = {"cpu": str, "memory": str, "nvidia.com/gpu": str}
CONTAINER = {
    "name": str,
    "image": str,
    "env": [{"name": str, "value": str}],
    "envFrom": [{"secretRef": {"name": str, "optional": bool}}],
    "resources": {"requests": AMOUNTS, "limits": AMOUNTS},
    "ports": [{"containerPort": int, "name": str}],
    "volumeMounts": [{"name": str, "mountPath": str, "readOnly": bool}],
}
POD = {"spec": {"containers": [CONTAINER], "volumes": [{"name": str, "configMap": {"name": str}}]}}
RAY_CLUSTER = {
    "rayVersion": str,
    "authOptions": {"mode": str},
    "enableInTreeAutoscaling": bool,
    "headGroupSpec": {"rayStartParams": dict, "template": POD},
    "workerGroupSpecs": [
        {
            "groupName": str,
            "replicas": int,
            "minReplicas": int,
            "maxReplicas": int,
            "rayStartParams": dict,
            "template": POD,
        }
    ],
}
RAY_JOB = {
    "entrypoint": str,
    "submissionMode": str,
    "shutdownAfterJobFinishes": bool,
    "ttlSecondsAfterFinished": int,
    "backoffLimit": int,
    "rayClusterSpec": RAY_CLUSTER,
}
SPECS = {"RayJob": RAY_JOB, "RayCronJob": {"schedule": str, "jobTemplate": RAY_JOB}}


def check(value: Any, fields: Any, where: str) -> None:
    """Every field is known, and of its type."""
    if isinstance(fields, dict):
        assert isinstance(value, dict) and set(value) <= set(fields), f"{where}: {value}"
        for name, inside in value.items():
            check(inside, fields[name], f"{where}.{name}")
    elif isinstance(fields, list):
        assert isinstance(value, list) and value, where
        for item in value:
            check(item, fields[0], where)
    else:
        assert type(value) is fields, f"{where}: {value!r}"


@pytest.fixture
def stored(recipe: Path) -> Path:
    """A declaration whose input is in object storage."""
    text = recipe.read_text("utf-8").replace(f"{recipe.parent}/in/", "s3://bucket/in/")
    path = recipe.parent / "stored.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_run_becomes_a_ray_job_with_its_declaration(stored: Path, winnow_command: Command) -> None:
    words = ["submit", "stored.yaml", "--manifest", "--image", "registry.example/winnow:1", "--secret", "s3-keys"]
    words += ["--folder", "s3://bucket/runs/small", "--workers", "2..8", "--worker-gpus", "1", "--strict"]
    done = winnow_command(*words, "--set", "rejected=metadata", cwd=stored.parent)
    assert done.returncode == 0, done.stderr
    config, job = yaml.safe_load_all(done.stdout)
    assert (config["apiVersion"], config["kind"]) == ("v1", "ConfigMap")
    declared = yaml.safe_load(config["data"]["declaration.yaml"])
    assert declared == load_pipeline(stored, ["rejected=metadata"]).tree
    assert (job["apiVersion"], job["kind"], job["metadata"]) == ("ray.io/v1", "RayJob", config["metadata"])
    check(job["spec"], SPECS["RayJob"], "spec")

    cluster = job["spec"]["rayClusterSpec"]
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    (group,) = cluster["workerGroupSpecs"]
    (worker,) = group["template"]["spec"]["containers"]
    assert (group["minReplicas"], group["maxReplicas"], cluster["enableInTreeAutoscaling"]) == (2, 8, True)
    assert worker["resources"]["limits"] == {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "1"}
    for container in (head, worker):
        assert container["image"] == "registry.example/winnow:1"
        assert container["envFrom"] == [{"secretRef": {"name": "s3-keys"}}]
    command = shlex.split(job["spec"]["entrypoint"])
    mounted = head["volumeMounts"][0]["mountPath"]
    assert command[:4] == ["python", "-m", "winnow.pipelines.cluster.entry", f"{mounted}/declaration.yaml"]
    assert command[4:] == ["--folder", "s3://bucket/runs/small", "--strict"]


def test_a_schedule_becomes_a_ray_cron_job_that_watches_where_there_are_snapshots(
    stored: Path, winnow_command: Command
) -> None:
    words = ["submit", "stored.yaml", "--manifest", "--image", "x", "--folder", "s3://b/ko", "--schedule", "0 6 * * *"]
    done = winnow_command(*words, cwd=stored.parent)
    _, cron = yaml.safe_load_all(done.stdout)
    check(cron["spec"], SPECS["RayCronJob"], "spec")
    assert cron["kind"] == "RayCronJob" and cron["spec"]["schedule"] == "0 6 * * *"
    assert " winnow.pipelines.cluster.entry " in cron["spec"]["jobTemplate"]["entrypoint"]

    crawl = ["--set", "sources.docs=null", "--set", "sources.crawl={use: commoncrawl, snapshot: '2026..', via: wet}"]
    done = winnow_command(*words, *crawl, cwd=stored.parent)
    assert done.returncode == 0, done.stderr
    config, cron = yaml.safe_load_all(done.stdout)
    command = shlex.split(cron["spec"]["jobTemplate"]["entrypoint"])
    assert command[:3] == ["python", "-m", "winnow.pipelines.cli"]
    assert command[3:] == ["watch", "/etc/winnow/declaration.yaml", "--once", "--wait", "--folder", "s3://b/ko"]
    assert "2026.." in config["data"]["declaration.yaml"]


def test_what_a_manifest_cannot_carry_is_refused(stored: Path, recipe: Path, winnow_command: Command) -> None:
    pipeline = load_pipeline(stored)
    with pytest.raises(RunError, match="--folder /data/x: is on this machine; expected a storage URL"):
        manifest(pipeline, Job("small", "/data/x"), Cluster("x"))
    with pytest.raises(RunError, match=r"sources\.docs\.paths: .* which a cluster in Kubernetes does not see"):
        manifest(load_pipeline(recipe), Job("small", "s3://b/x"), Cluster("x"))
    assert "/in/*.jsonl" in manifest(load_pipeline(recipe), Job("small", "/data/x"), Cluster("x", shared=True))
    (stored.parent / "mine.txt").write_text("bad.example\n")
    urls = {"use": "urls", "lists": [{"path": f"{stored.parent}/mine.txt", "kind": "domains"}]}
    tree = yaml.safe_load(stored.read_text("utf-8"))
    stored.write_text(yaml.safe_dump(tree | {"stages": {"urls": urls} | tree["stages"]}, sort_keys=False), "utf-8")
    with pytest.raises(RunError, match=r"mine\.txt: a stage names this local file, which a manifest cannot carry"):
        manifest(load_pipeline(stored), Job("small", "s3://b/x"), Cluster("x"))
    with pytest.raises(RunError, match="--schedule 'daily': expected five fields of cron"):
        manifest(pipeline, Job("small", "s3://b/x"), Cluster("x", schedule="daily"))
    assert (parse_workers("4"), parse_workers("0..3")) == ((4, 4), (0, 3))
    for wrong in ("0", "3..1", "many"):
        with pytest.raises(RunError, match="expected a number of machines, or a range"):
            parse_workers(wrong)
    for words, said in (
        (["--image", "x"], "say how a cluster is made; expected with --manifest"),
        (["--manifest"], "expected the --image that the pods run"),
        (["--manifest", "--image", "x", "--code", "wheel"], "a manifest carries no code"),
    ):
        done = winnow_command("submit", "stored.yaml", *words, cwd=stored.parent)
        assert done.returncode == 1 and said in done.stderr
