"""The declaration: from YAML to a typed, checked pipeline. Everything wrong with it is said here, before anything runs."""

from __future__ import annotations

import graphlib
import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import winnow.stages
import winnow.stages.sources
from winnow.filters.languages import LanguagePack, UnknownLanguage, language_pack
from winnow.pipelines.selection import Clause, ClauseError, compile_clauses, nearest
from winnow.pipelines.yaml_source import Marked, SpecError, load, override
from winnow.stages.stage import Corpus, Extract, Map, Measured, Screen, Source, Stage, StageError, Terminal

NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
M = TypeVar("M", bound=BaseModel)


class Header(BaseModel):
    """The top level of a declaration, apart from `extends`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^\w[\w.-]*$")
    language: str
    seed: int = 0
    max_failures: float = Field(default=0.05, ge=0)  # a share of the records below 1, a number of them from 1 on
    sources: dict[str, dict[str, Any]]
    stages: dict[str, dict[str, Any]]
    train: dict[str, Any] = Field(default_factory=dict)


class SourceCommon(BaseModel):
    """The keys that every source takes beside its own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    use: str
    max_drop: float = Field(default=1.0, ge=0, le=1)  # share of its records; 1.0 still refuses to lose every one


class Common(SourceCommon):
    """The keys that every stage takes beside its own settings."""

    over: str | list[str] | None = None
    keep: str | bool | dict[str, str | bool] | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Node:
    """One stage in the DAG. `over`: the stages whose kept rows it sees; `ancestors`: those and all of theirs, in order."""

    name: str
    stage: Stage
    over: tuple[str, ...]
    ancestors: tuple[str, ...]
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A checked declaration. `nodes` is in topological order, stable by the order of declaration."""

    name: str
    language: str
    seed: int
    max_failures: float
    pack: LanguagePack
    sources: dict[str, Source]
    nodes: dict[str, Node]
    max_drop: dict[str, float]  # of every source and stage: the share of its rows that it may drop
    train: dict[str, Any]
    tree: dict[str, Any]  # resolved, as written to the run
    path: str

    def raw(self) -> list[Node]:
        """The stages that see raw pages, in order: screens, then the extractor."""
        return [n for n in self.nodes.values() if isinstance(n.stage, (Screen, Extract))]

    def measured(self) -> list[Node]:
        """The stages that see documents, in order."""
        return [n for n in self.nodes.values() if isinstance(n.stage, Measured)]

    def terminal(self) -> Node | None:
        """The stage that writes the hand-off, if there is one."""
        return next((n for n in self.nodes.values() if isinstance(n.stage, Terminal)), None)

    def gates(self, node: Node) -> list[Node]:
        """The ancestors that decide which documents `node` sees: by a clause, or because measuring one failed."""
        above = [self.nodes[a] for a in node.ancestors]
        return [a for a in above if isinstance(a.stage, Map) or (a.clauses and isinstance(a.stage, Measured))]


def load_pipeline(path: str | Path, assignments: Sequence[str] = ()) -> Pipeline:
    """Read, override and check a declaration. Raises SpecError; touches no input."""
    marked = load(Path(path).resolve())
    for assignment in assignments:
        override(marked, assignment)
    return _checked(marked, str(path))


def resolve_pipeline(tree: dict[str, Any], path: str) -> Pipeline:
    """Check a resolved declaration, such as a run keeps. Raises SpecError."""
    marked = Marked()
    marked.tree = tree
    return _checked(marked, path)


def _checked(marked: Marked, path: str) -> Pipeline:
    problems: list[str] = []
    header = _validated(Header, marked.tree, marked, (), problems)
    if header is None:
        raise SpecError("\n".join(problems))
    try:
        pack = language_pack(header.language)
    except UnknownLanguage as error:
        raise SpecError(f"{marked.where('language')}: language: {error}") from None
    found = dict(_sources(header, marked, problems))
    sources = {name: source for name, (source, _) in found.items()}
    built = dict(_stages(header, marked, pack, problems))
    if not sources and not problems:
        problems.append(f"{marked.where('sources')}: sources: expected at least one source")
    if problems:
        raise SpecError("\n".join(problems))
    nodes = _connect(built, marked)
    for source in sources.values():
        if source.gives == "pages" and not any(isinstance(node.stage, Extract) for node in nodes.values()):
            raise SpecError(
                f"{marked.where('sources', source.name)}: sources.{source.name}: kind '{source.kind}' gives raw pages; "
                "expected an extract stage (extract: {use: extract}) to turn them into documents"
            )
    return Pipeline(
        header.name,
        pack.code,
        header.seed,
        header.max_failures,
        pack,
        sources,
        nodes,
        {name: common.max_drop for name, (_, common) in (*found.items(), *built.items())},
        header.train,
        marked.tree,
        path,
    )


def kinds(package: Any) -> list[str]:
    """The `use:` names that a package offers: its files that name a KIND."""
    folder = Path(package.__file__).parent
    return sorted(p.stem for p in folder.glob("*.py") if re.search(r"^KIND\b", p.read_text("utf-8"), re.M))


def _validated(model: type[M], tree: Any, marked: Marked, key: tuple[str, ...], problems: list[str]) -> M | None:
    """The model, or None with one sentence per mistake added to `problems`."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        for mistake in error.errors():
            at = (*key, *(str(part) for part in mistake["loc"]))
            dotted = ".".join(at)
            if mistake["type"] == "extra_forbidden":
                fields = list(model.model_fields)
                text = f"unknown key; {nearest(at[-1], fields)}"
            elif mistake["type"] == "missing":
                text = "is missing"
            else:
                got = repr(mistake["input"])
                text = f"{mistake['msg'][0].lower()}{mistake['msg'][1:]}, got {got[:80]}"
            problems.append(f"{marked.where(*at)}: {dotted}: {text}")
        return None


