"""Whole files of a snapshot as windows: streamed past without landing on disk, or landed first where that is asked."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from winnow.stages.commoncrawl.fetching import Fetcher, below
from winnow.stages.reading.files import Window, opened
from winnow.stages.stage import InputFile, StageError

BEHIND = 16 << 20
"""Bytes of a stream that stay at hand behind the place that is read: longer than a sound record of a crawl, so that
only damage makes a reader go farther back, for which the file is asked again, range by range."""


class StreamedFile:
    """A file that comes once, from start to end, to seek and read in. State: the stream, how far it has come, and the
    last bytes of it, up to twice BEHIND."""

    def __init__(self, fetcher: Fetcher, path: str, behind: int = BEHIND) -> None:
        self._fetcher = fetcher
        self._path = path
        self._stream = fetcher.stream(path)
        self._behind = behind
        self._kept = bytearray()
        self._come = 0
        self._at = 0
        self._again: BinaryIO | None = None

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves to an offset from the start, the only `whence` there is."""
        self._at = offset
        return offset

    def read(self, count: int) -> bytes:
        """Up to `count` bytes, none only at the end. Raises FetchError."""
        while self._at >= self._come:
            piece = next(self._stream, b"")
            if not piece:
                return b""
            if len(self._kept) > 2 * self._behind:
                del self._kept[: -self._behind]
            self._kept += piece
            self._come += len(piece)
        first = self._come - len(self._kept)
        if self._at < first:
            data = self._reread(min(count, first - self._at))
        else:
            data = bytes(self._kept[self._at - first : self._at - first + count])
        self._at += len(data)
        return data

    def _reread(self, count: int) -> bytes:
        self._again = self._again or self._fetcher.handle(self._path)
        self._again.seek(self._at)
        data = self._again.read(count)
        if not data:
            raise StageError(f"{self._path}: byte {self._at:,} cannot be read again")
        return data

    def close(self) -> None:
        """Gives up what is open."""
        if self._again is not None:
            self._again.close()


@contextmanager
def whole_file(fetcher: Fetcher, path: str, folder: str | None) -> Iterator[Window]:
    """A window on a file. `folder`: where it lands first, unless it is there; None: nowhere. Raises NotThere, FetchError."""
    if folder is not None:
        landed = land(fetcher, path, folder)
        with opened(InputFile(str(landed), landed.stat().st_size, "")) as window:
            yield window
        return
    size = fetcher.size(path)
    file = StreamedFile(fetcher, path)
    try:
        yield Window(cast(IO[bytes], file), size)
    finally:
        file.close()


def land(fetcher: Fetcher, path: str, folder: str) -> Path:
    """The file in a folder of one's own, under its own path; visible only when whole. Raises FetchError."""
    target = Path(folder).expanduser() / below(folder, path)
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{target.name}.tmp-{uuid.uuid4().hex}")
        try:
            with temporary.open("wb") as file:
                for piece in fetcher.stream(path):
                    file.write(piece)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    return target
