"""A finished run over inputs of every fate, and what is needed to look at a publication of it."""

from __future__ import annotations

import hashlib
import io
import json
import random
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import winnow
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.results.table import Run, open_run

TEXT = "마을 도서관 에서는 어린이 들과 함께 새로운 책을 읽고 이야기를 나누는 시간을 가졌다 시장 골목에는 오래된 가게가 많고 작은 다리와 공원이 나온다"
WORDS = TEXT.split()

DECLARATION = """name: small
language: ko
max_failures: 20
sources:
  docs: {{use: jsonl, id: id, url: url, paths: ["{folder}/in/*.jsonl"]}}
  crawl: {{use: warc, paths: ["{folder}/in/*.warc"]}}
stages:
  screen: {{use: prescreen}}
  extract: {{use: extract}}
  language: {{use: langid}}
  rules: {{use: rules, packs: [gopher], keep: {{too_short: "word_count >= 20"}}}}
  dedup: {{use: minhash, over: language, keep: representative}}
  quality: {{use: fasttext, model: ko-quality, keep: true}}
  mixture: {{use: mixture, by: language.label, max_epochs: 2, budget_tokens: 10000}}
  shards: {{use: tokenize, tokenizer: ko-bpe}}
"""


def prose(seed: int, words: int = 60) -> str:
    dice = random.Random(seed)
    return " ".join(dice.choice(WORDS) + ("." if n % 9 == 8 else "") for n in range(words))


def page(url: str, status: str, mime: str, body: str) -> bytes:
    """A WARC response record."""
    content = body.encode()
    http = f"HTTP/1.1 {status}\r\nContent-Type: {mime}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-01-02T03:04:05Z\r\n"
        f"WARC-Record-ID: <urn:uuid:{hashlib.md5(url.encode()).hexdigest()}>\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    return head.encode() + http + b"\r\n\r\n"


def write_inputs(folder: Path) -> None:
    """Two JSONL files with duplicates, short texts and a line that is no JSON; a crawl with pages of every fate."""
    folder.mkdir(parents=True)
    for number in range(2):
        lines = []
        for row in range(40):
            text = prose(row % 30 + 100 * number, 60 if row % 4 else 8)
            lines.append(
                json.dumps({"id": f"{number}-{row}", "url": f"https://example.org/{number}/{row}", "text": text})
            )
        lines.insert(3, "{not json")
        (folder / f"docs-{number}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    html = "<html><head><title>소식</title></head><body><article>{}</article></body></html>"
    paragraphs = ["".join(f"<p>{prose(1000 + 7 * n + k)}</p>" for k in range(3)) for n in range(12)]
    pages = [page(f"https://news.example/{n}", "200 OK", "text/html", html.format(p)) for n, p in enumerate(paragraphs)]
    pages += [page(f"https://news.example/gone/{n}", "404 Not Found", "text/html", "없음") for n in range(3)]
    pages += [page("https://news.example/file.pdf", "200 OK", "application/pdf", "%PDF")]
    pages += [page("https://news.example/en", "200 OK", "text/html", html.format("only English here " * 20))]
    (folder / "crawl.warc").write_bytes(b"".join(pages))


def finished_run(folder: Path) -> Run:
    """A finished run with several partitions: documents kept, repeated, dropped and failed, and dropped records."""
    write_inputs(folder / "in")
    text = DECLARATION.format(folder=folder)
    (folder / "small.yaml").write_text(text, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("winnow.pipelines.engine.inputs.PACK_FILES", 1)
        winnow.run(folder / "small.yaml", folder=folder / "run", local=True, progress=Progress(quiet=True))
    run = open_run(folder / "run")
    assert len(run.plan.partitions) > 2 and run.accounting["failed"] == 2
    assert 0 < run.accounting["kept"] < run.accounting["copies"]
    return run


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def read(folder: Path, prefix: str) -> pl.DataFrame:
    return pl.concat(pl.DataFrame(pq.read_table(path)) for path in sorted(folder.glob(f"{prefix}-*.parquet")))


def expected(run: Run) -> pl.DataFrame:
    reason = [f"selection.{name}" for name in ("status", "stage", "clause", "value", "threshold", "shard", "offset")]
    return run.documents().drop(reason).collect()


def tree(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
