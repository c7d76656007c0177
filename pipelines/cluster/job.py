"""A job: one attempt to carry out a declaration on a cluster, under an id that the same attempt always gets."""

from __future__ import annotations

import os
import re
import shlex
import socket
from dataclasses import dataclass

from winnow.pipelines.engine.store import fingerprint

DECLARATION = "declaration.yaml"
"""The resolved declaration in the folder that a job starts in."""

MARK = "winnow"
"""The key of a job's metadata that tells winnow's jobs from others; its value is the version."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to run. `folder`: of the run, a path or an fsspec URL. `remember`: where the run's duplicate index goes
    afterwards; None where there is none to keep."""

    name: str
    folder: str
    snapshot: str | None = None
    attempt: int = 1
    remember: str | None = None
    strict: bool = False

    @property
    def id(self) -> str:
        """The submission id, from name, folder, snapshot and attempt. A jobs server refuses a second job of one id."""
        words = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join([self.name, *([self.snapshot] if self.snapshot else [])]))
        digest = fingerprint(self.name, self.folder, self.snapshot)[:8]
        return f"winnow-{words.strip('-')}-{digest}-{self.attempt}"

    def metadata(self, version: str) -> dict[str, str]:
        """What the jobs server keeps beside the job, for `winnow jobs`."""
        told = {MARK: version, "name": self.name, "folder": self.folder, "attempt": str(self.attempt)}
        return told | ({"snapshot": self.snapshot} if self.snapshot else {})

    def command(self, python: str, declaration: str = DECLARATION, here: bool = False) -> str:
        """The shell command of the job. `here`: its folder is on this machine, so that it refuses to run on another."""
        words = [python, "-m", "winnow.pipelines.cluster.entry", declaration, "--folder", self.folder]
        words += ["--remember", self.remember] if self.remember else []
        words += ["--strict"] if self.strict else []
        words += ["--only-on", socket.gethostname()] if here else []
        return shlex.join(words)


def local(folder: str) -> bool:
    """Whether a folder is a path, which only machines that share the disk can see."""
    return "://" not in folder or folder.startswith(("file://", "local://"))


def absolute(text: str) -> str:
    """A path or pattern of this machine from its root, with its links as they are written."""
    path = text.removeprefix("file://").removeprefix("local://")
    return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 (resolving would follow links)
