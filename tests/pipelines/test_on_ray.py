"""What only Ray can show: it gives what the calling process gives, tells of its tasks, and ends a run that it cannot carry out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import fsspec
import pytest

import winnow
from winnow.pipelines.engine.actors import IDLE_SECONDS, Pool
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.execute import Local
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.on_ray import RETRIES, OnRay, Watch
from winnow.pipelines.engine.plan import make_plan
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.reselect import reselect
from winnow.pipelines.engine.resources import Bounds, Resources
from winnow.pipelines.engine.store import Store
from winnow.pipelines.engine.tasklog import Entry
from winnow.pipelines.results.table import open_run
from winnow.pipelines.status import read_status
from winnow.stages.base import StageError
from winnow.tokenize.reader import ShardSet

from .conftest import s3_environment, write_corpus, write_declaration
from .test_resources import SAID

QUIET = Progress(quiet=True)


def go(recipe: Path, *assignments: str, folder: str = "run", local: bool = True) -> winnow.Run:
    return winnow.run(recipe, assignments, folder=recipe.parent / folder, progress=QUIET, local=local)


@pytest.fixture(scope="module", autouse=True)
def storage(s3_server: str) -> Iterator[None]:
    """Ray's workers know what the process knew that started Ray."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_environment(s3_server).items():
            patch.setenv(name, value)
        yield


def test_object_storage_gives_the_same_digests(tmp_path: Path, s3: None, ray_session: None) -> None:
    """Inputs and folder are on object storage, over real HTTP."""
    pytest.importorskip("s3fs", reason="needs the s3 extra")
    bucket = "s3://winnow-test"
    fsspec.filesystem("s3").mkdir("winnow-test")
    write_corpus(tmp_path / "in", files=1, rows=72)  # each file is some 200 requests more
    recipe = write_declaration(tmp_path / "small.yaml", tmp_path)
    less = ["stages.rules=null", "stages.language.keep=label = 'ko'"]  # each group of rules is some files more
    on_disk = go(recipe, *less)
    fs = fsspec.filesystem("s3")
    fs.put(f"{tmp_path}/in/", f"{bucket}/in/", recursive=True)
    sets = [*less, f'sources.docs.paths=["{bucket}/in/*.jsonl"]']
    remote = winnow.run(recipe, sets, folder=f"{bucket}/run", local=True, progress=QUIET)
    assert remote.accounting["digest"] == on_disk.accounting["digest"]
    manifests = []
    for run in (on_disk, remote):
        with fsspec.open(f"{run.shards}/manifest.json", "rb") as file:
            manifests.append(json.load(file))
    assert manifests[0] == manifests[1]
    again = winnow.run(recipe, sets, folder=f"{bucket}/run", local=True, progress=QUIET)
    assert again.did_nothing
    on_ray = winnow.run(recipe, sets, folder=f"{bucket}/on-ray", progress=QUIET)
    assert on_ray.documents().collect().equals(on_disk.documents().collect())
    documents = open_run(f"{bucket}/run").documents().collect()
    assert documents.equals(on_disk.documents().collect())
    edit = ["stages.language.keep=label = 'ko' and score >= quantile(0.5)"]
    chosen = [
        reselect(open_run(folder), edit, name="half", progress=QUIET) for folder in (on_disk.folder, f"{bucket}/run")
    ]
    assert chosen[0].accounting["digest"] == chosen[1].accounting["digest"]
    assert open_run(f"{bucket}/run@half").documents().collect().equals(chosen[0].documents().collect())


def test_ray_and_local_and_any_number_of_workers_agree(ran: Path, ray_session: None) -> None:
    alone = go(ran)
    on_ray = go(ran, folder="ray", local=False)
    assert on_ray.accounting["digest"] == alone.accounting["digest"]
    assert ShardSet.open(str(on_ray.shards)).digest == ShardSet.open(str(alone.shards)).digest


