"""Opening a stage where it is to work: once per process, on the very artifacts that the run was planned with.

What a name stands for may change between plan and work: a branch on the hub moves, a file is written anew. Results are filed
under the planned digests, so what finds another content must not measure with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from winnow.identity import file_name, identity, name_of
from winnow.stages.base import Measurer, Stage, StageError

KEPT = 32
"""Opened stages that a process keeps."""

_OPENED: OrderedDict[bytes, Any] = OrderedDict()


def opened(stage: Stage, planned: Mapping[str, str] | None = None, groups: Collection[str] | None = None) -> Any:
    """What a stage's `open` gives. `planned`: name -> digest of the artifacts that the run was planned with; None where those
    that there are now are meant. Raises StageError where an artifact is not there or another one."""
    artifacts = stage.artifacts() if planned is None else None
    digests = {file_name(a.name): a.digest for a in artifacts} if artifacts is not None else dict(planned or {})
    settings = stage.settings.model_dump(mode="json")
    said = [name_of(type(stage)), stage.name, settings, identity(stage.pack), digests, groups and sorted(groups)]
    key = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    if key not in _OPENED:
        found = artifacts if artifacts is not None else stage.artifacts()
        for artifact in found:
            before = digests.get(file_name(artifact.name))
            if before != artifact.digest:
                was = (
                    f"planned with sha256 {before[:12]}, here it is {artifact.digest[:12]}"
                    if before
                    else "not there before"
                )
                raise StageError(
                    f"{stage.name}: '{artifact.name}' changed during the run: {was}; run again, or name a fixed one "
                    "(hub:owner/repo/file@commit)"
                )
        _OPENED[key] = stage.open(found, groups)
        while len(_OPENED) > KEPT:
            _OPENED.popitem(last=False)
    _OPENED.move_to_end(key)
    return _OPENED[key]


def measured(
    stage: Stage, measurer: Measurer, rows: Sequence[Any] | pa.RecordBatch, columns: Mapping[str, pa.DataType]
) -> pa.RecordBatch:
    """What an opened stage measures on pages or documents: these columns of these types, and `error` (null where a row did not
    fail). Raises StageError where it gives others than it said, naming the kind."""
    wanted = rows.num_rows if isinstance(rows, pa.RecordBatch) else len(rows)
    who = f"{stage.name}: kind '{name_of(type(stage))}'"
    try:
        given = measurer.measure(rows)
    except (StageError, MemoryError):
        raise
    except Exception as error:
        if type(stage).__module__.startswith("winnow."):
            raise  # its traceback is for us
        raise StageError(f"{who}: {type(error).__name__}: {error}") from error
    if given.num_rows != wanted:
        raise StageError(f"{who} gave {given.num_rows} rows for {wanted}")
    found: dict[str, pa.Array] = {}
    for name, kind in columns.items():
        if name not in given.schema.names:
            raise StageError(
                f"{who} gave no column '{name}', which it declares: it gave {', '.join(given.schema.names) or 'none'}"
            )
        try:
            found[name] = given.column(name).cast(kind)
        except pa.ArrowException as error:
            raise StageError(
                f"{who} gave '{name}' as {given.column(name).type}, declared as {kind}: {error}"
            ) from error
    errors = given.column("error").cast(pa.string()) if "error" in given.schema.names else pa.nulls(wanted, pa.string())
    return pa.RecordBatch.from_arrays([*found.values(), errors], [*found, "error"])
