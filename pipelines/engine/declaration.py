"""The declaration: from YAML to a typed, checked pipeline. Everything wrong with it is said here, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from winnow.filters.languages import LanguagePack, UnknownLanguage
from winnow.filters.languages.pack import parsed
from winnow.filters.pack_check import sound_pack
from winnow.identity import Located, UnknownValue
from winnow.nearest import expected
from winnow.pipelines.engine.gone import common_keys, gone_source, gone_stage, is_unchanged, shape
from winnow.pipelines.engine.graph import Common, KindCommon, Node, SourceCommon, connect, declared_guards
from winnow.pipelines.engine.located import locate, locate_train, located
from winnow.pipelines.engine.yaml_source import SourceMap, SpecError, as_written, load, override
from winnow.pipelines.selection.guards import Guard
from winnow.stages.base import Stage, StageError
from winnow.stages.registry import NoKind, Of, exists, find, names
from winnow.stages.source import Source
from winnow.train_handoff.config import TrainError, parse_config
from winnow.train_handoff.plan import check_lengths

NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
NO_NAME = "a name is lower-case letters, digits and underscores"
M = TypeVar("M", bound=BaseModel)
C = TypeVar("C", bound=KindCommon)
Shapes = Mapping[str, Mapping[str, Any]]
Rejected = Literal["text", "metadata"]


EXPECTED = {
    "keep": "an SQL boolean, true, false, or a mapping of clause names to those",
    "repeat": "a number or an SQL expression",
    "guard": "an SQL boolean over figures, such as drop <= 0.98, or a list of those",
    "over": "the name of a stage, or a list of names",
    "language": "a code such as ko, or the path of a language pack such as packs/tr.yaml",
}
"""What may be written for the keys that take several forms."""

EXPRESSIONS = frozenset(["keep", "repeat", "guard"])
"""Keys that take no name, so that a number or a boolean that is none of their forms is a mistake and not meant as a text."""


class Header(BaseModel):
    """The top level of a declaration, apart from `extends`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^\w[\w.-]*$")
    language: str | dict[str, Any]  # a code, the path of a pack's file, or, as a run keeps it, that pack itself
    seed: int = 0
    max_failures: float = Field(default=0.05, ge=0)  # a share of the records below 1, a number of them from 1 on
    sources: dict[str, dict[str, Any]]
    stages: dict[str, dict[str, Any]]
    rejected: Rejected = "text"  # what is kept of documents that are not selected; `metadata` frees their text
    train: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A checked declaration. `nodes` is in topological order, stable by the order of declaration."""

    name: str
    language: str
    seed: int
    max_failures: float
    pack: LanguagePack
    sources: dict[str, Source]
    by_content: frozenset[str]  # the sources whose files are known by a hash of their content, not by their time
    nodes: dict[str, Node]
    guards: dict[str, tuple[Guard, ...]]  # of every source and stage: what stops the run unless it holds
    rejected: Rejected
    train: dict[str, Any]
    tree: dict[str, Any]  # resolved, as written to the run
    path: str

    def shapes(self) -> dict[str, dict[str, Any]]:
        """What a run keeps of its stages and sources, so that its results can be read without their kinds."""
        parts = {name: node.stage for name, node in self.nodes.items()} | self.sources
        trees = self.tree["stages"] | self.tree["sources"]
        return {name: shape(part, trees.get(name, {})) for name, part in parts.items()}

    def raw(self) -> list[Node]:
        """The stages that see raw pages, in order: screens, then the extractor."""
        return [n for n in self.nodes.values() if n.raw]

    def measured(self) -> list[Node]:
        """The stages that see documents, in order."""
        return [n for n in self.nodes.values() if not n.raw]

    def edits(self) -> tuple[str, ...]:
        """The stages that change texts, in order: the text that is handed off has the edits of all of them."""
        return tuple(n.name for n in self.nodes.values() if n.edits)

    def terminal(self) -> Node | None:
        """The stage that writes the hand-off, if there is one."""
        return next((n for n in self.nodes.values() if n.writes), None)


def load_pipeline(path: str | Path, assignments: Sequence[str] = ()) -> Pipeline:
    """Read, override and check a declaration. Raises SpecError; touches no input."""
    marked = load(Path(path).resolve())
    for assignment in assignments:
        override(marked, assignment)
    return _trainable(_checked(marked, str(path)), marked)


def resolve_pipeline(tree: dict[str, Any], path: str, shapes: Shapes | None = None) -> Pipeline:
    """Check a resolved declaration, such as a run keeps. `shapes` stand for what is declared as it was and whose kind is not
    there any more (`gone.py`). Raises SpecError."""
    marked = SourceMap()
    marked.tree = tree
    return _checked(marked, path, shapes)


def override_pipeline(pipeline: Pipeline, assignments: Sequence[str]) -> Pipeline:
    """The same declaration with `path=value` overrides. Raises SpecError."""
    marked = SourceMap()
    marked.tree = deepcopy(pipeline.tree)
    for assignment in assignments:
        override(marked, assignment)
    return _trainable(_checked(marked, pipeline.path, pipeline.shapes()), marked)


def _trainable(pipeline: Pipeline, marked: SourceMap) -> Pipeline:
    """The same pipeline, if its `train:` section can be carried out once there are shards."""
    try:
        check_lengths(parse_config({"shards": "-", "out": "-"} | pipeline.train))
    except TrainError as error:
        where = marked.where("train", *error.keys) if error.keys else pipeline.path
        raise SpecError(f"{where}: {error}") from error
    return pipeline


def _checked(marked: SourceMap, path: str, shapes: Shapes | None = None) -> Pipeline:
    problems: list[str] = []
    header = _validated(Header, marked.tree, marked, (), problems)
    if header is None:
        raise SpecError("\n".join(problems))
    locate_train(marked.tree.get("train"), marked)
    pack = _pack(header.language, marked, path)
    found = dict(_sources(header, marked, pack, problems, shapes or {}))
    built = dict(_stages(header, {*header.sources, *found}, marked, pack, problems, shapes or {}))
    if not any(stage.outputs.language for stage, _ in built.values()):
        # Nothing would tell what a sample of the rest holds, and nothing keep it out of the corpus.
        found = {name: one for name, one in found.items() if name in header.sources}
    sources = {name: source for name, (source, _) in found.items()}
    if not sources and not problems:
        problems.append(marked.said(("sources",), "expected at least one source"))
    if problems:
        raise SpecError("\n".join(problems))
    nodes = connect(built, marked)
    guards = dict(declared_guards(found, nodes, marked, "sources")) | dict(
        declared_guards(built, nodes, marked, "stages")
    )
    for source in sources.values():
        _check_addresses(source, nodes, marked)
        if source.gives == "pages" and not any(node.stage.outputs.text for node in nodes.values()):
            raise marked.wrong(
                ("sources", source.name),
                f"kind '{source.kind}' gives raw pages; expected an extract stage (extract: {{use: extract}}) to turn them "
                "into documents",
            )
    return Pipeline(
        header.name,
        pack.code,
        header.seed,
        header.max_failures,
        pack,
        sources,
        frozenset(name for name, (_, common) in found.items() if common.identity == "content"),
        nodes,
        guards,
        header.rejected,
        marked.tree.get("train", {}),
        marked.tree,
        path,
    )


def _check_addresses(source: Source, nodes: Mapping[str, Node], marked: SourceMap) -> None:
    """A stage that judges rows of text by their address can use no signal of a stage that looks at pages."""
    if source.gives != "texts":
        return
    for node in (n for n in nodes.values() if n.stage.sees == "addresses"):
        for name in node.decides_by():
            stage = nodes[name].stage
            if stage.sees != "addresses":
                raise marked.wrong(
                    ("stages", node.name, "keep"),
                    f"reads signals of '{name}', which looks at pages, and source '{source.name}' (kind '{source.kind}') gives "
                    "texts without pages; give the clause to a stage after extraction",
                )


def _pack(language: str | dict[str, Any], marked: SourceMap, path: str) -> LanguagePack:
    """The language pack. One from a file of its own becomes part of the declaration, so that a run keeps what it used."""
    try:
        if not isinstance(language, str):
            return parsed(language, path)
        if language.endswith((".yaml", ".yml")):
            language = located(language, ("language",), Located(), marked)
        pack = sound_pack(language)
    except UnknownLanguage as error:
        raise marked.wrong(("language",), str(error)) from None
    if language.endswith((".yaml", ".yml")):
        marked.tree["language"] = pack.model_dump(mode="json", exclude_defaults=True)
    return pack


def _validated(model: type[M], tree: Any, marked: SourceMap, key: tuple[str, ...], problems: list[str]) -> M | None:
    """The model, or None with one sentence per mistake added to `problems`."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        mistakes = error.errors()
    names = [mistake for mistake in mistakes if not EXPRESSIONS.intersection(mistake["loc"][:1])]
    if any(as_written(mistake, tree, marked, key) for mistake in names):
        return _validated(model, tree, marked, key, problems)
    said: dict[str, None] = {}
    for mistake in mistakes:
        at = (*key, *(str(part) for part in mistake["loc"]))
        field = str(mistake["loc"][0]) if mistake["loc"] else ""
        if field in EXPECTED and mistake["type"] != "missing":  # one sentence for all the forms it may have
            at = (*key, field)
            text = f"expected {EXPECTED[field]}, got {str(tree[field])[:80]!r}"
        elif mistake["type"] == "extra_forbidden":
            fields = _keys(model, mistake["loc"][:-1])
            text = "unknown key" + (f"; {expected(at[-1], fields)}" if fields else "")
        elif mistake["type"] == "missing":
            text = "is missing"
        else:
            words = mistake["msg"].removeprefix("Value error, ")
            text = f"{words[0].lower()}{words[1:]}, got {repr(mistake['input'])[:80]}"
        said[marked.said(at, text)] = None
    problems += said
    return None


