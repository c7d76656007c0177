"""Selections side by side, row by row the same record: what `winnow diff` and `winnow compare` count.

Selections of one folder and one ingest have the same records in the same order, so their rows are laid beside each other some
partitions at a time. Other runs are joined by document id, which holds about 250 bytes per record of each in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from winnow.pipelines.results.table import Run

SIDE = ("partition", "number", "id", "url", "status", "multiplicity", "stage", "clause", "text_bytes")
"""What is read of every side."""

NO_LABEL = "(none)"


def side_by_side(runs: Sequence[Run], more: Sequence[Sequence[str]] | None = None) -> Iterator[list[pl.DataFrame]]:
    """SIDE and `more` columns of the records of several selections, row by row the same record: one frame for each, null where a
    selection has no such record; with `tokens`, null where nothing counted them, and `domain`, null where nothing says it."""
    reads = [_read(run, more[n] if more else ()) for n, run in enumerate(runs)]
    if all(run.same_rows(runs[0]) for run in runs):
        yield from (list(frames) for frames in zip(*reads, strict=True))
        return
    key = ["id", "nth"]
    nth = pl.int_range(pl.len(), dtype=pl.Int32).over("id").alias("nth")
    sides = [pl.concat(list(read)).with_columns(pl.col("id").fill_null("")).with_columns(nth) for read in reads]
    keys = pl.concat([side.select(key) for side in sides]).unique(maintain_order=True)
    yield [keys.join(side, on=key, how="left", maintain_order="left").drop("nth") for side in sides]


def domain_signal(run: Run) -> str | None:
    """The label that says which domain a document is of: the one that a mixture mixes, or the stage `domain`'s."""
    nodes = run.pipeline.nodes
    for node in nodes.values():
        if "multiplicity" in node.stage.signals() and hasattr(node.stage.settings, "by"):
            return str(node.stage.settings.by)
    return "domain.label" if "domain" in nodes and "label" in nodes["domain"].stage.signals() else None


def _read(run: Run, more: Sequence[str]) -> Iterator[pl.DataFrame]:
    counted, labelled = run.tokens(), domain_signal(run)
    tokens = pl.lit(None) if counted is None else pl.col(counted)
    domain = pl.lit(None, pl.String) if labelled is None else pl.col(labelled).cast(pl.String).fill_null(NO_LABEL)
    wanted = dict.fromkeys([*SIDE, *filter(None, (counted, labelled)), *more])
    for frame in run.read(list(wanted), of="records"):
        yield frame.with_columns(tokens.cast(pl.Int64).alias("tokens"), domain.alias("domain"))
