"""Lines that run on, labels, hashtags and tags; and what is no jamo, no run and no boilerplate."""

from __future__ import annotations

import pyarrow as pa
import pytest

from winnow.filters.languages import language_pack
from winnow.filters.rules.table import measure

KO, EN = language_pack("ko"), language_pack("en")


def row(text, pack=KO):
    (found,) = measure(pa.array([text], pa.large_string()), pack).to_pylist()
    return found


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("강가에 배 한 척 매여 있고", True),
        ("나는 오래도록 들여다보았네", True),
        ("꽃이 피네", True),
        ("어디?", False),  # one word with a mark, but no ending
        ("네, 그렇습니다.", True),
        ("관련 주제", False),
        ("데이터베이스 열 삽입", False),
        ("LibreOffice 7.4 Help", False),
        ("Choose the colour that you like best.", False),  # another language's prose is none of Korean
    ],
)
def test_a_korean_line_runs_by_its_endings(line, runs):
    assert row(line)["running_lines"] == runs


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("the tide comes in over the stones", True),
        ("Whose woods these are I think I know.", True),
        ("Yes.", True),
        ("Privacy Policy", False),
        ("Add To Your Shopping Cart", False),
        ("read more", False),
        ("the ten best places to see in the old town before the summer is over and done", False),  # too long for verse
        ("He waited, and then...", True),
    ],
)
def test_a_line_without_endings_runs_by_small_letters_or_its_mark(line, runs):
    assert row(line, EN)["running_lines"] == runs


def test_labels_count_in_a_row_and_headings_do_not():
    menu = "홈\n전체 메뉴\n고객 지원\n회사 소개"
    assert row(menu)["label_ratio"] == pytest.approx(4 / 7)
    page = "고객 지원\n문의는 언제든지 받습니다.\n회사 소개\n우리는 책을 만듭니다."
    assert row(page)["label_ratio"] == 0
    assert row("사과 3개\n설탕 2컵\n물 1컵\n소금 5g")["label_ratio"] == 0  # amounts
    assert row("- 사과\n- 배\n- 감")["label_ratio"] == 0  # a list is marked as one
    assert row("상태:\nBase\n모듈:\nmod_dir")["label_ratio"] == 0  # fields
    assert row("Dim a As Single\nx = foo(1)\nEnd Sub")["label_ratio"] == 0  # code, and one line alone


def test_entries_of_message_files_are_labels_whatever_they_say():
    assert row("save.title = 저장\nsave.ask = 바뀐 내용을 저장하시겠습니까?\n.label = 이름")["label_ratio"] > 0.25
    assert row("total = count + 1\nname == other")["label_ratio"] == 0


def test_hash_marks_of_headings_prompts_code_and_anchors_are_no_hashtags():
    text = "# 제목\n## 소제목\n# apt install x\n#include <stdio.h>\nC# 이야기\n[여기](#anchor) 이슈 a#12"
    assert row(text)["hashtag_ratio"] == 0
    spam = row("#맛집 #강남맛집\n오늘의 점심 #데이트#서울")
    assert spam["hashtag_ratio"] == pytest.approx(4 / 5)


def test_words_with_letters_are_counted_among_words_that_say_something():
    table = row("| 이름 | 값 |\n| --- | --- |\n{ } => ;")
    assert table["lettered_words"] == 1 and table["alpha_word_share"] < 0.2
    assert row("12 3,50 77 4.9 8")["lettered_words"] == 0


def test_tags():
    assert row('<p class="a">글</p>')["tag_share"] == pytest.approx(16 / 17)
    assert row("1 < 2 이고 3 > 2 이다 <개정 2007.5.17>")["tag_share"] == 0


def test_hangul_is_a_share_of_all_that_is_visible():
    assert row("말은 **굵게** 쓴다 (bold) 12")["hangul_share"] == pytest.approx(6 / 18)
    assert row("ㅋㅋ 좋다")["hangul_share"] == 1
    assert row("no Hangul")["hangul_share"] == row("")["hangul_share"] == 0


def test_middle_dots_dashes_and_bullets_are_no_loose_jamo():
    assert row("설치ㆍ운영 및 수집ᆞ정리 ㅡ 끝")["jamo_ratio"] == 0
    assert row("ㅇ 추진 배경\nㄱ. 첫째\nㄴ) 둘째")["jamo_ratio"] == 0
    assert row("재밌다 ㅋㅋ")["jamo_ratio"] == pytest.approx(2 / 5)


def test_rules_boxes_leaders_and_numbers_are_no_character_runs():
    assert row('-----\n=====\n│││││ ┌─────┐ ....... 1000000 ____ ㅡㅡㅡㅡ ~~~~~ """" 끝')["char_run_share"] == 0
    assert row("와아아아아!!!! ㅋㅋㅋㅋ ♡♡♡♡")["char_run_share"] == pytest.approx(16 / 17)


def test_two_occurrences_and_three_equal_lines_are_spared():
    twice = "점자 단말기를 켭니다. 점자 단말기를 끕니다."
    assert row(twice)["spare_2gram_share"] == 0
    assert row(twice + " 점자 단말기를 닦습니다.")["spare_2gram_share"] == pytest.approx(7 / 39)
    assert row("랄라라\n" * 3)["spare_lines"] == 0
    assert row("랄라라\n" * 5)["spare_lines"] == pytest.approx(2 / 5)


def test_a_sentence_may_end_without_a_space_behind_it():
    assert row("문을 열었다.바람이 불었다.비가 그쳤다.")["sentence_end_share"] == pytest.approx(3 / 4)


def test_a_paragraph_about_rights_is_no_boilerplate():
    prose = (
        "저작권자는 자신의 글을 누가 어떻게 쓸 수 있는지 정할 수 있으며, 그 뜻을 사람들이 알아볼 수 있게 글과 함께 "
        "적어 두는 것이 좋습니다."
    )
    assert row(prose)["boilerplate_lines"] == 0
    assert row("무단전재 및 재배포 금지")["boilerplate_lines"] == 1
