"""The run: carry out the plan wave by wave, account for every row, stop where a guard says so, write the hand-off."""

from __future__ import annotations

import fcntl
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from winnow.pipelines import work
from winnow.pipelines.execute import Executor, Local, OnRay, RunError
from winnow.pipelines.plan import Plan, make_plan, pending
from winnow.pipelines.progress import Progress
from winnow.pipelines.selection import FAILED
from winnow.pipelines.spec import load_pipeline, resolve_pipeline
from winnow.pipelines.store import Store, fingerprint
from winnow.stages.stage import Terminal

LIGHT_DOCUMENTS = 200_000
"""Up to so many documents, what reads signals alone is done by the driver, without starting Ray for it."""

WIPE_OUT_ROWS = 20
"""A stage that keeps none of at least so many rows stops the run, whatever its `max_drop`."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: where it is, what it kept, how it got there."""

    plan: Plan
    accounting: dict[str, Any]
    did_nothing: bool

    @property
    def folder(self) -> str:
        """Folder of the run."""
        return self.plan.store.root

    @property
    def shards(self) -> str | None:
        """Folder of the hand-off, None where the pipeline has no tokenize stage."""
        return self.plan.store.url(self.plan.shards) if self.plan.pipeline.terminal() else None

    def documents(self, kept_only: bool = True) -> pl.LazyFrame:
        """Documents with every signal (dotted columns) and the selection (`selection.*`), lazily from the parts."""
        frames = list(self.partitions())
        if not frames:
            raise RunError(f"{self.folder}: the run has no documents")
        everything = pl.concat(frames)
        return everything.filter(pl.col("selection.multiplicity") > 0) if kept_only else everything

    def partitions(self) -> Iterator[pl.LazyFrame]:
        """The same, one partition at a time, dropped documents included; partitions without documents are left out."""
        for partition in self.plan.partitions:
            record = self.plan.store.record(self.plan.records(partition))
            if record is None or not record["documents"]:
                continue
            parts = [_scan(self.plan, self.plan.documents(partition), "")]
            parts.append(_scan(self.plan, self.plan.selected(partition), "selection."))
            for node in self.plan.pipeline.nodes.values():
                name = self.plan.public(node, partition)
                if columns := list(node.stage.signals()):
                    parts.append(_scan(self.plan, name, f"{node.name}.", columns))
            yield pl.concat(parts, how="horizontal")


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
    store = Store(root if "://" in root else str(Path(root).resolve()))
    plan = make_plan(pipeline, store, strict)
    show = progress or Progress()
    if not any(pending(plan).values()):
        accounting = store.read_json(plan.selection_done)
        _check_damage(accounting, strict)
        _guard(plan, accounting["stages"], accounting["failed"])
        _point_to(plan)
        return Run(plan, accounting, True)
    with _lock(store), Local(plan) if local else OnRay(plan, workers) as executor, show:
        store.sweep()
        accounting = _Driver(plan, executor, show, strict).run()
        _point_to(plan)
        return Run(plan, accounting, False)


def open_run(folder: str | Path) -> Run:
    """A run made earlier, from its folder alone: its inputs may be gone. Raises RunError where there is none."""
    root = str(folder)
    store = Store(root if "://" in root else str(Path(root).resolve()))
    last = store.read_json("run.json")
    if last is None:
        raise RunError(f"{root}: no finished run there; expected a folder that `winnow run` has written, with run.json")
    pipeline = resolve_pipeline(yaml.safe_load(last["declaration"]), f"{root}/run.json")
    plan = Plan.restore(pipeline, store, last["plan"])
    return Run(plan, store.read_json(plan.selection_done), True)


