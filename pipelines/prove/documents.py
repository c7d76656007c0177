"""Documents of an experiment: read from JSON Lines or Parquet, from a run's selection, or from token shards.

Every reader yields frames with the columns of SCHEMA, some thousand documents at a time.
"""

from __future__ import annotations

import io
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from fsspec.implementations.local import LocalFileSystem

from winnow.filters.hash_random import hashes
from winnow.nearest import hint
from winnow.pipelines.results.table import Run, RunError
from winnow.stages.reading.batches import identity
from winnow.stages.reading.files import basename, filesystem, public, reason_of, server_errors
from winnow.stages.reading.paths import below, matches
from winnow.tokenize.shard import TOKENIZER

SCHEMA = pl.Schema(
    dict.fromkeys(("id", "text", "domain", "source", "noise", "kind", "group", "copy_of", "file"), pl.String)
    | {"copies": pl.UInt16}
)
KNOWN = ("domain", "source", "noise", "kind", "group", "copy_of")
FORMATS = (".jsonl", ".ndjson", ".parquet", ".pq")
SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".jsonl.zst", ".parquet", ".pq")
ROWS = 2000

_HEX = re.compile(r"[0-9a-f]{32}")


def canonical_id(value: str) -> str:
    """How a run knows the document whose id column holds this; an id that a run gave stays."""
    return value if _HEX.fullmatch(value) else identity(value)


def files_of(patterns: Iterable[str], base: Path, option: str) -> list[str]:
    """The files of patterns and folders as paths or fsspec URLs, found as those of a source are; local ones start from `base`.
    Raises RunError where a pattern has none, or one of another kind."""
    out: list[str] = []
    foreseen: tuple[type[Exception], ...] = (OSError, ValueError, ImportError, *server_errors())
    for pattern in patterns:
        try:
            fs, path = filesystem(pattern if "://" in pattern else str(base / Path(pattern).expanduser()))
            found = matches(fs, path)
            if len(found) == 1 and fs.isdir(found[0]):
                found, _ = below(fs, found[0], FORMATS)
        except foreseen as error:
            raise RunError(f"{option}: '{public(pattern)}' cannot be opened: {reason_of(error)}") from error
        if not found:
            local = Path(path).parent
            near = hint(Path(path).name, sorted(p.name for p in local.iterdir())) if local.is_dir() else ""
            raise RunError(f"{option}: '{public(pattern)}' matches no file{near}")
        for file in found:
            if not file.endswith(SUFFIXES):
                raise RunError(f"{option}: {file} is none of {', '.join(SUFFIXES)}")
        out += found if isinstance(fs, LocalFileSystem) else map(fs.unstrip_protocol, found)
    return out


def of_files(files: Iterable[str]) -> Iterator[pl.DataFrame]:
    """Documents of JSON Lines and Parquet files: `text`, and what they have of `id` and KNOWN. A first frame is empty. Raises
    RunError with file and line for what cannot be read."""
    yield pl.DataFrame(schema=SCHEMA)
    for url in files:
        name = basename(url)
        stem = name.removesuffix(next(suffix for suffix in SUFFIXES if name.endswith(suffix)))
        rows = _parquet(url) if name.endswith((".parquet", ".pq")) else _jsonl(url)
        while batch := [*itertools.islice(rows, ROWS)]:
            yield pl.DataFrame([_document(url, number, row, stem) for number, row in batch], SCHEMA)


def _document(url: str, number: int, row: Mapping[str, Any], stem: str) -> dict[str, Any]:
    text, given = row.get("text"), row.get("id")
    if not isinstance(text, str):
        has = ", ".join(sorted(row)[:12]) or "nothing"
        raise RunError(f"{public(url)}:{number}: expected a string 'text'; it has {has}")
    known = {name: None if row.get(name) in (None, "") else str(row[name]) for name in KNOWN}
    name = canonical_id(str(given)) if given not in (None, "") else identity(f"{basename(url)}:{number}")
    return {"id": name, "text": text, "file": stem, "copies": 1, **known}


