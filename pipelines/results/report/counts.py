"""What the two halves of a report's pass count together: amounts by stage, values by signal, causes of failure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from winnow.pipelines.results.report.figures import Amount, Failure
from winnow.pipelines.results.report.sketch import Sketch
from winnow.pipelines.results.report.threshold import Counter
from winnow.pipelines.selection.statistic_result import StatisticResult

if TYPE_CHECKING:
    from winnow.pipelines.engine.declaration import Pipeline
    from winnow.pipelines.engine.graph import Node
    from winnow.pipelines.results.table import Run
    from winnow.pipelines.selection.clause import Clause

MOST_CAUSES = 1_000
"""Causes that are counted apart; the rows of all others are counted together."""

COMPARED = ("<", "<=", ">", ">=")


def told(run: Run) -> dict[str, dict[str, StatisticResult]]:
    """Stage -> column -> what its clauses' statistics came to."""
    out = {}
    for node in run.plan.pipeline.measured():
        if node.statistics:
            saved = run.plan.store.read_json(run.plan.statistics(node.name)) or {}
            out[node.name] = {column: StatisticResult.restore(value) for column, value in saved.items()}
    return out


def compared(clause: Clause, figures: Mapping[str, StatisticResult]) -> tuple[str, float] | None:
    """The operator and the number that a clause compares its one signal with: as declared, or the one figure that a
    statistic over all documents came to. None where it does something else."""
    if clause.number is not None and clause.operator in COMPARED:
        return clause.operator, clause.number
    if clause.signal is None or len(clause.statistics) != 1 or clause.statistics[0].column not in figures:
        return None
    statistic = clause.statistics[0]
    operator = clause.sql.removeprefix(f'"{clause.signal}" ').removesuffix(f' "{statistic.column}"')
    groups = figures[statistic.column].groups()
    if operator not in COMPARED or statistic.by is not None or statistic.kind == "top" or len(groups) != 1:
        return None
    return operator, groups[0][1]


class Counts:
    """State: the counts. `integer`: of every numeric signal, whether it is one. `counters`: of every clause that compares
    one signal with one number; `judges`: those clauses, with their stages, by that signal."""

    def __init__(self, pipeline: Pipeline, told: Mapping[str, Mapping[str, StatisticResult]]) -> None:
        self.amounts: dict[tuple[str, str], Amount] = defaultdict(Amount)  # (stage, kept | failed | clause)
        self.sketches: dict[str, Sketch] = {}
        self.integer: dict[str, bool] = {}
        self.counters: dict[str, Counter] = {}
        self.causes: dict[tuple[str, str], tuple[int, str]] = {}
        self.rare = 0
        self.judges: dict[str, list[tuple[Node, Clause]]] = defaultdict(list)
        for node in pipeline.nodes.values():
            for name, kind in node.stage.signals().items():
                if pa.types.is_integer(kind) or pa.types.is_floating(kind):
                    self.sketches[f"{node.name}.{name}"] = Sketch()
                    self.integer[f"{node.name}.{name}"] = pa.types.is_integer(kind)
            for clause in node.clauses:
                found = compared(clause, told.get(node.name, {}))
                if found is not None and clause.signal in self.integer:
                    self.counters[clause.name] = Counter(*found, self.integer[clause.signal])
                    self.judges[clause.signal].append((node, clause))

    def failed(self, stage: str, cause: str | None, rows: int, url: str | None) -> None:
        """Count rows that failed at a stage for one cause; `url` is of one of them."""
        key = (stage, cause or "no cause was recorded")
        if key in self.causes:
            before, example = self.causes[key]
            self.causes[key] = (before + rows, example)
        elif len(self.causes) < MOST_CAUSES:
            self.causes[key] = (rows, url or "")
        else:
            self.rare += rows

    def failures(self) -> tuple[Failure, ...]:
        """The causes counted apart, most rows first."""
        found = [Failure(stage, cause, rows, url) for (stage, cause), (rows, url) in self.causes.items()]
        return tuple(sorted(found, key=lambda f: (-f.rows, f.stage, f.cause)))