def _keys(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """The keys that settings have at a path, where their type says so."""
    for part in path:
        field = model.model_fields.get(str(part))
        if field is not None:
            found = _model_in(field.annotation)
            if found is None:
                return []
            model = found
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The settings that a field holds: itself, as one of several forms, or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one)) is not None), None)


def _sources(
    header: Header, marked: SourceMap, pack: LanguagePack, problems: list[str], shapes: Shapes
) -> Iterator[tuple[str, tuple[Source, SourceCommon]]]:
    for name, tree in header.sources.items():
        key: tuple[Of, str] = ("sources", name)
        if not NAME.match(name):
            problems.append(marked.said(key, NO_NAME))
            continue
        if not exists("sources", tree.get("use")) and is_unchanged(tree, shapes.get(name), SourceCommon):
            yield name, (gone_source(name, shapes[name], pack), common_keys(SourceCommon, tree))
            continue
        built = _built(key, tree, SourceCommon, marked, pack, problems)
        if built is None:
            continue
        source, common = built
        yield name, (source, common)
        for one in source.companions():
            if one.name in header.sources:
                text = f"its sample is the source '{one.name}'; expected no other of that name"
                problems.append(marked.said(key, text))
            else:
                yield one.name, (one, common.model_copy(update={"guard": None}))


