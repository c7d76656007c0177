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

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from winnow.filters.kernel import Bytes, Ints, ReadBytes, ReadInts, inline, kernel
from winnow.filters.rules.measure import OWN, Group, Measure, Records, record

if TYPE_CHECKING:
    from winnow.filters.rules.table import Texts

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
Rows: TypeAlias = Annotated[Records, record(MEASURES)]


@inline
def _digit(byte: Any) -> Any:
    return 0x30 <= byte <= 0x39


@kernel
def _parts(offsets: ReadInts, data: ReadBytes, out: Rows) -> None:
    """The fields of the URL, from UTF-8 that is valid or not."""
    for row in range(len(out)):
        start = offsets[row]
        end = offsets[row + 1]
        length = depth = parameters = 0
        for i in range(start, end):
            length += (data[i] & 0xC0) != 0x80
        at = start
        while at < end and data[at] != 0x3A and data[at] != 0x2F and data[at] != 0x3F and data[at] != 0x23:
            at += 1
        if at + 2 < end and data[at] == 0x3A and data[at + 1] == 0x2F and data[at + 2] == 0x2F:
            at += 3
        else:
            at = start
        while at < end and data[at] != 0x2F and data[at] != 0x3F and data[at] != 0x23:
            at += 1
        segment = 0
        characters = 0
        digits = 0
        while at < end and data[at] != 0x3F and data[at] != 0x23:
            if data[at] == 0x2F:
                segment = 0
            elif (data[at] & 0xC0) != 0x80:
                depth += segment == 0
                segment += 1
                characters += 1
                digits += _digit(data[at])
            at += 1
        out[row].url_digits = digits / characters if characters else 0.0
        if at < end and data[at] == 0x3F:
            letters = 0
            at += 1
            while at < end and data[at] != 0x23:
                if data[at] == 0x26:
                    letters = 0
                else:
                    parameters += letters == 0
                    letters += 1
                at += 1
        out[row].url_length = length
        out[row].url_depth = depth
        out[row].url_parameters = parameters


@inline
def _number(data: Any, start: Any, digits: Any) -> Any:
    value = 0
    for i in range(start, start + digits):
        if not _digit(data[i]):
            return -1
        value = value * 10 + (data[i] - 0x30)
    return value


@kernel
def _days(offsets: ReadInts, data: ReadBytes, out: Rows) -> None:
    """The fields of the date, where the row begins with one of the calendar."""
    for row in range(len(out)):
        start = offsets[row]
        length = offsets[row + 1] - start
        if length >= 10 and data[start + 4] == 0x2D and data[start + 7] == 0x2D:
            month = _number(data, start + 5, 2)
            day = _number(data, start + 8, 2)
            if length > 10 and _digit(data[start + 10]):
                continue
        elif length >= 8 and (length in (8, 14) or not _digit(data[start + 8])):
            month = _number(data, start + 4, 2)
            day = _number(data, start + 6, 2)
        else:
            continue
        year = _number(data, start, 4)
        if year < 1 or not 1 <= month <= 12 or day < 1:
            continue
        leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
        longest = 31
        if month in (4, 6, 9, 11):
            longest = 30
        elif month == 2:
            longest = 28 + leap
        if day > longest:
            continue
        # Days before the year, before the month (March first, so that a leap day comes last), in the month.
        shifted = year - (month <= 2)
        before = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400
        in_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
        out[row].crawl_day = before + in_year - 719468
        out[row].crawl_year = year


def fill(texts: Texts, out: Records) -> None:
    """The fields of what a row does not have are NaN."""
    out[:] = np.array((np.nan,) * len(MEASURES), out.dtype)
    if texts.urls is not None:
        _parts(*_buffers(texts.urls), out)
        for name in ("url_length", "url_depth", "url_parameters", "url_digits"):
            out[name][_nulls(texts.urls)] = np.nan
    if texts.dates is not None:
        _days(*_buffers(texts.dates), out)
        for name in ("crawl_day", "crawl_year"):
            out[name][_nulls(texts.dates)] = np.nan


def _nulls(column: pa.Array) -> Any:
    return pc.is_null(column).to_numpy(zero_copy_only=False)


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


GROUP = Group("url_shape", 1, MEASURES, fill)
