"""The `fasttext` stage with the models that ship."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.classifiers.artifacts import resolve
from winnow.filters.languages import language_pack
from winnow.stages.base import DOCUMENT_SCHEMA, StageError
from winnow.stages.fasttext import KIND

CLEAN = (
    "한글은 세종이 1443년에 창제하고 1446년에 반포한 문자이다. 자음과 모음을 모아 한 음절을 한 글자로 적으며, 글자의 모양은 "
    "소리를 내는 기관의 모습을 본떠 만들었다. 오늘날에는 대한민국과 조선민주주의인민공화국에서 공용 문자로 쓰인다."
)
COMMENTS = (
    "아 진짜 노잼 ㅋㅋㅋㅋ 돈 아까워 죽는줄\n와 이걸 보라고 만든거임? ㅡㅡ\n배우 연기 개못함 ㅠㅠ 기대했는데 실망\n"
    "ㅋㅋㅋ 알바들 평점 봐라 ㄹㅇ\n그냥 시간때우기용 ㅇㅇ"
)
MENU = "로그인\n회원가입\n장바구니\n고객센터\n공지사항\n이벤트\n전체보기\n더보기\n이전글\n다음글\n목록\n댓글 쓰기\n개인정보처리방침"
SPAM = (
    "바카라사이트 카지노사이트 추천 토토 먹튀검증 신규가입 쿠폰 꽁머니 지급 당일대출 무직자 대출 24시간 상담 카톡 문의"
)
INSULT = "이 병신같은 새끼가 어디서 개소리야 꺼져 미친놈아"
TOPICS = {
    "프로야구 두산 연장 끝내기 홈런으로 3연승 질주": "sports",
    "코스피 외국인 매수에 2천100선 회복 마감": "economy",
    "여야 국회 본회의서 예산안 처리 합의 원내대표 회동": "politics",
    "미국 트럼프 대통령 이란 제재 복원 행정명령 서명": "world",
    "이 페이지에서는 컨테이너를 설정하고 명령을 실행하여 파드를 배포하는 방법을 설명한다.": "documentation",
}


def documents(texts: list[str]) -> pa.RecordBatch:
    rows = [
        {"id": f"{n:032x}", "url": None, "date": None, "source": "test", "title": None, "text": text}
        for n, text in enumerate(texts)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=DOCUMENT_SCHEMA)


def stage(model: str, **more: object) -> KIND:
    return KIND(name="quality", settings=KIND.Settings(model=model, **more), pack=language_pack("ko"))


def scores(model: str, texts: list[str]) -> list[float]:
    return stage(model).measure(documents(texts)).column("score").to_pylist()


def test_quality_keeps_prose_and_drops_comments_menus_and_spam() -> None:
    high, *low = scores("ko-quality", [CLEAN, COMMENTS, MENU, SPAM])
    assert high >= 0.6
    assert max(low) < 0.2


def test_toxicity_marks_an_insult_and_passes_prose() -> None:
    toxic, clean, among = scores("ko-toxicity", [INSULT, CLEAN, CLEAN + "\n" + "\n".join([INSULT] * 4)])
    assert toxic >= 0.8
    assert clean < 0.3
    assert among >= 0.8


def test_domain_labels_headlines_and_documentation() -> None:
    measured = stage("ko-domain").measure(documents(list(TOPICS)))
    assert measured.column("label").to_pylist() == list(TOPICS.values())
    assert all(0 < score <= 1 for score in measured.column("score").to_pylist())


@pytest.mark.parametrize("model", ["ko-quality", "ko-toxicity", "ko-domain"])
def test_signals_have_their_declared_types_and_empty_texts_score_zero(model: str) -> None:
    one = stage(model)
    measured = one.measure(documents(["", " \n\t", CLEAN]))
    assert {field.name: field.type for field in measured.schema} == one.signals()
    assert measured.column("label").to_pylist()[:2] == [None, None]
    assert measured.column("score").to_pylist()[:2] == [0.0, 0.0]
    assert one.measure(documents([])).num_rows == 0


TEXTS = st.lists(st.sampled_from([CLEAN, COMMENTS, MENU, SPAM, INSULT, "", *TOPICS]) | st.text(), max_size=12)


@pytest.mark.parametrize("model", ["ko-quality", "ko-toxicity", "ko-domain"])
@settings(max_examples=25)
@given(texts=TEXTS)
def test_a_row_does_not_depend_on_its_batch(model: str, texts: list[str]) -> None:
    one = pickle.loads(pickle.dumps(stage(model)))
    together = one.measure(documents(texts)).to_pylist()
    alone = [one.measure(documents([text])).to_pylist()[0] for text in texts]
    assert together == alone


def test_chars_limits_what_is_read() -> None:
    whole = stage("ko-quality", chars=10).measure(documents([CLEAN[:10] + SPAM * 5])).column("score")
    assert whole == stage("ko-quality").measure(documents([CLEAN[:10]])).column("score")


def test_white_space_ahead_of_the_text_does_not_count() -> None:
    one = stage("ko-quality")
    for blank in (" ", "\n", "\u3000"):
        assert one.measure(documents([blank * 5000 + CLEAN])) == one.measure(documents([CLEAN]))


def shown(model: str, text: str, signal: str = "score", **more: object) -> list[str]:
    return [text[start:end] for start, end in stage(model, **more).highlight(text, signal)]


def test_lines_of_the_document_s_own_verdict_are_highlighted() -> None:
    low, high = COMMENTS.split("\n"), CLEAN
    mostly_low = "\n".join([*low[:2], high[:60], *low[2:]])
    assert scores("ko-quality", [mostly_low])[0] < 0.5 <= scores("ko-quality", [high[:60]])[0]
    assert shown("ko-quality", mostly_low) == low
    mostly_high = f"{high}\n{low[0]}\n{high}"
    assert scores("ko-quality", [mostly_high])[0] >= 0.5
    assert shown("ko-quality", mostly_high) == [high, high]


def test_at_most_five_lines_that_push_most_are_highlighted() -> None:
    assert len(shown("ko-quality", MENU)) == 5
    found = shown("ko-quality", f"{MENU}\n{COMMENTS}\n{SPAM}")
    assert len(found) == 5
    assert sum(len(line.split()) > 2 for line in found) >= 4
    assert found[-1] == SPAM


def test_an_insult_far_down_a_long_page_is_highlighted() -> None:
    clean = "\n".join(CLEAN.split(". ") * 10)
    text = f"{clean}\n  {INSULT}  \n{INSULT}\n{CLEAN}"
    assert scores("ko-toxicity", [text])[0] >= 0.5
    assert shown("ko-toxicity", text) == [INSULT, INSULT]
    assert INSULT not in shown("ko-toxicity", text, chars=1000)
    # A mean of the highest windows comes from them also where it stays low.
    longer = f"{clean}\n{text}\n{clean}\n{clean}"
    assert scores("ko-toxicity", [longer])[0] < 0.5
    assert shown("ko-toxicity", longer).count(INSULT) == 2


def test_a_long_line_of_mild_words_does_not_hide_a_short_insult() -> None:
    ramble = " ".join([COMMENTS.split("\n")[3]] * 20)
    assert scores("ko-toxicity", [ramble])[0] >= 0.5
    found = shown("ko-toxicity", "\n".join([ramble] * 6 + [INSULT]))
    assert found == [ramble] * 4 + [INSULT]


def test_sentences_of_a_one_line_text_are_highlighted() -> None:
    text = f"{CLEAN} {INSULT}. {CLEAN}"
    assert scores("ko-toxicity", [text])[0] >= 0.5
    assert shown("ko-toxicity", text) == [f"{INSULT}."]


@pytest.mark.parametrize("signal", ["label", "score"])
def test_lines_with_the_document_s_label_are_highlighted(signal: str) -> None:
    sports, economy = list(TOPICS)[:2]
    text = f"{sports}\n{economy}\n----\n{sports}\n"
    assert stage("ko-domain").measure(documents([text])).column("label").to_pylist() == ["sports"]
    assert shown("ko-domain", text, signal) == [sports, sports]


@pytest.mark.parametrize("model", ["ko-quality", "ko-toxicity", "ko-domain"])
@settings(max_examples=25)
@given(texts=TEXTS)
def test_highlights_are_lines_or_sentences_that_are_read(model: str, texts: list[str]) -> None:
    text = "\n".join(texts)
    one = stage(model, chars=200)
    found = one.highlight(text, "score")
    assert found == one.highlight(text, "label")
    assert len(found) <= 5 and found == sorted(found)
    last = len(text) - len(text.lstrip())
    for start, end in found:
        assert last <= start < end <= len(text) - len(text.lstrip()) + 200
        assert "\n" not in text[start:end] and text[start:end] == text[start:end].strip()
        last = end


def test_a_text_without_words_or_another_signal_has_no_highlight() -> None:
    for text in ("", " \n", "----\n!!"):
        assert shown("ko-quality", text) == []
    with pytest.raises(StageError, match="quality: no signal 'scores': expected one of label, score"):
        stage("ko-quality").highlight(CLEAN, "scores")


def test_the_artifact_covers_model_and_sidecar(tmp_path: Path) -> None:
    shipped = resolve("ko-quality").path
    for path in (shipped, shipped.with_suffix(".json")):
        shutil.copy(path, tmp_path)
    model, sidecar = tmp_path / shipped.name, tmp_path / "ko-quality.json"
    before = stage(str(model)).artifacts()[0].digest
    assert before == stage("ko-quality").artifacts()[0].digest
    sidecar.write_text(sidecar.read_text("utf-8").replace('"chars": 3000', '"chars": 200'), "utf-8")
    assert stage(str(model)).artifacts()[0].digest != before


def refused(model: str, **more: object) -> str:
    with pytest.raises(StageError) as caught:
        stage(model, **more).measure(documents([CLEAN]))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_model_names_the_nearest() -> None:
    with pytest.raises(StageError, match="nearest: 'ko-quality'"):
        stage("ko-qualty").artifacts()


@pytest.mark.parametrize("cut", [0, 3, 8, 60, 500, 0.3, 0.9, 0.999])
def test_damaged_models_are_refused_before_fasttext_loads_them(tmp_path: Path, cut: float) -> None:
    whole = resolve("ko-domain").path.read_bytes()
    broken = tmp_path / "broken.ftz"
    broken.write_bytes(whole[: int(cut * len(whole)) if 0 < cut < 1 else int(cut)])
    assert "fastText model" in refused(str(broken), positive="high")


def test_garbage_and_leftovers_are_refused(tmp_path: Path) -> None:
    garbage, longer = tmp_path / "garbage.ftz", tmp_path / "longer.ftz"
    garbage.write_bytes(b"not a model at all" * 1000)
    longer.write_bytes(resolve("ko-domain").path.read_bytes() + b"more")
    assert "is not a fastText model" in refused(str(garbage))
    assert "left over" in refused(str(longer))


def test_a_sidecar_of_another_model_is_refused(tmp_path: Path) -> None:
    shutil.copy(resolve("ko-quality").path, tmp_path / "mine.ftz")
    shutil.copy(resolve("ko-domain").path.with_suffix(".json"), tmp_path / "mine.json")
    assert "belongs to another model" in refused(str(tmp_path / "mine.ftz"))
    (tmp_path / "mine.json").write_text("[]", "utf-8")
    assert "is not the sidecar" in refused(str(tmp_path / "mine.ftz"))


def test_labels_are_checked(tmp_path: Path) -> None:
    assert "expected one of high, low" in refused("ko-quality", positive="good")
    assert "8 labels" in refused("ko-domain", positive="sports")
    shutil.copy(resolve("ko-quality").path, tmp_path / "bare.ftz")
    assert "set `positive` to one of high, low" in refused(str(tmp_path / "bare.ftz"))
    low = stage(str(tmp_path / "bare.ftz"), positive="low").measure(documents([COMMENTS])).column("score")
    assert low[0].as_py() > 0.8
