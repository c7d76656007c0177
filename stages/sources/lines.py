"""Lines of a text file, from any byte range of it or out of its compressed members, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from winnow.stages.sources.members import Broken, Codec, Member, following
from winnow.stages.sources.window import BLOCK, Window

_BOM = b"\xef\xbb\xbf"
_BLANK = re.compile(rb"[\r\n]+")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank, without its end. `offset` is where it starts, in uncompressed bytes; `data` is empty
    where its `size` in bytes is over the reader's limit; `number` counts from 1, and is 0 where nobody counted."""

    data: bytes
    offset: int
    size: int
    number: int

    def place(self) -> str:
        """Where it is in the file, for people."""
        return f"line {self.number:,} (byte {self.offset})" if self.number else f"byte {self.offset}"


def plain_lines(window: Window, start: int, end: int, limit: int) -> Iterator[Line]:
    """The lines that start in bytes [start, end)."""
    at = 0 if start == 0 else _line_start(window, start)
    if at < end:
        for line in _split(_blocks(window, at), at, limit):
            if isinstance(line, Broken) or line.offset >= end:
                return
            yield line


def unpacked_lines(window: Window, codec: Codec, limit: int) -> Iterator[Line | Broken]:
    """The lines of all members, and at most one stretch of damage: what stands behind it cannot be placed."""
    yield from _split(_unpacked(window, codec), 0, limit)


def _blocks(window: Window, at: int) -> Iterator[bytes]:
    while block := window.bytes_at(at, BLOCK):
        at += len(block)
        yield block


def _unpacked(window: Window, codec: Codec) -> Iterator[bytes | Broken]:
    try:
        member: Member | None = following(window, codec, 0)
        while member is not None:
            while (text := member.chunk()) is not None:
                yield text
            member = None if member.end is None else following(window, codec, member.end)
    except Broken as broken:
        yield broken


def _line_start(window: Window, at: int) -> int:
    """The first line start at or behind `at`, which is not 0."""
    at -= 1
    while block := window.bytes_at(at, BLOCK):
        found = block.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(block)
    return window.size


def _split(blocks: Iterable[bytes | Broken], base: int, limit: int) -> Iterator[Line | Broken]:
    """`base` is the offset of the first block. A line that damage cuts is lost with it."""
    held: list[bytes] = []
    size = 0  # of the unfinished line, of which `held` keeps at most `limit` bytes and a block
    offset = base
    number = counted = int(base == 0)
    for block in blocks:
        if isinstance(block, Broken):
            yield block
            return
        at = 0
        while (end := block.find(b"\n", at)) >= 0:
            if end == at and not size and (blank := _BLANK.match(block, at)):  # megabytes of them are no work
                end = block.rfind(b"\n", at, blank.end()) + 1
                number += counted * block.count(b"\n", at, end)
                offset, at = offset + end - at, end
                continue
            size += end - at
            data = b"".join((*held, block[at:end])) if held else block[at:end]
            line = _line(data, offset, size, limit, number)
            if line is not None:
                yield line
            number += counted
            offset += size + 1
            held, size, at = [], 0, end + 1
        rest = block[at:]
        size += len(rest)
        if size <= limit + len(rest) and rest:
            held.append(rest)
        elif size > limit:
            held = []
    line = _line(b"".join(held), offset, size, limit, number)
    if line is not None:
        yield line


def _line(data: bytes, offset: int, size: int, limit: int, number: int) -> Line | None:
    if size > limit:
        return Line(b"", offset, size, number)
    if offset == 0:
        data = data.removeprefix(_BOM)
    data = data.strip()
    return Line(data, offset, len(data), number) if data else None
