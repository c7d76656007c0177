"""What the named stretches of a text say against what the kernels measured on it."""

from __future__ import annotations

import gzip
import json
import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.filters.languages import LanguagePack, language_pack
from winnow.filters.passages import SHOWN, passages, push, strongest
from winnow.filters.rules import url_shape
from winnow.filters.rules.quality import LONG_WORD
from winnow.filters.rules.table import MEASURES, measure, spans
from winnow.filters.words import split
from winnow.pipelines.sample.dice import Dice
from winnow.pipelines.sample.documents import JUNK
from winnow.pipelines.sample.texts import FOLDER, lines

NAMES = [m.name for m in MEASURES]
NOWHERE = {
    "char_count",
    "line_count",
    "word_count",
    "newline_ratio",
    "compression_ratio",
    *(m.name for m in url_shape.MEASURES),
}
SEEN = {"mean_word_length", "c4_sentences", "page_words", "link_density", "mtld", "word_entropy"}
"""Measures that stretches show without giving the value."""

KO = language_pack("ko")
EN = language_pack("en").model_copy(
    update={
        "bad_words": ("ass", "Damn*", "Heck*", "heck", "ÉCOLE*", "Āb*", "ass hat*"),
        "endings": ("ing", "É", ""),
    }
)
JA = language_pack("ja").model_copy(
    update={"word_unit": "character", "bad_words": ("馬鹿*", "鹿野*", "鹿野郎だ*", "死ね", "日本語です*", "本語*")}
)
PACKS = [KO, EN, JA]


@dataclass(frozen=True)
class Measured:
    """A text with what is needed to turn stretches back into values: none of it from `spans.py`."""

    text: str
    row: dict[str, float]
    by_character: bool

    @property
    def words(self) -> list[str]:
        data = np.frombuffer(self.text.encode(), np.uint8)
        cut = split(np.array([0, len(data)], np.int64), data, self.by_character)
        return [self.text[a:b] for a, b in zip(cut.word_start.tolist(), cut.word_end.tolist(), strict=True)]

    @property
    def paragraphs(self) -> int:
        stripped = "\n".join(line.strip() for line in self.text.split("\n")).strip("\n")
        return len([block for block in re.split(r"\n{2,}", stripped) if block])

    @property
    def letters(self) -> int:
        return sum(map(str.isalpha, self.text))

    @property
    def characters(self) -> int:
        return int(self.row["char_count"])


Found = list[tuple[int, int]]


def covered(found: Found) -> int:
    return sum(end - start for start, end in found)


def trimmed(text: str, found: Found) -> int:
    """Characters of stretches of whole lines, as the trimmed text has them."""
    pieces = ([line.strip() for line in text[a:b].split("\n") if line.strip()] for a, b in found)
    return sum(len("\n".join(piece)) for piece in pieces)


def top_grams(m: Measured, found: Found, n: int) -> float:
    if not found:
        return 0.0
    from_there = m.text[found[0][0] :]
    gram = Measured(from_there, m.row, m.by_character).words[:n]
    at = 0
    length = 0
    for word in gram:
        start = from_there.index(word, at)
        length += len(word) + (0 < at < start)
        at = start + len(word)
    return min(1.0, length * len(found) / m.characters)


def spare_grams(m: Measured, found: Found, n: int) -> float:
    """Of the share of the most frequent n-gram, which comes twice more, unless that is all there can be."""
    top = m.row[f"top_{n}gram_share"]
    return top * len(found) / (len(found) + 2) if top < 1 else m.row[f"spare_{n}gram_share"]


def visible(m: Measured, found: Found) -> int:
    return sum(len("".join(m.text[a:b].split())) for a, b in found)


def top_word(m: Measured, found: Found) -> float:
    assert len(found) != 1
    return max(len(found), 1) / m.row["word_count"] if m.row["word_count"] else 0.0


def syllables(text: str) -> int:
    return sum("가" <= character <= "힣" for character in text)


