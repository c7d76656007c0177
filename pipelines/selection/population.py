"""The documents that a statistic is about, with what it reads of them, and their groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from winnow.pipelines.selection.grouped_counts import labelled, ungrouped

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
