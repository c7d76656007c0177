"""The Python API: `winnow.run` carries out a declaration, `winnow.open_run` opens what was carried out before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.run import carry_out
from winnow.pipelines.engine.store import Store
from winnow.pipelines.results.table import Run, as_table, open_run

__all__ = ["Run", "open_run", "run"]


def run(
    path: str | Path,
    set: Sequence[str] = (),
    *,
    folder: str | Path | None = None,
    local: bool = False,
    workers: int | None = None,
    strict: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Carry out a declaration; continue or do nothing where an earlier run already did the work.

    `set`: `path=value` overrides. `folder`: where the run lives (path or fsspec URL; default `runs/<name>`). Raises
    SpecError, StageError, StoreError or RunError, each with one clear sentence.
    """
    pipeline = load_pipeline(path, set)
    root = str(folder) if folder is not None else f"runs/{pipeline.name}"
    store = Store.at(root)
    return as_table(carry_out(pipeline, store, local=local, workers=workers, strict=strict, progress=progress))