def _stages(
    header: Header,
    sources: Container[str],
    marked: SourceMap,
    pack: LanguagePack,
    problems: list[str],
    shapes: Shapes,
) -> Iterator[tuple[str, tuple[Stage, Common]]]:
    for name, tree in header.stages.items():
        key: tuple[Of, str] = ("stages", name)
        if not NAME.match(name) or name in sources:
            problems.append(marked.said(key, "a source has that name" if name in sources else NO_NAME))
            continue
        wrong: list[str] = []
        built = _built(key, tree, Common, marked, pack, wrong)
        if built is not None and built[1].enabled:
            try:  # what the code of others says of itself is asked here first
                built[0].signals()
                built[0].identity()
            except (StageError, UnknownValue) as error:
                wrong.append(f"{marked.where(*key)}: stages.{error}")
        if wrong and is_unchanged(tree, shapes.get(name), Common):  # its kind, or what that needs, is gone since
            built = gone_stage(name, shapes[name], pack), common_keys(Common, tree)
        else:
            problems += wrong
        if built is not None and built[1].enabled:
            yield name, built


def _built(
    key: tuple[Of, str],
    tree: Mapping[str, Any],
    keys: type[C],
    marked: SourceMap,
    pack: LanguagePack,
    problems: list[str],
) -> tuple[Any, C] | None:
    """A stage or source as it is declared, and the keys that every kind takes; None, with one sentence per mistake added to
    `problems`."""
    of, name = key
    use = marked.texts.get((*key, "use"), tree.get("use"))
    try:
        if use is None:
            raise NoKind(f"is missing; {expected('', names(of))}")
        kind = find(of, str(use))
    except NoKind as error:
        problems.append(f"{marked.where(*key)}: {'.'.join(key)}.use: {error}")
        return None
    own, settings = keys.model_fields, kind.Settings.model_fields
    choices = sorted({*own, *settings} - {"use"})
    for extra in (k for k in tree if k not in own and k not in settings):
        text = f"unknown key for kind '{use}'; {expected(extra, choices)}"
        problems.append(marked.said((*key, extra), text))
    common = _validated(keys, {k: v for k, v in tree.items() if k in own}, marked, key, problems)
    locate(marked.tree[of][name], kind.Settings, key, marked)
    chosen = {k: v for k, v in marked.tree[of][name].items() if k not in own and k in settings}
    made = _validated(kind.Settings, chosen, marked, key, problems)
    if common is None or made is None:
        return None
    return kind(name=name, settings=made, pack=pack), common
