"""Records of one byte range of a crawl file, whatever wraps them: gzip, zstd or nothing.

A record belongs to the range in which its member starts, or where it starts itself in an uncompressed file. Ranges
that cut a file anywhere yield its records exactly once, and each stretch of damage once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import partial

from winnow.stages.reading.files import BLOCK, Window, page_instead
from winnow.stages.reading.members import (
    DICTIONARY_MAGIC,
    GZIP_MAGIC,
    ZSTD_MAGIC,
    Broken,
    Codec,
    Member,
    find_anchor,
    following,
    gzip_codec,
    is_anchor,
    zstd_codec,
)
from winnow.stages.reading.records import Feed, RecordText, WarcRecord, read_records
from winnow.stages.reading.warc_headers import HEAD_LIMIT, LINE_LIMIT, Head, head_may_follow, next_candidate, parse_head

_UNREADABLE = {b"\x04\x22\x4d\x18": "lz4", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}

_SEARCH = 4 << 20
"""Bytes searched for a member in a file whose first bytes say nothing."""

TEXT_LIMIT, RATIO_LIMIT = 64 << 20, 200
"""A member of more text, in bytes, that is so many times as long as the member itself is given up: what a crawl holds is
not, and a file of a few kilobytes could keep a reader busy for hours."""


def read_range(window: Window, name: str, start: int, end: int, limit: int) -> Iterator[WarcRecord | Broken]:
    """Records and damage of [start, end) of a file called `name`; blocks are cut at `limit` bytes."""
    if window.size == 0:
        yield Broken(0, "the file is empty")
        return
    try:
        codec = _codec(window, name)
    except Broken as broken:
        if start == 0:
            yield broken
        return
    yield from _plain(window, start, end, limit) if codec is None else _chain(window, codec, start, end, limit)


def _codec(window: Window, name: str) -> Codec | None:
    """By the first bytes; where those are damaged by the name, or by what is found. None: not compressed."""
    head = window.bytes_at(0, 8)
    for magic, other in _UNREADABLE.items():
        if head.startswith(magic):
            raise Broken(0, f"{other} is not read: expected gzip, zstd or uncompressed WARC or ARC")
    if head.startswith(GZIP_MAGIC):
        return gzip_codec()
    if head.startswith(ZSTD_MAGIC) or head[1:4] == DICTIONARY_MAGIC[1:]:
        return zstd_codec(window)
    if parse_head(text := window.bytes_at(0, HEAD_LIMIT), 0) is not None:
        return None
    page = page_instead(text, "WARC or ARC")
    if (
        page is not None
        and window.size <= HEAD_LIMIT
        and not any(m in text for m in (GZIP_MAGIC, ZSTD_MAGIC, b"WARC/"))
    ):
        raise Broken(0, page)
    if name.endswith(".gz") or find_anchor(window, gzip_codec(), 0, min(window.size, _SEARCH)) is not None:
        return gzip_codec()
    if (
        name.endswith((".zst", ".zstd"))
        or find_anchor(window, zstd_codec(window), 0, min(window.size, _SEARCH)) is not None
    ):
        return zstd_codec(window)
    return None


class _MemberRun:
    """The text from one anchor to the next: one member, or several where records run across their borders."""

    __slots__ = ("_codec", "_marks", "_member", "_total", "_window", "next")

    def __init__(self, window: Window, codec: Codec, member: Member) -> None:
        self._window = window
        self._codec = codec
        self._member = member
        self._marks = [(0, member.offset)]
        self._total = 0
        self.next: Member | None = None  # at the next anchor, once the text has ended

    def feed(self) -> bytes | None:
        while self.next is None:
            text = self._member.chunk()
            if text is not None:
                given, taken = self._member.given, self._member.taken
                if given > TEXT_LIMIT and given > RATIO_LIMIT * taken:
                    cause = f"{self._codec.name} member given up after {given:,} bytes of text from {taken:,}"
                    raise Broken(self._member.offset, f"{cause}: expected at most {RATIO_LIMIT} times as many")
                self._total += len(text)
                return text
            if self._member.end is None or (member := following(self._window, self._codec, self._member.end)) is None:
                return None
            if member.begins_record():
                self.next = member
            else:
                self._member = member
                if self._marks[-1][0] == self._total:  # the member before it is empty
                    self._marks.pop()
                self._marks.append((self._total, member.offset))
        return None

    def place(self, position: int) -> tuple[int, bool]:
        """Offset of the member that holds a position of the text, and whether that is its first byte. Later questions
        are about that member or ones behind it."""
        index = bisect_right(self._marks, position, key=lambda mark: mark[0]) - 1
        del self._marks[:index]
        at, offset = self._marks[0]
        return offset, at == position


def _chain(window: Window, codec: Codec, start: int, end: int, limit: int) -> Iterator[WarcRecord | Broken]:
    member: Member | None = None
    try:
        if start == 0:
            # What stands before the first anchor belongs to the first range, however short that is.
            member = following(window, codec, 0)
            if member is not None and member.offset >= end and is_anchor(window, codec, member.offset):
                return
        elif (at := find_anchor(window, codec, start, end)) is not None:
            member = Member(window, codec, at)
    except Broken as broken:
        yield broken
        member = _resume(window, codec, broken.offset + 1, end)
    while member is not None:
        run = _MemberRun(window, codec, member)
        try:
            yield from read_records(
                RecordText(run.feed, head=member.head), run.place, limit, lambda position: True, lambda position: False
            )
            member = None if run.next is None or run.next.offset >= end else run.next
        except Broken as broken:
            yield broken
            member = _resume(window, codec, broken.offset + 1, end)


def _resume(window: Window, codec: Codec, at: int, end: int) -> Member | None:
    anchor = find_anchor(window, codec, at, end)
    return None if anchor is None else Member(window, codec, anchor)


def _plain(window: Window, start: int, end: int, limit: int) -> Iterator[WarcRecord | Broken]:
    at = 0 if start == 0 else _find_start(window, start, end)
    if at is None:
        return

    def reopen(position: int) -> Feed:
        return partial(next, window.blocks(at + position), None)

    yield from read_records(
        RecordText(reopen(0), reopen, length=window.size - at),
        lambda position: (at + position, True),
        limit,
        lambda position: _is_start(window, at + position),
        lambda position: at + position >= end and _is_start(window, at + position),
    )


def _is_start(window: Window, offset: int) -> bool:
    """Whether a record of an uncompressed file starts at `offset`: a whole head at the start of a line, and where
    its Content-Length ends another head or the end of the file. Depends on the bytes from `offset` - 1 on alone."""
    if offset and window.peek(offset - 1, 1) != b"\n":
        return False
    head = _head_at(window, offset)
    if head is None:
        return False
    behind = offset + head.size + head.length
    if behind >= window.size:
        return behind == window.size
    for size in (1 << 9, HEAD_LIMIT):  # nearly always a line end or two stand before the next head
        data = window.peek(behind, size)
        rest = data.lstrip(b"\r\n\0")
        if rest:
            return _head_at(window, behind + len(data) - len(rest)) is not None
    return True


def _head_at(window: Window, at: int) -> Head | None:
    """The record head that starts at a file offset, or None."""
    size = 1 << 12
    while True:
        data = window.peek(at, size)
        head = parse_head(data, 0)
        if head is not None or len(data) < size or not head_may_follow(data):
            return head
        size <<= 3


def _find_start(window: Window, start: int, end: int) -> int | None:
    at = start
    while at < end:
        block = window.bytes_at(at - 1, min(BLOCK, end - at + 1) + LINE_LIMIT)
        index = next_candidate(block, 1)
        while 0 <= index <= end - at:
            if _is_start(window, at - 1 + index):
                found = at - 1 + index
                return found if found < end else None
            index = next_candidate(block, index + 1)
        at += BLOCK
    return None
