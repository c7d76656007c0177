"""Bad words: what is one, what evades in vain, and what ordinary text is left alone."""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from winnow.filters.bad_words import BadWords, BadWordsError, read, spans, table
from winnow.filters.bad_words.alphabet import symbol, symbols
from winnow.filters.bad_words.table import exceptions, particles
from winnow.filters.languages import language_pack
from winnow.filters.rules.bad_words import GROUP
from winnow.filters.rules.table import Texts

KOREAN = (
    *(
        "씨발*",
        "시발*",
        "씌발*",
        "쉬발*",
        "시벌",
        "병신*",
        "존나*",
        "개새끼*",
        "미친 놈*",
        "지랄*",
        "자위",
        "보지",
        "변태",
    ),
    *("ㅅㅂ*", "ㅆㅂ*", "ㅂㅅ*", "ㅈㄹ*", "좆*", "닥쳐*", "졸라", "메갈*", "니미*", "*씨발놈*", "병신년아*"),
)
ENGLISH = (
    "fuck",
    "shit",
    "ass",
    "dick",
    "cunt",
    "sex",
    "porn",
    "blow job",
    "two girls one cup",
    "g-spot",
    "damn*",
    "tit",
)
KO = table(KOREAN)
EN = table(ENGLISH)


def counts(texts: list[str] | list[bytes], held: BadWords, by_character: bool = False) -> list[tuple[float, float]]:
    given = [text.encode() if isinstance(text, str) else text for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in given])]).astype(np.int64)
    unit = "character" if by_character else "whitespace"
    column = Texts(offsets, np.frombuffer(b"".join(given), np.uint8), language_pack("ko"), unit)
    column.bad_words = held
    return [(float(count), float(share)) for count, share in column.records(GROUP).tolist()]


def read_out(text: str, held: BadWords) -> list[str]:
    return [text[start:end] for start, end in spans(text, held)]


KOREAN_HITS = {
    "씨발": "씨발",
    "씨발놈아": "씨발놈",
    "씨발이라고": "씨발",
    "이 개새끼들이": "개새끼",
    "(병신)": "병신",
    "ㅋㅋㅋ병신ㅋㅋ": "병신",
    "변태들이라고": "변태",
    "변태lol": "변태",
    "미친 놈들": "미친 놈",
    "미친놈들": "미친놈",
    "아 씨 발 진짜": "씨 발",
    "병 신": "병 신",
    "ㅅ ㅂ": "ㅅ ㅂ",
    "씨 발!": "씨 발",
    "씨.발": "씨.발",
    "시1발": "시1발",
    "병^신": "병^신",
    "씨ㅡ발": "씨ㅡ발",
    "씨~~발": "씨~~발",
    "ㅅㅂ": "ㅅㅂ",
    "ㅅㅂㅋㅋ": "ㅅㅂ",
    "ㅂㅅㅠㅠ": "ㅂㅅ",
    "ㅈㄹ하네": "ㅈㄹ",
    "ㅅ1ㅂ": "ㅅ1ㅂ",
    "ㅅ.ㅂ": "ㅅ.ㅂ",
    "ㅅㅣㅂㅏㄹ": "ㅅㅣㅂㅏㄹ",
    "ㅆㅣ발": "ㅆㅣ발",
    "씨바ㄹ": "씨바ㄹ",
    "씨이이발": "씨이이발",
    "씨바아알": "씨바아알",
    "씨ㅣㅣ발": "씨ㅣㅣ발",
    "씌발": "씌발",
    "쉬발": "쉬발",
    "시벌아": "시벌",
    "씨\u200b발": "씨\u200b발",
    "ㅅﾲ": "ㅅﾲ",
    "저런씨발놈이": "씨발놈",
    "병신년아": "병신년아",
    "자위를 했다": "자위",
}

