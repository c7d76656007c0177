"""The command line in this process, which has loaded everything already; a process of its own takes seconds to."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from unittest import mock

from winnow.pipelines import cli


def command(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`winnow WORDS` in a folder: its exit code and what it printed, as a terminal of 80 columns shows it."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code: object = 0
    with (
        mock.patch.object(sys, "argv", ["winnow", *map(str, words)]),
        contextlib.chdir(cwd or Path.cwd()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as left:
            code = left.code or 0
    assert isinstance(code, int)
    return subprocess.CompletedProcess(words, code, *(stream.buffer.getvalue().decode() for stream in (out, err)))
