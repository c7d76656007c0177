"""Random access to the bytes of one file on any fsspec filesystem, through one sliding buffer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from winnow.stages.sources.planned import as_planned
from winnow.stages.stage import InputFile, StageError

BLOCK = 1 << 20
"""Bytes per read: large enough to hide a local seek, small enough that a segment over-reads little."""


class Window:
    """The last bytes read of an open file. Reads forward are free; reads elsewhere move the window."""

    def __init__(self, handle: IO[bytes], size: int, block: int = BLOCK) -> None:
        self.size = size
        self.data = b""
        self.base = 0  # file offset of data[0]
        self._handle = handle
        self._block = block

    def hold(self, at: int, count: int) -> int:
        """Makes file bytes [at, at + count) present in `data`, as far as the file goes. Returns the index of `at`."""
        index = at - self.base
        if 0 <= index <= len(self.data):
            missing = min(at + count, self.size) - self.base - len(self.data)
            if missing <= 0:
                return index
            self._handle.seek(self.base + len(self.data))
            self.data = self.data[index:] + self._read(max(missing, self._block))
        else:
            self._handle.seek(at)
            self.data = self._read(max(min(count, self.size - at), self._block))
        self.base = at
        return 0

    def bytes_at(self, at: int, count: int) -> bytes:
        """File bytes [at, at + count), fewer only at the end of the file."""
        index = self.hold(at, count)
        return self.data[index : index + count]

    def peek(self, at: int, count: int) -> bytes:
        """The same for a few bytes anywhere; does not move the window."""
        index = at - self.base
        if index >= 0 and min(at + count, self.size) <= self.base + len(self.data):
            return self.data[index : index + count]
        self._handle.seek(at)
        return self._read(min(count, max(self.size - at, 0)))

    def _read(self, count: int) -> bytes:
        parts = []
        while count > 0 and (part := self._handle.read(count)):
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


@contextmanager
def opened(file: InputFile, block: int = BLOCK) -> Iterator[Window]:
    """A window on `file`. Raises StageError where the file cannot be opened, or is not the planned one from start to end."""
    with as_planned(file) as (filesystem, path):
        try:
            handle = filesystem.open(path, "rb", block_size=max(block, 4 << 20), cache_type="readahead")
        except OSError as failure:
            raise StageError(f"cannot open {file.url}: {failure}") from failure
        with handle:
            yield Window(handle, file.size, block)


def basename(url: str) -> str:
    """The last part of a path or URL."""
    return url.rstrip("/").rpartition("/")[2]


def pieces(file: InputFile, least: int, most: int, count: int) -> list[tuple[int, int]]:
    """Cuts a file into equal byte ranges of size / `count`, held between `least` and `most` bytes. An empty file
    is one empty piece, so that somebody reads it and says so."""
    piece = min(max(file.size // count, least), most)
    number = max(1, -(-file.size // piece))
    cuts = [file.size * index // number for index in range(number + 1)]
    return list(itertools.pairwise(cuts))
