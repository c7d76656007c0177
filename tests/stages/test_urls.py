"""The stage `urls`: signals and clauses of addresses, and what its fingerprint depends on."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from winnow.filters.languages import language_pack
from winnow.filters.urls.lists import KINDS, THEMES
from winnow.pipelines.selection.language import compile_clauses
from winnow.pipelines.selection.verdict import explain, holds, verdict
from winnow.stages import urls
from winnow.stages.base import StageError
from winnow.stages.opening import opened
from winnow.stages.source import Page
from winnow.stages.urls import KIND, Kind


def stage(**settings: Any) -> KIND:
    return KIND(name="urls", settings=KIND.Settings(**settings), pack=language_pack("ko"))


def page(url: str | None) -> Page:
    return Page(id="0" * 32, url=url, date=None)


def test_it_looks_at_addresses_alone() -> None:
    assert KIND.sees == "addresses"
    assert set(get_args(Kind)) == set(KINDS)


def test_signals() -> None:
    made = stage()
    urls = ["https://WWW.PornHub.com/CASINO/slots", "https://me.tistory.com/1", "http://", None]
    batch = made.measure([page(url) for url in urls])
    assert {field.name: field.type for field in batch.schema} == made.signals()
    bad, good, malformed, absent = batch.to_pylist()
    assert bad == {
        "host": "www.pornhub.com",
        "domain": "pornhub.com",
        "suffix": "com",
        "listed": "adult",
        "words": 1,
        "word": "porn",
        "soft_words": 2,
        "soft": "casino slots",
        "malformed": False,
    }
    nothing = {"listed": None, "words": 0, "word": None, "soft_words": 0, "soft": None}
    assert (
        good
        == {"host": "me.tistory.com", "domain": "me.tistory.com", "suffix": "tistory.com", "malformed": False} | nothing
    )
    assert malformed == dict.fromkeys(("host", "domain", "suffix")) | nothing | {"malformed": True}
    assert absent == dict.fromkeys(("host", "domain", "suffix")) | nothing | {"malformed": False}
    assert made.measure([]).schema == batch.schema


def test_each_drop_names_its_clause_and_what_it_found() -> None:
    made = stage()
    urls = [
        "http://bet365.com/x",
        "http://a.kr/야동은",
        "http://a.kr/casino-slots",
        "http://a.kr/casino",
        "",
        None,
        "x:y",
    ]
    batch = made.measure([page(url) for url in urls])
    clauses = compile_clauses("urls", made.clauses(), {f"urls.{name}": kind for name, kind in made.signals().items()})
    frame = pl.DataFrame(pl.from_arrow(batch)).rename(lambda name: f"urls.{name}")
    everything = np.ones(len(urls), bool)
    _, first = verdict(holds(clauses, frame), everything, ~everything)
    assert explain(clauses, frame, first).rows() == [
        ("urls.listed", "gambling", "listed is null"),
        ("urls.hard_words", "야동", "word is null"),
        ("urls.soft_words", "urls.soft_words=2, urls.soft=casino slots", "soft_words < 2 or soft is null"),
        *[(None, None, None)] * 4,
    ]


@given(st.lists(st.one_of(st.none(), st.text(max_size=80)), max_size=5))
def test_no_address_fails(texts: list[str | None]) -> None:
    made = stage()
    together = made.measure([page(text) for text in texts])
    assert together.to_pylist() == [made.measure([page(text)]).to_pylist()[0] for text in texts]


def test_a_missing_list_and_a_list_of_ours_that_is_none_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"urls: list '.*nowhere' does not exist: expected a file of domains"):
        stage(lists=[str(tmp_path / "nowhere")]).artifacts()
    with pytest.raises(StageError, match=r"urls: own: no list 'adlt': expected some of adult, .*; nearest: 'adult'"):
        stage(own=["adlt"]).artifacts()
    (tmp_path / "bad.txt").write_text("not a domain\n")
    with pytest.raises(StageError, match=r"urls: list '.*bad.txt', line 1: 'not a domain': expected a domain"):
        stage(lists=[str(tmp_path / "bad.txt")]).artifacts()


def test_the_fingerprint_holds_the_lists_and_the_suffixes(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("one.kr\n")
    made = stage(lists=[str(mine)], own=["adult"])
    before = {artifact.name: artifact.digest for artifact in made.artifacts()}
    assert list(before) == ["1:mine.domains", "own-lists", "public-suffixes"]
    mine.write_text("one.kr\ntwo.kr\n")
    after = {artifact.name: artifact.digest for artifact in made.artifacts()}
    assert {name for name in before if before[name] != after[name]} == {"1:mine.domains"}
    other = {artifact.name: artifact.digest for artifact in stage(lists=[str(mine)], own=["spam"]).artifacts()}
    assert {name for name in other if other[name] != after[name]} == {"own-lists"}


def test_a_worker_measures_with_the_planned_lists_or_stops(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("one.kr\n")
    made = stage(lists=[{"path": str(mine), "name": "ours"}], own=[])
    planned = {artifact.name: artifact.digest for artifact in made.artifacts()}
    sent = pickle.loads(pickle.dumps(made))
    assert sent.measure([page("http://one.kr/")]).column("listed").to_pylist() == ["ours"]
    mine.write_text("two.kr\n")
    urls._loaded.cache_clear()
    with pytest.raises(StageError, match=r"urls: '1:ours.domains' changed during the run: planned with sha256"):
        opened(sent, planned)


def test_lists_of_every_kind_and_allowed_domains(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text("나쁜말\n")
    made = stage(lists=[{"path": str(tmp_path / "w.txt"), "kind": "words"}], own=[], allow=["good.kr"])
    batch = made.measure([page(f"http://{host}/나쁜말은") for host in ("a.kr", "x.good.kr")])
    assert batch.column("word").to_pylist() == ["나쁜말", None]


def test_one_list_may_stand_by_itself(tmp_path: Path) -> None:
    (tmp_path / "d.txt").write_text("one.kr\n")
    path = str(tmp_path / "d.txt")
    for lists in (path, [path], {"path": path}, [{"path": path, "kind": "domains"}]):
        made = stage(lists=lists, own="spam")
        assert made.measure([page("http://a.one.kr/")]).column("listed").to_pylist() == ["d"]
        assert made.settings == stage(lists=[path], own=["spam"]).settings


@pytest.mark.parametrize(
    ("kind", "nearest"),
    [
        ("hard_words", "words"),
        ("word", "words"),
        ("hard word", "words"),
        ("softwords", "soft_words"),
        ("urll", "urls"),
        ("domain", "domains"),
        ("substring", "substrings"),
    ],
)
def test_a_kind_that_is_none_is_one_sentence(kind: str, nearest: str) -> None:
    with pytest.raises(ValidationError) as error:
        KIND.Settings.model_validate({"lists": [{"path": "x.txt", "kind": kind}]})
    (mistake,) = error.value.errors()
    assert mistake["loc"] == ("lists", 0, "kind")
    assert mistake["msg"].startswith(f"no kind of list '{kind}': expected domains, hosts, urls, ")
    assert mistake["msg"].endswith(f"or allow; nearest: '{nearest}'")


def test_own_lists_by_name() -> None:
    assert stage().settings.own == THEMES
    batch = stage(own=["gambling"]).measure([page("http://pornhub.com/"), page("http://bet365.com/")])
    assert batch.column("listed").to_pylist() == [None, "gambling"]
