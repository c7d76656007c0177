"""What a run reads: the files that a declaration names, or what a source finds itself, packed into partitions."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import fsspec
import pyarrow as pa
import xxhash
from fsspec.implementations.local import LocalFileSystem

from winnow.pipelines.engine import ledger
from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.located import below, matches
from winnow.pipelines.engine.store import Store, fingerprint
from winnow.pipelines.engine.yaml_source import SpecError
from winnow.stages.base import StageError
from winnow.stages.reading.files import (
    ACCOUNT,
    filed,
    filesystem,
    public,
    reason_of,
    server_errors,
    stamp_of,
)
from winnow.stages.source import InputFile, Segment, Source

SMALL_FILE = 2**20
PACK_BYTES = 8 * 2**20
PACK_FILES = 64
"""Files under SMALL_FILE bytes share a partition, up to PACK_BYTES or PACK_FILES of them, so that none costs a task."""

NAMED = 10
"""Files of a folder that are passed over whose names are told."""

SAID = 20
"""Files that cannot be read of which each has its sentence."""

THREADS = 8
"""Tables that a source makes at a time while it looks for its inputs."""


INPUTS = "inputs.json"
"""What a run's folder keeps of the files that its run last planned to read."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A unit of work: pieces of input that one task reads. `key` identifies content and source; parts are named by it."""

    index: int
    key: str
    source: str
    segments: tuple[Segment, ...]
    group: str = ""  # of its inputs, such as a snapshot


