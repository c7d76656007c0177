"""What stages take of a machine, and actors: they change where a run happens, never what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import winnow
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.plan import make_plan
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.resources import Bounds, Machine, Resources, refusal, together
from winnow.pipelines.engine.store import Store
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
