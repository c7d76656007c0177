"""Lines of a text file, from any byte range of it or out of its compressed members, in bounded memory; and, for a file
that has none, what it is instead, told from its first bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from winnow.stages.reading.files import BLOCK, Window, page_instead
from winnow.stages.reading.members import Broken, Codec, Member, following

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
        for line in _split(window.blocks(at), at, limit):
            if isinstance(line, Broken) or line.offset >= end:
                return
            yield line


def unpacked_lines(window: Window, codec: Codec, limit: int) -> Iterator[Line | Broken]:
    """The lines of all members, and at most one stretch of damage: what stands behind it cannot be placed."""
    yield from _split(_unpacked(window, codec), 0, limit)


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


HEAD = 1 << 16
"""Bytes of a file, and of what is packed in it, that are looked at."""

_PACKED = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x5d\x00\x00": "lzma",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x02\x21\x4c\x18": "lz4",
    b"\xff\x06\x00\x00sNaPpY": "snappy",
    b"\x89LZO\x00\r\n": "lzop",
    b"LZIP": "lzip",
    b"\x1f\x9d": "compress",
    b"\x1f\x8b\x08": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_FORMATS = {
    b"PAR1": "Parquet: expected JSON Lines, or `use: parquet`",
    b"PARE": "encrypted Parquet: expected JSON Lines",
    b"WARC/": "a WARC file: expected JSON Lines, or `use: warc`",
    b"ARROW1": "an Arrow file: expected JSON Lines, or Parquet with `use: parquet`",
    b"ORC": "an ORC file: expected JSON Lines, or Parquet with `use: parquet`",
    b"Obj\x01": "an Avro file: expected JSON Lines, or Parquet with `use: parquet`",
    b"SQLite format 3\x00": "an SQLite database: expected JSON Lines",
    b"%PDF": "a PDF document: expected JSON Lines",
    b"version https://git-lfs": "a pointer of Git LFS and not the file itself: `git lfs pull` fetches that",
}
_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32LE",
    b"\x00\x00\xfe\xff": "UTF-32BE",
    b"\xff\xfe": "UTF-16LE",
    b"\xfe\xff": "UTF-16BE",
}
_NULS: dict[tuple[bool, ...], str] = {
    (False, True, True, True): "UTF-32LE",
    (True, True, True, False): "UTF-32BE",
    (False, True, False, True): "UTF-16LE",
    (True, False, True, False): "UTF-16BE",
}
"""Which of the first four bytes are zero where a text that begins in ASCII has no mark."""

_LINE = re.compile(rb"[^\r\n]*\S[^\r\n]*")


def unreadable(head: bytes, inside: str | None = None) -> str | None:
    """What stands behind `FILE is ...` for a file that begins with `head` and has no lines of JSON, with what was
    expected; None where it may have some. `inside`: the compression whose text it is."""
    packed = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
    if packed is None and head[257:262] == b"ustar":
        packed = "tar"
    if packed is not None and inside is not None:
        return f"{packed} inside {inside}: expected JSON Lines, plain or in one layer of gzip or zstd"
    if packed is not None:
        return f"packed by {packed}, which is not read: expected JSON Lines, plain or in gzip or zstd"
    for magic, what in _FORMATS.items():
        if head.startswith(magic):
            return what
    encoding = _encoding(head)
    if encoding is not None:
        return f"{encoding}: expected UTF-8; `iconv -f {encoding} -t UTF-8` converts it"
    return _no_lines(head.removeprefix(_BOM), len(head) < HEAD)


def _encoding(head: bytes) -> str | None:
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    return marked or _NULS.get(tuple(byte == 0 for byte in head[:4]))


def _no_lines(head: bytes, whole: bool) -> str | None:
    lines = (found[0].strip() for found in _LINE.finditer(head))
    first, second = next(lines, b""), next(lines, b"")
    if not first:
        return None
    complete = whole or bool(second)
    if first.startswith(b"["):
        if complete and _json(first) and second.startswith(b"{"):
            return None  # one line is no object: that is a row, as any other line is
        return "a JSON array, not lines: expected one object a line; `jq -c '.[]'` writes them"
    if first.startswith(b"{"):
        broken = first.endswith((b"{", b"[", b",")) and not second.startswith(b"{")
        if complete and second and broken and not _json(first):
            return "JSON over several lines: expected one object a line; `jq -c .` writes them"
        return None
    if any(line.startswith(b"{") for line in (second, *lines)):
        return None
    if (page := page_instead(first, "JSON Lines")) is not None:
        return page
    shown = first[:40].decode("utf-8", "replace")
    for mark, name in ((b"\t", "TSV"), (b",", "CSV")):
        if first.count(mark) and (not second or second.count(mark) >= first.count(mark)):
            return f"no JSON but perhaps {name} (it begins with {shown!r}): expected one JSON object a line"
    return f"no JSON Lines (it begins with {shown!r}): expected one JSON object a line"


def _json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
