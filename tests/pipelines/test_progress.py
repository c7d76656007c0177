"""What a run shows while it works: on a terminal of any width, and as plain lines in a file."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from .in_process import command

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
STEP = re.compile(r"^━*[╸╺]?━* +(\d+)/(\d+) +(\S+ left)  (.*)$")
READ = r"measuring 3 stages, 600 records, [\d,]+/s, 100\.0% extracted"


@pytest.fixture
def many(tmp_path: Path, korean: Callable[..., str]) -> Path:
    """A declaration over so many files that they make several partitions, of 64 at most."""
    (tmp_path / "in").mkdir()
    for number in range(200):
        rows = ({"id": f"{number}-{row}", "text": korean(number * 3 + row)} for row in range(3))
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (tmp_path / "in" / f"{number:03}.jsonl").write_text("".join(lines), "utf-8")
    path = tmp_path / "many.yaml"
    path.write_text(
        f"""name: many
language: ko
sources:
  docs: {{use: jsonl, id: id, paths: ["{tmp_path}/in/*.jsonl"]}}
stages:
  language: {{use: langid}}
  rules: {{use: rules, packs: [gopher], keep: "word_count >= 20"}}
  dedup: {{use: minhash, keep: representative}}
  personal: {{use: personal}}
""",
        "utf-8",
    )
    return path


def words(declaration: Path) -> list[str]:
    return ["run", str(declaration), "--local", "--folder", str(declaration.parent / "run")]


def on_terminal(columns: int, line: list[str]) -> list[str]:
    """Every line that a command draws on a terminal of this width, as often as it draws it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    environment["TERM"] = "xterm-256color"
    process = subprocess.Popen(line, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    drawn = b""
    while True:
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # Linux: nobody has the other end open any more
            break
        if not data:
            break
        drawn += data
    os.close(ours)
    assert process.wait() == 0, drawn.decode()[-3000:]
    return [line.rstrip() for line in re.split(r"[\r\n]+", CONTROL.sub("", drawn.decode()))]


@pytest.mark.parametrize("columns", [70, 100, 160])
def test_a_terminal_shows_bar_count_time_left_and_step_at_any_width(many: Path, columns: int) -> None:
    drawn = on_terminal(columns, [sys.executable, "-m", "winnow.pipelines.cli", *words(many)])
    lines = [line for line in drawn if re.match(r"^[━╸╺]", line) and " left" in line]
    assert lines and all(len(line) <= columns for line in lines)
    shown = [found.groups() for line in lines if (found := STEP.match(line))]
    assert len(shown) == len(lines), set(lines)
    measuring = [(int(done), int(total), left, rest) for done, total, left, rest in shown if " 3 stages" in rest]
    total = measuring[0][1]
    assert total >= 4 and {(done, of) for done, of, _, _ in measuring} == {(n, total) for n in range(total + 1)}
    assert {left for done, _, left, _ in measuring if done == 0} == {"-:-- left"}
    assert all(re.fullmatch(r"\d+:\d\d left", left) for done, _, left, _ in measuring if done)
    assert all(re.match(r"measuring 3 stages(,|$)", rest) for *_, rest in measuring)
    read = [rest for done, _, _, rest in measuring if done == total]
    assert read and all(re.fullmatch(READ, rest) if columns >= 100 else rest.endswith("…") for rest in read)


def test_a_file_gets_plain_lines(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.pipelines.engine.inputs.PACK_FILES", 64)  # as for the runs above
    done = command(*words(many))
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    (end,) = (n for n, line in enumerate(lines) if re.fullmatch(rf"(\d+)/\1, [\d.]+ s: {READ}", line))
    assert all(re.match(r"^(note: |\d+/\d+, )", line) for line in lines)
    assert not any("records" in line for line in lines[end + 1 :])  # later steps read none: they have no such rate
    assert "\x1b" not in done.stderr
