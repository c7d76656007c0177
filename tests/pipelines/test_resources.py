"""What stages take of a machine, and actors: they change where a run happens, never what comes out."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import winnow
from winnow.pipelines.engine.actors import IDLE_SECONDS, Pool
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.on_ray import RETRIES, OnRay, Watch
from winnow.pipelines.engine.plan import make_plan
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.resources import Bounds, Machine, Resources, refusal, together
from winnow.pipelines.engine.store import Store
from winnow.pipelines.engine.tasklog import Entry
from winnow.pipelines.engine.yaml_source import SpecError
from winnow.pipelines.results.table import open_run

SAID = ["stages.rules.cpus=2", "stages.rules.memory=64MiB", "stages.language.actors=1..2", "stages.dedup.cpus=0.5"]


def go(recipe: Path, *assignments: str, folder: str = "run", **options: Any) -> winnow.Run:
    return winnow.run(recipe, assignments, folder=recipe.parent / folder, progress=Progress(quiet=True), **options)


def test_resources_change_no_fingerprint_and_measure_nothing_again(recipe: Path) -> None:
    first = go(recipe, local=True)
    saved = make_plan(load_pipeline(recipe), Store(first.folder)).saved()
    assert make_plan(load_pipeline(recipe, SAID), Store(first.folder)).saved() == saved
    again = go(recipe, *SAID, local=True)
    assert again.did_nothing
    assert again.accounting["digest"] == first.accounting["digest"]
    assert open_run(first.folder).plan.pipeline.nodes["rules"].resources.cpus == 2


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("rules.cpus=0.5", Resources(cpus=0.5)),
        ("rules.gpus=1", Resources(gpus=1)),
        ("rules.memory=1000", Resources(memory=1000)),
        ("rules.memory=1.5GiB", Resources(memory=3 * 2**29)),
        ("rules.memory=2 GB", Resources(memory=2 * 10**9)),
        ("rules.actors=2..8", Resources(actors=Bounds(2, 8))),
        ("rules.actors=3", Resources(actors=Bounds(3, 3))),
        ("rules.actors={least: 1, most: 4}", Resources(actors=Bounds(1, 4))),
        ("rules.cpus=null", Resources()),
    ],
)
def test_how_resources_are_written(recipe: Path, said: str, expected: Resources) -> None:
    assert load_pipeline(recipe, [f"stages.{said}"]).nodes["rules"].resources == expected


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("rules: {use: rules, cpus: -1}", ["p.yaml:7: stages.rules.cpus: expected a number of CPUs above 0", "got -1"]),
        ("rules: {use: rules, cpus: 0}", ["stages.rules.cpus", "above 0"]),
        ("rules: {use: rules, cpus: 1.5}", ["stages.rules.cpus", "a whole one"]),
        ("rules: {use: rules, gpus: yes}", ["stages.rules.gpus: expected a number of GPUs", "got True"]),
        ("rules: {use: rules, memory: 4 gigs}", ["p.yaml:7: stages.rules.memory", "such as 512MiB or 4GiB", "got '4 gigs'"]),
        ("rules: {use: rules, memory: -5}", ["stages.rules.memory: expected a number of bytes", "got -5"]),
        ("rules: {use: rules, actors: 8..2}", ["stages.rules.actors: expected a number of actors from 1", "got '8..2'"]),
        ("rules: {use: rules, actors: {least: 1}}", ["stages.rules.actors", "{least: 2, most: 8}"]),
        ("rules: {use: rules, gpu: 1}", ["stages.rules.gpu: unknown key", "nearest: 'gpus'"]),
        ("rules: {use: mixture, by: language.label, actors: 2}", ["stages.rules.actors: kind 'mixture' measures nothing"]),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_its_place(tmp_path: Path, said: str, words: list[str]) -> None:
    path = tmp_path / "p.yaml"
    source = 'sources:\n  docs: {use: jsonl, paths: ["*.jsonl"]}\n'
    path.write_text(f"name: p\nlanguage: ko\n{source}stages:\n  language: {{use: langid}}\n  {said}\n", "utf-8")
    with pytest.raises(SpecError) as error:
        load_pipeline(path)
    assert len(str(error.value).splitlines()) == 1
    for word in words:
        assert word in str(error.value)


def test_a_fused_task_takes_the_most_of_its_stages(recipe: Path) -> None:
    nodes = load_pipeline(recipe, [*SAID, "stages.shards.actors=2..3"]).nodes
    taken = together(node.resources for node in nodes.values())
    assert taken == Resources(2, 0, 64 * 2**20, Bounds(2, 3))
    assert together([]) == Resources()


def test_machines_are_compared_one_by_one() -> None:
    """Two machines of 4 CPUs have no place for a task of 8, and a GPU on one is none for the memory of the other."""
    two = [Machine(4, 1, 8e9), Machine(4, 0, 64e9)]
    assert [machine.fits(Resources(cpus=0.5)) for machine in two] == [8, 8]
    assert refusal({"a": Resources(4, 1, 10**9), "b": Resources(4, 0, 32 * 10**9)}, two, "a cluster") is None
    assert refusal({"a": Resources(8)}, two, "any machine of it") == (
        "stages.a asks for 8 CPUs a task, more than any machine of it offers: 1 with 4 CPUs, 1 GPU and 7.5 GiB of memory; "
        "1 with 4 CPUs, 0 GPUs and 59.6 GiB of memory"
    )
    assert "1 CPU, 1 GPU and 29.8 GiB of memory" in str(refusal({"a": Resources(1, 1, 32 * 10**9)}, two, "it"))


def test_more_than_this_machine_has(ray_session: None, recipe: Path) -> None:
    said: list[str] = []
    plan = make_plan(load_pipeline(recipe), Store(str(recipe.parent / "run")))
    with pytest.raises(
        RunError, match=r"^stages.rules asks for 1 CPU and 1 GPU a task, more than this machine offers: 2 C"
    ):
        go(recipe, "stages.rules.gpus=1")
    with pytest.raises(RunError, match=r"^stages.rules asks for 1 CPU and 99999.0 GiB of memory a task, more than"):
        go(recipe, "stages.rules.memory=99999GiB")
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
    plain = go(recipe, local=True)
    by_actors = go(recipe, *SAID, folder="actors")
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