@dataclass(frozen=True, slots=True)
class KeptInStore:
    """`stages.source.Kept` in a run's folder, below `inputs/`. Threads, since what it waits for is mostly a network."""

    store: Store
    threads: int = THREADS

    def make(self, wanted: Mapping[str, Callable[[], pa.Table]]) -> None:
        """Makes what is missing, in order, several at a time; after an error nothing new is begun."""

        def one(name: str) -> None:
            self.store.write(_part(name), wanted[name]())

        missing = [name for name in wanted if not self.has(name)]
        with ThreadPoolExecutor(self.threads) as pool:
            futures = [pool.submit(one, name) for name in missing]
            try:
                for future in futures:
                    future.result()
            finally:
                for future in futures:
                    future.cancel()

    def has(self, name: str) -> bool:
        return self.store.record(_part(name)) is not None

    def read(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        return self.store.read(_part(name), columns)

    def url(self, name: str) -> str:
        return self.store.url(f"{_part(name)}.arrow")


def _part(name: str) -> str:
    return f"inputs/{name}"


def partitions(pipeline: Pipeline, store: Store, say: Callable[[str], None] = lambda _: None) -> Iterator[Partition]:
    """Every partition, in order. `say` is told what a folder holds that is not read. Raises SpecError for paths that match
    nothing, StageError where a source finds no inputs."""
    index = 0
    hashed = kept_inputs(store)["files"] if pipeline.by_content else {}
    for source in pipeline.sources.values():
        identity = [source.name, source.identity()]
        found = source.inputs(KeptInStore(store))
        if found is None:
            found = _files(source, hashed if source.name in pipeline.by_content else None, say)
        for pack in _packed(source, found):
            yield Partition(
                index, fingerprint(identity, [_piece(s) for s in pack]), source.name, tuple(pack), pack[0].file.group
            )
            index += 1


def _packed(source: Source, files: Sequence[InputFile]) -> list[list[Segment]]:
    """The pieces of all files, by partition. Raises StageError with a sentence for each file that cannot be read."""
    packs: list[list[Segment]] = []
    open_pack: list[Segment] = []
    unreadable: list[str] = []
    for file in files:
        try:
            segments = source.segments(file)
        except StageError as error:
            unreadable.append(str(error))
            continue
        if file.size >= SMALL_FILE or file.alone:
            packs.extend([segment] for segment in segments)
            continue
        full = sum(s.file.size for s in open_pack) + file.size > PACK_BYTES or len(open_pack) >= PACK_FILES
        starts = xxhash.xxh64_intdigest(file.identity or file.url) % PACK_FILES == 0  # a new file moves one pack
        if open_pack and (full or starts):
            packs.append(open_pack)
            open_pack = []
        open_pack.extend(segments)
    if unreadable:
        more = [f"and {len(unreadable) - SAID:,} more files of {source.name}"] if len(unreadable) > SAID else []
        raise StageError("\n".join([*unreadable[:SAID], *more]))
    return [*packs, open_pack] if open_pack else packs


def _piece(segment: Segment) -> tuple[str | int, ...]:
    file = segment.file
    if file.identity and (segment.start, segment.end) == (0, file.size):
        return (file.identity,)  # its size is how it is fetched, not what is read
    what = (file.identity,) if file.identity else (ACCOUNT.sub("", file.url), file.key, file.size, file.modified)
    return (*what, segment.start, segment.end)


def _files(source: Source, hashed: Mapping[str, Sequence[Any]] | None, say: Callable[[str], None]) -> list[InputFile]:
    """The input files, sorted by URL, each once, identified by their content where `hashed` tells of earlier hashes. Raises
    SpecError where a path matches nothing."""
    found: dict[str, InputFile] = {}
    where = f"sources.{source.name}.paths"
    for pattern in source.settings.paths:
        try:
            fs, path = filesystem(pattern, listed=True)
            fs.invalidate_cache()  # what is listed now tells of each file, without a request for each
        except (ValueError, ImportError) as error:
            raise SpecError(f"{where}: '{pattern}' cannot be opened: {error}") from error
        matched = matches(fs, path)
        if not matched:
            raise SpecError(f"{where}: no file matches '{public(pattern)}'{_cause(fs, path)}")
        if len(matched) == 1 and fs.isdir(matched[0]):
            matched = _in_folder(source, fs, matched[0], say)
        local = isinstance(fs, LocalFileSystem)
        infos = {match: _local_info(fs, match) if local else fs.info(match) for match in matched}
        files = [match for match, info in infos.items() if info["type"] == "file"]
        if not files:
            raise SpecError(
                f"{where}: '{pattern}' matches folders only; expected files, such as '{pattern.rstrip('/')}/*', or one folder"
            )
        for match in files:
            url = match if local else fs.unstrip_protocol(match)
            if not _encodable(url):
                raise SpecError(f"{where}: the name {url!r} is not valid UTF-8; expected one that is: rename the file")
            info = infos[match]
            if info.get("size") is None:
                raise SpecError(
                    f"{where}: the server of '{public(url)}' does not say how long it is; copy it to this machine and name "
                    "the copy"
                )
            stamp = info["stamp"] if local else stamp_of(info)
            modified = _modified(info) if hashed is None else _content(fs, match, hashed.get(filed(url)))
            found[url] = InputFile(url, int(info["size"]), modified, stamp=stamp)
    names = {url: filed(url) for url in sorted(found)}  # ids and causes of failures are made from them
    ends = [posixpath.dirname(of(names.values())) for of in (min, max) if names]  # what these share all do
    shared = len(posixpath.commonpath(ends)) if ends else 0
    return [replace(found[url], key=name[shared:].lstrip("/")) for url, name in names.items()]


def _local_info(fs: Any, path: str) -> dict[str, Any]:
    """What fsspec says of a local file, and its stamp, from one look at it: there may be hundreds of thousands."""
    there = os.stat(path)  # noqa: PTH116 (a Path for each would take as long again)
    if not stat.S_ISREG(there.st_mode):
        return dict(fs.info(path))
    return {"type": "file", "size": there.st_size, "mtime": there.st_mtime, "stamp": str(there.st_mtime_ns)}


def _cause(fs: Any, path: str) -> str:
    """Why a server gives nothing at a path."""
    if isinstance(fs, LocalFileSystem) or any(c in path for c in "*["):
        return ""
    foreseen: tuple[type[Exception], ...] = (OSError, *server_errors())
    try:
        fs.info(path)
    except foreseen as failure:
        return f": {reason_of(failure)}"
    return ""


def _in_folder(source: Source, fs: Any, folder: str, say: Callable[[str], None]) -> list[str]:
    """The files of a folder that are of the source's formats; the others are told of. Raises SpecError where there is none."""
    chosen, others = below(fs, folder, source.formats)
    names = ", ".join(posixpath.relpath(other, folder) for other in others[:NAMED])
    names += f" and {len(others) - NAMED:,} more" if len(others) > NAMED else ""
    if not chosen:
        raise SpecError(
            f"sources.{source.name}.paths: the folder '{folder}' holds no {' or '.join(source.formats)} file"
            + (f", but {names}" if others else "; it is empty")
        )
    if others:
        say(
            f"sources.{source.name}: {folder}: {len(chosen):,} files are read and {len(others):,} passed over ({names})"
        )
    return chosen


def _encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _modified(info: Mapping[str, Any]) -> str:
    """What identifies a file's content cheaply: a time or a tag, whichever its filesystem tells of."""
    known = ("mtime", "ETag", "LastModified", "created", "Last-Modified", "Content-MD5")
    return next((str(info[key]) for key in known if info.get(key)), "")


def kept_inputs(store: Store) -> dict[str, dict[str, Any]]:
    """What `known_inputs.remember` kept: `files` and `partitions`, empty where it never did."""
    return dict(store.read_json(INPUTS, hint=True) or {"files": {}, "partitions": {}})


def _content(fs: fsspec.AbstractFileSystem, path: str, before: Sequence[Any] | None) -> str:
    """The hash of a file. `before`: size, hash and stamp that it had."""
    if before is not None and (before[0], before[2]) == ledger.stamp(fs, path):
        return str(before[1])
    digest = xxhash.xxh3_128()
    with fs.open(path, "rb") as file:
        while block := file.read(2**22):
            digest.update(block)
    return digest.hexdigest()
