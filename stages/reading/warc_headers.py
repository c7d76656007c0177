"""Record heads of WARC 0.17-1.1 and ARC v1 and v2: what they are, and where they can begin.

WARC: ISO 28500 and https://iipc.github.io/warc-specifications/. ARC:
https://archive.org/web/researcher/ArcFileFormat.php. Lines that end in a bare LF, a quirk of ClueWeb, are read too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD_LIMIT = 1 << 16
"""Longest ordinary head in bytes: so much is looked at for one."""
LONG_HEAD_LIMIT = 4 << 20
"""Longest head in bytes, such as one with an address of a megabyte; anything longer is damage."""
LINE_LIMIT = 9000
"""No first line of a head is longer, in bytes."""

_END = re.compile(rb"\n\r*\n")
_SPACED = re.compile(rb"^([^:\s]+)[ \t]+:", re.MULTILINE)
_FOLD = re.compile(rb"(?<!\r)\r*\n[ \t]+")
_VERSION = re.compile(rb"WARC/\d\.\d+[ \t\r]*\n")
_SCHEMES = rb"https?|ftps?|dns|filedesc|whois|urn|gopher|news|nntp|rtsp|mms"
"""No scheme is the end of another, or a line cut within its scheme would pass for a head."""
_SCHEME = re.compile(rb"(?:" + _SCHEMES + rb"):")
_ARC_PAIR = re.compile(rb" (?=(?P<ip>[0-9a-fA-F.:]++|-) (?P<date>\d{8,17}) )")
_ARC_REST = re.compile(rb"(?P<mime>[^\r\n]{0,300}?)(?: (?:\d{3}|-) \S++ \S++ \d++ \S++)? (?P<length>\d{1,15})\r?\n")
_ARC_URL = 8000
_ARC_TRIED = 4
"""Pairs of an address and a date, from the last, that may be those of a line: the URL in front of them may hold any number."""
_CANDIDATE = re.compile(rb"(?<![^\n])(?:WARC/\d\.\d+[ \t\r]*\n(?!WARC/)|(?:" + _SCHEMES + rb"):[^\s])")


@dataclass(frozen=True, slots=True)
class Head:
    """One record's head: `size` bytes of head, then `length` bytes of block."""

    size: int
    length: int
    kind: str  # the WARC-Type; ARC: 'response', or 'warcinfo' for the file description
    id: str | None
    url: str | None
    date: str | None
    mime: str | None  # content type of the block; ARC: media type of the payload
    arc: bool
    clipped: bool  # WARC-Truncated: the crawler cut the payload


def parse_head(data: bytes, at: int) -> Head | None:
    """The record head at data[at:], or None where there is none (or not all of it). Never raises."""
    if data.startswith(b"WARC/", at):
        # Where another head starts inside, the rest of this one is missing; and heads that never end, each of which is
        # looked through to the limit, would take time without end.
        stop = data.find(b"\nWARC/", at, at + LONG_HEAD_LIMIT)
        end = _END.search(data, at, at + LONG_HEAD_LIMIT if stop < 0 else stop + 1)
        return None if end is None else _warc(data[at : end.end()])
    return _arc(data, at)


def head_without_end(data: bytes, at: int) -> bool:
    """Whether a record head begins at data[at:] and does not end within LONG_HEAD_LIMIT bytes, which are there."""
    end = at + LONG_HEAD_LIMIT
    return (
        data.startswith(b"WARC/", at)
        and len(data) >= end
        and data.find(b"\nWARC/", at, end) < 0
        and _END.search(data, at, end) is None
    )


def head_may_follow(data: bytes, at: int = 0) -> bool:
    """Whether more bytes could complete the record head at data[at:], which is not whole."""
    size = len(data) - at
    if data.startswith(b"WARC/", at):
        return size < LONG_HEAD_LIMIT and data.find(b"\nWARC/", at) < 0 and _END.search(data, at) is None
    return size < 16 or (size < LINE_LIMIT and data.find(b"\n", at) < 0 and _SCHEME.match(data, at) is not None)


def _warc(head: bytes) -> Head | None:
    version = _VERSION.match(head)
    if version is None:
        return None
    fields = Fields(head)
    length, kind = fields.get(b"content-length") or b"", fields.get(b"warc-type") or b"unknown"
    if not length.isdigit() or len(length) > 15:
        return None
    url = fields.get(b"warc-target-uri")
    return Head(
        size=len(head),
        length=int(length),
        kind=kind.decode("latin-1").lower(),
        id=_text(fields.get(b"warc-record-id")),
        url=_text(url.strip(b"<>") if url else None),
        date=_text(fields.get(b"warc-date")),
        mime=_text(fields.get(b"content-type")),
        arc=False,
        clipped=fields.get(b"warc-truncated") is not None,
    )


def _arc(data: bytes, at: int) -> Head | None:
    """The head of an ARC record, which is one line: URL, address, date, media type and length, and between the last two five
    more of version 2. Read from its end, for whatever its URL holds it takes time that is linear in it."""
    if _SCHEME.match(data, at) is None or (end := data.find(b"\n", at, at + LINE_LIMIT) + 1) == 0:
        return None
    line = data[at:end]
    for pair in list(_ARC_PAIR.finditer(line))[: -_ARC_TRIED - 1 : -1]:
        rest = _ARC_REST.fullmatch(line, pair.end("date") + 1)
        if rest is not None and pair.start() <= _ARC_URL and b"\r" not in (url := line[: pair.start()]):
            return Head(
                size=len(line),
                length=int(rest["length"]),
                kind="warcinfo" if url.startswith(b"filedesc:") else "response",
                id=None,
                url=_text(url),
                date=arc_date(pair["date"].decode("ascii")),
                mime=_text(rest["mime"]),
                arc=True,
                clipped=False,
            )
    return None


class Fields:
    """The named fields of a head, which starts with its version or status line. The first of several counts."""

    __slots__ = ("_lower", "_raw")

    def __init__(self, head: bytes) -> None:
        if b"\n " in head or b"\n\t" in head:
            head = _FOLD.sub(b" ", head)
        if b" :" in head or b"\t:" in head:
            head = _SPACED.sub(rb"\1:", head)
        self._raw = head
        self._lower = head.lower()

    def get(self, name: bytes) -> bytes | None:
        """The value of a field, whose name is given in lower case; None where there is no such field."""
        at = self._lower.find(b"\n" + name + b":")
        if at < 0:
            return None
        at += len(name) + 2
        end = self._raw.find(b"\n", at)
        return self._raw[at : end if end >= 0 else None].strip()


def arc_date(digits: str) -> str | None:
    """'20080430204825' to '2008-04-30T20:48:25Z'; missing digits are left out of the ISO form from the right."""
    if len(digits) < 14:
        return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}"
    day, time = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}", f"{digits[8:10]}:{digits[10:12]}:{digits[12:14]}"
    return f"{day}T{time}Z"


def next_candidate(data: bytes, at: int) -> int:
    """Index of the next line at or after `at` that looks like the first line of a head; -1 where there is none.
    `data[0]` counts as a line start."""
    places = (found.start() for found in _CANDIDATE.finditer(data, at))
    return next((place for place in places if data.startswith(b"WARC/", place) or _arc(data, place) is not None), -1)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
