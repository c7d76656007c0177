"""`use: function`: a plain Python function as a stage.

    long:   {use: function, function: my_package.rules:long_enough}                      # def long_enough(text: str) -> bool
    hangul: {use: function, function: my_package.rules:hangul, keep: value >= 0.5}       # def hangul(document: Document) -> float
    words:  {use: function, function: my_package.rules:words, signals: {words: int32}}   # def words(batch: pa.RecordBatch) -> dict

What it takes is said by the annotation of its first parameter: `str` (a text), `winnow.stages.base.Document`, or
`pyarrow.RecordBatch` (columns of `DOCUMENT_SCHEMA`). What a function of one document returns is the signal `value`, of the
type that its return annotation says; a bool is what `keep` goes by unless it is given. A function of a batch returns a
mapping of columns, as long as the batch is, which `signals` declares.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Union, get_args, get_origin

import pyarrow as pa
from pydantic import Field, field_validator

from winnow.identity import code_of, modules_of
from winnow.nearest import hint
from winnow.stages.base import Artifact, Document, DocumentStage, Measurer, Settings, StageError, Types
from winnow.stages.registry import NoKind, imported

TYPES: dict[str, pa.DataType] = {
    **{
        name: getattr(pa, name)() for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    },
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}
"""Names that `signals` knows."""

RETURNED = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
"""Annotations of what a function of one document returns; each also `| None`."""

VALUE = "value"


class FunctionSettings(Settings):
    function: str = Field(pattern=r"^[\w.]+:[\w.]+$")
    """`package.module:name` of the function."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments that it is called with, beside the document or the batch."""
    signals: dict[str, str] = Field(default_factory=dict)
    """Name -> type of the columns that a function of a batch returns: int32, float32, bool, string and their kin."""

    @field_validator("signals")
    @classmethod
    def _known(cls, signals: dict[str, str]) -> dict[str, str]:
        for name, kind in signals.items():
            if kind not in TYPES:
                raise ValueError(
                    f"no type '{kind}' (of '{name}'): expected one of {', '.join(TYPES)}{hint(kind, TYPES)}"
                )
            if not name.isidentifier() or name.startswith("_") or name == "error":
                raise ValueError(
                    f"'{name}' is no name of a signal: expected letters, digits and underscores, not 'error'"
                )
        return signals


class Function(DocumentStage):
    """What a function says of a text, a document or a batch. Where a function of one document raises, that row fails with what
    it raised; where one of a batch does, the run stops. Its code is part of the stage's identity."""

    __slots__ = ()
    kind = "function"
    version = 1
    Settings = FunctionSettings

    def identity(self, measured: bool = False) -> dict[str, Any]:
        return super().identity(measured) | {"code": code_of(self._function().call)}

    def modules(self) -> set[str]:
        return modules_of(self._function().call)

    def signals(self) -> Types:
        """`value`, or what `signals` declares."""
        returned = self._function().returns
        return {VALUE: returned} if returned is not None else {n: TYPES[k] for n, k in self.settings.signals.items()}

    def clauses(self) -> dict[str, str]:
        return {self._function().call.__name__: VALUE} if self._function().returns == pa.bool_() else {}

    def artifacts(self) -> list[Artifact]:
        self._function()
        return []

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Measurer:
        return Calls(self, self._function())

    def _function(self) -> Signature:
        """Raises StageError where there is no such function, or nobody can tell what it takes and returns."""
        settings: FunctionSettings = self.settings
        try:
            found = signature(settings.function)
        except NoKind as error:
            raise StageError(f"{self.name}: function {error}") from error
        try:
            found.bind(settings.arguments)
        except TypeError as error:
            raise StageError(f"{self.name}: function '{settings.function}': arguments: {error}") from error
        if found.takes == "batch" and not settings.signals:
            raise StageError(
                f"{self.name}: function '{settings.function}' takes a batch: expected signals: with the name and type of each "
                "column that it returns, such as {words: int32}"
            )
        if found.takes != "batch" and settings.signals:
            raise StageError(
                f"{self.name}: function '{settings.function}' takes one {found.takes} and returns the signal '{VALUE}': expected "
                "no signals, or a first parameter annotated with pyarrow.RecordBatch"
            )
        return found


