"""The documents that a statistic is about, with what it reads of them: looked up once, remembered between passes.

Every pass asks every partition for the same columns again. A process keeps the first `REMEMBERED_BYTES` of them, 10 to 40
bytes a document, and reads the others anew, so memory does not grow with the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from winnow.pipelines.selection.clause import Clause
from winnow.pipelines.selection.grouped_counts import labelled, ungrouped

if TYPE_CHECKING:
    from winnow.pipelines.engine.frame import PartitionFrame
    from winnow.pipelines.engine.graph import Node

REMEMBERED_BYTES = 2**28

Groups = tuple[npt.NDArray[np.int32], list[str | None]]


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

    def indices(self, view: PartitionFrame) -> npt.NDArray[np.intp]:
        """The population's row numbers in the partition, ascending."""
        return np.flatnonzero(np.unpackbits(self.rows, count=view.rows))

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


_REMEMBERED: dict[tuple[str, ...], tuple[Population, int]] = {}
_LOCK = Lock()


def population(view: PartitionFrame, node: Node, clauses: Sequence[Clause]) -> Population:
    """The population of a stage in a view's partition. Raises Unmeasured where it is not all measured."""
    name = (view.plan.store.root, view.plan.statistics(node.name), view.partition.key, *(c.name for c in clauses))
    remembered = _REMEMBERED.get(name)
    if remembered is not None:
        return remembered[0]
    found = _look_up(view, node, clauses)
    with _LOCK:
        for old in [n for n in _REMEMBERED if n[:2] != name[:2]]:  # an earlier statistic's
            del _REMEMBERED[old]
        if sum(size for _, size in _REMEMBERED.values()) + found.bytes <= REMEMBERED_BYTES:
            _REMEMBERED[name] = (found, found.bytes)
    return found


def _look_up(view: PartitionFrame, node: Node, clauses: Sequence[Clause]) -> Population:
    seen, failed = view.seen(node), view.flag(node.name, "_error")
    measured = view.flag(node.name, "_measured")
    if not view.plan.allow_unmeasured:
        view.check_measured(node, seen, measured | failed)
        view.check_read(node, seen & ~failed)
    mask = seen & measured & ~failed
    frame = view.inputs(clauses, computed=False)
    return Population(np.packbits(mask), frame.filter(pl.Series(mask)))