def _jsonl(url: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with _opened(url) as stream:
        for number, line in enumerate(io.BufferedReader(stream), 1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise RunError(f"{public(url)}:{number}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise RunError(f"{public(url)}:{number}: expected an object with a 'text', got {type(row).__name__}")
            yield number, row


def _parquet(url: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with _opened(url) as stream, pq.ParquetFile(stream) as file:
        names = [name for name in ("id", "text", *KNOWN) if name in file.schema_arrow.names]
        batches = file.iter_batches(ROWS, columns=names)
        yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)


@contextmanager
def _opened(url: str) -> Iterator[Any]:
    """A file, decompressed. Raises RunError for what cannot be read of it."""
    try:
        fs, path = filesystem(url)
        with fs.open(path, "rb", compression="infer") as stream:
            yield stream
    except (EOFError, zlib.error, zstandard.ZstdError, OSError, pa.ArrowException, *server_errors()) as error:
        raise RunError(f"{public(url)}: cannot be read: {reason_of(error)}") from error


def of_run(run: Run) -> Iterator[pl.DataFrame]:
    """What a selection keeps, with the edits of its stages, and how often."""
    labels = [n for n in run.signals() if n in ("domain.label",)]
    columns = ["id", "text", "source", "multiplicity", *labels]
    for frame in run.read(columns, pl.col("multiplicity") > 0):
        lost = frame.get_column("text").null_count()
        if lost:
            raise RunError(f"{run.reference}: the texts of {lost} documents that it keeps were given up")
        domain = pl.col(labels[0]).cast(pl.String) if labels else pl.lit(None, pl.String)
        yield _complete(
            frame.select(
                "id", "text", "source", domain.alias("domain"), pl.col("multiplicity").cast(pl.UInt16).alias("copies")
            )
        )


def of_shards(folder: Path) -> Iterator[pl.DataFrame]:
    """The documents of a folder of token shards, as its own tokenizer decodes them, without metadata prefixes."""
    from tokenizers import Tokenizer

    from winnow.tokenize.reader import ShardSet

    shards = ShardSet.open(folder)
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    for batch in shards.documents().to_batches(max_chunksize=ROWS):
        prefixes = batch.column("prefix_len").to_pylist()
        ids = [list(map(int, row.values[n:])) for row, n in zip(batch.column("input_ids"), prefixes, strict=True)]
        texts = tokenizer.decode_batch(ids, skip_special_tokens=True)
        yield _complete(pl.DataFrame({"id": batch.column("doc_id").to_pylist(), "text": texts}))


def _complete(frame: pl.DataFrame) -> pl.DataFrame:
    lacking = [pl.lit(None, kind).alias(name) for name, kind in SCHEMA.items() if name not in frame.columns]
    return frame.with_columns(lacking).with_columns(pl.col("copies").fill_null(1)).select(list(SCHEMA))


def measured(frame: pl.DataFrame) -> pl.DataFrame:
    """With what `where` may ask for besides: `characters`, `hangul`."""
    visible = pl.col("text").str.count_matches(r"\S")
    hangul = pl.col("text").str.count_matches("[가-힣]")
    return frame.with_columns(
        pl.col("text").str.len_chars().cast(pl.Int64).alias("characters"),
        (hangul / visible).fill_nan(0.0).alias("hangul"),
    )


def matching(frame: pl.DataFrame, where: str | None, said: str) -> pl.Series:
    """Which rows a condition holds for. Raises RunError."""
    if where is None:
        return pl.Series(np.ones(len(frame), np.bool_))
    try:
        found = frame.select(pl.sql_expr(where).alias("holds")).to_series()
    except pl.exceptions.PolarsError as error:
        columns = ", ".join(name for name in frame.columns if name not in ("text", "copies", "copy_of"))
        raise RunError(f"{said}: {where!r}: {str(error).splitlines()[0]}; it may name {columns}") from error
    if found.dtype != pl.Boolean or len(found) not in (1, len(frame)):
        raise RunError(f"{said}: {where!r}: expected a condition, which is true or false of each document")
    return (found if len(found) == len(frame) else found.new_from_index(0, len(frame))).fill_null(False)


def piece(texts: pl.Series, longest: int) -> pl.Series:
    """So many characters in a row of each text, from a place that a hash of the text decides; shorter texts whole. Beginnings
    alone would be titles and front matter."""
    sizes = texts.str.len_chars().cast(pl.Int64).to_numpy()
    spare = np.maximum(sizes - longest, 0)
    if not spare.any():
        return texts
    start = (hashes(texts.to_arrow(), 0, "piece") % (spare.astype(np.uint64) + np.uint64(1))).astype(np.int64)
    return pl.select(pl.lit(texts).str.slice(pl.lit(pl.Series(start)), longest).alias("text")).to_series()
