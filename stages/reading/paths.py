"""Which files the paths of a source mean: the one of that very name first, then those that match it as a pattern."""

from __future__ import annotations

import os
import posixpath
import re
import stat
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import fsspec
import xxhash
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import glob_translate

from winnow.stages.reading.files import filed, filesystem, public, reason_of, server_errors, stamp, stamp_of
from winnow.stages.source import InputFile, Source

NAMED = 10
"""Files of a folder that are passed over whose names are told."""


class NoInput(ValueError):
    """A path of a source means nothing that can be read: one sentence."""


def input_files(
    source: Source, hashed: Mapping[str, Sequence[Any]] | None, say: Callable[[str], None]
) -> list[InputFile]:
    """The input files, sorted by URL, each once, identified by their content where `hashed` tells of earlier hashes. Raises
    NoInput where a path matches nothing."""
    found: dict[str, tuple[int, str, str]] = {}  # URL -> size, what identifies the content, and stamp
    where = f"sources.{source.name}.paths"
    for pattern in source.settings.paths:
        try:
            fs, path = filesystem(pattern, listed=True)
            fs.invalidate_cache()  # what is listed now tells of each file, without a request for each
        except (ValueError, ImportError) as error:
            raise NoInput(f"{where}: '{pattern}' cannot be opened: {error}") from error
        matched = matches(fs, path)
        if not matched:
            raise NoInput(f"{where}: no file matches '{public(pattern)}'{_cause(fs, path)}")
        if len(matched) == 1 and _is_folder(fs, matched[0]):
            matched = _in_folder(source, fs, matched[0], say)
        local = isinstance(fs, LocalFileSystem)
        infos = {match: _local_info(fs, match) if local else fs.info(match) for match in matched}
        files = [match for match, info in infos.items() if info["type"] == "file"]
        if not files:
            raise NoInput(
                f"{where}: '{pattern}' matches folders only; expected files, such as '{pattern.rstrip('/')}/*', or one folder"
            )
        for match in files:
            url = match if local else fs.unstrip_protocol(match)
            if not _encodable(url):
                raise NoInput(f"{where}: the name {url!r} is not valid UTF-8; expected one that is: rename the file")
            info = infos[match]
            if info.get("size") is None:
                raise NoInput(
                    f"{where}: the server of '{public(url)}' does not say how long it is; copy it to this machine and name "
                    "the copy"
                )
            if not local and (longer := _longer(fs, match, int(info["size"]))) is not None:
                raise NoInput(f"{where}: '{public(url)}': {longer}")
            modified = _modified(info) if hashed is None else _content(fs, match, hashed.get(filed(url)))
            found[url] = int(info["size"]), modified, info["stamp"] if local else stamp_of(info)
    names = {url: filed(url) for url in sorted(found)}  # ids and causes of failures are made from them
    ends = [posixpath.dirname(of(names.values())) for of in (min, max) if names]  # what these share all do
    shared = len(posixpath.commonpath(ends)) if ends else 0
    known = ((url, name[shared:].lstrip("/"), *found[url]) for url, name in names.items())
    return [InputFile(url, size, what, key, stamp=at) for url, key, size, what, at in known]


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
        fs.cat_file(path, start=0, end=1)
    except foreseen as failure:
        return f": {reason_of(failure)}"
    return ""


def _is_folder(fs: Any, path: str) -> bool:
    """Of what is on the web fsspec downloads all of it to see, looking for links: one that ends as a folder does may be one."""
    return (path.endswith("/") or not _of_the_web(fs)) and bool(fs.isdir(path))


def _of_the_web(fs: Any) -> bool:
    return "http" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))


def _longer(fs: Any, path: str, size: int) -> str | None:
    """What to say where a file of the web goes on behind its end, as a server describes it that is wrong about its length:
    the rest would be lost without a word."""
    if not size or not _of_the_web(fs):
        return None
    foreseen: tuple[type[Exception], ...] = (OSError, ValueError, *server_errors())
    try:
        with fs.open(path, "rb", size=size + 1, cache_type="none") as handle:
            handle.seek(size)
            more = handle.read(1)
    except foreseen:  # one that gives no ranges, or nothing: reading says so, if that needs any
        return None
    return (
        f"its server says that it has {size:,} bytes, and gives more; copy it to this machine and name the copy"
        if more
        else None
    )


