"""A duplicate index on disk: the documents that one run kept, in which later runs find near-duplicates of them.

A folder on any fsspec filesystem, never changed once its manifest is there, of little-endian columns without headers:

    ids                 16 bytes a document, ascending; a document's number is its place here, from 0
    band_00.keys        uint64, ascending: the keys of the documents in a band
    band_00.documents   uint32 (uint64 from 2^32 documents on): whose key it is; ascending among equal keys
    manifest.json       written last: a folder without it is no index

Nothing of it depends on the order in which documents came. It takes 16 bytes a document and 12 per band, 184 at 14
bands. A local one is mapped into memory and shared by all that read it; of another one `filters.dedup.index.BLOCK` rows
are held at a time.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import fsspec
import numpy as np
import numpy.typing as npt
import orjson
from fsspec.implementations.local import LocalFileSystem
from pydantic import BaseModel, ConfigDict, ValidationError

from winnow.filters.dedup.index import take

MANIFEST = "manifest.json"
IDS = "ids"
_ID = np.dtype((np.void, 16))
_KEY = np.dtype("<u8")
_PIECE = 2**23  # bytes written at a time

Array = npt.NDArray[Any]


class DuplicateIndexError(OSError):
    """An index that is absent, damaged or does not fit: one sentence with its place."""


class StoredFile(BaseModel):
    """A file of an index."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """`scheme`: what makes keys comparable. `digest`: of scheme and files. `made_from`: the run, for people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    scheme: dict[str, int | bool]
    documents: int
    files: dict[str, StoredFile]
    digest: str
    made_from: dict[str, Any]


