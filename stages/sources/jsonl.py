"""JSON Lines, uncompressed, .gz or .zst: one object per line, its text under a named key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import orjson
import pyarrow as pa
from pydantic import Field

from winnow.stages.sources.batches import Batch, identity
from winnow.stages.sources.lines import Line, plain_lines, unpacked_lines
from winnow.stages.sources.members import GZIP_MAGIC, ZSTD_MAGIC, Broken, Codec, gzip_codec, zstd_codec
from winnow.stages.sources.window import Window, basename, opened, pieces
from winnow.stages.stage import Damage, InputFile, Segment, Source
from winnow.stages.stage import Settings as BaseSettings


class Settings(BaseSettings):
    """Keys of the objects; `max_bytes`: longest line, longer ones are error rows."""

    paths: list[str] = Field(min_length=1)
    text: str = "text"
    id: str | None = None
    url: str | None = None
    date: str | None = None
    title: str | None = None
    max_bytes: int = Field(default=32 << 20, gt=0)


class Jsonl(Source):
    """Every line that is not blank as one row; a line that is no object with a text is a row with its cause."""

    __slots__ = ()

    kind = "jsonl"
    version = 1
    Settings = Settings
    gives = "texts"

    def segments(self, file: InputFile) -> list[Segment]:
        """Byte ranges of size / 16, at least 1 MiB and at most 256 MiB; compressed files whole."""
        if file.url.endswith((".gz", ".zst", ".zstd")):
            return [Segment(file, 0, file.size)]
        return [Segment(file, start, end) for start, end in pieces(file, 1 << 20, 256 << 20, 16)]

    def texts(self, segment: Segment) -> Iterator[pa.RecordBatch | Damage]:
        """The lines that start in the segment, at most 1,000 or 32 Mi characters to a batch. Raises StageError where
        the file cannot be opened."""
        batch = Batch(self.name)
        name = segment.file.key or basename(segment.file.url)
        with opened(segment.file) as window:
            for item in self._lines(window, segment):
                if isinstance(item, Broken):
                    yield from batch.take()
                    yield Damage(segment.file.url, item.offset, item.cause)
                    continue
                self._add(batch, item, name)
                if batch.full():
                    yield from batch.take()
            yield from batch.take()

    def _lines(self, window: Window, segment: Segment) -> Iterator[Line | Broken]:
        limit = self.settings.max_bytes
        try:
            codec = _codec(window)
        except Broken as broken:
            yield broken
            return
        if codec is None:
            yield from plain_lines(window, segment.start, segment.end, limit)
        elif segment.start == 0:
            yield from unpacked_lines(window, codec, limit)

    def _add(self, batch: Batch, line: Line, name: str) -> None:
        settings = cast(Settings, self.settings)
        where = f"at byte {line.offset}"
        place = identity(f"{name}:{line.offset}")
        error: str | None = None
        row: Any = None
        if line.size > len(line.data):
            error = f"line {where} has {line.size} bytes: expected at most {settings.max_bytes}"
        else:
            try:
                row = orjson.loads(line.data)
            except orjson.JSONDecodeError as failure:
                error = f"line {where} is not JSON: {failure}"
        if error is None and not isinstance(row, dict):
            error = f"line {where} is not an object but {_kind(row)}"
        if error is not None:
            batch.add(place, None, None, None, None, error)
            return
        text = row.get(settings.text)
        if settings.text not in row:
            error = f"line {where} has no '{settings.text}'; it has {', '.join(sorted(row)[:8]) or 'nothing'}"
        elif not isinstance(text, str):
            error = f"'{settings.text}' of line {where} is not a string but {_kind(text)}"
        given = None if settings.id is None else row.get(settings.id)
        batch.add(
            place if given is None else identity(given if isinstance(given, str) else str(given)),
            _optional(row, settings.url),
            _optional(row, settings.date),
            _optional(row, settings.title),
            text if error is None else None,
            error,
        )


def _codec(window: Window) -> Codec | None:
    head = window.bytes_at(0, 4)
    if head.startswith(GZIP_MAGIC):
        return gzip_codec()
    return zstd_codec(window) if head == ZSTD_MAGIC else None


def _optional(row: dict[str, Any], key: str | None) -> str | None:
    value = None if key is None else row.get(key)
    return value if value is None or isinstance(value, str) else str(value)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


KIND = Jsonl
