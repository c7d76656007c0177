"""Files of an endpoint to seek and read in: by ranges, or streamed past once without landing on disk."""

from __future__ import annotations

import io
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from winnow.stages.base import StageError
from winnow.stages.commoncrawl.fetcher import Fetcher, below
from winnow.stages.reading.files import Window, opened
from winnow.stages.source import InputFile

SMALL_BLOCK = 64 * 1024
"""Bytes that are read at a time at least: a Parquet footer is asked for in pieces of a few bytes."""

KEPT_BLOCKS = 16
"""Blocks of that size that are kept: 1 MiB. What is read in larger pieces is not kept."""


class RangedFile(io.RawIOBase):
    """Binary, read-only, seekable. `fetch(start, end)` gives exactly those bytes of the file or raises. State: the place,
    and a few small blocks. Not for several threads at a time, as pyarrow knows."""

    def __init__(self, name: str, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self.name, self.size, self.fetch = name, size, fetch
        self.place = 0
        self.blocks: OrderedDict[int, bytes] = OrderedDict()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"{self.name}: cannot seek to {base + offset}")
        self.place = base + offset
        return self.place

    def read(self, size: int | None = -1, /) -> bytes:
        """As many bytes as were asked for, fewer only at the end of the file. Raises FetchError."""
        end = self.size if size is None or size < 0 else min(self.size, self.place + size)
        if self.closed:
            raise ValueError(f"{self.name}: read from a closed file")
        if end <= self.place:
            return b""
        data = self._small(self.place, end) if end - self.place < SMALL_BLOCK else self.fetch(self.place, end)
        self.place = end
        return data

    def readall(self) -> bytes:
        return self.read(-1)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _small(self, start: int, end: int) -> bytes:
        """From one or two blocks; two neighbours that are both missing are fetched at once."""
        first, last = start // SMALL_BLOCK, (end - 1) // SMALL_BLOCK
        missing = [n for n in range(first, last + 1) if n not in self.blocks]
        if missing:
            low, high = missing[0] * SMALL_BLOCK, min(self.size, (missing[-1] + 1) * SMALL_BLOCK)
            data = self.fetch(low, high)
            for n in missing:
                self.blocks[n] = data[n * SMALL_BLOCK - low : (n + 1) * SMALL_BLOCK - low]
        for n in range(first, last + 1):
            self.blocks.move_to_end(n)
        joined = b"".join(self.blocks[n] for n in range(first, last + 1))
        while len(self.blocks) > KEPT_BLOCKS:
            self.blocks.popitem(last=False)
        return joined[start - first * SMALL_BLOCK : end - first * SMALL_BLOCK]


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
        self._again = self._again or self._fetcher.ranged_file(self._path)
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
