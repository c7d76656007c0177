"""Where a run keeps its parts: Arrow IPC files on any fsspec filesystem, visible only when whole, each with a record.

A part is written to a temporary name, renamed, and then recorded (rows, bytes, hash) in a JSON file beside it. A part
without a matching record does not exist. Object stores show an object only when its upload completes, so there the
part is written in place.

Nothing is read that is not what was written: a part's bytes are hashed before they are read, once per content
(`ledger.py`), and a JSON file begins with the hash of what follows.
"""

from __future__ import annotations

import fnmatch
import hashlib
import shlex
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import fsspec
import orjson
import pyarrow as pa
import xxhash
from fsspec.implementations.local import LocalFileSystem

from winnow.identity import UnknownValue
from winnow.pipelines.engine.ledger import Ledger, listed
from winnow.stages.reading.files import stamp

BATCH_ROWS = 512
"""Rows of every record batch but the last, so that a row's batch is known without reading any."""

WIDE_ROWS, WIDE_BYTES = 2**14, 2**23
"""A part of signals is read whole, so its record batches are larger: up to so many rows, or so many bytes of them."""

THREADED_BYTES = 2**22
"""A part of so many bytes is worth several threads that unpack its columns; smaller ones take them half as long again."""

ONE_READ_BYTES = 2**21
"""A part of at most so many bytes is read whole from object storage: its footer and columns apart would be several requests."""

_OPTIONS = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 1))

_SEAL = b'{\n  "checksum": "'
"""How a JSON file begins; then come 32 hex digits, the hash of everything behind them and the quotation mark."""


class StoreError(OSError):
    """A file that is damaged or missing: one sentence with its path, what is wrong and what to do. `file`: its name in the
    store; `what` is wrong."""

    file = what = ""