def numbers_type(documents: int) -> np.dtype[Any]:
    """The integer that numbers so many documents."""
    return np.dtype("<u4" if documents <= 2**32 else "<u8")


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column in a file."""

    fs: fsspec.AbstractFileSystem
    path: str
    dtype: np.dtype[Any]
    rows: int

    def read(self, start: int, stop: int) -> Array:
        """Rows [start, stop), shape (stop - start,); mapped where the file is local."""
        if stop <= start:
            return np.zeros(0, self.dtype)
        size = self.dtype.itemsize
        try:
            if isinstance(self.fs, LocalFileSystem):
                return np.memmap(self.path, self.dtype, "r", start * size, (stop - start,))
            data = self.fs.cat_file(self.path, start=start * size, end=stop * size)
            return np.frombuffer(data, self.dtype, stop - start)
        except (OSError, ValueError) as error:
            raise DuplicateIndexError(f"{self.path}: cannot be read, expected {self.rows:,} rows: {error}") from error


@dataclass(frozen=True, slots=True)
class StoredIndex:
    """One that is whole; a `filters.dedup.index.DuplicateIndex`. `url`: a path, or a URL where it is not local."""

    url: str
    manifest: Manifest

    @property
    def documents(self) -> int:
        """Number of documents in it."""
        return self.manifest.documents

    def keys(self, band: int) -> StoredColumn:
        """uint64, ascending."""
        return self._column(f"band_{band:02d}.keys", _KEY)

    def numbers(self, band: int) -> StoredColumn:
        """Number of the document of each key."""
        return self._column(f"band_{band:02d}.documents", numbers_type(self.documents))

    def ids(self, numbers: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bytes_]:
        """32 hex digits for each of these numbers, which ascend."""
        return np.frombuffer(take(self._column(IDS, _ID), numbers).tobytes().hex().encode(), "S32")

    def holds(self, identity: str) -> bool:
        """Whether a document with this id of 32 hex digits is in it."""
        ids = self._column(IDS, _ID)
        wanted = bytes.fromhex(identity)
        at = bisect_left(range(ids.rows), wanted, key=lambda row: ids.read(row, row + 1).tobytes())
        return at < ids.rows and ids.read(at, at + 1).tobytes() == wanted

    def check(self) -> None:
        """Raises DuplicateIndexError where a file is missing or has another size than the manifest says."""
        fs, root = _opened(self.url)
        for name, stored in self.manifest.files.items():
            there = fs.size(f"{root}/{name}") if fs.exists(f"{root}/{name}") else None
            if there != stored.bytes:
                found = "is missing" if there is None else f"has {there:,} bytes"
                raise DuplicateIndexError(
                    f"{self.url}: '{name}' {found}, expected {stored.bytes:,}; remove the folder and remember the run anew"
                )

    def _column(self, name: str, dtype: np.dtype[Any]) -> StoredColumn:
        fs, root = _opened(self.url)
        return StoredColumn(fs, f"{root}/{name}", dtype, self.manifest.files[name].bytes // dtype.itemsize)


class IndexWriter:
    """Writes the columns of an index into a folder and makes its manifest. State: the files written so far.
    Without a folder it only finds out what the manifest would say."""

    def __init__(self, fs: fsspec.AbstractFileSystem, folder: str | None) -> None:
        self.fs, self.folder, self.documents = fs, folder, 0
        self.files: dict[str, StoredFile] = {}

    def ids(self, ids: Array) -> None:
        """16 bytes a document, ascending, each once."""
        self.documents = len(ids)
        self._write(IDS, ids)

    def band(self, band: int, keys: npt.NDArray[np.uint64], numbers: npt.NDArray[np.integer[Any]]) -> None:
        """Keys, ascending, and the number of the document of each, ascending among equal keys."""
        self._write(f"band_{band:02d}.keys", keys.astype(_KEY, copy=False))
        self._write(f"band_{band:02d}.documents", numbers.astype(numbers_type(self.documents), copy=False))

    def manifest(self, scheme: Mapping[str, int | bool], made_from: Mapping[str, Any]) -> Manifest:
        """What is written now; the folder becomes an index with it. Call once, last."""
        content = [dict(scheme), self.documents, {name: file.model_dump() for name, file in self.files.items()}]
        digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
        made = Manifest(
            scheme=dict(scheme), documents=self.documents, files=self.files, digest=digest, made_from=dict(made_from)
        )
        if self.folder is not None:
            text = orjson.dumps(made.model_dump(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
            self.fs.pipe_file(f"{self.folder}/{MANIFEST}", text)
        return made

    def _write(self, name: str, column: Array) -> None:
        digest = hashlib.sha256()
        data = np.ascontiguousarray(column).view(np.uint8).data if column.size else memoryview(b"")
        place = f"{self.folder}/{name}"
        with nullcontext() if self.folder is None else self.fs.open(place, "wb") as file:
            for at in range(0, len(data), _PIECE):
                digest.update(data[at : at + _PIECE])
                if file is not None:
                    file.write(data[at : at + _PIECE])
        self.files[name] = StoredFile(bytes=len(data), sha256=digest.hexdigest())


def read_indexes(places: Sequence[str]) -> list[StoredIndex]:
    """The indexes at these places, each content once, in the order of their digests.

    A place is an index, a folder of indexes, or a glob of either; folders without a manifest are not (yet) indexes and
    count as none, as do hidden ones. Raises DuplicateIndexError for a place that is not there.
    """
    found: dict[str, StoredIndex] = {}
    for place in places:
        for url in _found(place):
            index = read_index(url)
            if index is not None:
                found.setdefault(index.manifest.digest, index)
    return [found[digest] for digest in sorted(found)]


def read_index(url: str) -> StoredIndex | None:
    """The index in a folder, None where there is no manifest. Raises DuplicateIndexError for one that cannot be read."""
    fs, root = _opened(url)
    try:
        return StoredIndex(url, Manifest.model_validate_json(fs.cat_file(f"{root}/{MANIFEST}")))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise DuplicateIndexError(
            f"{url}/{MANIFEST}: not the manifest of a duplicate index that this version of winnow knows: {where}: {first['msg']}"
        ) from error


def _found(place: str) -> list[str]:
    """The folders at a place that may be indexes."""
    fs, root = _opened(place)
    globbed = bool(set("*?[") & set(place)) and not fs.exists(root)
    if not globbed and not fs.exists(root):
        raise DuplicateIndexError(
            f"known '{place}' is not there: expected a duplicate index that `winnow remember` has written, a folder of them, "
            f"or '{place.rstrip('/')}/*' where there may be none yet"
        )
    out: list[str] = []
    for top in _shown(fs.glob(root)) if globbed else [root]:
        if fs.exists(f"{top}/{MANIFEST}"):
            out.append(top)
            continue
        below = fs.ls(top, detail=True) if fs.isdir(top) else []
        files = [one["name"].rpartition("/")[2] for one in below if one["type"] != "directory"]
        if not globbed and (IDS in files or not fs.isdir(top)):
            raise DuplicateIndexError(
                f"known '{place}' is not a whole duplicate index: '{MANIFEST}' is missing; run `winnow remember` again"
            )
        out += _shown([one["name"] for one in below if one["type"] == "directory"])
    return out if isinstance(fs, LocalFileSystem) else [fs.unstrip_protocol(path) for path in out]


def _shown(paths: Sequence[str]) -> list[str]:
    """Those that are not hidden, in order."""
    return sorted(p.rstrip("/") for p in paths if not p.rstrip("/").rpartition("/")[2].startswith("."))


def _opened(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    local = "://" not in url
    try:
        fs, path = fsspec.core.url_to_fs(str(Path(url).expanduser()) if local else url, use_listings_cache=False)
    except (ValueError, ImportError) as error:
        raise DuplicateIndexError(f"known '{url}' cannot be opened: {error}") from error
    return fs, path.rstrip("/")
