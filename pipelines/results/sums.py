"""What one pass over frames keeps, in bounded memory: sums by name, where names may be many (hosts, labels, days, reasons), and
the rows that a hash of the document's id draws."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from winnow.filters.hash_random import hashes

HELD = 50_000
"""Rows that are gathered before they are added up, so that a small partition costs little."""


class Sums:
    """Adds up integer columns by one or several keys. State: the sums so far, and frames not yet added to them.

    At most `most` keys are carried on (None: all): beyond that the rarest are forgotten, and `error` grows by the largest sum
    forgotten. A key that comes again later has then been counted too low by no more than `error` (the bound of lossy
    counting, Manku and Motwani 2002).
    """

    def __init__(self, keys: Sequence[str], columns: Sequence[str], most: int | None = None) -> None:
        self.keys, self.columns, self.most = list(keys), list(columns), most
        self.empty = pl.DataFrame(schema=dict.fromkeys(keys, pl.String) | dict.fromkeys(columns, pl.Int64))
        self.total, self.waiting = self.empty, [self.empty]
        self.error = 0
        self.forgotten = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Take a frame of the keys and the columns (integers or booleans); a key may occur more than once. The first
        column ranks keys."""
        sums = frame.group_by(self.keys).agg(pl.col(self.columns).cast(pl.Int64).sum())
        self.waiting.append(sums.select(self.empty.columns).cast(self.empty.schema))
        if sum(map(len, self.waiting)) > 2 * (self.most or 0) + HELD:
            self.ranked()

    def ranked(self) -> pl.DataFrame:
        """Keys and sums, the most frequent first, ties by key."""
        total = pl.concat([self.total, *self.waiting]).group_by(self.keys).agg(pl.col(self.columns).sum())
        order = [self.columns[0], *self.keys]
        total = total.sort(order, descending=[True, *[False] * len(self.keys)], nulls_last=True)
        if self.most is not None and len(total) > self.most:
            ranks = total.get_column(self.columns[0])
            self.error += int(ranks[self.most])
            self.forgotten += int(ranks[self.most :].sum())
            total = total.head(self.most)
        self.total, self.waiting = total, []
        return total


class Drawn:
    """Draws rows of each group (`by`): the `most` of least xxh64(id, seed), however the rows are cut; with `nearest`, a column, those
    of its least values, ties by the hash. State: the best rows so far, without columns before the first."""

    def __init__(self, most: int, seed: int, by: Sequence[str] = (), nearest: str | None = None) -> None:
        self.most, self.seed, self.by = most, seed, list(by)
        self.order = [*([nearest] if nearest else []), "key", "id", "partition", "number"]
        self.rows = pl.DataFrame()

    def add(self, frame: pl.DataFrame) -> None:
        """Consider rows with `id`, `partition`, `number`, the groups, and whatever else is to be kept of them."""
        key = pl.Series("key", hashes(frame.get_column("id").fill_null("").to_arrow(), self.seed))
        found = frame.with_columns(key, pl.col("id").fill_null(""))
        if self.order[0] == "key":  # those that can be among the best are few, and sorting is dear
            last = pl.col("key").bottom_k(self.most).max()
            found = found.filter(pl.col("key") <= (last.over(self.by) if self.by else last))
        ranked = (pl.concat([self.rows, found]) if self.rows.width else found).sort(self.order)
        best = ranked.group_by(self.by, maintain_order=True).head(self.most) if self.by else ranked.head(self.most)
        self.rows = best.select(found.columns)
