"""`use: datatrove`: any filter of datatrove, or one of your own that is written for it, in a pipeline of ours.

    gopher: {use: datatrove, filter: GopherQualityFilter, settings: {min_doc_words: 20}}
    mine:   {use: datatrove, filter: my_package.filters:MyFilter}

The filter is asked of each document with its text, id, and url, date, source and title as metadata. Every reason that it
can give for a drop (`return False, "reason"`) is a clause of that name, in the order that they are written in; `filtered`
has whatever it drops without one. A setting of the filter is part of what is measured, so that changing one asks it anew.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import json
import re
import textwrap
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pyarrow as pa
from pydantic import Field

from winnow.filters.edits import Edit, column
from winnow.identity import code_of, modules_of
from winnow.nearest import expected
from winnow.stages.base import EDITED, Artifact, DocumentStage, Measurer, Outputs, Settings, StageError, Types
from winnow.stages.registry import NoKind, imported

FILTERS = "datatrove.pipeline.filters"

STATEFUL = {"SamplerFilter": "write keep: sample(0.5) instead"}
"""Filters that decide by what they saw before, so that nobody could say what a document's own fate is."""


class DatatroveSettings(Settings):
    filter: str = Field(pattern=r"^([\w.]+:)?\w+$")
    """A filter of `datatrove.pipeline.filters`, such as GopherQualityFilter, or `package.module:Class` of a `BaseFilter`."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """What it is constructed with. `language`, where it takes one, is the pipeline's unless given."""
    edits: bool | None = None
    """Whether it changes texts; unless given, whether its code assigns to a `text`."""


class Datatrove(DocumentStage):
    """Signals `kept`, and `reason`: what a document is dropped for, null where it is kept or no reason is given. A document
    for which the filter raises is a failed row."""

    __slots__ = ()
    kind = "datatrove"
    version = 1
    Settings = DatatroveSettings

    @property
    def outputs(self) -> Outputs:
        edits = self.settings.edits
        return Outputs(edits=changes_texts(self._class()) if edits is None else edits)

    def identity(self, measured: bool = False) -> dict[str, Any]:
        code = "" if self._class().__module__.startswith("datatrove.") else code_of(self._class())
        return super().identity(measured) | {
            "code": f"datatrove {version('datatrove')} {code}".strip(),
            "given": self._given(),
        }

    def modules(self) -> set[str]:
        return modules_of(self._class())

    def signals(self) -> Types:
        return {"kept": pa.bool_(), "reason": pa.string()}

    def clauses(self) -> dict[str, str]:
        return {**reasons(self._class()), "filtered": "kept"}

    def artifacts(self) -> list[Artifact]:
        self._filter()
        return []

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Measurer:
        return Asked(self, self._filter())

    def _class(self) -> Any:
        """The filter's class. Raises StageError."""
        use = self.settings.filter
        try:
            found = filter_class(use if ":" in use else f"{FILTERS}:{use}")
        except NoKind as error:
            raise StageError(f"{self.name}: filter {error}") from error
        if use.rpartition(":")[2] in STATEFUL:
            raise StageError(
                f"{self.name}: {use} draws from one stream for all documents: {STATEFUL[use.rpartition(':')[2]]}"
            )
        return found

    def _given(self) -> dict[str, Any]:
        takes = inspect.signature(self._class()).parameters
        language = {"language": self.pack.iso639_3} if "language" in takes else {}
        given = {**language, **self.settings.settings}
        everything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in takes.values())
        for name in given:
            if name == "exclusion_writer" or (name not in takes and not everything):
                choices = [n for n in takes if n != "exclusion_writer"]
                raise StageError(
                    f"{self.name}: {self.settings.filter} takes no setting '{name}'; {expected(name, choices)}"
                )
        return given

    def _filter(self) -> Any:
        """The filter itself, once per process. Raises StageError."""
        kind = self._class()
        try:
            return constructed(kind, json.dumps(self._given(), sort_keys=True))
        except Exception as error:  # whatever its constructor raises, and packages that it misses
            said = " ".join(str(error).split())
            raise StageError(f"{self.name}: {self.settings.filter}: {type(error).__name__}: {said}") from error


