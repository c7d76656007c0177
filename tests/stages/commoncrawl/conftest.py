"""Snapshots to read, and somewhere to keep what a source learns of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from winnow.filters.languages import language_pack
from winnow.pipelines.engine.inputs import KeptInStore
from winnow.pipelines.engine.store import Store
from winnow.stages.commoncrawl.fetcher import Politeness
from winnow.stages.sources.commoncrawl import KIND, CommonCrawl, Settings

from .mimic import Mimic, build, real_pages, recrawled, written_pages
from .server import CrawlServer

NEW, OLD = "CC-MAIN-2026-43", "CC-MAIN-2026-38"
QUICK = Politeness(connections=4, backoff=0.02, timeout=60, attempts=12)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Mimic:
    """Two snapshots of pages written here; 3 WARC files each, index parts of row groups of ten."""
    pages = written_pages()
    root = tmp_path_factory.mktemp("small")
    return build(root, {OLD: pages, NEW: recrawled(pages)}, files=3, parts=3, row_group=10)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Mimic:
    """Two snapshots of the mixed crawl."""
    pages = real_pages(data / "crawl")
    root = tmp_path_factory.mktemp("real")
    return build(root, {OLD: pages, NEW: recrawled(pages)}, files=4, level=1)


@pytest.fixture
def kept(tmp_path: Path) -> KeptInStore:
    """An empty run."""
    return KeptInStore(Store(str(tmp_path / "run")))


@pytest.fixture
def source() -> Callable[..., CommonCrawl]:
    """A source of an endpoint, for Korean."""

    def make(endpoint: Path | str, **given: Any) -> CommonCrawl:
        settings = Settings.model_validate({"snapshot": OLD, "endpoint": str(endpoint), "fetch": QUICK, **given})
        return KIND("crawl", settings, language_pack("ko"))

    return make


@pytest.fixture
def serving() -> Iterator[Callable[[Mimic], CrawlServer]]:
    """Starts servers, and stops them in the end."""
    servers: list[CrawlServer] = []

    def start(mimic: Mimic) -> CrawlServer:
        servers.append(CrawlServer(mimic.root))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
