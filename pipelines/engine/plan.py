"""The plan of a run: its partitions, the task graph of its declaration with fingerprints, and where every result is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from winnow.filters.edits import EDITS
from winnow.identity import UnknownValue, file_name, identity
from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.gone import Kept
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.inputs import Partition, partitions
from winnow.pipelines.engine.store import Store, fingerprint
from winnow.pipelines.engine.tasks import Kind, Task, Tasks, identified, named, tasks_of
from winnow.pipelines.engine.yaml_source import SpecError
from winnow.stages.base import EDITED, StageError, Types
from winnow.stages.opening import opened
from winnow.tokenize.shard import MANIFEST, Manifest, ShardError
from winnow.tokenize.verify import parse_manifest


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does and where its results are; picklable. `allow_unmeasured`: it decides without measuring, and rows that
    a stage never measured are pending there. `unfinished`: so, and what all documents together decide may be missing, too."""

    pipeline: Pipeline
    store: Store
    partitions: tuple[Partition, ...]
    tasks: Tasks
    facts: dict[str, dict[str, Any]]  # stage name -> kind, version, settings, artifacts, clauses and inputs
    allow_unmeasured: bool = False
    unfinished: bool = False

    def saved(self) -> dict[str, Any]:
        """What a later `restore` needs, JSON-able; the inputs' bytes are left out."""
        return {
            "tasks": {name: [task.fingerprint, task.coverage] for name, task in self.tasks.items()},
            "partitions": [[p.key, p.source, p.group] for p in self.partitions],
        }

    @classmethod
    def restore(cls, pipeline: Pipeline, store: Store, saved: dict[str, Any]) -> Plan:
        """The plan of a finished run, for reading its results. Raises KeyError with the name of a task that it lacks."""
        partitions = tuple(
            Partition(n, key, source, (), *group) for n, (key, source, *group) in enumerate(saved["partitions"])
        )
        tasks = {}
        for name, task in _tasks(pipeline).items():
            made, coverage = saved["tasks"][name]
            tasks[name] = replace(task, fingerprint=made, coverage=coverage)
        return cls(pipeline, store, partitions, tasks, {})

    @property
    def bare(self) -> tuple[Partition, ...]:
        """The partitions without their inputs: what a task over all of them is given."""
        return tuple(replace(p, segments=()) for p in self.partitions)

    @property
    def table(self) -> Plan:
        """The plan without its partitions, as tasks are given it: each gets the one that it works on beside it."""
        return replace(self, partitions=())

    def task(self, kind: Kind, stage: str = "") -> Task:
        """A task. Raises KeyError where the declaration has none of that name."""
        return self.tasks[named(kind, stage)]

    def has(self, kind: Kind, stage: str = "") -> bool:
        """Whether there is such a task."""
        return named(kind, stage) in self.tasks

    def every(self, *kinds: Kind, level: int | None = None, stage: str | None = None) -> list[Task]:
        """The tasks of these kinds, in order; those of a level or of a stage alone."""
        found = [task for task in self.tasks.values() if task.kind in kinds]
        return [t for t in found if level in (None, t.level) and stage in (None, t.stage)]

    def groups(self, stage: str) -> list[Task]:
        """The tasks that measure a stage's columns document by document, one per group of them."""
        return self.every(Kind.MEASURE, stage=stage)

    def measured(self, stage: str) -> bool:
        """Whether all groups of a stage are recorded to have measured all that they must."""
        return all(self.store.exists(str(task.done)) for task in self.groups(stage))

    def opened(self, stage: str, groups: Sequence[str] | None = None) -> Any:
        """What a stage measures, reduces or writes with: opened once per process, on the artifacts that this is planned with;
        `groups`: for these columns alone. Raises StageError."""
        return opened(self.pipeline.nodes[stage].stage, self.facts.get(stage, {}).get("artifacts"), groups)

    def marker(self, kind: Kind, stage: str = "") -> str:
        """Name of the file that says all of a task is done."""
        name = self.task(kind, stage).done
        assert name is not None, kind
        return name

    def measuring(self, level: int) -> list[Node]:
        """The stages that measure documents in a level, in order."""
        names = dict.fromkeys(task.stage for task in self.every(Kind.MEASURE, level=level))
        return [self.pipeline.nodes[name] for name in names]

    def level_of(self, stage: str) -> int:
        """The level in which a stage is measured or, if it measures nothing by itself, reduces."""
        return min((task.level for task in self.every(Kind.MEASURE, Kind.REDUCE, stage=stage)), default=0)

    @property
    def last_level(self) -> int:
        """The level after which everything is known."""
        return max(task.level for task in self.tasks.values())

    def filters(self, stage: str) -> tuple[str, ...]:
        """The stages that decide which documents a stage sees."""
        return self.task(Kind.DECIDE, stage).filters[0] if self.has(Kind.DECIDE, stage) else ()

    def done(self, kind: Kind, stage: str = "") -> bool:
        """Whether all of a task is recorded to be done."""
        return self.store.exists(self.marker(kind, stage))

    @property
    def ingest(self) -> str:
        """Fingerprint of what pages become documents."""
        return self.task(Kind.INGEST).fingerprint

    @property
    def selection(self) -> str:
        """Fingerprint of the selection."""
        return self.task(Kind.SELECT).fingerprint

    def documents(self, partition: Partition) -> str:
        """Part name of a partition's documents (text)."""
        return f"documents/{self.ingest}/{partition.key}"

    def records(self, partition: Partition) -> str:
        """Part name of a partition's records: every input record and what became of it before it was a document."""
        return f"records/{self.ingest}/{partition.key}"

    def ingested(self, partition: Partition) -> dict[str, Any]:
        """The record of a partition's records, with the number of its `documents`. Raises StoreError where it is not read, or
        what was read of it is gone."""
        record = self.store.record(self.records(partition))
        if record is None:
            raise self.store.damaged(f"{self.records(partition)}.arrow", "missing, or never finished")
        return record

    def signals(self, node: Node, partition: Partition, own: bool = False) -> list[tuple[str, Types]]:
        """The parts with a stage's signals, row-aligned with the documents, and the columns of each: what its reduce wrote,
        or (`own`, or without one) what it measured, by group."""
        stage = node.stage
        if node.raw:
            return [(f"signals/{node.name}/{self.ingest}/{partition.key}", stage.signals())]
        if node.reduces and not own:
            edits = {EDITED: EDITS} if node.edits else {}
            return [(f"{self.task(Kind.REDUCE, node.name).folder}/{partition.key}", stage.signals() | edits)]
        groups = node.groups()
        return [(f"{t.folder}/{partition.key}", groups[t.group].columns) for t in self.groups(node.name)]

    def selected(self, partition: Partition) -> str:
        """Part name of a partition's selection, row-aligned with the documents."""
        return f"selection/{self.selection}/{partition.key}"

    def statistics(self, stage: str) -> str:
        """Name of the file that holds a stage's statistics."""
        return self.marker(Kind.STATISTIC, stage)

    @property
    def selection_done(self) -> str:
        """Name of the file that holds the selection's accounting."""
        return self.marker(Kind.SELECT)

    @property
    def purged(self) -> str:
        """Name of the file that says whose text was kept when the others' was given up (`rejected: metadata`)."""
        return f"documents/{self.ingest}/freed.json"

    @property
    def shards(self) -> str:
        """Folder of the hand-off; '' without one."""
        return next((task.folder for task in self.every(Kind.WRITE)), "")

    @property
    def manifest_name(self) -> str:
        """Name of the file that says what is handed off."""
        return f"{self.shards}/{MANIFEST}"

    def manifest(self) -> Manifest | None:
        """What the hand-off says of itself, None where there is none. Raises StoreError where it is not what was written."""
        name = self.manifest_name
        try:
            return parse_manifest(self.store.fs.cat_file(self.store.path(name)), name) if self.shards else None
        except FileNotFoundError:
            return None
        except ShardError as error:
            raise self.store.damaged(name, str(error).removeprefix(f"{name}: ").partition(";")[0]) from error


