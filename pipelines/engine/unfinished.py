"""A run that did not finish, for those who only read: what its partitions hold, and that it speaks of no others.

What such a run was to show is said when it begins (`pointers.begin`). A stage's verdict on a document follows from what
was measured of it, so it is the one that the finished run will give; where something for it is missing, it is pending.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from winnow.pipelines.console import visible
from winnow.pipelines.engine.accounting import add
from winnow.pipelines.engine.heartbeat import NAME, is_stale
from winnow.pipelines.engine.ingest import Tally
from winnow.pipelines.engine.ledger import listed
from winnow.pipelines.engine.pointers import PLANNED, RunRecord, located, open_record, restored
from winnow.pipelines.engine.store import Store
from winnow.pipelines.engine.view import View


def last_record(reference: str) -> RunRecord:
    """The run that was last begun in a folder, finished or not; `folder@name` opens a named selection. Raises RunError
    where there is none, StoreError for a damaged file."""
    root, store, name = located(reference)
    planned = store.read_json(PLANNED) if name is None else None
    shown = None if planned is None else store.read_json("run.json", hint=True)
    if planned is None or (shown is not None and shown.get("plan") == planned.get("plan")):
        return open_record(reference)
    plan = restored(root, store, PLANNED, planned)
    there = listed(store.fs, store.path(f"records/{plan.ingest}"))
    read = tuple(p for p in plan.partitions if f"{p.key}.json" in there)
    state, why = _ended(store)
    line = f"{root}: the run {state}: {len(read):,} of its {len(plan.partitions):,} partitions are read, and shown here"
    if shown is not None:
        line += "; report, select, publish and train read the finished run that was here before"
    line += f"\nhow it ended: {why}" if why else ""
    plan = replace(plan, partitions=read, allow_unmeasured=True, unfinished=True)
    accounting: dict[str, Any] = {"stages": {}, "damage": []}
    for partition in read:
        record = plan.ingested(partition)
        add(accounting["stages"], record["stages"])
        accounting["damage"] += record["damage"]
    return RunRecord(plan, accounting, True, unfinished=visible(line))


def accounts(run: RunRecord) -> dict[str, Any]:
    """The run's accounts, those of the stages that measure documents included. Reads signals, no text."""
    tally = Tally()
    for partition in run.plan.partitions:
        view = View(run.plan, partition, 0, run.plan.ingested(partition)["documents"])
        for node in run.plan.pipeline.measured():
            tally.verdict(node, *view.verdict(node))
    return {**run.accounting, "stages": {**run.accounting["stages"], **tally.stages}}


def _ended(store: Store) -> tuple[str, str | None]:
    """In what state the run is, and what its driver last said of it."""
    said = store.read_json(NAME, hint=True) or {}
    if said.get("state") in ("running", "planning"):
        return ("did not finish", "its driver is gone") if is_stale(said) else ("is at work and has not finished", None)
    return "did not finish", said.get("sentence") if said.get("state") in ("failed", "stopped") else None
