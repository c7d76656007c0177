"""Real crawls through the machine: what reaches the Korean corpus, damaged archives, pages that break the extractor."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import winnow
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.results.table import open_run

from .in_process import command

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def curated(folder: Path, warc: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = ["run", ROOT / "pipelines" / "ko.yaml", "--folder", folder]
    return command(*words, "--set", f'sources.crawl.paths=["{warc}"]', *more)


def hangul(text: str | None) -> int:
    return len(re.findall("[가-힣]", text or ""))


def test_the_real_korean_pages_pass_language_id_and_no_english_one_does(
    crawl_run: Path, crawl_truth: list[dict[str, Any]]
) -> None:
    """What README states of this crawl: how many pages are Korean, pass the language stage as Hangul, and are kept."""
    columns = ("url", "text", "language.label", "selection.stage")
    documents = open_run(crawl_run).documents(kept_only=False).select(*columns).collect()
    korean = {
        row["url"]: row["text"]
        for row in documents.iter_rows(named=True)
        if row["language.label"] == "ko" and row["selection.stage"] != "language"
    }
    expected = [
        t["uri"]
        for t in crawl_truth
        if t.get("lang") == "ko" and (t.get("gold_text") is None or hangul(t["gold_text"]) > 0)
    ]
    passed = [uri for uri in expected if hangul(korean.get(uri)) >= 20]
    kept = set(documents.filter(pl.col("selection.stage").is_null()).get_column("url")) & set(expected)
    print(f"{len(passed)} of {len(expected)} Korean pages pass the language stage, {len(kept)} are kept")
    print(crawl_run.with_suffix(".log").read_text("utf-8"))
    assert len(passed) >= 0.97 * len(expected)
    assert not [t["uri"] for t in crawl_truth if t.get("lang") == "en" and t["uri"] in korean]
    assert not [uri for uri in passed if korean[uri].count("\ufffd") > 0.01 * len(korean[uri])]
    stated = re.search(r"\| real crawl of .*? \| (\d+) of (\d+) .*? (\d+) are kept", README)
    assert stated is not None
    figures = [int(number) for number in stated.groups()]
    assert figures == pytest.approx([len(passed), len(expected), len(kept)], rel=0.1)


@pytest.mark.parametrize(("copy", "least"), [("corrupt-middle", 580), ("truncated", 335), ("single-member", 585)])
def test_a_damaged_archive_is_read_as_far_as_it_goes(tmp_path: Path, data: Path, copy: str, least: int) -> None:
    warc = data / "warc-ko-built" / f"ko-built.{copy}.warc.gz"
    done = curated(tmp_path / "run", warc, "--local", "--set", "stages.extract.engine=resiliparse")
    assert done.returncode == 0, done.stderr
    accounting = open_run(tmp_path / "run").accounting
    for name, account in accounting["stages"].items():
        assert account["in"] == account["kept"] + account["failed"] + sum(account["dropped"].values()), name
    assert accounting["stages"]["crawl"]["in"] >= least
    warned = re.search(rf"warning: .*ko-built\.{copy}\.warc\.gz: damaged at byte [\d,]+: ", done.stdout)
    assert bool(warned) == (copy != "single-member"), done.stdout
    again = curated(tmp_path / "run", warc, "--local", "--set", "stages.extract.engine=resiliparse", "--strict")
    assert again.returncode == (copy != "single-member"), again.stderr
    if copy != "single-member":
        assert "--strict" in again.stderr and f"{copy}.warc.gz at byte" in again.stderr
        assert len(again.stderr.strip().splitlines()[-1]) < 400


def record(url: str, body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    lines = ["WARC/1.0", "WARC-Type: response", f"WARC-Target-URI: {url}", "WARC-Date: 2026-01-01T00:00:00Z"]
    lines += [f"WARC-Record-ID: <urn:x:{url}>", "Content-Type: application/http; msgtype=response"]
    lines += [f"Content-Length: {len(head) + len(body)}", "", ""]
    return gzip.compress("\r\n".join(lines).encode() + head + body + b"\r\n\r\n", mtime=0)


def test_a_page_that_takes_too_long_is_one_failed_row(tmp_path: Path) -> None:
    sentence = "<p>오늘 마을 도서관에서는 어린이들과 함께 새로운 책을 읽고 이야기를 나누는 시간을 가졌다.</p>"
    pages = [
        record(f"https://x.example/{n}", f"<html><body><article>{sentence * 8}{n}</article></body></html>".encode())
        for n in range(30)
    ]
    monster = "<html><body>" + "<div>가나다 " * 200_000 + sentence + "</body></html>"
    pages.insert(15, record("https://x.example/monster", monster.encode()))
    (tmp_path / "x.warc.gz").write_bytes(b"".join(pages))
    sets = [
        f'sources.crawl.paths=["{tmp_path}/x.warc.gz"]',
        "stages.extract.engine=resiliparse",
        "stages.extract.page_seconds=5",
        "stages.rules.keep=true",
        "stages.dedup=null",
    ]
    run = winnow.run(
        ROOT / "pipelines" / "web.yaml",
        [*sets, "language=ko"],
        folder=tmp_path / "run",
        local=True,
        progress=Progress(quiet=True),
    )
    extract = run.accounting["stages"]["extract"]
    assert (extract["in"], extract["failed"]) == (31, 1)
    records = pl.DataFrame(run.plan.store.read(run.plan.records(run.plan.partitions[0])))
    (failed,) = records.filter(pl.col("status") == 3).iter_rows(named=True)
    assert failed["url"] == "https://x.example/monster"
    assert failed["stage"] == "extract" and failed["value"]
    assert run.accounting["kept"] == 30


def test_pages_of_every_kind_reconcile_in_one_file_split_in_many(tmp_path: Path) -> None:
    """Three megabytes of members in one file: several partitions, each record once."""
    filler = os.urandom(30_000).hex()
    pages = [
        record(
            f"https://x.example/{n}", f"<html><body><p>{'가나다 ' * 60}{n}</p><!-- {filler} --></body></html>".encode()
        )
        for n in range(100)
    ]
    (tmp_path / "x.warc.gz").write_bytes(b"".join(pages))
    sets = [
        f'sources.crawl.paths=["{tmp_path}/x.warc.gz"]',
        "stages.rules.keep=true",
        "stages.dedup=null",
        "language=ko",
    ]
    run = winnow.run(
        ROOT / "pipelines" / "web.yaml", sets, folder=tmp_path / "run", local=True, progress=Progress(quiet=True)
    )
    assert len(run.plan.partitions) >= 3
    assert run.accounting["stages"]["crawl"]["in"] == 100
    assert run.documents(kept_only=False).select(pl.col("url").n_unique()).collect().item() == 100
