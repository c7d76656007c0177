"""What a publication must not tell about the machine that made it: folders, accounts, secrets in URLs."""

from __future__ import annotations

import re
from typing import Any

from winnow.stages.reading.files import public

_LOCAL = re.compile(r"(?:file:/|/|~|[A-Za-z]:[\\/])")
_INSIDE = re.compile(r"(?:(?<![\w:/.<])/|\b[A-Za-z]:\\)(?:[^\s/\\:'\",;()<>]+[/\\])+(?P<last>[^\s/\\:'\",;()<>]*)")


def shown(path: str) -> str:
    """A path or URL of the declaration as a publication shows it: an absolute local path is cut to its last component
    (a file name or pattern), a URL loses account, password and query."""
    if "://" in path and not path.startswith("file:"):
        return public(path)
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1] if _LOCAL.match(path) else path


def cut(tree: Any) -> Any:
    """A declaration with every absolute local path and every secret in a URL cut, whatever key they are under."""
    if isinstance(tree, dict):
        return {key: cut(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [cut(value) for value in tree]
    return shown(tree) if isinstance(tree, str) else tree


def scrubbed(message: str) -> str:
    """An error message with the folders of absolute local paths left out."""
    return _INSIDE.sub(lambda match: match["last"] or "...", public(message))
