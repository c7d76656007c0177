"""What a document's URL and date tell before its text is read: depth, length, digits, parameters, and the day.

These are measured on the columns `url` and `date`, not on the text, and are null where the document has none. The day
is what the source says (for WARC and ARC files the time of the crawl), counted from 1970-01-01 as written, without its
time zone, and never from today: a run gives the same signals whenever it is done. The age at some day is that day's
number less `crawl_day`; 2026-01-01 is 20454.

A clause that comes out null drops. One that is to let documents through that have no URL or date names the value that
they count with: `coalesce(url_depth, 1) >= 1`.

Source: RedPajama-Data-v2 gives URL and crawl date with each document (arXiv:2411.12372); depth and length as signals
are ours. The parts of a URL are those of RFC 3986, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from winnow.filters.rules.measure import OWN, Measure

if TYPE_CHECKING:
    from winnow.filters.rules.words import Bytes, Ints

COLUMNS = ("url_length", "url_depth", "url_parameters", "url_digits", "crawl_day", "crawl_year")

MEASURES = (
    Measure("url_length", "count", OWN, "characters of the URL; null without one, as the next three"),
    Measure(
        "url_depth",
        "count",
        OWN,
        "segments of the URL's path that are not empty. Home pages have 0: coalesce(url_depth, 1) >= 1 drops them and "
        "keeps what has no URL",
    ),
    Measure(
        "url_parameters", "count", OWN, "parameters of the URL's query, cut at '&': search pages, calendars, shops"
    ),
    Measure("url_digits", "share", OWN, "digits / characters of the URL's path but '/'; 0 without a path"),
    Measure(
        "crawl_day",
        "count",
        OWN,
        "days from 1970-01-01 to the document's date (2026-01-01 is 20454); null where it has none that begins "
        "YYYY-MM-DD or YYYYMMDD. crawl_day >= 20089 keeps what was at most a year old on that day and drops nulls",
    ),
    Measure("crawl_year", "count", OWN, "year of the document's date, null as crawl_day: crawl_year >= 2020"),
)


def url_shape(urls: pa.Array, dates: pa.Array) -> pa.RecordBatch:
    """One row per document, one column per measure, with its type. `urls` and `dates` are string or large_string columns
    of one length, with nulls, sliced or not."""
    from winnow.filters.rules.url_shape_kernel import days, parts

    counts, shares = parts(*_buffers(urls))
    when = days(*_buffers(dates))
    columns = [*(counts[:, i] for i in range(3)), shares, when[:, 0], when[:, 1]]
    absent = [*[_nulls(urls)] * 4, *[_nulls(dates) | (when[:, 2] == 0)] * 2]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(column.astype(measure.type.to_pandas_dtype()), mask=missing)
            for measure, column, missing in zip(MEASURES, columns, absent, strict=True)
        ],
        names=list(COLUMNS),
    )


def _nulls(column: pa.Array) -> npt.NDArray[np.bool_]:
    return cast("npt.NDArray[np.bool_]", pc.is_null(column).to_numpy(zero_copy_only=False))


def _buffers(column: pa.Array) -> tuple[Ints, Bytes]:
    """Offsets [rows + 1] and bytes, not copied but for narrow offsets. What lies under a null is read, then masked."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise TypeError(f"a column of URLs or dates has type {column.type}: expected string or large_string")
    _, offsets, data = column.buffers()
    if offsets is None or not len(column):
        return np.zeros(len(column) + 1, np.int64), np.zeros(0, np.uint8)
    width = np.int32 if pa.types.is_string(column.type) else np.int64
    held = np.frombuffer(memoryview(offsets), width)[column.offset : column.offset + len(column) + 1]
    return held.astype(np.int64), np.frombuffer(memoryview(data), np.uint8) if data else np.zeros(0, np.uint8)