VALUES: dict[str, Callable[[Measured, Found], float]] = {
    "alpha_word_share": lambda m, found: 1 - len(found) / len(m.words),
    "hash_ratio": lambda m, found: len(found) / len(m.words),
    "ellipsis_ratio": lambda m, found: len(found) / len(m.words),
    **{
        name: lambda m, found: len(found) / m.row["line_count"]
        for name in ("bullet_lines", "ellipsis_lines", "dup_lines", "short_lines", "spare_lines")
    },
    "line_punctuation": lambda m, found: 1 - len(found) / m.row["line_count"],
    "stop_words": lambda m, found: len({m.text[a:b].lower() for a, b in found}),
    "dup_line_chars": lambda m, found: covered(found) / (m.characters - m.row["line_count"] + 1),
    "dup_paragraphs": lambda m, found: len(found) / m.paragraphs,
    "dup_paragraph_chars": lambda m, found: trimmed(m.text, found) / m.characters,
    "unique_words": lambda m, found: 1 - len(found) / m.row["word_count"] if m.row["word_count"] else 0.0,
    "top_word_share": top_word,
    **{f"top_{n}gram_share": lambda m, found, n=n: top_grams(m, found, n) for n in (2, 3, 4)},
    **{f"spare_{n}gram_share": lambda m, found, n=n: spare_grams(m, found, n) for n in (2, 3, 4)},
    **{f"dup_{n}gram_share": lambda m, found: covered(found) / m.characters for n in range(5, 11)},
    "hangul_ratio": lambda m, found: 1 - covered(found) / m.letters if m.letters else 0.0,
    "hangul_share": lambda m, found: 1 - covered(found) / sum(not c.isspace() for c in m.text),
    "jamo_ratio": lambda m, found: covered(found) / max(1, m.letters),
    **{
        name: lambda m, found: len(found) / max(1, m.row["word_count"])
        for name in ("ending_share", "sentence_end_share", "bad_word_share")
    },
    **dict.fromkeys(
        ("bad_words", "repeated_phones", "c4_lorem_ipsum", "c4_curly_brackets", "c4_citations"),
        lambda m, found: len(found),
    ),
    "bare_line_punctuation": lambda m, found: 1 - len(found) / m.row["line_count"],
    "c4_kept_lines": lambda m, found: 1 - len(found) / m.row["line_count"],
    **dict.fromkeys(
        (
            *(f"c4_{name}_lines" for name in ("unended", "few_word", "long_word", "javascript", "policy")),
            *("capital_lines", "counter_lines", "one_word_lines", "page_lines", "boilerplate_lines", "phone_lines"),
            *("list_lines", "table_lines", "code_lines", "number_lines"),
        ),
        lambda m, found: len(found) / m.row["line_count"],
    ),
    **dict.fromkeys(
        ("spelled_share", "jamo_runs", "bare_repeats", "place_share"),
        lambda m, found: len(found) / max(1, m.row["word_count"]),
    ),
    "plain_stop_words": lambda m, found: len({m.text[a:b] for a, b in found}),
    "hanja_ratio": lambda m, found: covered(found) / max(1, m.letters),
    "uppercase_ratio": lambda m, found: covered(found) / max(1, m.letters),
    "unspaced_share": lambda m, found: syllables("".join(m.text[a:b] for a, b in found)) / max(1, syllables(m.text)),
    **dict.fromkeys(
        ("digit_ratio", "symbol_ratio", "punctuation_ratio", "damaged_ratio"),
        lambda m, found: covered(found) / len("".join(m.text.split())),
    ),
    "all_caps_words": lambda m, found: len(found) / len(m.words),
    "single_use_words": lambda m, found: len(found) / max(1, sum(any(map(str.isalpha, word)) for word in m.words)),
    "char_run_share": lambda m, found: covered(found) / len("".join(m.text.split())),
    "lettered_words": lambda m, found: 1 - len(found) / m.row["word_count"] if m.row["word_count"] else 0.0,
    "hashtag_ratio": lambda m, found: len(found) / len(m.words),
    "label_ratio": lambda m, found: len(found) / len(m.words),
    "running_lines": lambda m, found: 1 - len(found) / m.row["line_count"],
    "running_share": lambda m, found: 1 - visible(m, found) / len("".join(m.text.split())),
    "tag_share": lambda m, found: visible(m, found) / len("".join(m.text.split())),
}
"""The value that the stretches of each measure say."""


