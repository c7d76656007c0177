"""Guards: conditions on the figures of a stage or source that stop a run before it goes on with a corpus that is wrong.

A guard is an SQL boolean over `rows`, `kept`, `dropped`, `failed` (rows of the stage), `drop`, `fail` (their shares of
`rows`), and `kept_documents`, `kept_tokens` (of the finished selection; of this source, for a source's guard). Those
without the last two are looked at as soon as the stage has decided, the others when the selection is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from winnow.pipelines.selection.clause import Clause, ClauseError
from winnow.pipelines.selection.language import compile_clauses

FIGURES = {name: pa.int64() for name in ("rows", "kept", "dropped", "failed")} | {
    "drop": pa.float64(),
    "fail": pa.float64(),
}
FINAL = {"kept_documents": pa.int64(), "kept_tokens": pa.int64()}

CHOOSING = ("kept > 0 or rows < 20",)
"""The guard of a stage that is asked for a share of the documents, however small."""


class GuardError(ValueError):
    """A guard that cannot be read: one sentence."""


@dataclass(frozen=True, slots=True)
class Guard:
    """One condition. `final`: it needs the finished selection."""

    text: str
    clause: Clause
    final: bool

    def holds(self, figures: Mapping[str, float]) -> bool:
        """Whether it holds for the figures of an account."""
        row = {f"guard.{name}": [value] for name, value in figures.items()}
        return bool(pl.DataFrame(row).select(self.clause.expr()).item())


def compile_guards(guards: str | Sequence[str]) -> tuple[Guard, ...]:
    """The guards of a stage or source. Raises GuardError."""
    known = {f"guard.{name}": kind for name, kind in (FIGURES | FINAL).items()}
    out = []
    for text in [guards] if isinstance(guards, str) else guards:
        try:
            (clause,) = compile_clauses("guard", {"condition": text}, known)
        except ClauseError as error:
            raise GuardError(str(error).replace("guard.keep: clause 'condition' uses signal", "uses")) from None
        if clause.statistics or clause.draws:
            raise GuardError(f"'{text}': a guard is about figures; quantiles and draws are of documents")
        final = any(name.partition(".")[2] in FINAL for name in clause.signals)
        out.append(Guard(text, clause, final))
    return tuple(out)


def figures(account: Mapping[str, Any]) -> dict[str, float]:
    """The figures of one account (in, kept, failed, dropped by clause)."""
    rows, dropped = account["in"], sum(account["dropped"].values())
    return {
        "rows": rows,
        "kept": account["kept"],
        "dropped": dropped,
        "failed": account["failed"],
        "drop": dropped / rows if rows else 0.0,
        "fail": account["failed"] / rows if rows else 0.0,
    }
