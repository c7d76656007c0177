"""Snapshots of the mixed crawl, 2,261 real pages: index mode against whole files, and how an audit sees its mistakes."""

from __future__ import annotations

from collections.abc import Callable

from winnow.pipelines.engine.inputs import KeptInStore
from winnow.stages.commoncrawl.index_plan import estimate
from winnow.stages.source import Page
from winnow.stages.sources.commoncrawl import CommonCrawl

from .conftest import NEW, OLD
from .mimic import Mimic, korean
from .server import CrawlServer, broken_off, status, truncated

Made = Callable[..., CommonCrawl]


def read(crawl: CommonCrawl, kept: KeptInStore) -> dict[str, Page]:
    pages = [page for file in crawl.inputs(kept) for one in crawl.segments(file) for page in crawl.pages(one)]
    assert all(isinstance(page, Page) and page.error is None for page in pages)
    return {page.id: page for page in pages if isinstance(page, Page)}


def test_index_mode_gives_what_whole_files_give(
    real: Mimic, source: Made, kept: KeptInStore, serving: Callable[[Mimic], CrawlServer]
) -> None:
    server = serving(real)
    given = {"snapshot": [OLD, NEW], "audit": 0, "gap": "16 KiB"}
    crawl = source(server.url, **given)
    expected = crawl.expected(kept)
    server.forget()
    wanted = [one for name in (OLD, NEW) for one in korean(real.stored[name])]
    pages = read(crawl, kept)
    assert len(pages) == len(wanted)
    assert server.sent() == sum(figures["bytes"] for figures in expected.values())
    assert server.count() == sum(figures["requests"] for figures in expected.values())
    whole = read(source(real.root, snapshot=[OLD, NEW], via="warc"), kept)
    assert len(whole) == len(real.stored[OLD]) + len(real.stored[NEW])
    assert pages == {id: whole[id] for id in pages}
    assert {page.url for page in pages.values()} == {one.page.url for one in wanted}
    server.plan(
        status(503, every=9, length=3),
        truncated(after=3000, every=5),
        broken_off(after=10_000, path="*.warc.gz", every=11),
    )
    assert read(source(server.url, **given), kept) == pages


def test_an_audit_of_all_finds_what_the_index_misses(real: Mimic, source: Made, kept: KeptInStore) -> None:
    crawl = source(real.root, audit=1_000)
    (audit,) = crawl.companions()
    assert isinstance(audit, CommonCrawl)
    population = audit.expected(kept)[OLD]["passed_over"]
    sample = read(audit, kept)
    assert len(sample) == 1_000 < population
    truth = {one.page.url for one in real.stored[OLD] if one.page.korean}
    found = sum(page.url in truth for page in sample.values())
    selected = sum(page.url in truth for page in read(crawl, kept).values())
    recall = estimate(population, len(sample), found, selected)
    assert found > 3 and recall.recall_low is not None and recall.recall_high is not None
    assert recall.recall_low <= selected / len(truth) <= recall.recall_high
