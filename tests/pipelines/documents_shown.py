"""The blocks that README and docs show, and a shell to run them in."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .in_process import command

ROOT = Path(__file__).resolve().parents[2]
READING = (
    "plan",
    "select",
    "diff",
    "sample",
    "why",
    "report",
    "compare",
    "inspect",
    "verify",
    "publish",
    "fit",
    "status",
)
"""Commands that start no other process."""
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: the page, the line that it begins in, its kind and its text."""

    page: Path
    line: int
    kind: str
    text: str

    def commands(self) -> list[str]:
        """The lines of a shell block, continued ones joined."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, found.start()) + 2, found[1], found[2])


@dataclass
class Shell:
    """Runs lines in one folder. `standing_in` replaces what is nowhere but in the documents, such as addresses; every
    replacement must have been needed in the end. Runs use a `cluster` that is there, and what only reads runs in this
    process, for time. State: what was replaced, and what each line printed."""

    folder: Path
    environment: Mapping[str, str]
    cluster: str
    standing_in: Mapping[str, str] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    said: dict[str, str] = field(default_factory=dict)

    def real(self, text: str) -> str:
        for shown, instead in self.standing_in.items():
            if shown in text:
                self.replaced.add(shown)
                text = text.replace(shown, instead)
        return text

    def run(self, line: str, where: str) -> str:
        """Carries a line out, and gives what it printed; asserts that it succeeds and says something."""
        print(f"{where}: {line}", flush=True)
        if re.match(rf"winnow ({'|'.join(READING)}) [^|>&;$]*$", line):
            done = command(*shlex.split(self.real(line))[1:], cwd=self.folder)
        else:
            done = subprocess.run(
                ["bash", "-c", self.real(line)],
                cwd=self.folder,
                env={**self.environment, **({} if "--address" in line else {"RAY_ADDRESS": self.cluster})},
                capture_output=True,
                text=True,
            )
        assert done.returncode == 0, f"{where}: {line}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        self.said[line] = done.stdout
        return done.stdout


def lay_out(folder: Path, prefix: Path) -> None:
    """A checkout in a folder: the files themselves, but for pipelines/*.yaml, which are copies; installed in `prefix`."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "filters", "classifiers", "tests"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "pipelines").mkdir()
    for path in (ROOT / "pipelines").glob("*.yaml"):
        (folder / "pipelines" / path.name).write_bytes(path.read_bytes())
    (folder / "pipelines" / "sample").symlink_to(ROOT / "pipelines" / "sample")
    (folder / ".venv").mkdir()
    for path in prefix.iterdir():
        if not path.name.startswith(".installed"):
            (folder / ".venv" / path.name).symlink_to(path)
    sources = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    latest = max(path.stat().st_mtime_ns for path in sources)
    for name in (".installed", ".installed-train", ".installed-dev"):
        (folder / ".venv" / name).touch()
        os.utime(folder / ".venv" / name, ns=(latest, latest))


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The one that a command typed in `folder` has, without what a make or cluster around the tests has set."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MAKE", "MFLAGS", "PYTEST_"))}
    path = f"{folder}/.venv/bin:{folder}/bin:{os.environ['PATH']}"
    return kept | {"PATH": path, "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1", **more}
