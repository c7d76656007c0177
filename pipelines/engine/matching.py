"""Which files a path of a declaration means: the one of that very name first, then those that match it as a pattern."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from pathlib import PurePosixPath
from typing import Any

from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import glob_translate

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