def make_plan(
    pipeline: Pipeline,
    store: Store,
    recorded: Mapping[str, Mapping[str, Any]] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Find the inputs and fingerprint everything. `recorded`: as in `plan_over`; `say` is told what of a folder is not
    read."""
    return plan_over(pipeline, store, tuple(partitions(pipeline, store, say)), recorded)


def plan_over(
    pipeline: Pipeline,
    store: Store,
    partitions: tuple[Partition, ...],
    recorded: Mapping[str, Mapping[str, Any]] | None = None,
) -> Plan:
    """Fingerprint everything, for partitions that are known. `recorded`: the facts of a finished run, which stand for a
    stage whose artifacts are gone since, unless it is another stage now."""
    inputs = fingerprint([p.key for p in partitions])
    facts: dict[str, dict[str, Any]] = {}
    for name, node in pipeline.nodes.items():
        try:
            facts[name] = _facts(node, (recorded or {}).get(name))
        except UnknownValue as error:
            raise SpecError(f"{pipeline.path}: stages.{name}: {error}") from error
    tasks = identified(_tasks(pipeline), pipeline.nodes, facts, identity(pipeline.pack), pipeline.seed, inputs)
    for name, node in pipeline.nodes.items():
        facts[name] |= {"clauses": [[c.name, c.text] for c in node.clauses], "inputs": inputs}  # as JSON has them
    return Plan(pipeline, store, partitions, tasks, facts)


def _tasks(pipeline: Pipeline) -> dict[str, Task]:
    return tasks_of(pipeline.nodes, pipeline.rejected == "metadata", pipeline.path)


def _facts(node: Node, recorded: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a stage is: its identity, with the artifacts' digests by name, and under `measured` by group what the columns of
    that depend on."""
    stage = node.stage
    if isinstance(stage.settings, Kept) and recorded is not None:  # its kind is gone, and it is declared as it was
        return {key: value for key, value in recorded.items() if key not in ("clauses", "inputs")}
    said = stage.identity()
    try:
        found = stage.artifacts()
    except (StageError, OSError):
        if recorded is None or any(recorded.get(key) != value for key, value in said.items()):
            raise
        return said | {"artifacts": dict(recorded["artifacts"]), "measured": dict(recorded["measured"])}
    measured = stage.identity(measured=True)
    digests = {file_name(a.name): a.digest for a in found}
    of_rows = {file_name(a.name): a.digest for a in found if not a.of_corpus}
    groups = {
        name: {**measured, "version": group.version, "group": name, "artifacts": of_rows}
        for name, group in node.groups().items()
    }
    return said | {"artifacts": digests, "measured": groups}


STEPS = {Kind.INGEST: "ingest", Kind.SELECT: "selection", Kind.PURGE: "purge rejected text"}
"""What the tasks of no stage are called."""


def pending(plan: Plan) -> dict[str, int]:
    """Step -> partitions still to run, 0 for none. A step is a stage, or one of STEPS."""
    out: dict[str, int] = {}
    for task in plan.tasks.values():
        if task.kind not in (Kind.EXCHANGE, Kind.DECIDE):  # the one ends with its reduce, the other stores nothing
            step = STEPS.get(task.kind, task.stage)
            out[step] = out.get(step) or pending_of(plan, task)
    return out


def pending_of(plan: Plan, task: Task) -> int:
    """The partitions for which a task is still to run."""
    total = len(plan.partitions)
    if task.kind in (Kind.EXCHANGE, Kind.DECIDE):
        return 0
    if task.kind is Kind.PURGE:
        keeps = (plan.store.read_json(plan.purged) or {}).get("keeps", ())
        return 0 if plan.selection in keeps else total
    if task.done is not None and plan.store.exists(task.done):
        return 0
    if task.kind in (Kind.INGEST, Kind.MEASURE):
        there = plan.store.names(task.folder)
        missing = sum(f"{p.key}.json" not in there for p in plan.partitions) if there else total
        return missing or (0 if task.kind is Kind.INGEST else total)
    return 1 if task.kind is Kind.WRITE else total


def why_again(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str:
    """Why a stage runs, or runs again: what differs from the facts of the run before."""
    if before is None:
        return "first run"
    words = {
        "artifacts": "model changed",
        "inputs": "input changed",
        "clauses": "keep changed",
        "version": "new version",
        "code": "code changed",
    }
    if before.get("settings") != now["settings"]:
        old, new = before.get("settings", {}), now["settings"]
        return f"settings changed: {', '.join(k for k in new if new[k] != old.get(k)) or 'fewer keys'}"
    return ", ".join(word for key, word in words.items() if before.get(key) != now.get(key)) or "an ancestor changed"
