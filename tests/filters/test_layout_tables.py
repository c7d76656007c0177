"""Layout tables become blocks and paragraphs; tables of data stay tables; no text is lost or moved."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from winnow.filters.layout_tables import flatten, read_table

PROSE = [
    "가을이 깊어지면서 남해안의 작은 어촌 마을은 멸치 말리는 냄새로 가득하다. 사람들은 새벽부터 배를 탄다.",
    "올해는 수온이 높아 어획량이 줄었지만 값은 지난해보다 조금 올랐다고 한다. 그래도 그물은 가볍지 않다.",
    "이장은 젊은 사람들이 돌아오지 않는 것이 가장 큰 걱정이라고 말했다. 학교는 삼 년 전에 문을 닫았다고 한다.",
]
DATA_TABLE = "<table id=data><tr><th>해</th><th>톤</th></tr><tr><td>2003</td><td>512</td></tr><tr><td>2004</td><td>430</td></tr></table>"


def parse(markup: str) -> Any:
    return html.fromstring(f"<html><body>{markup}</body></html>")


def squeeze(tree: Any) -> str:
    return re.sub(r"\s+", "", tree.text_content())


def judged(markup: str) -> bool:
    return read_table(parse(markup).find(".//table")).layout


@pytest.mark.parametrize(
    ("layout", "markup"),
    [
        (True, "<table><tr><td>a</td><td><table><tr><td>b</td></tr></table></td></tr><tr><td>c</td></tr></table>"),
        (True, "<table><tr><td>하나</td><td>둘</td></tr></table>"),
        (True, "<table><tr><td>하나</td></tr><tr><td>둘</td></tr></table>"),
        (True, '<table role="presentation"><tr><th>a</th><td>b</td></tr><tr><th>c</th><td>d</td></tr></table>'),
        (True, f"<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>{'<br><br>'.join(PROSE)}</td></tr></table>"),
        (True, f"<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>{'<p>'.join(PROSE)}</td></tr></table>"),
        (True, f"<table><tr><th>a</th><td>b</td></tr><tr><td colspan=2>{'<p>'.join(PROSE)}</td></tr></table>"),
        (False, DATA_TABLE),
        (False, "<table><tr><td>2003</td><td>512</td></tr><tr><td>2004</td><td>430</td></tr></table>"),
        (False, "<table><caption>어획량</caption><tr><td>2003</td><td>512</td></tr></table>"),
        (False, "<table><thead><tr><td>2003</td></tr></thead><tr><td>2004</td></tr></table>"),
        (False, '<table><tr><td scope="row">2003</td><td>512</td></tr></table>'),
        (False, "<table><tr><td>" + f"</td><td>{PROSE[0]}</td></tr><tr><td>".join("가나다라") + "</td><td>끝</td></tr></table>"),
        (False, "<table></table>"),
    ],
)  # fmt: skip
def test_layout_is_told_from_data(layout: bool, markup: str) -> None:
    assert judged(markup) is layout


def test_double_line_breaks_make_paragraphs_and_single_ones_stay() -> None:
    tree = parse(
        f"<table><tr><td><font size=2>{PROSE[0]}<br>{PROSE[1]}<br> <br>{PROSE[2]}<b>!</b> 끝</font></td></tr></table>"
    )
    assert flatten(tree) == 1
    first, second = tree.iter("p")
    assert [line.strip() for line in first.itertext()] == PROSE[:2]
    assert len(first.findall("br")) == 1
    assert second.text_content() == PROSE[2] + "! 끝"


def test_the_cell_with_the_prose_becomes_the_article_and_data_in_it_stays() -> None:
    tree = parse(
        "<table><tr><td><table><tr><td><a href=/a>홈</a></td></tr><tr><td><a href=/b>지역</a></td></tr></table></td>"
        f"<td>{'<br><br>'.join(PROSE)}{DATA_TABLE}</td></tr><tr><td colspan=2>webmaster</td></tr></table>"
    )
    assert flatten(tree) == 2
    (article,) = tree.iter("article")
    assert [paragraph.text_content() for paragraph in article.iter("p")] == PROSE
    (data,) = tree.iter("table")
    assert data.get("id") == "data"
    assert article in list(data.iterancestors())
    assert squeeze(data) == "해톤2003512" + "2004430"
    assert not [link for link in tree.iter("a") if link.getparent().tag == "p"]


def test_a_page_that_names_its_article_keeps_it() -> None:
    tree = parse(f"<table><tr><td>{'<br><br>'.join(PROSE)}</td></tr></table><article><p>짧은 글</p></article>")
    assert flatten(tree) == 1
    assert [article.text_content() for article in tree.iter("article")] == ["짧은 글"]


@pytest.mark.parametrize(
    "markup",
    [
        f"<p>{PROSE[0]}</p>{DATA_TABLE}",
        "<table><tr><td><a href=/1>하나</a></td></tr><tr><td><a href=/2>둘</a></td></tr></table>",
        f"<table><tr><td>{''.join(f'<a href=/{n}>{text}</a><br><br>' for n, text in enumerate(PROSE))}</td></tr></table>",
    ],
)
def test_pages_without_prose_in_layout_tables_are_left_alone(markup: str) -> None:
    tree = parse(markup)
    before = html.tostring(tree)
    assert flatten(tree) == 0
    assert html.tostring(tree) == before


def test_scripts_and_forms_between_rows_stay_what_they_are() -> None:
    tree = parse(
        f"<table><form action=/x><tr><td>{'<br><br>'.join(PROSE)}<script>var a = 1;</script></td></tr></form>"
        "<script>var b = 2;</script></table>"
    )
    assert flatten(tree) == 1
    assert len(list(tree.iter("script"))) == 2
    assert len(list(tree.iter("form"))) == 1
    assert [paragraph.text for paragraph in tree.iter("p")] == PROSE


PIECES = st.sampled_from(
    [*PROSE, " ", "\n", "<br>", "<br/> <br>", "<b>굵게</b>", "<a href=/a>링크</a>", "<span>말<br><br>말</span>", "<hr>",
     "<p>문단</p>", "<div>묶음<br><br>둘</div>", "<center>가운데</center>", "<img src=a>", "<ul><li>항목</ul>", DATA_TABLE,
     "<table><tr><td>", "</td></tr></table>", "<tr><td>", "<td>", "<form>", "</form>", "<font color=red>", "</font>",
     "<!-- 주석 -->", "<script>x</script>", "&nbsp;"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30))
def test_no_text_is_lost_or_moved_and_a_second_time_changes_nothing(pieces: list[str]) -> None:
    tree = parse("<table><tr><td>" + "".join(pieces) + "</td></tr></table>")
    before = squeeze(tree)
    flatten(tree)
    assert squeeze(tree) == before
    flat = html.tostring(tree)
    flatten(tree)
    assert html.tostring(tree) == flat