def _kind(package: Any, use: Any, where: str, problems: list[str]) -> Any:
    names = kinds(package)
    if use not in names:
        missing = "is missing" if use is None else f"'{use}' is not a kind"
        problems.append(f"{where}.use: {missing}; {nearest(str(use), names)}")
        return None
    return importlib.import_module(f"{package.__name__}.{use}").KIND


def _sources(header: Header, marked: Marked, problems: list[str]) -> Iterator[tuple[str, tuple[Source, SourceCommon]]]:
    for name, tree in header.sources.items():
        key = ("sources", name)
        where = f"{marked.where(*key)}: sources.{name}"
        if not NAME.match(name):
            problems.append(f"{where}: a name is lower-case letters, digits and underscores")
            continue
        kind = _kind(winnow.stages.sources, tree.get("use"), where, problems)
        if kind is None:
            continue
        own = SourceCommon.model_fields
        common = _validated(SourceCommon, {k: v for k, v in tree.items() if k in own}, marked, key, problems)
        settings = _validated(kind.Settings, {k: v for k, v in tree.items() if k not in own}, marked, key, problems)
        if common is not None and settings is not None:
            yield name, (kind(name=name, settings=settings), common)


def _stages(
    header: Header, marked: Marked, pack: LanguagePack, problems: list[str]
) -> Iterator[tuple[str, tuple[Stage, Common]]]:
    own = set(Common.model_fields)
    for name, tree in header.stages.items():
        key = ("stages", name)
        where = f"{marked.where(*key)}: stages.{name}"
        if not NAME.match(name) or name in header.sources:
            reason = (
                "a source has that name"
                if name in header.sources
                else "a name is lower-case letters, digits and underscores"
            )
            problems.append(f"{where}: {reason}")
            continue
        kind = _kind(winnow.stages, tree.get("use"), where, problems)
        if kind is None:
            continue
        unknown = [k for k in tree if k not in own and k not in kind.Settings.model_fields]
        choices = [*own - {"use"}, *kind.Settings.model_fields]
        for extra in unknown:
            at = marked.where(*key, extra)
            problems.append(
                f"{at}: stages.{name}.{extra}: unknown key for kind '{tree['use']}'; {nearest(extra, sorted(choices))}"
            )
        common = _validated(Common, {k: v for k, v in tree.items() if k in own}, marked, key, problems)
        chosen = {k: v for k, v in tree.items() if k not in own and k not in unknown}
        settings = _validated(kind.Settings, chosen, marked, key, problems)
        if common is not None and settings is not None and common.enabled:
            yield name, (kind(name=name, settings=settings, pack=pack), common)


