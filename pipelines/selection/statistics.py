"""Statistics that clauses compare documents with: asked of every partition in passes, computed once, applied to rows.

A pass sends `StatisticRequest`s to the partitions, each answers with `PartialStatistic`s for the documents that the stage sees and has
measured, and the counts add up in any order. When a statistic is
computed, those whose keys hold it can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from winnow.pipelines.selection.clause import Clause, Statistic
from winnow.pipelines.selection.grouped_counts import Cells, labelled, ungrouped
from winnow.pipelines.selection.moments import MomentSearch, sums
from winnow.pipelines.selection.ranks import Quantiles, State, Top, histogram
from winnow.pipelines.selection.statistic_result import StatisticResult

Groups = tuple[npt.NDArray[np.int32], list[str | None]]
Search = Quantiles | Top | MomentSearch
PartialStatistic = Cells
Hashes = Callable[[str], npt.NDArray[np.uint64]]
"""From a salt to one hash per row."""


@dataclass
class Population:
    """One partition's documents that a stage sees and has measured. State: the groups looked up so far.

    `rows`: a bit per document of the partition. `frame`: what the clauses read, for the population's rows alone.
    """

    rows: npt.NDArray[np.uint8]
    frame: pl.DataFrame

    @cached_property
    def _groups(self) -> dict[str | None, Groups]:
        return {}

    def indices(self, rows: int) -> npt.NDArray[np.intp]:
        """The population's row numbers in the partition, which has so many, ascending."""
        return np.flatnonzero(np.unpackbits(self.rows, count=rows))

    def groups(self, by: str | None) -> Groups:
        """Group codes of the rows and the groups' names."""
        if by not in self._groups:
            self._groups[by] = groups(self.frame, by)
        return self._groups[by]

    @property
    def bytes(self) -> int:
        """About what it takes to remember it, with codes for one grouping."""
        return int(self.frame.estimated_size()) + 4 * len(self.frame) + self.rows.nbytes


def groups(frame: pl.DataFrame, by: str | None) -> Groups:
    """Group codes of a frame's rows by a column, and the groups' names; one group of all where `by` is None."""
    if by is None:
        return ungrouped(len(frame))
    return labelled(frame.get_column(by).cast(pl.String).to_arrow())


@dataclass(frozen=True, slots=True)
class StatisticRequest:
    """One statistic's part of a pass. `known`: the statistics that its key reads. `state`: None for moments."""

    statistic: Statistic
    clause: Clause
    known: Mapping[str, StatisticResult]
    state: State | None


def compute_statistics(
    clauses: Sequence[Clause], ask: Callable[[Sequence[StatisticRequest]], Iterable[list[PartialStatistic]]]
) -> dict[str, StatisticResult]:
    """The statistics of a stage, by column. `ask` carries one pass to every partition and gives their answers."""
    computed: dict[str, StatisticResult] = {}
    todo = [(s, clause) for clause in clauses for s in clause.statistics]
    while todo:
        ready = [
            (s, c) for s, c in todo if not any(f'"{other.column}"' in s.key for other, _ in todo if other is not s)
        ]
        searches = {s.column: _search(s) for s, _ in ready}
        open_ = ready
        while open_:
            requests = [StatisticRequest(s, c, computed, searches[s.column].state) for s, c in open_]
            for answers in ask(requests):
                for (s, _), answer in zip(open_, answers, strict=True):
                    searches[s.column].add(answer)
            for s, _ in open_:
                searches[s.column].advance()
            open_ = [(s, c) for s, c in open_ if not searches[s.column].done]
        for column, search in searches.items():
            computed[column] = search.result()
        todo = [pair for pair in todo if pair[0].column not in computed]
    return computed


def partial_statistics(
    asked: Population, hashes_of: Hashes, requests: Sequence[StatisticRequest]
) -> list[PartialStatistic]:
    """A partition's answers. `hashes_of`: of the documents that are asked about."""
    hashed = cache(hashes_of)
    answers: list[PartialStatistic] = []
    moments: dict[tuple[str, str | None], PartialStatistic] = {}  # a mean and a deviation are often of the same
    for request in requests:
        statistic = request.statistic
        before = [s for s in request.clause.statistics if s.column in request.known]
        wide = apply(before, request.known, asked.frame, hashed, asked.groups)
        keys, valid = _keys(statistic, wide)
        codes, names = asked.groups(statistic.by)
        if request.state is None:
            same = (statistic.key, statistic.by)
            moments[same] = moments.get(same) or sums(keys, codes, names, valid=valid)
            answers.append(moments[same])
            continue
        tied = hashed(statistic.column) if request.state.needs_hashes else None
        weights = _weights(statistic, wide)
        answers.append(histogram(request.state, keys, codes, names, weights=weights, hashes=tied, valid=valid))
    return answers


def apply(
    statistics: Sequence[Statistic],
    known: Mapping[str, StatisticResult],
    frame: pl.DataFrame,
    hashes: Hashes,
    grouped: Callable[[str | None], Groups] | None = None,
) -> pl.DataFrame:
    """The frame with every statistic's column: the figure of the row's group (null where it has none), or for a top
    whether the row is in it. `grouped`: the frame's groups, where they are at hand."""
    for statistic in statistics:
        figures = known[statistic.column]
        codes, names = grouped(statistic.by) if grouped else groups(frame, statistic.by)
        if statistic.kind == "top":
            keys, valid = _keys(statistic, frame)
            lowest, highest = np.zeros(len(keys), np.uint64), np.full(len(keys), 2**64 - 1, np.uint64)
            kept = figures.kept(keys, lowest, codes, names, valid=valid)
            if (kept != figures.kept(keys, highest, codes, names, valid=valid)).any():  # ids are read only for ties
                kept = figures.kept(keys, hashes(statistic.column), codes, names, valid=valid)
            column = pl.Series(statistic.column, kept)
        else:
            column = pl.Series(statistic.column, figures.column(codes, names)).fill_nan(None)
        frame = frame.with_columns(column)
    return frame


def _search(statistic: Statistic) -> Search:
    if statistic.kind in ("mean", "std"):
        return MomentSearch(statistic.kind)
    if statistic.kind == "quantile":
        return Quantiles(statistic.amount, statistic.dtype)
    if statistic.share:
        return Top(statistic.dtype, share=statistic.amount)
    return Top(statistic.dtype, amount=int(statistic.amount))


def _keys(statistic: Statistic, frame: pl.DataFrame) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Keys in the statistic's type, and where they are valid."""
    column = frame.select(statistic.expr.alias("key")).get_column("key")
    if len(column) != len(frame):
        column = column.new_from_index(0, len(frame)) if len(column) else column
    valid = column.is_not_null().to_numpy()
    return column.fill_null(0).to_numpy().astype(statistic.dtype, copy=False), valid


def _weights(statistic: Statistic, frame: pl.DataFrame) -> npt.NDArray[np.int64] | None:
    """What each row weighs; nothing where that could not be measured."""
    if statistic.weight is None:
        return None
    return frame.get_column(statistic.weight).cast(pl.Int64).fill_null(0).to_numpy()
