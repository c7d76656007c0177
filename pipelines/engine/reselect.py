"""Select again from what a run has measured: clauses over stored signals, without a text and without Ray.

The result is what `winnow run` would select with the same declaration, down to the digest, unless clauses let documents
in that later stages never measured. Those are pending: they are counted, stage by stage, the selection is provisional,
and `winnow run --selection NAME` measures them and no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from winnow.pipelines.engine import worker
from winnow.pipelines.engine.declaration import Pipeline, override_pipeline
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.execute import Local
from winnow.pipelines.engine.plan import Plan, plan_over
from winnow.pipelines.engine.pointers import SELECTION_NAME, RunRecord, set_current
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.run import Driver, locked
from winnow.pipelines.engine.signals import Unmeasured
from winnow.pipelines.engine.store import fingerprint
from winnow.pipelines.engine.tasks import TOGETHER, Kind

Of = TypeVar("Of", bound=RunRecord)


def reselect(
    base: Of,
    assignments: Sequence[str] = (),
    *,
    name: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Of:
    """The selection that `base` makes with these overrides, kept under `name` if there is one; its `unmeasured` are the
    documents that each stage would have to measure first. Empty: it is final.

    Raises SpecError for a wrong override, RunError where the overrides change what is read before documents exist.
    """
    if name is not None and not SELECTION_NAME.match(name):
        raise RunError(f"'{name}' is no name for a selection: expected lower-case letters, digits, '.', '_' and '-'")
    pipeline = override_pipeline(base.plan.pipeline, assignments)
    plan = plan_over(pipeline, base.plan.store, base.plan.partitions, base.plan.facts)
    if plan.ingest != base.plan.ingest:
        raise RunError(
            f"{base.folder}: {_changed(base.plan, plan)} decides which pages become documents, which stored signals cannot "
            "tell: use `winnow run` with the same --set"
        )
    if pipeline.tree["sources"] != base.plan.pipeline.tree["sources"]:
        raise RunError(f"{base.folder}: other sources need other documents: use `winnow run` with the same --set")
    show = progress or Progress()
    lacking: dict[str, int] = {}
    with locked(plan.store), show:
        try:
            accounting = _decide(_driver(plan, workers, show))
        except Unmeasured:
            plan, lacking = _without_measuring(plan, workers, show)
            accounting = _decide(_driver(plan, workers, show))
        if name is not None:
            set_current(plan, name, unmeasured=lacking)
    return replace(base, plan=plan, accounting=accounting, did_nothing=False, name=name, unmeasured=lacking)


def _decide(driver: Driver) -> dict[str, Any]:
    for level in range(driver.plan.last_level + 1):
        driver.conclude(level)
    return driver.select(driver.ingested())


def _without_measuring(plan: Plan, workers: int | None, show: Progress) -> tuple[Plan, dict[str, int]]:
    """The provisional plan, and what is not measured, level by level, since what a level decides says who comes further."""
    lacking: dict[str, int] = {}
    driver = _driver(plan, workers, show)
    for level in range(plan.last_level + 1):
        found = unmeasured(driver.plan, level, workers, show)
        if found and not lacking:
            driver = _driver(_provisional(plan, level), workers, show)
        lacking |= found
        driver.conclude(level)
    return driver.plan, lacking


def unmeasured(plan: Plan, level: int, workers: int | None = None, progress: Progress | None = None) -> dict[str, int]:
    """Stage -> documents that it must still measure, for the stages of a level that have any. Documents that a stage
    above them would have to measure first are not counted: whether they come so far cannot be told."""
    show = progress or Progress(quiet=True)
    open_ = [n.name for n in plan.measuring(level) if not plan.measured(n.name)]
    if not open_:
        return {}
    counts = dict.fromkeys(open_, 0)
    calls = [(p, level) for p in plan.partitions]
    results = Local(plan, threads=workers).run(worker.unmeasured, calls)
    for found in show.track("look for unmeasured documents", results, len(calls)):
        for stage, rows in found:
            counts[stage] += rows
    return {name: rows for name, rows in counts.items() if rows}


def to_measure(plan: Plan) -> dict[str, int | None]:
    """Stage -> documents that `winnow run` would have to measure, None where that waits for a reduce or for statistics
    that are not made yet. Empty while not every partition is read."""
    if any(plan.store.record(plan.records(p)) is None for p in plan.partitions):
        return {}
    out: dict[str, int | None] = {}
    waits = False
    for level in range(plan.last_level + 1):
        found = {} if waits else unmeasured(replace(plan, allow_unmeasured=True), level)
        for node in plan.measuring(level):
            if not plan.measured(node.name):
                out[node.name] = None if waits else found.get(node.name, 0)
        together = plan.every(Kind.REDUCE, Kind.STATISTIC, level=level)
        waits |= bool(found) or not all(plan.done(task.kind, task.stage) for task in together)
    return out


def _driver(plan: Plan, workers: int | None, show: Progress) -> Driver:
    return Driver(plan, Local(plan, threads=workers), show, strict=False)


def _provisional(plan: Plan, level: int) -> Plan:
    """A plan that decides without what is not measured from a level on, filed so that it is never taken for the real one."""
    measured = plan.every(Kind.MEASURE)
    state = [(p.key, [plan.store.record(f"{t.folder}/{p.key}") for t in measured]) for p in plan.partitions]
    filed = fingerprint("provisional", state)
    tasks = dict(plan.tasks)
    for name, task in tasks.items():
        if task.kind in (Kind.SELECT, Kind.WRITE) or (task.kind in TOGETHER and task.level >= level):
            tasks[name] = replace(task, fingerprint=fingerprint(task.fingerprint, filed))
    return replace(plan, tasks=tasks, allow_unmeasured=True)


def _changed(before: Plan, now: Plan) -> str:
    """The first raw stage that differs."""

    def raw(pipeline: Pipeline) -> dict[str, Any]:
        return {n.name: (n.stage.settings, [c.text for c in n.clauses]) for n in pipeline.raw()}

    old, new = raw(before.pipeline), raw(now.pipeline)
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return f"stage '{changed[0]}'" if changed else "the language"
