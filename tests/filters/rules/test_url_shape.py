"""The shape of URLs against urllib, and days against datetime."""

from __future__ import annotations

import datetime
from urllib.parse import urlsplit

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.languages import language_pack
from winnow.filters.rules.table import measure
from winnow.filters.rules.url_shape import MEASURES
from winnow.pipelines.selection.language import compile_clauses

COLUMNS = [measure.name for measure in MEASURES]


def url_shape(urls, dates):
    texts = pa.array([""] * len(urls), pa.large_string())
    return measure(texts, language_pack("en"), urls=urls, dates=dates, groups=["url_shape"])


def rows(urls, dates=None):
    return url_shape(pa.array(urls, pa.string()), pa.array(dates or [None] * len(urls), pa.large_string())).to_pylist()


def days(*dates):
    return [row["crawl_day"] for row in rows([None] * len(dates), list(dates))]


def reference(url):
    parts = urlsplit(url)
    path = parts.path.replace("/", "")
    return {
        "url_length": len(url),
        "url_depth": sum(segment != "" for segment in parts.path.split("/")),
        "url_parameters": sum(pair != "" for pair in parts.query.split("&")),
        "url_digits": pytest.approx(sum(c in "0123456789" for c in path) / max(1, len(path)), abs=1e-6),
    }


@settings(max_examples=300)
@given(st.lists(st.text(st.sampled_from("ab12/?&=#:한%."), max_size=30), max_size=5))
def test_equals_urllib(tails):
    urls = [f"http://host.kr{'/' if tail[:1] not in '/?#' else ''}{tail}" for tail in tails]
    for url, row in zip(urls, rows(urls), strict=True):
        assert {name: row[name] for name in reference(url)} == reference(url), url


def test_equals_urllib_on_the_urls_of_a_crawl(crawl_truth):
    urls = [row["uri"] for row in crawl_truth if "://" in row["uri"]]
    for url, row in zip(urls, rows(urls), strict=True):
        assert {name: row[name] for name in reference(url)} == reference(url), url


def test_types_nulls_and_slices():
    batch = url_shape(pa.array(["http://a.kr/b/1", None, ""]), pa.array([None, "2024-02-29T01:02:03Z", ""]))
    assert batch.schema.types == [measure.type for measure in MEASURES]
    assert batch.schema.names == COLUMNS
    first, second, third = batch.to_pylist()
    assert (first["url_depth"], first["crawl_day"], first["crawl_year"]) == (2, None, None)
    assert [second[name] for name in COLUMNS[:4]] == [None] * 4
    assert (second["crawl_day"], second["crawl_year"]) == (19782, 2024)
    assert [third[name] for name in COLUMNS] == [0, 0, 0, 0.0, None, None]
    urls = pa.array(["x" * 9, "http://a.kr/b/1", None])
    dates = pa.array(["2020-01-01"] * 3)
    assert url_shape(urls.slice(1, 1), dates.slice(1, 1)).to_pylist() == url_shape(urls, dates).to_pylist()[1:2]
    assert url_shape(urls.slice(0, 0), dates.slice(0, 0)).num_rows == 0
    under = pa.array(["2020-01-01"]).buffers()  # a null may have bytes under it
    hidden = pa.Array.from_buffers(pa.string(), 1, [pa.py_buffer(b"\x00"), *under[1:]])
    assert set(url_shape(hidden, hidden).to_pylist()[0].values()) == {None}
    assert [row["url_length"] for row in rows(["", ""], ["", ""])] == [0, 0]
    with pytest.raises(TypeError, match="expected string or large_string"):
        url_shape(pa.array([1]), dates.slice(0, 1))


def test_clauses_over_documents_without_url_or_date():
    frame = pl.DataFrame(
        url_shape(pa.array(["http://a.kr", "http://a.kr/b", None]), pa.array(["2025-06-01", None, "2020"]))
    )
    known = {f"rules.{measure.name}": measure.type for measure in MEASURES}
    keep = {"home": "coalesce(url_depth, 1) >= 1", "old": "crawl_day >= 20089"}
    home, old = compile_clauses("rules", keep, known)
    named = frame.rename({name: f"rules.{name}" for name in COLUMNS})
    assert named.select(home.expr()).to_series().to_list() == [False, True, True]
    assert named.select(old.expr()).to_series().to_list() == [True, False, False]


def test_no_scheme_no_path_and_bytes_that_are_no_text():
    assert [
        row["url_depth"] for row in rows(["a.kr/b/c", "a.kr", "http://a.kr?x=/y", "http://a.kr//b//", "urn:uuid:1"])
    ] == [2, 0, 0, 1, 0]
    raw = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\x00\x00\x00\x00\x06\x00\x00\x00"), pa.py_buffer(b"\xed\xa0\x80/\xff1")]
    )
    row = url_shape(raw, pa.array(["2020-01-01"])).to_pylist()[0]
    assert (row["url_length"], row["url_depth"], row["url_digits"]) == (4, 1, 0.5)


@settings(max_examples=300)
@given(st.dates(), st.sampled_from(["", "T10:00:00Z", " 10:00", "T23:59:59+09:00"]))
def test_days_are_those_of_the_calendar(date, rest):
    wanted = (date - datetime.date(1970, 1, 1)).days
    assert days(date.isoformat() + rest, date.strftime("%Y%m%d").rjust(8, "0")) == [wanted, wanted]


def test_what_is_no_date_is_null():
    wrong = [
        "2023-02-29",
        "2024-13-01",
        "2024-00-10",
        "2024-1-10",
        "0000-01-01",
        "yesterday",
        "2024",
        "2024-02-301",
        "202402301",
    ]
    assert days(*wrong) == [None] * len(wrong)
    assert days("20240229103000", "20240229T10") == [19782, 19782]
