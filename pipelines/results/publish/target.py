"""Where a publication goes: what every destination does, and which one `--to` names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from winnow.pipelines.results.publish.dataset import DataFile
from winnow.pipelines.results.publish.privacy import shown
from winnow.pipelines.results.table import fingerprint

MANIFEST, CARD, DECLARATION = "dataset.json", "README.md", "pipeline.yaml"
FORMAT = "winnow-dataset"

OURS = re.compile(r"(?:data/kept|rejects/rejects)-\d{5}\.parquet|README\.md|pipeline\.yaml|dataset\.json")
"""Every path that a publication may write."""


class Target(Protocol):
    """A destination. A publication calls `check`, `begin`, then `file` and `took` for each file, and `finish`."""

    @property
    def where(self) -> str:
        """The destination, for sentences."""
        ...

    def check(self) -> None:
        """Raises RunError where a publication must not go there. Changes nothing."""
        ...

    def begin(self) -> None:
        """Make ready."""
        ...

    def file(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A file to write; visible, or ready to upload, when the block ends without an error."""
        ...

    def took(self, file: DataFile) -> str:
        """A written file with its digest, to be kept. Returns what was done with it: written, uploaded."""
        ...

    def finish(self, texts: Mapping[str, bytes], manifest: Mapping[str, Any], files: Sequence[DataFile]) -> str:
        """Card, declaration and manifest; then whatever an earlier publication left over goes. Returns what happened."""
        ...

    def close(self) -> None:
        """Free what is held, however the publication ended."""
        ...


class Nowhere:
    """The destination of a dry run: everything is made and counted, nothing is written. State: the target asked for."""

    def __init__(self, target: Target) -> None:
        self.target = target

    @property
    def where(self) -> str:
        return self.target.where

    def check(self) -> None:
        self.target.check()

    def begin(self) -> None:
        pass

    @contextmanager
    def file(self, path: str) -> Iterator[BinaryIO]:
        yield cast(BinaryIO, _Void())

    def took(self, file: DataFile) -> str:
        return "would be written"

    def finish(self, texts: Mapping[str, bytes], manifest: Mapping[str, Any], files: Sequence[DataFile]) -> str:
        return "dry run: nothing was written"

    def close(self) -> None:
        self.target.close()


class _Void:
    def write(self, data: Any) -> int:
        return len(data)


def public_name(to: str) -> str:
    """The destination as a card may show it."""
    if to.startswith("hub:"):
        return to
    return shown(to if "://" in to else str(Path(to).expanduser().resolve()))


def is_ours(manifest: Any) -> bool:
    """Whether what a `dataset.json` holds was written by a publication."""
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT and isinstance(manifest.get("files"), dict)


def identity(manifest: Mapping[str, Any]) -> str:
    """16 hex digits over the files of a manifest: the same publication, the same identity."""
    return fingerprint(manifest["files"])
