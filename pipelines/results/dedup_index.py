"""`winnow remember`: what a finished run keeps becomes a duplicate index, for later runs' `known:`.

The keys that the run's duplicate stage stored are read again band by band, no text is, and nothing is measured anew. In
memory are 57 bytes per kept document at the peak, for one band at a time (tests/bench/bench_minhash.py).

An index is a function of the documents that are kept: partitions and their order do not matter. On a local disk it
is written beside its place under a hidden name and renamed. Where folders cannot be renamed its manifest comes last, and
there is no lock: one process at a time may write to one place.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import numpy.typing as npt
import polars as pl
from fsspec.implementations.local import LocalFileSystem

from winnow.pipelines.results.table import Node, Run, RunError, open_run
from winnow.stages.duplicate_index import MANIFEST, IndexWriter, Manifest, numbers_type, read_index
from winnow.stages.minhash import MinHash

IS_KEPT = pl.col("multiplicity") > 0


@dataclass(frozen=True, slots=True)
class WrittenIndex:
    """A duplicate index, and whether it was there already."""

    url: str
    manifest: Manifest
    did_nothing: bool


def write_index(run: Run | str | Path, out: str | Path, stage: str | None = None) -> WrittenIndex:
    """Write what a finished run (or a selection of it, `runs/ko@stricter`) keeps as a duplicate index into the folder `out`.

    `stage`: the `minhash` stage whose keys to take, where there are several. Does nothing where that very index is
    there. Raises RunError where another one is, where the run is provisional, and where it has no such stage.
    """
    run = run if isinstance(run, Run) else open_run(run)
    node = _stage(run, stage)
    if run.unmeasured:
        raise RunError(
            f"{run.reference}: the selection is provisional; measure the rest first: winnow run --selection {run.name}"
        )
    url = str(out) if "://" in str(out) else str(Path(out).expanduser().resolve())
    fs, place = fsspec.core.url_to_fs(url, use_listings_cache=False)
    place = place.rstrip("/")
    made_from = _made_from(run, node)
    if (there := _there(run, node, url, made_from)) is not None:
        return WrittenIndex(url, there, True)
    if isinstance(fs, LocalFileSystem):
        with _beside(Path(place)) as folder:
            if folder is not None:
                made = _build(run, node, IndexWriter(fs, str(folder)), made_from)
                folder.rename(place)
                return WrittenIndex(url, made, False)
        there = _there(run, node, url, made_from)
        assert there is not None, "another process made it while this one waited"
        return WrittenIndex(url, there, True)
    return WrittenIndex(url, _build(run, node, IndexWriter(fs, place), made_from), False)


def _stage(run: Run, wanted: str | None) -> Node:
    """The duplicate stage to remember by."""
    found = {n.name: n for n in run.pipeline.measured() if isinstance(n.stage, MinHash)}
    if wanted is None and len(found) == 1:
        return next(iter(found.values()))
    if wanted in found:
        return found[wanted]
    there = f"it has {', '.join(found)}" if found else "it has none"
    asked = f"no stage '{wanted}' of kind 'minhash'" if wanted is not None else "expected one stage of kind 'minhash'"
    raise RunError(f"{run.reference}: {asked}; {there}" + ("; name one with --stage" if len(found) > 1 else ""))


def _made_from(run: Run, node: Node) -> dict[str, Any]:
    """What tells one selection from another without reading it, and what people want to know of it."""
    plan = run.plan
    return {
        "pipeline": plan.pipeline.name,
        "run": run.reference,
        "groups": sorted({p.group for p in plan.partitions if p.group}),
        "stage": node.name,
        "measured": run.measured_as(node.name),
        "selection": plan.selection,
        "digest": run.accounting["digest"],
    }


def _there(run: Run, node: Node, url: str, made_from: dict[str, Any]) -> Manifest | None:
    """The manifest of the same index at its place, None where there is none. Raises RunError for another one."""
    index = read_index(url)
    if index is None:
        return None
    there, same = index.manifest, ("measured", "selection", "digest")
    if all(there.made_from.get(key) == made_from[key] for key in same):
        return there
    made = _build(run, node, IndexWriter(fsspec.core.url_to_fs(url)[0], None), made_from)
    if made.digest != there.digest:
        raise RunError(
            f"{url}: holds another duplicate index, of {there.documents:,} documents of {there.made_from.get('run')}, and "
            f"{run.reference} keeps {made.documents:,}; an index is never changed: expected another --out"
        )
    return there


@contextmanager
def _beside(place: Path) -> Iterator[Path | None]:
    """An empty folder to be renamed to `place`, which no other process has at the same time; None if `place` is there by
    the time it is got. What a killed process left in it is removed."""
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        if (place / MANIFEST).exists():
            yield None
            return
        raise RunError(f"{place}: is there and is no duplicate index: expected a new folder for --out")
    folder = place.parent / f".{place.name}.remembering"
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            if not folder.exists() or os.fstat(held).st_ino != folder.stat().st_ino:
                continue  # the other one was done with it, and renamed it
            if (place / MANIFEST).exists():
                folder.rmdir()
                yield None
                return
            for left in folder.iterdir():
                left.unlink()
            whole = False
            try:
                yield folder
                whole = True
            finally:
                if not whole:
                    shutil.rmtree(folder, ignore_errors=True)
            return
        finally:
            os.close(held)


def _build(run: Run, node: Node, writer: IndexWriter, made_from: dict[str, Any]) -> Manifest:
    """Write the index, or without a folder to write to find out what it would be."""
    ids = _ids(run, node)
    order = np.lexsort((ids[:, 1], ids[:, 0]))
    ids = ids[order]
    new = np.ones(len(ids), np.bool_)
    new[1:] = (ids[1:] != ids[:-1]).any(axis=1)
    writer.ids(ids[new].astype(">u8").view(np.dtype((np.void, 16))).ravel())
    kind = numbers_type(len(ids))
    number: npt.NDArray[np.integer[Any]] = (np.cumsum(new) - 1).astype(kind)
    order = order.astype(kind)
    del ids, new
    stage = node.stage
    assert isinstance(stage, MinHash)
    for band, column in enumerate(name for name in stage.hidden() if name.startswith("_band_")):
        keys, there = _keys(run, f"{node.name}.{column}")
        keys, there = keys[order], there[order]
        keys, mine = keys[there], number[there]
        sort = np.argsort(keys, kind="stable")
        keys, mine = keys[sort], mine[sort]
        del sort
        once = np.ones(keys.size, np.bool_)  # a record that is kept twice has its key once
        once[1:] = (keys[1:] != keys[:-1]) | (mine[1:] != mine[:-1])
        writer.band(band, keys[once], mine[once])
    return writer.manifest(stage.scheme(), made_from)


def _ids(run: Run, node: Node) -> npt.NDArray[np.uint64]:
    """The ids of the kept documents, shape (n, 2), most significant half first."""
    own, found = f"@own {node.name}", [np.zeros((0, 2), np.uint64)]

    def key(rows: pl.DataFrame) -> str:
        return str(run.plan.partitions[int(rows.get_column("partition")[0])].key)

    for rows in run.read(["partition", "id", own], IS_KEPT):
        if len(lost := rows.filter(~pl.col(own))):
            raise RunError(
                f"{run.reference}: {len(lost):,} documents of {key(lost)} are kept and have no keys; run again"
            )
        halves = rows.with_columns(pl.col("id").str.decode("hex", strict=False))
        if len(odd := halves.filter((pl.col("id").bin.size() == 16).not_().fill_null(True))):
            raise RunError(f"{key(odd)}: has document ids that are not of 32 hex digits")
        raw = b"".join(halves.get_column("id").to_list())
        found.append(np.frombuffer(raw, ">u8").reshape(-1, 2).astype(np.uint64))
    ids, kept = np.concatenate(found), run.accounting["kept"]
    if len(ids) != kept:
        raise RunError(
            f"{run.reference}: its parts do not keep the {kept:,} documents that its accounts say; run again"
        )
    return ids


def _keys(run: Run, column: str) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """The kept documents' keys in a band, and whether each has one: a text without words has none."""
    parts = [pl.Series(column, [], pl.UInt64), *(frame.to_series() for frame in run.read([column], IS_KEPT))]
    found = pl.concat(parts)
    return found.fill_null(0).to_numpy(), found.is_not_null().to_numpy()
