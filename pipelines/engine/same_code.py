"""Whether the machines of a cluster run the code that this process runs: asked before the first task, said in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import xxhash

from winnow.identity import code as module_code

ROOMS = ("pipelines", "stages", "filters", "classifiers", "tokenize")
"""What a task may run; a wheel and a checkout of the same commit hold the same files of them."""

ASKED = 256
"""Machines that are asked at most. Larger clusters start from one image."""


@lru_cache(maxsize=1)
def code() -> tuple[str, str]:
    """The version of this package and a digest of its code."""
    root = Path(__file__).parents[2]
    digest = xxhash.xxh3_64()
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py"), key=lambda p: p.relative_to(root).as_posix()):
            digest.update(path.relative_to(root).as_posix())
            digest.update(path.read_bytes())
    try:
        version = metadata.version("winnow")
    except metadata.PackageNotFoundError:  # on the path, not installed
        version = "unknown"
    return version, digest.hexdigest()


def difference(ray: Any, where: str, modules: Collection[str] = ()) -> str | None:
    """A sentence where a machine of the cluster has no winnow or another one, or cannot import one of these modules of other
    packages, or has it with other code; None where tasks can run anywhere. Raises what `on_each` raises."""
    here, wanted = code(), {module: module_code(module) for module in modules}
    for host, there, found in on_each(ray, _asking(here, sorted(wanted))):
        machine = f"{where}: machine {host}"
        if isinstance(there, str):
            return (
                f"{machine} cannot import winnow ({there}); install version {here[0]} on every machine, or send it along with "
                "`winnow submit`"
            )
        if tuple(there) != here:
            same = there[0] == here[0]
            return (
                f"{machine} has winnow {there[0]}{f' with other code ({there[1]})' if same else ''}, and this process runs "
                f"{here[0]}{f' ({here[1]})' if same else ''}; install the same one on every machine, or send it along with "
                "`winnow submit`"
            )
        for module, (digest, error) in found.items():
            if digest != wanted[module]:
                what = f"cannot import '{module}' ({error})" if error else f"has '{module}' with other code"
                return f"{machine} {what}: install its package, the same one on every machine"
    return None


def on_each(ray: Any, function: Callable[[], Any]) -> list[Any]:
    """What a function gives on each machine of the cluster that has CPUs; the others run no tasks. Raises what Ray raises where
    it cannot start a worker, or the function fails."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    remote = ray.remote(num_cpus=0, max_retries=3)(function)
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    at = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=True) for node in nodes[:ASKED]]
    return list(ray.get([remote.options(scheduling_strategy=there).remote() for there in at]))


def imported_here(modules: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Of each module the digest of its code on this machine, or why it cannot be imported."""
    found: dict[str, tuple[str, str]] = {}
    for module in modules:
        try:
            found[module] = module_code(module), ""
        except Exception as error:  # whatever its author's code does at import
            found[module] = "", f"{type(error).__name__}: {error}"
    return found


def _asking(here: tuple[str, str], modules: Sequence[str]) -> Callable[[], tuple[str, Any, dict[str, Any]]]:
    """A function that travels with its code, so that it also runs where there is no winnow: host; code, or why there is none;
    and where that is the same as here, the modules."""

    def ask() -> tuple[str, Any, dict[str, Any]]:
        import importlib
        import socket

        try:
            there = importlib.import_module("winnow.pipelines.engine.same_code")
        except ImportError as error:
            return socket.gethostname(), str(error), {}
        code = tuple(there.code())
        return socket.gethostname(), code, there.imported_here(modules) if code == here else {}

    return ask
