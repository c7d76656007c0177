"""Whether the machines of a cluster run the code that this process runs: asked before the first task, said in one sentence."""

from __future__ import annotations

import socket
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
    packages, or has it with other code; None where tasks can run anywhere.

    Machines without CPUs run no tasks and are not asked. Raises what Ray raises where it cannot start a worker.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0, max_retries=3)(_asking())
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    at = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=True) for node in nodes[:ASKED]]
    here = code()
    for host, found, error in ray.get([ask.options(scheduling_strategy=s, name="winnow_version").remote() for s in at]):
        if found is None:
            return (
                f"{where}: machine {host} cannot import winnow ({error}); install version {here[0]} on every machine, or "
                "send it along with `winnow submit`"
            )
        if tuple(found) != here:
            same = found[0] == here[0]
            return (
                f"{where}: machine {host} has winnow {found[0]}{f' with other code ({found[1]})' if same else ''}, and this "
                f"process runs {here[0]}{f' ({here[1]})' if same else ''}; install the same one on every machine, or send it "
                "along with `winnow submit`"
            )
    wanted = {module: module_code(module) for module in modules}
    look = ray.remote(num_cpus=0, max_retries=3)(imported_there)
    for host, found in ray.get([look.options(scheduling_strategy=s).remote(sorted(wanted)) for s in at if wanted]):
        for module, (digest, error) in found.items():
            if digest != wanted[module]:
                what = f"cannot import '{module}' ({error})" if error else f"has '{module}' with other code"
                return f"{where}: machine {host} {what}: install its package, the same one on every machine"
    return None


def imported_there(modules: Sequence[str]) -> tuple[str, dict[str, tuple[str, str]]]:
    """The name of a machine, and of each module the digest of its code there, or why it cannot be imported."""
    found: dict[str, tuple[str, str]] = {}
    for module in modules:
        try:
            found[module] = module_code(module), ""
        except Exception as error:  # whatever its author's code does at import
            found[module] = "", f"{type(error).__name__}: {error}"
    return socket.gethostname(), found


def _asking() -> Callable[[], tuple[str, tuple[str, str] | None, str]]:
    """A function that travels with its code, so that it also runs where there is no winnow: host, code and error."""

    def ask() -> tuple[str, tuple[str, str] | None, str]:
        import importlib
        import socket

        try:
            return socket.gethostname(), importlib.import_module("winnow.pipelines.engine.same_code").code(), ""
        except ImportError as error:
            return socket.gethostname(), None, str(error)

    return ask
