"""The DAG of a declaration: what each stage is over, which signals its clauses may use, and in which order stages come."""

from __future__ import annotations

import graphlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from winnow.nearest import expected
from winnow.pipelines.engine.resources import ORDINARY, Actors, Cpus, Gpus, Memory, Resources
from winnow.pipelines.engine.yaml_source import SourceMap, SpecError
from winnow.pipelines.selection.clause import Clause, ClauseError, Statistic
from winnow.pipelines.selection.guards import CHOOSING, Guard, GuardError, compile_guards
from winnow.pipelines.selection.language import compile_clauses, compile_repeat
from winnow.stages.base import Group, NoClauses, Stage, StageError, TokenCount
from winnow.stages.source import Source


class KindCommon(BaseModel):
    """The keys that every source and stage takes beside its own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    use: str
    guard: str | list[str] | None = None  # conditions on its figures that stop the run; None: the kind's own


class SourceCommon(KindCommon):
    """The keys that every source takes beside its own settings."""

    identity: Literal["mtime", "content"] = "mtime"  # of its files: what tells whether one is what it was


class Common(KindCommon):
    """The keys that every stage takes beside its own settings."""

    over: str | list[str] | None = None
    keep: str | bool | dict[str, str | bool] | None = None
    repeat: str | float | None = None  # how often a document that it keeps is repeated; a number or an expression
    enabled: bool = True
    cpus: Cpus | None = None  # of a machine, for one task that does its work
    gpus: Gpus | None = None
    memory: Memory | None = None  # bytes, or a size such as 4GiB
    actors: Actors | None = None  # its tasks run in a pool of so many processes, each of which loads its models once

    def resources(self) -> Resources:
        """What a task of it takes."""
        return Resources(self.cpus or 1.0, self.gpus or 0.0, self.memory or 0, self.actors)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One stage in the DAG. `over`: the stages whose kept rows it sees; `ancestors`: those and all of theirs, in order;
    `edited_by`: those of its ancestors whose edits the text that it sees has, in order."""

    name: str
    stage: Stage
    over: tuple[str, ...]
    ancestors: tuple[str, ...]
    edited_by: tuple[str, ...]
    clauses: tuple[Clause, ...]
    repeat: Clause | None = None
    resources: Resources = ORDINARY

    @property
    def raw(self) -> bool:
        """Whether it sees raw pages: a screen or the extractor."""
        return self.stage.raw

    @property
    def measures(self) -> bool:
        """Whether it measures document by document."""
        return bool(self.groups())

    def groups(self) -> dict[str, Group]:
        """The columns that it measures document by document, by group; a stage that sees documents has at least one."""
        if self.raw:
            return {}
        return self.stage.groups() or ({} if self.reduces else {"": Group(self.stage.version, {})})

    @property
    def reduces(self) -> bool:
        """Whether its signals need all its documents together."""
        return self.stage.sees == "corpus"

    @property
    def writes(self) -> bool:
        """Whether it writes the hand-off."""
        return self.stage.outputs.files

    @property
    def edits(self) -> bool:
        """Whether it changes texts."""
        return self.stage.outputs.edits

    @property
    def filters(self) -> bool:
        """Whether it decides which documents those below it see: by a clause, or because measuring one may fail."""
        return not self.raw and (bool(self.clauses) or self.edits or not (self.reduces or self.writes))

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """What its clauses compare documents with that only all documents together can tell."""
        return tuple(s for clause in self.clauses for s in clause.statistics)

    @property
    def repeats(self) -> bool:
        """Whether it says how often documents are repeated: by an expression or, as a mixture, by a signal."""
        return self.repeat is not None or bool(self.stage.outputs.multiplicity)

    def reads_itself(self) -> set[str]:
        """The stages whose signals it reads while it reduces or writes; not itself."""
        return {n.partition(".")[0] for n in self.stage.reads()} - {self.name}

    def reads(self) -> set[str]:
        """The stages whose signals its clauses, its `repeat` and it itself read; not itself."""
        return self.decides_by() | self.reads_itself()

    def decides_by(self) -> set[str]:
        """The stages whose signals its clauses and its `repeat` read; not itself."""
        clauses = (*self.clauses, *filter(None, [self.repeat]))
        return {s.partition(".")[0] for clause in clauses for s in clause.signals} - {self.name}


