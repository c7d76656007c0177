"""Counts by name in bounded memory: hosts, labels, days, causes. One pass, partition by partition."""

from __future__ import annotations

import polars as pl

HELD = 50_000
"""Rows that are gathered before they are added up, so that a small partition costs little."""


class Tally:
    """Adds up integer columns by key. State: the counts so far, and frames not yet added to them.

    At most `most` keys are carried on: beyond that the rarest are forgotten, and `error` grows by the largest count
    forgotten. A key that comes again later has then been counted too low by no more than `error` (the bound of lossy
    counting, Manku and Motwani 2002).
    """

    def __init__(self, key: str, columns: list[str], most: int) -> None:
        self.key, self.columns, self.most = key, columns, most
        self.frames: list[pl.DataFrame] = []
        self.waiting = 0
        self.error = 0
        self.forgotten = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Take a frame of the key and the columns (integers or booleans); a key may occur more than once. The first
        column ranks keys."""
        self.frames.append(frame)
        self.waiting += len(frame)
        if self.waiting > 2 * self.most + HELD:
            self._add_up()

    def ranked(self) -> pl.DataFrame:
        """Key and columns, the most frequent first, ties by key."""
        if not self.frames:
            return pl.DataFrame(schema={self.key: pl.String, **dict.fromkeys(self.columns, pl.Int64)})
        return self._add_up()

    def _add_up(self) -> pl.DataFrame:
        parts = [
            frame.group_by(self.key).agg(pl.col(c).cast(pl.Int64).sum() for c in self.columns)
            for frame in self._joined()
        ]
        total = pl.concat(parts).group_by(self.key).agg(pl.col(self.columns).sum())
        total = total.sort([self.columns[0], self.key], descending=[True, False], nulls_last=True)
        if len(total) > self.most:
            self.error += int(total.get_column(self.columns[0])[self.most])
            self.forgotten += int(total.get_column(self.columns[0])[self.most :].sum())
            total = total.head(self.most)
        self.frames, self.waiting = [total], len(total)
        return total

    def _joined(self) -> list[pl.DataFrame]:
        """The waiting frames as one, and apart from them the counts so far, whose columns are of another type."""
        by_type: dict[str, list[pl.DataFrame]] = {}
        for frame in self.frames:
            by_type.setdefault(str(frame.schema), []).append(frame)
        return [pl.concat(frames) for frames in by_type.values()]