def _connect(built: Mapping[str, tuple[Stage, Common]], marked: Marked) -> dict[str, Node]:
    """Resolve `over`, refuse cycles, compile every clause against the signals that its stage may see."""
    built = dict(sorted(built.items(), key=lambda item: _finality(*item[1])))
    terminals = [name for name, (stage, _) in built.items() if isinstance(stage, Terminal)]
    extractors = [name for name, (stage, _) in built.items() if isinstance(stage, Extract)]
    for label, found in (("terminal", terminals), ("extract", extractors)):
        if len(found) > 1:
            raise SpecError(f"{marked.where('stages', found[1])}: stages.{found[1]}: a second {label} stage")
    over = {name: _over(name, built, marked) for name in built}
    try:
        order = list(graphlib.TopologicalSorter(over).static_order())
    except graphlib.CycleError as error:
        cycle = [str(name) for name in error.args[1]]
        raise SpecError(
            f"{marked.where('stages', cycle[0], 'over')}: stages: 'over' runs in a circle: {' -> '.join(cycle)}"
        ) from None
    position = {name: n for n, name in enumerate(built)}
    rank = dict.fromkeys(order, 0)
    for name in order:
        rank[name] = max((rank[o] + 1 for o in over[name]), default=0)
    if any(position[o] > position[name] for name in built for o in over[name]):
        ordered = sorted(built, key=lambda name: (rank[name], position[name]))
    else:
        ordered = list(built)
    nodes: dict[str, Node] = {}
    for name in ordered:
        stage, common = built[name]
        ancestors = {a for o in over[name] for a in (o, *nodes[o].ancestors)}
        late = [a for a in ancestors if isinstance(nodes[a].stage, Measured)]
        if late and not isinstance(stage, Measured):
            raise SpecError(
                f"{marked.where('stages', name, 'over')}: stages.{name}.over: kind '{stage.kind}' sees raw pages and cannot "
                f"come after '{late[0]}', which sees documents"
            )
        if isinstance(stage, Corpus) and "tokens" in type(stage).Settings.model_fields:
            stage = _count_tokens(stage, terminals)
        nodes[name] = Node(
            name,
            stage,
            over[name],
            tuple(n for n in ordered if n in ancestors),
            tuple(_clauses(name, stage, common, [nodes[a] for a in ancestors], marked)),
        )
        _check_reads(nodes[name], nodes, built, terminals, marked)
    return nodes


def _finality(stage: Stage, common: Common) -> int:
    """0 for what measures and decides; 1 for a corpus stage that decides nothing, such as a mixture; 2 for the terminal.
    The later come after the earlier wherever they are written: they look at the final selection."""
    if isinstance(stage, Terminal):
        return 2
    return int(isinstance(stage, Corpus) and not stage.clauses() and not common.keep)


def _over(name: str, built: Mapping[str, tuple[Stage, Common]], marked: Marked) -> tuple[str, ...]:
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
            raise SpecError(
                f"{marked.where('stages', name, 'over')}: stages.{name}.over: no stage '{other}'; {nearest(other, choices)}"
            )
    return given


def _count_tokens(stage: Corpus, terminals: Sequence[str]) -> Corpus:
    """A mixture counts with the tokenizer of the hand-off, unless it names another signal."""
    if stage.settings.tokens is not None or not terminals:
        return stage
    return replace(stage, settings=stage.settings.model_copy(update={"tokens": f"{terminals[0]}.tokens"}))


def _clauses(name: str, stage: Stage, common: Common, ancestors: Sequence[Node], marked: Marked) -> list[Clause]:
    keep: dict[str, str] | str
    try:
        defaults = stage.clauses()
    except StageError as error:
        raise SpecError(f"{marked.where('stages', name)}: stages.{error}") from None
    if common.keep is None:
        keep = defaults
    elif isinstance(common.keep, bool):
        keep = {} if common.keep else {"all": "false"}
    elif isinstance(common.keep, str):
        keep = common.keep
    else:
        given = {k: v if isinstance(v, str) else str(v).lower() for k, v in common.keep.items()}
        keep = {k: v for k, v in {**defaults, **given}.items() if v.strip().lower() != "true"}
    visible = dict(_dotted(name, stage.signals()))
    for node in ancestors:
        visible |= dict(_dotted(node.name, node.stage.signals()))
    try:
        clauses = compile_clauses(name, keep, visible) if keep else []
    except ClauseError as error:
        raise SpecError(f"{marked.where('stages', name, 'keep')}: stages.{error}") from None
    if clauses and isinstance(stage, Terminal):
        raise SpecError(f"{marked.where('stages', name, 'keep')}: stages.{name}.keep: the last stage decides nothing")
    return clauses


def _dotted(name: str, signals: Mapping[str, pa.DataType]) -> Iterator[tuple[str, pa.DataType]]:
    return ((f"{name}.{signal}", kind) for signal, kind in signals.items())


def _check_reads(
    node: Node,
    nodes: Mapping[str, Node],
    built: Mapping[str, tuple[Stage, Common]],
    terminals: Sequence[str],
    marked: Marked,
) -> None:
    """A signal that a corpus or terminal stage reads must come from an ancestor (or be the hand-off's token count)."""
    if not isinstance(node.stage, (Corpus, Terminal)):
        return
    visible = [f"{a}.{s}" for a in node.ancestors for s in nodes[a].stage.signals()]
    visible += [f"{t}.{s}" for t in terminals if t != node.name for s in built[t][0].signals()]
    for signal in node.stage.reads():
        if signal not in visible:
            raise SpecError(
                f"{marked.where('stages', node.name)}: stages.{node.name}: reads signal '{signal}', which no stage before "
                f"it measures; {nearest(signal, visible)}"
            )