def check(text: str, pack: LanguagePack) -> None:
    (row,) = measure(pa.array([text], pa.large_string()), pack).to_pylist()
    measured = Measured(text, row, pack.word_unit == "character")
    for name in NAMES:
        found = spans(text, name, pack)
        last = 0
        for start, end in found:
            assert last <= start < end <= len(text), name
            assert not text[start].isspace(), name
            last = end
        if name in VALUES:
            value = VALUES[name](measured, found) if row["line_count"] else float(len(found))
            assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-6), (name, found, text[:300])
        elif name == "mean_word_length":
            longer = [word for word in measured.words if len(word) > LONG_WORD * row[name] + 1e-3]
            assert {text[a:b] for a, b in found} >= {word for word in longer if any(map(str.isalnum, word))}
            assert all(end - start > LONG_WORD * row[name] - 1e-3 for start, end in found)
        elif name in NOWHERE:
            assert not found, name


def test_every_measure_has_its_stretches_and_its_check() -> None:
    for name in NAMES:
        spans("가 나", name, KO)
    assert NOWHERE | VALUES.keys() | SEEN == set(NAMES)
    with pytest.raises(ValueError, match="no measure 'dup_line'"):
        spans("가 나", "dup_line", KO)


FRAGMENTS = (
    *("가", "나", "이", "그리고", "있다", "학교에서", "읽었다.", "읽었다.”", "했다…", "그래...", "병신들아", "(병신", "꽃병신", "씨발", "ㅋㅋㅋㅋㅋ", "ㅠㅠ"),
    *("the", "The", "AND,", "ass", "Ass", "ass-hat", "damned", "hat", "heck", "hecks", "Āb", "āb", "École!", "École", "ÉCOLES", "THINGÉ", "ing", "sing", "Āing"),
    *("馬鹿", "馬鹿野郎だ", "死ね", "死ねよ", "日本語", "日本語です。", "です。", "Python3", "鹿野"),
    *("-", "•", "※ 참고", "#", "##", "....", "......", "…", "!!!!", "----", "「", "」", "１", "👍🏽", "\u0301", "\x00", "\U000e0041", "한"),
    *("서울", "강남구", "강남맛집", "02-123-4567", "010.1234.5678", "1588-1234", "大韓", "띄어쓰기를전혀하지않은긴문장이라서", "안", "내", "ㅋㅋ", "더보기"),
    *("This line, it ends here.[1]", "[edit]", "javascript on.", "use cookies a b.", "lorem ipsum a.", "{ a b.", "3 likes", "SIGN", "Read more", "12,3"),
    *("#맛집", "#a#b", "key = 값", "<p>", "</a>", "< b", "ㅇ 항목", "이다.그러나", "했다.", "메뉴", "some small words here"),
    *("| a | b |", "f(x);", "https://a.kr/b?c=1", "[a](b/c)", "\x1c", "\ufffd", "Mr. A. B. said so.", "무단전재 및 재배포 금지", "★", "①"),
)  # fmt: skip
SPACES = (" ", " ", " ", "", "\n", "\n", "  ", "\t", "\n\n", "\n \n", "\r\n", "\u3000", " \n\t")
PIECES = st.lists(st.tuples(st.sampled_from(FRAGMENTS), st.sampled_from(SPACES)), max_size=30)
TEXTS = st.one_of(
    PIECES.map(lambda pieces: "".join(word + space for word, space in pieces)),
    st.tuples(PIECES, st.integers(2, 4)).map(
        lambda pair: "\n".join(["".join(word + space for word, space in pair[0])] * pair[1])
    ),
    st.text(st.sampled_from("가나 \nab.#…-ㅋ"), max_size=80),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=60),
    st.text(max_size=40).map(lambda text: unicodedata.normalize("NFD", text.encode("utf-8", "ignore").decode())),
)