class _Driver:
    """Carries out one plan. State: seconds and rows per stage, for the accounting and for later predictions."""

    def __init__(self, plan: Plan, executor: Executor, show: Progress, strict: bool) -> None:
        self.plan, self.executor, self.show, self.strict = plan, executor, show, strict
        self.seconds: dict[str, float] = {}
        self.measured: dict[str, int] = {}
        self.wall = 0.0
        self.light = False
        self.started = time.perf_counter()

    def run(self) -> dict[str, Any]:
        plan = self.plan
        for wave in range(max([0, *plan.waves.values(), *plan.reduces.values()]) + 1):
            self._measure(wave)
            if wave == 0:
                ingested = self._ingested()
            for name, after in plan.reduces.items():
                if after == wave and not plan.store.exists(plan.reduce_done(name)):
                    self._reduce(name)
        accounting = self._select(ingested)
        if plan.pipeline.terminal():
            accounting["shards"] = self._shards()
        accounting["work"] = {"seconds": self.seconds, "rows": self.measured, "tasks": self.wall}
        accounting["wall"] = time.perf_counter() - self.started
        self._history()
        return accounting

    def _measure(self, wave: int) -> None:
        plan, nodes = self.plan, self.plan.wave(wave)
        open_nodes = [n for n in nodes if not plan.store.exists(plan.covered(n.name))]
        todo = [p.index for p in plan.partitions]
        if not open_nodes:
            todo = [i for i in todo if wave == 0 and plan.store.record(plan.records(plan.partitions[i])) is None]
        elif self.light or wave == 0:
            todo = [i for i in todo if work.uncovered(plan, i, wave)]
        title = ", ".join(
            (["read", *(n.name for n in plan.pipeline.raw())] if wave == 0 else []) + [n.name for n in nodes]
        )
        for result in self.show.track(title, self.executor.run(work.measure, [(i, wave) for i in todo]), len(todo)):
            self._took(result)
        for node in open_nodes:
            plan.store.write_json(plan.covered(node.name), {"partitions": len(plan.partitions)})

    def _reduce(self, name: str) -> None:
        buckets = work.buckets(self.plan, name)
        calls = [(name, b, buckets) for b in range(buckets)]
        for result in self.show.track(
            f"{name}: exchange", self.executor.run(work.exchange, calls, self.light), buckets
        ):
            self._took(result)
        for result in self.show.track(
            f"{name}: reduce", self.executor.run(work.reduce, [(name, buckets)], self.light), 1
        ):
            self._took(result)

    def _ingested(self) -> dict[str, Any]:
        """Accounts of everything before the documents, from the parts' records; guards on failures and wipe-outs."""
        stages: dict[str, Any] = {}
        damage, documents = [], 0
        for partition in self.plan.partitions:
            record = self.plan.store.record(self.plan.records(partition))
            if record is None:
                raise RunError(f"partition {partition.key} of {partition.source} was not ingested")
            _add(stages, record["stages"])
            damage += record["damage"]
            documents += record["documents"]
        total = {"stages": stages, "damage": damage, "documents": documents}
        self.light = documents <= LIGHT_DOCUMENTS
        _reconcile(stages)
        _check_damage(total, self.strict)
        if not any(stages[name]["in"] for name in self.plan.pipeline.sources if name in stages):
            raise RunError(f"{', '.join(self.plan.pipeline.sources)}: the input holds no records")
        _guard(self.plan, stages, sum(account["failed"] for account in stages.values()))
        return total

    def _select(self, ingested: dict[str, Any]) -> dict[str, Any]:
        plan = self.plan
        if plan.store.exists(plan.selection_done):
            accounting = dict(plan.store.read_json(plan.selection_done))
            _guard(plan, accounting["stages"], accounting["failed"])
            return accounting
        calls = [(p.index,) for p in plan.partitions]
        results = list(self.show.track("selection", self.executor.run(work.select, calls, self.light), len(calls)))
        stages = {**ingested["stages"]}
        for result in sorted(results, key=lambda r: int(r["index"])):
            _add(stages, result["stages"])
        _reconcile(stages)
        totals = {key: sum(r[key] for r in results) for key in ("kept", "failed", "copies", "tokens", "documents")}
        totals["failed"] += sum(account["failed"] for account in ingested["stages"].values())
        _guard(plan, stages, totals["failed"])
        if totals["documents"] != ingested["documents"]:
            raise RunError(
                f"rows do not reconcile: {ingested['documents']} documents ingested, {totals['documents']} decided"
            )
        reports = {name: plan.store.read_json(plan.reduce_done(name))["report"] for name in plan.reduces}
        accounting = {**ingested, **totals, "stages": stages, "reports": reports, "digest": _digest(results)}
        plan.store.write_json(plan.selection_done, accounting)
        return accounting

    def _shards(self) -> dict[str, Any]:
        plan = self.plan
        name = f"{plan.shards}/manifest.json"
        if not plan.store.exists(name):
            shards = work.plan_shards(plan)
            results = self.executor.run(work.write_shard, [(s,) for s in shards], self.light)
            entries = []
            for result in self.show.track("shards", results, len(shards)):
                self._took(result)
                entries.append(result["entry"])
            node = plan.pipeline.terminal()
            assert node is not None and isinstance(node.stage, Terminal)
            manifest = node.stage.manifest(sorted(entries, key=lambda e: str(e["file"])))
            plan.store.write_json(name, manifest)
        return dict(plan.store.read_json(name))

    def _took(self, result: dict[str, Any]) -> None:
        self.wall += result["wall"]
        for name, seconds in result["seconds"].items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        for name, rows in result["measured"].items():
            self.measured[name] = self.measured.get(name, 0) + rows
        self.show.rows(result["rows"])

    def _history(self) -> None:
        """Seconds per row of each stage, for the next plan's prediction."""
        rates = self.plan.store.read_json("rates.json") or {}
        rates |= {n: self.seconds[n] / rows for n, rows in self.measured.items() if rows and n in self.seconds}
        self.plan.store.write_json("rates.json", rates)


