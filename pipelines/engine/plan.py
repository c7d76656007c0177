"""The plan: partitions, fingerprints, and in which wave each stage can run.

Documents are measured in waves. Stages of one wave are fused: a task reads a partition's text once for all of them.
A stage whose documents are decided by all documents together, by a corpus stage's clause or by a quantile, waits for
the reduce or the statistics, which end a wave.

Every result is filed under a fingerprint of everything that it depends on, so nothing stale can be taken for new:

- `ingest`       the raw stages with their clauses; partitions carry their source and input files in their own key
- `measure[s]`   kind, version, settings, artifacts and language data of a measuring stage; *not* the clauses above it,
                 so that a moved threshold finds its documents measured already
- `coverage[s]`  `measure[s]` and the clauses that decide which documents `s` must have seen
- `corpus[s]`, `statistics[s]`, `selection`, `handoff`  the same, for what looks at all documents together
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from winnow.filters.languages import LanguagePack
from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.gone import Kept
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.handoff import manifest_name
from winnow.pipelines.engine.inputs import Partition, partitions
from winnow.pipelines.engine.located import file_name, without_folders
from winnow.pipelines.engine.store import Store, fingerprint
from winnow.pipelines.engine.waves import waves_of
from winnow.stages.stage import Corpus, Measured, Stage, StageError, Terminal

RECORDS = 2
"""Raised when the columns of records or documents change, so that an older run is read again rather than misread."""


SAVED = (
    *("ingest", "measure", "coverage", "corpus", "statistics", "selection", "handoff"),
    *("waves", "reduces", "resolves"),
)
"""What a finished run keeps of its plan."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a task needs to know; picklable. The dictionaries are keyed by stage name."""

    pipeline: Pipeline
    store: Store
    partitions: tuple[Partition, ...]
    ingest: str
    measure: dict[str, str]
    coverage: dict[str, str]
    corpus: dict[str, str]
    statistics: dict[str, str]
    selection: str
    handoff: str
    waves: dict[str, int]
    reduces: dict[str, int]  # after which wave a corpus stage reduces
    resolves: dict[str, int]  # after which wave a stage's statistics can be told
    facts: dict[str, dict[str, Any]]
    lenient: bool = False  # decides without measuring: rows that a stage never measured are pending there
    unfinished: bool = False  # lenient, and what all documents together decide may be missing, too

    def saved(self) -> dict[str, Any]:
        """What a later `restore` needs, JSON-able; the inputs' bytes are left out."""
        return {n: getattr(self, n) for n in SAVED} | {
            "partitions": [[p.key, p.source, p.group] for p in self.partitions]
        }

    @classmethod
    def restore(cls, pipeline: Pipeline, store: Store, saved: dict[str, Any]) -> Plan:
        """The plan of a finished run, for reading its results."""
        partitions = tuple(
            Partition(n, key, source, (), *group) for n, (key, source, *group) in enumerate(saved["partitions"])
        )
        rest = {name: value for name, value in saved.items() if name != "partitions"}
        return cls(pipeline=pipeline, store=store, partitions=partitions, facts={}, **rest)

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

    def signals(self, stage: str, partition: Partition) -> str:
        """Part name of what a stage measured per document, row-aligned with the documents."""
        return f"signals/{stage}/{self.measure.get(stage, self.ingest)}/{partition.key}"

    def reduced(self, stage: str, partition: Partition) -> str:
        """Part name of a corpus stage's signals, row-aligned with the documents."""
        return f"corpus/{stage}/{self.corpus[stage]}/{partition.key}"

    def public(self, node: Node, partition: Partition) -> str:
        """Part name of the signals that a stage shows to others: what its reduce wrote, or what it measured."""
        corpus = isinstance(node.stage, Corpus)
        return self.reduced(node.name, partition) if corpus else self.signals(node.name, partition)

    def selected(self, partition: Partition) -> str:
        """Part name of a partition's selection, row-aligned with the documents."""
        return f"selection/{self.selection}/{partition.key}"

    def covered(self, stage: str) -> str:
        """Name of the file that says a measuring stage has seen every document it must."""
        return f"signals/{stage}/{self.measure[stage]}/covers-{self.coverage[stage]}.json"

    def measured_by(self, node: Node, own: bool) -> bool:
        """Whether a stage is recorded to have measured, or (not `own`) reduced, all that it must."""
        reduced = isinstance(node.stage, Corpus) and not own
        return self.store.exists(self.reduce_done(node.name) if reduced else self.covered(node.name))

    def reduce_done(self, stage: str) -> str:
        """Name of the file that says a corpus stage's reduce is complete."""
        return f"corpus/{stage}/{self.corpus[stage]}/done.json"

    def told(self, stage: str) -> str:
        """Name of the file that holds a stage's statistics."""
        return f"statistics/{stage}/{self.statistics[stage]}.json"

    @property
    def selection_done(self) -> str:
        """Name of the file that holds the selection's accounting."""
        return f"selection/{self.selection}/done.json"

    @property
    def freed(self) -> str:
        """Name of the file that says whose text was kept when the others' was given up (`rejected: metadata`)."""
        return f"documents/{self.ingest}/freed.json"

    @property
    def shards(self) -> str:
        """Folder of the hand-off."""
        return f"shards/{self.handoff}"

    @property
    def last_wave(self) -> int:
        """The number of the wave after which everything is known."""
        return max([0, *self.waves.values(), *self.reduces.values(), *self.resolves.values()])

    def wave(self, number: int) -> list[Node]:
        """The stages measured in a wave, in order."""
        return [node for node in self.pipeline.measured() if self.waves.get(node.name) == number]


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
    language = _measured_with(pipeline.pack)
    facts = {name: _facts(node.stage, (recorded or {}).get(name)) for name, node in pipeline.nodes.items()}
    clauses = {
        name: [[c.name, c.text] for c in node.clauses] for name, node in pipeline.nodes.items()
    }  # as JSON has them
    repeats = {name: node.repeat.text for name, node in pipeline.nodes.items() if node.repeat}
    ingest = fingerprint(RECORDS, [(n.name, facts[n.name], clauses[n.name]) for n in pipeline.raw()], language)
    measure: dict[str, str] = {}
    coverage: dict[str, str] = {}
    corpus: dict[str, str] = {}
    statistics: dict[str, str] = {}

    def result(name: str) -> str:
        stage = pipeline.nodes[name].stage if name in pipeline.nodes else None
        if isinstance(stage, Corpus):
            return reduced(name)
        return measured(name) if isinstance(stage, Measured) else ingest

    def measured(name: str) -> str:
        node = pipeline.nodes[name]
        if name not in measure and isinstance(node.stage, Measured):
            edits = [result(editor) for editor in node.edited_by]
            measure[name] = fingerprint(
                _measuring(node.stage, facts[name]), language, ingest, *([edits] if edits else [])
            )
        return measure[name]

    def reduced(name: str) -> str:
        if name not in corpus:
            node = pipeline.nodes[name]
            assert isinstance(node.stage, Corpus)
            gates = [decided(g) for g in pipeline.gates(node)]
            reads = [(r, result(r.partition(".")[0])) for r in node.stage.reads()]
            again = [repeated(pipeline.nodes[a]) for a in node.ancestors if pipeline.nodes[a].repeats]
            own = measured(name) if _measures(node) else [result(editor) for editor in node.edited_by] or None
            corpus[name] = fingerprint(facts[name], own, gates, reads, again, inputs)
        return corpus[name]

    def used(gate: Node) -> list[tuple[str, str]]:
        names = {s.partition(".")[0] for c in gate.clauses for s in c.signals} - {gate.name}
        return [(name, result(name)) for name in sorted(names)]

    def decided(gate: Node) -> tuple[Any, ...]:
        draws = any(c.draws or any(s.kind == "top" for s in c.statistics) for c in gate.clauses)  # tops break ties so
        return gate.name, clauses[gate.name], result(gate.name), used(gate), draws and pipeline.seed

    def repeated(node: Node) -> tuple[Any, ...]:
        reads = [result(name) for name in sorted(node.decides_by())]
        return (*decided(node), repeats.get(node.name), reads, pipeline.seed)

    for node in pipeline.measured():
        if _measures(node):
            measured(node.name)
        if isinstance(node.stage, Corpus):
            reduced(node.name)
    for node in pipeline.measured():
        if _measures(node):
            needs = [[decided(g) for g in gates] for gates in pipeline.needs(node)]
            coverage[node.name] = fingerprint(measure[node.name], needs, inputs)
    for node in pipeline.measured():
        if node.statistics:
            gates = [decided(g) for g in pipeline.gates(node)]
            statistics[node.name] = fingerprint(decided(node), gates, pipeline.seed, inputs)
    decisions = [(n, x.ancestors, clauses[n], repeats.get(n), result(n)) for n, x in pipeline.nodes.items()]
    selection = fingerprint(decisions, pipeline.seed, inputs)
    terminal = pipeline.terminal()
    handoff = fingerprint(selection, facts[terminal.name] if terminal else None)
    for name in facts:
        facts[name] |= {"clauses": clauses[name], "inputs": inputs}
    waves, reduces, resolves = waves_of(pipeline, set(measure))
    return Plan(
        pipeline,
        store,
        partitions,
        ingest,
        measure,
        coverage,
        corpus,
        statistics,
        selection,
        handoff,
        waves,
        reduces,
        resolves,
        facts,
    )


