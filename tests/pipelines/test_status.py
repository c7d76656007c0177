"""What a run tells of itself while it works: progress.json and `winnow status`, the log of tasks, metrics for Prometheus."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest

import winnow
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.heartbeat import STALE_SECONDS, WRITE_SECONDS, Heartbeat, is_stale
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.store import Store
from winnow.pipelines.status import read_status

from .in_process import command


def go(recipe: Path, *assignments: str, folder: str = "run", **options: Any) -> winnow.Run:
    options = {"local": True, **options}
    return winnow.run(recipe, assignments, folder=recipe.parent / folder, progress=Progress(quiet=True), **options)


def status(folder: Path | str, *options: str) -> subprocess.CompletedProcess[str]:
    return command("status", str(folder), *options)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted((folder / "tasks").glob("*.jsonl")) for line in file.open()]


def test_a_finished_run_says_done_with_the_rows_of_its_accounts(recipe: Path) -> None:
    run = go(recipe)
    said = read_status(run.folder)
    assert (said["state"], said["sentence"], said["stale"]) == ("done", "finished", False)
    assert (said["host"], said["pid"], said["job"]) == (socket.gethostname(), os.getpid(), None)
    assert said["records"] == 241 and said["records_per_second"] > 0
    for name in ("docs", "language", "rules", "dedup", "shards"):
        account = run.accounting["stages"][name]
        dropped = sum(account["dropped"].values())
        assert said["rows"][name] == {"in": account["in"], "kept": account["kept"], "dropped": dropped, "failed": account["failed"]}  # fmt: skip
    shown = status(run.folder)
    assert shown.returncode == 0, shown.stderr
    assert "small in" in shown.stdout and ": done" in shown.stdout
    order = ["docs", "language", "rules", "dedup", "mixture", "shards"]
    assert re.findall(r"^│ (\w+) +│", shown.stdout, re.M) == order
    assert re.search(r"language\s*│\s*240\s*│\s*200\s*│\s*40\s*│\s*0", shown.stdout)
    assert json.loads(status(run.folder, "--json").stdout)["state"] == "done"


def test_a_failed_run_says_why(recipe: Path) -> None:
    with pytest.raises(RunError) as error:
        go(recipe, "stages.rules.guard=drop <= 0.1")
    assert read_status(str(recipe.parent / "run"))["sentence"] == str(error.value)
    shown = status(recipe.parent / "run")
    assert shown.returncode == 1
    assert ": failed" in shown.stdout and "guard 'drop <= 0.1'" in shown.stdout
    go(recipe)
    assert read_status(str(recipe.parent / "run"))["state"] == "done"


def test_no_run_there_is_one_sentence(tmp_path: Path) -> None:
    shown = status(tmp_path)
    assert shown.returncode == 1
    assert "no run began there; expected the folder of a run" in shown.stderr


def test_a_killed_driver_is_reported_gone_and_the_next_run_goes_on(recipe: Path) -> None:
    folder = recipe.parent / "run"
    command = [sys.executable, "-m", "winnow.pipelines.cli", "run", str(recipe), "--folder", str(folder), "--local"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not (folder / "progress.json").exists():
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    assert read_status(str(folder))["state"] == "running"
    assert not read_status(str(folder))["stale"]
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert read_status(str(folder))["stale"]
    shown = status(folder)
    assert shown.returncode == 1
    assert "its driver is gone" in shown.stdout and "goes on where it stopped" in shown.stdout
    go(recipe)
    assert status(folder).returncode == 0


def test_the_word_of_a_driver_elsewhere_is_believed_for_a_minute(recipe: Path) -> None:
    now = time.time()
    said = {"state": "running", "host": "elsewhere", "pid": 1, "heartbeat": now - STALE_SECONDS + 5}
    assert not is_stale(said)
    assert is_stale(said | {"heartbeat": now - STALE_SECONDS - 5})


def test_a_run_that_looks_for_its_inputs_says_so_and_leaves_anothers_word_alone(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with Heartbeat(store, "quick", print):
        pass
    assert not store.exists("progress.json"), "nothing is written before it is worth it"
    with Heartbeat(store, "slow", print):
        deadline = time.monotonic() + 300
        while not store.exists("progress.json"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert read_status(str(tmp_path))["state"] == "planning"
    other = read_status(str(tmp_path)) | {"state": "running", "host": "elsewhere", "heartbeat": time.time()}
    store.write_json("progress.json", other)
    with pytest.raises(RunError), Heartbeat(store, "second", print):
        time.sleep(WRITE_SECONDS + 0.5)
        raise RunError("another run is at work")
    assert store.read_json("progress.json") == other


def test_status_of_a_run_on_object_storage(recipe: Path, s3: None) -> None:
    pytest.importorskip("s3fs", reason="needs the s3 extra")
    fsspec.filesystem("s3").mkdir("winnow-status")
    fewer = [f"stages.{name}.enabled=false" for name in ("dedup", "mixture", "rules")]
    run = winnow.run(recipe, fewer, folder="s3://winnow-status/run", local=True, progress=Progress(quiet=True))
    assert read_status(run.folder)["state"] == "done"
    shown = status(run.folder)
    assert shown.returncode == 0, shown.stderr
    assert "small in s3://winnow-status/run: done" in shown.stdout
    found = fsspec.filesystem("s3").glob("winnow-status/run/tasks/*.jsonl")
    assert len(found) == 1


def test_every_task_has_a_line(recipe: Path) -> None:
    run = go(recipe)
    read = [line for line in lines(recipe.parent / "run") if line["task"] == "measure" and line["level"] == 0]
    assert sorted(line["partition"] for line in read) == sorted(p.key for p in run.plan.partitions)
    assert sum(line["rows"]["docs"]["in"] for line in read) == 241
    assert sum(line["fetched"]["bytes"] for line in read) == sum(f.stat().st_size for f in recipe.parent.glob("in/*"))
    for line in read:
        assert line["rows"]["language"]["in"] == sum(line["rows"]["language"][k] for k in ("kept", "dropped", "failed"))
        assert {"docs", "language", "rules"} <= set(line["seconds"])
        assert (line["source"], line["host"], line["pid"]) == ("docs", socket.gethostname(), os.getpid())
        assert (line["attempt"], line["error"]) == (0, None)
    assert {line["task"] for line in lines(recipe.parent / "run")} >= {"measure", "exchange", "reduce", "select"}


def test_the_log_and_the_heartbeat_enter_no_result(recipe: Path) -> None:
    first, second = go(recipe), go(recipe, folder="again")
    assert first.accounting["digest"] == second.accounting["digest"]
    assert first.plan.saved() == second.plan.saved()
    assert read_status(first.folder)["started"] != read_status(second.folder)["started"]
