"""What a compiled clause is: an SQL boolean over signals, and the statistics of the whole stage that it compares with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

UNIFORM, GUMBEL = "@uniform", "@gumbel"
"""Columns of a clause that draws: random numbers of the document, hash-seeded by its id and the clause's name."""

BYTES = "@bytes"
"""The weight of a document in bytes of its text, as a column."""

SHOWN = 200
"""Characters of a clause that a sentence or a record shows."""


def shortened(text: str) -> str:
    """A clause as it is shown."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 4].rstrip()} ..."


class ClauseError(ValueError):
    """A clause that cannot be used: one sentence saying what is wrong and the nearest valid choice."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A figure over all documents that a stage sees, before any clause of that stage; one for each value of `by`.

    - `quantile`  the smallest value v with F(v) >= `amount`
    - `mean`, `std`  of the population
    - `top`  the documents of highest `key` that together have at most `amount` of the `weight` (a share of the
      population's, or absolute); equal keys are taken in the order of the documents' hashes

    Documents without a key do not count. `key` may hold the columns of statistics that stand before it in the clause.
    """

    kind: Literal["quantile", "mean", "std", "top"]
    column: str  # where the clause finds it: the statistic of the row's group; for `top` whether the row is in it
    key: str  # SQL over quoted columns
    by: str | None
    amount: float = 0.0
    share: bool = True
    weight: str | None = None  # dotted signal; None counts documents
    text: str = ""
    dtype: str = "float64"  # of the key: float32, float64, int32 or int64

    @property
    def expr(self) -> pl.Expr:
        """The key, in its type."""
        return compiled(self.key).cast(_TYPES[self.dtype])


@dataclass(frozen=True, slots=True)
class Clause:
    """One reason to drop: `sql` must hold. `signal` is the one whose value is recorded, None for several."""

    name: str  # dotted: rules.too_short
    sql: str  # with quoted columns, for polars
    text: str  # as written
    signals: tuple[str, ...]
    signal: str | None
    threshold: str
    statistics: tuple[Statistic, ...] = ()
    draws: bool = False  # reads random columns
    operator: str | None = None  # the comparison of one numeric signal with one number, and that number
    number: float | None = None

    def expr(self) -> pl.Expr:
        """True where the clause keeps; never null."""
        return compiled(self.sql).fill_null(False)

    def value(self) -> pl.Expr:
        """The value that is recorded with a drop, as text."""
        if self.signal is not None:
            return pl.col(self.signal).cast(pl.String)
        parts = [pl.format(f"{name}={{}}", pl.col(name).cast(pl.String).fill_null("null")) for name in self.signals]
        return pl.concat_str(parts, separator=", ") if parts else pl.lit("")


def compiled(sql: str) -> pl.Expr:
    """The polars expression. In brackets, or polars takes a word after the end for a name to give it and goes on."""
    return pl.sql_expr(f"({sql})")


_TYPES = {"float32": pl.Float32, "float64": pl.Float64, "int32": pl.Int32, "int64": pl.Int64}
