"""`winnow verify`: every file of a run against what was recorded of it, by hash, whatever is remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from winnow.pipelines.engine.execute import RunError
from winnow.pipelines.engine.handoff import manifest_name
from winnow.pipelines.engine.inputs import INPUTS
from winnow.pipelines.engine.ledger import listed
from winnow.pipelines.engine.plan import Plan
from winnow.pipelines.engine.pointers import PLANNED, open_plan, parse_reference, selections
from winnow.pipelines.engine.store import Store, StoreError
from winnow.pipelines.engine.stored import faults
from winnow.pipelines.engine.tasks import Kind

ALONE = ("work.json", "progress.json", PLANNED, INPUTS)
"""Files beside the selections' own that a run keeps in its folder."""


KEPT = ("records/", "documents/", "signals/", "corpus/", "statistics/", "selection/", "inputs/")


def verify(reference: str, say: Callable[[str], None]) -> int:
    """Says one sentence for each file that is damaged or missing, and returns how many there are. `reference`: the folder of a
    run, for all its selections, or one selection of it. Raises RunError where there is no run."""
    root, name = parse_reference(reference)
    store = Store(root if "://" in root else str(Path(root).resolve()))
    names: list[str | None] = [None, *selections(store)] if name is None else [name]
    if not any(store.exists(file) for file in ("run.json", "selections", "records")):
        raise RunError(f"{root}: no run there; expected a folder that `winnow run` has written")
    said: set[str] = set()
    for error in _errors(store, names):
        about = error.file if isinstance(error, StoreError) else str(error)
        if about not in said:  # several selections have it
            said.add(about)
            say(str(error))
    return len(said)


def _errors(store: Store, names: list[str | None]) -> Iterator[StoreError | RunError]:
    for file in ALONE:
        try:
            store.read_json(file)
        except StoreError as error:
            yield error
    seen: set[str] = set()
    for name in names:
        try:
            plan, _, _ = open_plan(store.root if name is None else f"{store.root}@{name}")
        except (StoreError, RunError) as error:
            yield error
            continue
        yield from _of_plan(plan, seen)
        shards = manifest_name(plan.shards)
        if name is None and plan.pipeline.terminal() and not store.exists(shards):  # a selection may have none yet
            yield store.damaged(shards, "missing")
    yield from _others(store, seen)


def _of_plan(plan: Plan, seen: set[str]) -> Iterator[StoreError]:
    """What is wrong with the files of a selection. That its steps are done is part of what was recorded of them."""
    store = plan.store
    for fault in faults(plan, strict=True):
        yield fault.error
    for task in plan.tasks.values():
        optional = task.kind in (Kind.WRITE, Kind.PURGE) or (plan.allow_unmeasured and task.kind is Kind.MEASURE)
        if task.done is not None and not optional and not store.exists(task.done):
            yield store.damaged(task.done, "missing")
    there = listed(store.fs, store.path(f"records/{plan.ingest}"))
    for partition in plan.partitions:
        part = plan.records(partition)
        if f"{partition.key}.json" not in there:
            yield store.damaged(f"{part}.arrow", "missing, or never finished")
    seen |= {f"records/{plan.ingest}", f"documents/{plan.ingest}"}
    seen |= {f"signals/{node.name}/{plan.ingest}" for node in plan.pipeline.raw()}
    seen |= {task.folder for task in plan.tasks.values() if task.kind not in (Kind.STATISTIC, Kind.DECIDE)}


def _others(store: Store, seen: set[str]) -> Iterator[StoreError]:
    """Parts in the folder that no selection shown there uses: what earlier declarations left, which may be used again."""
    root = store.path("").rstrip("/")
    for path in sorted(store.fs.find(root)):
        name = path[len(root) + 1 :]
        folder, _, file = name.rpartition("/")
        if folder in seen or not name.startswith(KEPT):
            continue
        try:
            record = store.read_json(name) if file.endswith(".json") else None
            if record is not None and {"bytes", "hash"} <= set(record):
                store.check(f"{name.removesuffix('.json')}.arrow", record["bytes"], record["hash"])
        except StoreError as error:
            yield error
