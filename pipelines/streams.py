"""Standard streams that a command can rely on, whatever it was started with: closed ones, a pipe that nobody reads any
more, an encoding that has no letters for what is printed."""

from __future__ import annotations

import io
import os
import sys


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
