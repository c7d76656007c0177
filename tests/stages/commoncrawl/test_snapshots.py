"""Which snapshots a declaration means, and what is refused before anything is fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from winnow.filters.languages import language_pack
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.inputs import KeptInStore
from winnow.pipelines.engine.yaml_source import SpecError
from winnow.stages.base import StageError
from winnow.stages.commoncrawl.index_filter import wanted_charsets, wanted_languages
from winnow.stages.commoncrawl.snapshots import check_snapshot, chosen, collections_at, explicit, home
from winnow.stages.sources.commoncrawl import CommonCrawl, Settings

from .conftest import NEW, OLD
from .mimic import Mimic

IDS = [
    "CC-MAIN-2008-2009",
    "CC-MAIN-2012",
    "CC-MAIN-2023-50",
    "CC-MAIN-2024-10",
    "CC-MAIN-2024-51",
    "CC-MAIN-2025-05",
    "CC-MAIN-2026-43",
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("latest", IDS[-1:]),
        ("CC-MAIN-2024-10", ["CC-MAIN-2024-10"]),
        ("2024-10", ["CC-MAIN-2024-10"]),
        ("2024", ["CC-MAIN-2024-10", "CC-MAIN-2024-51"]),
        ("2024..", IDS[3:]),
        ("..2012", IDS[:2]),
        ("2024-10..2025-05", IDS[3:6]),
        ("CC-MAIN-2024-11..2026", IDS[4:]),
        ("..", IDS),
        ("CC-MAIN-2012", ["CC-MAIN-2012"]),
    ],
)
def test_what_is_meant(wanted: str, found: list[str]) -> None:
    check_snapshot(wanted)
    assert chosen([wanted], IDS) == found


def test_a_year_may_be_a_number() -> None:
    assert Settings.model_validate({"snapshot": [2024, "2025-05"]}).snapshot == ("2024", "2025-05")
    assert Settings.model_validate({"snapshot": 2026}).snapshot == ("2026",)


def test_several_are_taken_once_and_in_order() -> None:
    assert chosen(["latest", "2024..", "2023-50"], IDS) == IDS[2:]
    assert explicit(["CC-MAIN-2026-43", "CC-MAIN-2024-10", "CC-MAIN-2026-43"]) == [IDS[3], IDS[-1]]
    assert explicit(["CC-MAIN-2026-43", "2024"]) is None


@pytest.mark.parametrize(
    ("wanted", "near"),
    [("CC-MAIN-2026-42", "CC-MAIN-2026-43"), ("2024-49..2024-50", "CC-MAIN-2024-51"), ("2027..", IDS[-1])],
)
def test_an_unknown_one_names_the_nearest(wanted: str, near: str) -> None:
    with pytest.raises(StageError, match=f"no snapshot '{wanted}'; nearest: '{near}'"):
        chosen([wanted], IDS)


def test_all_public_endpoints_are_one_and_a_mirror_is_another() -> None:
    assert home("s3://commoncrawl/") == home("https://data.commoncrawl.org") != home("/mirror")
    assert collections_at("s3://commoncrawl") == "https://index.commoncrawl.org/collinfo.json"
    assert collections_at("http://127.0.0.1:9/") == "http://127.0.0.1:9/collinfo.json"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"snapshot": "newest"}, "'newest' is no snapshot; expected CC-MAIN-2026-43"),
        ({"snapshot": []}, "at least 1"),
        ({"languages": ["ko"]}, "'ko' is no language of Common Crawl's index.*nearest: 'kor'"),
        ({"charsets": "EUC-KO"}, "'EUC-KO' is no charset.*nearest: 'EUC-KR'"),
        ({"languages": [], "charsets": []}, "neither languages nor charsets"),
        ({"via": "warc", "languages": ["kor"]}, "`languages` goes with via: index"),
        ({"keep_files": "x"}, "`keep_files` goes with via: warc or wet"),
        ({"via": "cdx"}, "'index', 'warc' or 'wet'"),
        ({"gap": "1 apple"}, "unit"),
        ({"tlds": "co.kr"}, "'co.kr' is no top-level domain.*nearest: 'kr'"),
        ({"hosts": {"allow": ["https://example.kr/a"]}}, "is no domain.*nearest: 'example.kr'"),
        ({"hosts": {"block": "*.example.kr"}}, "is no domain.*nearest: 'example.kr'"),
        ({"hosts": {"block": "a b"}}, "'a b' is no domain; expected one such as example.kr"),
        ({"fetch": {"connections": 0}}, "greater than or equal to 1"),
    ],
)
def test_what_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings.model_validate({"snapshot": OLD, **given})


def test_a_declaration_says_where_it_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "crawl.yaml"
    path.write_text(
        "extends: web.yaml\nname: x\nlanguage: ko\nsources:\n  crawl: {use: commoncrawl, snapshot: 2O24.., limits: 3}\n"
    )
    with pytest.raises(SpecError, match=r"sources.crawl.snapshot: '2O24..' is no snapshot") as failure:
        load_pipeline(path)
    assert "limits" in str(failure.value) and "limit" in str(failure.value)


def test_a_declaration_has_its_audit_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "crawl.yaml"
    path.write_text(
        "extends: web.yaml\nname: x\nlanguage: ko\n"
        "sources:\n  crawl: {use: commoncrawl, snapshot: 2024.., gap: 2 MiB, unit_bytes: 64MiB, fetch: {connections: 2}}\n"
    )
    pipeline = load_pipeline(path)
    assert list(pipeline.sources) == ["crawl", "crawl_audit"]
    settings = pipeline.sources["crawl"].settings
    assert (settings.gap, settings.unit_bytes, settings.fetch.connections) == (2 << 20, 64 << 20, 2)
    assert not pipeline.guards["crawl_audit"] and pipeline.guards["crawl"]


def test_packs_speak_the_index_s_codes() -> None:
    assert wanted_languages(None, language_pack("ko")) == {"kor"}
    assert wanted_languages(None, language_pack("zh")) == {"zho"} and wanted_languages(None, language_pack("ar")) == {
        "ara"
    }
    assert wanted_charsets(None, frozenset(["kor"])) == {"cp949", "iso2022_kr", "johab"}
    assert (
        wanted_charsets(("x-windows-949",), frozenset()) == {"cp949"}
        and wanted_charsets((), frozenset(["kor"])) == set()
    )
    with pytest.raises(StageError, match="no languages"):
        wanted_languages(None, None)


def test_a_source_asks_collinfo_only_where_it_must(
    small: Mimic, source: Callable[..., CommonCrawl], kept: KeptInStore, tmp_path: Path
) -> None:
    assert {file.group for file in source(small.root, snapshot="latest").inputs(kept)} == {NEW}
    with pytest.raises(StageError, match=f"no snapshot 'CC-MAIN-2026-39'; nearest: '{OLD}'"):
        source(small.root, snapshot="CC-MAIN-2026-39").inputs(kept)
    listed = tmp_path / "other.json"
    listed.write_text('[{"id": "CC-MAIN-2026-38"}]')
    assert {f.group for f in source(small.root, snapshot="..", collections=str(listed)).inputs(kept)} == {OLD}
    listed.write_text("{}")
    with pytest.raises(StageError, match="no snapshot"):
        source(small.root, snapshot="..", collections=str(listed)).inputs(kept)
    assert source(small.root, snapshot=OLD, collections=str(listed)).inputs(kept)  # known already
