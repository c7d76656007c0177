"""Files of edit programs: JSON Lines or Parquet with the columns `id` (of the document) and `program` (text or list).

An id is either the document's, as `documents()` and `winnow why` show it (32 hex digits), or the one that its source has
for it, text or whole number, where the source was told `id:`: the document's is then made from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

Program = str | tuple[str, ...]
"""Operations, one a line or one an item."""


class ProgramFileError(ValueError):
    """A file of programs that cannot be used: the file, the place and what was expected."""


@lru_cache(maxsize=4)
def digest(path: str, size: int, modified: int) -> str:
    """sha256 (hex) of a file's content; size and time of change are there to notice another content."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identified(path: str) -> str:
    """The digest of a file of programs. Raises ProgramFileError."""
    try:
        state = Path(path).stat()
        return digest(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise ProgramFileError(f"programs '{path}': {error.strerror}; expected a .jsonl or .parquet file") from error


@lru_cache(maxsize=2)
def programs(files: tuple[tuple[str, str], ...], identity: Callable[[str], str]) -> dict[str, Program]:
    """Document id -> program, of files named with their digests; all of them in memory. `identity`: a source's id -> the
    document's. Each id of a file stands for itself and for what `identity` makes of it. Raises ProgramFileError for what
    cannot be read, and for a document with two programs."""
    found: dict[str, Program] = {}
    for path, _ in files:
        for where, key, program in _rows(path):
            if isinstance(key, int) and not isinstance(key, bool):
                key = str(key)
            if not isinstance(key, str) or not key:
                raise ProgramFileError(f"{where}: expected `id` to be the id of a document, got {key!r:.60}")
            made = identity(key)
            if key in found or made in found:
                other = "" if key in found else f" by its id {made}"
                raise ProgramFileError(
                    f"{where}: document '{key}' has a program already{other}: expected one a document"
                )
            if program is None:
                continue
            if isinstance(program, list) and all(isinstance(operation, str) for operation in program):
                found[key] = found[made] = tuple(program)
            elif isinstance(program, str):
                found[key] = found[made] = program
            else:
                raise ProgramFileError(
                    f"{where}: expected `program` to be a text or a list of texts, got {program!r:.60}"
                )
    return found


def _rows(path: str) -> Iterator[tuple[str, object, object]]:
    if path.endswith(".parquet"):
        yield from _parquet(path)
    elif path.endswith(".jsonl"):
        yield from _lines(path)
    else:
        raise ProgramFileError(f"programs '{path}': expected a .jsonl or .parquet file")


def _lines(path: str) -> Iterator[tuple[str, object, object]]:
    import orjson

    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"programs '{path}', line {number}"
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise ProgramFileError(f"{where}: not JSON: {error}") from error
            if not isinstance(row, dict) or "id" not in row or "program" not in row:
                raise ProgramFileError(f"{where}: expected an object with `id` and `program`")
            if isinstance(row["id"], float):  # perhaps an integer of over 64 bits, rounded
                row = json.loads(line)
            yield where, row["id"], row["program"]


def _parquet(path: str) -> Iterator[tuple[str, object, object]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            missing = {"id", "program"} - set(file.schema_arrow.names)
            if missing:
                raise ProgramFileError(
                    f"programs '{path}': no column {', '.join(sorted(missing))}: expected id and program"
                )
            at = 0
            for batch in file.iter_batches(columns=["id", "program"]):
                for row in batch.to_pylist():
                    yield f"programs '{path}', row {at}", row["id"], row["program"]
                    at += 1
    except pa.ArrowException as error:
        raise ProgramFileError(f"programs '{path}': not Parquet: {error}") from error
