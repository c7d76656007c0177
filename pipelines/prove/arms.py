"""Arms: a run's selection, a folder of token shards, files of texts, or `random` and `oracle` of the pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from winnow.filters.hash_random import hashes
from winnow.pipelines.prove.documents import SUFFIXES, files_of, matching, of_files, of_run, of_shards, piece
from winnow.pipelines.prove.held_out import Held, digest_of
from winnow.pipelines.prove.protocol import ArmRecord, Targets
from winnow.pipelines.results.table import RunError, open_run
from winnow.tokenize.shard import MANIFEST

RANDOM, ORACLE = "random", "oracle"

HELD_CHARACTERS = 20
"""Times the amount that is drawn: of an arm that has more, a sample by hash is kept in memory."""

LEAST_CHARACTERS = 4_000_000


@dataclass(frozen=True, slots=True)
class Arm:
    """Documents to draw from, once for each copy: `id`, `text` (a piece), `domain`, `source`, `noise`, `kind`.

    `keys` [documents]: what the order of a draw is a hash of; `shared` int64 [documents]: which arms have the document, as
    bits; see `paired`."""

    record: ArmRecord
    frame: pl.DataFrame
    keys: pl.Series
    shared: npt.NDArray[np.int64]

    @property
    def name(self) -> str:
        return self.record.name


def named(references: Sequence[str]) -> list[tuple[str, str, int]]:
    """(name, reference, draw) of each `name=reference` or reference. One that is given again draws apart: it is how one
    sees what chance does. Raises RunError for a name of two references."""
    out: list[tuple[str, str, int]] = []
    times: Counter[str] = Counter()
    for given in references:
        name, equals, reference = given.partition("=")
        if not equals or Path(given).exists():
            name, reference = given, given
        if not name or not reference:
            raise RunError(f"arm '{given}': expected a selection, files or name=reference")
        draw = times[reference]
        times[reference] += 1
        if name in [other for other, _, _ in out]:
            name = f"{name} again" if draw == 1 else f"{name} again {draw}"
        if name in [other for other, _, _ in out]:
            raise RunError(f"arm '{given}': another arm is named so already")
        out.append((name, reference, draw))
    return out


def read_arm(name: str, reference: str, draw: int, given: Targets, held: Held, amount: int) -> Arm:
    """Its documents without what is held out, a piece of `longest` characters of each. Raises RunError."""
    frames = _frames(reference, given, held)
    left: Counter[str] = Counter()
    most = max(HELD_CHARACTERS * amount, LEAST_CHARACTERS)
    kept = _sample(_usable(frames, given, held, left), most)
    if not len(kept):
        why = ", ".join(f"{n:,} {reason}" for reason, n in left.items())
        raise RunError(f"arm '{name}': {reference} has no document to train on{f' ({why})' if why else ''}")
    record = ArmRecord(
        name=name,
        reference=reference,
        digest=digest_of([f"{id_} {text}" for id_, text in kept.select("id", "text").iter_rows()]),
        documents=len(kept),
        characters=int(kept.get_column("text").str.len_chars().sum()),
        left_out=dict(sorted(left.items())),
        draw=draw,
    )
    return Arm(record, kept, kept.get_column("id"), np.zeros(len(kept), np.int64))


def paired(arms: Sequence[Arm], held: Held) -> list[Arm]:
    """The arms with keys that texts share, whatever ids they go by: the id that a text has in the pool or in the first arm
    that has it. Equal texts then come at equal places of a draw, so that chance does not part what selections share, and the
    copies of a text in one arm stay together: drawn one by one, most would come alone. And which arms have each, and each copy
    of it."""
    first: dict[int, str] = {}

    def key_of(ids: pl.Series, texts: pl.Series) -> Iterator[str]:
        for id_, text in zip(ids, hashes(texts.to_arrow(), 0).tolist(), strict=True):
            yield first.setdefault(text, id_)

    if held.pool is not None:
        _ = [*key_of(held.pool.get_column("id"), held.pool.get_column("text"))]
    every = []
    having: Counter[tuple[str, int]] = Counter()
    for number, arm in enumerate(arms):
        copies: list[tuple[str, int]] = []
        times: Counter[str] = Counter()
        for key in key_of(arm.frame.get_column("id"), arm.frame.get_column("text")):
            copies.append((key, times[key]))
            times[key] += 1
        every.append(copies)
        for copy in copies:
            having[copy] += 1 << number
    return [
        replace(
            arm,
            keys=pl.Series([key for key, _ in copies], dtype=pl.String),
            shared=np.array([having[copy] for copy in copies], np.int64),
        )
        for arm, copies in zip(arms, every, strict=True)
    ]


def _frames(reference: str, given: Targets, held: Held) -> Iterable[pl.DataFrame]:
    path = Path(reference).expanduser()
    if reference in (RANDOM, ORACLE) and not path.exists():
        if held.pool is None:
            raise RunError(f"arm '{reference}': it is drawn from a pool: expected `pool` in the file of targets")
        if reference == ORACLE and given.oracle is None:
            raise RunError("arm 'oracle': expected `oracle` in the file of targets, such as \"kind = 'good'\"")
        where = given.oracle if reference == ORACLE else None
        return [held.pool.filter(matching(held.pool, where, "oracle"))]
    if path.is_dir() and (path / MANIFEST).exists():
        return of_shards(path)
    if (
        "@" in reference
        or (path.is_dir() and (path / "run.json").exists())
        or ("://" in reference and not reference.endswith(SUFFIXES))
    ):
        return of_run(open_run(reference))
    if path.is_dir() and not any(p.name.endswith(SUFFIXES) for p in path.rglob("*")):
        raise RunError(
            f"arm '{reference}': the folder holds neither a finished run (run.json), nor token shards ({MANIFEST}), nor "
            f"files of {', '.join(SUFFIXES)}"
        )
    if not path.exists() and not any(c in reference for c in "*?[") and not reference.endswith(SUFFIXES):
        raise RunError(
            f"arm '{reference}': no such run, folder or file; expected a run's folder (runs/ko, runs/ko@name), a folder of "
            f"shards, JSON Lines or Parquet files, '{RANDOM}' or '{ORACLE}'"
        )
    return of_files(files_of([reference], Path(), f"arm '{reference}'"))


def _usable(frames: Iterable[pl.DataFrame], given: Targets, held: Held, left: Counter[str]) -> Iterator[pl.DataFrame]:
    """With what the pool knows of them, without what is held out and empty; one row for each copy."""
    columns = ["domain", "source", "noise", "kind", "group", "copy_of"]
    known = None if held.known is None else held.known.select("id", *columns).unique("id", keep="first")
    for frame in frames:
        frame = frame.with_columns(piece(frame.get_column("text"), given.longest))
        if known is not None:
            joined = frame.join(known, on="id", how="left", suffix=" known", maintain_order="left")
            # the pool says what a run's own source is called
            of_pool = [pl.coalesce(f"{name} known", name).alias(name) for name in columns]
            frame = joined.with_columns(of_pool).select(frame.columns)
        reasons = held.reason(frame)
        reasons = reasons.set(reasons.is_null() & (frame.get_column("text").str.len_chars() == 0), "empty")
        for reason, number in reasons.drop_nulls().value_counts().iter_rows():
            left[reason] += number
        frame = frame.filter(reasons.is_null())
        copies = frame.get_column("copies").to_numpy().astype(np.int64)
        if (copies > 1).any():
            rows = np.repeat(np.arange(len(frame)), copies)
            number = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies)
            frame = frame[rows].with_columns(
                pl.when(pl.Series(number) > 0)
                .then(pl.col("id") + "#" + pl.Series(number).cast(pl.String))
                .otherwise("id")
                .alias("id")
            )
        yield frame.select("id", "text", "domain", "source", "noise", "kind")


def _sample(frames: Iterator[pl.DataFrame], most: int) -> pl.DataFrame:
    """All documents, or those whose hashes are lowest and that come to `most` characters. In the order of their hashes, so
    that the files' order changes nothing."""
    held: pl.DataFrame | None = None
    waiting: list[pl.DataFrame] = []
    size = 0

    def fitted() -> pl.DataFrame:
        whole = pl.concat([*([] if held is None else [held]), *waiting])
        order = pl.Series(hashes(whole.get_column("id").to_arrow(), 0, "held"))
        whole = whole.with_columns(order.alias("order")).sort("order", "id", "text").drop("order")
        room = whole.get_column("text").str.len_chars().cast(pl.Int64).cum_sum() <= most
        return whole.filter(room)

    for frame in frames:
        waiting.append(frame)
        size += int(frame.get_column("text").str.len_chars().sum())
        if size > 2 * most:
            held, waiting = fitted(), []
            size = int(held.get_column("text").str.len_chars().sum())
    if held is None and not waiting:
        return pl.DataFrame(schema=dict.fromkeys(("id", "text", "domain", "source", "noise", "kind"), pl.String))
    return fitted()
