"""The targets: held-out texts, and what may not be trained on because of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from winnow.filters.hash_random import hashes
from winnow.filters.ngram.overlap import HeldOut
from winnow.pipelines.prove.documents import canonical_id, files_of, matching, measured, of_files, piece
from winnow.pipelines.prove.protocol import TargetRecord, Targets
from winnow.pipelines.results.table import RunError

COPY = 0.2
"""A document of which at least this share stands in held-out texts is left out as a copy."""


@dataclass(frozen=True, slots=True)
class Target:
    """Texts that models are measured on. `groups` int64 [texts]: texts of one group (parts or versions of a work) do not
    vary apart."""

    name: str
    texts: tuple[str, ...]
    groups: npt.NDArray[np.int64]

    @property
    def record(self) -> TargetRecord:
        characters = sum(map(len, self.texts))
        return TargetRecord(
            name=self.name,
            digest=digest_of(self.texts),
            documents=len(self.texts),
            characters=characters,
            groups=len(np.unique(self.groups)),
        )


@dataclass(frozen=True, slots=True)
class Held:
    """The targets and the pool, without what is held out. `pool` has what is known of documents, by id, held out or not."""

    targets: tuple[Target, ...]
    pool: pl.DataFrame | None
    known: pl.DataFrame | None
    ids: pl.Series
    groups: pl.Series
    windows: HeldOut

    def reason(self, frame: pl.DataFrame) -> pl.Series:
        """Why each document may not be trained on: `held out`, `version of held out`, `copy of held out`; null where it may."""
        copied = pl.Series(self.windows.shares(frame.get_column("text").to_list()) >= COPY)
        ids = self.ids.implode()
        return frame.select(
            pl.when(pl.col("id").is_in(ids))
            .then(pl.lit("held out"))
            .when(pl.col("group").is_in(self.groups.implode()) | pl.col("copy_of").is_in(ids))
            .then(pl.lit("version of held out"))
            .when(copied)
            .then(pl.lit("copy of held out"))
            .alias("reason")
        ).to_series()


def hold_out(given: Targets, base: Path, option: str) -> Held:
    """Reads the pool and the files of targets. Raises RunError."""
    pool = None
    if given.pool is not None:
        files = files_of(given.pool.paths, base, f"{option}: pool.paths")
        pool = measured(pl.concat([*of_files(files)]))
        pool = pool.with_columns(
            pl.col("copy_of").map_elements(canonical_id, pl.String), piece(pool.get_column("text"), given.longest)
        )
    targets, ids, groups = [], [], []
    for name, spec in given.targets.items():
        said = f"{option}: targets.{name}"
        frame = pool if not spec.paths else measured(pl.concat([*of_files(files_of(spec.paths, base, said))]))
        assert frame is not None
        frame = frame.filter(matching(frame, spec.where, f"{said}.where"))
        grouped = frame.get_column("group").fill_null(frame.get_column("id"))
        drawn = hashes(grouped.to_arrow(), 0, "held out") / 2.0**64 if len(frame) else np.zeros(0)
        frame = frame.filter(pl.Series(drawn < spec.share))
        ids.append(frame.get_column("id"))
        groups.append(frame.get_column("group").drop_nulls())
        targets.append(_target(name, frame, spec.characters, given.longest, said))
    held = HeldOut([text for target in targets for text in target.texts])
    usable = None
    if pool is not None and given.pool is not None:
        usable = pool.filter(matching(pool, given.pool.where, f"{option}: pool.where"))
    return Held(tuple(targets), usable, pool, pl.concat(ids).unique(), pl.concat(groups).unique(), held)


def _target(name: str, frame: pl.DataFrame, most: int, longest: int, said: str) -> Target:
    """Documents in the order of their hashes, until they come to so many characters."""
    order = np.argsort(hashes(frame.get_column("id").to_arrow(), 0, "target"), kind="stable")
    texts = piece(frame.get_column("text"), longest)
    taken, total = [], 0
    for row in order.tolist():
        size = len(texts[row])
        if size and total + size <= most:
            taken.append(row)
            total += size
    groups = frame.get_column("group").fill_null(frame.get_column("id")).gather(taken).rank("dense")
    if len(taken) < 2 or groups.n_unique() < 2:
        raise RunError(
            f"{said}: {len(taken)} documents are held out, in {groups.n_unique()} groups: expected at least 2 of each, "
            "so that an interval can be given"
        )
    return Target(name, tuple(texts.gather(taken).to_list()), groups.cast(pl.Int64).to_numpy())


def digest_of(texts: Iterable[str]) -> str:
    """Of texts in this order."""
    state = hashlib.sha256()
    for text in texts:
        data = text.encode()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()
