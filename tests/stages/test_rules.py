"""The `rules` stage: columns, packs and clauses, and what the Korean pack keeps of real pages."""

from __future__ import annotations

import gzip
import json
import pickle
import random
import unicodedata

import polars as pl
import pyarrow as pa
import pytest

from winnow.filters.languages import language_pack
from winnow.filters.rules import url_shape
from winnow.stages.base import DOCUMENT_SCHEMA, StageError
from winnow.stages.rules import KIND


def stage(language="ko", **settings):
    return KIND(name="rules", settings=KIND.Settings(**settings), pack=language_pack(language))


def opened(rules):
    return rules.open(rules.artifacts())


def documents(texts):
    columns = {
        "id": [f"{i:032x}" for i in range(len(texts))],
        "url": [None] * len(texts),
        "date": [None] * len(texts),
        "source": ["test"] * len(texts),
        "title": [None] * len(texts),
        "text": texts,
    }
    return pa.RecordBatch.from_pydict(columns, schema=DOCUMENT_SCHEMA)


def kept(rules, texts):
    """Share of the texts that pass every clause."""
    frame = pl.from_arrow(rules.measure(documents(texts)))
    clauses = [pl.sql_expr(expression).alias(name) for name, expression in rules.clauses().items()]
    return frame.select(pl.all_horizontal(*clauses)).to_series().mean()


def test_measures_what_it_declares():
    rules = stage()
    batch = rules.measure(documents(["안녕하세요. 반갑습니다.", ""]))
    assert dict(zip(batch.schema.names, batch.schema.types, strict=True)) == rules.signals()
    assert batch.num_rows == 2
    assert {name for name in batch.schema.names if batch[name].null_count} == {
        measure.name for measure in url_shape.MEASURES
    }


def test_a_sliced_batch_gives_the_rows_of_the_slice():
    batch = documents(["하나 둘", "셋 넷 다섯", "여섯", ""])
    whole = stage().measure(batch)
    assert stage().measure(batch.slice(1, 2)).to_pylist() == whole.slice(1, 2).to_pylist()
    assert stage().measure(batch.slice(4)).num_rows == 0


def test_clauses_are_those_of_the_chosen_packs():
    pack = language_pack("ko")
    assert stage(packs=["fineweb"]).clauses() == pack.clauses["fineweb"]
    assert stage().clauses() == pack.clauses["gopher"] | pack.clauses["fineweb"] | pack.clauses["korean"]
    fewer = KIND(name="rules", settings=KIND.Settings(), pack=pack.model_copy(update={"default_packs": ("korean",)}))
    assert fewer.clauses() == pack.clauses["korean"]
    assert stage(packs=[]).clauses() == {}


def test_an_unknown_pack_is_refused_with_the_nearest():
    with pytest.raises(StageError, match=r"rules: .*'ko' has no rule pack 'gofer'.*nearest: 'gopher'"):
        stage(packs=["gofer"]).clauses()


def test_packs_that_disagree_about_a_name_are_refused():
    pack = language_pack("en").model_copy(
        update={"clauses": {"a": {"x": "word_count >= 1"}, "b": {"x": "word_count >= 2"}}}
    )
    with pytest.raises(StageError, match="'x'"):
        KIND(name="rules", settings=KIND.Settings(), pack=pack).clauses()


def test_the_word_unit_can_be_overridden():
    text = documents(["日本語の文章です"])
    assert stage("ja", word_unit="character").measure(text)["word_count"][0].as_py() == 8
    assert stage("ja", word_unit="whitespace").measure(text)["word_count"][0].as_py() == 1


def test_a_unit_without_thresholds_measures_alone_or_is_refused():
    with pytest.raises(StageError, match=r"rules: language pack 'ko' has no thresholds .*'character'.*keep: true"):
        stage(word_unit="character").clauses()
    alone = stage(word_unit="character", packs=[])
    assert alone.clauses() == {}
    assert alone.measure(documents(["大韓民國은 나라다"]))["word_count"][0].as_py() == 6


def test_what_cuts_words_is_an_artifact():
    assert stage(word_unit="whitespace").artifacts() == []
    (artifact,) = stage("ja", word_unit="segment").artifacts()
    assert "ICU" in artifact.name and len(artifact.digest) == 64


def test_thresholds_of_another_unit_are_that_unit_s():
    pack = language_pack("ko")
    assert "morpheme" in pack.units
    rules = stage(word_unit="morpheme", packs=["gopher"])
    assert rules.clauses() == pack.units["morpheme"].clauses["gopher"] != pack.clauses["gopher"]


def test_address_and_date_are_measured_where_there_are_any():
    batch = documents(["가나다", "라마바"])
    columns = {name: batch[name] for name in batch.schema.names}
    columns["url"] = pa.array(["https://a.kr/b/c?d=1", None], batch["url"].type)
    columns["date"] = pa.array([None, "2024-01-05T00:00:00Z"], batch["date"].type)
    rows = stage().measure(pa.RecordBatch.from_pydict(columns, schema=DOCUMENT_SCHEMA)).to_pylist()
    assert [row["url_depth"] for row in rows] == [2, None]
    assert [row["crawl_year"] for row in rows] == [None, 2024]


