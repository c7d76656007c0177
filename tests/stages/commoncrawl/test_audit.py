"""The audit of an index: a random sample of what it passes over, and what that says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from winnow.pipelines.engine.inputs import KeptInStore
from winnow.pipelines.engine.store import Store
from winnow.stages.commoncrawl.index_plan import estimate, wilson
from winnow.stages.source import Page
from winnow.stages.sources.commoncrawl import CommonCrawl

from .conftest import NEW, OLD
from .mimic import Mimic, build, korean, padded, written_pages
from .server import CrawlServer

Made = Callable[..., CommonCrawl]


def audited(crawl: CommonCrawl, kept: KeptInStore) -> list[str]:
    (audit,) = crawl.companions()
    assert audit.name == "crawl_audit" and audit.guards == () and audit.companions() == []
    pages = [page for file in audit.inputs(kept) or [] for one in audit.segments(file) for page in audit.pages(one)]
    assert all(isinstance(page, Page) and page.error is None for page in pages)
    return [page.url or "" for page in pages if isinstance(page, Page)]


def folder(path: Path) -> KeptInStore:
    return KeptInStore(Store(str(path)))


def test_the_sample_is_deterministic_and_apart_from_what_is_read(small: Mimic, source: Made, tmp_path: Path) -> None:
    wanted = {one.page.url for one in korean(small.stored[OLD])}
    others = {one.page.url for one in small.stored[OLD] if one.page.mime == "text/html"} - wanted
    first = audited(source(small.root, audit=20), folder(tmp_path / "a"))
    assert len(first) == len(set(first)) == 20 and set(first) <= others
    assert audited(source(small.root, audit=20, limit=3, gap=0), folder(tmp_path / "b")) == first
    another = audited(source(small.root, audit=20, seed=1), folder(tmp_path / "c"))
    assert len(another) == 20 and set(another) != set(first)
    assert set(audited(source(small.root, audit=10_000), folder(tmp_path / "d"))) == others
    assert set(audited(source(small.root, audit=30), folder(tmp_path / "e"))) > set(first)  # a larger one goes on
    assert len(audited(source(small.root), folder(tmp_path / "f"))) == len(wanted) // 10
    assert source(small.root, audit=0).companions() == []


def test_another_size_of_the_audit_reads_no_index_again(
    small: Mimic, source: Made, tmp_path: Path, serving: Callable[[Mimic], CrawlServer]
) -> None:
    server, kept = serving(small), folder(tmp_path)
    source(server.url).inputs(kept)
    server.forget()
    for audit in (20, 0, 50):
        crawl = source(server.url, audit=audit)
        assert crawl.inputs(kept) and all(one.inputs(kept) for one in crawl.companions())
    assert not server.log
    none = source(server.url, audit=0, seed=1)
    assert [one.identity for one in none.inputs(kept)] == [one.identity for one in source(server.url).inputs(kept)]
    assert server.count("*.parquet")  # drawn of nothing: fewer columns than a scan for an audit


def test_every_page_has_the_same_chance(source: Made, tmp_path: Path) -> None:
    pages = padded(written_pages(4, 60), 0.005)
    made = build(tmp_path / "mimic", {NEW: pages}, files=1, parts=4, row_group=50, level=1)
    wanted = {one.page.url for one in korean(made.stored[NEW])}
    rest = sorted({one.page.url for one in made.stored[NEW]} - wanted)
    half = set(rest[: len(rest) // 2])  # by address, and so by part of the index
    drawn = [
        url
        for seed in range(8)
        for url in audited(source(made.root, snapshot=NEW, audit=100, seed=seed), folder(tmp_path / f"run{seed}"))
    ]
    assert len(drawn) == 800
    assert 340 <= sum(url in half for url in drawn) <= 460  # 400 give or take four standard deviations
    assert len(set(drawn)) > 450


def test_recall_with_its_interval() -> None:
    recall = estimate(population=1_000_000, audited=4_000, found=4, selected_found=9_000)
    assert recall.missed == 1_000 and recall.recall == 0.9
    low, high = wilson(4, 4_000)
    assert low == pytest.approx(0.000389, abs=1e-6) and high == pytest.approx(0.002568, abs=1e-6)
    assert recall.recall_low == pytest.approx(9_000 / (9_000 + high * 1e6))
    assert recall.recall_high == pytest.approx(9_000 / (9_000 + low * 1e6))


def test_edges_of_an_audit() -> None:
    nothing = estimate(2_500_000_000, 4_000, 0, 17_500_000)
    assert nothing.missed == 0 and nothing.recall == 1 and 0.87 < (nothing.recall_low or 0) < 0.89
    assert estimate(50, 50, 5, 45).recall_low == estimate(50, 50, 5, 45).recall_high == 0.9  # all were looked at
    assert estimate(100, 10, 0, 0).recall is None and estimate(100, 10, 0, 0).recall_low == 0
    assert wilson(0, 0) == (0, 1) and estimate(0, 0, 0, 3).recall == 1
    with pytest.raises(ValueError, match="found"):
        estimate(10, 5, 6, 1)


def test_accounts_become_figures(small: Mimic, source: Made, tmp_path: Path) -> None:
    kept = folder(tmp_path)
    crawl = source(small.root, audit=25)
    wanted = len(list(korean(small.stored[OLD])))
    accounts = {
        "crawl": {
            "crawl": {"in": wanted, "kept": wanted, "failed": 0},
            "language": {"in": 20, "kept": 18, "failed": 0},
        },
        "crawl_audit": {
            "crawl_audit": {"in": 25, "kept": 24, "failed": 1},
            "language": {"in": 9, "kept": 2, "failed": 0},
        },
    }
    assert crawl.audited(OLD, "language", accounts, kept) == {}  # nothing is known of its index yet
    crawl.inputs(kept)
    figures = crawl.audited(OLD, "language", accounts, kept)
    passed_over = len(small.stored[OLD]) - wanted - 1
    assert (figures["passed_over"], figures["audited"], figures["found"]) == (passed_over, 24, 2)
    assert figures["missed"] == round(2 / 24 * passed_over)
    assert figures["recall_low"] < figures["recall"] < figures["recall_high"] < 1
    limited = source(small.root, audit=25, limit=wanted // 2).audited(OLD, "language", accounts, kept)
    assert limited["selected_found"] == round(18 * wanted / (wanted // 2))
    accounts["crawl"]["crawl"]["failed"] = 10
    assert crawl.audited(OLD, "language", accounts, kept)["selected_found"] == round(18 * wanted / (wanted - 10))
    assert crawl.audited("elsewhere", "language", accounts, kept) == {}
    assert crawl.audited(OLD, "language", {"crawl": accounts["crawl"]}, kept) == {}
