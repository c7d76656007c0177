"""The selection language: `keep` clauses and `repeat` expressions over signals, compiled for polars.

A clause is an SQL boolean over signals. Bare names are the stage's own, dotted names any ancestor's. A conjunction is
split at its top-level ANDs so that each reason for a drop has a name, a value and a threshold of its own. A clause
that is null (a signal without a value) does not keep.

Beyond SQL over one row there are, each deterministic whatever the partitions and workers:

- `score >= quantile(0.7)`, `quantile(0.7, by = domain.label)`, `quantile(a + b, 0.7)`, `mean(x)`, `std(x)`: statistics
  of the documents that the stage sees, before any of its clauses. Without an expression, of what it is compared with.
- `top 30% of tokens by quality.score per domain.label`, `top 1000000 documents by score`, with `temperature 0.5` after
  QuRating's sampling (https://arxiv.org/abs/2402.09739, section 3.2: scores made z-scores, divided by the temperature,
  with Gumbel noise). The weights are `documents`, `tokens`, `bytes` or a numeric signal. A clause of its own.
- `sample(0.1)`, `uniform()`, `gumbel()`: numbers that a hash of seed, clause name and document id draws.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa

from winnow.pipelines.selection.balanced import check_size
from winnow.pipelines.selection.clause import Clause, ClauseError
from winnow.pipelines.selection.compiler import Compiler
from winnow.pipelines.selection.tokens import OURS, Token, conjuncts, tokens_of
from winnow.pipelines.selection.verdict import MULTIPLICITY

NAME = re.compile(r"\w[\w-]*\Z")

CLAUSES_LIMIT = 1_000
"""Clauses of a stage: each is evaluated, counted and shown by itself."""


def compile_clauses(
    stage: str, keep: Mapping[str, str] | str, known: Mapping[str, pa.DataType], tokens: str | None = None
) -> list[Clause]:
    """The clauses of one stage. `known`: dotted name -> type of every signal it may use; `tokens`: the signal that counts
    a document's tokens. Raises ClauseError."""
    named: list[tuple[str, list[Token], str]] = []
    if isinstance(keep, str):
        used: dict[str, int] = {MULTIPLICITY: 1}  # whatever drops for that has the name
        for group in conjuncts(stage, _read(stage, keep)):
            first = next((t.text.rpartition(".")[2] for t in group if t.is_signal), "keep")
            if group[0].word == "top" and len(group) > 1:
                first = "top"
            elif group[0].kind == "call" and group[0].word in OURS:
                first = group[0].word
            used[first] = used.get(first, 0) + 1
            text = keep.strip()[group[0].start : group[-1].end]
            named.append((first if used[first] == 1 else f"{first}_{used[first]}", group, text))
    else:
        for name, text in keep.items():
            if not NAME.match(name):
                raise ClauseError(f"{stage}.keep: clause name {name!r}: expected letters, digits, '_' and '-'")
            if name == MULTIPLICITY:
                raise ClauseError(
                    f"{stage}.keep: '{name}' is what a document is dropped by that is repeated less than once; "
                    "expected another name"
                )
            named.append((name, _read(f"{stage}.{name}", text), text.strip()))
    if len(named) > CLAUSES_LIMIT:
        raise ClauseError(f"{stage}.keep: {len(named):,} clauses; expected at most {CLAUSES_LIMIT:,}")
    return [Compiler(stage, name, text, known, tokens).clause(group) for name, group, text in named]


def compile_repeat(stage: str, text: str, known: Mapping[str, pa.DataType]) -> Clause:
    """A `repeat` expression: a number over signals. Raises ClauseError."""
    return Compiler(stage, "repeat", text.strip(), known, None, "repeat").number(_read(f"{stage}.repeat", text))


def _read(where: str, text: str) -> list[Token]:
    tokens = tokens_of(where, text)
    check_size(where, tokens)
    return tokens
