"""A run that a guard, `max_failures` or a kill stopped is read by `sample`, `inspect` and `why`: what there is of it, and
that it did not finish. What they say of a document is what the finished run will say, or that it is not decided."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.in_process import command

KILLED = """
import os, signal, sys
from winnow.pipelines import cli
from winnow.pipelines.engine import execute

left, perform = int(sys.argv.pop(1)), execute.perform

def killed(*given):
    global left
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return perform(*given)

execute.perform = killed
cli.main()
"""
"""`winnow`, killed when it comes to the task of this number."""

DECLARATION = """name: letters
language: en
max_failures: 10
sources:
  a: {use: jsonl, paths: [a.jsonl], url: at}
  b: {use: jsonl, paths: [b.jsonl], url: at}
  c: {use: jsonl, paths: [c.jsonl], url: at}
stages:
  rules: {use: rules, packs: [gopher], keep: "word_count >= 20"}
  long: {use: rules, packs: [gopher], keep: "word_count >= quantile(0.2)"}
  dedup: {use: minhash, keep: representative}
  short: {use: rules, packs: [gopher], keep: "word_count < 45"}
"""

SENTENCE = "my dear friend the garden has been full of bees since the rain came and we sit under the plum tree to read"


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """Three files of 30 rows; the last of each cannot be read, and every seventh text is in all of them."""
    for name in "abc":
        rows: list[dict[str, Any]] = []
        for n in range(30):
            dice = random.Random(n if n % 7 == 3 else f"{name} {n}")
            text = " ".join(dice.choices(SENTENCE.split(), k=10 + 2 * n))
            rows.append({"at": f"https://letters.example/{name}/{n}", "text": text if n < 29 else n})
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "letters.yaml").write_text(DECLARATION, "utf-8")
    return tmp_path


def run(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return command("run", "letters.yaml", "--local", "--folder", "run", *words, cwd=cwd)


def said(cwd: Path, *words: str) -> str:
    done = command(*words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def decided(cwd: Path) -> dict[str, dict[str, Any]]:
    """Id of each document that is shown -> what is said of it."""
    lines = said(cwd, "sample", "run", "--where", "text_bytes >= 0", "-n", "1000", "--json").splitlines()
    return {row["id"]: row["decision"] for row in map(json.loads, lines)}


def refused(cwd: Path) -> None:
    """The commands that need a finished run say so in one sentence."""
    out = ["--to", "published", "--dry-run"]
    for words in (["report", "run"], ["select", "run", "--set", "seed=3"], ["publish", "run", *out], ["train", "run"]):
        done = command(*words, cwd=cwd)
        assert done.returncode == 1 and "did not finish; give `winnow run` its declaration again" in done.stderr, words
    assert not (cwd / "published").exists()


def test_rows_that_a_guard_stopped_at_are_shown_with_their_causes_until_the_run_finishes(letters: Path) -> None:
    stopped = run(letters, "--set", "sources.b.text=body")
    assert stopped.returncode == 1 and "failed 30: no 'body'" in stopped.stderr

    found = said(letters, "sample", "run", "--failed", "-n", "100")
    assert "the run did not finish: 3 of its 3 partitions are read" in found
    assert "how it ended: stage 'b' keeps 0 of 30 rows" in found
    assert found.count("failed at b: b.jsonl: line ") == 30 and found.count("no 'body'") >= 30
    assert "32 of 32 records: failed" in found

    shown = said(letters, "inspect", "run")
    assert "the run did not finish" in shown and "b.jsonl: line 1 (byte 0): no 'body'" in shown
    assert "winnow sample run --failed" in shown
    name = next(line.split()[1] for line in found.splitlines() if "failed at b" in line and line.startswith("id "))
    why = said(letters, "why", "run", name)
    assert "did not finish" in why and "failed at b: b.jsonl: line " in why
    refused(letters)
    assert "planned.json" not in command("verify", "run", cwd=letters).stdout  # it is whole

    assert run(letters).returncode == 0
    for words in (["sample", "run", "--failed"], ["inspect", "run"], ["why", "run", "https://letters.example/b/20"]):
        assert "did not finish" not in said(letters, *words)
    assert not (letters / "run" / "planned.json").exists()
    assert command("verify", "run", cwd=letters).returncode == 0


def test_more_failures_than_may_be_are_shown_with_what_was_decided(letters: Path) -> None:
    stopped = run(letters, "--set", "max_failures=2")
    assert stopped.returncode == 1 and "max_failures" in stopped.stderr
    found = said(letters, "sample", "run", "--failed")
    assert "3 of its 3 partitions" in found and "3 of 3 records: failed" in found and "'text' is not a string" in found
    why = said(letters, "why", "run", "https://letters.example/a/1")
    assert "dropped by rules.word_count: 12, expected >= 20" in why
    why = said(letters, "why", "run", "https://letters.example/a/20")
    assert "pending: long has not decided on it" in why and "dedup: not reached" in why
    assert "no record: kept" in said(letters, "sample", "run")
    lines = command("sample", "run", "--failed", "--json", cwd=letters)
    assert len([json.loads(line) for line in lines.stdout.splitlines()]) == 3 and "did not finish" in lines.stderr


def test_killed_anywhere_what_is_said_of_a_document_is_what_the_finished_run_says(letters: Path) -> None:
    (letters / "killed.py").write_text(KILLED, "utf-8")
    states = []
    for tasks, read in ((2, 2), (3, 3), (8, 3), (10, 3), (8, 3)):
        words = [sys.executable, "killed.py", str(tasks), "run", "letters.yaml", "--local", "--folder", "run"]
        done = subprocess.run(words, cwd=letters, capture_output=True, text=True, timeout=600)
        assert done.returncode == -signal.SIGKILL, done.stderr
        shown = said(letters, "inspect", "run")
        assert "the run did not finish" in shown and "its driver is gone" in shown
        assert f"{read} of its 3 partitions" in shown
        states.append(decided(letters))
    assert run(letters).returncode == 0
    finished = decided(letters)
    assert len(finished) == 87 and {d["status"] for d in finished.values()} == {"kept", "dropped"}
    for state in states:
        for name, decision in state.items():
            assert decision["status"] == "pending" or decision == finished[name], name
    waiting = [{d["stage"] for d in state.values() if d["status"] == "pending"} for state in states]
    assert waiting == [{"long"}, {"long"}, {"dedup"}, {"short"}, {"short", None}]  # None: all stages have measured it
    assert "did not finish" not in said(letters, "inspect", "run")


def test_a_run_begun_over_a_finished_one_is_shown_and_says_so(letters: Path) -> None:
    assert run(letters).returncode == 0
    before = decided(letters)
    assert run(letters, "--set", "sources.c.text=body").returncode == 1
    found = said(letters, "sample", "run", "--failed", "-n", "100")
    assert "did not finish" in found and "read the finished run that was here before" in found
    assert found.count("failed at c: ") == 30
    assert command("report", "run", cwd=letters).returncode == 0

    (letters / "run" / "planned.json").write_bytes(b"{}")
    damaged = command("inspect", "run", cwd=letters)
    assert damaged.returncode == 1 and "planned.json" in damaged.stderr and "the declaration again" in damaged.stderr
    verified = command("verify", "run", cwd=letters)
    assert verified.returncode == 1 and "planned.json" in verified.stdout

    assert "nothing to do" in run(letters).stdout
    assert decided(letters) == before and "did not finish" not in said(letters, "inspect", "run")