KOREAN_LEFT_ALONE = [
    *(
        "눈치를 보지 않다",
        "그렇게 보지는 않는다",
        "잠을 자지 못했다",
        "논의의 시발점이 되었다",
        "시발자동차",
        "시발역에서",
    ),
    *(
        "자위대 파견",
        "자위권을 행사",
        "새끼줄을 꼬다",
        "새끼 고양이",
        "불이 꺼져 있다",
        "홍어 무침",
        "허리띠를 졸라매다",
    ),
    *(
        "메갈로돈의 이빨",
        "니미츠 제독",
        "18세 이상",
        "2018년",
        "년",
        "병신년에 태어났다",
        "병신년 정월",
        "시바견 한 마리",
    ),
    *(
        "개나리꽃이 피었다",
        "개나리",
        "청라신도시와 존치구역",
        "위기가 닥쳐온다",
        "한파가 닥쳐 왔다",
        "변태 과정을 거친다",
    ),
    *(
        "김 씨 발언",
        "박모 씨 발견 당시",
        "질 병 신 고",
        "공 고 문 병 신",
        "김씨.발표 자료",
        "ㄱㄴㄷㄹㅁㅂㅅㅇㅈ",
        "ㅁ ㅂ ㅅ ㅇ",
    ),
    *("ㅂ, ㅅ, ㅇ", "ㅂ/ㅅ 불규칙", "값싼 물건", "조자룡", "씨앗과 씨방", "씨알", "보지락비", "물새발", "쌀 씨 발아율"),
]

ENGLISH_HITS = {
    "Shit!": "Shit",
    "what the FUCK?": "FUCK",
    "sh1t happens": "sh1t",
    "s h i t": "s h i t",
    "f*ck": "f*ck",
    "f**k you": "f**k",
    "c*nt": "c*nt",
    "a$$": "a$$",
    "an @ss": "@ss",
    "sh!t": "sh!t",
    "p0rn": "p0rn",
    "ｆｕｃｋ": "ｆｕｃｋ",
    "𝐟𝐮𝐜𝐤": "𝐟𝐮𝐜𝐤",
    "fuсk": "fuсk",  # Cyrillic с
    "fuuuuck": "fuuuuck",
    "sh\u00adit": "sh\u00adit",
    "blow\njob": "blow\njob",
    "blow-job": "blow-job",
    "Two  girls one cup": "Two  girls one cup",
    "the g-spot": "g-spot",
    "porn을 봤다": "porn",
    "영상porn": "porn",
    "damnation": "damn",
    "kick-ass": "ass",
}

ENGLISH_LEFT_ALONE = [
    *(
        "Scunthorpe",
        "assassin",
        "classic",
        "Sussex",
        "Middlesex",
        "Dickens",
        "Moby Dick",
        "Dick Cheney",
        "titan",
        "shitake",
    ),
    *(
        "a55",
        "4ss",
        "5ex",
        "t1t",
        "f u c k e d",
        "F A Q",
        "s e",
        "as s",
        "gpass",
        "ass1",
        "x.a*s",
        "f***",
        "s*x",
        "***",
        "two girls",
    ),
    *("хуй", "сех", "ѕех", "0123456789", "$$$", "@$$"),
]


@pytest.mark.parametrize(("text", "wanted"), KOREAN_HITS.items())
def test_korean_hits(text: str, wanted: str) -> None:
    assert read_out(text, KO) == [wanted]


@pytest.mark.parametrize("text", KOREAN_LEFT_ALONE)
def test_korean_left_alone(text: str) -> None:
    assert read_out(text, KO) == []


@pytest.mark.parametrize(("text", "wanted"), ENGLISH_HITS.items())
def test_english_hits(text: str, wanted: str) -> None:
    assert read_out(text, EN) == [wanted]


@pytest.mark.parametrize("text", ENGLISH_LEFT_ALONE)
def test_english_left_alone(text: str) -> None:
    assert read_out(text, EN) == []


def test_scripts_without_spaces_match_anywhere_in_either_unit() -> None:
    held = table(("王八蛋", "性", "セックス", "おっぱい"))
    assert read_out("你这个王八蛋!", held) == ["王八蛋"]
    assert read_out("可能性很大", held) == []  # one Han character only where it stands alone
    assert read_out("「性」", held) == ["性"]
    assert read_out("セックスレス、セックスの", held) == ["セックス"]
    assert read_out("このおっぱいが", held) == ["おっぱい"]
    assert counts(["你这个王八蛋"], held, True) == [(1, 1 / 6)]


def test_conjoining_letters_are_read_like_syllables() -> None:
    assert len(spans(unicodedata.normalize("NFD", "씨발놈 씨방 조자 바보"), table((*KOREAN, "씨바*")))) == 1


def test_an_exception_of_the_list_wins_unless_an_entry_is_longer() -> None:
    held = table(("쓰레기*", "!쓰레기통*", "쓰레기통새끼*", "*씨발*", "!날씨*"))
    assert read_out("쓰레기통에 쓰레기들이 쓰레기통새끼야", held) == ["쓰레기", "쓰레기통새끼"]
    assert read_out("날씨발표 아이씨발", held) == ["씨발"]


