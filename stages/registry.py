"""The kinds that a declaration may name: ours, one file each; a class of any package that can be imported
(`use: package.module:Class`); and what installed packages offer under entry points. What a kind of another package is identified by is in `winnow.identity`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, Literal

from winnow.nearest import expected, hint
from winnow.stages.base import Settings, Stage, StageError
from winnow.stages.solver import Solver
from winnow.stages.source import Source

Of = Literal["stages", "sources", "solvers"]

CONTRACTS: dict[Of, tuple[str, type[Any]]] = {
    "stages": ("winnow.stages", Stage),
    "sources": ("winnow.stages.sources", Source),
    "solvers": ("winnow.stages.solvers", Solver),
}
"""What there are kinds of: the package with ours, and the class that each is a subclass of. Entry points are offered in the
groups `winnow.stages`, `winnow.sources` and `winnow.solvers`."""


class NoKind(StageError):
    """No kind of that name, or one that cannot be used: one sentence with the package and the class."""


def find(of: Of, use: str) -> type[Any]:
    """The class that a name stands for. Raises NoKind."""
    if ":" in use:
        return _checked(of, use, imported(use))
    if _ours(of, use):
        kind: type[Any] = importlib.import_module(f"{CONTRACTS[of][0]}.{use}").KIND
        return kind
    offered = [point for point in _offered(of) if point.name == use]
    if len(offered) > 1:
        said = " and ".join(f"{p.dist.name if p.dist else '?'} ({p.value})" for p in offered)
        raise NoKind(f"'{use}' is offered by {said}: name one of those in full, such as {offered[0].value}")
    if offered:
        return _checked(of, offered[0].value, imported(offered[0].value))
    raise NoKind(f"'{use}' is not a kind; {expected(use, names(of))}, or package.module:Class of your own")


def exists(of: Of, use: object) -> bool:
    """Whether a name stands for a kind that is there, sound or not."""
    if not isinstance(use, str):
        return False
    if ":" in use:
        return _spec(use.partition(":")[0]) is not None
    return _ours(of, use) or any(point.name == use for point in _offered(of))


def names(of: Of) -> list[str]:
    """The names of our kinds and of those that installed packages offer."""
    package = importlib.import_module(CONTRACTS[of][0])
    ours = {module.name for module in pkgutil.iter_modules(package.__path__) if _ours(of, module.name)}
    return sorted(ours | {point.name for point in _offered(of)})


def _ours(of: Of, use: str) -> bool:
    package = CONTRACTS[of][0]
    if not use.isidentifier() or find_spec(f"{package}.{use}") is None:
        return False
    return hasattr(importlib.import_module(f"{package}.{use}"), "KIND")


def _offered(of: Of) -> Iterator[EntryPoint]:
    return iter(entry_points(group=f"winnow.{of}"))


def _spec(module: str) -> Any:
    try:
        return find_spec(module)
    except (ImportError, ValueError):
        return None


def imported(use: str) -> Any:
    """What `package.module:Name` stands for. Raises NoKind."""
    module, _, name = use.partition(":")
    if _spec(module) is None:
        raise NoKind(
            f"'{use}': no module '{module}' can be imported: install its package where this process and every worker find it, "
            "or add its folder to PYTHONPATH"
        )
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # whatever its author's code does at import, it is the module that is named
        raise NoKind(
            f"'{use}': module '{module}' fails when it is imported: {type(error).__name__}: {error}"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            public = [n for n in vars(found) if not n.startswith("_")]
            raise NoKind(f"'{use}': module '{module}' has no '{name}'{hint(part, public)}")
        found = getattr(found, part)
    return found


def _checked(of: Of, use: str, found: Any) -> type[Any]:
    contract = CONTRACTS[of][1]
    wanted = f"a subclass of {contract.__module__}.{contract.__name__}"
    if not (inspect.isclass(found) and issubclass(found, contract)):
        what = f"is a {type(found).__name__}" if not inspect.isclass(found) else "is another class"
        more = "; for a plain function write use: function, function: " + use if inspect.isfunction(found) else ""
        raise NoKind(f"'{use}' {what}: expected {wanted}{more}")
    kind: type[Any] = found
    if inspect.isabstract(kind):
        lacking = ", ".join(sorted(kind.__abstractmethods__))
        raise NoKind(f"'{use}' does not define {lacking}: expected {wanted} that does")
    for attribute, of_type in (("kind", str), ("version", int), ("Settings", type)):
        if not isinstance(getattr(kind, attribute, None), of_type):
            raise NoKind(f"'{use}' has no {attribute}: expected a class attribute of type {of_type.__name__}")
    if not issubclass(kind.Settings, Settings):
        raise NoKind(f"'{use}': its Settings are no subclass of winnow.stages.base.Settings")
    return kind
