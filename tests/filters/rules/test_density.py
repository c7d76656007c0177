"""Lines that are not prose, and links, against regular expressions over the trimmed lines."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.languages import language_pack
from winnow.filters.rules import density
from winnow.filters.rules.table import Texts

ITEM = re.compile(
    r"[-*•·ㆍ‣⁃◦▪▫■□●○◆◇▶►▷※①-⓿❶-➓㈀-㈛㈠-㈩㉠-㉻㊀-㊉]|\([0-9]{1,3}\)|[0-9]{1,3}[.)](?![0-9])"
    r"|(\(?[a-zA-Z가나다라마바사아자차카타파하]\)|[가나다라마바사아자차카타파하]\.)( |$)"
)
CODE = re.compile(r".*[{}],?$|.*(=|[a-zA-Z0-9_]\().*;$")
URI = r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]"
LINK = re.compile(
    rf"\]\((?P<target>[^)\s]*)\)|(?<![A-Za-z0-9])(?P<url>(?:https?://|ftp://)(?={URI}){URI}+|www\.(?={URI}){URI}+)",
    re.I | re.A,
)


def rows(*texts):
    offsets = np.concatenate([[0], np.cumsum([len(text.encode()) for text in texts])]).astype(np.int64)
    column = Texts(offsets, np.frombuffer("".join(texts).encode(), np.uint8), language_pack("ko"), "whitespace")
    found = column.records(density.GROUP)
    return [dict(zip(found.dtype.names, row, strict=True)) for row in found.tolist()]


def reference(text):
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not lines:
        return dict.fromkeys((measure.name for measure in density.MEASURES), 0.0)
    categories = [{unicodedata.category(c)[0] for c in line} for line in lines]
    visible = sum(not c.isspace() for line in lines for c in line)
    linked = sum(len(found["target"] or found["url"] or "") for line in lines for found in LINK.finditer(line))
    return {
        "list_lines": sum(ITEM.match(line) is not None for line in lines) / len(lines),
        "table_lines": sum("\t" in line or len(re.findall("[|│┃]", line)) >= 2 for line in lines) / len(lines),
        "code_lines": sum(CODE.match(line) is not None for line in lines) / len(lines),
        "number_lines": sum("N" in held and "L" not in held for held in categories) / len(lines),
        "link_density": linked / visible,
    }


def compare(texts):
    for text, row in zip(texts, rows(*texts), strict=True):
        assert row == pytest.approx(reference(text), abs=1e-12), text[:300]


@settings(max_examples=400)
@given(
    st.lists(
        st.one_of(
            st.text(st.sampled_from("1234.)(가나aZ①❤\ufe0f\u0301½-* \t|│{};=,\n"), max_size=60),
            st.lists(
                st.sampled_from(
                    ["http://", "HTTPS://a.b", "ftp://", "www.", "](", ")", "[", "x", "가", " ", "\n", "/", "h", "/w"]
                ),
                max_size=14,
            ).map("".join),
        ),
        max_size=4,
    )
)
def test_equals_the_expressions_on_texts_made_of_their_parts(texts):
    compare(texts)


def test_equals_the_expressions_on_real_pages(crawl_truth):
    texts = [row.get("gold_text") or "" for row in crawl_truth[::4]]
    compare([text for text in texts if text.strip()])


def test_lists():
    items = ["1. 첫째", "12) 열둘째", "(3) 셋째", "① 하나", "가. 목적", "b) 다음", "- 항목", "▶ 바로가기"]
    items += ["㉮ 하나", "(나) 둘", "⑴ 셋"]
    prose = [
        "3.14는 원주율이다",
        "2024년의 일",
        "1,000원",
        "Mr. Kim",
        "I. am",
        "(주)회사",
        "(주) 회사",
        "㈜회사",
        "다.라고",
        "1234. 긴",
    ]
    assert rows("\n".join(items))[0]["list_lines"] == 1
    assert rows("\n".join(prose))[0]["list_lines"] == 0


def test_tables_and_figures():
    assert rows("이름 | 값 | 비고\n가\t나\n본문 | 하나\n본문")[0]["table_lines"] == 0.5
    assert rows("2024-01-02\n₩12,900\n본문 3\n***")[0]["number_lines"] == 0.5


def test_a_mark_is_no_number():
    assert rows("❤️\n👍🏽‍♂️ ☀️\ń\n½ ❤️\n①\n𝟙")[0]["number_lines"] == 0.5


def test_code_but_not_the_lists_of_laws():
    code = 'int main() {\n  x = f(1);\n  print("a");\n}\n"a": {\n},'
    laws = "(a) the party;\nb) les personnes ;\n1. 이 법(이하 '법'이라 한다);\nплатёж;"
    assert rows(code)[0]["code_lines"] == 1
    assert rows(laws)[0]["code_lines"] == 0


def test_links():
    assert rows("https://a.kr/b?c=d에서 보세요")[0]["link_density"] == pytest.approx(18 / 23)
    assert rows("[글](/post/1) 끝")[0]["link_density"] == pytest.approx(7 / 13)
    assert rows("(HTTP://A.KR)")[0]["link_density"] == pytest.approx(12 / 13)
    assert rows("awww. https: //x http:/ xhttp://a")[0]["link_density"] == 0