@pytest.mark.parametrize("order", [("damn*", "damn"), ("damn", "damn*"), ("DAMN*", "damn")])
def test_a_prefix_and_the_whole_word_both_count(order: tuple[str, ...]) -> None:
    assert read_out("damn damned DAMN", table(order)) == ["damn", "damn", "DAMN"]


def test_entries_in_capitals_and_decomposed_are_normalised() -> None:
    held = table((unicodedata.normalize("NFD", "병신*"), unicodedata.normalize("NFD", "SALÉ"), "ＦＯＯ"))
    assert read_out("병신아 salé Foo", held) == ["병신", "salé", "Foo"]


def test_a_word_counts_once_and_the_share_is_of_words_with_letters() -> None:
    assert counts(["씨발병신아 좋은 - 날", "좋은 날", ""], KO) == [(1, 1 / 3), (0, 0), (0, 0)]
    assert counts(["shit-fuck"], EN) == [(2, 1)]


def test_without_entries_nothing_is_found() -> None:
    assert counts(["씨발 fuck", "보지"], table(())) == [(0, 0), (0, 0)]
    assert counts(["씨발 fuck"], table(("!날씨*",))) == [(0, 0)]


def test_a_table_is_compiled_once() -> None:
    assert table(ENGLISH) is table(ENGLISH)


def test_a_file_of_the_lists_format(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("\ufeff# a comment\nblow job\n\n씨발  # said often\ng-spot\n🖕\nc#\n", encoding="utf-8")
    assert read(path) == ("blow job", "씨발", "g-spot", "🖕", "c#")
    assert read_out("a blow job, 씨발을 🖕🏽", table((), (path,))) == ["blow job", "씨발", "🖕"]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "병신정변이 일어났다",
            "병신월에",
            "병신(丙申)년",
            "염병이 돌았다",
            "염병에 걸려",
            "염병이 창궐한",
            "시발(始發)역",
        ),
        *("시발 전동차가", "시발 시각은", "시발 정류장", "시발 차고지", "시발비용", "지랄탄을", "존나라", "새끼손가락"),
        *("이 새끼손가락", "이 새끼 오리들이", "짱깨주의의 탄생", "애미나이", "멍멍 개소리가", "시팔경", "조까사위"),
    ],
)
def test_the_pack_leaves_ordinary_words_alone(text: str) -> None:
    assert read_out(text, table(language_pack("ko").bad_words)) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("개쉑들", "개쉑"),
        ("빙신아", "빙신"),
        ("조까", "조까"),
        ("조까라고", "조까라"),
        ("쒸발놈", "쒸발"),
        ("tlqkf", "tlqkf"),
        ("싯팔", "싯팔"),
        ("병신 정변", "병신"),
        ("이 새끼야", "이 새끼"),
        ("시발 뭐야", "시발"),
        ("개소리야", "개소리"),
    ],
)
def test_the_pack_knows_spellings(text: str, wanted: str) -> None:
    assert read_out(f"야 {text} 진짜", table(language_pack("ko").bad_words)) == [wanted]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfeabc", "byte 0 is not UTF-8"),
        (b"# nothing\n\n", "no entry"),
        (b"good\nf*ck\n", r"line 2: bad word 'f\*ck': expected a word"),
        (b"!\n", "expected a word"),
        (b"a\x00b\n", "readable"),
        (b"good\n\nPermission is hereby granted, free of charge, to any person\n", "line 3: .* has 10 words, which is"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "list"
    path.write_bytes(content)
    with pytest.raises(BadWordsError, match=said) as error:
        table((), (path,))
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_a_missing_file_and_a_bad_entry_are_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(BadWordsError, match="expected a file with one word per line"):
            table((), (path,))
    with pytest.raises(BadWordsError, match="characters of format"):
        table(("\u200b",))


PARTICLES = st.sampled_from(particles())
HITS = st.sampled_from(["변태", "보지년", "시벌", "자위", "씨발", "ㅅㅂ", "병신"])
PROPERTY = table((*KOREAN, "보지년"))


@given(HITS, PARTICLES)
def test_a_hit_stays_one_with_any_particle(word: str, particle: str) -> None:
    assume(word + particle != "병신년")  # the name of a year
    assert [start for start, _ in spans(f"저 {word}{particle}.", PROPERTY)] == [2]


@given(st.sampled_from(language_pack("ko").bad_words), st.sampled_from(language_pack("ko").endings))
def test_what_goes_on_behind_an_asterisk_is_any_ending(word: str, ending: str) -> None:
    held = table((word.strip("!"),))
    text = f"{word.strip('*!')}{ending}"
    if word.endswith("*") and not any(text.startswith(e.strip("!*")) for e in exceptions()):
        assert len(spans(text, held)) == 1


@given(
    st.sampled_from(["씨발", "병신", "개새끼", "ㅅㅂ", "ㅂㅅ", "shit", "fuck", "porn"]),
    st.sampled_from([" ", ".", "1"]),
)
def test_spaces_and_signs_between_characters_hide_nothing(word: str, between: str) -> None:
    if word.isascii() and between != " ":
        return
    text = between.join(word)
    assert spans(f"그러니까 {text} 했다", table((*KOREAN, *ENGLISH))) == [(5, 5 + len(text))]


PIECES = st.lists(
    st.sampled_from(
        [
            *KOREAN_HITS,
            *ENGLISH_HITS,
            " ",
            "\n",
            "ㅅ",
            "씨",
            "발",
            "이",
            "1",
            "*",
            "$",
            ".",
            "보지 않다",
            "a",
            "\x00",
            "👍",
            "ש",
            "ㅣ",
        ]
    ),
    max_size=12,
).map("".join)
BOTH = table((*KOREAN, *ENGLISH, "王八蛋"))


@given(st.lists(PIECES | st.text(), max_size=8), st.booleans())
@settings(max_examples=150)
def test_a_text_counts_the_same_alone_in_any_batch_and_order(texts: list[str], by_character: bool) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    whole = counts(texts, BOTH, by_character)
    assert whole == [counts([text], BOTH, by_character)[0] for text in texts]
    assert whole[::-1] == counts(texts[::-1], BOTH, by_character)
    assert all(0 <= share <= 1 for _, share in whole)


@given(PIECES | st.text())
@settings(max_examples=150)
def test_spans_are_what_was_counted(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    found = spans(text, BOTH)
    assert len(found) == counts([text], BOTH)[0][0] or not any(unicodedata.category(c)[0] in "LMN" for c in text)
    assert all(0 <= start < end <= len(text) for start, end in found)
    assert all(before[1] <= behind[0] for before, behind in pairwise(found))


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b"\x00",
            b"\x00" * 1000,
            b"\xed\xa0\x80\xed\xb0\x80",
            b"\xff\xfe\xc3",
            "씨".encode()[:2],
            "👍🏽👨‍👩‍👧‍👦".encode(),
        ),
        *(
            "שלום עולם ‏مرحبا".encode(),
            b"*" * 5000,
            "ㅅ".encode() * 5000,
            "씨이".encode() * 5000,
            "씨".encode() + "이".encode() * 5000,
        ),
        *(
            b"f" + b"u" * 5000 + b"ck",
            b"f*" * 3000,
            b"$@!" * 3000,
            b"s h i t " * 2000,
            b"\n" * 5000,
            b"two" + b" " * 5000 + b"girls",
        ),
    ],
)
def test_hard_texts_do_not_fail(text: bytes) -> None:
    found = counts([text, "씨발".encode(), text], BOTH)
    assert found[1] == (1, 1)
    assert found[0] == found[2]


