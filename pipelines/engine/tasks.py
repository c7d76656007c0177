"""The task graph of a declaration, as data: what each task makes, what its result is made from, and which rows it covers.

Nothing else derives who depends on whom: plan, run, select, status and resumption read this table.

- `value_deps` name the tasks whose results a task reads. They make its fingerprint, and that its address.
- `filters` say which documents it covers: those that all of these stages keep. The decisions of these stages are its
  `row_deps`. They do not change what it makes of a row, so a moved threshold finds its documents measured already.

Steps order the tasks. In an even step a worker does all its tasks of one partition together and reads the text once; an
odd step needs all partitions. A level is an even step and the odd one after it.

Every result is filed under a fingerprint of everything that it depends on, so nothing stale can be taken for new. A task
is pending while the file that says it is done (`done`) is missing.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.store import fingerprint
from winnow.pipelines.engine.yaml_source import SpecError
from winnow.tokenize.shard import MANIFEST

RECORDS = 2
"""Raised when the columns of records or documents change, so that an older run is read again rather than misread."""


class Kind(StrEnum):
    """What a task makes, in the order in which the tasks of one stage and step come."""

    INGEST = "ingest"  # of a partition: its records, its documents, and the signals of the stages that see pages
    MEASURE = "measure"  # of a partition: the signals that a stage measures document by document
    EXCHANGE = "exchange"  # rows of all partitions, routed into buckets
    REDUCE = "reduce"  # the signals of a stage that needs all its documents together
    STATISTIC = "statistic"  # what a stage's clauses compare documents with
    DECIDE = "decide"  # a stage's verdict on every row that it sees; computed where it is needed, never stored
    SELECT = "select"  # of a partition: the selection
    WRITE = "write"  # the hand-off
    PURGE = "purge"  # the documents, without the text of those that no selection keeps


TOGETHER = frozenset([Kind.EXCHANGE, Kind.REDUCE, Kind.STATISTIC])
"""Kinds that need all partitions."""

FOLDERS = {
    Kind.INGEST: "records/{0}",
    Kind.MEASURE: "signals/{1}/{0}",
    Kind.EXCHANGE: "corpus/{1}/{0}",
    Kind.REDUCE: "corpus/{1}/{0}",
    Kind.STATISTIC: "statistics/{1}",
    Kind.SELECT: "selection/{0}",
    Kind.WRITE: "shards/{0}",
    Kind.PURGE: "documents/{0}",
}
"""Where the results of a fingerprint ({0}) and a stage ({1}) are."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task. `filters`: it covers the documents that every stage of any of these lists keeps; several lists where a
    later clause chooses by what it measures. `coverage`: fingerprint of what it makes and of which rows."""

    kind: Kind
    stage: str = ""
    value_deps: tuple[str, ...] = ()
    filters: tuple[tuple[str, ...], ...] = ((),)
    group: str = ""
    step: int = 0
    fingerprint: str = ""
    coverage: str = ""

    @property
    def name(self) -> str:
        """Its key in the table: `measure quality`."""
        return named(self.kind, self.stage, self.group)

    @property
    def row_deps(self) -> tuple[str, ...]:
        """The decisions that say which rows it covers."""
        return tuple(dict.fromkeys(named(Kind.DECIDE, stage) for stages in self.filters for stage in stages))

    @property
    def level(self) -> int:
        """Number of the pass over the partitions that it belongs to."""
        return self.step // 2

    @property
    def folder(self) -> str:
        """Folder of its results, below the run's."""
        return FOLDERS[self.kind].format(self.fingerprint, self.stage)

    @property
    def done(self) -> str | None:
        """Name of the file that says all of it is done; None where each partition says so itself, or nothing is stored."""
        match self.kind:
            case Kind.MEASURE:
                return f"{self.folder}/covers-{self.coverage}.json"
            case Kind.REDUCE | Kind.SELECT:
                return f"{self.folder}/done.json"
            case Kind.STATISTIC:
                return f"{self.folder}/{self.fingerprint}.json"
            case Kind.WRITE:
                return f"{self.folder}/{MANIFEST}"
            case Kind.PURGE:
                return f"{self.folder}/freed.json"
        return None


Tasks = Mapping[str, Task]
"""All tasks of a declaration by name, each after those that it depends on."""


def named(kind: Kind, stage: str = "", group: str = "") -> str:
    """The name of a task."""
    return f"{kind} {stage}".rstrip() + (f".{group}" if group else "")