def connect(built: Mapping[str, tuple[Stage, Common]], marked: SourceMap) -> dict[str, Node]:
    """Resolve `over`, refuse cycles, compile every clause against the signals that its stage may see."""
    built = dict(sorted(built.items(), key=lambda item: _finality(*item[1])))
    terminals = [name for name, (stage, _) in built.items() if stage.outputs.files]
    extractors = [name for name, (stage, _) in built.items() if stage.outputs.text]
    counters = {f"{name}.{stage.outputs.tokens}": stage for name, (stage, _) in built.items() if stage.outputs.tokens}
    for label, found in (("terminal", terminals), ("extract", extractors)):
        if len(found) > 1:
            raise marked.wrong(("stages", found[1]), f"a second {label} stage")
    over = {name: _over(name, built, marked) for name in built}
    _chain_edits(over, built)
    ordered = _ordered(over, marked)
    nodes: dict[str, Node] = {}
    for name in ordered:
        stage, common = built[name]
        above = {a for o in over[name] for a in (o, *nodes[o].ancestors)}
        ancestors = tuple(n for n in ordered if n in above)
        late = [a for a in ancestors if not nodes[a].raw]
        if late and stage.raw:
            raise marked.wrong(
                ("stages", name, "over"),
                f"kind '{stage.kind}' sees raw pages and cannot come after '{late[0]}', which sees documents",
            )
        stage = _count_tokens(stage, next(iter(counters))) if counters else stage
        others: dict[str, pa.DataType] = {}  # signals of other stages that it may use
        for ancestor in ancestors:
            others |= _dotted(ancestor, nodes[ancestor].stage)
        others |= {signal: one.signals()[one.outputs.tokens] for signal, one in counters.items() if one.name != name}
        nodes[name] = Node(
            name,
            stage,
            over[name],
            ancestors,
            tuple(n for n in ancestors if nodes[n].edits),
            *_decisions(stage, common, others, next(iter(counters), None), marked),
            common.resources(),
        )
        if common.actors and not stage.raw and not stage.groups():
            raise marked.wrong(
                ("stages", name, "actors"),
                f"kind '{stage.kind}' measures nothing document by document; expected on a stage that does",
            )
        for signal in stage.reads():
            if signal not in others:
                raise marked.wrong(
                    ("stages", name),
                    f"reads signal '{signal}', which no stage before it measures; {expected(signal, others)}",
                )
    _check_edits(nodes, marked)
    return nodes


def _finality(stage: Stage, common: Common) -> int:
    """0 for what measures, decides or edits; 1 for a corpus stage that does neither, such as a mixture; 2 for the terminal.
    The later come after the earlier wherever they are written: they look at the final selection."""
    if stage.outputs.files:
        return 2
    if stage.sees != "corpus" or stage.outputs.edits:
        return 0
    return int(not stage.clauses() and not common.keep)


def _over(name: str, built: Mapping[str, tuple[Stage, Common]], marked: SourceMap) -> tuple[str, ...]:
    """What a stage is over. The default is the stage before it; what looks at the final selection (a corpus stage
    without clauses, such as a mixture, and the terminal) is by default over every stage before it."""
    stage, common = built[name]
    names = list(built)
    before = names[: names.index(name)]
    if common.over is None:
        return tuple(before) if _finality(stage, common) else tuple(before[-1:])
    given = (common.over,) if isinstance(common.over, str) else tuple(common.over)
    for other in given:
        if other not in built:
            choices = [n for n in names if n != name]
            raise marked.wrong(("stages", name, "over"), f"no stage '{other}'; {expected(other, choices)}")
    return given


def _ordered(over: Mapping[str, Sequence[str]], marked: SourceMap) -> list[str]:
    """The stages as they are declared; by their distance from the first where one is over a later one."""
    ordered, rank = list(over), dict.fromkeys(over, 0)
    try:
        for name in graphlib.TopologicalSorter(over).static_order():
            rank[name] = max((rank[o] + 1 for o in over[name]), default=0)
    except graphlib.CycleError as error:
        cycle = [str(name) for name in error.args[1]]
        where = marked.where("stages", cycle[0], "over")
        raise SpecError(f"{where}: stages: 'over' runs in a circle: {' -> '.join(cycle)}") from None
    if any(ordered.index(o) > at for at, name in enumerate(ordered) for o in over[name]):
        ordered.sort(key=rank.__getitem__)
    return ordered


def _count_tokens(stage: Stage, signal: str) -> Stage:
    """A stage that counts tokens, such as a mixture, counts those of the hand-off unless it names another signal."""
    fields = type(stage.settings).model_fields.items()
    counting = [name for name, field in fields if any(isinstance(mark, TokenCount) for mark in field.metadata)]
    missing = {name: signal for name in counting if getattr(stage.settings, name) is None}
    return replace(stage, settings=stage.settings.model_copy(update=missing)) if missing else stage


