"""The command line in this process, which has loaded everything already: a process of its own takes seconds to. And a Ray."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from winnow.pipelines import cli


def command(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`winnow WORDS` in a folder: its exit code and what it printed, as a terminal of 80 columns shows it."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    code: object = 0
    mask = os.umask(0o022)  # a run changes it for its process
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
        finally:
            os.umask(mask)
    assert isinstance(code, int)
    return subprocess.CompletedProcess(words, code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


@contextlib.contextmanager
def ray_here() -> Iterator[str]:
    """A Ray of this process, with two CPUs: its address. Its workers have the environment of now."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_worker_niceness", "0")  # other tests are busy beside it
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    import ray

    options = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 128 * 2**20}
    for left in reversed(range(4)):  # as a run does: on a busy machine Ray may not be ready in its own time
        try:
            ray.init(address="local", logging_level="ERROR", log_to_driver=False, **options)
            break
        except Exception:
            ray.shutdown()
            if not left:
                raise
    try:
        yield str(ray.get_runtime_context().gcs_address)
    finally:
        ray.shutdown()
