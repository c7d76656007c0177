"""Paths of a declaration: relative to its file."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from fsspec.implementations.local import LocalFileSystem
from pydantic import BaseModel

from winnow.identity import Located
from winnow.pipelines.engine.yaml_source import Key, SourceMap
from winnow.stages.reading.paths import MAGIC, matches

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
        raise marked.wrong(
            key,
            f"'{text}' is not there beside the declaration (in {base}), which paths in it start from, but in the current "
            f"folder: write '{shown}', or set it on the command line, whose paths start from the current folder: "
            f"--set {_assignment(key, text)}",
        )
    named = marker.names is not None and not text.startswith(".") and PurePath(text).suffix not in FILES
    return text if named and not _there(beside) else beside


def _changed(value: Any, key: Key, marker: Located, marked: SourceMap) -> Any:
    """A text, the texts of a list, or those under one key of its mappings, each made absolute."""
    if isinstance(value, list):
        return [_changed(item, (*key, str(n)), marker, marked) for n, item in enumerate(value)]
    if isinstance(value, dict):
        return {k: _changed(v, (*key, k), marker, marked) if k == marker.inside else v for k, v in value.items()}
    text = value if isinstance(value, str) else marked.texts.get(key, value)
    return located(text, key, marker, marked) if isinstance(text, str) else text


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
