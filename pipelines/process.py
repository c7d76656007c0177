"""How a command begins and ends: foreseen errors as one sentence, and standard streams to rely on, whatever it was started
with: closed ones, a pipe that nobody reads any more, an encoding that has no letters for what is printed."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable


def guarded(command: Callable[[], object]) -> None:
    """Runs it; every foreseen error is one sentence on stderr and exit code 1."""
    open_streams()
    try:
        command()
    except Exception as error:
        from winnow.pipelines.engine.errors import sentence
        from winnow.stages.reading.files import server_errors

        if not isinstance(error, (*_known(), *server_errors())):
            raise
        print(f"error: {sentence(error)}", file=sys.stderr)
        sys.exit(1)
    finally:
        store = sys.modules.get("winnow.pipelines.engine.store")  # unloaded, there is nothing that it has verified
        if store is not None:
            store.remember_verified()
        close_streams()


def _known() -> tuple[type[Exception], ...]:
    """Errors that already are one clear sentence."""
    from winnow.classifiers.artifacts import ModelError
    from winnow.classifiers.recipe import RecipeError
    from winnow.filters.fitting import FitError
    from winnow.pipelines.engine.errors import RunError
    from winnow.pipelines.engine.yaml_source import SpecError
    from winnow.stages.base import StageError
    from winnow.stages.reading.paths import NoInput
    from winnow.tokenize.shard import ShardError
    from winnow.tokenize.tokenizer import TokenizerError

    ours = (SpecError, NoInput, StageError, RunError, FitError, ModelError, RecipeError, ShardError, TokenizerError)
    return (*ours, OSError, MemoryError)


def open_streams() -> None:
    """Make standard input, output and error usable. Closed ones go nowhere: a file that is opened next would take their
    place, and be written into. What an encoding cannot hold is printed as an escape."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def close_streams() -> None:
    """Write what is still to be written; at the interpreter's end it would fail with a traceback. Exits with 1 where that
    is not possible: without a word where nobody reads any more, as rich and typer do, else with a sentence."""
    failed = False
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if stream is sys.stdout and not isinstance(error, BrokenPipeError):
                print(f"error: standard output cannot be written: {error.strerror}", file=sys.stderr)
            failed = True
    if failed:
        sys.exit(1)


def in_utf8() -> None:
    """Start anew in Python's UTF-8 mode where the locale leaves ASCII alone for names of files and for arguments."""
    if sys.getfilesystemencoding() == "ascii" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
