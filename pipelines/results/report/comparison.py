"""The figures of a comparison: several selections side by side, of one run or of several.

Selections over the same documents in the same partitions are compared row by row; others by the ids of their documents
(64 bits of a hash of each, so that a wrong match is not to be expected below a billion documents).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import xxhash

from winnow.pipelines.results.decision import reading
from winnow.pipelines.results.report.figures import Amount
from winnow.pipelines.results.report.sketch import Ints
from winnow.pipelines.results.report.stretch import Stretch, stretches
from winnow.pipelines.results.report.tally import Tally
from winnow.pipelines.results.table import RunError
from winnow.pipelines.selection.verdict import KEPT, reasons
from winnow.stages.reading.files import public_tree
from winnow.stages.stage import Map

if TYPE_CHECKING:
    from winnow.pipelines.results.table import Run

RECORD = ("id", "status", "text_bytes")

MOST_LABELS = 200
"""Values of a string signal that are compared; signals with more are left out."""


@dataclass(frozen=True, slots=True)
class Side:
    """One selection. `stages`: its accounts, in order; `labels`: of every string signal, value -> documents kept, repetitions
    counted; `clauses`: name -> text."""

    label: str
    digest: str
    documents: int
    selection: Amount
    copies: int
    tokens: int
    pending: int
    stages: dict[str, dict[str, Any]]
    clauses: dict[str, str]
    settings: dict[str, str]
    labels: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Move:
    """Documents that the first selection keeps and another does not, or the other way round, by the reason given."""

    reason: str
    rows: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several selections. `shared[i, j]`: documents that both keep. `lost[j]`, `gained[j]`: documents that the first one
    keeps and j does not, and the reverse, by the reason of the one that does not; None where rows cannot be matched."""

    sides: tuple[Side, ...]
    shared: Ints
    by_row: bool
    lost: tuple[tuple[Move, ...], ...] | None
    gained: tuple[tuple[Move, ...], ...] | None


def compare(runs: Sequence[tuple[str, Run]]) -> Comparison:
    """Compare finished runs or selections, each with the name it is to have. Raises RunError for fewer than two."""
    if len(runs) < 2:
        raise RunError(f"{len(runs)} selection to compare; expected two or more, such as runs/ko runs/ko@looser")
    by_row = len({_documents_of(run) for _, run in runs}) == 1
    runs = [(label, reading(run)) for label, run in runs]
    counters = [_Side(label, run) for label, run in runs]
    size = len(runs)
    shared = np.zeros((size, size), np.int64)
    lost = [defaultdict[str, int](int) for _ in runs]
    gained = [defaultdict[str, int](int) for _ in runs]
    if by_row:
        for views in zip(*(stretches(run, RECORD) for _, run in runs), strict=True):
            if not views[0].rows:
                continue
            kept, why = zip(*(counter.add(view) for counter, view in zip(counters, views, strict=True)), strict=True)
            shared += [[np.count_nonzero(one & other) for other in kept] for one in kept]
            for n in range(1, size):
                _moves(lost[n], counters[n].names, kept[0] & ~kept[n], why[n])
                _moves(gained[n], counters[0].names, kept[n] & ~kept[0], why[0])
    else:
        ids = [counter.ids() for counter in counters]
        for i in range(size):
            for j in range(i, size):
                shared[i, j] = shared[j, i] = len(np.intersect1d(ids[i], ids[j], assume_unique=True))
    sides = tuple(counter.side() for counter in counters)
    moves = [tuple(_ranked(each) for each in side) for side in (lost, gained)] if by_row else [None, None]
    return Comparison(sides, shared, by_row, moves[0], moves[1])


class _Side:
    """Counts one selection. State: its counts."""

    def __init__(self, label: str, run: Run) -> None:
        self.label, self.run = label, run
        pipeline = run.plan.pipeline
        self.names = [r.clause or f"{r.stage}: failed or not measured" for r in reasons(pipeline)]
        self.selection = Amount()
        terminal = pipeline.terminal()
        self.tokens = f"{terminal.name}.tokens" if terminal else None
        self.labels = {
            f"{node.name}.{name}": Tally("value", ["copies"], MOST_LABELS)
            for node in pipeline.measured()
            if isinstance(node.stage, Map)
            for name, kind in node.stage.signals().items()
            if pa.types.is_string(kind)
        }

    def add(self, view: Stretch) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int16]]:
        """Count a stretch; which rows are kept, and the number of the reason for the others."""
        decided = view.decided()
        kept = decided.get_column("status").to_numpy() == KEPT
        copies = decided.get_column("multiplicity").to_numpy()
        size = view.records.get_column("text_bytes").to_numpy()
        tokens = np.full(view.rows, np.nan)
        if self.tokens:
            tokens = view.frame([self.tokens]).to_series().cast(pl.Float64).to_numpy()
        known = ~np.isnan(tokens)
        self.selection += Amount(
            int(kept.sum()), int(size[kept].sum()), int(tokens[kept & known].sum()), int(size[kept & ~known].sum())
        )
        if self.labels:
            frame = view.frame(list(self.labels))
            for name, tally in self.labels.items():
                values = frame.get_column(name).fill_null("").alias("value")
                tally.add(pl.DataFrame({"value": values, "copies": copies}).filter(pl.Series(kept)))
        return kept, decided.get_column("reason").to_numpy()

    def ids(self) -> npt.NDArray[np.uint64]:
        """Count every partition; a hash of the id of every document kept, sorted."""
        found = []
        for view in stretches(self.run, RECORD):
            if not view.rows:
                continue
            kept, _ = self.add(view)
            names = view.records.get_column("id").filter(pl.Series(kept)).to_list()
            found.append(np.fromiter(map(xxhash.xxh64_intdigest, names), np.uint64, len(names)))
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.uint64)

    def side(self) -> Side:
        """What was counted."""
        plan, accounting = self.run.plan, self.run.accounting
        order = [*plan.pipeline.sources, *plan.pipeline.nodes]
        labels = {
            name: {str(value): int(copies) for value, copies in tally.ranked().iter_rows()}
            for name, tally in self.labels.items()
            if not tally.error
        }
        return Side(
            self.label,
            accounting["digest"],
            accounting["documents"],
            self.selection,
            accounting["copies"],
            accounting["tokens"],
            sum(account.get("pending", 0) for account in accounting["stages"].values()),
            {name: accounting["stages"][name] for name in order if name in accounting["stages"]},
            {clause.name: clause.text for node in plan.pipeline.nodes.values() for clause in node.clauses},
            dict(_flat(public_tree(plan.pipeline.tree))),
            labels,
        )


def _documents_of(run: Run) -> tuple[str, str, tuple[str, ...]]:
    """What identifies the documents that a run decides on, row by row."""
    return run.folder, run.plan.ingest, tuple(p.key for p in run.plan.partitions)


def _moves(
    into: dict[str, int], names: Sequence[str], rows: npt.NDArray[np.bool_], reason: npt.NDArray[np.int16]
) -> None:
    numbers, counts = np.unique(reason[rows], return_counts=True)
    for number, n in zip(numbers.tolist(), counts.tolist(), strict=True):
        into[names[number]] += n


def _ranked(moves: dict[str, int]) -> tuple[Move, ...]:
    return tuple(Move(reason, rows) for reason, rows in sorted(moves.items(), key=lambda item: (-item[1], item[0])))


def _flat(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Dotted path -> value of every leaf of a declaration."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, str(tree)
