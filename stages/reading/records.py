"""Archive records from text: decompressed members, or the bytes of an uncompressed file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from winnow.stages.reading.members import Broken
from winnow.stages.reading.warc_headers import (
    HEAD_LIMIT,
    LINE_LIMIT,
    LONG_HEAD_LIMIT,
    Head,
    head_may_follow,
    head_without_end,
    next_candidate,
    parse_head,
)

Feed = Callable[[], bytes | None]

PADDING_LIMIT = 1 << 16
"""More bytes of line ends or NULs behind a record are damage."""

_AT_ONCE = 1 << 14
"""Bytes of text that a reader asks for at once at least, so that thousands of tiny members are not looked at one by one."""

_BLANK = re.compile(rb"[\r\n\0]*")


@dataclass(frozen=True, slots=True)
class WarcRecord:
    """One record. `body` is its block, cut at the reader's limit; `offset` is where it starts in the file, or where
    the member that it starts in does; `place` tells it from the other records of that member."""

    head: Head
    body: bytes | memoryview
    offset: int
    place: str


class RecordText:
    """A forward reader over chunks. `head` is the record head it begins with, where that is known; `reopen(position)`
    gives a feed from anywhere, for texts that allow it, which then have a `length`."""

    __slots__ = ("_at", "_base", "_broken", "_data", "_feed", "_first", "_length", "_reopen")

    def __init__(
        self, feed: Feed, reopen: Callable[[int], Feed] | None = None, head: Head | None = None, length: int = 0
    ) -> None:
        self._feed = feed
        self._reopen = reopen
        self._length = length
        self._first = head
        self._data = b""
        self._at = 0
        self._base = 0  # position of _data[0]
        self._broken: Broken | None = None  # what follows _data

    def tell(self) -> int:
        """Bytes handed out or skipped so far."""
        return self._base + self._at

    def _more(self) -> bool:
        """Has more text at hand: at least as much again, so that a text in tiny chunks takes time that is linear in it."""
        rest = len(self._data) - self._at
        parts, size = [], 0
        while size < max(rest, _AT_ONCE) and self._broken is None:
            try:
                chunk = self._feed()
            except Broken as broken:
                self._broken = broken
                break
            if chunk is None:
                break
            parts.append(chunk)
            size += len(chunk)
        if not parts:
            if self._broken is not None:
                raise self._broken
            return False
        self._base += self._at
        self._data = b"".join([self._data[self._at :], *parts]) if rest or len(parts) > 1 else parts[0]
        self._at = 0
        return True

    def _move(self, position: int) -> None:
        assert self._reopen is not None
        self._feed, self._data, self._broken = self._reopen(position), b"", None
        self._base, self._at = position, 0

    def blank(self) -> bytes:
        """Takes line ends and padding; gives the first of them, PADDING_LIMIT at least where there are so many."""
        taken: list[bytes] = []
        size = 0
        while True:
            found = _BLANK.match(self._data, self._at)
            end = self._at if found is None else found.end()
            if size <= PADDING_LIMIT:
                taken.append(self._data[self._at : end])
            size += end - self._at
            self._at = end
            if end < len(self._data) or not self._more():
                return b"".join(taken)

    def ended(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._data) and not self._more()

    def head(self) -> Head | None:
        """The record head that starts here, or None; moves nothing."""
        if self._first is not None and self._at == self._base == 0:
            return self._first
        while (head := parse_head(self._data, self._at)) is None:
            if not head_may_follow(self._data, self._at) or not self._more():
                return None
        return head

    def head_without_end(self) -> bool:
        """Whether the head that starts here is too long. Call after `head`."""
        return head_without_end(self._data, self._at)

    def take(self, count: int) -> bytes | memoryview:
        """The next `count` bytes, fewer where the text ends."""
        have = len(self._data) - self._at
        if count <= have:
            self._at += count
            return memoryview(self._data)[self._at - count : self._at]
        parts = []
        while True:
            part = self._data[self._at : self._at + count]
            parts.append(part)
            self._at += len(part)
            count -= len(part)
            if not count or not self._more():
                return b"".join(parts)

    def skip(self, count: int) -> int:
        """Moves on by `count` bytes without keeping them; returns how many there were."""
        if self._reopen is not None and count > len(self._data) - self._at:
            began = self.tell()
            self._move(min(began + count, self._length))
            return self.tell() - began
        skipped = 0
        while True:
            step = min(count - skipped, len(self._data) - self._at)
            self._at += step
            skipped += step
            if skipped == count or not self._more():
                return skipped

    def hold(self, count: int) -> bytes:
        """What is at hand of the text from here on, after having at least `count` bytes of it at hand if they exist."""
        while len(self._data) - self._at < count and self._more():
            pass
        return self._data[self._at : self._at + HEAD_LIMIT]

    def back(self, position: int, since: bytes | None) -> bool:
        """Returns to an earlier position. `since`: all bytes handed out from there on, None where they were not
        kept. False where that cannot be done."""
        if since is not None:
            self._data = since + self._data[self._at :]
            self._base, self._at = position, 0
        elif self._reopen is not None:
            self._move(position)
        else:
            return False
        return True

    def resync(self, accept: Callable[[int], bool]) -> bool:
        """Moves to the next record head that `accept` (given its position) takes; False where the text ends."""
        while True:
            found = next_candidate(self._data, self._at + 1)
            if found < 0:
                self._at = max(self._at, len(self._data) - LINE_LIMIT)
                if not self._more():
                    self._at = len(self._data)
                    return False
                continue
            head = parse_head(self._data, found)
            if head is None and head_may_follow(self._data, found):
                self._at = found - 1
                if self._more():
                    continue
                self._at = found
            elif head is not None and accept(self._base + found):
                self._at = found
                return True
            self._at = found


def read_records(
    text: RecordText,
    place: Callable[[int], tuple[int, bool]],
    limit: int,
    accept: Callable[[int], bool],
    stop: Callable[[int], bool],
) -> Iterator[WarcRecord | Broken]:
    """The records of a text, and what stands between them that is no record.

    `place` maps a position to the offset in the file that names it, and whether that is where a member starts;
    blocks are kept up to `limit` bytes; `accept` says whether the head at a position may be trusted after damage;
    reading ends at a record whose position `stop` takes. Raises Broken where the text itself cannot be read on."""
    while True:
        before = text.tell()
        text.blank()
        began = text.tell()
        if began == before and text.ended():
            return
        if began - before > PADDING_LIMIT:
            yield _padding(place, before, began)
            if text.ended():
                return
        if stop(began):
            return
        offset, first = place(began)
        head = text.head()
        if head is None:
            what = (
                f"a record head of more than {LONG_HEAD_LIMIT:,} bytes" if text.head_without_end() else "no record head"
            )
            try:
                found = text.resync(accept)
            except Broken as broken:
                if broken.offset != offset:
                    yield Broken(offset, f"{what} here, nor another one behind it up to the next damage")
                raise
            end = "the next record" if found else "the end"
            yield Broken(offset, f"{what} here: {text.tell() - began} bytes skipped up to {end}")
            continue
        try:
            text.skip(head.size)
            body = text.take(min(head.length, limit))
            size = len(body)
            if size == limit < head.length:
                size += text.skip(head.length - size)
        except Broken as broken:
            raise Broken(broken.offset, f"{broken.cause}; {_name(head)} is lost") from broken
        record = WarcRecord(head, body, offset, f"{offset}" if first else f"{offset}+{began}")
        behind = text.tell()
        try:
            padding = text.blank()
            padded = text.tell()
            sound = size == head.length and (text.ended() or text.head() is not None)
            if size == head.length and not sound:
                text.hold(HEAD_LIMIT)  # or damage there would come too late to say that this record is part of it
        except Broken as broken:
            # The record is whole. Only a bad checksum over this very record makes it unfit.
            if not (broken.whole and first and broken.offset == offset):
                yield record
            raise
        kept = padding if len(padding) == padded - behind else None
        yield record if sound else _overrun(text, record, began + head.size, size, kept, accept)
        if padded - behind > PADDING_LIMIT and text.tell() >= padded:
            yield _padding(place, behind, padded)


def _padding(place: Callable[[int], tuple[int, bool]], start: int, end: int) -> Broken:
    """More padding than there is between records, where it begins to be that."""
    return Broken(place(start + PADDING_LIMIT)[0], f"{end - start:,} bytes of line ends or NULs between records")


def _overrun(
    text: RecordText, record: WarcRecord, inside: int, size: int, padding: bytes | None, accept: Callable[[int], bool]
) -> WarcRecord | Broken:
    """What becomes of a record of `size` bytes behind which no other starts. Where one starts inside it, its
    Content-Length was too long, and reading goes on there; otherwise it stands, unless it was cut short."""
    head, behind = record.head, text.tell()
    if size == len(record.body) and padding is not None:
        # The head of a record inside may reach beyond this one's end. Damage there comes up again when it is read.
        with contextlib.suppress(Broken):
            text.hold(HEAD_LIMIT)
        body = bytes(record.body)
        found = _inner(body + padding + text.hold(0), len(body), inside, accept)
        if found is not None:
            text.back(inside + found, body[found:] + padding)
    elif text.back(inside, None):
        found = text.tell() if text.resync(accept) and text.tell() < inside + size else None
        if found is None:
            text.back(behind, None)
    else:
        found = None
    if found is not None:
        skipped = text.tell() - inside
        return Broken(
            record.offset,
            f"Content-Length {head.length} runs over the next record; {_name(head)} is lost, and {skipped:,} bytes up to "
            "where one can be trusted",
        )
    if size < head.length:
        return Broken(record.offset, f"record ends after {size} of {head.length} bytes; {_name(head)} is lost")
    return record


def _inner(data: bytes, end: int, position: int, accept: Callable[[int], bool]) -> int | None:
    """Index below `end` of the first record head that may be trusted; data[0] is at `position`."""
    at = next_candidate(data, 0)
    while 0 <= at < end:
        if parse_head(data, at) is not None and accept(position + at):
            return at
        at = next_candidate(data, at + 1)
    return None


def _name(head: Head) -> str:
    return (head.url or head.id or f"a {head.kind} record")[:300]
