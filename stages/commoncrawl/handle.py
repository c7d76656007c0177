"""A file to seek and read in whose bytes come by ranges."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable

LEAST = 64 * 1024
"""Bytes that are read at a time at least: a Parquet footer is asked for in pieces of a few bytes."""

KEPT = 16
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
        data = self._small(self.place, end) if end - self.place < LEAST else self.fetch(self.place, end)
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
        first, last = start // LEAST, (end - 1) // LEAST
        missing = [n for n in range(first, last + 1) if n not in self.blocks]
        if missing:
            low, high = missing[0] * LEAST, min(self.size, (missing[-1] + 1) * LEAST)
            data = self.fetch(low, high)
            for n in missing:
                self.blocks[n] = data[n * LEAST - low : (n + 1) * LEAST - low]
        for n in range(first, last + 1):
            self.blocks.move_to_end(n)
        joined = b"".join(self.blocks[n] for n in range(first, last + 1))
        while len(self.blocks) > KEPT:
            self.blocks.popitem(last=False)
        return joined[start - first * LEAST : end - first * LEAST]
