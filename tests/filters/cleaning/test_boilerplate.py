"""Lines of boilerplate go in every language that has phrases, and lines of running text stay."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.cleaning.boilerplate import LONGEST, boilerplate, languages
from winnow.filters.edits import apply
from winnow.filters.languages import languages as packs


def rule(line: str, language: str) -> str | None:
    text = f"본문 first.\n{line}\nlast 문장."
    edits = boilerplate((language, "en"))(pl.Series([text])).get(0, [])
    assert apply(text, edits) == (text if not edits else "본문 first.\nlast 문장.")
    return edits[0].rule.removeprefix("boilerplate.") if edits else None


@pytest.mark.parametrize(
    ("line", "language", "category"),
    [
        ("ⓒ 연합뉴스, 무단전재 및 재배포 금지", "ko", "copyright"),
        ("저작권자 © 예시일보 무단전재 및 재배포 금지", "ko", "copyright"),
        ("<저작권자(c) 연합뉴스, 무단 전재-재배포, AI 학습 및 활용 금지>", "ko", "copyright"),
        ("Copyright ⓒ 2024 예시 All rights reserved.", "ko", "copyright"),
        ("페이스북 트위터 카카오톡 URL복사", "ko", "share"),
        ("로그인 | 회원가입", "ko", "login"),
        ("이전글", "ko", "navigation"),
        ("다음글 : 봄맞이 행사 안내", "ko", "navigation"),
        ("댓글 12개", "ko", "comments"),
        ("댓글을 작성하려면 로그인이 필요합니다", "ko", "comments"),
        ("이 웹사이트는 쿠키를 사용합니다. 계속 이용하시면 쿠키 정책에 동의하는 것으로 봅니다.", "ko", "cookie"),
        ("뉴스레터 구독하기", "ko", "subscribe"),
        ("글자크기 가 가 가", "ko", "print"),
        ("목록 인쇄", "ko", "several"),
        ("Share on Facebook", "en", "share"),
        ("We use cookies to improve your experience on our website. Read our policy.", "en", "cookie"),
        ("© 2024 Example Inc. All rights reserved.", "en", "copyright"),
        ("Sign up for our newsletter", "en", "subscribe"),
        ("12 Comments", "en", "comments"),
        ("You must be logged in to post a comment.", "en", "login"),
        ("ページの先頭へ", "ja", "navigation"),
        ("無断転載を禁じます", "ja", "copyright"),
        ("上一篇：春天的故事", "zh", "navigation"),
        ("版权所有 © 2024 示例公司", "zh", "copyright"),
        ("Alle Rechte vorbehalten", "de", "copyright"),
        ("Wir verwenden Cookies, um Ihnen das beste Erlebnis auf unserer Website zu bieten.", "de", "cookie"),
        ("Partager sur Facebook", "fr", "share"),
        ("Todos los derechos reservados", "es", "copyright"),
        ("Leia mais", "pt", "navigation"),
        ("Поделиться", "ru", "share"),
        ("Điều khoản sử dụng", "vi", "legal"),
        ("อ่านต่อ", "th", "navigation"),
        ("جميع الحقوق محفوظة", "ar", "copyright"),
        ("और पढ़ें", "hi", "navigation"),
        ("Skip to content", "ko", "navigation"),
    ],
)
def test_boilerplate_goes(line: str, language: str, category: str) -> None:
    assert rule(line, language) == category
    assert rule(f"  • {line} ", language) is not None


@pytest.mark.parametrize(
    ("line", "language"),
    [
        ("정부는 쿠키를 굽는 법을 알려 주었다.", "ko"),
        ("로그인 화면에서 이메일을 입력하면 인증 번호가 온다.", "ko"),
        ("댓글 문화를 연구한 논문이 나왔다.", "ko"),
        ("그는 페이스북과 트위터를 그만두었다고 말했다.", "ko"),
        ("저작권법은 무단 복제를 금지하는 조항을 두고 있으며, 위반하면 처벌을 받는다. 그러나 예외도 있다.", "ko"),
        ("인쇄술의 발명", "ko"),
        ("The share price of Facebook fell.", "en"),
        ("Cookies are small files that a site stores.", "en"),
        ("He said all rights come with duties.", "en"),
        ("login", "en"),
        ("print('login')", "en"),
        ("if (password) return;", "en"),
        ("/login", "en"),
        ("Share of renewable energy", "en"),
        ("12 comments that changed how we write code", "en"),
        ("", "en"),
        ("123", "ko"),
    ],
)
def test_running_text_stays(line: str, language: str) -> None:
    assert rule(line, language) is None


def test_a_long_line_is_no_boilerplate() -> None:
    assert rule("All rights reserved. " + "x " * LONGEST, "en") is None


def test_every_language_pack_of_the_issue_has_phrases_and_patterns_that_compile() -> None:
    wanted = {"ko", "en", "ja", "zh", "de", "fr", "es", "pt", "ru", "vi", "th", "ar", "hi"}
    assert wanted <= set(languages())
    assert set(languages()) <= set(packs()) | wanted
    for code in languages():
        step = boilerplate((code,))
        texts = pl.Series(["", "\n", "😀", "\x00", "שלום مرحبا", "x" * 1000])
        assert step(texts) == {}


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(["로그인", "목록", "본문", "Share", "", " ", "댓글 3", "글 하나.", "©2020"]), max_size=8)
)
def test_twice_is_once_and_the_batch_does_not_matter(lines: list[str]) -> None:
    step = boilerplate(("ko", "en"))
    text = "\n".join(lines)
    once = apply(text, step(pl.Series([text])).get(0, []))
    assert step(pl.Series([once])) == {}
    alone = step(pl.Series([text])).get(0, [])
    assert step(pl.Series(["목록", text, "", "목록\n목록"])).get(1, []) == alone


@pytest.mark.parametrize(("language", "most"), [("ko", 0.001), ("en", 0.001)])
def test_gold_text_loses_almost_nothing(language: str, most: float, crawl_truth: list[dict[str, Any]]) -> None:
    rows = [row for row in crawl_truth if row.get("gold_text")]
    texts = pl.Series([row["gold_text"] for row in rows if row.get("lang") == language])
    changes = boilerplate((language, "en"))(texts)
    lost = sum(edit.end - edit.start for edits in changes.values() for edit in edits)
    assert len(texts) > 200
    assert lost <= most * texts.str.len_chars().sum()
