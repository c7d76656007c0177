"""JSON Lines, uncompressed, .gz or .zst: one object per line, its text under a named key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import orjson
import pyarrow as pa
from pydantic import Field

from winnow.stages.base import Settings as BaseSettings
from winnow.stages.base import StageError
from winnow.stages.reading.batches import Batch, identity, placed
from winnow.stages.reading.files import Window, basename, opened, pieces
from winnow.stages.reading.lines import HEAD, Line, plain_lines, unpacked_lines, unreadable
from winnow.stages.reading.members import (
    DICTIONARY_MAGIC,
    GZIP_MAGIC,
    ZSTD_MAGIC,
    Broken,
    Codec,
    following,
    gzip_codec,
    zstd_codec,
)
from winnow.stages.source import Damage, InputFile, Paths, Segment, Source

KEYS = 20
"""Keys of an object without a text that its cause names."""

ROUNDED = 2.0**63
"""Numbers from here on may be integers that do not fit 64 bits, which are floats by the time they are seen."""


class Settings(BaseSettings):
    """What to read, and under which keys of the objects."""

    paths: Paths
    """Files, folders or patterns, on a disk or any fsspec URL. One needs no list."""
    text: str = "text"
    """The key with the text."""
    id: str | None = None
    """The key that tells documents apart. Default: the row's place in its file."""
    url: str | None = None
    """The key with the address."""
    date: str | None = None
    """The key with the date."""
    title: str | None = None
    """The key with the title."""
    max_bytes: int = Field(default=32 << 20, gt=0)
    """Longest line; longer ones are error rows."""


class Jsonl(Source):
    """Every line that is not blank as one row; a line that is no object with a text is a row with its cause. A file that
    has no lines of JSON at all is an error."""

    __slots__ = ()

    kind = "jsonl"
    version = 2
    Settings = Settings
    formats = (".jsonl", ".ndjson", ".json")
    gives = "texts"

    def segments(self, file: InputFile) -> list[Segment]:
        """Byte ranges of size / 16, at least 1 MiB and at most 256 MiB; compressed files whole. Raises StageError for a
        local file that is something else than JSON Lines; of others only reading tells, which here would be a request
        each."""
        if "://" not in file.url:
            with opened(file, HEAD) as window:
                self._check(window, file)
        if file.url.endswith((".gz", ".zst", ".zstd")):
            return [Segment(file, 0, file.size)]
        return [Segment(file, start, end) for start, end in pieces(file, 1 << 20, 256 << 20, 16)]

    def texts(self, segment: Segment) -> Iterator[pa.RecordBatch | Damage]:
        """The lines that start in the segment, at most 1,000 or 32 Mi characters to a batch. Raises StageError where
        the file cannot be opened or is no JSON Lines."""
        batch = Batch(self.name)
        name = segment.file.key or basename(segment.file.url)
        with opened(segment.file) as window:
            if segment.start == 0:
                self._check(window, segment.file)
            for item in self._lines(window, segment):
                if isinstance(item, Broken):
                    yield from batch.take()
                    yield Damage(segment.file.url, item.offset, item.cause)
                    continue
                self._add(batch, item, name)
                if batch.full():
                    yield from batch.take()
            yield from batch.take()

    def _check(self, window: Window, file: InputFile) -> None:
        head, inside = window.bytes_at(0, HEAD), None
        try:
            codec = _codec(window)
            member = None if codec is None else following(window, codec, 0)
            if codec is not None and member is not None:
                head, inside = member.chunk() or b"", codec.name
        except Broken:
            return  # damage, which reading tells with its place
        cause = unreadable(head, inside)
        if cause is not None:
            raise StageError(f"{self.name}: {file.url} is {cause}")

    def _lines(self, window: Window, segment: Segment) -> Iterator[Line | Broken]:
        limit = self.settings.max_bytes
        try:
            codec = _codec(window)
        except Broken as broken:
            yield broken
            return
        if codec is None:
            if segment.file.size == 0 and segment.file.url.endswith((".gz", ".zst", ".zstd")):
                yield Broken(0, "the file is empty, as no compressed file is")
            yield from plain_lines(window, segment.start, segment.end, limit)
        elif segment.start == 0:
            yield from unpacked_lines(window, codec, limit)

    def _add(self, batch: Batch, line: Line, name: str) -> None:
        settings = cast(Settings, self.settings)
        row: Any = None
        text: Any = None
        error: str | None = None
        given: Any = None
        if line.size > len(line.data):
            error = f"a line of {line.size:,} bytes: expected at most {settings.max_bytes:,}"
        else:
            try:
                row, sound = orjson.loads(line.data), True
            except orjson.JSONDecodeError:
                sound = False
            try:
                row = row if sound else exact(line.data)
                if settings.id is not None and isinstance(row, dict):
                    given = row.get(settings.id)
                    if sound and isinstance(given, float | dict | list):  # rounded, as integers of over 64 bits are
                        given = exact(line.data)[settings.id]
            except NotJson as failure:
                error = f"not JSON: {failure}"
            else:
                if not isinstance(row, dict):
                    error = f"not an object but {kind(row)}"
                else:
                    text = row.get(settings.text)
                    if not isinstance(text, str) or isinstance(text, Number):
                        error = _no_text(row, settings.text)
                    elif not sound and (cause := unsound(text, line.data)):
                        error = f"'{settings.text}' {cause}"
        if error is not None:
            error = placed(name, line.place(), error)
        fields = row if isinstance(row, dict) else {}
        batch.add(
            identity(f"{name}:{line.offset}") if given is None else identity(cast(str, written(given))),
            _optional(fields, settings.url, line),
            _optional(fields, settings.date, line),
            _optional(fields, settings.title, line),
            text if error is None else None,
            error,
        )


