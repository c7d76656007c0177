"""Ablation: the selections of a finished run with stages left out, by its stored signals alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from winnow.nearest import expected
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.reselect import reselect
from winnow.pipelines.engine.yaml_source import SpecError
from winnow.pipelines.results.table import Run, RunError, open_run


def arms_without(arms: Sequence[str], stages: str) -> list[str]:
    """`name=reference` of the run's own selection and of one without each stage, then the arms that were given besides.

    The first arm is a declaration, whose run is in runs/NAME, or a run. Each selection is kept as `without-STAGE`. Raises
    RunError where a stage is none of the run's, or where documents that it held back were never measured by later ones.
    """
    first, *others = arms
    reference = f"runs/{load_pipeline(first, []).name}" if Path(first).is_file() else first
    run = open_run(reference)
    if run.name is not None:
        raise RunError(f"{reference}: --leave-out begins with a run's own selection: expected {run.folder}")
    selecting = [name for name, node in run.pipeline.nodes.items() if node.clauses]
    out = [f"whole={reference}"]
    for stage in [name.strip() for name in stages.split(",") if name.strip()]:
        if stage not in selecting:
            raise RunError(f"--leave-out {stage}: {reference} keeps by no such stage; {expected(stage, selecting)}")
        name = f"without-{stage.lower()}"
        found = _without(run, stage, name)
        if found.unmeasured:
            count = ", ".join(f"{rows:,} by '{later}'" for later, rows in found.unmeasured.items())
            raise RunError(
                f"--leave-out {stage}: documents that it dropped were never measured ({count}): winnow run "
                f"{shlex.quote(run.folder)} --selection {name} measures them, then run this again"
            )
        out.append(f"without {stage}={reference}@{name}")
    return [*out, *others]


def _without(run: Run, stage: str, name: str) -> Run:
    """The selection; without the stage that writes shards too where nothing else needs its count of tokens, which documents
    that come back do not have."""
    terminal = run.pipeline.terminal()
    without = f"stages.{stage}.keep=true"
    if terminal is not None:
        try:
            return reselect(run, [without, f"stages.{terminal.name}=null"], name=name)
        except SpecError:
            pass  # a clause or a mixture counts tokens
    return reselect(run, [without], name=name)
