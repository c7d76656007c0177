"""`winnow describe`: every kind that a declaration may name, from what its class says of itself; docs/kinds.md is made of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from winnow.filters.languages import language_pack
from winnow.identity import Execution, OfCorpus, name_of
from winnow.nearest import expected
from winnow.stages.base import Settings, StageError
from winnow.stages.registry import CONTRACTS, NoKind, Of, find, imported, names

TITLES: dict[Of, str] = {"sources": "Sources", "stages": "Stages", "solvers": "Mixture solvers"}

PAGE = """# Kinds

What a declaration may name under `use:` (and a mixture under `solver:`). Made by `winnow describe --all > docs/kinds.md` from the code.
*Identity* says what a changed setting does: nothing is said of those that change what is measured; `selection` changes only what is
kept, or how work is done; `corpus` changes only what all documents together are told.
"""


def page() -> str:
    """Every kind of ours as Markdown."""
    parts = [PAGE]
    for of, title in TITLES.items():
        ours = [kind for name in names(of) if (kind := find(of, name)).__module__.startswith("winnow.")]
        parts += [f"## {title}\n", *("\n".join(_kind(of, kind, "###")) for kind in ours)]
    return "\n".join(parts)


def listed() -> str:
    """The names of the kinds, each with its first sentence."""
    lines: list[str] = []
    for of, title in TITLES.items():
        lines.append(f"{title}:")
        found = {name: find(of, name) for name in names(of)}
        width = max(map(len, found))
        lines += [f"  {name:{width}}  {_first(kind)}" for name, kind in found.items()]
    return "\n".join([*lines, "winnow describe KIND says more; docs/extending.md, how to add one", ""])


def described(use: str) -> str:
    """One kind as Markdown. Raises NoKind."""
    every = [name for of in TITLES for name in names(of)]
    if ":" not in use and use not in every:
        raise NoKind(f"'{use}' is not a kind; {expected(use, sorted(set(every)))}")
    refused = NoKind()
    for of, (_, contract) in CONTRACTS.items():
        try:
            return "\n".join(_kind(of, find(of, use), "#"))
        except NoKind as error:
            other = isinstance(imported(use), type) and issubclass(imported(use), contract) if ":" in use else False
            refused = error if other or not refused.args else refused
    raise refused


def _kind(of: Of, kind: type[Any], heading: str) -> Iterator[str]:
    yield f"{heading} `{kind.kind}`\n"
    module = inspect.getmodule(kind)
    for text in (module.__doc__ if module else None, kind.__doc__):
        if text:
            yield inspect.cleandoc(text) + "\n"
    yield f"{_said(of, kind)}Version {kind.version}, `{name_of(kind)}`.\n"
    fields = kind.Settings.model_fields
    if fields:
        if (about := kind.Settings.__doc__) and kind.Settings is not Settings:
            yield inspect.cleandoc(about) + "\n"
        yield "| setting | default | identity | |\n|---|---|---|---|"
        for name, field in fields.items():
            yield from _setting(name, field)
        yield ""
    if of == "stages":
        yield from _signals(kind)


def _said(of: Of, kind: type[Any]) -> str:
    if of != "stages":
        return ""
    made = ""
    if not isinstance(kind.outputs, property):
        on = [name for name in kind.outputs.__dataclass_fields__ if getattr(kind.outputs, name)]
        made = f"; outputs: {', '.join(on)}" if on else ""
    return f"Sees {kind.sees}{made}. "


def _setting(name: str, field: FieldInfo, inside: str = "") -> Iterator[str]:
    default = "required" if field.is_required() else _default(field)
    marks = {Execution: "selection", OfCorpus: "corpus"}
    mark = next((marks[type(m)] for m in field.metadata if type(m) in marks), "")
    said = " ".join((field.description or "").split()).replace("|", "\\|")
    yield f"| `{inside}{name}` | {default} | {mark} | {said} |"
    for model in _models(field.annotation):
        for below, one in model.model_fields.items():
            yield from _setting(below, one, f"{inside}{name}.")


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None or isinstance(value, BaseModel):
        return ""
    if isinstance(value, (list, tuple)):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for one in get_args(annotation):
        yield from _models(one)


def _signals(kind: type[Any]) -> Iterator[str]:
    """Signals and clauses as its default settings have them in English, where it needs none."""
    required = any(field.is_required() for field in kind.Settings.model_fields.values())
    settings = kind.Settings.model_construct() if required else kind.Settings()
    stage = kind(name=kind.kind, settings=settings, pack=language_pack("en"))
    try:
        signals, clauses = stage.signals(), stage.clauses()
    except (StageError, AttributeError):
        return
    yield f"Signals: {', '.join(f'`{name}` ({type_})' for name, type_ in signals.items())}.\n"
    if clauses:
        yield f"Default clauses (English): {', '.join(f'{name}: `{text}`' for name, text in clauses.items())}.\n"


def _first(kind: type[Any]) -> str:
    """The first sentence of a kind's file, without the name that it begins with."""
    module = inspect.getmodule(kind)
    text = " ".join(inspect.cleandoc((module and module.__doc__) or kind.__doc__ or "").partition("\n\n")[0].split())
    text = re.sub(r"^`(?:use: |solver: )?\w+`: ", "", text)
    return re.split(r"(?<=[\w)`?])[.;:?](?: |$)", text, maxsplit=1)[0]
