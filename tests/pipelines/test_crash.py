"""Kill -9 anywhere: of the driver, and of a worker. Running again ends where an undisturbed run ends.

WINNOW_KILLS says how many kills (default 2, half of each kind). How much of the run is there when the kill comes is drawn
from a fixed seed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .in_process import command

KILLS = int(os.environ.get("WINNOW_KILLS", "2"))


def start(recipe: Path, folder: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "winnow.pipelines.cli", "run", str(recipe), "--folder", str(folder)]
    log = (folder.parent / f"{folder.name}.log").open("ab")
    return subprocess.Popen([*command, "--workers", str(workers)], stdout=log, stderr=log, start_new_session=True)


def finish(recipe: Path, folder: Path, workers: int) -> None:
    """Run to the end; a cluster that a killed driver left behind may hold the lock for a moment."""
    deadline = time.monotonic() + 900
    while True:
        child = start(recipe, folder, workers)
        if child.wait(timeout=900) == 0:
            return
        log = (folder.parent / f"{folder.name}.log").read_text("utf-8", "replace")
        assert time.monotonic() < deadline, log[-3000:]
        time.sleep(1)


def digests(folder: Path) -> tuple[str, str]:
    """Digests of the selection and of the shards."""
    last = json.loads((folder / "run.json").read_text("utf-8"))
    selection = json.loads((folder / "selection" / last["plan"]["tasks"]["select"][0] / "done.json").read_text("utf-8"))
    manifest = json.loads((folder / last["shards"] / "manifest.json").read_text("utf-8"))
    return selection["digest"], manifest["digest"]


def written(folder: Path) -> int:
    """Files that a run has written."""
    return sum(len(names) for _, _, names in os.walk(folder))


def workers_of(driver: int) -> list[int]:
    """Ray worker processes that are at work on a task, below a driver."""
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                titles[int(entry.name)] = (entry / "cmdline").read_bytes().decode("utf-8", "replace")

    def below(pid: int) -> bool:
        while pid in parents and pid != driver:
            pid = parents[pid]
        return pid == driver

    return [pid for pid, title in titles.items() if title.startswith("ray::") and "IDLE" not in title and below(pid)]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find the workers")
def test_killed_anywhere_it_ends_with_the_same_digests(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.pipelines.engine.inputs.PACK_FILES", 64)  # as it is for the commands below
    done = command("run", recipe, "--folder", tmp_path / "undisturbed", "--local")
    assert done.returncode == 0, done.stderr
    whole = written(tmp_path / "undisturbed")
    expected = digests(tmp_path / "undisturbed")
    dice = random.Random(7)
    landed = {"driver": 0, "worker": 0}
    for number in range(KILLS):
        folder, workers = tmp_path / f"killed-{number}", (1, 2, 4)[number % 3]
        kind = ("driver", "worker")[number % 2]
        moment = dice.uniform(0, 0.9 if kind == "driver" else 0.5) * whole
        child = start(recipe, folder, workers)
        while child.poll() is None:
            victims = [child.pid] if kind == "driver" else workers_of(child.pid)
            if victims and written(folder) >= moment:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(dice.choice(victims), signal.SIGKILL)
                    landed[kind] += 1
                break
            time.sleep(0.02)
        child.wait(timeout=900)
        finish(recipe, folder, workers)
        assert digests(folder) == expected, f"kill {number} with {workers} workers"
    print(f"{KILLS} kills, landed: {landed}")
    assert sum(landed.values()) >= KILLS // 2, f"too few kills landed: {landed}"
