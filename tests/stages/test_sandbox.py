"""One bad item is one failed item with its cause: real hangs, real signals, real memory, in the midst of good ones."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from winnow.stages.base import StageError
from winnow.stages.sandbox import Guard, Outcome, Work, close_all, guard

WORK = """
import ctypes, os, time

worn = []

def make(scale=1):
    def work(order, payload=b""):
        if order == "sleep":
            time.sleep(600)
        if order == "spin":
            while True:
                pass
        if order == "backtrack":
            import re
            re.match(r"(a+)+$", "a" * 60 + "b")
        if order == "kill":
            os.kill(os.getpid(), 9)
        if order == "segfault":
            ctypes.string_at(0)
        if order == "abort":
            os.abort()
        if order == "wear":
            worn.append(bytearray(150 << 20))
            return len(worn)
        if order == "exit":
            os._exit(3)
        if order == "hog":
            return len(bytearray(3 << 30))
        if order == "hoard":
            kept = []
            while True:
                kept.append(bytearray(1 << 24))
        if order == "recurse":
            return work(order)
        if order == "raise":
            raise ValueError("no good\\nat all")
        if order == "unpicklable":
            return lambda: None
        if order == "print":
            print("noise on standard output")
        if order == "pid":
            return os.getpid()
        return len(payload) * scale
    return work

def broken():
    raise RuntimeError("cannot be made")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"guarded_{os.getpid()}_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(WORK))
    monkeypatch.syspath_prepend(tmp_path)
    return name


def run(work: Work, items: list[tuple[object, ...]]) -> list[Outcome]:
    kept = Guard(work)
    try:
        return list(kept.map(items))
    finally:
        kept.close()


@pytest.mark.parametrize(
    ("order", "cause"),
    [
        ("spin", "timeout after 3 s"),
        ("backtrack", "timeout after 3 s"),
        ("sleep", "timeout after 3 s"),
        ("kill", "worker killed by signal 9"),
        ("segfault", "worker killed by signal 11"),
        ("abort", "worker killed by signal 6"),
        ("exit", "worker ended with code 3"),
        ("hog", "out of memory"),
        ("hoard", "out of memory"),
        ("recurse", "RecursionError: maximum recursion depth exceeded"),
        ("raise", "ValueError: no good at all"),
        ("unpicklable", "worker ended with code 1"),
    ],
)
def test_a_bad_item_costs_itself(module: str, order: str, cause: str) -> None:
    items: list[tuple[object, ...]] = [("ok", b"x"), ("ok", b"xx"), (order,), ("ok", b"xxx"), ("ok", b"")]
    seconds = 3 if cause.startswith("timeout") else 30  # to use memory up takes time where others work too
    outcomes = run(Work(f"{module}:make", seconds=seconds, mebibytes=512), items)
    assert [outcome.value for outcome in outcomes] == [1, 2, None, 3, 0]
    assert [outcome.error for outcome in outcomes] == [None, None, cause, None, None]


def test_bad_items_in_a_row_at_the_ends_and_alone(module: str) -> None:
    work = Work(f"{module}:make", seconds=30, mebibytes=1024)
    orders = ["kill", "hog", "hog", "hog", "hog", "ok", "segfault", "exit", "kill"]
    outcomes = run(work, [(order,) for order in orders])
    assert [outcome.error is None for outcome in outcomes] == [order == "ok" for order in orders]
    assert run(work, []) == []
    assert run(work, [("exit",)]) == [Outcome(None, "worker ended with code 3")]


def test_an_item_does_not_pay_for_the_memory_that_others_kept(module: str) -> None:
    outcomes = run(Work(f"{module}:make", mebibytes=800), [("wear",)] * 12)
    assert [outcome.error for outcome in outcomes] == [None] * 12
    assert {outcome.value for outcome in outcomes} > {1, 2}


def test_payloads_larger_than_the_pipes_come_through_in_order(module: str) -> None:
    sizes = [0, 1, 70_000, 3_000_000, 5, 20_000_000, 0]
    outcomes = run(Work(f"{module}:make", (("scale", 2),)), [("ok", b"x" * size) for size in sizes])
    assert [outcome.value for outcome in outcomes] == [2 * size for size in sizes]


def test_an_item_too_large_for_the_memory_limit_costs_itself(module: str) -> None:
    items = [("ok", b"x"), ("ok", bytes(600 << 20)), ("ok", b"xx")]
    outcomes = run(Work(f"{module}:make", mebibytes=512), items)
    assert [outcome.value for outcome in outcomes] == [1, None, 2]
    assert outcomes[1].error


def test_printing_does_not_run_into_the_frames(module: str) -> None:
    assert [outcome.value for outcome in run(Work(f"{module}:make"), [("print", b"x")] * 50)] == [1] * 50


def test_the_child_is_reused_between_calls_and_per_work(module: str) -> None:
    work = Work(f"{module}:make")
    first, second = (next(guard(work).map([("pid",)])).value for _ in range(2))
    assert first == second
    assert guard(work) is guard(Work(f"{module}:make"))
    assert next(guard(Work(f"{module}:make", seconds=5)).map([("pid",)])).value != first
    close_all()
    assert next(guard(work).map([("pid",)])).value != first


def test_an_abandoned_round_does_not_leak_into_the_next(module: str) -> None:
    kept = guard(Work(f"{module}:make"))
    rounds = kept.map([("ok", b"x" * size) for size in range(1, 100)])
    assert next(rounds).value == 1
    rounds.close()  # type: ignore[attr-defined]
    assert [outcome.value for outcome in kept.map([("ok", b"xxxx")])] == [4]


def test_a_child_killed_between_rounds_is_started_again(module: str) -> None:
    kept = guard(Work(f"{module}:make"))
    pid = next(kept.map([("pid",)])).value
    os.kill(pid, 9)
    _await_end(pid)
    assert [outcome.value for outcome in kept.map([("ok", b"x")])] == [1]


def test_threads_have_their_own(module: str) -> None:
    pids: list[int] = []

    def ask() -> None:
        pids.extend(outcome.value for outcome in guard(Work(f"{module}:make")).map([("pid",)] * 3))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 9
    assert len(set(pids)) == 3


@pytest.mark.parametrize(
    ("factory", "cause"),
    [("no_such_module:make", "ModuleNotFoundError"), ("os:no_such_name", "AttributeError")],
)
def test_work_that_cannot_start_is_an_error_not_a_failed_item(factory: str, cause: str) -> None:
    with pytest.raises(StageError, match=f"{factory} does not start: {cause}"):
        run(Work(factory), [("x",)])


def test_a_factory_that_raises_is_an_error(module: str) -> None:
    with pytest.raises(StageError, match="RuntimeError: cannot be made"):
        run(Work(f"{module}:broken"), [("x",)])


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signal")
def test_the_child_dies_with_its_parent_even_in_a_loop(module: str, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, threading, time\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from winnow.stages.sandbox import Work, guard\n"
        f"kept = guard(Work('{module}:make', seconds=300))\n"
        "print(next(kept.map([('pid',)])).value, flush=True)\n"
        "list(kept.map([('spin',)]))\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    time.sleep(0.3)
    parent.kill()
    parent.wait()
    _await_end(pid)


def _await_end(pid: int) -> None:
    deadline = time.monotonic() + 300
    while _runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
