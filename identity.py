"""What of settings is identity, and what is only execution: marked once, on the field. Below every room, so that each may
import it.

The identity of a value is JSON that a fingerprint is made of: equal where nothing that is measured can differ. The code of
this package changes nothing unless a version says so; of other packages, where versions are raised by whoever wrote them,
the code itself is identity.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Execution:
    """Marks a field that changes no value of a signal: thresholds, which say only what is kept, and how or where work is
    done."""


@dataclass(frozen=True, slots=True)
class OfCorpus:
    """Marks a field that changes what all documents together are told, and nothing of what is measured of each."""


@dataclass(frozen=True, slots=True)
class Located:
    """Marks a field that names files or folders (a text or several): a path written in a declaration is relative to its file,
    and of its identity is only the last part, since the content is identified by itself. `names`: what the text may be
    instead, which comes first (models that ship); None where it is always a path. `inside`: the key that has the path where
    an item is a mapping."""

    names: Callable[[], Collection[str]] | None = None
    inside: str = ""


class UnknownValue(TypeError):
    """A value of which nobody can say whether it is equal to another: one sentence with the field and the type."""


def identity(model: BaseModel, measured: bool = False) -> dict[str, Any]:
    """The fields of settings or of a language pack that change results, by name. `measured`: those alone that change what is
    measured of one document. Raises UnknownValue."""
    found: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        if not left_out(field, measured):
            located = next((m for m in field.metadata if isinstance(m, Located)), None)
            found[name] = _value(getattr(model, name), measured, located, f"{type(model).__name__}.{name}")
    for name, value in (model.__pydantic_extra__ or {}).items():
        found[name] = _value(value, measured, None, f"{type(model).__name__}.{name}")
    return found


def left_out(field: FieldInfo, measured: bool = False) -> bool:
    """Whether a field is no part of the identity."""
    return any(isinstance(m, Execution) or (measured and isinstance(m, OfCorpus)) for m in field.metadata)


def file_name(text: str) -> str:
    """An absolute path's last part; anything else as it is."""
    return PurePath(text).name if os.path.isabs(text) else text  # noqa: PTH117 (of a text that may be no path)


def _value(value: Any, measured: bool, located: Located | None, at: str) -> Any:
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, str):
        return file_name(str(value)) if located is not None and not located.inside else str(value)
    if isinstance(value, int):  # such as pydantic's sizes in bytes
        return int(value)
    if isinstance(value, BaseModel):
        found = identity(value, measured)
        if located is not None and isinstance(found.get(located.inside), str):
            found[located.inside] = file_name(found[located.inside])
        return found
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _value(item, measured, located, f"{at}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(item, measured, located, at) for item in value]
    if isinstance(value, (set, frozenset)) and all(isinstance(item, str) for item in value):
        return sorted(value)
    raise UnknownValue(
        f"{at}: a value of type {type(value).__module__}.{type(value).__qualname__} has no identity: expected None, a number, "
        "a text, another model, or a list, a set of texts or a mapping of those"
    )


def name_of(kind: type[Any]) -> str:
    """The name that a class is found by wherever it can be imported: the short one of ours, `package.module:Class` of others."""
    ours = kind.__module__.startswith("winnow.")
    return str(kind.kind) if ours else f"{kind.__module__}:{kind.__qualname__}"


def code_of(kind: Any) -> str:
    """16 hex digits of the code of another package's class or function; '' of ours, whose `version` says that it changed.
    Raises UnknownValue where it has no file."""
    return "" if kind.__module__.startswith("winnow.") else code(kind.__module__)


def modules_of(*kinds: Any) -> set[str]:
    """The modules of other packages that classes and functions are in: those that every worker has to import."""
    return {kind.__module__ for kind in kinds if not kind.__module__.startswith("winnow.")}


@lru_cache(maxsize=256)
def code(module: str) -> str:
    """16 hex digits of a module's file and of those that it takes names from and that are of the same package. Raises UnknownValue."""
    digest = hashlib.sha256()
    for one in sorted(_reached(importlib.import_module(module)), key=lambda m: m.__name__):
        file = getattr(one, "__file__", None)
        if file is None:
            raise UnknownValue(f"module '{one.__name__}' has no file, so that nobody could tell when its code changes")
        content = Path(file).read_bytes()
        digest.update(f"{one.__name__} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _reached(module: ModuleType) -> set[ModuleType]:
    """A module and what it has names of, within its package. What an `__init__` has of its own submodules depends on who
    imported them, and is passed over."""
    top, found, waiting = module.__name__.partition(".")[0], {module}, [module]
    while waiting:
        one = waiting.pop()
        for value in list(vars(one).values()):
            other = (
                value if isinstance(value, ModuleType) else sys.modules.get(getattr(value, "__module__", None) or "")
            )
            if other is None or other in found or other.__name__.partition(".")[0] != top:
                continue
            if isinstance(value, ModuleType) and other.__name__.startswith(f"{one.__name__}."):
                continue
            found.add(other)
            waiting.append(other)
    return found