def _in_folder(source: Source, fs: Any, folder: str, say: Callable[[str], None]) -> list[str]:
    """The files of a folder that are of the source's formats; the others are told of. Raises NoInput where there is none."""
    chosen, others = below(fs, folder, source.formats)
    names = ", ".join(posixpath.relpath(other, folder) for other in others[:NAMED])
    names += f" and {len(others) - NAMED:,} more" if len(others) > NAMED else ""
    if not chosen:
        raise NoInput(
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


def _content(fs: fsspec.AbstractFileSystem, path: str, before: Sequence[Any] | None) -> str:
    """The hash of a file. `before`: size, hash and stamp that it had."""
    if before is not None and (before[0], before[2]) == stamp(fs, path):
        return str(before[1])
    digest = xxhash.xxh3_128()
    with fs.open(path, "rb") as file:
        while block := file.read(2**22):
            digest.update(block)
    return digest.hexdigest()


MAGIC = frozenset("*?[")
"""Characters that make a pattern of a path that does not exist as it is written."""

PACKED = (".gz", ".zst", ".zstd", ".bz2", ".xz", ".lz4", ".zip", ".7z", ".br", ".snappy", ".lzma", ".tar")
"""Endings behind that of the format. Those that no source reads are among them, so that the source says so."""


def matches(fs: Any, path: str) -> list[str]:
    """Files and folders, sorted: what is there under exactly this name, or what matches it. A folder that exists under the
    name that the beginning of a pattern has is that folder, whatever characters it holds. Names that differ in how they
    compose letters alone (Hangul, as macOS writes it) are the same."""
    found = _matches(fs, path)
    if not found and not path.isascii() and isinstance(fs, LocalFileSystem):
        found = next((there for name in _spellings(path) if (there := _matches(fs, name))), [])
    return found


def below(fs: Any, folder: str, formats: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The files of a folder and all folders in it, sorted: those of a format, and those that are passed over. What is hidden
    (`.name`, `_SUCCESS`) is no input."""
    chosen: list[str] = []
    others: list[str] = []
    for file in sorted(fs.find(folder)):
        inside = PurePosixPath(posixpath.relpath(file, folder))
        visible = not any(part.startswith((".", "_")) for part in inside.parts)
        ends = [suffix.lower() for suffix in inside.suffixes]
        ends = ends[:-1] if len(ends) > 1 and ends[-1] in PACKED else ends
        (chosen if visible and ends and ends[-1] in formats else others).append(file)
    return chosen, others


def _matches(fs: Any, path: str) -> list[str]:
    if fs.exists(path):
        return [path]
    if not MAGIC & set(path):
        return []
    parts = path.split("/")
    literal = 0  # how many parts are folders that are there
    for number, part in enumerate(parts, 1):
        if MAGIC & set(part) and not fs.exists("/".join(parts[:number])):
            break
        literal = number
    root, rest = "/".join(parts[:literal]), "/".join(parts[literal:])
    plain = "/" not in rest and "**" not in rest
    if plain and isinstance(fs, LocalFileSystem) and os.path.isdir(f"{root}/"):  # noqa: PTH112
        match = re.compile(
            glob_translate(rest)
        ).match  # fsspec would look at each of the files, of which there may be many
        return sorted(f"{root}/{name}" for name in os.listdir(f"{root}/") if match(name))  # noqa: PTH208
    if not MAGIC & set(root):
        return sorted(fs.glob(path))
    pattern = re.compile(glob_translate(rest))
    depth = None if "**" in rest else rest.count("/") + 1
    there = fs.find(root, maxdepth=depth, withdirs=True)
    return sorted(name for name in there if pattern.match(name[len(root) + 1 :]))


def _spellings(path: str) -> list[str]:
    """A local path with the parts that are there as they are written there, and the rest, a pattern, composed and not."""
    parts = path.split("/")
    at = "/" if path.startswith("/") else ""
    for number, part in enumerate(parts):
        here = posixpath.join(at, part)
        if MAGIC & set(part) and not os.path.lexists(here):
            rest = "/".join(parts[number:])
            return [posixpath.join(at, unicodedata.normalize(form, rest)) for form in ("NFC", "NFD")]
        if not os.path.lexists(here):
            names = os.listdir(at or ".") if os.path.isdir(at or ".") else []  # noqa: PTH112, PTH208
            same = {unicodedata.normalize("NFC", name): name for name in sorted(names)}
            if unicodedata.normalize("NFC", part) not in same:
                return []
            here = posixpath.join(at, same[unicodedata.normalize("NFC", part)])
        at = here
    return [at]
