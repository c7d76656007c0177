"""A generation: what one run kept, as an index in which later runs find the near-duplicates of it.

A folder on any fsspec filesystem, written whole or not at all and never changed, of little-endian columns without headers:

    ids                 16 bytes a document, ascending; a document's number is its place here, from 0
    band_00.keys        uint64, ascending: the keys of the documents in a band
    band_00.documents   uint32 (uint64 from 2^32 documents on): whose key it is; ascending among equal keys
    manifest.json       written last: a folder without it is none

Nothing of it depends on the order in which documents came. It takes 16 bytes a document and 12 per band, 184 at 14
bands. A local one is mapped into memory and shared by all that read it; of another one BLOCK rows are held at a time.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import fsspec
import numpy as np
import numpy.typing as npt
import orjson
from fsspec.implementations.local import LocalFileSystem
from pydantic import BaseModel, ConfigDict, ValidationError

BLOCK = 2**20
"""Rows of a column read at a time where it is not local: 8 MiB of keys."""

MANIFEST = "manifest.json"
IDS = "ids"
_ID = np.dtype((np.void, 16))
_KEY = np.dtype("<u8")

Columns = npt.NDArray[Any]


class GenerationError(OSError):
    """A generation that is absent, damaged or does not fit: one sentence with its place."""


class Stored(BaseModel):
    """A file of a generation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """`scheme`: what makes keys comparable. `digest`: of scheme and files. `made_from`: the run, for people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    scheme: dict[str, int | bool]
    documents: int
    files: dict[str, Stored]
    digest: str
    made_from: dict[str, Any]


def numbers_type(documents: int) -> np.dtype[Any]:
    """The integer that numbers so many documents."""
    return np.dtype("<u4" if documents <= 2**32 else "<u8")


@dataclass(frozen=True, slots=True)
class Column:
    """A column in a file; read by rows."""

    fs: fsspec.AbstractFileSystem
    path: str
    dtype: np.dtype[Any]
    rows: int

    def read(self, start: int, stop: int) -> Columns:
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
            raise GenerationError(f"{self.path}: cannot be read, expected {self.rows:,} rows: {error}") from error

    def take(self, rows: npt.NDArray[np.integer[Any]]) -> Columns:
        """These rows, which ascend. Blocks that hold none of them are not read."""
        out = [np.zeros(0, self.dtype)]
        edges = np.flatnonzero(np.diff(rows // BLOCK)) + 1
        for some in np.split(rows, edges) if rows.size else []:
            first, last = int(some[0]), int(some[-1])
            out.append(np.asarray(self.read(first, last + 1)[some - first]))
        return np.concatenate(out)

    def between(self, lowest: int, highest: int) -> tuple[int, int]:
        """The rows [start, stop) of a column of ascending numbers with lowest <= number <= highest."""

        def number(row: int) -> int:
            return int(self.read(row, row + 1)[0])

        start = bisect_left(range(self.rows), lowest, key=number)
        return start, bisect_right(range(self.rows), highest, lo=start, key=number)


@dataclass(frozen=True, slots=True)
class Generation:
    """One that is whole. `url`: a path, or a URL where it is not local."""

    url: str
    manifest: Manifest

    @property
    def documents(self) -> int:
        """Number of documents in it."""
        return self.manifest.documents

    def keys(self, band: int) -> Column:
        """uint64, ascending."""
        return self._column(f"band_{band:02d}.keys", _KEY)

    def numbers(self, band: int) -> Column:
        """Number of the document of each key."""
        return self._column(f"band_{band:02d}.documents", numbers_type(self.documents))

    def ids(self, numbers: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bytes_]:
        """32 hex digits for each of these numbers, which ascend."""
        return hexadecimal(self._column(IDS, _ID).take(numbers))

    def holds(self, identity: str) -> bool:
        """Whether a document with this id of 32 hex digits is in it."""
        ids = self._column(IDS, _ID)
        wanted = bytes.fromhex(identity)
        at = bisect_left(range(ids.rows), wanted, key=lambda row: ids.read(row, row + 1).tobytes())
        return at < ids.rows and ids.read(at, at + 1).tobytes() == wanted

    def check(self) -> None:
        """Raises GenerationError where a file is missing or has another size than the manifest says."""
        fs, root = _opened(self.url)
        for name, stored in self.manifest.files.items():
            there = fs.size(f"{root}/{name}") if fs.exists(f"{root}/{name}") else None
            if there != stored.bytes:
                found = "is missing" if there is None else f"has {there:,} bytes"
                raise GenerationError(
                    f"{self.url}: '{name}' {found}, expected {stored.bytes:,}; remove the folder and remember the run anew"
                )

    def _column(self, name: str, dtype: np.dtype[Any]) -> Column:
        fs, root = _opened(self.url)
        return Column(fs, f"{root}/{name}", dtype, self.manifest.files[name].bytes // dtype.itemsize)


class Writer:
    """Writes the columns of a generation into a folder and makes its manifest. State: the files written so far.
    Without a folder it only finds out what the manifest would say."""

    def __init__(self, fs: fsspec.AbstractFileSystem, folder: str | None) -> None:
        self.fs, self.folder, self.documents = fs, folder, 0
        self.files: dict[str, Stored] = {}

    def ids(self, ids: Columns) -> None:
        """16 bytes a document, ascending, each once."""
        self.documents = len(ids)
        self._write(IDS, ids)

    def band(self, band: int, keys: npt.NDArray[np.uint64], numbers: npt.NDArray[np.integer[Any]]) -> None:
        """Keys, ascending, and the number of the document of each, ascending among equal keys."""
        self._write(f"band_{band:02d}.keys", keys.astype(_KEY, copy=False))
        self._write(f"band_{band:02d}.documents", numbers.astype(numbers_type(self.documents), copy=False))

    def manifest(self, scheme: Mapping[str, int | bool], made_from: Mapping[str, Any]) -> Manifest:
        """What is written now; the folder becomes a generation with it. Call once, last."""
        content = [dict(scheme), self.documents, {name: file.model_dump() for name, file in self.files.items()}]
        digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
        made = Manifest(
            scheme=dict(scheme), documents=self.documents, files=self.files, digest=digest, made_from=dict(made_from)
        )
        if self.folder is not None:
            text = orjson.dumps(made.model_dump(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
            self.fs.pipe_file(f"{self.folder}/{MANIFEST}", text)
        return made

    def _write(self, name: str, column: Columns) -> None:
        digest, size = hashlib.sha256(), BLOCK * column.dtype.itemsize
        data = np.ascontiguousarray(column).view(np.uint8).data if column.size else memoryview(b"")
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        for piece in pieces:
            digest.update(piece)
        if self.folder is not None:
            with _Whole(self.fs, f"{self.folder}/{name}") as file:
                for piece in pieces:
                    file.write(piece)
        self.files[name] = Stored(bytes=len(data), sha256=digest.hexdigest())


class _Whole:
    """A file being written, which an error in between leaves unmade where the filesystem can do so. State: the file."""

    def __init__(self, fs: fsspec.AbstractFileSystem, path: str) -> None:
        self.file = fs.open(path, "wb")

    def __enter__(self) -> Any:
        return self.file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None or not hasattr(self.file, "discard"):
            self.file.close()
        else:
            self.file.discard()
            self.file.closed = True  # or its finalizer would upload what there is


def hexadecimal(ids: Columns) -> npt.NDArray[np.bytes_]:
    """Ids of 16 bytes as 32 hex digits."""
    return np.frombuffer(ids.tobytes().hex().encode(), "S32")


def generations(places: Sequence[str]) -> list[Generation]:
    """The generations at these places, each content once, in the order of their digests.

    A place is a generation, a folder of generations, or a glob of either; folders without a manifest are not (yet)
    generations and count as none, as do hidden ones. Raises GenerationError for a place that is not there.
    """
    found: dict[str, Generation] = {}
    for place in places:
        for url in _found(place):
            generation = read_generation(url)
            if generation is not None:
                found.setdefault(generation.manifest.digest, generation)
    return [found[digest] for digest in sorted(found)]


def read_generation(url: str) -> Generation | None:
    """The generation in a folder, None where there is no manifest. Raises GenerationError for one that cannot be read."""
    fs, root = _opened(url)
    try:
        return Generation(url, Manifest.model_validate_json(fs.cat_file(f"{root}/{MANIFEST}")))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise GenerationError(
            f"{url}/{MANIFEST}: not the manifest of a generation that this version of winnow knows: {where}: {first['msg']}"
        ) from error


def _found(place: str) -> list[str]:
    """The folders at a place that may be generations."""
    fs, root = _opened(place)
    globbed = bool(set("*?[") & set(place)) and not fs.exists(root)
    if not globbed and not fs.exists(root):
        raise GenerationError(
            f"known '{place}' is not there: expected a generation that `winnow remember` has written, a folder of them, or "
            f"'{place.rstrip('/')}/*' where there may be none yet"
        )
    out: list[str] = []
    for top in _shown(fs.glob(root)) if globbed else [root]:
        if fs.exists(f"{top}/{MANIFEST}"):
            out.append(top)
            continue
        below = fs.ls(top, detail=True) if fs.isdir(top) else []
        files = [one["name"].rpartition("/")[2] for one in below if one["type"] != "directory"]
        if not globbed and (IDS in files or not fs.isdir(top)):
            raise GenerationError(
                f"known '{place}' is not a whole generation: '{MANIFEST}' is missing; run `winnow remember` again"
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
        raise GenerationError(f"known '{url}' cannot be opened: {error}") from error
    return fs, path.rstrip("/")