def _decisions(
    stage: Stage, common: Common, others: Mapping[str, pa.DataType], tokens: str | None, marked: SourceMap
) -> tuple[tuple[Clause, ...], Clause | None]:
    """The clauses and the `repeat` expression of a stage, compiled against its own signals and those of `others`."""
    visible = _dotted(stage.name, stage) | dict(others)
    key = ("stages", stage.name, "keep")
    try:
        keep = _keep(stage, common, marked)
        clauses = compile_clauses(stage.name, keep, visible, tokens) if keep else []
        key = ("stages", stage.name, "repeat")
        repeat = compile_repeat(stage.name, str(common.repeat), visible) if common.repeat is not None else None
    except ClauseError as error:
        raise SpecError(f"{marked.where(*key)}: stages.{error}") from None
    key = ("stages", stage.name, "keep" if clauses else "repeat")
    if (clauses or repeat) and stage.outputs.files:
        raise marked.wrong(key, "the last stage decides nothing; give it to a stage before")
    beyond = next((c for c in clauses if c.statistics or c.draws), repeat)
    if beyond and stage.raw:
        raise marked.wrong(
            key,
            f"'{beyond.text}' needs documents, and kind '{stage.kind}' sees raw pages; give it to a stage after extraction",
        )
    return tuple(clauses), repeat


def _keep(stage: Stage, common: Common, marked: SourceMap) -> dict[str, str] | str:
    defaults: dict[str, str] = {}
    try:
        defaults = stage.clauses()
    except StageError as error:
        if not (isinstance(error, NoClauses) and isinstance(common.keep, (str, bool))):
            raise SpecError(f"{marked.where('stages', stage.name)}: stages.{error}") from None
    if common.keep is None:
        return defaults
    if isinstance(common.keep, bool):
        return {} if common.keep else {"all": "false"}
    if isinstance(common.keep, str):
        return common.keep
    given = {k: v if isinstance(v, str) else str(v).lower() for k, v in common.keep.items()}
    off = [k for k, v in given.items() if v.strip().lower() == "true"]
    for key in (("stages", stage.name, "keep", k) for k in off if k not in defaults):
        if key in marked.marks and key not in marked.replaced:
            near = expected(key[-1], [k for k in (*defaults, *given) if k not in off])
            raise marked.wrong(key, f"true takes a clause away, and there is none of that name; {near}")
    return {k: v for k, v in {**defaults, **given}.items() if k not in off}


def _dotted(name: str, stage: Stage) -> dict[str, pa.DataType]:
    return {f"{name}.{signal}": kind for signal, kind in stage.signals().items()}


def _chain_edits(over: dict[str, tuple[str, ...]], built: Mapping[str, tuple[Stage, Common]]) -> None:
    """A stage that changes texts is by default also over the one that does so before it, wherever that branched off."""
    before: str | None = None
    for name, (stage, common) in built.items():
        if stage.outputs.edits:
            if before is not None and common.over is None and before not in _above(name, over):
                over[name] = (*over[name], before)
            before = name


def _above(name: str, over: Mapping[str, tuple[str, ...]]) -> set[str]:
    """All ancestors of a stage; a circle is refused later."""
    found: set[str] = set()
    waiting = list(over[name])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += over[other]
    return found


def _check_edits(nodes: Mapping[str, Node], marked: SourceMap) -> None:
    """Stages that change texts come one after another; and none decides by what is measured on the text that it makes
    and that waits for its decision."""
    before: str | None = None
    terminal = next((n for n in nodes.values() if n.writes), None)
    for name, node in nodes.items():
        if not node.edits:
            continue
        if before is not None and before not in node.ancestors:
            raise marked.wrong(
                ("stages", name, "over"),
                f"'{before}' and '{name}' change texts side by side; expected one over the other, such as over: {before}",
            )
        before = name
        if terminal is not None and name not in terminal.ancestors:
            raise marked.wrong(
                ("stages", terminal.name, "over"),
                f"'{name}' changes texts, and what is handed off would lack that; expected it to be over '{name}' too",
            )
        for other in (nodes[a] for a in node.ancestors if node.reduces):
            for read in other.decides_by():
                if read in nodes and name in nodes[read].edited_by:
                    raise SpecError(
                        f"{marked.where('stages', other.name, 'keep')}: stages.{other.name}: decides by signals of '{read}', "
                        f"which reads texts that '{name}' changes, which waits for that decision"
                    )


def declared_guards(
    found: Mapping[str, tuple[Source | Stage, KindCommon]], nodes: Mapping[str, Node], marked: SourceMap, section: str
) -> Iterator[tuple[str, tuple[Guard, ...]]]:
    """The guards of every source or stage of a declaration's section, by name. Raises SpecError."""
    counted = any(node.stage.outputs.tokens for node in nodes.values())
    for name, (kind, common) in found.items():
        own = kind.guards
        if name in nodes and any(c.statistics or c.draws for c in nodes[name].clauses):
            own = CHOOSING
        key = (section, name, "guard")
        try:
            guards = compile_guards(own if common.guard is None else common.guard)
        except GuardError as error:
            raise marked.wrong(key, str(error)) from None
        for guard in guards:
            if "guard.kept_tokens" in guard.clause.signals and not counted:
                raise marked.wrong(key, f"'{guard.text}': nothing counts tokens; expected a tokenize stage")
        yield name, guards
