"""Functions of somebody's own package, for `use: function`, and a datatrove filter of somebody's own."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from winnow.stages.base import Document


def long_enough(text: str, least: int = 20) -> bool:
    return len(text) >= least


def share(document: Document) -> float | None:
    if "boom" in document.text:
        raise ValueError("no text of this kind")
    return len(document.title or "") / len(document.text) if document.text else None


def counts(batch: pa.RecordBatch) -> dict[str, object]:
    words = pl.Series(batch.column("text").to_pylist()).str.split(" ").list.len()
    return {"chars": pc.utf8_length(batch.column("text")), "words": words}


def short(batch: pa.RecordBatch) -> dict[str, object]:
    return {"chars": [1]}


def raising(batch: pa.RecordBatch) -> dict[str, object]:
    raise KeyError("x")


def untyped(text):
    return True


def nothing(text: str) -> list[str]:
    return []