@dataclass(frozen=True, slots=True)
class Store:
    """A run's folder: a local path or any fsspec URL. `remedy`: what to do about a damaged file, where it is no run's;
    `selection`: of the run, that is read."""

    root: str
    remedy: str = ""
    selection: str | None = None

    @classmethod
    def at(cls, folder: str) -> Store:
        """Of a folder as a person writes it: a URL, or a path."""
        return cls(folder if "://" in folder else str(Path(folder).expanduser().resolve()))

    @property
    def fs(self) -> fsspec.AbstractFileSystem:
        """The filesystem, one per process and URL."""
        return _filesystem(self.root)[0]

    def path(self, name: str) -> str:
        """The filesystem's own path of a file of the run."""
        return f"{_filesystem(self.root)[1]}/{name}"

    def url(self, name: str) -> str:
        """The full URL of a file of the run, for code that opens it through fsspec itself."""
        return f"{self.root.rstrip('/')}/{name}"

    @property
    def local(self) -> bool:
        """Whether parts can be renamed and mapped into memory."""
        return isinstance(self.fs, LocalFileSystem)

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Write whole or not at all, and sealed."""
        self._put(name, sealed(value))

    def write_text(self, name: str, text: str) -> None:
        """Write whole or not at all."""
        self._put(name, text.encode("utf-8"))

    def read_json(self, name: str, hint: bool = False) -> Any:
        """The value, or None where there is no such file. Raises StoreError where it is not what was written; `hint`: None
        there too, for what is said to people and decides nothing."""
        path = self.path(name)
        try:
            content = Path(path).read_bytes() if self.local else self.fs.cat_file(path)
        except FileNotFoundError:
            return None
        value = unsealed(content)
        if value is None and not hint:
            what = "is damaged or was edited, or another version of winnow wrote it: it does not hash to its checksum"
            raise self.damaged(name, what)
        return value

    def damaged(self, name: str, what: str, strict: bool = False) -> StoreError:
        """The error for a file that is not what was written. `strict`: only its hash tells."""
        where = shlex.quote(self.root)
        how = f"{where} --selection {self.selection}" if self.selection else where
        remedy = self.remedy or f"`winnow run {how}{' --strict' if strict else ''}` makes it again"
        if not self.remedy and name in ("run.json", "planned.json"):
            remedy = f"give `winnow run` the declaration again: winnow run DECLARATION --folder {where}"
        elif not self.remedy and name.startswith("selections/"):
            chosen = name.removeprefix("selections/").removesuffix(".json")
            remedy = f"select it again: winnow select {where} --set ... --name {chosen}"
        error = StoreError(f"{self.path(name)}: {what}; {remedy}")
        error.file, error.what = name, what
        return error

    def exists(self, name: str) -> bool:
        """Whether a file of that name exists."""
        return bool(self.fs.exists(self.path(name)))

    def names(self, folder: str) -> set[str]:
        """Names of what a folder holds; none where there is no such folder."""
        path = self.path(folder)
        return {n.rpartition("/")[2] for n in self.fs.ls(path, detail=False)} if self.fs.exists(path) else set()

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        if self.exists(name):
            self.fs.rm_file(self.path(name))

    def remove_all(self, pattern: str) -> None:
        """Remove the files of a folder whose names match the last part of a pattern."""
        folder, _, names = pattern.rpartition("/")
        for name in fnmatch.filter(listed(self.fs, self.path(folder)), names):
            self.fs.rm_file(self.path(f"{folder}/{name}"))

    def record(self, part: str) -> dict[str, Any] | None:
        """What was recorded of a part, or None unless the part is there, with the recorded size."""
        record = self.read_json(f"{part}.json")
        if record is None:
            return None
        try:
            size = self.fs.size(self.path(f"{part}.arrow"))
        except FileNotFoundError:
            return None
        return dict(record) if size == record["bytes"] else None

    @property
    def ledger(self) -> Ledger:
        """What this process knows of the files' hashes, one per folder."""
        if self.root not in _LEDGERS:
            _LEDGERS[self.root] = Ledger(*_filesystem(self.root))
        return _LEDGERS[self.root]

    def reader(
        self, part: str, columns: Sequence[str] | None = None, recorded: Mapping[str, Any] | None = None
    ) -> pa.ipc.RecordBatchFileReader:
        """Opens a part; only the named columns are read. `recorded`: its record, with its size as `bytes`, its `hash` and, if
        it is known, the order of its `columns`, where it is at hand. Raises StoreError where it is missing or not what was
        recorded."""
        if recorded is None:
            recorded = self.read_json(f"{part}.json")
        if recorded is None:
            raise self.damaged(f"{part}.arrow", "missing, or never finished") from FileNotFoundError(part)
        source = self._whole(f"{part}.arrow", recorded["bytes"], recorded["hash"])
        options = pa.ipc.IpcReadOptions(use_threads=recorded["bytes"] >= THREADED_BYTES)
        try:
            if columns is not None:
                names = recorded.get("columns") or pa.ipc.open_file(source).schema.names
                options.included_fields = sorted(map(names.index, columns))
            return pa.ipc.open_file(source, options=options)
        except pa.ArrowInvalid as error:
            raise self.damaged(f"{part}.arrow", f"cannot be read: {error}", strict=True) from error

    def check(self, name: str, size: int, digest: str, again: bool = True) -> None:
        """Hashes a file; `again`: whatever is known of it. Raises StoreError where it is missing or not what was recorded."""
        if again:
            self.ledger.entries.pop(name, None)
        self._whole(name, size, digest)

    def _whole(self, name: str, size: int, digest: str) -> pa.NativeFile:
        """A file opened, its bytes found to be those that were recorded. Hashes of 32 digits are xxh3_128, of 64 sha256."""
        path = self.path(name)
        try:
            found, at = stamp(self.fs, path)
            if found != size:
                raise self.damaged(name, f"has {found:,} bytes, expected {size:,}: it was cut or replaced")
            known = self.ledger.holds(name, size, at, digest)
            if self.local:
                source = pa.memory_map(path) if size else pa.BufferReader(b"")
                content = None if known else source.read_buffer()
            elif known and size > ONE_READ_BYTES:
                return pa.PythonFile(self.fs.open(path, "rb"), mode="r")
            else:
                content = self.fs.cat_file(path)
                source = pa.BufferReader(content)
        except FileNotFoundError as error:
            raise self.damaged(name, "missing") from error
        if content is not None:
            if hexdigest(content, len(digest)) != digest:
                raise self.damaged(name, "damaged or replaced: it does not hash to what was recorded", strict=True)
            self.ledger.add(name, size, at, digest, hashed=True)
            source.seek(0)
        return source

    def read(
        self, part: str, columns: Sequence[str] | None = None, recorded: Mapping[str, Any] | None = None
    ) -> pa.Table:
        """All rows of a part; arguments as of `reader`."""
        table = self.reader(part, columns, recorded).read_all()
        return table if columns is None else table.select(list(columns))

    def writer(self, part: str, schema: pa.Schema, wide: bool = False) -> PartWriter:
        """Opens a part for writing; nothing is visible before `close`. `wide`: in large record batches, whatever comes."""
        return PartWriter(self, part, schema, wide)

    def write(self, part: str, table: pa.Table, **facts: Any) -> dict[str, Any]:
        """Writes a table as a whole part, with any further facts in its record. Returns the record."""
        writer = self.writer(part, table.schema)
        with ExitStack() as unless_done:
            unless_done.callback(writer.discard)
            writer.write(table)
            unless_done.pop_all()
        return writer.close(**facts)

    def sweep(self) -> None:
        """Remove what killed writers left behind. Only the holder of the run's lock calls this."""
        if self.local and self.fs.exists(self.path("")):
            for path in self.fs.find(self.path("")):
                if ".tmp-" in path or path.endswith(".tmp"):
                    self.fs.rm_file(path)

    def make_folder(self, path: str) -> None:
        """The folder of a file. Not on a disk, where a look costs nothing, it is made once a process: each time is a request."""
        (_folder.__wrapped__ if self.local else _folder)(self.root, path.rpartition("/")[0])

    def _put(self, name: str, content: bytes) -> None:
        path = self.path(name)
        self.make_folder(path)
        if not self.local:
            self.fs.pipe_file(path, content)
            return
        temporary = f"{path}.tmp-{uuid.uuid4().hex}"
        self.fs.pipe_file(temporary, content)
        Path(temporary).replace(path)


