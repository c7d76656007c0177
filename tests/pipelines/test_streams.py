"""What commands print where standard output is closed, read in part, full, or of an encoding without Hangul."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import winnow
from winnow.pipelines.engine.progress import Progress

LINES = [
    "inspect run",
    "sample run --kept -n 5",
    "why run https://example.kr/0 --json",
    "run small.yaml --folder run --local",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run over Korean texts, in `run`."""
    folder = tmp_path_factory.mktemp("streams")
    texts = [
        "마을 도서관에서는 어린이들과 함께 새로운 책을 읽고 " * 5,
        "짧은 글",
        "강가를 따라 걷다 보면 작은 다리가 나온다. " * 4,
    ]
    rows = [{"id": f"글-{n}", "url": f"https://example.kr/{n}", "text": texts[n % 3]} for n in range(9)]
    (folder / "in.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    (folder / "small.yaml").write_text(
        f"""name: small
language: ko
sources:
  docs: {{use: jsonl, id: id, url: url, paths: ["{folder}/in.jsonl"]}}
stages:
  rules: {{use: rules, packs: [gopher], keep: "word_count >= 20"}}
""",
        "utf-8",
    )
    winnow.run(folder / "small.yaml", folder=folder / "run", local=True, progress=Progress(quiet=True))
    return folder


def shell(line: str, redirection: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    program = f"{shlex.quote(sys.executable)} -m winnow.pipelines.cli {line} {redirection}"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {program}"],
        capture_output=True,
        cwd=folder,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("line", LINES)
def test_a_closed_output_is_no_error(folder: Path, line: str) -> None:
    done = shell(line, "<&- >&-", folder)
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr.decode()
    if line.startswith("run"):
        assert shell(line, "<&- >&- 2>&-", folder).returncode == 0


@pytest.mark.parametrize("line", [*LINES, "--help"])
def test_an_output_that_nobody_reads_ends_without_a_word(folder: Path, line: str) -> None:
    done = shell(line, "| true", folder)
    assert done.returncode in (0, 1)
    assert not [word for word in (b"Traceback", b"Broken", b"Exception", b"error") if word in done.stderr], done.stderr


def test_a_full_disk_behind_the_output_is_a_sentence(folder: Path) -> None:
    done = shell("sample run --json", "> /dev/full", folder)
    assert done.returncode == 1 and done.stderr.startswith(b"error: ") and b"No space left" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "cp1252", "TERM": "dumb"},
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
    ids=str,
)
def test_any_encoding_will_do(folder: Path, environment: dict[str, str]) -> None:
    """All commands in one process: their streams have one encoding."""
    code = (
        "import shlex, sys; from winnow.pipelines.cli import main\n"
        "for line in %r:\n"
        "    sys.argv[1:] = shlex.split(line)\n"
        "    try: main()\n"
        "    except SystemExit as end: assert not end.code, line\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code % LINES], capture_output=True, cwd=folder, env={**os.environ, **environment}
    )
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr.decode()
