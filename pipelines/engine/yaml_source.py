"""YAML with a memory: plain dicts and lists, and for every key the file and line it came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic_core import ErrorDetails

from winnow.filters.bounded_yaml import OutOfBounds, compose, read_text
from winnow.nearest import expected

Key = tuple[str, ...]

EXPECTED = frozenset(["extends", "name", "language", "sources", "stages"])
"""Of these keys a declaration has one at least; a file without is another one, and what is in it is nobody's business."""


SET = "--set "
"""What stands in place of file and line for what was set on the command line."""


class SpecError(ValueError):
    """A declaration that cannot be run. Every line of the message is one sentence: where, what, what was expected."""


class SourceMap:
    """A declaration's tree, where each key was written, and how: `texts` has what stands in the file for values that YAML
    takes for something else than text, such as `no`; `replaced` are keys that another layer had before. State: `tree`,
    `marks`, `texts`, `replaced`; later layers override earlier."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.marks: dict[Key, str] = {}
        self.texts: dict[Key, str] = {}
        self.replaced: set[Key] = set()

    def where(self, *key: str) -> str:
        """`file:line` of the nearest written ancestor of `key`."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.marks:
                return self.marks[key[:length]]
        return "declaration"

    def said(self, key: Key, text: str) -> str:
        """The sentence about what is written at a key: where that is, the key, and the text."""
        return f"{self.where(*key)}: {'.'.join(key)}: {text}"

    def wrong(self, key: Key, text: str) -> SpecError:
        """The error that says so."""
        return SpecError(self.said(key, text))

    def folder(self, *key: str) -> Path | None:
        """The folder of the file that `key` was written in; None for an override, and for what no file is known of."""
        file, colon, _ = self.where(*key).rpartition(":")
        return Path(file).parent if colon and not file.startswith(SET) else None

    def overlay(self, child: SourceMap) -> None:
        """Merge a child over this tree: mappings merge, everything else replaces, null removes."""
        _merge(self.tree, child.tree, (), self, child)

    def adopt(self, key: Key, child: SourceMap) -> None:
        """What is below `key` was written in `child`."""
        for mine, new in ((self.marks, child.marks), (self.texts, child.texts)):
            for old in [k for k in mine if k[: len(key)] == key]:
                del mine[old]
            mine.update({k: v for k, v in new.items() if k[: len(key)] == key})


def load(path: Path, seen: tuple[Path, ...] = ()) -> SourceMap:
    """Read a declaration and everything it extends, parents first. Raises SpecError."""
    if path in seen:
        chain = " -> ".join(p.name for p in (*seen, path))
        raise SpecError(f"{path}: 'extends' runs in a circle: {chain}")
    try:
        node = compose(read_text(path))
    except FileNotFoundError:
        raise SpecError(f"{path}: no such declaration{_siblings(path)}") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror or error}") from None
    except OutOfBounds as error:
        raise SpecError(f"{path}{f':{error.line}' if error.line else ''}: {error}") from None
    child = SourceMap()
    tree = _plain(node, (), str(path), child) if node else {}
    if not isinstance(tree, dict) or (tree and not EXPECTED & set(tree)):
        raise SpecError(f"{path}:1: expected a mapping with name, language, sources and stages")
    child.tree = tree
    parent = tree.pop("extends", None)
    parent = child.texts.get(("extends",), parent)
    if parent is not None and not isinstance(parent, str):
        raise SpecError(f"{child.marks[('extends',)]}: extends: expected the path of one declaration, got {parent!r}")
    marked = load(_parent(path, parent), (*seen, path)) if parent else SourceMap()
    marked.overlay(child)
    return marked