_CHOSEN = ("settings", "artifacts")


def _measuring(stage: Stage, facts: dict[str, Any]) -> dict[str, Any]:
    """What of a stage's facts can change a measurement: not the settings that choose clauses or what is compared with, nor
    the artifacts that such a setting names (`known:...`)."""
    kept = {key: {k: v for k, v in facts[key].items() if k.partition(":")[0] not in stage.choosing} for key in _CHOSEN}
    return {**facts, **kept}


def _measured_with(pack: LanguagePack) -> dict[str, Any]:
    """What of a language pack can change a measurement: not its thresholds, nor what is said of them."""
    said = {"clauses", "language_score", "version", "provenance", "calibration", "units"}
    units = {unit: rules.stop_words for unit, rules in sorted(pack.units.items())}
    return {**pack.model_dump(mode="json", exclude=said), "units": units}


def _measures(node: Node) -> bool:
    """Whether a stage has a per-document part."""
    return isinstance(node.stage, Measured) and bool(node.stage.measured() or node.stage.hidden())


def changes(before: dict[str, Any] | None, now: dict[str, Any]) -> str:
    """Why a stage runs: what differs from the facts of the run before."""
    if before is None:
        return "first run"
    words = {
        "artifacts": "model changed",
        "inputs": "input changed",
        "clauses": "keep changed",
        "version": "new version",
    }
    if before.get("settings") != now["settings"]:
        old, new = before.get("settings", {}), now["settings"]
        return f"settings changed: {', '.join(k for k in new if new[k] != old.get(k)) or 'fewer keys'}"
    return ", ".join(word for key, word in words.items() if before.get(key) != now.get(key)) or "an ancestor changed"


