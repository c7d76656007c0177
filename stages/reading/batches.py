"""Batches of documents from text sources: rows gathered, checked and laid out in columns; where one could not be read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import pyarrow as pa
import xxhash

from winnow.stages.base import DOCUMENT_SCHEMA

ROWS = 1_000
BYTES = 32 << 20
"""A batch ends at `ROWS` rows or `BYTES` characters of text, whichever comes first."""

TEXT_SCHEMA = DOCUMENT_SCHEMA.append(pa.field("error", pa.string()))


def identity(value: str) -> str:
    """32 hex digits for an id column's value or a row's place."""
    return xxhash.xxh3_128_hexdigest(value.encode("utf-8", "surrogatepass"))


def composed(text: str) -> str:
    """NFC, touching only what is not already."""
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


class Batch:
    """Rows on their way into a record batch."""

    __slots__ = ("_columns", "_size", "_source")

    def __init__(self, source: str) -> None:
        self._source = source
        self._start()

    def _start(self) -> None:
        self._columns: dict[str, list[str | None]] = {
            name: [] for name in ("id", "url", "date", "title", "text", "error")
        }
        self._size = 0

    def add(
        self, id: str, url: str | None, date: str | None, title: str | None, text: str | None, error: str | None
    ) -> None:
        """Adds a row. Strings that UTF-8 cannot hold cost an optional column its value, and the row its text."""
        for name, value in (("url", url), ("date", date), ("title", title)):
            self._columns[name].append(value if value is None or _encodable(value) else None)
        if error is None and text is not None and not _encodable(text):
            error = "text holds a lone surrogate, which is not valid Unicode"
        self._columns["id"].append(id)
        self._columns["text"].append("" if error is not None or text is None else composed(text))
        self._columns["error"].append(error)
        self._size += 0 if text is None else len(text)

    def full(self) -> bool:
        """Whether the batch has all the rows it should."""
        return len(self._columns["id"]) >= ROWS or self._size >= BYTES

    def take(self) -> Iterator[pa.RecordBatch]:
        """The rows so far, as no or one batch with TEXT_SCHEMA; starts anew."""
        rows = len(self._columns["id"])
        if rows:
            columns: dict[str, list[str | None]] = {**self._columns, "source": [self._source] * rows}
            yield pa.RecordBatch.from_arrays(
                [pa.array(columns[field.name], field.type) for field in TEXT_SCHEMA], schema=TEXT_SCHEMA
            )
            self._start()


def _encodable(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_PLACED = re.compile(r"(?P<place>.+?: (?:line [\d,]+ \(byte \d+\)|byte \d+|row \d+)): (?P<cause>.+)", re.DOTALL)


def placed(file: str, place: str, cause: str) -> str:
    """Why a row of a file could not be read. `place`: a line, a byte or a row of it."""
    return f"{file}: {place}: {cause}"


def unplaced(error: str) -> tuple[str, str | None]:
    """The cause of an error that `placed` made, so that equal ones can be counted, and file and place; None for others."""
    found = _PLACED.fullmatch(error)
    return (error, None) if found is None else (found["cause"], found["place"])
