"""Texts of WET files: the conversion records, in which Common Crawl keeps the text that it extracted of each page."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from winnow.stages.reading.archives import read_range
from winnow.stages.reading.batches import Batch, placed
from winnow.stages.reading.files import Window
from winnow.stages.reading.members import Broken
from winnow.stages.reading.responses import record_id
from winnow.stages.stage import Damage


def conversion_texts(
    window: Window, url: str, name: str, source: str, max_bytes: int
) -> Iterator[pa.RecordBatch | Damage]:
    """The conversion records of a file, in order, as batches of `batches.TEXT_SCHEMA`. A text that is no UTF-8 or longer
    than `max_bytes` is a row with its cause."""
    batch = Batch(source)
    for item in read_range(window, name, 0, window.size, max_bytes):
        if isinstance(item, Broken):
            yield from batch.take()
            yield Damage(url, item.offset, item.cause)
            continue
        head = item.head
        if head.kind != "conversion":
            continue
        text, error = None, None
        if head.length > len(item.body):
            error = f"text has {head.length} bytes: expected at most {max_bytes}"
        else:
            try:
                text = bytes(item.body).decode().strip("\r\n")
            except UnicodeDecodeError as failure:
                error = f"text is not valid UTF-8 at byte {failure.start}"
        error = error and placed(name, f"byte {item.offset}", error)
        batch.add(record_id(head.id, name, item.place), head.url, head.date, None, text, error)
        if batch.full():
            yield from batch.take()
    yield from batch.take()