def test_statistics_told_on_ray_are_those_told_alone(
    ran: Path, ray_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.pipelines.engine.run.LIGHT_DOCUMENTS", 0)
    keep = "stages.rules.keep=top 40% of tokens by unique_words temperature 0.5 and char_count >= quantile(0.1)"
    runs = [go(ran, keep, folder="ray", local=False), go(ran, keep)]
    assert runs[0].accounting["digest"] == runs[1].accounting["digest"]


def test_a_cluster_is_used_through_its_address_and_nothing_else_changes(ran: Path, ray_session: None) -> None:
    import ray

    address = ray.get_runtime_context().gcs_address
    words = ["run", str(ran), "--folder", str(ran.parent / "cluster")]
    done = subprocess.run(
        [sys.executable, "-m", "winnow.pipelines.cli", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "RAY_ADDRESS": address, "RAY_AUTH_MODE": "disabled"},
    )
    assert done.returncode == 0, done.stderr
    shards = ShardSet.open(str(open_run(ran.parent / "cluster").shards))
    assert shards.digest == ShardSet.open(str(go(ran).shards)).digest, "though its files shared one partition"


def test_a_task_that_fails_has_a_line_too(ray_session: None, recipe: Path) -> None:
    plan = make_plan(load_pipeline(recipe), Store(str(recipe.parent / "run")))

    def refuse(table: Any, partition: Partition, level: int) -> None:
        raise StageError(f"no more in level {level}")

    entries: list[Entry] = []
    for here in (nullcontext(Local(plan, entries.append)), OnRay(plan, None, took=entries.append)):
        with pytest.raises(StageError, match="no more in level 7"), here as executor:
            list(executor.run(refuse, [(plan.partitions[1], 7)]))
    for entry in entries:
        assert entry["error"] == "StageError: no more in level 7"
        assert (entry["task"], entry["partition"], entry["level"]) == ("refuse", plan.partitions[1].key, 7)
    assert len(entries) == 2


def test_on_ray_metrics_are_exported_and_workers_keep_their_lines(ray_session: None, recipe: Path) -> None:
    import ray

    run = go(recipe, "name=metered", local=False)  # a name of its own: counters live as long as the process
    node = next(n for n in ray.nodes() if n["Alive"])
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    exported = ""

    def figure(name: str, **labels: str) -> float:
        at = [line for line in exported.splitlines() if line.startswith(f"ray_{name}{{")]
        at = [line for line in at if all(f'{k}="{v}"' in line for k, v in {"run": "metered", **labels}.items())]
        return sum(float(line.rpartition(" ")[2]) for line in at)

    deadline = time.monotonic() + 300
    # Workers export when they come to it.
    while (
        figure("winnow_task_seconds_count", task="select") < 2
        or figure("winnow_tasks_total", task="measure", outcome="done") < 4
    ):
        assert time.monotonic() < deadline, exported[-2000:]
        time.sleep(0.5)
        exported = urllib.request.urlopen(url, timeout=10).read().decode("utf-8")

    assert figure("winnow_rows_total", stage="docs", outcome="kept") == 240
    assert figure("winnow_rows_total", stage="docs", outcome="failed") == 1
    assert figure("winnow_rows_total", stage="language", outcome="dropped") == 40
    assert figure("winnow_rows_total", stage="dedup", outcome="kept") == run.accounting["stages"]["dedup"]["kept"]
    assert figure("winnow_task_seconds_count", task="select") == 2
    assert figure("winnow_tasks_total", task="measure", outcome="done") == 4
    assert figure("winnow_bytes_fetched_total", source="docs") == sum(
        f.stat().st_size for f in recipe.parent.glob("in/*")
    )
    assert read_status(run.folder)["job"] == ray.get_runtime_context().get_job_id()
    folder = Path(ray._private.worker._global_node.get_session_dir_path()) / "logs"
    kept = [line for file in folder.glob("worker-*.err") for line in file.read_text("utf-8").splitlines()]
    logged = [json.loads(line) for line in kept if line.startswith('{"task":')]
    keys = {p.key for p in run.plan.partitions}
    assert {line["partition"] for line in logged if line["task"] == "measure"} >= keys
    assert all(line["pid"] != os.getpid() for line in logged)


def test_more_than_this_machine_has(ray_session: None, recipe: Path) -> None:
    said: list[str] = []
    plan = make_plan(load_pipeline(recipe), Store(str(recipe.parent / "run")))
    with pytest.raises(
        RunError, match=r"^stages.rules asks for 1 CPU and 1 GPU a task, more than this machine offers: 2 C"
    ):
        go(recipe, "stages.rules.gpus=1", local=False)
    with pytest.raises(RunError, match=r"^stages.rules asks for 1 CPU and 99999.0 GiB of memory a task, more than"):
        go(recipe, "stages.rules.memory=99999GiB", local=False)
    with OnRay(plan, None, {"rules": Resources(cpus=64)}, say=said.append) as executor:
        list(executor.run(pid, [(1,)], resources=Resources(cpus=64)))
    assert said == ["stages.rules: 64 CPUs asked for, and this machine gives 2: it takes those"]


def test_a_run_does_not_wait_for_ever_for_a_machine_that_was_lost(
    ray_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    possible, impossible = Watch(ray, Resources(cpus=2), "here"), Watch(ray, Resources(gpus=1), "here")
    for watch in (possible, impossible):
        watch.look()
    monkeypatch.setattr("winnow.pipelines.engine.on_ray.MACHINE_WAIT_SECONDS", 0.0)
    possible.look()
    with pytest.raises(
        RunError, match="here: for 0 s no machine has offered 1 CPU and 1 GPU, which a task needs: 2 CPUs"
    ):
        impossible.look()


def test_actors_give_what_tasks_give(ray_session: None, recipe: Path) -> None:
    plain = go(recipe)
    by_actors = go(recipe, *SAID, folder="actors", local=False)
    assert by_actors.accounting["digest"] == plain.accounting["digest"]
    assert by_actors.accounting["shards"] == plain.accounting["shards"]


def pid(plan: Any, number: int) -> dict[str, Any]:
    return {"pid": os.getpid()}


pid.__module__ = "__main__"  # so that it travels with its code: workers cannot import a test


def deadly() -> Callable[..., None]:
    """A task that kills its worker; as a nested function it travels with its code."""

    def kill(plan: Any, number: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    return kill


@pytest.mark.parametrize("actors", [None, Bounds(1, 2)], ids=["task", "actor"])
def test_what_kills_every_worker_ends_the_run_with_a_sentence(
    ray_session: None, recipe: Path, actors: Bounds | None
) -> None:
    entries: list[Entry] = []
    plan = make_plan(load_pipeline(recipe), Store(str(recipe.parent / "run")))
    with (
        pytest.raises(RunError, match=rf"^task kill\(7\) lost its worker {RETRIES + 1} times .*; run with --local"),
        OnRay(plan, None, took=entries.append) as executor,
    ):
        list(executor.run(deadly(), [(7,)], resources=Resources(cpus=0.5, actors=actors)))
    assert [e["attempt"] for e in entries] == (list(range(RETRIES + 1)) if actors else [RETRIES])
    assert all(e["error"] for e in entries)


def test_a_pool_grows_while_tasks_wait_shrinks_when_idle_and_keeps_its_processes(
    ray_session: None, tmp_path: Path
) -> None:
    import ray

    def nap(plan: Any, seconds: float) -> dict[str, Any]:
        (tmp_path / str(os.getpid())).touch()
        end = time.monotonic() + 300
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < end:
            time.sleep(0.05)  # until there is another process
        time.sleep(seconds)
        return {"pid": os.getpid()}

    sizes: list[int] = []
    calls = [(0.1,)] * 20 + [(3 * IDLE_SECONDS,)]
    options = {"num_cpus": 0.25}
    with Pool(ray, ray.put(None), options, Bounds(1, 3), RETRIES, 10, lambda: None, sizes.append) as pool:
        done = [result for _, _, result, _ in pool.run(nap, calls) if result]
        left = len(pool.actors)
    assert len(done) == len(calls)
    assert sizes[0] == 1 and max(sizes) == 3, sizes
    assert left == 1, "the idle ones are gone before the last task ends"
    assert sizes[-1] == 0 and not pool.actors
    assert 2 <= len({entry["pid"] for _, entry in done}) <= 3
