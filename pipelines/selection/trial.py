"""Clauses tried on one row, so that wrong types are found before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import polars as pl
import pyarrow as pa

from winnow.pipelines.selection.clause import GUMBEL, UNIFORM, Clause, ClauseError, compiled, shortened
from winnow.pipelines.selection.tokens import TOKEN


def tried(clause: Clause, known: Mapping[str, pa.DataType], expected: type[pl.DataType]) -> Clause:
    """The clause with the types of its statistics. `expected`: Boolean, or Float64 for any number. Raises ClauseError."""
    return _tried(clause, tuple((signal, known[signal]) for signal in clause.signals if signal in known), expected)


@lru_cache(maxsize=4096)  # a command checks the declaration of a run more than once
def _tried(clause: Clause, types: tuple[tuple[str, pa.DataType], ...], expected: type[pl.DataType]) -> Clause:
    known, statistics = dict(types), []
    frame = pl.DataFrame({s: pl.from_arrow(pa.nulls(1, known[s])) for s in clause.signals if s in known} or {"_": [0]})
    frame = frame.with_columns(
        pl.col(c).fill_null(pl.lit("") if t == pl.String else pl.lit(False) if t == pl.Boolean else pl.lit(0).cast(t))
        for c, t in frame.schema.items()
    )
    frame = frame.with_columns(pl.lit(0.5).alias(f"{noise} {clause.name}") for noise in (UNIFORM, GUMBEL))
    for statistic in clause.statistics:
        result = _dtype(clause, statistic.key, frame, known)
        if not result.is_numeric():
            raise ClauseError(
                f"{clause.name}: {statistic.text} is {result}; expected a number ({_types(clause, known)})"
            )
        statistics.append(replace(statistic, dtype=_key_type(result)))
        frame = frame.with_columns(pl.lit(True if statistic.kind == "top" else 0.5).alias(statistic.column))
    result = _dtype(clause, clause.sql, frame, known)
    boolean = expected is pl.Boolean
    if not (result == pl.Boolean if boolean else result.is_numeric()):
        what = f"{'clause ' * boolean}{shortened(clause.text)!r} gives {result}"
        wanted = "boolean" if boolean else "number"
        raise ClauseError(f"{clause.name}: {what}; expected a {wanted} ({_types(clause, known)})")
    return replace(clause, statistics=tuple(statistics))


def _key_type(dtype: pl.DataType) -> str:
    if dtype.is_float():
        return "float32" if dtype == pl.Float32 else "float64"
    return "int32" if dtype in (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16) else "int64"


def _dtype(clause: Clause, sql: str, frame: pl.DataFrame, known: Mapping[str, pa.DataType]) -> pl.DataType:
    # polars 2.1 compares a text with 0.5 as if it were '0.5', and refuses to with 1
    whole = " ".join("1" if m["number"] else m[0].strip() for m in TOKEN.finditer(sql))
    try:
        frame.select(compiled(whole))
        return frame.select(compiled(sql).alias("value")).get_column("value").dtype
    except (pl.exceptions.PolarsError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ClauseError(
            f"{clause.name}: clause {shortened(clause.text)!r} cannot be evaluated ({_types(clause, known)}): {reason}"
        ) from error


def _types(clause: Clause, known: Mapping[str, pa.DataType]) -> str:
    return ", ".join(f"{s} is {known[s]}" for s in clause.signals if s in known)