def test_ten_megabytes_in_one_line() -> None:
    text = "가나다 라마바 shipping 씨앗 " * 280_000 + "씨발"
    assert len(text.encode()) > 10_000_000
    assert counts([text], BOTH)[0][0] == 1


def test_the_lists_load_and_their_entries_are_found(data: Path) -> None:
    folder = data / "badwords-ldnoobw"
    for language in ("en", "ja", "ko", "zh"):
        path = folder / language
        held = table((), (path,))
        listed = read(path)
        assert held.entries == len(listed)
        missed = [word for word in listed if not spans(f". {word} .", held)]
        assert missed == []


def test_precision_on_labelled_comments(data: Path) -> None:
    path = data / "ko-tox-curse" / "dataset.txt"
    rows = [line.rsplit("|", 1) for line in path.read_text(encoding="utf-8").splitlines() if "|" in line]
    labels = np.array([row[1].strip() == "1" for row in rows])
    found = counts([unicodedata.normalize("NFC", row[0]) for row in rows], table(language_pack("ko").bad_words))
    hits = np.array(found)[:, 0] > 0
    assert (hits & labels).sum() / hits.sum() > 0.9
    assert (hits & labels).sum() / labels.sum() > 0.35


def test_the_table_of_symbols_holds_the_normal_form_of_every_code_point() -> None:
    table = symbols().tolist()
    assert table == [symbol(chr(code)) for code in range(len(table))]
