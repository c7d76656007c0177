"""A cluster of several machines, on this one: runs survive the loss of machines and workers, and say what a cluster lacks."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import winnow
from winnow.pipelines.engine.progress import Progress

from .cluster.head import agent_ports
from .test_kernels import fill

ROOT = Path(__file__).resolve().parents[2]
STORE = 80 * 2**20
FAST = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
FILES, ROWS = 16, 120


class Machines:
    """A head that only coordinates, and worker machines with one CPU each. State: Ray's processes."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "object_store_memory": STORE,
                "_system_config": FAST,
                "include_dashboard": False,
                **agent_ports(),
            },
        )
        self.workers: list[Any] = []
        self.grow(2)

    def grow(self, count: int, **options: Any) -> None:
        """Have so many workers."""
        while len(self.workers) < count:
            self.workers.append(
                self.cluster.add_node(num_cpus=1, object_store_memory=STORE, **agent_ports(), **options)
            )

    def lose(self, number: int = 0) -> None:
        """Kill every process of a worker machine."""
        self.cluster.remove_node(self.workers.pop(number), allow_graceful=False)

    def at_work(self) -> list[int]:
        """The worker processes that measure something."""
        raylets = {process.process.pid for node in self.workers for process in node.all_processes["raylet"]}
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, IndexError):
                    title = (entry / "cmdline").read_bytes()
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    if parent in raylets and title.startswith(b"ray::measure"):
                        found.append(int(entry.name))
        return found

    def start(self, recipe: Path, folder: Path, *assignments: str, **env: str) -> subprocess.Popen[str]:
        """A run of the command on this cluster."""
        command = [sys.executable, "-m", "winnow.pipelines.cli", "run", str(recipe), "--folder", str(folder)]
        for assignment in assignments:
            command += ["--set", assignment]
        return subprocess.Popen(
            command,
            cwd=recipe.parent,
            env={**os.environ, "RAY_ADDRESS": self.cluster.address, "RAY_AUTH_MODE": "disabled", **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_AUTH_MODE", "disabled")
    patch.setenv("RAY_worker_niceness", "0")  # other tests are busy beside it
    for name in ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"):
        patch.setenv(name, "1")
    started = Machines()
    yield started
    started.cluster.shutdown()
    patch.undo()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, str]]:
    """A declaration over files large enough to be a partition each, and the digests of an undisturbed run of it."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "in").mkdir()
    source = (ROOT / "README.md").read_text("utf-8")
    words = source.split()
    for number in range(FILES):
        lines = []
        for row in range(ROWS):
            at = (number * ROWS + row) * 7 % (len(words) - 900)
            text = " ".join(words[at : at + 400 + row]) + f" {number} {row}"
            lines.append(json.dumps({"id": f"{number}-{row}", "text": text, "unread": "-" * 8000}))
        (folder / "in" / f"docs-{number:02d}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    recipe = folder / "large.yaml"
    recipe.write_text(
        f"""name: large
language: en
sources:
  docs: {{use: jsonl, id: id, paths: ["{folder}/in/*.jsonl"]}}
stages:
  language: {{use: langid, keep: "score >= 0.1"}}
  rules: {{use: rules, packs: [gopher], keep: "word_count >= 20"}}
  dedup: {{use: minhash, keep: true}}
  shards: {{use: tokenize, tokenizer: ko-bpe}}
