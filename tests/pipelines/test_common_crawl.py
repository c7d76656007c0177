"""A whole run over a snapshot of Common Crawl's layout, from a real server, with and without faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import winnow
from winnow.pipelines.cli import app
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.results.publish.publish import publish

from ..stages.commoncrawl.mimic import Mimic, build, korean, real_pages, written_pages
from ..stages.commoncrawl.server import CrawlServer, broken_off, status, truncated

SNAPSHOT = "CC-MAIN-2026-43"
FETCH = "{backoff: 0.02, timeout: 5, attempts: 12, connections: 4}"
FAULTS = (status(503, every=9, length=3), truncated(after=2000, every=7), broken_off(every=13))


def recipe(folder: Path, server: CrawlServer, settings: str = "") -> Path:
    """The shipped Korean recipe over the snapshot."""
    path = folder / "cc.yaml"
    path.write_text(
        f"""extends: ko.yaml
name: cc
sources:
  crawl: null
  cc: {{use: commoncrawl, snapshot: {SNAPSHOT}, endpoint: "{server.url}", fetch: {FETCH}, gap: 16KiB, {settings}}}
stages:
  mixture: null
  rules: {{keep: "word_count >= 5"}}
  quality: null
""",
        "utf-8",
    )
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Mimic:
    return build(tmp_path_factory.mktemp("crawl"), {SNAPSHOT: written_pages()}, files=3, parts=2, row_group=10)


@pytest.fixture
def server(made: Mimic) -> Iterator[CrawlServer]:
    with CrawlServer(made.root) as server:
        yield server


def test_the_plan_says_what_will_be_fetched_before_any_of_it_is(
    made: Mimic, server: CrawlServer, tmp_path: Path
) -> None:
    path = recipe(tmp_path, server)
    done = CliRunner().invoke(app, ["plan", str(path), "--folder", str(tmp_path / "run")], env={"COLUMNS": "140"})
    assert done.exit_code == 0, done.output
    assert not server.count("*.warc.gz")
    wanted = list(korean(made.stored[SNAPSHOT]))
    assert SNAPSHOT in done.output and f"{len(wanted):,}" in done.output
    read = server.count("*.parquet")
    run = winnow.run(path, folder=tmp_path / "run", local=True, progress=Progress(quiet=True))
    assert server.count("*.parquet") == read, "the run takes what the plan found"
    assert run.accounting["stages"]["cc"]["in"] == len(wanted)


def test_every_page_is_accounted_for_and_the_index_is_audited(made: Mimic, server: CrawlServer, tmp_path: Path) -> None:
    path = recipe(tmp_path, server, "audit: 1000")
    run = winnow.run(path, folder=tmp_path / "run", local=True, progress=Progress(quiet=True))
    stages = run.accounting["stages"]
    wanted = {one.page.url for one in korean(made.stored[SNAPSHOT])}
    assert stages["cc"] == {"in": len(wanted), "kept": len(wanted) - 1, "failed": 0, "dropped": {"cc.mime": 1}}
    found = run.accounting["by_source"]["cc_audit"]["stages"]
    (figures,) = run.accounting["reports"]["cc"]["groups"].values()
    missed = [one.page for one in made.stored[SNAPSHOT] if one.page.korean and one.page.url not in wanted]
    assert found["language"]["kept"] == len(missed) > 0
    assert figures["audited"] == found["cc_audit"]["in"]
    assert figures["found"] == len(missed)
    assert 0 < figures["recall"] < 1
    publish(run, str(tmp_path / "published"), console=Console(quiet=True))
    card = (tmp_path / "published" / "README.md").read_text("utf-8")
    assert f"| cc | commoncrawl | `{SNAPSHOT}` |" in card and f"| cc_audit | commoncrawl | `{SNAPSHOT}` |" in card
    sources = run.documents(kept_only=False).select("source", "url").collect()
    assert {page.url for page in missed} <= set(sources.filter(source="cc_audit").get_column("url"))


def test_another_gap_fetches_nothing_again(server: CrawlServer, tmp_path: Path) -> None:
    path = recipe(tmp_path, server, "unit_bytes: 4000, audit: 20")
    first = winnow.run(path, folder=tmp_path / "run", local=True, progress=Progress(quiet=True))
    server.forget()
    again = winnow.run(path, ["sources.cc.gap=0"], folder=tmp_path / "run", local=True, progress=Progress(quiet=True))
    assert not server.log and again.accounting["digest"] == first.accounting["digest"]


def test_without_a_stage_that_tells_languages_nothing_is_audited(server: CrawlServer, tmp_path: Path) -> None:
    path = recipe(tmp_path, server, "audit: 1000")
    without = ["stages.language=null", "stages.screen=null"]
    run = winnow.run(path, without, folder=tmp_path / "run", local=True, progress=Progress(quiet=True))
    assert set(run.documents(kept_only=False).select("source").collect().get_column("source")) == {"cc"}


def test_faults_change_nothing(server: CrawlServer, tmp_path: Path, ray_session: None) -> None:
    """On Ray, with a server that breaks off, cuts short and pushes back, against an undisturbed run in one process."""
    path = recipe(tmp_path, server)
    quiet = winnow.run(path, folder=tmp_path / "quiet", local=True, progress=Progress(quiet=True))
    server.forget()
    server.plan(*FAULTS)
    rough = winnow.run(path, folder=tmp_path / "rough", progress=Progress(quiet=True))
    assert server.count(code=503) > 0
    assert rough.accounting["digest"] == quiet.accounting["digest"]
    assert rough.accounting["failed"] == 0


def test_an_archive_that_is_gone_fails_its_rows_and_no_others(server: CrawlServer, made: Mimic, tmp_path: Path) -> None:
    path = recipe(tmp_path, server, "audit: 0")
    gone = next(korean(made.stored[SNAPSHOT])).warc
    rows = [one for one in korean(made.stored[SNAPSHOT]) if one.warc == gone]
    server.plan(status(404, path=gone))
    with pytest.raises(RunError, match="records failed, more than max_failures"):
        winnow.run(path, folder=tmp_path / "run", local=True, progress=Progress(quiet=True))
    run = winnow.run(path, ["max_failures=0.9"], folder=tmp_path / "run", local=True, progress=Progress(quiet=True))
    assert run.accounting["stages"]["cc"]["failed"] == len(rows)
    assert run.accounting["stages"]["cc"]["in"] == len(list(korean(made.stored[SNAPSHOT])))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Mimic:
    pages = real_pages(data / "crawl")
    return build(tmp_path_factory.mktemp("real"), {SNAPSHOT: pages}, files=4, level=1)


def test_the_real_korean_pages_come_through_faults(real: Mimic, tmp_path: Path, ray_session: None) -> None:
    """Of the mixed crawl: every record that the index calls Korean is a row, whatever the server does."""
    with CrawlServer(real.root) as server:
        server.plan(*FAULTS)
        run = winnow.run(recipe(tmp_path, server), folder=tmp_path / "run", progress=Progress(quiet=True))
    wanted = list(korean(real.stored[SNAPSHOT]))
    assert run.accounting["stages"]["cc"]["in"] == len(wanted)
    assert run.accounting["failed"] == 0
    (figures,) = run.accounting["reports"]["cc"]["groups"].values()
    print(figures)
    assert figures["recall"] is not None
