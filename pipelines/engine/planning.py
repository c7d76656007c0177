"""The plan of a run and what of its stored files must be made again: for a declaration, or for a run that is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.known_inputs import changes, found_again
from winnow.pipelines.engine.plan import Plan, make_plan, plan_over
from winnow.pipelines.engine.store import Store
from winnow.pipelines.engine.stored import Fault, faults, shown, unread
from winnow.pipelines.engine.yaml_source import SpecError

SHOWN = 5
"""Faults that are named; of more it is said how many."""


def plan_run(
    pipeline: Pipeline,
    store: Store,
    base: Plan | None = None,
    name: str | None = None,
    strict: bool = False,
    say: Callable[[str], None] = print,
) -> tuple[Plan, list[Fault]]:
    """Fingerprint everything and look at what is stored. `base`: the finished run whose folder was given. Its selection
    `name` is one of its documents, so inputs are looked for only where one must be read again; without a name they are
    looked for as ever, and done without where they are gone. `strict`: stored files are hashed. Raises SpecError, StageError
    or RunError."""
    plan = _planned(pipeline, store, base, name, say)
    for sentence in changes(plan):
        say(sentence)
    found = faults(plan, strict) + (shown(store) if name is None else [])
    if keys := {p.key for p in plan.partitions if not p.segments} & unread(plan, found):
        plan = found_again(plan, keys)
    return plan, found


def say_faults(found: Sequence[Fault], store: Store, say: Callable[[str], None]) -> None:
    """One line for each file that is made again, for the first SHOWN."""
    for fault in found[:SHOWN]:
        say(f"{store.path(fault.file)}: {fault.error.what}: it is made again")
    if len(found) > SHOWN:
        say(f"... and {len(found) - SHOWN:,} more files: they are made again")


def _planned(pipeline: Pipeline, store: Store, base: Plan | None, name: str | None, say: Callable[[str], None]) -> Plan:
    if base is None:
        return make_plan(pipeline, store, say=say)
    if name is None:
        try:
            return make_plan(pipeline, store, base.facts, say)
        except SpecError as error:
            if pipeline.tree["sources"] != base.pipeline.tree["sources"]:
                raise
            say(f"{error}; going on with what was read from there")
    return plan_over(pipeline, store, base.partitions, base.facts)