def tasks_of(nodes: Mapping[str, Node], purges: bool, path: str) -> dict[str, Task]:
    """The graph of a declaration's stages, without fingerprints. `purges`: whether the text of what is not selected goes.
    Raises SpecError where a task waits for itself; `path` is named then."""
    found = {task.name: task for task in _tasks(nodes, purges)}
    sorter = graphlib.TopologicalSorter({n: {*t.value_deps, *t.row_deps} for n, t in found.items()})
    try:
        order = list(sorter.static_order())
    except graphlib.CycleError as error:
        raise SpecError(f"{path}: stages: {_circle(error.args[1], nodes)}") from None
    places = {stage: n for n, stage in enumerate(nodes)}
    kinds = {kind: n for n, kind in enumerate(Kind)}
    at: dict[str, tuple[int, int]] = {}  # the step of a task, and how far its stages must have come within that
    for name in order:
        at[name] = _after(found[name], at, places)
        found[name] = replace(found[name], step=at[name][0])
    ordered = sorted(found.values(), key=lambda t: (*at[t.name], kinds[t.kind], places.get(t.stage, 0)))
    return {task.name: task for task in ordered}


def filters_of(nodes: Mapping[str, Node], stage: str) -> tuple[str, ...]:
    """The ancestors of a stage that decide which documents it sees: by a clause, or because measuring one may fail."""
    return tuple(a for a in nodes[stage].ancestors if nodes[a].filters)


def _tasks(nodes: Mapping[str, Node], purges: bool) -> Iterator[Task]:
    seeing = {name: filters_of(nodes, name) for name, node in nodes.items() if not node.raw}

    def results(stages: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for stage in stages for name in results_of(nodes, stage)))

    read: dict[str, set[str]] = {}  # whose signals a stage reads, and who edits the texts that these are measured on
    awaited: dict[str, set[str]] = {}  # the same for its verdict, with those that decide what it sees
    for name, stages in seeing.items():
        node = nodes[name]
        editors = {editor for other in node.reads() for editor in nodes[other].edited_by}
        read[name] = node.reads() | (editors - set(node.ancestors) - {name})
        awaited[name] = read[name].union(*(awaited[f] for f in stages))
    yield Task(Kind.INGEST)
    for name, stages in seeing.items():
        node = nodes[name]
        given = results(node.edited_by)
        if node.measures:
            waiting = [o for o in seeing if name in read[o] and (nodes[o].clauses or nodes[o].reduces)]
            first, *others = ([f for f in seeing[o] if name not in awaited[f]] for o in (name, *waiting))
            lists = [first, *(more for more in others if not set(first) <= set(more))]
            for group in node.groups():
                yield Task(Kind.MEASURE, name, (named(Kind.INGEST), *given), tuple(map(tuple, lists)), group)
            given = measured_by(node)
        if node.reduces:
            repeating = [named(Kind.DECIDE, a) for a in node.ancestors if nodes[a].repeats]
            given = (*given, *results(sorted(node.reads_itself())), *repeating)
            yield Task(Kind.EXCHANGE, name, given, (stages,))
            yield Task(Kind.REDUCE, name, (named(Kind.EXCHANGE, name),), (stages,))
        decided = results([name, *sorted(node.decides_by())])
        if node.statistics:
            yield Task(Kind.STATISTIC, name, decided, (stages,))
            decided = (*decided, named(Kind.STATISTIC, name))
        yield Task(Kind.DECIDE, name, decided, (stages,))
    yield Task(Kind.SELECT, "", tuple(named(Kind.DECIDE, name) for name in seeing))
    for name in (name for name in seeing if nodes[name].writes):
        yield Task(Kind.WRITE, name, (named(Kind.SELECT), *measured_by(nodes[name])))
    if purges:
        yield Task(Kind.PURGE, "", (named(Kind.SELECT),))


def results_of(nodes: Mapping[str, Node], stage: str) -> tuple[str, ...]:
    """The names of the tasks that make the signals which a stage shows to others."""
    node = nodes[stage]
    if node.raw:
        return (named(Kind.INGEST),)
    return (named(Kind.REDUCE, stage),) if node.reduces else measured_by(node)


def measured_by(node: Node) -> tuple[str, ...]:
    """The names of the tasks that measure a stage's columns document by document."""
    return tuple(named(Kind.MEASURE, node.name, group) for group in node.groups())


def _after(task: Task, at: Mapping[str, tuple[int, int]], places: Mapping[str, int]) -> tuple[int, int]:
    """The earliest step after everything that a task depends on, and its place there."""
    rows = max((at[dep] for dep in task.row_deps), default=(0, -1))
    step, place = max([rows, *(at[dep] for dep in task.value_deps)])
    own = places.get(task.stage, len(places))
    match task.kind:
        case Kind.INGEST:
            return 0, -1
        case Kind.MEASURE:  # within a step the stages are measured in their order
            return (step + 2 if step % 2 == 0 and place >= own else _even(step)), own
        case Kind.EXCHANGE:  # decisions are looked at by guards before a level begins that builds on them
            return max(step | 1, _even(rows[0]) + 1), own
        case Kind.REDUCE | Kind.STATISTIC:
            return step | 1, own
        case Kind.DECIDE:
            return step, place
    return step, len(places)