""",
        "utf-8",
    )
    winnow.run(recipe, folder=folder / "undisturbed", local=True, progress=Progress(quiet=True))
    return recipe, digests(folder / "undisturbed")


def digests(folder: Path) -> tuple[str, str]:
    """Digests of the selection and of the shards."""
    last = json.loads((folder / "run.json").read_text("utf-8"))
    selection = json.loads((folder / "selection" / last["plan"]["tasks"]["select"][0] / "done.json").read_text("utf-8"))
    manifest = json.loads((folder / last["shards"] / "manifest.json").read_text("utf-8"))
    return selection["digest"], manifest["digest"]


def lines(folder: Path) -> list[dict[str, Any]]:
    """The log of tasks."""
    return [json.loads(line) for file in sorted((folder / "tasks").glob("*.jsonl")) for line in file.open()]


def progress(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(FileNotFoundError):
        return dict(json.loads((folder / "progress.json").read_text("utf-8")))
    return {}


def wait_for(child: subprocess.Popen[str], seen: Callable[[], bool]) -> None:
    """Until something has happened in a run."""
    deadline = time.monotonic() + 600
    while not seen():
        assert child.poll() is None, child.communicate()[0][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finished(child: subprocess.Popen[str]) -> str:
    said, _ = child.communicate(timeout=6000)
    assert child.returncode == 0, said[-3000:]
    return said


def read(folder: Path) -> int:
    """Partitions that a run has read."""
    return len(list(folder.glob("records/*/*.json")))


@pytest.mark.parametrize("sets", [[], ["stages.language.actors=1..2"]], ids=["tasks", "actors"])
def test_a_killed_worker_and_then_a_lost_machine_change_nothing(
    machines: Machines, large: tuple[Path, tuple[str, str]], tmp_path: Path, sets: list[str]
) -> None:
    machines.grow(2)
    recipe, expected = large
    child = machines.start(recipe, tmp_path / "run", *sets)
    wait_for(child, lambda: read(tmp_path / "run") >= 2 and bool(machines.at_work()))
    os.kill(machines.at_work()[0], signal.SIGKILL)
    killed_at = read(tmp_path / "run")
    wait_for(child, lambda: read(tmp_path / "run") >= killed_at + 2)
    machines.lose()
    lost_at = read(tmp_path / "run")
    said = finished(child)
    print(f"killed a worker after {killed_at} of {FILES} partitions, lost a machine after {lost_at}")
    assert lost_at < FILES, "the machine was lost too late"
    assert digests(tmp_path / "run") == expected, said
    assert progress(tmp_path / "run")["state"] == "done"
    again = [(line["task"], line["partition"], line["attempt"]) for line in lines(tmp_path / "run") if line["attempt"]]
    print(again)
    assert again, "no task was started again"


def test_more_than_any_machine_has_is_refused_at_once(
    machines: Machines, large: tuple[Path, tuple[str, str]], tmp_path: Path
) -> None:
    machines.grow(2)
    child = machines.start(large[0], tmp_path / "run", "stages.rules.cpus=16", "stages.dedup.gpus=2")
    said, _ = child.communicate(timeout=600)
    assert child.returncode == 1
    assert "error: stages.rules asks for 16 CPUs a task, more than any machine of the cluster at RAY_ADDRESS=" in said
    assert "with 0 CPUs, 0 GPUs and" in said and "with 1 CPU, 0 GPUs and" in said
    assert progress(tmp_path / "run")["state"] == "failed"
    assert "16 CPUs" in progress(tmp_path / "run")["sentence"]


def test_a_cluster_with_other_code_is_refused_at_once(
    machines: Machines, large: tuple[Path, tuple[str, str]], tmp_path: Path
) -> None:
    machines.grow(2)
    copy = tmp_path / "other" / "winnow"
    for room in ("pipelines", "stages", "filters", "classifiers", "tokenize", "train_handoff"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "__init__.py", copy)
    with (copy / "stages" / "langid.py").open("a") as file:
        file.write("# another line\n")
    child = machines.start(large[0], tmp_path / "run", PYTHONPATH=str(copy.parent))
    said, _ = child.communicate(timeout=600)
    assert child.returncode == 1
    assert "with other code" in said and "install the same one on every machine" in said


def test_a_machine_without_winnow_is_named(
    machines: Machines, large: tuple[Path, tuple[str, str]], tmp_path: Path
) -> None:
    machines.grow(2)
    (tmp_path / "shadow" / "winnow").mkdir(parents=True)
    (tmp_path / "shadow" / "winnow" / "__init__.py").write_text("raise ImportError('no winnow here')\n", "utf-8")
    machines.grow(3, env_vars={"PYTHONPATH": str(tmp_path / "shadow")})
    child = machines.start(large[0], tmp_path / "run")
    said, _ = child.communicate(timeout=600)
    machines.lose(2)
    assert child.returncode == 1
    assert "cannot import winnow (no winnow here)" in said


def test_a_machine_that_lacks_kernels_compiles_them_before_the_first_task_and_the_run_says_so(
    machines: Machines, tmp_path: Path
) -> None:
    fill(tmp_path / "cache", lacked=())
    machines.grow(2)
    machines.grow(3, env_vars={"NUMBA_CACHE_DIR": str(tmp_path / "cache")})
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": "The river runs past old houses and a mill. " * 9}) + "\n")
    recipe = tmp_path / "small.yaml"
    stages = "{language: {use: langid, keep: true}}"
    recipe.write_text(
        f"name: small\nlanguage: en\nsources: {{docs: {{use: jsonl, paths: in.jsonl}}}}\nstages: {stages}\n"
    )
    said = finished(machines.start(recipe, tmp_path / "run"))
    machines.lose(2)
    assert said.index("note: compiling kernels on 1 of 3 machines, once on each") < said.index("1/1, ")
    assert list((tmp_path / "cache").rglob("*.compiled"))
