"""Statistics that clauses compare documents with: asked of every partition in passes, told once, applied to rows.

A pass sends `Question`s to the partitions, each answers with `Counts` for the documents that the stage sees and has
measured, and the counts add up in any order. When a statistic is told, those whose keys hold it can be asked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from winnow.filters.cells import Cells, labelled, ungrouped
from winnow.filters.moments import Moments, Sums, sums
from winnow.filters.ranks import Quantiles, State, Top, histogram
from winnow.filters.thresholds import Boundaries, Thresholds
from winnow.pipelines.selection.clause import Clause, Statistic

if TYPE_CHECKING:
    from winnow.pipelines.graph import Node
    from winnow.pipelines.view import View

Search = Quantiles | Top
Counts = Cells | Sums
POPULATION_BYTES = 2**26
"""What is remembered of populations in a process, at a bit per document."""

_POPULATIONS: OrderedDict[tuple[str, str, str], npt.NDArray[np.uint8]] = OrderedDict()
_LOCK = Lock()

Hashes = Callable[[str], npt.NDArray[np.uint64]]
"""From a salt to one hash per row."""


@dataclass(frozen=True, slots=True)
class Told:
    """A statistic's figures, one per group."""

    kind: str
    figures: Thresholds | Boundaries | Moments

    def json(self) -> dict[str, Any]:
        """What `restore` reads."""
        return {"kind": self.kind, **self.figures.json()}

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> Told:
        """The inverse of `json`."""
        kind = str(saved["kind"])
        of = {"top": Boundaries.of, "quantile": Thresholds.of}.get(kind, Moments.of)
        return cls(kind, of(saved))

    def groups(self) -> list[tuple[str | None, float, str]]:
        """Group, number and what it means, for people."""
        if isinstance(self.figures, Thresholds):
            return [(e.group, float(e.value), f"of {e.rows:,} documents") for e in self.figures.groups]
        if isinstance(self.figures, Boundaries):
            return [(e.group, float(e.key), f"keeps {e.kept:,} of {e.total:,}") for e in self.figures.groups]
        return [(e.group, float(getattr(e, self.kind)), f"of {e.rows:,} documents") for e in self.figures.groups]


@dataclass(frozen=True, slots=True)
class Question:
    """One statistic's part of a pass. `told`: the statistics that its key reads. `state`: None for moments."""

    statistic: Statistic
    clause: Clause
    told: Mapping[str, Told]
    state: State | None


def tell(node: Node, ask: Callable[[Sequence[Question]], Iterable[list[Counts]]]) -> dict[str, Told]:
    """The statistics of a stage, by column. `ask` carries one pass to every partition and gives their answers."""
    told: dict[str, Told] = {}
    kinds = {s.column: s.kind for s in node.statistics}
    todo = [(s, clause) for clause in node.clauses for s in clause.statistics]
    while todo:
        ready = [
            (s, c) for s, c in todo if not any(f'"{other.column}"' in s.key for other, _ in todo if other is not s)
        ]
        searches: dict[str, Search] = {s.column: _search(s) for s, _ in ready if s.kind in ("quantile", "top")}
        moments = {s.column: Sums.nothing() for s, _ in ready if s.column not in searches}
        open_ = ready
        while open_:
            questions = [
                Question(s, c, told, searches[s.column].state if s.column in searches else None) for s, c in open_
            ]
            for answers in ask(questions):
                for (s, _), answer in zip(open_, answers, strict=True):
                    if isinstance(answer, Sums):
                        moments[s.column] += answer
                    else:
                        searches[s.column].add(answer)
            open_ = [(s, c) for s, c in open_ if s.column in searches and _another(searches[s.column])]
        for column, search in searches.items():
            told[column] = Told(kinds[column], search.result())
        for column, sum_ in moments.items():
            told[column] = Told(kinds[column], sum_.moments())
        todo = [pair for pair in todo if pair[0].column not in told]
    return told


def count(view: View, node: Node, questions: Sequence[Question]) -> list[Counts]:
    """A partition's answers."""
    rows = _population(view, node)
    clauses = list({q.clause.name: q.clause for q in questions}.values())
    frame = view.inputs(clauses, told=False)
    frame = frame if len(frame) == view.rows else frame.clear()
    hashes: dict[str, npt.NDArray[np.uint64]] = {}

    def hashed(salt: str) -> npt.NDArray[np.uint64]:
        if salt not in hashes:
            hashes[salt] = view.hashes(salt)
        return hashes[salt]

    answers: list[Counts] = []
    for question in questions:
        statistic = question.statistic
        before = [s for s in question.clause.statistics if s.column in question.told]
        wide = apply(before, question.told, frame, hashed)[rows]
        keys, valid = _keys(statistic, wide)
        codes, names = _groups(statistic, wide)
        if question.state is None:
            answers.append(sums(keys, codes, names, valid=valid))
            continue
        tied = hashed(statistic.column)[rows] if question.state.needs_hashes else None
        weights = _weights(statistic, wide)
        _check_weights(view, statistic, rows)
        answers.append(histogram(question.state, keys, codes, names, weights=weights, hashes=tied, valid=valid))
    return answers