def _digest(results: list[dict[str, Any]]) -> str:
    """The selection's identity: a hash over the partitions' selections, in order."""
    return fingerprint([r["hash"] for r in sorted(results, key=lambda r: int(r["index"]))])


def _add(total: dict[str, Any], more: dict[str, Any]) -> None:
    for name, account in more.items():
        into = total.setdefault(name, {"in": 0, "kept": 0, "failed": 0, "dropped": {}})
        for key in ("in", "kept", "failed"):
            into[key] += account[key]
        for clause, rows in account["dropped"].items():
            into["dropped"][clause] = into["dropped"].get(clause, 0) + rows


def _reconcile(stages: dict[str, Any]) -> None:
    for name, account in stages.items():
        out = account["kept"] + account["failed"] + sum(account["dropped"].values())
        if account["in"] != out:
            raise RunError(f"rows do not reconcile at stage '{name}': {account['in']:,} in, {out:,} accounted for")


def _guard(plan: Plan, stages: dict[str, Any], failed: int) -> None:
    """Raises RunError where a stage drops more than it may, or too many rows failed."""
    pipeline = plan.pipeline
    for name, account in stages.items():
        limit = pipeline.max_drop[name]
        dropped = sum(account["dropped"].values())
        wiped = account["in"] >= WIPE_OUT_ROWS and account["kept"] == 0
        if wiped or (account["in"] and dropped / account["in"] > limit):
            clauses = ", ".join(f"{c} {n}" for c, n in sorted(account["dropped"].items(), key=lambda x: -x[1])[:5])
            raise RunError(
                f"stage '{name}' keeps {account['kept']:,} of {account['in']:,} rows (max_drop {limit:g}; dropped by "
                f"{clauses or 'nothing'}; failed {account['failed']:,}); nothing was selected"
            )
    records = sum(stages[s]["in"] for s in pipeline.sources if s in stages)
    allowed = pipeline.max_failures if pipeline.max_failures >= 1 else pipeline.max_failures * records
    if failed > allowed:
        raise RunError(
            f"{failed:,} of {records:,} records failed, more than max_failures {pipeline.max_failures:g} allows; the causes: "
            + "; ".join(f"{cause} ({rows:,})" for cause, rows in _causes(plan))
        )


def _causes(plan: Plan, most: int = 3) -> list[tuple[str, int]]:
    """The most frequent causes of failure, with their rows."""
    counts: Counter[str] = Counter()
    for partition in plan.partitions:
        for part in (plan.records(partition), plan.selected(partition)):
            if plan.store.record(part):
                rows = pl.DataFrame(plan.store.read(part, ["status", "stage", "value"])).filter(
                    pl.col("status") == FAILED
                )
                counts.update(f"{stage}: {cause}" for stage, cause in rows.select("stage", "value").iter_rows())
    return counts.most_common(most)


def _point_to(plan: Plan) -> None:
    """Make this the run that the folder shows: one file, replaced at once, so that it never names half of two runs."""
    declaration = yaml.safe_dump(plan.pipeline.tree, allow_unicode=True, sort_keys=False)  # its order is meant
    plan.store.write_text("pipeline.yaml", declaration)
    now = {"declaration": declaration, "shards": plan.shards, "facts": plan.facts, "plan": plan.saved()}
    plan.store.write_json("run.json", now)


def _check_damage(accounting: dict[str, Any], strict: bool) -> None:
    if strict and accounting["damage"]:
        first = accounting["damage"][0]
        raise RunError(
            f"{len(accounting['damage'])} damaged stretches in the input (--strict): {first['file']} at byte "
            f"{first['offset']:,}: {first['cause']}"
        )


def _scan(plan: Plan, part: str, prefix: str, columns: Sequence[str] | None = None) -> pl.LazyFrame:
    if plan.store.local:
        frame = pl.scan_ipc(plan.store.path(f"{part}.arrow"))
    else:  # the store's own filesystem knows the endpoint and the credentials
        frame = pl.DataFrame(plan.store.read(part, columns)).lazy()
    if columns is not None:
        frame = frame.select(columns)
    return frame.select(pl.all().name.prefix(prefix)) if prefix else frame


@contextmanager
def _lock(store: Store) -> Iterator[None]:
    """One run at a time in a local folder; the lock goes with the process that holds it."""
    if not store.local:
        yield
        return
    store.fs.makedirs(store.path(""), exist_ok=True)
    with Path(store.path(".lock")).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"{store.root}: another run is at work in this folder; wait for it, or choose another --folder"
            ) from None
        yield
