"""The kernels of `filters/`, compiled once per machine: at set-up by `winnow compile`, else by the first run that
measures, before its first task.

numba keeps what it compiles on disk: in NUMBA_CACHE_DIR if that is set, else beside the source, else (where that cannot
be written) in the user's cache folder; every process of the machine loads it from there. A file in the same place,
named by all that the machine code depends on, says that everything is compiled. One process compiles at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from winnow.filters.kernel import compile_all
from winnow.stages.base import StageError

KERNELS = (
    "winnow.filters.bad_words.match",
    "winnow.filters.personal.screen",
    "winnow.filters.words",
    "winnow.filters.rules.running_text",
    "winnow.filters.rules.density",
    "winnow.filters.rules.repetition",
    "winnow.filters.dedup.minhash",
    "winnow.filters.hash_random",
    "winnow.filters.rules.url_shape",
    "winnow.filters.rules.diversity",
    "winnow.filters.rules.c4",
    "winnow.filters.rules.prose",
    "winnow.filters.rules.korean",
    "winnow.filters.script",
    "winnow.filters.rules.web_lines",
    "winnow.filters.rules.phrases",
    "winnow.filters.rules.quality",
    "winnow.filters.urls.lists",
    "winnow.filters.rules.characters",
    "winnow.filters.value_bins",
    "winnow.filters.dedup.clusters",
    "winnow.filters.ngram.model",
    "winnow.filters.ngram.features",
    "winnow.filters.ngram.spread",
    "winnow.filters.ngram.grams",
    "winnow.filters.line_codes",
    "winnow.filters.ngram.importance",
    "winnow.filters.ngram.overlap",
)
"""Every module that has kernels. What takes longest comes first, and what others import before them, so that no two
processes compile the same."""

_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from winnow.stages.kernels import serve; serve()"


def compile_kernels() -> Iterator[str]:
    """Compiles what this machine has not compiled yet, on every CPU; yields each module's name when it is done."""
    mark = _mark()
    with mark.with_name("kernels.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists():  # no other process has done it in the meantime
            yield from _compiled(min(len(os.sched_getaffinity(0)), len(KERNELS)))
            mark.touch()
            return
    yield from KERNELS


def uncompiled() -> bool:
    """Whether this machine has yet to compile kernels. Raises StageError where they could be kept nowhere."""
    return not _mark().exists()


def ensure_compiled() -> None:
    """Compiles them without a word, if need be."""
    if uncompiled():
        for _ in compile_kernels():
            pass


def serve() -> None:
    """A child's side: compiles the modules that are named on its input, and answers each with a line."""
    for line in sys.stdin:
        answer = None
        try:
            load(line.strip())
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)


def load(name: str) -> None:
    """Imports a module of kernels and compiles them; calls those that are compiled for what they are called with."""
    module = import_module(name)
    compile_all(module)
    if name in _CALLS:
        _CALLS[name](module)


def _mark() -> Path:
    """The file that says that all is compiled. Kernels depend on the sources of `filters/`, numba, Python and the
    processor."""
    import llvmlite.binding
    import numba

    caching: Any = import_module("numba.core.caching")
    try:
        folder = Path(caching.FunctionCache(_mark).cache_path)
        if "~" in folder.parts:  # of a user who has no home numba makes a folder of that name here
            with suppress(OSError):
                os.removedirs(folder)
            raise RuntimeError("this user has no home folder")
    except RuntimeError as error:
        raise StageError(
            f"compiled kernels can be kept nowhere: neither {Path(__file__).parent}/__pycache__ nor the user's cache "
            "folder can be written; set NUMBA_CACHE_DIR to a folder that can"
        ) from error
    root = Path(__file__).parents[1]
    processor = f"{llvmlite.binding.get_host_cpu_name()} {llvmlite.binding.get_host_cpu_features().flatten()}"
    state = hashlib.sha256(f"{numba.__version__} {sys.version} {processor}".encode())
    for path in (Path(__file__), *sorted((root / "filters").rglob("*.py"))):
        state.update(path.read_bytes())
    return folder / f"kernels-{state.hexdigest()[:16]}.compiled"


def _compiled(processes: int) -> Iterator[str]:
    """Has so many children compile the modules, each led by a thread."""
    command = [sys.executable, "-P", "-c", _BOOT, json.dumps(sys.path)]
    children: list[subprocess.Popen[str]] = []
    own = threading.local()

    def begin() -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        own.child = subprocess.Popen(command, process_group=0, **pipes)
        children.append(own.child)

    def one(name: str) -> str | None:
        try:
            print(name, file=own.child.stdin, flush=True)
            answer = own.child.stdout.readline()
        except BrokenPipeError:
            answer = ""
        return json.loads(answer) if answer else "its process died"

    with ThreadPoolExecutor(processes, initializer=begin) as pool:
        compiling = {pool.submit(one, name): name for name in KERNELS}
        try:
            for done in as_completed(compiling):
                if (error := done.result()) is not None:
                    raise StageError(f"the kernels of {compiling[done]} cannot be compiled: {error}")
                yield compiling[done]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in children:
                child.kill()
                child.wait()


def _minhash(module: Any) -> None:
    import pyarrow as pa

    module.band_keys(pa.array(["a b"], pa.large_string()), module.Scheme())


def _clusters(module: Any) -> None:
    import numpy as np

    forest, row = module.Forest(2), np.frombuffer(bytes(4), np.uint32)  # as an Arrow column gives it: read-only
    forest.unite(row, row)
    forest.unite(row.copy(), row.copy())
    forest.labels()


_CALLS: dict[str, Callable[[Any], None]] = {
    "winnow.filters.dedup.minhash": _minhash,
    "winnow.filters.dedup.clusters": _clusters,
}
