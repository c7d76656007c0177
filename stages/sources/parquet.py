"""Parquet: one document per row, only the named columns read, cut by row groups."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from winnow.nearest import hint
from winnow.stages.base import Settings as BaseSettings
from winnow.stages.base import StageError
from winnow.stages.reading.batches import ROWS, Batch, identity, placed
from winnow.stages.reading.files import as_planned, basename, page_instead
from winnow.stages.source import Damage, InputFile, Paths, Segment, Source

_GROUP_BYTES = 64 << 20
"""Row groups are gathered into segments of about this many compressed bytes."""


class Settings(BaseSettings):
    """What to read, and from which columns."""

    paths: Paths
    """Files, folders or patterns, on a disk or any fsspec URL. One needs no list."""
    text: str = "text"
    """The column with the text."""
    id: str | None = None
    """The column that tells documents apart. Default: the row's place in its file."""
    url: str | None = None
    """The column with the address."""
    date: str | None = None
    """The column with the date."""
    title: str | None = None
    """The column with the title."""


class Parquet(Source):
    """Every row as one document; a row without text, or with text that is not UTF-8, is an error row."""

    __slots__ = ()

    kind = "parquet"
    version = 2
    Settings = Settings
    formats = (".parquet", ".pq")
    gives = "texts"

    def segments(self, file: InputFile) -> list[Segment]:
        """Ranges of row-group indices, one group or as many as make about 64 MiB of the columns read. Raises
        StageError where the file is no Parquet file or lacks a column."""
        with _opened(file) as (parquet, handle):
            _check_plain(parquet, handle, file)
            columns = set(self._columns(parquet, file))
            meta = parquet.metadata
            indices = [i for i, name in enumerate(meta.schema.names) if name in columns]
            cuts, size = [0], 0
            for group in range(meta.num_row_groups):
                width = sum(meta.row_group(group).column(i).total_compressed_size for i in indices)
                if size and size + width > _GROUP_BYTES:
                    cuts.append(group)
                    size = 0
                size += width
            cuts.append(meta.num_row_groups)
        return [Segment(file, start, end) for start, end in itertools.pairwise(cuts)]

    def texts(self, segment: Segment) -> Iterator[pa.RecordBatch | Damage]:
        """The rows of row groups [start, end). A group that cannot be read is damage at its file offset."""
        name = segment.file.key or basename(segment.file.url)
        with _opened(segment.file) as (parquet, _):
            columns = self._columns(parquet, segment.file)
            row = sum(parquet.metadata.row_group(group).num_rows for group in range(segment.start))
            for group in range(segment.start, segment.end):
                first = row
                row += parquet.metadata.row_group(group).num_rows
                batch, done = Batch(self.name), 0
                try:
                    for rows in parquet.iter_batches(ROWS, row_groups=[group], columns=columns):
                        yield from self._rows(batch, rows, name, first + done)
                        done += rows.num_rows
                except (pa.ArrowException, OSError) as failure:
                    yield from batch.take()
                    offset = parquet.metadata.row_group(group).column(0).data_page_offset
                    lost = row - first - done
                    yield Damage(segment.file.url, offset, f"row group {group}: {lost} rows lost: {_line(failure)}")
                yield from batch.take()

    def _rows(self, batch: Batch, rows: pa.RecordBatch, name: str, first: int) -> Iterator[pa.RecordBatch]:
        settings = cast(Settings, self.settings)
        ids, urls = _strings(rows, settings.id, name), _strings(rows, settings.url, name)
        dates, titles = _strings(rows, settings.date, name), _strings(rows, settings.title, name)
        texts = _strings(rows, settings.text, name)
        for index, text in enumerate(texts):
            given = ids[index]
            error = None
            if not isinstance(text, str):
                cause = "null" if text is None else "not valid UTF-8"
                error = placed(name, f"row {first + index}", f"'{settings.text}' is {cause}")
            batch.add(
                identity(f"{name}:{first + index}" if given is None else _shown(given)),
                _valid(urls[index]),
                _valid(dates[index]),
                _valid(titles[index]),
                text if isinstance(text, str) else None,
                error,
            )
            if batch.full():
                yield from batch.take()

    def _columns(self, parquet: pq.ParquetFile, file: InputFile) -> list[str]:
        settings = cast(Settings, self.settings)
        schema = parquet.schema_arrow
        wanted = [settings.text, settings.id, settings.url, settings.date, settings.title]
        names = list(dict.fromkeys(name for name in wanted if name is not None))
        for name in names:
            if name not in schema.names:
                raise StageError(
                    f"{self.name}: {file.url} has no column '{name}': expected one of {', '.join(schema.names)}"
                    + hint(name, schema.names, 0.0)
                )
            if schema.names.count(name) > 1:
                raise StageError(
                    f"{self.name}: {file.url} has {schema.names.count(name)} columns named '{name}': expected one; rename "
                    "the others"
                )
        text = schema.field(settings.text).type
        if pa.types.is_dictionary(text):
            text = text.value_type
        if not (_textual(text) or pa.types.is_null(text)):
            raise StageError(f"{self.name}: column '{settings.text}' of {file.url} is {text}: expected a string")
        return names


