"""Compressed members: the gzip members or zstd frames that a crawl file is a chain of.

An *anchor* is an offset where a member starts whose text begins with a record head. Whether an offset is one depends
on the bytes from there on alone, so every reader, wherever it starts, agrees on the anchors of a file: they are where
a file may be cut. Only an archive embedded verbatim in another can imitate one.

gzip members are inflated by ISA-L (`isal`), which verifies CRC-32 and length like zlib at three times its speed;
fastwarc's own reader passes truncated members off as complete and does not say how much came before an error.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zstandard
from isal import isal_zlib

from winnow.stages.reading.files import BLOCK, Window
from winnow.stages.reading.warc_headers import Head, head_may_follow, parse_head

GZIP_MAGIC = b"\x1f\x8b\x08"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
DICTIONARY_MAGIC = b"\x5d\x2a\x4d\x18"
"""The skippable frame that carries a .warc.zst dictionary
(https://iipc.github.io/warc-specifications/specifications/warc-zstd/)."""

_FAILURES: tuple[Any, ...] = (isal_zlib.error, zlib.error, zstandard.ZstdError)


class Broken(Exception):
    """A stretch that cannot be read: where it starts and why. `whole`: all of its text came out, but its checksum
    says that the text is not what was written."""

    def __init__(self, offset: int, cause: str, whole: bool = False) -> None:
        super().__init__(cause)
        self.offset = offset
        self.cause = cause
        self.whole = whole


CHUNK = 1 << 18
"""Bytes of text that a gzip member gives at once, at most."""
PROBE = 1 << 9
"""Compressed bytes inflated first where a member is only looked for: nearly none of those places is one."""
DICTIONARY_BYTES = 16 << 20
"""Longest zstd dictionary of a file, in bytes."""


@dataclass(frozen=True, slots=True)
class Codec:
    """How a file's members are recognised and inflated. `fast` and `careful` make objects with the interface of
    `zlib.decompressobj`; after an error only the careful one still gives every byte that came before it. `inflate` has
    such an object inflate some bytes; it may leave some of them as its `unconsumed_tail`."""

    name: str
    magic: bytes
    piece: int  # compressed bytes given to the codec at once
    dense: int  # the same where they expand much: bounds what one piece can expand to
    fast: Callable[[], Any]
    careful: Callable[[], Any]
    inflate: Callable[[Any, bytes], bytes]


def gzip_codec() -> Codec:
    """gzip, RFC 1952."""
    return Codec(
        "gzip",
        GZIP_MAGIC,
        1 << 15,
        1 << 15,
        lambda: isal_zlib.decompressobj(31),
        lambda: zlib.decompressobj(31),
        lambda inflater, piece: inflater.decompress(piece, CHUNK),
    )


def zstd_codec(window: Window) -> Codec:
    """zstd, RFC 8878, with the dictionary in the file's leading skippable frame where it has one."""
    dictionary = None
    head = window.bytes_at(0, 8)
    if head.startswith(DICTIONARY_MAGIC):
        content = window.bytes_at(8, min(int.from_bytes(head[4:8], "little"), DICTIONARY_BYTES + 1))
        if content.startswith(ZSTD_MAGIC):
            try:
                content = zstandard.ZstdDecompressor().stream_reader(content).read(DICTIONARY_BYTES + 1)
            except zstandard.ZstdError as failure:
                raise Broken(0, f"the dictionary cannot be decompressed: {failure}") from failure
        if len(content) > DICTIONARY_BYTES:
            raise Broken(0, f"the dictionary is longer than {DICTIONARY_BYTES:,} bytes")
        dictionary = zstandard.ZstdCompressionDict(content)

    def inflater() -> Any:
        return zstandard.ZstdDecompressor(dict_data=dictionary).decompressobj()

    # Four bytes can expand to 128 KiB, and the codec has no way to stop half-way.
    return Codec(
        "zstd", ZSTD_MAGIC, 1 << 13, 1 << 10, inflater, inflater, lambda inflater, piece: inflater.decompress(piece)
    )


class Member:
    """One gzip member or zstd frame being inflated."""

    __slots__ = ("_ahead", "_at", "_codec", "_failure", "_inflater", "_window", "end", "given", "head", "offset")

    def __init__(self, window: Window, codec: Codec, offset: int) -> None:
        self.offset = offset
        self.end: int | None = None  # file offset just behind the member, once its checksum held
        self.given = 0  # bytes of text so far
        self._window = window
        self._codec = codec
        self._inflater = codec.fast()
        self._at = offset  # next byte to feed
        self._ahead: bytes | None = None  # inflated by `begins_record`, still to be handed out
        self._failure: Broken | None = None
        self.head: Head | None = None  # as `begins_record` found it

    @property
    def taken(self) -> int:
        """Compressed bytes so far."""
        return self._at - self.offset

    def chunk(self, most: int | None = None) -> bytes | None:
        """The next bytes of text, of `most` compressed ones where that is given; None behind the last. Raises Broken."""
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            return ahead
        while self.end is None:
            if self._failure is not None:
                raise self._failure
            size = self._codec.piece if self.given < 64 * self.taken else self._codec.dense
            piece = self._window.bytes_at(self._at, size if most is None else most)
            try:
                text = self._codec.inflate(self._inflater, piece)  # of no bytes: what it still holds back
            except _FAILURES:
                text = self._rescue(piece)
            else:
                left = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
                self._at += len(piece) - len(left)
                if not piece and not text and not self._inflater.eof:
                    raise Broken(self.offset, f"{self._codec.name} member is truncated by the end of the file")
            if self._inflater.eof:
                self.end = self._at
            if text:
                self.given += len(text)
                return text
        return None

    def begins_record(self, probe: bool = False) -> bool:
        """Whether the text begins with a record head, all of it in this member. Call before `chunk`. `probe`: most likely
        it does not, so that little is inflated to see that. Raises Broken."""
        text = b""
        most = PROBE if probe else None
        while (head := parse_head(text, 0)) is None and head_may_follow(text):
            chunk = self.chunk(most)
            if chunk is None:
                break
            text = text + chunk if text else chunk
            most = None
        self._ahead = text or None
        self.head = head
        return head is not None

    def _rescue(self, bad: bytes) -> bytes:
        """Inflates again from the start with the careful codec, and byte by byte where it breaks; gives what comes behind
        what was given."""
        careful = self._codec.careful()
        skip, at, rescued = self.given, self.offset, bytearray()
        try:
            while at < self._at:
                piece = self._window.bytes_at(at, min(self._codec.dense, self._at - at))
                text = careful.decompress(piece)
                rescued += text[skip:]
                skip = max(0, skip - len(text))
                at += len(piece)
            for index in range(len(bad)):
                if careful.eof:
                    break
                text = careful.decompress(bad[index : index + 1])
                rescued += text[skip:]
                skip = max(0, skip - len(text))
                self._at += 1
            self._inflater = careful
        except _FAILURES as failure:
            reason = str(failure)
            whole = "incorrect data check" in reason or "incorrect length check" in reason
            self._failure = Broken(self.offset, f"{self._codec.name} member is corrupt: {reason}", whole)
        return bytes(rescued)


def is_anchor(window: Window, codec: Codec, offset: int) -> bool:
    """Whether a member whose text begins with a record head starts at `offset`."""
    if window.bytes_at(offset, len(codec.magic)) != codec.magic:
        return False
    try:
        return Member(window, codec, offset).begins_record(probe=True)
    except Broken:
        return False


def find_anchor(window: Window, codec: Codec, start: int, end: int) -> int | None:
    """The first anchor in [start, end), or None."""
    overlap = len(codec.magic) - 1
    at = start
    while at < end:
        block = window.bytes_at(at, min(BLOCK, end + overlap - at))
        index = block.find(codec.magic)
        while index >= 0:
            if is_anchor(window, codec, at + index):
                return at + index
            index = block.find(codec.magic, index + 1)
        at += max(len(block) - overlap, 1)
    return None


def following(window: Window, codec: Codec, at: int) -> Member | None:
    """The member that starts at `at`, behind any skippable frames and padding; None at the end of the file.
    Raises Broken where something else starts."""
    while at < window.size:
        head = window.bytes_at(at, 8)
        if head.startswith(codec.magic):
            return Member(window, codec, at)
        if codec.magic == ZSTD_MAGIC and 0x50 <= head[0] <= 0x5F and head[1:4] == DICTIONARY_MAGIC[1:]:
            at += 8 + int.from_bytes(head[4:8], "little")
        elif head[0] in b"\0\r\n":
            block = window.bytes_at(at, BLOCK)
            at += len(block) - len(block.lstrip(b"\0\r\n"))
        else:
            raise Broken(at, f"no {codec.name} member starts here: {head!r}")
    return None
