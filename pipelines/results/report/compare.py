"""`winnow compare`: several selections, of one run or of several, on one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from winnow.pipelines.results.diff import clauses_of, differing, judged, paired, side_by_side
from winnow.pipelines.results.report import charts
from winnow.pipelines.results.report.figures import Amount, share, short
from winnow.pipelines.results.report.page import put, render
from winnow.pipelines.results.sums import Sums
from winnow.pipelines.results.table import Run, RunError
from winnow.stages.reading.files import public_tree

NAME = "compare.html"

MOST_VALUES = 20
"""Values of a string signal that a chart shows."""

MOST_LABELS = 200
"""Values of a string signal that are compared; signals with more are left out."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One selection of several. `labels`: of every string signal, value -> documents kept, repetitions counted."""

    label: str
    run: Run
    selection: Amount
    labels: dict[str, dict[str, int]]

    @property
    def stages(self) -> dict[str, dict[str, Any]]:
        """Its accounts, in order."""
        stages = self.run.accounting["stages"]
        return {name: stages[name] for name in [*self.run.pipeline.sources, *self.run.pipeline.nodes] if name in stages}

    @property
    def pending(self) -> int:
        """Rows that a stage has not measured."""
        return sum(account.get("pending", 0) for account in self.stages.values())


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several selections. `shared[i, j]`: documents that both keep. `lost[j]`, `gained[j]`: documents that the first one
    keeps and j does not, and the reverse, by the reason of the one that does not. `by_row`: of one run, not matched by id."""

    sides: tuple[Compared, ...]
    shared: npt.NDArray[np.int64]
    by_row: bool
    lost: tuple[dict[str, int], ...]
    gained: tuple[dict[str, int], ...]


def write_compare(runs: Sequence[tuple[str, Run]], out: Path | str | None = None) -> str:
    """Write the comparison of named runs or selections; returns where. Default: `compare.html` in the first one's folder.

    Raises RunError for fewer than two, OSError where `out` cannot be written.
    """
    return put(runs[0][1] if runs else None, compare_html(compare(runs)), out, NAME)


def compare_html(found: Comparison) -> str:
    """The page of a comparison. The same figures give the same bytes."""
    return render(
        "compare.html.jinja",
        c=found,
        accounts=_accounts(found),
        clauses=differing([clauses_of(side.run) for side in found.sides]),
        settings=differing([dict(_flat(public_tree(side.run.pipeline.tree))) for side in found.sides]),
        jaccard=_jaccard(found),
        labels=_label_shares(found),
    )


def compare(runs: Sequence[tuple[str, Run]]) -> Comparison:
    """Compare finished runs or selections, each with the name it is to have. Raises RunError for fewer than two."""
    if len(runs) < 2:
        raise RunError(f"{len(runs)} selection to compare; expected two or more, such as runs/ko runs/ko@looser")
    sides = [run.tolerant() for _, run in runs]
    moves, amounts = (
        Sums(["side", "kind", "reason"], ["rows"]),
        Sums(["side"], ["rows", "bytes", "tokens", "uncounted"]),
    )
    labels = [{name: Sums(["value"], ["copies"], MOST_LABELS) for name in _labels(run)} for run in sides]
    shared = np.zeros((len(sides), len(sides)), np.int64)
    size, tokens = pl.col("text_bytes"), pl.col("tokens")
    for frames in side_by_side(sides, [_labels(run) for run in sides]):
        kept = [frame.get_column("multiplicity").fill_null(0) > 0 for frame in frames]
        shared += [[int((one & other).sum()) for other in kept] for one in kept]
        for n, (frame, mine) in enumerate(zip(frames, kept, strict=True)):
            rows = frame.filter(mine).with_columns(side=pl.lit(str(n)), rows=pl.lit(1))
            uncounted = pl.when(tokens.is_null()).then(size).otherwise(0)
            amounts.add(rows.with_columns(bytes=size, tokens=tokens.fill_null(0), uncounted=uncounted))
            for name, values in labels[n].items():
                values.add(rows.select(value=pl.col(name).fill_null(""), copies="multiplicity"))
            kind = pl.col("kind").replace({"undecided in a": "gained", "undecided in b": "lost"})
            moved = judged(paired(frames[0], frame)).select(kind, "reason", side=pl.lit(str(n)), rows=pl.lit(1))
            moves.add(moved.filter(kind.is_in(["lost", "gained"])))
    counted = {int(side): Amount(*rest) for side, *rest in amounts.ranked().iter_rows()}
    moved_rows = moves.ranked().rows()
    lost, gained = (
        tuple({why: rows for at, k, why, rows in moved_rows if (at, k) == (str(n), way)} for n in range(len(sides)))
        for way in ("lost", "gained")
    )
    found = []
    for n, ((label, _), side) in enumerate(zip(runs, sides, strict=True)):
        counts = {name: dict(sums.ranked().rows()) for name, sums in labels[n].items()}
        few = {name: values for name, values in counts.items() if not labels[n][name].error}
        found.append(Compared(label, side, counted.get(n, Amount()), few))
    return Comparison(tuple(found), shared, all(side.same_rows(sides[0]) for side in sides), lost, gained)


def _flat(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Dotted path -> value of every leaf of a declaration."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, str(tree)


def _labels(run: Run) -> list[str]:
    """The string signals that a document has by itself."""
    nodes = [n for n in run.pipeline.measured() if not n.reduces]
    return [f"{n.name}.{name}" for n in nodes for name, kind in n.stage.signals().items() if pa.types.is_string(kind)]


def _accounts(found: Comparison) -> list[dict[str, Any]]:
    """Stages of all sides in the order in which they come, with rows in, kept and dropped by each clause."""
    out = []
    for stage in dict.fromkeys(name for side in found.sides for name in side.stages):
        accounts = [side.stages.get(stage) for side in found.sides]
        clauses = dict.fromkeys(clause for account in accounts if account for clause in account["dropped"])
        rows = [
            (clause, [account["dropped"].get(clause, 0) if account else None for account in accounts])
            for clause in clauses
        ]
        rows.sort(key=lambda row: (-max(n or 0 for n in row[1]), row[0]))
        for key, words in (("failed", "failed"), ("pending", "not measured")):
            counts = [account.get(key, 0) if account else None for account in accounts]
            rows += [(words, counts)] if any(counts) else []
        out.append(
            {
                "stage": stage,
                "seen": [account["in"] if account else None for account in accounts],
                "kept": [account["kept"] if account else None for account in accounts],
                "dropped": rows,
            }
        )
    return out


def _jaccard(found: Comparison) -> Any:
    """The matrix of shares: documents that both keep, of those that either keeps."""
    names = [side.label for side in found.sides]
    rows = []
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            both = int(found.shared[i, j])
            either = int(found.shared[i, i]) + int(found.shared[j, j]) - both
            value = both / either if either else 1.0
            rows.append({"a": a, "b": b, "share": value, "text": f"{value:.2f}"})
    return charts.overlap(
        names, rows, "Documents that two selections both keep, of those that either keeps", 44, charts.KEPT
    )


def _label_shares(found: Comparison) -> list[dict[str, Any]]:
    """Signals that all sides have and that take several values, with their shares of each selection."""
    out = []
    names = [side.label for side in found.sides]
    for signal in found.sides[0].labels:
        sides = [side.labels.get(signal) for side in found.sides]
        known = [side for side in sides if side]
        values = {value: max(side.get(value, 0) for side in known) for side in known for value in side}
        if len(known) < len(sides) or len(values) < 2:
            continue
        ranked = sorted(values, key=lambda value: (-values[value], value))[:MOST_VALUES]
        totals = [sum(side.values()) or 1 for side in known]
        rows = [
            {
                "name": value or "(none)",
                "side": name,
                "share": side.get(value, 0) / total,
                "text": f"{share(side.get(value, 0), total)}  {short(side.get(value, 0))}",
            }
            for value in ranked
            for name, side, total in zip(names, known, totals, strict=True)
        ]
        label = f"{signal}: share of each value in each selection"
        chart = charts.grouped(rows, [value or "(none)" for value in ranked], names, label)
        table = [(value or "(none)", [side.get(value, 0) for side in known]) for value in ranked]
        out.append({"signal": signal, "chart": chart, "rows": table, "more": len(values) - len(ranked)})
    return out