def test_files_of_bad_words_are_artifacts_and_travel_with_what_measures(tmp_path):
    listed = tmp_path / "more.txt"
    listed.write_text("감자\n", "utf-8")
    rules = stage(bad_words=[str(listed)])
    (artifact,) = rules.artifacts()
    assert artifact.path == listed and len(artifact.digest) == 64
    sent = pickle.loads(pickle.dumps(opened(rules)))
    listed.write_text("구름\n", "utf-8")
    assert sent.measure(documents(["감자는 구름이다"]))["bad_words"][0].as_py() == 1
    assert sent.highlight("감자는 구름이다", "bad_words") == [(0, 2)]
    assert rules.artifacts()[0].digest != artifact.digest
    with pytest.raises(StageError, match=r"rules: bad words .*more\.txt' changed during the run"):
        rules.open([artifact])
    with pytest.raises(StageError, match=r"rules: bad words .*none\.txt"):
        stage(bad_words=[str(tmp_path / "none.txt")]).artifacts()
    listed.write_text("a*b\n", "utf-8")
    with pytest.raises(StageError, match=r"rules: bad words .*line 1: bad word"):
        stage(bad_words=[str(listed)]).artifacts()


def test_a_group_is_measured_alone_and_has_a_version_of_its_own():
    rules = stage()
    batch = documents(["안녕하세요. 반갑습니다.", ""])
    whole = rules.measure(batch)
    groups = rules.groups()
    assert {name: kind for group in groups.values() for name, kind in group.columns.items()} == rules.signals()
    for name, group in groups.items():
        alone = rules.open(rules.artifacts(), [name]).measure(batch)
        assert alone.schema.names == list(group.columns) and group.version >= 1
        assert all(alone[column].equals(whole[column]) for column in group.columns)


def test_one_name_needs_no_list(tmp_path):
    assert stage(packs="gopher").clauses() == stage(packs=["gopher"]).clauses()
    with pytest.raises(StageError, match=r"no rule pack 'gofer'.*nearest: 'gopher'"):
        stage(packs="gofer").clauses()
    listed = tmp_path / "more.txt"
    listed.write_text("감자\n", "utf-8")
    (artifact,) = stage(bad_words=str(listed)).artifacts()
    assert artifact.path == listed
    with pytest.raises(StageError, match=r"rules: bad words .*nofile\.txt"):
        stage(bad_words="nofile.txt").artifacts()


def shown(rules, text, signal):
    return [text[start:end] for start, end in opened(rules).highlight(text, signal)]


def test_highlights_what_a_signal_comes_from():
    text = "오늘의 메뉴\n저는 학교에서 책을 읽었다.\n  오늘의 메뉴\n병신들아 ㅋㅋㅋㅋ"
    assert shown(stage(), text, "dup_lines") == ["오늘의 메뉴"]
    assert shown(stage(), text, "bad_words") == ["병신"]
    assert shown(stage(), text, "char_run_share") == ["ㅋㅋㅋㅋ"]
    assert opened(stage()).highlight(text, "char_count") == []
    assert all(opened(stage()).highlight("", signal) == [] for signal in stage().signals())


def test_highlights_with_the_stage_s_own_words():
    text = "日本語の日本語"
    assert shown(stage("ja", word_unit="character"), text, "unique_words") == ["日", "本", "語"]
    assert shown(stage("ja", word_unit="whitespace"), text, "unique_words") == []
    abuse = language_pack("en").model_copy(update={"bad_words": ("bother*",)})
    rules = KIND(name="rules", settings=KIND.Settings(), pack=abuse)
    assert shown(rules, "Oh, (Bothersome!)", "bad_words") == ["Bother"]


def test_a_signal_of_no_rule_has_no_highlight():
    with pytest.raises(StageError, match="rules: no signal 'dup_line'; nearest: 'dup_lines'"):
        opened(stage()).highlight("가", "dup_line")


def test_survives_pickling():
    rules = pickle.loads(pickle.dumps(stage()))
    assert rules.measure(documents(["가나다"])).num_rows == 1


def test_junk_is_dropped():
    rng = random.Random(0)
    places = ["강남맛집", "서울맛집", "맛집추천", "데이트코스", "가성비맛집", "회식장소", "점심맛집", "이자카야"]
    stuffed = [" ".join(rng.choices(places, k=150)) for _ in range(20)]
    links = ["\n".join(f"{rng.choice(places)} 더보기" for _ in range(60)) for _ in range(20)]
    laughter = ["ㅋㅋㅋㅋㅋㅋ 진짜 웃기다 ㅠㅠㅠㅠ " * 20]
    repeated = ["오늘도 좋은 하루 보내시고 건강하세요. 감사합니다.\n" * 30]
    for texts in (stuffed, links, laughter, repeated):
        assert kept(stage(), texts) == 0


def test_real_korean_pages_are_kept_and_comments_are_not(data, crawl_truth):
    pages = [page["gold_text"] for page in crawl_truth if page.get("lang") == "ko" and page.get("gold_text")]
    assert len(pages) > 200
    assert kept(stage(), [unicodedata.normalize("NFC", page) for page in pages]) >= 0.85
    with gzip.open(data / "ko-sentiment-nsmc" / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
        comments = [json.loads(line)["text"] for line in lines]
    assert kept(stage(), comments[:20000]) <= 0.0025  # 0.002: of one comment in five hundred a poem's 35 words
