"""Stages and sources of a finished run whose kind is not there any more: what they measured can still be read and chosen by.

A run keeps of each of its stages what reading its results takes (`shape`): what it saw and made, and the columns and clauses
that it had. Nothing can be measured with a stage that is made of that alone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NoReturn, TypeVar, cast

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from winnow.filters.languages import LanguagePack
from winnow.identity import name_of
from winnow.stages.base import Group, NoClauses, Outputs, Stage, StageError
from winnow.stages.source import Source

M = TypeVar("M", bound=BaseModel)

COLUMNS = ("signals", "hidden")
SAID = ("sees", "guards", "version")
"""What a class says of its stages."""


class Kept(BaseModel):
    """Settings as a run recorded them."""

    model_config = ConfigDict(extra="allow", frozen=True)


def shape(stage: Stage | Source, tree: Mapping[str, Any]) -> dict[str, Any]:
    """What a run keeps of a stage or source beside its facts. `tree`: its part of the declaration. JSON-able."""
    said = {name: getattr(stage, name) for name in SAID if hasattr(stage, name)}
    out: dict[str, Any] = {name: sorted(v) if isinstance(v, frozenset) else v for name, v in said.items()}
    out |= {"kind": name_of(type(stage)), "settings": stage.settings.model_dump(mode="json"), "tree": dict(tree)}
    if isinstance(stage, Source):
        return out | {"gives": stage.gives}
    try:
        clauses: list[list[str]] | None = [[k, v] for k, v in stage.clauses().items()]  # their order is meant
    except NoClauses:
        clauses = None
    return out | {
        "outputs": asdict(stage.outputs),
        "clauses": clauses,
        "reads": stage.reads(),
        "columns": {name: _packed(getattr(stage, name)()) for name in COLUMNS},
        "groups": {name: [group.version, _packed(group.columns)] for name, group in stage.groups().items()},
    }


def common_keys(model: type[M], tree: Mapping[str, Any]) -> M:
    """The keys of a stage or source that are not its kind's own."""
    return model.model_validate({key: value for key, value in tree.items() if key in model.model_fields})


def is_unchanged(tree: Mapping[str, Any], was: Mapping[str, Any] | None, common: type[BaseModel]) -> bool:
    """Whether a stage or source is declared as it was in a run, apart from the keys that every kind takes."""

    def own(tree: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in tree.items() if key == "use" or key not in common.model_fields}

    return was is not None and own(was["tree"]) == own(tree)


def gone_stage(name: str, kept: Mapping[str, Any], pack: LanguagePack) -> Stage:
    """A stage of a kind that is not there, from its shape."""

    def clauses(self: Stage) -> dict[str, str]:
        if kept["clauses"] is None:
            raise NoClauses(f"{name}: kind '{kept['kind']}' is not there any more and had no clauses of its own")
        return dict(kept["clauses"])

    columns = {column: _unpacked(types) for column, types in kept["columns"].items()}
    groups = {group: Group(version, _unpacked(types)) for group, (version, types) in kept["groups"].items()}
    body: dict[str, Any] = {column: lambda self, types=types: dict(types) for column, types in columns.items()}
    body |= {"clauses": clauses, "groups": lambda self: dict(groups), "reads": lambda self: list(kept["reads"])}
    body |= {"outputs": Outputs(**kept["outputs"])}
    return cast("Stage", _gone(Stage, name, kept, pack, ("artifacts", "highlight", "open"), body))


def gone_source(name: str, kept: Mapping[str, Any], pack: LanguagePack) -> Source:
    """A source of a kind that is not there, from its shape."""
    body = {"gives": property(lambda self: kept["gives"])}
    return cast("Source", _gone(Source, name, kept, pack, ("segments", "inputs"), body))


def _gone(
    base: type, name: str, kept: Mapping[str, Any], pack: LanguagePack, lost: Sequence[str], body: Mapping[str, Any]
) -> Any:
    """A stage or source with these attributes, without the methods that its kind alone knew."""

    def refused(self: object, *_: Any) -> NoReturn:
        raise StageError(
            f"{name}: kind '{kept['kind']}' is not there any more, so nothing can be measured or read anew with it; what is "
            "stored can be inspected, selected and published"
        )

    said = {key: kept[key] for key in SAID if key in kept} | {"guards": tuple(kept.get("guards", ()))}
    known = {"__slots__": (), "kind": kept["kind"], "Settings": Kept, **said, **dict.fromkeys(lost, refused), **body}
    return type("Gone", (base,), known)(name=name, settings=Kept(**kept["settings"]), pack=pack)


def _packed(types: Mapping[str, pa.DataType]) -> str:
    return base64.b64encode(pa.schema(list(types.items())).serialize().to_pybytes()).decode()


def _unpacked(packed: str) -> dict[str, pa.DataType]:
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(packed)))
    return {field.name: field.type for field in schema}
