"""Ray's own processes and the driver killed in a run: one sentence, nothing left, and running again goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .in_process import command
from .test_crash import workers_of

MINUTES = 600.0

DECLARATION = """
name: dies
language: en
sources: {docs: {use: jsonl, paths: ["*.jsonl"]}}
stages: {language: {use: langid}}
"""

WAITING = """
name: dies
language: en
sources:
  a: {use: jsonl, paths: [a.jsonl]}
  b: {use: jsonl, paths: [b.jsonl]}
  c: {use: jsonl, paths: [c.jsonl]}
  d: {use: jsonl, paths: [d.jsonl]}
stages: {waits: {use: function, function: "waits_for_files:waits"}}
"""

FUNCTION = """import time
from pathlib import Path


def waits(text: str) -> bool:
    while text.startswith("/") and not Path(text).exists():
        time.sleep(0.05)
    return True
"""
"""A text that is the name of a file is not measured before that is there."""


def until(true: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + MINUTES
    while not true():
        assert child.poll() is None, f"ended with {child.returncode}: {child.communicate()}"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def of_session(session: str) -> dict[int, str]:
    """Processes with a file of a session open, and how each is called."""
    there = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if any(str(fd.readlink()).startswith(f"{session}/") for fd in (entry / "fd").iterdir()):
                    there[int(entry.name)] = (entry / "comm").read_text().strip()
    return there


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find the processes of Ray")
def test_a_killed_process_of_ray_is_one_sentence_and_no_stray_outlives_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "waits_for_files.py").write_text(FUNCTION, "utf-8")
    (tmp_path / "dies.yaml").write_text(WAITING, "utf-8")
    may_end = {name: tmp_path / f"{name}-may-end" for name in "abcd"}
    for name, file in may_end.items():
        texts = [f"Box {name}, letter {n}." for n in range(600)] + [str(file)]  # more than is written at a time
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts), "utf-8")
    folder = tmp_path / "run"
    words = ["run", str(tmp_path / "dies.yaml"), "--folder", str(folder)]
    session = ""
    for victim, name in (("gcs_server", "a"), ("raylet", "b"), ("driver", "c")):
        may_end[name].touch()
        child = subprocess.Popen(
            [sys.executable, "-m", "winnow.pipelines.cli", *words, "--workers", "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        there = len(list(folder.rglob("*.arrow")))
        until(lambda child=child, there=there: len(list(folder.rglob("*.arrow"))) > there, child)
        until(lambda child=child: bool(workers_of(child.pid)) and bool(list(folder.rglob("*.tmp-*"))), child)
        for worker in workers_of(child.pid):
            os.kill(worker, signal.SIGSTOP)  # so that its task does not end, and it does not end itself
        session = json.loads((folder / "ray.json").read_text("utf-8"))["session"]
        pid = next((pid for pid, name in of_session(session).items() if name == victim), child.pid)
        assert (pid == child.pid) == (victim == "driver")
        os.kill(pid, signal.SIGKILL)
        out, err = child.communicate(timeout=MINUTES)
        if victim == "driver":
            assert child.returncode == -signal.SIGKILL
            continue
        assert child.returncode == 1
        said = [line for line in err.splitlines() if not line.startswith("note: ") and "compiling" not in line]
        assert len(said) <= 3 and "Traceback" not in err, err  # Ray's C++ may have been faster by a line per task
        errors = [line for line in said if line.startswith("error: ")]
        assert len(errors) == 1 and errors == said[-1:] and victim in errors[0] and "run again" in errors[0], err
        assert "Raylet is terminated" not in out
        assert not of_session(session) and not (folder / "ray.json").exists()
        assert not list(folder.rglob("*.tmp-*"))
        status = command("status", str(folder))
        assert ": failed" in status.stdout and f"process {victim}" in status.stdout
    assert of_session(session)
    may_end["d"].touch()
    done = command(*words, "--local")
    assert done.returncode == 0, done.stderr
    assert not of_session(session) and not (folder / "ray.json").exists()


def children(pid: int) -> dict[str, int]:
    """Processes that a process started: how each is called, and its number."""
    there = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                there[Path(f"/proc/{child}/comm").read_text().strip()] = int(child)
    return there


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find the processes of Ray")
@pytest.mark.parametrize(("victim", "there"), [("gcs_server", 2), ("raylet", 3)])
def test_a_process_of_ray_killed_while_ray_starts_is_one_sentence(tmp_path: Path, victim: str, there: int) -> None:
    """`there`: how many processes Ray has started when the victim is killed."""
    (tmp_path / "dies.yaml").write_text(DECLARATION, "utf-8")
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "The letters of the box were opened in the evening. " * 9}))
    folder = tmp_path / "run"
    words = [sys.executable, "-m", "winnow.pipelines.cli", "run", str(tmp_path / "dies.yaml"), "--folder", str(folder)]
    child = subprocess.Popen([*words, "--workers", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: victim in (started := children(child.pid)) and len(started) >= there, child)
    killed = children(child.pid)[victim]
    command_line = Path(f"/proc/{killed}/cmdline").read_bytes().decode().split("\0")
    sessions = [w.partition("=")[2] for w in command_line if w.startswith(("--session-dir=", "--session_dir="))]
    os.kill(killed, signal.SIGKILL)
    out, err = child.communicate(timeout=MINUTES)
    assert child.returncode == 1 and not out
    said = [line for line in err.splitlines() if not line.startswith("note: ") and "compiling" not in line]
    assert len(said) == 1 and said[0].startswith("error: "), err
    assert f"process {victim} ({killed}) was killed" in said[0] and "run again" in said[0]
    assert not any(of_session(session) for session in sessions) and not (folder / "ray.json").exists()
    status = command("status", str(folder))
    assert ": failed" in status.stdout and f"process {victim}" in status.stdout


def test_a_worker_that_ray_ends_because_memory_runs_short_is_one_sentence_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "dies.yaml").write_text(WAITING, "utf-8")
    (tmp_path / "waits_for_files.py").write_text(FUNCTION, "utf-8")
    for name in "abcd":
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": str(tmp_path / "never")}) + "\n", "utf-8")
    words = [sys.executable, "-m", "winnow.pipelines.cli", "run", str(tmp_path / "dies.yaml"), "--workers", "1"]
    short = {"RAY_memory_usage_threshold": "0.001", "RAY_memory_monitor_refresh_ms": "100", "RAY_task_oom_retries": "0"}
    run = subprocess.run(
        [*words, "--folder", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=MINUTES,
        env=os.environ | short | {"PYTHONPATH": str(tmp_path)},
    )
    said = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert run.returncode == 1 and len(said) == 1 and "Traceback" not in run.stderr, run.stderr
    assert "(OutOfMemoryError)" in said[0] and "use fewer --workers, or give its stages `memory:`" in said[0]


def test_a_ray_that_is_not_ready_in_time_on_a_busy_machine_is_started_again(tmp_path: Path) -> None:
    """The agent of the first start waits for longer than the raylet waits for it."""
    (tmp_path / "dies.yaml").write_text(DECLARATION, "utf-8")
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "The letters of the box were opened in the evening. " * 9}))
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        "words = getattr(sys, 'orig_argv', [])\n"
        "if any(word.endswith('dashboard/agent.py') for word in words):\n"
        "    try:\n"
        f"        os.close(os.open({str(tmp_path / 'slow')!r}, os.O_CREAT | os.O_EXCL))\n"
        "        time.sleep(120)\n"
        "    except FileExistsError:\n"
        "        pass\n"
    )
    folder = tmp_path / "run"
    words = [sys.executable, "-m", "winnow.pipelines.cli", "run", str(tmp_path / "dies.yaml"), "--folder", str(folder)]
    search = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    run = subprocess.run(
        words, capture_output=True, text=True, timeout=MINUTES, env=os.environ | {"PYTHONPATH": search}
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "slow").exists() and "starting it again" in run.stderr and "Timed out" not in run.stderr
    assert not (folder / "ray.json").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find the processes of Ray")
def test_who_looks_into_the_logs_of_a_session_is_left_alone(tmp_path: Path) -> None:
    from winnow.pipelines.engine.own_ray import end_left
    from winnow.pipelines.engine.store import Store

    log = tmp_path / "session" / "logs" / "raylet.out"
    log.parent.mkdir(parents=True)
    log.touch()
    store = Store(str(tmp_path / "run"))
    note = {"host": os.uname().nodename, "pid": 0, "session": str(tmp_path / "session")}
    waits = "import sys, time; f = open(sys.argv[1], sys.argv[2]); print('open', flush=True); time.sleep(600)"
    there = {
        mode: subprocess.Popen([sys.executable, "-c", waits, str(log), mode], stdout=subprocess.PIPE, text=True)
        for mode in ("r", "a")
    }
    try:
        for child in there.values():
            assert child.stdout is not None and child.stdout.readline() == "open\n"
        store.write_json("ray.json", note | {"host": "elsewhere"})
        end_left(store)
        assert [child.poll() for child in there.values()] == [None, None]
        store.write_json("ray.json", note)
        end_left(store)
        there["a"].wait(timeout=MINUTES)
        assert there["r"].poll() is None
        assert not store.exists("ray.json")
    finally:
        for child in there.values():
            child.kill()
            child.communicate()