@settings(max_examples=150)
@given(TEXTS, st.sampled_from(PACKS))
def test_the_stretches_reproduce_the_value(text: str, unit: LanguagePack) -> None:
    check(text, unit)


@settings(max_examples=60)
@given(TEXTS, st.sampled_from(PACKS), st.sampled_from(["whitespace", "character", "segment"]))
def test_stretches_lie_in_the_text_in_every_word_unit(text: str, pack: LanguagePack, unit: str) -> None:
    for name in NAMES:
        last = 0
        for start, end in spans(text, name, pack, unit):
            assert last <= start < end <= len(text), name
            last = end


def test_lone_surrogates_are_looked_at_too() -> None:
    for name in NAMES:
        assert all(0 <= start < end <= 5 for start, end in spans("가\ud800 나\udc00", name, KO))
        spans("\ud800", name, KO, "segment")


def test_the_stretches_reproduce_the_values_of_the_sample() -> None:
    for stem in sorted(path.stem for path in FOLDER.glob("*.txt")):
        pack = language_pack(stem.split("-")[0])
        if pack.spaceless:
            pack = pack.model_copy(update={"word_unit": "character"})
        rows = lines(stem)
        for first in range(0, min(len(rows), 120), 40):
            check("\n".join(rows[first : first + 40]), pack)
    for make, _ in JUNK.values():
        for number in range(3):
            page, _ = make("spans", Dice(7, number))
            check(page.body, KO)
            check("\n\n".join(page.paragraphs) + "\n\n" + page.body, KO)


def test_the_stretches_reproduce_the_values_of_korean_pages_and_comments(
    data: Path, crawl_truth: list[dict[str, Any]]
) -> None:
    pages = [page["gold_text"] for page in crawl_truth if page.get("lang") == "ko" and page.get("gold_text")]
    with gzip.open(data / "ko-sentiment-nsmc" / "train.jsonl.gz", "rt", encoding="utf-8") as rows:
        comments = [json.loads(next(rows))["text"] for _ in range(600)]
    curses = (data / "ko-tox-curse").rglob("*.txt")
    abuse = [line for path in sorted(curses) for line in path.read_text("utf-8").splitlines()][:600]
    assert len(pages) > 200 and abuse
    texts = [*pages[::9], "\n".join(comments), "\n".join(abuse)]
    for text in texts:
        check(unicodedata.normalize("NFC", text), KO)


def shown(text: str, name: str, pack: LanguagePack = KO) -> list[str]:
    return [text[start:end] for start, end in spans(text, name, pack)]


def test_repeated_lines_are_those_after_the_first() -> None:
    text = "  목록\n본문이다.\n목록  \n\n목록"
    assert spans(text, "dup_lines", KO) == spans(text, "dup_line_chars", KO) == [(11, 13), (17, 19)]
    assert shown("가.\n나.\n\n다.\n\n 가.\n나. \n", "dup_paragraphs") == ["가.\n나."]


def test_lines_that_a_rule_counts() -> None:
    text = "• 항목\n그는 말했다. “그렇다.”\n더 보기...\n제목"
    assert shown(text, "bullet_lines") == ["• 항목"]
    assert shown(text, "ellipsis_lines") == ["더 보기..."]
    assert shown(text, "line_punctuation") == ["• 항목", "제목"]
    assert shown("가" * 31 + "\n" + "나" * 30, "short_lines") == ["나" * 30]


def test_ngrams() -> None:
    assert shown("맛집 추천, 또 맛집 추천, 늘 맛집\n추천, 늘", "top_2gram_share") == [
        "맛집 추천,",
        "맛집 추천,",
        "맛집\n추천,",
    ]
    assert shown("가 가 가", "top_2gram_share") == ["가 ", "가 가"]
    assert shown("하나 둘 셋 넷 다섯\n하나 둘 셋 넷 다섯 여섯", "dup_5gram_share") == ["하나", "둘", "셋", "넷", "다섯"]
    assert shown("모두 다른 낱말", "top_2gram_share") == shown("모두 다른 낱말", "top_word_share") == []
    assert shown("나 가 나 가 -", "top_word_share") == ["나", "나"]
    assert shown("나 가 나 -  - 가 나", "unique_words") == ["나", "가", "나"]


