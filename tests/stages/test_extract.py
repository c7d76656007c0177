"""Main text and title from real pages, by both engines; monsters cost themselves alone."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType
from pydantic import ValidationError

from winnow.filters.languages import language_pack
from winnow.stages.extract import KIND
from winnow.stages.source import Page

ENGINES = ["trafilatura", "resiliparse"]

SENTENCES = [
    "가을이 깊어지면서 남해안의 작은 어촌 마을은 멸치 말리는 냄새로 가득하다.",
    "마을 사람들은 새벽부터 배를 타고 나가 해가 뜨기 전에 그물을 거두어들인다.",
    "올해는 수온이 높아 어획량이 줄었지만 값은 지난해보다 조금 올랐다고 한다.",
    "이장은 젊은 사람들이 돌아오지 않는 것이 가장 큰 걱정이라고 말했다.",
]
NAVIGATION = "로그인 회원가입 장바구니"
COMMENT = "댓글에 적힌 의견은 본문이 아닙니다"


def article(encoding: str = "utf-8", form: str = "NFC") -> bytes:
    paragraphs = "".join(f"<p>{sentence} {sentence[::-1]}</p>" for sentence in SENTENCES)
    text = f"""<!DOCTYPE html><html lang="ko"><head><title>어촌의 가을 - 신문</title></head><body>
    <nav><ul><li><a href="/a">{NAVIGATION}</a></li></ul></nav>
    <article><h1>어촌의 가을</h1>{paragraphs}</article>
    <div id="comments" class="comments"><p>{COMMENT}</p></div>
    <footer><a href="/c">회사 소개</a></footer></body></html>"""
    return unicodedata.normalize(form, text).encode(encoding)  # type: ignore[arg-type]


def page(payload: bytes, charset: str | None = None) -> Page:
    return Page(id="0" * 32, url=None, date=None, payload=payload, charset=charset)


def stage(engine: str = "trafilatura", **settings: object) -> KIND:
    chosen = KIND.Settings.model_validate({"engine": engine, **settings})
    return KIND(name="extract", settings=chosen, pack=language_pack("ko"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16"])
def test_title_and_text_without_navigation_and_comments(engine: str, encoding: str) -> None:
    batch = stage(engine).measure([page(article(encoding), "utf-8")])
    row = batch.to_pylist()[0]
    assert row["error"] is None
    assert row["title"].startswith("어촌의 가을")
    assert all(sentence in row["text"] for sentence in SENTENCES)
    assert NAVIGATION not in row["text"]
    assert COMMENT not in row["text"]
    assert row["chars"] == len(row["text"])
    assert row["bytes"] == len(article(encoding))
    assert row["charset"] == {"utf-16": "utf-16-le"}.get(encoding, encoding)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_batch_has_the_contracts_columns(engine: str) -> None:
    extractor = stage(engine)
    for batch in (extractor.measure([]), extractor.measure([page(article())])):
        types = {field.name: field.type for field in batch.schema}
        assert types.pop("title") == pa.string()
        assert types.pop("text") == pa.large_string()
        assert types.pop("error") == pa.string()
        assert types == extractor.signals()


@pytest.mark.parametrize("engine", ENGINES)
def test_decomposed_hangul_is_composed(engine: str) -> None:
    row = stage(engine).measure([page(article(form="NFD"))]).to_pylist()[0]
    assert SENTENCES[0] in row["text"]
    assert unicodedata.is_normalized("NFC", row["text"] + row["title"])


@pytest.mark.parametrize("engine", ENGINES)
def test_xhtml_with_an_encoding_declaration(engine: str) -> None:
    payload = b'<?xml version="1.0" encoding="EUC-KR"?>\n' + article("cp949")
    row = stage(engine).measure([page(payload, "ISO-8859-1")]).to_pylist()[0]
    assert SENTENCES[2] in row["text"]
    assert (row["charset"], row["error"]) == ("cp949", None)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "payload",
    [b"", b" \n ", b"\x00" * 100, b"<html></html>", b"<html><body><script>x</script></body></html>", b"\xff\xfe"],
)
def test_nothing_to_extract_is_an_empty_text_not_an_error(engine: str, payload: bytes) -> None:
    row = stage(engine).measure([page(payload)]).to_pylist()[0]
    assert (row["text"], row["chars"], row["error"]) == ("", 0, None)


@pytest.mark.parametrize("engine", ENGINES)
def test_binary_payloads_and_lone_surrogates_do_no_harm(engine: str) -> None:
    surrogates = article().replace("가을이".encode(), b"&#xD800;&#55357;&#x110000;")
    payloads = [bytes(range(256)) * 400, b"\x89PNG\r\n\x1a\n" + b"\xff" * 9999, surrogates, article()]
    rows = stage(engine).measure([page(payload) for payload in payloads]).to_pylist()
    assert SENTENCES[1] in rows[2]["text"]
    assert SENTENCES[0] in rows[3]["text"]
    for row in rows:
        row["text"].encode()


CONTROLS = [*range(1, 9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", ["&#{:d};", "&#{:03d};", "&#x{:x};", "&#X{:X};", "&#x00{:X};", "&#{:d}", "&#x{:x}"])
def test_references_to_control_characters_cost_no_page(engine: str, form: str) -> None:
    references = [form.format(control) for control in CONTROLS]
    payloads = [article().replace("멸치".encode(), f"멸{reference}치".encode()) for reference in references]
    payloads.append(article().replace("멸치".encode(), "치 멸".join(references).join("멸치").encode()))
    rows = stage(engine).measure([page(payload) for payload in payloads]).to_pylist()
    for row in rows:
        assert row["error"] is None
        assert all(sentence in row["text"].replace("멸 치", "멸치") for sentence in SENTENCES[1:])
        assert not set(row["text"]) & set(map(chr, CONTROLS))
    parted = [code for code, row in zip(CONTROLS, rows, strict=False) if "작은 어촌 마을은 멸 치 말리는" in row["text"]]
    whole = [code for code, row in zip(CONTROLS, rows, strict=False) if "작은 어촌 마을은 멸치 말리는" in row["text"]]
    assert parted == [11, 12]
    assert whole == [code for code in CONTROLS if code not in parted]


@pytest.mark.parametrize("engine", ENGINES)
def test_other_references_stay(engine: str) -> None:
    kept = "&#x41;&#66;&#xb0;&#110;&#x1F600;&#xAC00;&#0044;&#x1ab;가&#9;나&#10;다&#13;라&#133;&amp;"
    row = stage(engine).measure([page(article().replace("멸치".encode(), kept.encode()))]).to_pylist()[0]
    assert row["error"] is None
    assert re.search(r"AB°n\U0001F600가,\u01ab가\s나\s+다\s*라…&", row["text"])


def test_a_page_that_trafilatura_gives_up_failed_with_its_cause() -> None:
    nested = article().replace("멸치".encode(), b"&&#8;#8;")  # taking one reference out makes another
    rows = stage().measure([page(nested), page(b"<html><body></body></html>"), page(article())]).to_pylist()
    assert rows[0]["error"].startswith("ExtractorError: given up by trafilatura: ValueError: All strings must be XML")
    assert (rows[0]["text"], rows[0]["chars"]) == ("", None)
    assert [row["error"] for row in rows[1:]] == [None, None]
    assert SENTENCES[0] in rows[2]["text"]


def nested(tag: str, levels: int) -> bytes:
    """The article below so many elements, and a last paragraph after them."""
    name = tag.split()[0]
    opened, closed = f"<article>{f'<{tag}>' * levels}", f"{f'</{name}>' * levels}<p>{SENTENCES[3]} 끝.</p></article>"
    return article().replace(b"<article>", opened.encode()).replace(b"</article>", closed.encode())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("tag", ["div", "span", "font color=red", "blockquote"])
def test_deep_nesting_loses_no_text(engine: str, tag: str) -> None:
    rows = stage(engine).measure([page(nested(tag, levels)) for levels in (10, 255, 256, 400, 2000)]).to_pylist()
    for row in rows:
        assert row["error"] is None
        assert all(sentence in row["text"] for sentence in SENTENCES)
        assert f"{SENTENCES[3]} 끝." in row["text"]
        assert COMMENT not in row["text"]


def test_deep_nesting_in_a_layout_table_loses_no_text() -> None:
    prose = "<br><br>".join(f"{sentence} {sentence[::-1]}" for sentence in SENTENCES)
    payload = (
        f"<html><body><table><tr><td>{'<b>' * 1900}{prose}{'</b>' * 1900}</td></tr></table></body></html>".encode()
    )
    row = stage().measure([page(payload)]).to_pylist()[0]
    assert row["error"] is None
    assert all(sentence in row["text"] for sentence in SENTENCES)


@pytest.mark.parametrize("levels", [2100, 6000, 100_000])
def test_a_page_too_deep_to_parse_failed_with_its_cause(levels: int) -> None:
    rows = stage().measure([page(article()), page(nested("div", levels)), page(article())]).to_pylist()
    cause = "ExtractorError: page not parsed to its end: Excessive depth in document: 2048"
    assert [row["error"] for row in rows] == [None, cause, None]
    assert (rows[1]["text"], rows[1]["chars"]) == ("", None)


@pytest.mark.parametrize("engine", ENGINES)
def test_monsters_in_the_midst_of_good_pages(engine: str) -> None:
    monsters = [
        b"<div>" * 200_000 + SENTENCES[0].encode(),
        b"<table><tr><td>" * 60_000,
        b"<b><i><a href=x><p>" * 30_000,
        b"<!--" * 100_000,
        b"<p " + b"a=b " * 200_000 + b">",
        b"&" * 500_000,
        b"<ul><li>" * 50_000 + article(),
    ]
    pages = [page(article())]
    for monster in monsters:
        pages += [page(monster), page(article("cp949"))]
    rows = stage(engine, page_seconds=2).measure(pages).to_pylist()
    assert len(rows) == len(pages)
    assert all(SENTENCES[0] in row["text"] and row["error"] is None for row in rows[::2])
    for row in rows[1::2]:
        assert row["error"] is None or re.match(r"timeout after 2 s|worker killed|out of memory|\w+Error", row["error"])


def test_an_errored_row_has_no_signals_and_an_empty_text() -> None:
    refused = Page(id="0" * 32, url=None, date=None, error="record cut off")
    row = stage().measure([refused]).to_pylist()[0]
    assert (row["error"], row["text"], row["chars"], row["charset"]) == ("record cut off", "", None, None)


def test_settings_are_checked() -> None:
    assert stage().clauses() == {"empty": "chars >= 1"}
    for bad in ({"engine": "beautifulsoup"}, {"page_seconds": 0}, {"page_memory": 1}, {"favor": "recall"}):
        with pytest.raises(ValidationError):
            KIND.Settings.model_validate(bad)


def old_page() -> bytes:
    """A page of about 2001: nested tables, <font>, paragraphs ended by <br><br>, in a legacy encoding."""
    menu = "".join(f"<tr><td bgcolor=#eeeecc><a href=p{n}.html>차림표{n}</a></td></tr>" for n in range(9))
    text = f"""<HTML><HEAD><TITLE>어촌의 가을</TITLE></HEAD><BODY BGCOLOR=white><center>
    <table width=760 border=0><tr><td colspan=2><img src=top.gif></td></tr>
    <tr><td width=150 valign=top><table width=140>{menu}</table></td>
    <td valign=top><table width=590 cellpadding=8><tr><td><font size=4><b>어촌의 가을</b></font><hr noshade>
    <font size=2>{"<br><br>".join(f"{sentence} {sentence[::-1]}" for sentence in SENTENCES)}</font></td></tr></table>
    </td></tr><tr><td colspan=2 align=center><font size=1>무단 전재 금지<br>webmaster</font></td></tr></table></center></BODY></HTML>"""
    return text.encode("cp949")


@pytest.mark.parametrize("engine", ENGINES)
def test_an_article_laid_out_in_tables_comes_out_in_paragraphs(engine: str) -> None:
    lines = stage(engine).measure([page(old_page())]).to_pylist()[0]["text"].splitlines()
    assert [line for line in lines if line.startswith(tuple(SENTENCES))] == [f"{s} {s[::-1]}" for s in SENTENCES]
    assert not [line for line in lines if "|" in line]
    if engine == "trafilatura":
        assert [line for line in lines if "차림표" in line or "webmaster" in line] == []


def test_a_notice_in_the_cell_of_a_table_with_headers() -> None:
    paragraphs = "".join(f"<p>{sentence} {sentence[::-1]}</p>" for sentence in SENTENCES)
    payload = f"""<html><body><div id=wrap><table class=view><tbody><tr><th scope=row>담당부서</th><td>총무과</td>
    <th scope=row>등록일</th><td>2019-03-02</td></tr><tr><td colspan=4><div>{paragraphs}</div></td></tr>
    <tr><th>첨부</th><td colspan=3><a href=/f>a.hwp</a></td></tr></tbody></table></div></body></html>""".encode()
    text = stage().measure([page(payload)]).to_pylist()[0]["text"]
    assert text.splitlines() == [f"{sentence} {sentence[::-1]}" for sentence in SENTENCES]


def test_a_table_of_data_stays_a_table() -> None:
    data = "".join(f"<tr><td>{year}</td><td>{year * 7 % 1000} 톤</td></tr>" for year in range(2001, 2006))
    table = f"<table><tr><th>해</th><th>어획량</th></tr>{data}</table>"
    for payload in (article().replace(b"</article>", table.encode() + b"</article>"), old_page()):
        payload = payload.replace(
            b"</font></td></tr></table>", b"</font>" + table.encode("cp949") + b"</td></tr></table>"
        )
        text = stage().measure([page(payload)]).to_pylist()[0]["text"]
        assert SENTENCES[3] in text
        assert re.search(r"^\| 2003 \| 21 톤 \|", text, re.MULTILINE)


def words_f1(text: str, gold: str) -> float:
    ours, theirs = Counter(re.findall(r"\w+", text)), Counter(re.findall(r"\w+", gold))
    return 2 * sum((ours & theirs).values()) / max(1, ours.total() + theirs.total())


@pytest.mark.parametrize(("engine", "least"), [("trafilatura", 0.87), ("resiliparse", 0.82)])
def test_word_f1_on_gold_pages(engine: str, least: float, data: Path, crawl_truth: list[dict[str, Any]]) -> None:
    gold = {row["uri"]: row["gold_text"] for row in crawl_truth if row.get("gold_text")}
    pages, golds = [], []
    for number, record in enumerate(
        ArchiveIterator(
            str(data / "crawl" / "web-mixed.warc.gz"), record_types=WarcRecordType.response, parse_http=True
        )
    ):
        uri = record.headers.get("WARC-Target-URI")
        if number % 8 == 0 and uri in gold:
            pages.append(page(record.reader.read(), record.http_charset))
            golds.append(gold[uri])
    rows = stage(engine).measure(pages).to_pylist()
    scores = [words_f1(row["text"], text) for row, text in zip(rows, golds, strict=True)]
    assert len(scores) > 100
    assert sum(scores) / len(scores) >= least
    assert [row["error"] for row in rows if row["error"]] == []
