"""Every block of README and docs does what it says: in order, as it is written, in a folder laid out like a checkout.

What cannot be as it is written stands in `STANDS_IN` with what takes its place and why; a stand-in that nothing needs any
more is a failure, and so is a kind of block that nothing here runs.
"""

from __future__ import annotations

import configparser
import gzip
import html
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import yaml

from winnow.pipelines.sample.generate import TRUTH, generate

from ..needs import needs
from ..stages.commoncrawl.mimic import Saved, build, written_pages
from ..stages.commoncrawl.server import CrawlServer
from .cluster.head import start_head
from .documents_shown import ROOT, Block, Shell, blocks, environment, lay_out

needs("s3fs", "torch")

SNAPSHOT = "CC-MAIN-2026-43"
KUBECTL = """#!{python}
import sys, yaml
kinds = [made["kind"] for made in yaml.safe_load_all(sys.stdin)]
assert sys.argv[1:] == ["apply", "-f", "-"] and kinds, (sys.argv, kinds)
print("would apply", *kinds)
"""
STANDS_IN = {
    "ray-head:6379": "the head of a cluster on this machine",
    "http://head:8265": "its jobs server",
    "s3://bucket/": "a bucket on an S3 server on this machine",
    f"snapshot: {SNAPSHOT}": "a server on this machine in place of Common Crawl's",
    "winnow logs JOB": "the id of the job that the line before submitted",
    "make test": "a dry run: these tests are what it runs",
    "train.steps=20": "2 steps: 20 take a minute of both cores",
}


@pytest.fixture
def shell(s3: None, tmp_path: Path) -> Iterator[Shell]:
    """A checkout, a crawl of its user's, and the world outside in small."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    lay_out(folder, Path(sys.prefix))
    crawl = members(generate(tmp_path / "sample"), 300)
    (folder / "crawl").mkdir()
    (folder / "crawl" / "mine.warc.gz").write_bytes(crawl)
    store = fsspec.filesystem("s3")
    store.mkdir("bucket")
    store.pipe("bucket/crawl/mine.warc.gz", crawl)
    (folder / "bin").mkdir()
    (folder / "bin" / "kubectl").write_text(KUBECTL.format(python=sys.executable), "utf-8")
    (folder / "bin" / "kubectl").chmod(0o755)
    build(tmp_path / "mimic", {SNAPSHOT: [*written_pages(korean=0), *good_pages(tmp_path / "sample")]}, files=2)
    head = start_head()
    try:
        with CrawlServer(tmp_path / "mimic") as served:
            standing_in = {
                "ray-head:6379": head.gcs,
                "http://head:8265": head.address,
                "s3://bucket/": "s3://bucket/",
                f"snapshot: {SNAPSHOT}": f"snapshot: {SNAPSHOT}, endpoint: {served.url}",
                "make test": "make --dry-run test",
                "train.steps=20": "train.steps=2",
            }
            yield Shell(folder, environment(folder), head.gcs, standing_in)
    finally:
        head.stop()


def good_pages(sample: Path) -> list[Saved]:
    """The Korean originals of the bundled sample, as a crawl would have them."""
    rows = [json.loads(line) for line in (sample / TRUTH).read_text("utf-8").splitlines()]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8"
    pages = []
    for row in rows:
        if row["category"] == "original" and row["language"] == "ko":
            text = "".join(f"<p>{html.escape(line)}</p>\n" for line in row["gold"].splitlines())
            body = f"<!doctype html><html><head><title>{row['title']}</title></head><body><article>{text}</article></body></html>"
            pages.append(Saved(row["url"], head, body.encode(), "kor", korean=True))
    assert len(pages) > 50
    return pages


def members(archive: Path, count: int) -> bytes:
    """The first members of a gzip file, which are records of a WARC."""
    data = archive.read_bytes()
    starts = [found.start() for found in re.finditer(rb"\x1f\x8b\x08\x00\x00\x00\x00\x00", data)]
    cut = data[: starts[count]]
    assert gzip.decompress(cut).count(b"WARC/1.1\r\n") == count
    return cut


WRITTEN = ("kinds.md", "selection-quality.md", "selection-quality-trained.md")
OTHERS = {ROOT / "docs" / name for name in ("classifiers.md", "extending.md", "kenlm.md", "prove.md", *WRITTEN)}
"""Pages with tests of their own: `test_fit_classifier.py` has the first, `tests/test_extending.py` the second, `test_fit_kenlm.py`
the third, `test_prove.py` the fourth; the others are written by code."""


def test_every_block_does_what_it_says(shell: Shell) -> None:
    pages = [ROOT / "README.md", *sorted(set((ROOT / "docs").rglob("*.md")) - OTHERS)]
    shown = [block for page in pages for block in blocks(page)]
    assert {block.page for block in shown} == set(pages)
    declared = set()
    for block in shown:
        where = f"{block.page.name}, line {block.line}"
        if block.kind == "sh":
            run_lines(shell, block, where)
        elif block.kind == "yaml":
            declared.add(declare(shell, block, where))
        elif block.kind == "python":
            check = "\nframe = run.documents().collect()\nprint(frame.height, *frame.columns)\n"
            said = shell.run(f"python -c {shlex.quote(block.text + check)}", where)
            assert int(said.split()[0]) > 100 and {"text", "quality.score", "selection.stage"} <= set(said.split())
        elif block.kind in ("ini", "cron"):
            check_unit(block, shown, where)
        else:
            assert block.kind == "text", f"{where}: nothing runs blocks of kind {block.kind!r}"
    lines = "\n".join(shell.said)
    assert [name for name in declared if name not in lines] == [], "declarations that no command uses"
    assert set(STANDS_IN) == shell.replaced


def run_lines(shell: Shell, block: Block, where: str) -> None:
    for line in block.commands():
        if line.startswith("pip install "):
            check_extras(line, where)
            continue
        if line.startswith("winnow logs JOB"):
            submitted = [said for ran, said in shell.said.items() if ran.startswith("winnow submit")][-1]
            (job,) = set(re.findall(r"\bwinnow-[\w.-]+", submitted))
            shell.standing_in = {**shell.standing_in, "winnow logs JOB": f"winnow logs {job}"}
        said = shell.run(line, where)
        assert said.strip() and "no record" not in said, f"{where}: {line}: {said}"


def check_extras(line: str, where: str) -> None:
    """Nothing is installed by a test: what would be must be declared."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    (named,) = re.findall(r"^pip install 'winnow\[([\w,]+)\]'$", line)
    assert set(named.split(",")) <= set(extras), f"{where}: {line}"


def declare(shell: Shell, block: Block, where: str) -> str:
    """Writes a declaration where its first line says, or compares it with the one that is there."""
    name = re.match(r"# (\S+\.yaml)\n", block.text)
    assert name is not None, f"{where}: a declaration begins with a comment that says in which file it is"
    path = shell.folder / name[1]
    if path.exists():
        assert yaml.safe_load(block.text) == yaml.safe_load(path.read_text("utf-8")), where
    else:
        path.write_text(shell.real(block.text), "utf-8")
    return name[1]


def check_unit(block: Block, shown: list[Block], where: str) -> None:
    """What systemd or cron starts must be a command that a shell block has shown, and so was carried out."""
    if block.kind == "ini":
        configparser.ConfigParser(strict=True).read_string(block.text)
    commands = {line for other in shown if other.kind == "sh" for line in other.commands()}
    for found in re.findall(r"\.venv/bin/(winnow .*?)(?: >> .*)?$", block.text, re.MULTILINE):
        assert found in commands, f"{where}: {found}"