def _codec(window: Window) -> Codec | None:
    head = window.bytes_at(0, 4)
    if head.startswith(GZIP_MAGIC):
        return gzip_codec()
    skipped = len(head) == 4 and 0x50 <= head[0] <= 0x5F and head[1:] == DICTIONARY_MAGIC[1:]
    return zstd_codec(window) if head == ZSTD_MAGIC or skipped else None


def _no_text(row: dict[str, Any], key: str) -> str:
    if key in row:
        return f"'{key}' is not a string but {kind(row[key])}"
    return f"no '{key}'; it has {', '.join(sorted(row)[:KEYS]) or 'nothing'}" + (
        f" and {len(row) - KEYS} more" if len(row) > KEYS else ""
    )


def _optional(row: dict[str, Any], key: str | None, line: Line) -> str | None:
    value = None if key is None else row.get(key)
    if isinstance(value, float) and abs(value) >= ROUNDED:
        value = exact(line.data)[key]
    return value if value is None or isinstance(value, str) else written(value)


KIND = Jsonl


LONGEST = 4000
"""Digits of a whole number; longer ones stay text, since Python refuses to make numbers of them."""


class NotJson(ValueError):
    """A line that is no JSON: what is wrong, and at which character."""


class Number(str):
    """A number as it is written, which no float could hold."""

    __slots__ = ()


def exact(line: bytes) -> Any:
    """The value of a line with every number as it is written: fractions and very long numbers are `Number`.

    Reads what is no JSON but means one thing only: NaN and Infinity, as Python and pandas write them, are null; control
    characters stand for themselves. Bytes that are not UTF-8 become lone surrogates, of which `unsound` tells. Raises
    NotJson.
    """
    text = line.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as failure:
        at = f"at character {failure.pos + 1:,}"
        if failure.msg == "Extra data":
            raise NotJson(f"a second value begins {at}: expected one object a line") from None
        raise NotJson(f"{failure.msg[0].lower()}{failure.msg[1:].removesuffix(' at')} {at}") from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None


def unsound(text: str, line: bytes) -> str | None:
    """Why a string of a line cannot be a text, None where it can."""
    try:
        text.encode()
    except UnicodeEncodeError as failure:
        character = text[failure.start]
        try:
            line.decode()
        except UnicodeDecodeError:
            return f"is not valid UTF-8: byte 0x{ord(character) & 0xFF:02X} at its character {failure.start + 1:,}"
        return (
            f"holds a lone surrogate, \\u{ord(character):04x} at its character {failure.start + 1:,}, which is not "
            "valid Unicode"
        )
    return None


def written(value: Any) -> str | None:
    """A value as text, anything but a string as JSON; None for null."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def kind(value: Any) -> str:
    """The JSON type of a value, for people."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _whole(digits: str) -> int | Number:
    return int(digits) if len(digits) <= LONGEST else Number(digits)


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=Number, parse_constant=lambda _: None, strict=False)
