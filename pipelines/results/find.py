"""Find documents by id, URL or a fragment of their text, among all records of a run, those included that never became
documents.

Exact ids and URLs come first, then URLs as people write them, then beginnings of ids, then texts. Records are read one
partition at a time, texts one batch at a time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

import polars as pl

from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.store import BATCH_ROWS
from winnow.pipelines.engine.texts import Reader
from winnow.pipelines.results.table import Run, RunError
from winnow.pipelines.selection.verdict import KEPT

TEXT_HITS = 5
"""Texts that are explained before the scan for a fragment stops."""

CANDIDATES = 20
"""Texts that are listed before it stops."""

ID_PREFIX = re.compile(r"[0-9a-f]{8,31}\Z")


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the input and what became of it before there was a document; see `ingest.RECORD_SCHEMA`."""

    partition: Partition
    row: int  # position among the partition's documents, -1 where it became none
    id: str
    url: str | None
    date: str | None
    status: int
    stage: str | None
    clause: str | None
    value: str | None
    threshold: str | None
    page_bytes: int | None
    text_bytes: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """Records in corpus order, and by what they were found. `complete` is False where the scan stopped early."""

    records: tuple[Record, ...]
    by: str
    complete: bool = True


def find(run: Run, wanted: str, most: int | None = TEXT_HITS) -> Found:
    """All records of an id or URL (a recrawled page has several), or the first documents whose text holds a fragment, all of
    them where `most` is None.

    Raises RunError where there is none.
    """
    wanted = wanted.strip()
    if not wanted:
        raise RunError("an empty text was asked for; expected a URL, an id or a fragment of a text")
    exact = (pl.col("url") == wanted) | (pl.col("id") == wanted)
    ways = [("its URL or id", exact)]
    if not re.search(r"\s", wanted):
        plain = pl.col("url").str.to_lowercase().str.replace(r"^([a-z][a-z0-9+.-]*://)?(www\.)?", "")
        plain = plain.str.replace(r"#.*$", "").str.replace(r"/+$", "")
        ways.append(("its URL, but for scheme, www, case, escapes or a last slash", plain.is_in(_spellings(wanted))))
    if ID_PREFIX.match(wanted):
        ways.append(("the beginning of its id", pl.col("id").str.starts_with(wanted)))
    for by, condition in ways:
        if found := tuple(_matching(run, condition)):
            return Found(found, by)
    edits = run.plan.pipeline.edits()
    texts = tuple(_with_text(run, wanted, edits, most)) or (tuple(_with_text(run, wanted, (), most)) if edits else ())
    if not texts:
        documents = sum(run.plan.ingested(p)["documents"] for p in run.plan.partitions)
        freed = "; the text of documents that are not selected was given up" if _freed(run) else ""
        raise RunError(
            f"{run.folder}: no record has the URL or id '{wanted}', and none of {documents:,} texts holds it{freed}; "
            "expected a URL, an id or a fragment of a text"
        )
    return Found(texts, "a fragment of its text", complete=most is None or len(texts) < most)


def records(run: Run, partition: Partition) -> pl.DataFrame:
    """Every record of a partition, with `row`: its position among the documents, -1 where it became none."""
    table = pl.DataFrame(run.plan.store.read(run.plan.records(partition)))
    became = pl.col("status") == KEPT
    return table.with_columns(pl.when(became).then(became.cum_sum().cast(pl.Int64) - 1).otherwise(-1).alias("row"))


def _spellings(wanted: str) -> list[str]:
    """A URL without scheme, www, fragment and last slash, in lower case, as it is, unescaped and escaped."""
    bare = re.sub(r"^([a-z][a-z0-9+.-]*://)?(www\.)?", "", wanted, flags=re.I).partition("#")[0].rstrip("/")
    spellings = {bare, unquote(bare), quote(unquote(bare), safe="/?&=:;,+@!$'()*~%-._")}
    return sorted(spelling.lower() for spelling in spellings)


def _matching(run: Run, condition: pl.Expr) -> Iterator[Record]:
    for partition in run.plan.partitions:
        names = pl.DataFrame(run.plan.store.read(run.plan.records(partition), ["id", "url"]))
        if names.select(condition.any()).item():
            hits = records(run, partition).filter(condition)
            yield from (Record(partition=partition, **row) for row in hits.iter_rows(named=True))


def _with_text(run: Run, fragment: str, editors: Sequence[str], most: int | None) -> Iterator[Record]:
    """The first documents whose title or text, with the edits of these stages, holds a fragment, however its words are
    spaced."""
    pattern = spaced(fragment)
    hits = 0
    for partition in run.plan.partitions:
        if not run.plan.ingested(partition)["documents"]:
            continue
        reader = Reader(run.plan, partition, ["title", "text"], editors)
        rows: list[int] = []
        for number in range(reader.batches):
            batch = pl.DataFrame(reader.batch(number))
            holds = batch.select(
                (pl.col("text").str.contains(pattern) | pl.col("title").str.contains(pattern).fill_null(False)).alias(
                    "hit"
                )
            )
            rows += [number * BATCH_ROWS + row for row in holds.get_column("hit").arg_true().to_list()]
            if most is not None and hits + len(rows) >= most:
                break
        if rows:
            found = records(run, partition).filter(pl.col("row").is_in(rows if most is None else rows[: most - hits]))
            hits += len(found)
            yield from (Record(partition=partition, **row) for row in found.iter_rows(named=True))
        if most is not None and hits >= most:
            return


def spaced(fragment: str) -> str:
    """The pattern of a fragment, however its words are spaced."""
    return r"\s+".join(re.escape(word) for word in unicodedata.normalize("NFC", fragment).split())


def _freed(run: Run) -> bool:
    return any("freed" in (run.plan.store.record(run.plan.documents(p)) or {}) for p in run.plan.partitions)