class Signature:
    """A function, what it takes ('text', 'document' or 'batch') and the type that it returns of one document."""

    def __init__(self, call: Callable[..., Any], takes: str, returns: pa.DataType | None) -> None:
        self.call, self.takes, self.returns = call, takes, returns

    def bind(self, arguments: Mapping[str, Any]) -> None:
        """Raises TypeError where it cannot be called with these."""
        inspect.signature(self.call).bind(None, **arguments)


class Calls:
    """A function that is called for batches of documents."""

    def __init__(self, stage: Function, function: Signature) -> None:
        self.stage, self.function = stage, function

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        """The function's columns, and `error` where it is called for each document."""
        settings: FunctionSettings = self.stage.settings
        call, arguments, takes = self.function.call, settings.arguments, self.function.takes
        if takes == "batch":
            try:
                returned = call(documents, **arguments)
            except Exception as error:
                raise StageError(
                    f"{self.stage.name}: '{settings.function}': {type(error).__name__}: {error}"
                ) from error
            return self._columns(documents, returned)
        rows = documents.column("text").to_pylist() if takes == "text" else map(Document.of, documents.to_pylist())
        values: list[Any] = []
        errors: list[str | None] = []
        for row in rows:
            try:
                values.append(call(row, **arguments))
                errors.append(None)
            except (
                Exception
            ) as error:  # whatever its author's code raises is the fate of that row alone, with its cause
                values.append(None)
                errors.append(f"{settings.function}: {type(error).__name__}: {error}")
        return self._batch({VALUE: values}) if not any(errors) else self._batch({VALUE: values}, errors)

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """A function names no stretches."""
        return []

    def _columns(self, documents: pa.RecordBatch, returned: Any) -> pa.RecordBatch:
        of = self.stage.settings.function
        if isinstance(returned, pa.RecordBatch | pa.Table):
            returned = {name: returned.column(name) for name in returned.schema.names}
        if not isinstance(returned, Mapping):
            raise StageError(
                f"{self.stage.name}: '{of}' returned a {type(returned).__name__}: expected a mapping of columns"
            )
        for name in self.stage.signals():
            if name not in returned:
                raise StageError(
                    f"{self.stage.name}: '{of}' returned no column '{name}'{hint(name, map(str, returned))}"
                )
            if len(returned[name]) != documents.num_rows:
                raise StageError(
                    f"{self.stage.name}: '{of}' returned {len(returned[name])} values of '{name}' for {documents.num_rows} documents"
                )
        return self._batch(returned)

    def _batch(self, columns: Mapping[str, Any], errors: list[str | None] | None = None) -> pa.RecordBatch:
        found: dict[str, Any] = {}
        for name, kind in self.stage.signals().items():
            values = columns[name]
            try:
                if isinstance(values, pa.ChunkedArray):
                    values = values.combine_chunks()
                elif hasattr(values, "to_arrow"):  # polars
                    values = values.to_arrow()
                found[name] = values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                said = " ".join(str(error).split())
                raise StageError(
                    f"{self.stage.name}: '{self.stage.settings.function}': '{name}' is no {kind}: {said}"
                ) from error
        return pa.record_batch(found | ({"error": pa.array(errors, pa.string())} if errors else {}))


@lru_cache(maxsize=64)
def signature(use: str) -> Signature:
    """The function that `package.module:name` stands for. Raises NoKind."""
    call = imported(use)
    if not callable(call) or inspect.isclass(call):
        raise NoKind(f"'{use}' is a {type(call).__name__}: expected a function")
    try:
        annotations = typing.get_type_hints(call)
    except Exception as error:  # annotations are its author's code
        raise NoKind(f"'{use}': its annotations cannot be read: {type(error).__name__}: {error}") from error
    parameters = list(inspect.signature(call).parameters)
    first = annotations.get(parameters[0]) if parameters else None
    takes = {str: "text", Document: "document", pa.RecordBatch: "batch"}.get(first)
    if takes is None:
        raise NoKind(
            f"'{use}': expected a first parameter annotated with str (a text), winnow.stages.base.Document or pyarrow.RecordBatch"
        )
    if takes == "batch":
        return Signature(call, takes, None)
    said = annotations.get("return")
    returns = RETURNED.get(_without_none(said))
    if returns is None:
        raise NoKind(f"'{use}': expected a return annotation of bool, int, float or str (or one of those | None)")
    return Signature(call, takes, returns)


def _without_none(said: Any) -> Any:
    if get_origin(said) in (Union, types.UnionType):
        rest = [one for one in get_args(said) if one is not type(None)]
        return rest[0] if len(rest) == 1 else None
    return said


KIND = Function
