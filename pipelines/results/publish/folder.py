"""Publishing to a folder: a local path or any fsspec URL.

`dataset.json` is a journal while files are written: each path is entered, with `complete` false, before the file is
there. So whatever a killed publication left is known as ours, and the next one replaces it and removes what is stale.
A path that never was in the journal is never touched.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from winnow.pipelines.results.publish.dataset import DataFile
from winnow.pipelines.results.publish.target import CARD, FORMAT, MANIFEST, OURS, earlier, removed
from winnow.pipelines.results.table import RunError, Store

_TEMPORARY = re.compile(rf"(?:{OURS.pattern})\.tmp-[0-9a-f]{{32}}")


class Folder:
    """State: the entries of the journal."""

    def __init__(self, root: str, scratch: Path) -> None:
        self.store, self.scratch = Store(root), scratch
        self.entries: dict[str, dict[str, Any]] = {}

    @property
    def where(self) -> str:
        """The destination, for sentences."""
        return self.store.root

    def check(self) -> None:
        """An empty or missing folder, or one of ours whose card nobody has edited."""
        fs, root = self.store.fs, self.store.path("")
        if fs.isfile(root.rstrip("/")):
            raise RunError(f"{self.where}: is a file; expected a folder, empty or not there yet")
        try:
            names = sorted(name.rstrip("/").rpartition("/")[2] for name in fs.ls(root, detail=False))
        except FileNotFoundError:
            return
        names = [name for name in names if name and not _TEMPORARY.fullmatch(name)]  # object stores list the folder
        if not names:
            return
        content = fs.cat_file(self.store.path(MANIFEST)) if self.store.exists(MANIFEST) else None
        then = "choose an empty folder, or one that `winnow publish` has written"
        self.entries = dict(earlier(content, self.where, names, then)["files"])
        strange = [path for path in self.entries if not OURS.fullmatch(path)]
        if strange:
            raise RunError(
                f"{self.store.path(MANIFEST)}: lists '{strange[0]}', which no publication writes; it was edited"
            )
        known = [self.entries.get(CARD, {}).get(key) for key in ("sha256", "before")]
        if known[0] is not None and self.store.exists(CARD):
            content = fs.cat_file(self.store.path(CARD))
            if hashlib.sha256(content).hexdigest() not in known:
                raise RunError(
                    f"{self.store.path(CARD)}: was edited since it was published and would be overwritten; move it away, "
                    "and add it again afterwards"
                )

    def begin(self) -> None:
        """Sweep what killed publications left half written. Object stores show no half-written file."""
        if self.store.local:
            for folder in ("", "data/", "rejects/"):
                at = Path(self.store.path(folder))
                for path in at.iterdir() if at.is_dir() else ():
                    if _TEMPORARY.fullmatch(f"{folder}{path.name}"):
                        path.unlink()

    def place(self, path: str) -> Path:
        """Beside where it will be, or for another machine in the scratch folder."""
        self._may_write(path)
        self.entries[path] = {}
        self._journal()
        return Path(f"{self.store.path(path)}.tmp-{uuid.uuid4().hex}") if self.store.local else self.scratch / path

    def took(self, file: DataFile, local: Path) -> str:
        """Make a file visible, whole."""
        if self.store.local:
            local.replace(self.store.path(file.path))
        else:
            full = self.store.path(file.path)
            self.store.fs.makedirs(full.rpartition("/")[0], exist_ok=True)
            self.store.fs.put_file(str(local), full)
            local.unlink()
        self.entries[file.path] = {"rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}
        return "written"

    def finish(self, texts: Mapping[str, bytes], manifest: Mapping[str, Any]) -> str:
        """Write what is said of the files, remove what is left over; returns what was done."""
        for path, content in texts.items():
            self._may_write(path)
            before = self.entries.get(path, {}).get("sha256")  # that one stands until it is written over
            self.entries[path] = {"sha256": hashlib.sha256(content).hexdigest(), "before": before}
        self._journal()
        for path, content in texts.items():
            self.store.write_text(path, content.decode("utf-8"))
        stale = sorted(set(self.entries) - set(manifest["files"]))
        for path in stale:
            self.store.remove(path)
        self._remove_empty_folders()
        self._write(manifest)
        return f"published to {self.where}: {len(manifest['files']) + 1} files{removed(stale)}"

    def _may_write(self, path: str) -> None:
        """A file that someone put where ours would go, into a folder of ours, is not ours to replace."""
        if path not in self.entries and self.store.exists(path):
            raise RunError(
                f"{self.store.path(path)}: is in the way, and no earlier publication wrote it; move it away or choose "
                "another folder"
            )

    def _journal(self) -> None:
        self._write({"format": FORMAT, "complete": False, "files": self.entries})

    def _write(self, manifest: Mapping[str, Any]) -> None:
        content = orjson.dumps(dict(manifest), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        self.store.write_text(MANIFEST, content.decode())

    def _remove_empty_folders(self) -> None:
        if self.store.local:
            for name in ("data", "rejects"):
                folder = Path(self.store.path(name))
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