def _population(view: View, node: Node) -> npt.NDArray[np.intp]:
    """The rows that a stage sees and has measured. Every pass asks for them again, so the last ones are remembered."""
    name = (view.plan.store.root, view.plan.told(node.name), view.partition.key)
    with _LOCK:
        packed = _POPULATIONS.get(name)
    if packed is None:
        mask = view.seen(node) & view.flag(node.name, "_measured") & ~view.flag(node.name, "_error")
        packed = np.packbits(mask)
        with _LOCK:
            _POPULATIONS[name] = packed
            while len(_POPULATIONS) > 1 and sum(map(len, _POPULATIONS.values())) > POPULATION_BYTES:
                _POPULATIONS.popitem(last=False)
    return np.flatnonzero(np.unpackbits(packed, count=view.rows))


def apply(
    statistics: Sequence[Statistic], told: Mapping[str, Told], frame: pl.DataFrame, hashes: Hashes
) -> pl.DataFrame:
    """The frame with every statistic's column: the figure of the row's group (null where it has none), or for a top
    whether the row is in it."""
    for statistic in statistics:
        figures = told[statistic.column].figures
        codes, names = _groups(statistic, frame)
        if isinstance(figures, Boundaries):
            keys, valid = _keys(statistic, frame)
            lowest, highest = np.zeros(len(keys), np.uint64), np.full(len(keys), 2**64 - 1, np.uint64)
            kept = figures.kept(keys, lowest, codes, names, valid=valid)
            if (kept != figures.kept(keys, highest, codes, names, valid=valid)).any():  # ids are read only for ties
                kept = figures.kept(keys, hashes(statistic.column), codes, names, valid=valid)
            column = pl.Series(statistic.column, kept)
        elif isinstance(figures, Thresholds):
            column = pl.Series(statistic.column, figures.thresholds(codes, names)).fill_nan(None)
        else:
            column = pl.Series(statistic.column, figures.of_rows(statistic.kind, codes, names)).fill_nan(None)
        frame = frame.with_columns(column)
    return frame


def _search(statistic: Statistic) -> Search:
    if statistic.kind == "quantile":
        return Quantiles(statistic.amount, statistic.dtype)
    if statistic.share:
        return Top(statistic.dtype, share=statistic.amount)
    return Top(statistic.dtype, amount=int(statistic.amount))


def _another(search: Search) -> bool:
    """Ends a pass; whether the search needs another."""
    search.advance()
    return not search.done


def _keys(statistic: Statistic, frame: pl.DataFrame) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Keys in the statistic's type, and where they are valid."""
    column = frame.select(statistic.expr.alias("key")).get_column("key")
    if len(column) != len(frame):
        column = column.new_from_index(0, len(frame)) if len(column) else column
    valid = column.is_not_null().to_numpy()
    return column.fill_null(0).to_numpy().astype(statistic.dtype, copy=False), valid


def _groups(statistic: Statistic, frame: pl.DataFrame) -> tuple[npt.NDArray[np.int32], list[str | None]]:
    if statistic.by is None:
        return ungrouped(len(frame))
    return labelled(frame.get_column(statistic.by).cast(pl.String).to_arrow())


def _weights(statistic: Statistic, frame: pl.DataFrame) -> npt.NDArray[np.int64] | None:
    """What each row weighs; nothing where that could not be measured."""
    if statistic.weight is None:
        return None
    return frame.get_column(statistic.weight).cast(pl.Int64).fill_null(0).to_numpy()


def _check_weights(view: View, statistic: Statistic, rows: npt.NDArray[np.intp]) -> None:
    """Raises Unmeasured where a document of the population was never weighed."""
    stage, dot, _ = (statistic.weight or "").partition(".")
    if dot and not view.plan.lenient:
        seen = np.zeros(view.rows, bool)
        seen[rows] = True
        view.check_measured(view.plan.pipeline.nodes[stage], seen, view.flag(stage, "_measured"))
