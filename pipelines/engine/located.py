"""Paths of a declaration: relative to its file, and which files they mean: the one of that very name first, then those
that match it as a pattern."""

from __future__ import annotations

import glob
import os
import posixpath
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import glob_translate
from pydantic import BaseModel

from winnow.identity import Located
from winnow.pipelines.engine.yaml_source import Key, SourceMap, SpecError

FILES = (".bin", ".ftz", ".json", ".kenlm", ".klm", ".onnx", ".safetensors", ".yaml", ".yml")
"""Endings of what is a file, there or not, rather than the name of something on the hub."""

TRAIN: dict[tuple[str, ...], Located | None] = {
    ("shards",): Located(),
    ("out",): Located(),
    ("phases", "*", "data", "*", "shards"): Located(),
    ("model", "checkpoint"): Located(frozenset),
    ("model", "revision"): None,
    ("phases", "*", "name"): None,
}
"""Keys of `train:` that are texts, whatever YAML takes them for (a revision may look like a number): those that name
folders, and None for others."""


def locate(tree: Any, model: type[BaseModel], key: Key, marked: SourceMap) -> None:
    """Make the paths among the settings of a stage or source absolute, in place. Raises SpecError."""
    for name, field in model.model_fields.items():
        marker = next((one for one in field.metadata if isinstance(one, Located)), None)
        if marker is not None and isinstance(tree, dict) and name in tree:
            tree[name] = _changed(tree[name], (*key, name), marker, marked)


def locate_train(tree: Any, marked: SourceMap) -> None:
    """The same for the section `train`."""
    for path, marker in TRAIN.items():
        _visit(tree, path, ("train",), marker, marked)


def located(text: str, key: Key, marker: Located, marked: SourceMap) -> str:
    """One path. Raises SpecError where it is only in the current folder, from which it would have been read once."""
    if not text or "://" in text or (marker.names is not None and (text.startswith("hub:") or text in marker.names())):
        return text
    base = marked.folder(*key)
    path = os.path.expanduser(text)  # noqa: PTH111 (of a text that may be no path)
    if os.path.isabs(path):  # noqa: PTH117
        return path
    beside, here = (os.path.normpath(Path(folder, path)) for folder in (base or Path.cwd(), Path.cwd()))
    if beside != here and not _there(beside) and _there(here):
        relative = os.path.relpath(here, base)
        shown = here if relative.startswith("../../") else relative
        raise SpecError(
            f"{marked.where(*key)}: {'.'.join(key)}: '{text}' is not there beside the declaration (in {base}), which paths in "
            f"it start from, but in the current folder: write '{shown}', or set it on the command line, whose paths start "
            f"from the current folder: --set {_assignment(key, text)}"
        )
    named = marker.names is not None and not text.startswith(".") and PurePath(text).suffix not in FILES
    return text if named and not _there(beside) else beside


def _changed(value: Any, key: Key, marker: Located, marked: SourceMap) -> Any:
    def change(text: str, at: Key) -> str:
        return located(text, at, marker, marked)

    return _each(value, key, marker, change, marked.texts)


def _each(
    value: Any, key: Key, marker: Located, change: Callable[[str, Key], str], texts: Mapping[Key, str] | None = None
) -> Any:
    """A text, the texts of a list, or those under one key of its mappings, changed."""
    if isinstance(value, list):
        return [_each(item, (*key, str(n)), marker, change, texts) for n, item in enumerate(value)]
    if isinstance(value, dict):
        return {k: _each(v, (*key, k), marker, change, texts) if k == marker.inside else v for k, v in value.items()}
    if not isinstance(value, str):
        value = (texts or {}).get(key, value)
    return change(value, key) if isinstance(value, str) else value


def _visit(tree: Any, path: Sequence[str], key: Key, marker: Located | None, marked: SourceMap) -> None:
    first, *rest = path
    if isinstance(tree, list) and first == "*":
        places: list[Any] = list(range(len(tree)))
    else:
        places = [first] if isinstance(tree, dict) and first in tree else []
    for place in places:
        at = (*key, str(place))
        if rest:
            _visit(tree[place], rest, at, marker, marked)
        elif marker is not None:
            tree[place] = _changed(tree[place], at, marker, marked)
        elif not isinstance(tree[place], str | None):
            tree[place] = marked.texts.get(at, tree[place])


def _there(path: str) -> bool:
    """Whether something is at a path or matches it as a pattern."""
    if os.path.lexists(path):
        return True
    if next(glob.iglob(path, recursive=True), None) is not None:  # noqa: PTH207 (a pattern of a whole path)
        return True
    return bool((MAGIC & set(path) or not path.isascii()) and matches(LocalFileSystem(), path))


def _assignment(key: Key, text: str) -> str:
    """`sources.a.paths=[x]` for an item of a list."""
    parts = list(key)
    if parts[-1].isdigit():
        return f"'{'.'.join(parts[:-1])}=[{text}]'"
    return f"'{'.'.join(parts)}={text}'"


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