def _even(step: int) -> int:
    return step + step % 2


def _circle(names: Sequence[str], nodes: Mapping[str, Node]) -> str:
    """What a person can do about tasks that wait for each other."""
    terminal = next((name for name, node in nodes.items() if node.writes), "")
    return (
        f"a corpus stage with a keep clause reads '{terminal}' signals, which wait for that clause "
        f"({' -> '.join(names)}); remove the clause"
    )


def identified(
    tasks: Tasks,
    nodes: Mapping[str, Node],
    facts: Mapping[str, Mapping[str, Any]],
    language: Mapping[str, Any],
    seed: int,
    inputs: str,
) -> dict[str, Task]:
    """The same tasks with fingerprints. `facts`: of every stage its kind, version, settings and artifacts, and by group what
    it measures depends on; `language`: what of the language pack can change a measurement; `inputs`: fingerprint of the
    partitions."""
    clauses = {name: [[c.name, c.text] for c in node.clauses] for name, node in nodes.items()}
    made: dict[str, Task] = {}

    def together(names: Sequence[str]) -> str:
        found = [made[name].fingerprint for name in names]
        return found[0] if len(found) == 1 else fingerprint(found)

    def result(stage: str) -> str:
        return together(results_of(nodes, stage))

    def whole(stage: str) -> dict[str, Any]:
        return {key: value for key, value in facts[stage].items() if key != "measured"}

    def decided(stage: str) -> tuple[Any, ...]:
        """A stage's clauses and what they are about, which a row's verdict follows from."""
        node = nodes[stage]
        draws = any(c.draws or any(s.kind == "top" for s in c.statistics) for c in node.clauses)  # tops break ties so
        used = sorted({s.partition(".")[0] for c in node.clauses for s in c.signals} - {stage})
        return stage, clauses[stage], result(stage), [(name, result(name)) for name in used], draws and seed

    def repeated(stage: str) -> tuple[Any, ...]:
        """The same, and how often it has its documents repeated."""
        node = nodes[stage]
        text = node.repeat.text if node.repeat else None
        return (*decided(stage), text, [result(name) for name in sorted(node.decides_by())], seed)

    def parts(task: Task) -> tuple[Any, ...]:
        """What a task's result is made from."""
        rows = [decided(stage) for stage in task.filters[0]]
        match task.kind:
            case Kind.INGEST:
                raw = [(name, whole(name), clauses[name]) for name, node in nodes.items() if node.raw]
                return RECORDS, raw, language
            case Kind.SELECT:
                texts = {name: node.repeat.text if node.repeat else None for name, node in nodes.items()}
                every = [(n, x.ancestors, clauses[n], texts[n], result(n)) for n, x in nodes.items()]
                return every, seed, inputs
            case Kind.PURGE:
                return ()
        node = nodes[task.stage]
        edits = [result(editor) for editor in node.edited_by]
        match task.kind:
            case Kind.MEASURE:
                own = facts[task.stage]["measured"][task.group]
                return own, language, made[named(Kind.INGEST)].fingerprint, *([edits] if edits else [])
            case Kind.EXCHANGE:
                measured = together(measured_by(node)) if node.measures else edits or None
                reads = [(signal, result(signal.partition(".")[0])) for signal in node.stage.reads()]
                again = [repeated(a) for a in node.ancestors if nodes[a].repeats]
                return whole(task.stage), measured, rows, reads, again, inputs
            case Kind.STATISTIC:
                return decided(task.stage), rows, seed, inputs
            case Kind.DECIDE:
                return repeated(task.stage)
            case Kind.WRITE:
                return made[named(Kind.SELECT)].fingerprint, whole(task.stage)
        raise AssertionError(task.kind)

    for name, task in tasks.items():
        if task.kind is Kind.REDUCE:  # it ends the exchange, in one folder
            made[name] = replace(task, fingerprint=made[named(Kind.EXCHANGE, task.stage)].fingerprint)
        elif task.kind is Kind.PURGE:
            made[name] = replace(task, fingerprint=made[named(Kind.INGEST)].fingerprint)
        else:
            made[name] = replace(task, fingerprint=fingerprint(*parts(task)))
        if task.kind is Kind.MEASURE:
            rows = [[decided(stage) for stage in stages] for stages in task.filters]
            made[name] = replace(made[name], coverage=fingerprint(made[name].fingerprint, rows, inputs))
    return made