class Asked:
    """A filter that is asked of batches of documents."""

    def __init__(self, stage: Datatrove, found: Any) -> None:
        self.stage, self.filter = stage, found

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        """`kept`, `reason`, `error`, and what was edited where the stage edits."""
        from datatrove.data import Document

        rows = documents.to_pylist()
        asked = [
            Document(row["text"], row["id"], metadata={k: row[k] for k in ("url", "date", "source", "title")})
            for row in rows
        ]
        kept: list[bool | None] = []
        reasons: list[str | None] = []
        errors: list[str | None] = []
        changes: list[list[Edit]] = []
        for row, document, answer in zip(rows, asked, self._answers(asked), strict=True):
            failed = isinstance(answer, Exception)
            passed, reason = answer if isinstance(answer, tuple) else (answer, None)
            errors.append(f"{self.stage.settings.filter}: {type(answer).__name__}: {answer}" if failed else None)
            kept.append(None if failed else bool(passed))
            reasons.append(None if failed or passed or reason is None else str(reason))
            changes.append(self._changes(row, document) if kept[-1] and document.text != row["text"] else [])
        columns = {"kept": pa.array(kept, pa.bool_()), "reason": pa.array(reasons, pa.string())}
        edits = {EDITED: column(changes)} if self.stage.outputs.edits else {}
        return pa.record_batch(columns | edits | {"error": pa.array(errors, pa.string())})

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """datatrove's filters name no stretches."""
        return []

    def _answers(self, documents: list[Any]) -> list[Any]:
        """What the filter says of each document, or what it raised of it."""
        before = [document.text for document in documents]
        try:
            answers = list(self.filter.filter_batch(documents))
        except Exception:  # one of them; which one is found by asking of each
            answers = []
            for document, text in zip(documents, before, strict=True):
                document.text = text
                try:
                    answers += self.filter.filter_batch([document])
                except Exception as error:
                    answers.append(error)
        return answers

    def _changes(self, row: dict[str, Any], document: Any) -> list[Edit]:
        if not self.stage.outputs.edits:
            raise StageError(
                f"{self.stage.name}: {self.stage.settings.filter} changed the text of document '{row['id']}': set edits: true"
            )
        return list(_line_edits(row["text"], document.text, self.stage.settings.filter.rpartition(":")[2]))


@lru_cache(maxsize=64)
def filter_class(use: str) -> Any:
    """The class that `package.module:Class` stands for. Raises NoKind."""
    try:
        version("datatrove")
    except PackageNotFoundError as error:
        raise NoKind(f"'{use}' needs the package datatrove: pip install 'winnow[datatrove]'") from error
    from datatrove.pipeline.filters.base_filter import BaseFilter

    found: Any = imported(use)
    if not (inspect.isclass(found) and issubclass(found, BaseFilter)):
        raise NoKind(f"'{use}' is no filter: expected a subclass of {BaseFilter.__module__}.BaseFilter")
    if lacking := getattr(found, "__abstractmethods__", ()):
        raise NoKind(f"'{use}' does not define {', '.join(sorted(lacking))}")
    return found


@lru_cache(maxsize=16)
def constructed(kind: Any, given: str) -> Any:
    """A filter, from its settings as JSON."""
    return kind(**json.loads(given))


def changes_texts(kind: Any) -> bool:
    """Whether a filter's code assigns to the attribute `text` of something else than itself."""
    targets = [t for n in _code(kind) if isinstance(n, (ast.Assign, ast.AugAssign)) for t in getattr(n, "targets", [n])]
    targets = [t.target if isinstance(t, ast.AugAssign) else t for t in targets]
    return any(
        isinstance(t, ast.Attribute)
        and t.attr == "text"
        and not (isinstance(t.value, ast.Name) and t.value.id == "self")
        for t in targets
    )


def reasons(kind: Any) -> dict[str, str]:
    """A clause for every reason that a filter's code gives: `return False, "reason"`."""
    found: dict[str, str] = {}
    for node in _code(kind):
        pair = node.value.elts if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) else []
        if len(pair) == 2 and isinstance(pair[0], ast.Constant) and pair[0].value is False:
            for name, pattern in _patterns(pair[1]):
                clause = re.sub(r"\W+", "_", name).strip("_") or "reason"
                quoted = pattern.replace("'", "''")
                is_other = f"not like '{quoted}'" if "%" in pattern else f"!= '{quoted}'"
                found.setdefault(clause, f"reason is null or reason {is_other}")
    found.pop("filtered", None)
    return found


def _patterns(said: ast.expr) -> Iterator[tuple[str, str]]:
    """Names of the reasons that an expression may be, and SQL patterns that those match."""
    if isinstance(said, ast.Constant) and isinstance(said.value, str):
        yield said.value, said.value
    elif isinstance(said, ast.IfExp):
        yield from _patterns(said.body)
        yield from _patterns(said.orelse)
    elif isinstance(said, ast.JoinedStr):
        name = pattern = ""
        for part in said.values:
            text = str(part.value) if isinstance(part, ast.Constant) else None
            variable = ast.unparse(part.value).rpartition(".")[2] if isinstance(part, ast.FormattedValue) else ""
            name, pattern = name + (text or variable), pattern + (text or "%")
        yield name, pattern


@lru_cache(maxsize=64)
def _code(kind: Any) -> tuple[ast.stmt, ...]:
    """What a filter's class and those of its bases that are filters too are written in, in the order of the lines."""
    nodes: list[ast.stmt] = []
    for one in kind.__mro__:
        if one.__name__ == "BaseFilter":
            break
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
        except (
            OSError,
            TypeError,
            SyntaxError,
        ):  # not written in a file: its reasons are not known before it gives them
            continue
        nodes += sorted((n for n in ast.walk(tree) if isinstance(n, ast.stmt)), key=lambda n: n.lineno)
    return tuple(nodes)


def _line_edits(before: str, after: str, rule: str) -> Iterator[Edit]:
    """What makes one text of another, by lines."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    starts = [0]
    for line in old:
        starts.append(starts[-1] + len(line))
    for said, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if said != "equal":
            yield Edit(starts[i], starts[j], "".join(new[k:m]), rule)


KIND = Datatrove
