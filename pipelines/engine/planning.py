"""The plan of a run, what of its stored files must be made again, and which of its inputs changed since it was last planned."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.inputs import INPUTS, Partition, kept_inputs, partitions
from winnow.pipelines.engine.plan import Plan, make_plan, plan_over
from winnow.pipelines.engine.store import Store
from winnow.pipelines.engine.stored import Fault, faults, shown, unread
from winnow.stages.reading.files import filed, filesystem, stamp
from winnow.stages.reading.paths import NoInput
from winnow.stages.source import InputFile

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
        except NoInput as error:
            if pipeline.tree["sources"] != base.pipeline.tree["sources"]:
                raise
            say(f"{error}; going on with what was read from there")
    return plan_over(pipeline, store, base.partitions, base.facts)


def remember(plan: Plan) -> None:
    """Keep the input files of a plan: size, what identifies the content, and the stamp that it had. Only the holder of the
    run's lock calls this."""
    found = {}
    for partition, file in _files(plan):
        hashed = partition.source in plan.pipeline.by_content
        found[filed(file.url)] = [file.size, file.modified, stamp(*filesystem(file.url))[1] if hashed else ""]
    parts = {p.key: [filed(s.file.url) for s in p.segments] for p in plan.partitions}
    if found:
        plan.store.write_json(INPUTS, {"files": found, "partitions": parts})


def changes(plan: Plan) -> list[str]:
    """A sentence for each input file that is not what it was when the folder's run was last planned; the first SHOWN."""
    before = kept_inputs(plan.store)["files"]
    if not before or not any(p.segments for p in plan.partitions):
        return []
    now = {filed(f.url): [f.size, f.modified] for _, f in _files(plan)}
    said = [f"input changed: {url}" for url, what in now.items() if url in before and before[url][:2] != what]
    said += [f"input gone: {url}" for url in before if url not in now]
    more = len(said) - SHOWN
    return said[:SHOWN] + ([f"input changed: {more:,} more files"] if more > 0 else [])


def found_again(plan: Plan, keys: Collection[str]) -> Plan:
    """The plan of a finished run with the inputs of these partitions, which must be read again. Raises RunError where an
    input is not what it was."""
    try:
        there = {p.key: p for p in partitions(plan.pipeline, plan.store)}
    except NoInput:
        there = {}
    lost = [key for key in keys if key not in there]
    if lost:
        kept = kept_inputs(plan.store)
        urls = dict.fromkeys(url for key in lost for url in kept["partitions"].get(key, ()))
        files = ", ".join(list(urls)[:SHOWN]) or "the input"
        raise RunError(
            f"{plan.store.root}: the documents of {len(lost):,} of {len(plan.partitions):,} partitions are missing and cannot "
            f"be read again, since {files} changed or is gone; put back what it was, or run the declaration on what there is"
        )
    again = [replace(there[p.key], index=p.index) if p.key in keys else p for p in plan.partitions]
    return replace(plan, partitions=tuple(again))


def _files(plan: Plan) -> list[tuple[Partition, InputFile]]:
    """The files of `paths`, each once, and a partition of each."""
    found = {s.file.url: (p, s.file) for p in plan.partitions for s in p.segments if not s.file.identity}
    return list(found.values())
