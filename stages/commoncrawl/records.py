"""The pages of one unit: its ranges fetched, its records cut out of them, each checked against what the index says; and the
texts of WET files, in which Common Crawl keeps what it extracted of each page."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from winnow.stages.commoncrawl.fetcher import Fetcher, FetchError, Range
from winnow.stages.reading.archives import read_range
from winnow.stages.reading.batches import Batch, placed
from winnow.stages.reading.files import Window, basename
from winnow.stages.reading.members import Broken
from winnow.stages.reading.records import WarcRecord
from winnow.stages.reading.responses import Accepted, Undecodable, decode_body, record_id, response_of, response_page
from winnow.stages.source import Damage, Page

Row = dict[str, Any]


def unit_pages(fetcher: Fetcher, unit: pa.Table, accepted: Accepted) -> Iterator[Page]:
    """One page for each row of a unit (`units.UNIT`), in order: what the whole file would give for that record, or an
    error where its range cannot be fetched or does not hold what the index says."""
    rows: list[Row] = unit.to_pylist()
    ranged = [list(group) for _, group in itertools.groupby(rows, lambda row: (row["warc"], row["start"], row["end"]))]
    wanted = [Range(group[0]["warc"], group[0]["start"], group[0]["end"]) for group in ranged]
    for group, (_, body) in zip(ranged, fetcher.ranges(wanted), strict=True):
        for row in group:
            if isinstance(body, FetchError):
                yield _lost(row, str(body))
            else:
                at = row["offset"] - row["start"]
                yield _page(row, body[at : at + row["length"]], accepted)


def _page(row: Row, member: bytes, accepted: Accepted) -> Page:
    name = basename(row["warc"])
    window = Window(io.BytesIO(member), len(member))
    found = list(itertools.islice(read_range(window, name, 0, len(member), accepted.block), 2))
    broken = next((item.cause for item in found if isinstance(item, Broken)), None)
    records = [item for item in found if isinstance(item, WarcRecord)]
    if broken is not None or len(records) != 1:
        return _lost(row, broken or f"{len(records) or 'no'} records are there; expected one")
    record = replace(records[0], offset=row["offset"], place=str(row["offset"]))
    if record.head.kind != "response":
        return _lost(row, f"a {record.head.kind} record is there; expected a response")
    cause = _contradiction(row, record, accepted)
    if cause is not None:
        return Page(record_id(record.head.id, name, record.place), row["url"], record.head.date, error=_at(row, cause))
    return response_page(record, name, accepted)


def _contradiction(row: Row, record: WarcRecord, accepted: Accepted) -> str | None:
    """How a record differs from what the index says of it; None where it does not."""
    if row["url"] is not None and record.head.url != row["url"]:
        return f"the record is of {record.head.url}; expected {row['url']}"
    if row["digest"] is None or record.head.length > len(record.body):
        return None  # nothing to compare; or a block over the limit, of which only the start was kept
    expected = row["digest"].rpartition(":")[2].upper()
    try:
        response = response_of(record)
        body = bytes(record.body[response.start :])
        if _sha1(body) == expected:
            return None
        # Crawls of other times digest the body without its codings.
        if _sha1(decode_body(response, record.body, accepted.max_bytes, record.head.clipped)) == expected:
            return None
    except Undecodable:
        return None  # `response_page` says what is wrong with it
    return f"the payload's SHA-1 is {_sha1(body)}; the index says {expected}"


def _sha1(body: bytes) -> str:
    return base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()


def _lost(row: Row, cause: str) -> Page:
    return Page(record_id(None, basename(row["warc"]), str(row["offset"])), row["url"], None, error=_at(row, cause))


def _at(row: Row, cause: str) -> str:
    return f"{row['warc']}, {row['length']:,} bytes at byte {row['offset']:,}: {cause}"


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