def test_words_of_the_pack() -> None:
    text = "저 병신은 (병신들아), 그리고 학교에서 책을 읽었다."
    assert shown(text, "bad_words") == shown(text, "bad_word_share") == ["병신", "병신"]
    assert shown(text, "stop_words") == ["저", "그리고"]
    assert shown(text, "sentence_end_share") == ["읽었다."]
    assert shown("사람 학교에서 구름 책을", "ending_share") == ["학교에서", "책을"]
    assert shown("Damned asses, dumb ass hat!", "bad_words", EN) == ["Damn", "ass hat"]


def test_characters() -> None:
    assert shown("파이썬 Python3 은 日本", "hangul_ratio") == ["Python", "日本"]
    assert shown("**파이썬** 3 은 日本", "hangul_share") == ["**", "**", "3", "日本"]
    assert shown("재밌다 ㅋㅋㅋㅋㅋ 진짜ㅠ", "jamo_ratio") == ["ㅋㅋㅋㅋㅋ", "ㅠ"]
    assert shown("와!!!!! ---- 가가가 가가가가 1000000", "char_run_share") == ["!!!!!", "가가가가"]
    assert shown("가 -- 1 나", "alpha_word_share") == ["--", "1"]
    assert shown("C# ## 그래.....", "hash_ratio") == ["#", "#", "#"]
    assert shown("C# ## 그래 #가 #나#다 a#b\n# 제목\n#라 #마", "hashtag_ratio") == ["#"] * 5
    assert shown("C# 그래..... 음……", "ellipsis_ratio") == ["...", "…", "…"]
    assert shown("가 나 다 라마바사아자차카타파하", "mean_word_length") == ["라마바사아자차카타파하"]


@settings(max_examples=300)
@given(TEXTS, st.integers(1, 100))
def test_passages_hold_every_letter_that_is_read_once(text: str, chars: int) -> None:
    found = passages(text, chars)
    first = len(text) - len(text.lstrip())
    for (_, before), (after, _) in pairwise(found):
        assert before <= after
    inside = "".join(text[start:end] for start, end in found)
    assert "".join(filter(str.isalnum, inside)) == "".join(filter(str.isalnum, text[first : first + chars]))
    for start, end in found:
        assert text[start:end] == text[start:end].strip()
        assert any(map(str.isalnum, text[start:end])) and "\n" not in text[start:end]


def test_passages_are_lines_or_the_sentences_of_one_line() -> None:
    def parts(text: str) -> list[str]:
        return [text[start:end] for start, end in passages(text, 1000)]

    assert parts(" 하나. 둘.\n\n----\n 셋 ") == ["하나. 둘.", "셋"]
    assert parts("값은 3.14이다. “정말?” 그렇다!! 끝…") == ["값은 3.14이다.", "“정말?”", "그렇다!!", "끝…"]
    assert parts("「そうだ。」行く！？はい") == ["「そうだ。」", "行く！？", "はい"]
    assert parts(" \n ") == parts("") == []


def test_the_strongest_passages_come_in_the_order_of_the_text() -> None:
    found = [(at, at + 1) for at in range(SHOWN + 2)]
    pushes = [0.0, 1.0, 0.0] + [2.0] * (SHOWN - 1)
    assert strongest(dict(zip(found, pushes, strict=True))) == [found[1], *found[3:]]
    assert strongest(dict.fromkeys(found, 1.0)) == found[:SHOWN]
    assert strongest({}) == []


def test_a_passage_pushes_by_its_size_and_its_probability() -> None:
    assert push(0.9, 8) == pytest.approx(8 * push(0.9, 1))
    assert push(0.0, 9) == 0 < push(0.5, 1) < push(0.99, 1) < push(1.0, 1) < math.inf
