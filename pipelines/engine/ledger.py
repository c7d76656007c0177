"""Which stored files of a run were found to be what was recorded, so that nothing is hashed twice and an edit is noticed.

Kept in the run's folder beside what it is about, as a hint: an entry counts only for the very size, stamp and recorded
hash, and where it is lost or cannot be written, files are hashed anew.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import orjson
from fsspec.implementations.local import LocalFileSystem

from winnow.stages.reading.files import server_errors, stamp, stamp_of

NAME = ".verified.json"

Entry = tuple[int, str, str, bool]
"""Size, stamp, recorded hash, and whether the bytes were hashed; if not, the size alone was found to be the recorded one."""


class Ledger:
    """State: the entries by file name below the run's folder, those of earlier commands among them, and whether any is new."""

    def __init__(self, fs: Any, folder: str) -> None:
        self.fs, self.path = fs, f"{folder}/{NAME}"
        self.entries, self.new = self._kept(), False

    def holds(self, name: str, size: int, stamp: str, digest: str) -> bool:
        """Whether the file was hashed as it is."""
        return bool(stamp) and self.entries.get(name) == (size, stamp, digest, True)

    def sized(self, name: str, size: int, stamp: str) -> bool:
        """Whether the file as it is was found to have its recorded size, without a look into its record."""
        found = self.entries.get(name)
        return bool(stamp) and found is not None and found[:2] == (size, stamp)

    def add(self, name: str, size: int, stamp: str, digest: str, hashed: bool) -> None:
        """Remember what was found."""
        if stamp and not self.holds(name, size, stamp, digest):
            self.entries[name] = (size, stamp, digest, hashed)
            self.new = True

    def save(self) -> None:
        """Write what is new, beside what other commands wrote meanwhile. A folder that cannot be written stays as it is:
        its files are hashed by every command."""
        if not self.new:
            return
        self.new = False
        failing: tuple[type[Exception], ...] = (OSError, *server_errors())
        content = orjson.dumps(self._kept() | self.entries)
        try:
            if not isinstance(self.fs, LocalFileSystem):
                self.fs.pipe_file(self.path, content)
                return
            temporary = Path(f"{self.path}.tmp-{uuid.uuid4().hex}")
            temporary.write_bytes(content)
            temporary.replace(self.path)
        except failing:
            return

    def _kept(self) -> dict[str, Entry]:
        failing: tuple[type[Exception], ...] = (OSError, *server_errors())
        try:
            found = orjson.loads(self.fs.cat_file(self.path))
            return {name: (int(size), str(at), str(digest), bool(h)) for name, (size, at, digest, h) in found.items()}
        except failing:  # none yet
            return {}
        except (ValueError, TypeError, AttributeError):  # cut off or damaged: everything is hashed
            return {}


def listed(fs: Any, folder: str) -> dict[str, tuple[int, str]]:
    """Size and stamp of every file of a folder by its name, from one listing; empty where there is no such folder."""
    if isinstance(fs, LocalFileSystem):
        there = Path(folder)
        return {p.name: stamp(fs, str(p)) for p in there.iterdir() if p.is_file()} if there.is_dir() else {}
    try:
        found = fs.ls(folder, detail=True)
    except FileNotFoundError:
        return {}
    return {i["name"].rpartition("/")[2]: (int(i["size"]), stamp_of(i)) for i in found if i["type"] == "file"}
