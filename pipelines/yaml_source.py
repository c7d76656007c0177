"""YAML with a memory: plain dicts and lists, and for every key the file and line it came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

Key = tuple[str, ...]


class SpecError(ValueError):
    """A declaration that cannot be run. Every line of the message is one sentence: where, what, what was expected."""


class Marked:
    """A declaration's tree and where each key was written. State: `tree`, `marks`; later layers override earlier."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.marks: dict[Key, str] = {}

    def where(self, *key: str) -> str:
        """`file:line` of the nearest written ancestor of `key`."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.marks:
                return self.marks[key[:length]]
        return "declaration"

    def overlay(self, tree: Mapping[str, Any], marks: Mapping[Key, str]) -> None:
        """Merge a child over this tree: mappings merge, everything else replaces, null removes."""
        _merge(self.tree, tree, (), self.marks, marks)


def load(path: Path, seen: tuple[Path, ...] = ()) -> Marked:
    """Read a declaration and everything it extends, parents first. Raises SpecError."""
    if path in seen:
        chain = " -> ".join(p.name for p in (*seen, path))
        raise SpecError(f"{path}: 'extends' runs in a circle: {chain}")
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise SpecError(f"{path}: no such declaration{_siblings(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        marks: dict[Key, str] = {}
        tree = _plain(node, (), path, marks) if node else {}
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SpecError(f"{path}{line}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise SpecError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(tree, dict):
        raise SpecError(f"{path}:1: expected a mapping with name, language, sources and stages")
    parent = tree.pop("extends", None)
    if parent is not None and not isinstance(parent, str):
        raise SpecError(f"{marks[('extends',)]}: extends: expected the path of one declaration, got {parent!r}")
    marked = load(_parent(path, parent), (*seen, path)) if parent else Marked()
    marked.overlay(tree, marks)
    return marked


def override(marked: Marked, assignment: str) -> None:
    """Apply one `--set path=value`; the value is YAML."""
    path, equals, value = assignment.partition("=")
    key = tuple(part.strip() for part in path.split("."))
    if not equals or not all(key):
        raise SpecError(f"--set {assignment!r}: expected path=value, such as stages.quality.keep='score >= 0.5'")
    try:
        parsed = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):
        raise SpecError(f"--set {assignment!r}: the value is not valid YAML; quote it if it is text") from None
    tree: Any = parsed
    for part in reversed(key):
        tree = {part: tree}
    at: Any = marked.tree
    for depth, part in enumerate(key[:-1]):
        at = at.get(part) if isinstance(at, dict) else None
        if at is not None and not isinstance(at, dict):
            if key[depth] == "keep":
                break
            raise SpecError(f"--set {assignment!r}: {'.'.join(key[: depth + 1])} is {at!r}, not a mapping")
    marked.overlay(tree, {key[: n + 1]: f"--set {path}" for n in range(len(key))})


def _parent(path: Path, parent: str) -> Path:
    """The declaration that is extended: beside the child, or, where there is none, one that ships (web.yaml)."""
    beside, shipped = (path.parent / parent).resolve(), Path(__file__).parent / parent
    return shipped if not beside.exists() and Path(parent).name == parent and shipped.is_file() else beside


def _siblings(path: Path) -> str:
    found = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
    return f"; there are {', '.join(found)} in {path.parent}" if found else ""


def _plain(node: yaml.Node, key: Key, path: Path, marks: dict[Key, str]) -> Any:
    if isinstance(node, yaml.MappingNode):
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            name = str(key_node.value)
            at = f"{path}:{key_node.start_mark.line + 1}"
            if name in out:
                raise SpecError(f"{at}: '{name}' is written twice; the first is at {marks[(*key, name)]}")
            marks[(*key, name)] = at
            out[name] = _plain(value_node, (*key, name), path, marks)
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*key, str(n)), path, marks) for n, item in enumerate(node.value)]
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except yaml.constructor.ConstructorError as error:
        raise SpecError(f"{path}:{node.start_mark.line + 1}: {error.problem}") from None
    except ValueError as error:  # a date such as 2024-13-01
        raise SpecError(
            f"{path}:{node.start_mark.line + 1}: {node.value!r} is not valid: {error}; quote it if it is text"
        ) from None


def _merge(
    into: dict[str, Any], tree: Mapping[str, Any], key: Key, marks: dict[Key, str], new: Mapping[Key, str]
) -> None:
    anchor: str | None = None
    for name, value in tree.items():
        here = (*key, name)
        marks.update({k: v for k, v in new.items() if k == here})
        old = into.get(name)
        replaces = (
            isinstance(value, dict) and "use" in value and isinstance(old, dict) and old.get("use") != value["use"]
        )
        if isinstance(value, dict) and isinstance(old, dict) and not replaces:
            _merge(old, value, here, marks, new)
        elif value is None and len(key) > 0:
            into.pop(name, None)
        else:
            marks.update({k: v for k, v in new.items() if k[: len(here)] == here})
            if name in into or anchor is None:
                into[name] = value
            else:
                _insert_after(into, anchor, name, value)
        if name in into:
            anchor = name


def _insert_after(into: dict[str, Any], anchor: str, name: str, value: Any) -> None:
    """A key new to the parent goes right after the key that precedes it in the child: stages keep their order."""
    items = list(into.items())
    at = next(n for n, (k, _) in enumerate(items) if k == anchor) + 1
    items.insert(at, (name, value))
    into.clear()
    into.update(items)