@contextmanager
def _opened(file: InputFile) -> Iterator[tuple[pq.ParquetFile, IO[bytes]]]:
    with as_planned(file) as (filesystem, path):
        try:
            handle = filesystem.open(path, "rb")
        except OSError as failure:
            raise StageError(f"cannot open {file.url}: {failure}") from failure
        with handle:
            try:
                parquet = pq.ParquetFile(handle, pre_buffer=False)
            except (pa.ArrowException, OSError) as failure:
                handle.seek(0)
                why = "it is encrypted" if "encrypted" in str(failure) else page_instead(handle.read(512), "Parquet")
                raise StageError(f"{file.url} is not a readable Parquet file: {why or _line(failure)}") from failure
            yield parquet, handle


def _check_plain(parquet: pq.ParquetFile, handle: IO[bytes], file: InputFile) -> None:
    """Raises StageError where columns are encrypted though the footer is not. Arrow would end the process over them, and
    tells of it nowhere; the footer is then signed, by bytes behind its metadata that are not among them
    (https://github.com/apache/parquet-format/blob/master/Encryption.md)."""
    handle.seek(-8, os.SEEK_END)
    length = int.from_bytes(handle.read(4), "little")
    if length != parquet.metadata.serialized_size:
        raise StageError(f"{file.url} is an encrypted Parquet file: expected one that is not")


def _textual(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _strings(rows: pa.RecordBatch, name: str | None, file: str) -> list[Any]:
    """A column's values: str where it is text, bytes where that is not UTF-8, None where null or no number, else as they
    are."""
    if name is None:
        return [None] * rows.num_rows
    column = rows.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not _textual(column.type):
        return [
            None if isinstance(value, float) and not math.isfinite(value) else value
            for value in _plain(column, name, file)
        ]
    values = column.cast(pa.large_binary()).to_pylist()
    return [_decoded(value) for value in values]


def _plain(column: pa.Array, name: str, file: str) -> list[Any]:
    """Values of a column that is no text. Raises StageError for what neither Python nor Arrow can write down."""
    try:
        return cast(list[Any], column.to_pylist())
    except (ValueError, OverflowError):  # nanoseconds, and years that Python's calendar does not have
        try:
            return cast(list[Any], column.cast(pa.string()).to_pylist())
        except pa.ArrowException as failure:
            raise StageError(
                f"{file}: column '{name}' is {column.type}, which cannot be read as text: {_line(failure)}"
            ) from failure


def _decoded(value: bytes | None) -> str | bytes | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _valid(value: Any) -> str | None:
    return None if value is None or isinstance(value, bytes) else _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")  # no two become the same
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _line(failure: Exception) -> str:
    return str(failure).partition("\n")[0]


KIND = Parquet
