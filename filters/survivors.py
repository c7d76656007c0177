"""Which row stays for each cluster of duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(slots=True)
class Survivors:
    """The best row met so far of every cluster of two and more, and how many rows it has: 16 bytes plus an id each."""

    rows: npt.NDArray[np.int64]
    chars: npt.NDArray[np.int32]
    copies: npt.NDArray[np.int32]
    ids: npt.NDArray[np.bytes_]

    @staticmethod
    def none_yet(clusters: int) -> Survivors:
        unset = np.full(clusters, -1, np.int64)
        return Survivors(unset, np.full(clusters, -1, np.int32), np.zeros(clusters, np.int32), np.zeros(clusters, "S1"))

    def meet(
        self,
        labels: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        chars: npt.NDArray[np.int32],
        ids: npt.NDArray[np.bytes_],
    ) -> None:
        """Longest first, then the smallest id, then the first row: `rows` ascend within a call and between calls."""
        if ids.dtype.itemsize > self.ids.dtype.itemsize:
            self.ids = self.ids.astype(ids.dtype)
        np.add.at(self.copies, labels, 1)
        order = np.lexsort((ids, -chars, labels))
        first = np.ones(order.size, np.bool_)
        first[1:] = labels[order[1:]] != labels[order[:-1]]
        best = order[first]
        held = labels[best]
        longer = chars[best] > self.chars[held]
        smaller = (chars[best] == self.chars[held]) & (ids[best] < self.ids[held])
        best = best[longer | smaller]
        held = labels[best]
        self.rows[held], self.chars[held], self.ids[held] = rows[best], chars[best], ids[best]

    def yield_to(self, clusters: npt.NDArray[np.integer[Any]], ids: npt.NDArray[np.bytes_]) -> npt.NDArray[np.bool_]:
        """Documents known from earlier stay in place of these clusters' own, each counted once. Whether each cluster has
        one."""
        known = np.zeros(self.rows.size, np.bool_)
        known[clusters] = True
        self.ids = self.ids.astype(np.promote_types(self.ids.dtype, ids.dtype))
        self.rows[clusters], self.ids[clusters] = -1, ids
        self.copies[clusters] += 1
        return known