def override(marked: SourceMap, assignment: str) -> None:
    """Apply one `--set path=value`; the value is YAML."""
    path, equals, value = assignment.partition("=")
    shown = assignment if len(assignment) <= 120 else f"{assignment[:116]} ..."
    key = tuple(part.strip() for part in path.split("."))
    if not equals or not all(key):
        raise SpecError(f"--set {shown!r}: expected path=value, such as stages.quality.keep='score >= 0.5'")
    try:
        node = compose(value)
    except OutOfBounds:
        raise SpecError(f"--set {shown!r}: the value is not valid YAML; quote it if it is text") from None
    child = SourceMap()
    tree: Any = _plain(node, key, f"{SET}{path}", child) if node else None
    for part in reversed(key):
        tree = {part: tree}
    child.tree = tree
    child.marks |= {key[: n + 1]: f"{SET}{path}" for n in range(len(key))}
    at: Any = marked.tree
    for depth, part in enumerate(key[:-1]):
        at = at.get(part) if isinstance(at, dict) else None
        if at is not None and not isinstance(at, dict):
            if key[depth] == "keep":
                break
            raise SpecError(f"--set {shown!r}: {'.'.join(key[: depth + 1])} is {at!r}, not a mapping")
    marked.overlay(child)


def as_written(mistake: ErrorDetails, tree: Any, marked: SourceMap, key: tuple[str, ...]) -> bool:
    """Whether a text was expected where YAML saw something else (`no`, 2024-10-01, 0123), and stands there now as it is
    written."""
    if mistake["type"] not in ("string_type", "tuple_type", "list_type", "literal_error", "enum"):
        return False
    at = key
    for part in mistake["loc"]:
        inside = isinstance(part, int) if isinstance(tree, list) else isinstance(tree, dict) and part in tree
        if not inside:
            return False  # of a form that the value does not have
        at = (*at, str(part))
        if at in marked.texts and not isinstance(tree[part], str):
            tree[part] = marked.texts[at]
            below = marked.tree
            for step in at[:-1]:
                below = below[int(step) if isinstance(below, list) else step]
            below[int(at[-1]) if isinstance(below, list) else at[-1]] = tree[part]
            return True
        tree = tree[part]
    return False


def _parent(path: Path, parent: str) -> Path:
    """The declaration that is extended: beside the child, or, where there is none, one that ships (web.yaml)."""
    beside, shipped = (path.parent / parent).resolve(), Path(__file__).parents[1] / parent
    return shipped if not beside.exists() and Path(parent).name == parent and shipped.is_file() else beside


def _siblings(path: Path) -> str:
    found = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
    return f"; there are {', '.join(found)} in {path.parent}" if found else ""


def _plain(node: yaml.Node, key: Key, file: str, out: SourceMap) -> Any:
    """The value of a node; `out` is told where its keys are written, and how what is no text."""

    def at(node: yaml.Node) -> str:
        return file if file.startswith(SET) else f"{file}:{node.start_mark.line + 1}"

    if isinstance(node, yaml.MappingNode):
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            name = str(key_node.value)
            if name in made:
                raise SpecError(f"{at(key_node)}: '{name}' is written twice; the first is at {out.marks[(*key, name)]}")
            out.marks[(*key, name)] = at(key_node)
            made[name] = _plain(value_node, (*key, name), file, out)
        return made
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*key, str(n)), file, out) for n, item in enumerate(node.value)]
    try:
        value = yaml.SafeLoader("").construct_object(node, deep=True)
    except yaml.constructor.ConstructorError as error:
        raise SpecError(f"{at(node)}: {error.problem}") from None
    except ValueError:
        return node.value  # a date such as 2024-13-01: text, which whoever wants something else refuses
    if not isinstance(value, str) and (value is not None or node.value == "~"):
        out.texts[key] = node.value
    return value


def _merge(into: dict[str, Any], tree: Mapping[str, Any], key: Key, marked: SourceMap, child: SourceMap) -> None:
    anchor: str | None = None
    for name, value in tree.items():
        here = (*key, name)
        if here in child.marks:
            marked.marks[here] = child.marks[here]
        old = into.get(name)
        replaces = (
            isinstance(value, dict) and "use" in value and isinstance(old, dict) and old.get("use") != value["use"]
        )
        if isinstance(value, dict) and isinstance(old, dict) and not replaces:
            _merge(old, value, here, marked, child)
        elif value is None and len(key) > 0:
            if name not in into and (key in (("stages",), ("sources",)) or key[-1] == "keep"):
                near = expected(name, into) + (
                    "; true takes a clause of the kind's own away" if key[-1] == "keep" else ""
                )
                raise child.wrong(here, f"null takes away what is written before, and nothing of that name is; {near}")
            into.pop(name, None)
        else:
            marked.adopt(here, child)
            if name in into:
                marked.replaced.add(here)
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
