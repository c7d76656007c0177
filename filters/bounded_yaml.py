"""YAML that people wrote, read within bounds: an ordinary file, and no more nodes, bytes and levels than a person writes.

A YAML of 400 bytes whose aliases name lists of aliases stands for more values than a machine holds, and a device or a pipe
gives bytes without end. What is read is measured as it would be with every alias written out, without writing it out.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import yaml

FILE_BYTES = 512 << 10
"""Longest file."""
NODES = 50_000
"""Most values, with aliases written out."""
TEXT_BYTES = 8 << 20
"""Most characters of all keys and values together, with aliases written out."""
DEPTH = 60
"""Most levels of mappings and lists."""


class OutOfBounds(ValueError):
    """What is no YAML that a person wrote: one sentence without the file's name. `line` counts from 1."""

    def __init__(self, what: str, line: int | None = None) -> None:
        super().__init__(what)
        self.line = line


class Texts(yaml.SafeLoader):
    """Takes what YAML 1.2 does for something else than text, and nothing more: null, true and false, decimal numbers. A label
    or a stop word `no` or `on`, a date and 0123 are text."""


Texts.yaml_implicit_resolvers = {}
for _tag, _form, _first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", r"<<", "<"),
):
    Texts.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_form})$"), [c.strip("\0") for c in _first]
    )


def read_text(path: Path) -> str:
    """The text of a file. Raises OutOfBounds for what is no file, too long or no UTF-8, OSError where it cannot be read."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
        raise OutOfBounds(f"is {kinds.get(stat.S_IFMT(mode), 'no file')}; expected a YAML file")
    with path.open("rb") as file:
        data = file.read(FILE_BYTES + 1)
    if len(data) > FILE_BYTES:
        raise OutOfBounds(f"is longer than {FILE_BYTES:,} bytes; expected a YAML file that a person wrote")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise OutOfBounds(f"byte {error.start:,} is not UTF-8; expected YAML in UTF-8") from None


def compose(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> yaml.Node | None:
    """The nodes of a YAML text; aliases share theirs. Raises OutOfBounds."""
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise OutOfBounds(f"not valid YAML: {error.problem or error.context}", line) from None
    except yaml.reader.ReaderError as error:
        raise OutOfBounds(f"not valid YAML: character {error.position:,} is no text") from None
    except RecursionError:
        raise OutOfBounds(f"nested too deep; expected at most {DEPTH} levels") from None
    if node is not None:
        _measure(node)
    return node


def load(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """The value of a YAML text. Raises OutOfBounds."""
    node = compose(text, loader)
    try:
        return None if node is None else loader("").construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise OutOfBounds(f"not valid YAML: {error.problem or error.context}", line) from None
    except ValueError as error:  # a date such as 2024-13-01
        raise OutOfBounds(f"not valid YAML: {error}") from None


def _measure(root: yaml.Node) -> None:
    """Raises OutOfBounds. Each node is looked at once, however often aliases name it."""
    known: dict[int, tuple[int, int, int]] = {}  # nodes, characters and levels of a node with aliases written out
    open_: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, left = stack.pop()
        if id(node) in known:
            continue
        children = _children(node)
        if not left:
            if id(node) in open_:
                raise OutOfBounds("an alias stands inside what it names", node.start_mark.line + 1)
            open_.add(id(node))
            stack.append((node, True))
            stack.extend((child, False) for child in children if id(child) not in known)
            continue
        open_.discard(id(node))
        below = [known[id(child)] for child in children]
        nodes, size, depth = (
            1 + sum(b[0] for b in below),
            sum(b[1] for b in below),
            max([b[2] for b in below], default=0),
        )
        if isinstance(node, yaml.ScalarNode):
            size += len(node.value)
        else:
            depth += 1
        line = node.start_mark.line + 1
        if nodes > NODES:
            raise OutOfBounds(f"stands for more than {NODES:,} values with its aliases written out", line)
        if size > TEXT_BYTES:
            raise OutOfBounds(f"stands for more than {TEXT_BYTES:,} characters with its aliases written out", line)
        if depth > DEPTH:
            raise OutOfBounds(f"nested {depth} levels deep; expected at most {DEPTH}", line)
        known[id(node)] = nodes, size, depth


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
