"""The Korean language models that ship: what their cards claim, on texts of these tests and on pages that no fit saw."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from winnow.classifiers.artifacts import MODELS, resolve
from winnow.classifiers.kenlm_model import read_sidecar
from winnow.filters.languages import language_pack
from winnow.stages.kenlm import KIND
from winnow.stages.opening import opened
from winnow.testing import documents

NAMES = ("ko-prose", "ko-salad", "ko-good", "ko-forum")
PROSE = [
    "어머니는 부엌에서 저녁을 짓고 있었고, 나는 마루에 앉아 비가 그치기를 기다렸다. 담장 너머로 이웃집 개가 짖는 소리가 들렸다.",
    "시는 내년부터 낡은 버스를 전기 버스로 바꾸기로 했다. 시장은 기자 회견에서 예산이 이미 마련되어 있다고 밝혔다.",
    "어제 처음으로 김치를 직접 담가 봤어요. 생각보다 어렵지 않았는데 소금을 너무 많이 넣어서 조금 짜게 됐네요.",
    "이 법은 도로에서 일어나는 위험을 막고 안전하고 원활한 교통을 확보하는 것을 목적으로 한다.",
    "파일을 열고 내용을 한 줄씩 읽은 다음, 빈 줄을 건너뛰고 나머지를 목록에 넣는다. 오류가 나면 메시지를 출력하고 끝낸다.",
]
MENU = "로그인 회원가입 장바구니 마이페이지 고객센터 공지사항 이벤트 전체보기 더보기 이전글 다음글 목록 검색"


def measured(texts: list[str], signal: str, model: str, against: str | None = None) -> list[float]:
    stage = KIND("lm", KIND.Settings(model=model, against=against), language_pack("ko"))
    found: list[float] = opened(stage).measure(documents(texts)).column(signal).to_pylist()
    return found


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The benchmark that the cards' tables are from."""
    path = Path(__file__).parents[1] / "bench" / "bench_kenlm_models.py"
    spec = importlib.util.spec_from_file_location("bench_kenlm_models", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_is_small_and_its_card_names_its_content() -> None:
    card = (MODELS / "ko-prose.md").read_text("utf-8")
    for name in NAMES:
        found = resolve(name)
        assert found.path.stat().st_size < 4_000_000
        sidecar = read_sidecar(found.path)
        assert sidecar is not None and sidecar.language == "ko"
        assert hashlib.sha256(found.path.read_bytes()).hexdigest() in card
        assert re.search(rf"^# ko-.*\b{name}\b|^\| {name} ", card, re.MULTILINE)


def test_prose_of_every_register_is_above_a_menu_and_its_own_words_shuffled(bench: ModuleType) -> None:
    prose = measured(PROSE, "difference", "ko-prose", "ko-salad")
    low = measured([MENU, *bench.shuffled(PROSE)], "difference", "ko-prose", "ko-salad")
    assert min(prose) > 0.1 > max(low)


def test_a_forum_is_told_from_good_korean() -> None:
    spoken = [
        "아 진짜 이 영화 너무 재미없음 돈 아깝다 ㅠㅠ 배우 연기도 별로고",
        "너무 억울합니다 제발 도와주세요 국민 여러분 청원합니다",
    ]
    *good, chat, petition = measured([PROSE[1], PROSE[3], PROSE[4], *spoken], "difference", "ko-good", "ko-forum")
    assert min(good) > 0 > max(chat, petition)


def test_the_card_holds_on_pages_that_no_fit_saw(bench: ModuleType, data: Path) -> None:
    def difference(*sources: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        texts = [text for source in sources for text in bench.pages(source, data)[:40]]
        found: np.ndarray[tuple[int], np.dtype[np.float64]] = bench.values(
            texts, "difference", model="ko-prose", against="ko-salad"
        )
        return found

    good = difference("wikinews", "nanet-book-reviews", "law-kr", "acorn-blog", "python-docs-ko", "bible-korrv")
    cut = np.quantile(good, 0.05)
    words = bench.shuffled([text for name in ("wikinews", "acorn-blog") for text in bench.pages(name, data)[:40]])
    salad = bench.values(words, "difference", model="ko-prose", against="ko-salad")
    assert np.mean(salad >= cut) <= 0.05
    assert bench.auc(good, difference("ui-strings", "po-raw")) >= 0.9
    assert bench.auc(good, difference("msdocs-cpp-mt", "msdocs-vs-mt", "adobe-workfront-mt")) >= 0.9
    assert np.mean(difference("petitions", "chatbot-qa") >= cut) >= 0.6
