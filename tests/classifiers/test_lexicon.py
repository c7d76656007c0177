"""Weak labels by words, the documents made of them, sentence ends retold, and adverts with their blanks filled."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from winnow.classifiers.examples import examples
from winnow.classifiers.made_texts import hits, is_background, junk_documents, load_lexicon, seeded, weak_label
from winnow.classifiers.readers import plain, polite
from winnow.classifiers.recipe import FOLDER, Junk, Recipe, RecipeError, Seeds

BACKGROUND = "그는 아무 말도 하지 않고 가만히 앉아서 오래도록 무엇인가를 생각하고 있었다 그리고 또 기다렸다"


@pytest.fixture()
def words(tmp_path: Path) -> str:
    path = tmp_path / "words.txt"
    path.write_text("# two topics\nsea: 바다 고래 파도 배\nland: 산 언덕 들판 배\n", "utf-8")
    return str(path)


def test_a_word_counts_with_its_particle_once_and_in_parts_where_topics_share_it(words: str) -> None:
    lexicon = load_lexicon(words)
    assert hits("바다에서 고래가 바다로", lexicon) == {"sea": 2}
    assert hits("배", lexicon) == {"sea": 0.5, "land": 0.5}
    # One syllable begins too many words: no ship in 배구선수.
    assert hits("배구선수", lexicon) == {}


def test_a_label_needs_two_words_and_twice_the_next_topic(words: str) -> None:
    lexicon = load_lexicon(words)
    assert weak_label("바다의 고래", lexicon) == "sea"
    assert weak_label("바다만", lexicon) is None
    assert weak_label("바다의 고래와 들판의 언덕", lexicon) is None
    assert weak_label("", lexicon) is None
    assert is_background(BACKGROUND, lexicon)


def test_seeded_documents_hold_words_of_their_topic_alone_and_repeat(words: str) -> None:
    lexicon = load_lexicon(words)
    seeds = Seeds(count=20, words=(2, 3), background=5, particles=("을",))
    made = list(seeded(seeds, lexicon, [BACKGROUND], 1))
    assert made == list(seeded(seeds, lexicon, [BACKGROUND], 1))
    assert [topic for topic, _ in made] == ["sea"] * 20 + ["land"] * 20
    for topic, text in made:
        inserted = [word for word in text.split() if word not in BACKGROUND.split()]
        assert 2 <= len(inserted) <= 3
        assert all(word.removesuffix("을") in lexicon.words[topic] for word in inserted)


def test_a_lexicon_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no lexicon 'ko-topic': expected a path or one of .*ko-topics\.txt"):
        load_lexicon("ko-topic")
    broken = tmp_path / "broken.txt"
    broken.write_text("sea: 바다\n산 언덕\n", "utf-8")
    with pytest.raises(RecipeError, match=r"broken\.txt, line 2: expected `topic: word word"):
        load_lexicon(str(broken))


def test_a_weak_source_needs_a_lexicon() -> None:
    source = {"name": "s", "folder": ".", "files": "*", "reader": "lines", "weak": True, "licence": "own"}
    with pytest.raises(ValueError, match="need a `lexicon`"):
        Recipe.model_validate({"name": "x", "language": "ko", "licence": "own", "sources": [source]})


def test_a_weak_source_is_labelled_and_the_rest_of_it_is_the_background(words: str, tmp_path: Path) -> None:
    sea = [f"바다에 고래가 {n}마리 있었다." for n in range(40)]
    land = [f"언덕 너머 들판에 {n}명이 있었다." for n in range(40)]
    (tmp_path / "texts.txt").write_text("\n".join([*sea, *land, *(f"{n} {BACKGROUND}" for n in range(9))]), "utf-8")
    source = {"name": "s", "folder": ".", "files": "texts.txt", "reader": "lines", "weak": True, "licence": "own"}
    declared = {
        "name": "x",
        "language": "ko",
        "licence": "own",
        "positive": "sea",
        "lexicon": words,
        "seeds": {"count": 5},
    }
    found = examples(Recipe.model_validate({**declared, "sources": [{**source, "limit": 10}]}), tmp_path)
    fitted = [one for one in found if one.side == "fit"]
    assert {one.label for one in fitted if one.text in sea} == {"sea"}
    assert sum(one.source == "s" and one.label == "land" for one in fitted) == 10
    assert sum(one.source == "made: seeds" for one in found) == 10
    assert not any(one.test for one in found if one.source == "made: seeds")


def test_shipped_topics_share_few_words() -> None:
    lexicon = load_lexicon("ko-topics.txt")
    assert len(lexicon.words) == 8
    assert all(len(words) >= 100 for words in lexicon.words.values())
    assert sum(len(topics) > 2 for topics in lexicon.topics.values()) <= 20


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ("밥을 먹었다. 비가 온다.", "밥을 먹었어요. 비가 와요."),
        ("학생이다. 공부한다!", "학생이에요. 공부해요!"),
        ("할 수 있습니다. 없다.", "할 수 있어요. 없어요."),
        ("문을 두드린다", "문을 두드려요"),
        ("다시 본 다음 날", "다시 본 다음 날"),
    ],
)
def test_sentence_ends_become_polite(plain: str, expected: str) -> None:
    assert polite(plain) == expected


def test_adverts_are_many_and_their_blanks_are_filled() -> None:
    lines = (FOLDER / "ko-adverts.txt").read_text("utf-8").splitlines()
    sentences = [line for line in lines if line and not line.startswith("#")]
    assert len(set(sentences)) >= 150
    known = {"name", "place", "money", "number", "rate", "phone", "id", "day"}
    assert set(re.findall(r"\{(\w+)\}", "".join(sentences))) <= known
    junk = Junk(label="low", kinds={"adverts": 50}, adverts="ko-adverts.txt")
    made = [text for _, text in junk_documents(junk, [BACKGROUND], [BACKGROUND], 1, 1.0)]
    assert len(set(made)) == 50
    assert not any("{" in text for text in made)
    with pytest.raises(RecipeError, match="no file of adverts"):
        list(junk_documents(junk.model_copy(update={"adverts": "none.txt"}), [BACKGROUND], [BACKGROUND], 1, 1.0))


def test_disordered_texts_are_those_of_a_good_label_in_another_order() -> None:
    good = "아침에 비가 와서 우산을 들고 나갔다.\n버스는 늦었고 사람들은 말없이 기다렸다."
    junk = Junk(label="low", kinds={"disordered": 20}, chars=(200, 300))
    made = [text for _, text in junk_documents(junk, ["싸다 싸"], [good], 1, 1.0)]
    assert {" ".join(sorted(text.split())) for text in made} == {" ".join(sorted(good.split()))}
    assert sum(text.split() != good.split() for text in made) >= 18
    assert {text.count("\n") for text in made} == {0, 1}


def test_plain_markdown_is_what_a_reader_of_the_page_sees() -> None:
    text = "---\nms.date: 1\n---\n# 제목\r\n\n- [문서](https://a.b/c)를 **읽는다**\n```sh\nls\n```\n끝\n"
    assert plain(text).split() == ["제목", "문서를", "읽는다", "끝"]


def test_an_advert_page_draws_from_more_than_one_sentence() -> None:
    junk = Junk(label="low", kinds={"adverts": 1}, adverts="ko-adverts.txt", chars=(900, 1000))
    ((kind, text),) = junk_documents(junk, [BACKGROUND], [BACKGROUND], random.Random(0).randrange(9), 1.0)
    assert kind == "adverts"
    assert len(set(re.split(r"(?<=[.?])\s", text))) >= 8