def _facts(stage: Stage, recorded: Mapping[str, Any] | None = None) -> dict[str, Any]:
    if isinstance(stage.settings, Kept) and recorded is not None:  # its kind is gone, and it is declared as it was
        return {key: value for key, value in recorded.items() if key not in ("clauses", "inputs")}
    said = {**stage.identity(), "settings": without_folders(stage.settings)}
    try:
        artifacts = {file_name(a.name): a.digest for a in stage.artifacts()}
    except (StageError, OSError):
        if recorded is None or any(recorded.get(key) != value for key, value in said.items()):
            raise
        artifacts = dict(recorded["artifacts"])
    return said | {"artifacts": artifacts}


def pending(plan: Plan) -> dict[str, int]:
    """Stage name -> partitions still to run, for every step of the plan (`ingest`, `selection` and `shards` included)."""
    store, total = plan.store, len(plan.partitions)
    keys = {p.key for p in plan.partitions}

    def missing(folder: str) -> int:
        path = store.path(folder)
        names = {n.rpartition("/")[2] for n in store.fs.ls(path, detail=False)} if store.fs.exists(path) else set()
        return sum(f"{key}.json" not in names for key in keys)

    out = {"ingest": missing(f"records/{plan.ingest}")}
    for node in plan.pipeline.measured():
        if node.name in plan.measure and not store.exists(plan.covered(node.name)):
            out[node.name] = missing(f"signals/{node.name}/{plan.measure[node.name]}") or total
        elif isinstance(node.stage, Corpus) and not store.exists(plan.reduce_done(node.name)):
            out[node.name] = total
        elif not isinstance(node.stage, Terminal):
            out[node.name] = 0
    for name in plan.statistics:
        out[name] = out.get(name, 0) or (0 if store.exists(plan.told(name)) else total)
    out["selection"] = 0 if store.exists(plan.selection_done) else total
    terminal = plan.pipeline.terminal()
    if terminal:
        out[terminal.name] = max(out.get(terminal.name, 0), 0 if store.exists(manifest_name(plan.shards)) else 1)
    if plan.pipeline.rejected == "metadata" and plan.selection not in (store.read_json(plan.freed) or {}).get(
        "keeps", ()
    ):
        out["free rejected text"] = total
    return out