class PartWriter:
    """Streams record batches into one part. State: the open file, its running hash and counts, and rows that wait."""

    def __init__(self, store: Store, part: str, schema: pa.Schema, wide: bool = False) -> None:
        self.store, self.part, self.rows, self.wide = store, part, 0, wide
        self.waiting: list[pa.Table] = []
        self.path = store.path(f"{part}.arrow")
        self.temporary = f"{self.path}.tmp-{uuid.uuid4().hex}" if store.local else self.path
        store.make_folder(self.path)
        self.file = _Hashed(store.fs.open(self.temporary, "wb"))
        self.ipc = pa.ipc.new_file(pa.PythonFile(self.file, mode="w"), schema, options=_OPTIONS)
        self.schema = schema

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows."""
        self.rows += batch.num_rows
        if not self.wide:
            self.ipc.write(batch)
            return
        self.waiting.append(pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch)
        rows, size = (sum(getattr(t, of) for t in self.waiting) for of in ("num_rows", "nbytes"))
        if rows >= WIDE_ROWS or size >= WIDE_BYTES:
            self._flush()

    def close(self, **facts: Any) -> dict[str, Any]:
        """Make the part visible and record it, with any further facts. Returns the record."""
        self._flush()
        self.ipc.close()
        self.file.inner.close()
        if self.temporary != self.path:
            Path(self.temporary).replace(self.path)
        record = {"rows": self.rows, "bytes": self.file.bytes, "hash": self.file.hash.hexdigest()}
        record |= {"columns": self.schema.names, **facts}
        self.store.write_json(f"{self.part}.json", record)
        return record

    def _flush(self) -> None:
        if self.waiting:
            self.ipc.write(pa.concat_tables(self.waiting).combine_chunks())
            self.waiting = []

    def discard(self) -> None:
        """Leave no trace: what stood there before stays."""
        self.ipc.close()
        if self.store.local:
            self.file.inner.close()
            self.store.fs.rm_file(self.temporary)
        else:
            self.file.inner.discard()
            self.file.inner.closed = True  # or its finalizer would upload what there is


class _Hashed:
    """A binary sink that hashes what passes through, so that no part is read again to be recorded."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.bytes, self.hash, self.closed = inner, 0, xxhash.xxh3_128(), False

    def write(self, data: Any) -> int:
        self.bytes += len(data)
        self.hash.update(data)
        self.inner.write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is flushed before the end."""

    def tell(self) -> int:
        return self.bytes


def sealed(value: dict[str, Any]) -> bytes:
    """JSON that begins with the hash of what follows it, so that a flipped bit anywhere is noticed."""
    rest = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)[1:]
    rest = b'",' + rest if value else b'"' + rest
    return _SEAL + hexdigest(rest, 32).encode() + rest


def unsealed(content: bytes) -> Any:
    """The value of sealed JSON, None where it is not what was sealed."""
    start = len(_SEAL)
    said, rest = content[start : start + 32], content[start + 32 :]
    if not content.startswith(_SEAL) or said != hexdigest(rest, 32).encode():
        return None
    value = orjson.loads(content)
    del value["checksum"]
    return value


def hexdigest(content: Any, digits: int) -> str:
    """The hash of a buffer: xxh3_128 in 32 hex digits, or sha256 in 64."""
    return xxhash.xxh3_128_hexdigest(content) if digits == 32 else hashlib.sha256(content).hexdigest()


def fingerprint(*parts: Any) -> str:
    """16 hex digits of the canonical JSON of `parts`. Raises UnknownValue for what JSON does not have: of an object that is
    only written out, nobody can say whether it is equal to another."""
    plain = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
    try:
        return xxhash.xxh3_128_hexdigest(orjson.dumps(parts, option=plain))[:16]
    except TypeError as error:
        raise UnknownValue(
            f"{error}: a fingerprint is made of None, numbers, texts, lists and mappings of those; expected such a value"
        ) from error


def rebatched(batches: Iterable[pa.RecordBatch], rows: int = BATCH_ROWS) -> Iterable[pa.RecordBatch]:
    """The same rows in batches of exactly `rows`, but for the last."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while batch.num_rows:
            take = min(rows - count, batch.num_rows)
            held.append(batch.slice(0, take))
            batch, count = batch.slice(take), count + take
            if count == rows:
                yield pa.concat_batches(held)
                held, count = [], 0
    if held:
        yield pa.concat_batches(held)


_LEDGERS: dict[str, Ledger] = {}


def remember_verified() -> None:
    """Keep what this process has hashed for later commands."""
    for ledger in _LEDGERS.values():
        ledger.save()


@lru_cache(maxsize=4096)
def _folder(root: str, folder: str) -> None:
    _filesystem(root)[0].makedirs(folder, exist_ok=True)


@lru_cache(maxsize=16)
def _filesystem(root: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        fs, path = fsspec.core.url_to_fs(root, use_listings_cache=False)  # other processes write there too
    except (ValueError, ImportError) as error:
        raise StoreError(f"{root}: cannot be opened: {error}") from error
    return fs, path.rstrip("/")
