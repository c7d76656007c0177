"""The run: carry out the plan level by level, account for every row, stop where a guard says so, write the hand-off."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from winnow.pipelines.engine import worker
from winnow.pipelines.engine.accounting import (
    added,
    audits,
    check_damage,
    check_failures,
    check_guards,
    grouped,
    joined,
    reconcile,
)
from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.errors import RunError, in_folder
from winnow.pipelines.engine.execute import Executor, Local, Shared
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.heartbeat import Heartbeat
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.on_ray import OnRay
from winnow.pipelines.engine.own_ray import swept
from winnow.pipelines.engine.plan import Plan, pending
from winnow.pipelines.engine.planning import plan_run, remember, say_faults
from winnow.pipelines.engine.pointers import PLANNED, RunRecord, described, set_current, shown_selections
from winnow.pipelines.engine.progress import Progress, compile_shown
from winnow.pipelines.engine.resources import Resources, together
from winnow.pipelines.engine.shared_ids import shared_ids, sharing
from winnow.pipelines.engine.store import Store, fingerprint
from winnow.pipelines.engine.stored import SHARDS, forget
from winnow.pipelines.engine.tasklog import Entry, TaskLog
from winnow.pipelines.engine.tasks import Kind
from winnow.pipelines.selection.statistics import StatisticRequest, compute_statistics
from winnow.tokenize.shard import Manifest
from winnow.tokenize.writer import write_manifest

LIGHT_DOCUMENTS = 200_000
"""Up to so many documents, what reads signals alone is done by the driver, without starting Ray for it."""


def carry_out(
    pipeline: Pipeline,
    store: Store,
    *,
    name: str | None = None,
    base: Plan | None = None,
    local: bool = False,
    workers: int | None = None,
    strict: bool = False,
    progress: Progress | None = None,
) -> RunRecord:
    """Carry out a checked pipeline; continue or do nothing where an earlier run already did the work. `name`: the selection that it completes, None for the folder's default. `base`: the
    plan of the finished run that is continued, if it was its folder that was given."""
    show = progress or Progress()
    order = [*pipeline.sources, *pipeline.nodes]
    with in_folder(store.root), Heartbeat(store, pipeline.name, show.say, order) as heartbeat:
        plan, found = plan_run(pipeline, store, base, name, strict, show.say)
        if not found and not any(pending(plan).values()):
            accounting = store.read_json(plan.selection_done)
            check_damage(accounting, strict)
            _check(plan, accounting)
            check_texts(plan, Local(plan))
            set_current(plan, name)
            heartbeat.found_done()
            return RunRecord(plan, accounting, True, name)
        with (
            locked(store),
            heartbeat.of_run(),
            in_folder(store.root),
            swept(store),
            TaskLog(store, show.say) as log,
            show,
        ):
            say_faults(found, store, show.say)
            forget(plan, found)
            remember(plan)
            if name is None:  # a named selection is there already, a provisional one
                store.write_json(PLANNED, described(plan))
            shards = frozenset(f.file.rpartition("/")[2] for f in found if f.step == SHARDS)

            def took(entry: Entry) -> None:
                log.add(entry)
                heartbeat.took(entry)

            show.watcher = heartbeat
            asked = _asked(plan, pending(plan))
            if asked and (local or not os.environ.get("RAY_ADDRESS")):  # the machines of a cluster compile their own
                compile_shown(show)
            ray = None if local else OnRay(plan, workers, asked, took, show.say, show.failed)
            with ray or nullcontext(Local(plan, took)) as executor:
                accounting = Driver(plan, executor, show, strict, shards).run()
            set_current(plan, name)
            return RunRecord(plan, accounting, False, name)


def _asked(plan: Plan, waiting: Mapping[str, int]) -> dict[str, Resources]:
    """What the stages that something has yet to measure take of a machine."""
    nodes = plan.pipeline.nodes.values()
    return {node.name: node.resources for node in nodes if waiting["ingest"] or waiting.get(node.name)}


def _check(plan: Plan, accounting: Mapping[str, Any], parts: Sequence[Mapping[str, Any]] = ()) -> None:
    """The guards on a finished selection."""
    totals = {"": accounting, **accounting["by_source"]}
    final = {name: {"kept_documents": t["kept"], "kept_tokens": t["tokens"]} for name, t in totals.items()}
    by_source = {name: t["stages"] for name, t in accounting["by_source"].items()}
    check_guards(plan, accounting["stages"], by_source, parts, final)
    check_failures(plan, accounting["stages"], accounting["failed"])


def check_texts(plan: Plan, executor: Executor) -> None:
    """Raises RunError where the selection keeps documents whose text an earlier run of the folder gave up."""
    purged = plan.store.read_json(plan.purged)
    if purged is None or plan.selection in purged["keeps"]:
        return
    lost = sum(executor.run(worker.missing_text, [(p,) for p in plan.partitions], True))
    if lost:
        raise RunError(
            f"{plan.store.root}: {lost:,} documents that this selection keeps have no text any more, because an earlier run "
            "here had 'rejected: metadata'; run in another folder to read them again"
        )


class Driver:
    """Carries out one plan. `shards`: files of the hand-off that must be written again, though its manifest is there. State:
    seconds and rows per stage, for the accounting and for later predictions."""

    def __init__(
        self, plan: Plan, executor: Executor, show: Progress, strict: bool, shards: frozenset[str] = frozenset()
    ) -> None:
        self.plan, self.executor, self.show, self.strict = plan, executor, show, strict
        self.shards = shards
        self.seconds: dict[str, float] = {}
        self.measured: dict[str, int] = {}
        self.wall = 0.0
        self.light = False
        self.accounts: list[dict[str, Any]] = []
        self.started = time.perf_counter()

    def run(self) -> dict[str, Any]:
        """Everything that the plan still lacks."""
        for level in range(self.plan.last_level + 1):
            self._measure(level)
            if level == 0:
                ingested = self.ingested()
            self._check_measured()
            self.conclude(level)
            self._check_together(level)
        accounting = self.select(ingested)
        check_texts(self.plan, self.executor)
        if terminal := self.plan.pipeline.terminal():
            accounting["shards"] = self._shards(terminal)
        if self.plan.pipeline.rejected == "metadata":
            self._purge()
        accounting["work"] = {"seconds": self.seconds, "rows": self.measured, "tasks": self.wall}
        accounting["wall"] = time.perf_counter() - self.started
        self._history(accounting["wall"])
        return accounting

    def _measure(self, level: int) -> None:
        plan, nodes = self.plan, self.plan.measuring(level)
        open_nodes = [n for n in nodes if not plan.measured(n.name)]
        todo = list(plan.partitions)
        if not open_nodes:
            todo = [p for p in todo if level == 0 and plan.store.record(plan.records(p)) is None]
        elif self.light or level == 0:
            todo = [p for p in todo if worker.uncovered(plan, p, level)]
        stages = [n.name for n in [*(plan.pipeline.raw() if level == 0 else []), *nodes]]
        title = (
            f"measuring {len(stages)} stages" if len(stages) > 1 else f"measuring {stages[0]}" if stages else "reading"
        )
        self.accounts = []
        calls, takes = [(p, level) for p in todo], self._resources(todo, level)
        results = self.executor.run(worker.measure, calls, resources=takes)
        there = len(plan.partitions) - len(todo)
        for result in self.show.track(title, results, len(todo), there, (level, plan.last_level), stages):
            self._took(result)
            self.accounts.append({"index": result["index"], "stages": result["stages"]})
        for node in open_nodes:
            for task in plan.groups(node.name):
                plan.store.write_json(str(task.done), {"partitions": len(plan.partitions)})

    def _resources(self, todo: Sequence[Partition], level: int) -> Resources:
        """What a task takes that measures these partitions: the most of any stage that it has to measure. The raw stages
        measure what is not read yet, and there every stage of the level measures, too."""
        plan, nodes = self.plan, self.plan.measuring(level)
        every = together(n.resources for n in [*(plan.pipeline.raw() if level == 0 else []), *nodes])
        missing = together(n.resources for n in nodes if not plan.measured(n.name))
        if every == missing or any(plan.store.record(plan.records(p)) is None for p in todo):
            return every
        return missing

    def _check_measured(self) -> None:
        """The guards of stages that have just decided on every document, before anything is built on that."""
        if len(self.accounts) == len(self.plan.partitions):
            stages, by_source = added(self.plan, self.accounts)
            check_guards(self.plan, stages, by_source, self.accounts)

    def conclude(self, level: int) -> None:
        """What needs all documents, after those of a level are measured: reduces and statistics."""
        for task in self.plan.every(Kind.REDUCE, Kind.STATISTIC, level=level):
            if not self.plan.done(task.kind, task.stage):
                (self._reduce if task.kind is Kind.REDUCE else self._compute_statistics)(task.stage)

    def _check_together(self, level: int) -> None:
        """The guards of stages that all documents together decide, before others are measured on what they keep."""
        plan = self.plan
        for task in plan.every(Kind.DECIDE, level=level):
            if task.step % 2 and plan.pipeline.nodes[task.stage].clauses and level < plan.last_level:
                calls = [(p, task.stage) for p in plan.partitions]
                parts = list(self.executor.run(worker.account, calls, self.light))
                check_guards(plan, *added(plan, parts), parts)

    def _reduce(self, name: str) -> None:
        buckets, partitions = worker.buckets(self.plan, name), Shared(self.plan.bare)
        each = max(buckets, 1) if self.light else 1  # few documents: what a stage sees of them is the greater work
        calls = [(name, n, min(n + each, buckets), buckets, partitions) for n in range(0, buckets, each)]
        takes = replace(self.plan.pipeline.nodes[name].resources, actors=None)
        exchanged = self.executor.run(worker.exchange, calls, self.light, takes)
        for result in self.show.track(f"{name}: exchange", exchanged, len(calls)):
            self._took(result)
        reduced = self.executor.run(worker.reduce, [(name, buckets, partitions)], self.light, takes)
        for result in self.show.track(f"{name}: reduce", reduced, 1):
            self._took(result)

    def _compute_statistics(self, name: str) -> None:
        """The statistics that a stage's clauses compare with."""
        plan = self.plan

        def ask(requests: Sequence[StatisticRequest]) -> Iterable[Any]:
            shared = Shared(requests)
            calls = [(p, name, shared) for p in plan.partitions]
            results = self.executor.run(worker.count, calls, self.light)
            return self.show.track(f"{name}: statistics", results, len(calls))

        found = compute_statistics(plan.pipeline.nodes[name].clauses, ask)
        plan.store.write_json(plan.statistics(name), {column: figures.json() for column, figures in found.items()})

    def ingested(self) -> dict[str, Any]:
        """Accounts of everything before the documents, from the parts' records; guards on failures and wipe-outs."""
        parts, damage, documents = [], [], 0
        for partition in self.plan.partitions:
            record = self.plan.ingested(partition)
            parts.append({"index": partition.index, "stages": record["stages"]})
            damage += record["damage"]
            documents += record["documents"]
        stages, by_source = added(self.plan, parts)
        total = {
            "stages": stages,
            "by_source": by_source,
            "groups": grouped(self.plan, parts),
            "damage": damage,
            "documents": documents,
        }
        self.light = documents <= LIGHT_DOCUMENTS
        reconcile(stages)
        check_damage(total, self.strict)
        if not any(stages[name]["in"] for name in self.plan.pipeline.sources if name in stages):
            first = next((f": {d['file']} at byte {d['offset']}: {d['cause']}" for d in damage), "")
            raise RunError(f"{', '.join(self.plan.pipeline.sources)}: the input holds no records{first}")
        check_guards(self.plan, stages, by_source, parts)
        check_failures(self.plan, stages, sum(account["failed"] for account in stages.values()))
        return total

    def select(self, ingested: Mapping[str, Any]) -> dict[str, Any]:
        """Decide on every document. `ingested`: stages, by_source, damage and documents of all before them."""
        plan = self.plan
        if plan.store.exists(plan.selection_done):
            accounting = dict(plan.store.read_json(plan.selection_done))
            _check(plan, accounting)
            return accounting
        shared = shared_ids(plan, self.executor, self.light)
        calls = [(p,) for p in plan.partitions]
        results = list(self.show.track("selection", self.executor.run(worker.select, calls, self.light), len(calls)))
        results.sort(key=lambda r: int(r["index"]))
        stages, by_source = added(plan, results)
        stages = {**ingested["stages"], **stages}
        reconcile(stages)
        accounting = {**ingested, **_totals(results), "stages": stages}
        accounting["failed"] += sum(account["failed"] for account in ingested["stages"].values())
        accounting["by_source"] = {
            name: {"stages": {**ingested["by_source"].get(name, {}), **accounts}}
            | _totals([r for r in results if plan.partitions[r["index"]].source == name])
            for name, accounts in by_source.items()
        }
        _check(plan, accounting, results)
        if accounting["documents"] != ingested["documents"]:
            raise RunError(
                f"rows do not reconcile: {ingested['documents']} documents ingested, {accounting['documents']} decided"
            )
        reduced = plan.every(Kind.REDUCE)
        accounting["reports"] = {t.stage: plan.store.read_json(plan.marker(t.kind, t.stage))["report"] for t in reduced}
        accounting["groups"] = joined(ingested["groups"], grouped(plan, results))
        accounting["reports"] |= audits(plan, accounting["groups"])
        if len(shared):
            accounting["shared_ids"] = sharing(plan, shared)
        accounting["digest"] = fingerprint([r["hash"] for r in results])
        plan.store.write_json(plan.selection_done, accounting)
        return accounting

    def _shards(self, node: Node) -> dict[str, Any]:
        plan, manifest = self.plan, self.plan.manifest()
        if manifest is None or self.shards:
            shards = worker.plan_shards(plan, node.name)
            there = [] if manifest is None else [entry.model_dump() for entry in manifest.shards]
            entries = []
            if len(there) == len(shards):  # the first brings what is no shard, such as the tokenizer
                entries = [e for e in there if e["file"] not in self.shards]
                others = self.shards - {e["file"] for e in there}
                entries = entries[1:] if others and entries[:1] == there[:1] else entries
                shards = [s for s, e in zip(shards, there, strict=True) if e not in entries]
            takes, partitions = replace(node.resources, actors=None), Shared(plan.bare)
            calls = [(node.name, shard, partitions) for shard in shards]
            results = self.executor.run(worker.write_shard, calls, self.light, takes)
            for result in self.show.track("shards", results, len(shards)):
                self._took(result)
                entries.append(result["entry"])
            made = plan.opened(node.name).manifest(sorted(entries, key=lambda e: str(e["file"])))
            write_manifest(plan.store.url(plan.shards), made)
            manifest = Manifest.model_validate(made)
        return manifest.model_dump(mode="json")

    def _took(self, result: dict[str, Any]) -> None:
        self.wall += result["wall"]
        for name, seconds in result["seconds"].items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        for name, rows in result.get("measured", {}).items():
            self.measured[name] = self.measured.get(name, 0) + rows
        self.show.rows(result.get("ingested", {}))

    def _purge(self) -> None:
        """Give up the text of documents that no selection of the folder keeps, as `rejected: metadata` asks."""
        plan = self.plan
        keeps = (plan.store.read_json(plan.purged) or {}).get("keeps", [])
        calls = [(p, keeps) for p in plan.partitions if "freed" not in (plan.store.record(plan.documents(p)) or {})]
        if plan.selection not in keeps:
            keeps = [plan.selection, *shown_selections(plan)]
            calls = [(p, keeps) for p in plan.partitions]
        if calls:
            results = self.executor.run(worker.purge, calls, self.light)
            for _ in self.show.track("purge rejected text", results, len(calls)):
                pass
            plan.store.write_json(plan.purged, {"keeps": keeps})

    def _history(self, wall: float) -> None:
        """Seconds and rows of each stage in this folder, for the next plan's prediction and the report."""
        before = self.plan.store.read_json("work.json", hint=True) or {"seconds": {}, "rows": {}, "wall": 0.0}
        for key, now in (("seconds", self.seconds), ("rows", self.measured)):
            before[key] = before[key] | {n: before[key].get(n, 0) + value for n, value in now.items()}
        before["wall"] += wall
        self.plan.store.write_json("work.json", before)


def _totals(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: sum(r[key] for r in results) for key in ("kept", "failed", "pending", "copies", "tokens", "documents")}


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """One run at a time in a local folder; the lock goes with the process that holds it."""
    if not store.local:
        yield
        return
    Path(store.path("")).mkdir(
        mode=0o700, parents=True, exist_ok=True
    )  # texts are in it, and what a source is opened with
    with Path(store.path(".lock")).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"{store.root}: another run is at work in this folder; wait for it, or choose another --folder"
            ) from None
        yield
