"""Inputs that change while a run reads them: it stops with one sentence that names the file, and the next run is right."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.inputs import partitions
from winnow.pipelines.engine.store import Store
from winnow.pipelines.results.table import open_run
from winnow.stages.base import StageError
from winnow.stages.source import Segment
from winnow.stages.sources.jsonl import KIND as JSONL

Prose = Callable[..., str]


def lines(first: int, rows: int, prose: Prose) -> bytes:
    """JSON lines of invented prose, ids counted from `first`."""
    rows_ = ({"id": f"d{n}", "text": prose(n)} for n in range(first, first + rows))
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows_)


def declared(folder: Path, paths: str, use: str = "jsonl") -> Path:
    path = folder / "changing.yaml"
    path.write_text(
        f"name: changing\nlanguage: ko\nsources:\n  docs: {{use: {use}, id: id, paths: ['{paths}']}}\n"
        "stages:\n  language: {use: langid, keep: 'score >= 0'}\n",
        "utf-8",
    )
    return path


def ids(run: Path) -> list[str]:
    return list(open_run(run).documents().select("id").collect().get_column("id"))


@pytest.mark.parametrize("change", ["replaced", "growing", "deleted"])
def test_a_file_that_changes_in_the_middle_of_a_run_stops_it(
    tmp_path: Path, korean: Prose, command: Any, change: str
) -> None:
    """The run is held while it has read some of its thirty files, and the last of them changes."""
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(30):
        (folder / f"{n:02}.jsonl").write_bytes(lines(1_000 * n, 200, korean))
    declaration, run, last = declared(tmp_path, f"{folder}/*.jsonl"), tmp_path / "run", folder / "29.jsonl"
    code = (
        "import winnow.pipelines.engine.inputs as i, winnow.pipelines.cli as c, sys; i.PACK_FILES = 1;"
        f"sys.argv = ['winnow', 'run', {str(declaration)!r}, '--local', '--folder', {str(run)!r}]; c.main()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        ends = time.monotonic() + 300
        while not list(run.glob("records/*/*.json")) and child.poll() is None and time.monotonic() < ends:
            time.sleep(0.002)
        os.kill(child.pid, signal.SIGSTOP)
        assert 0 < len(list(run.glob("records/*/*.json"))) < 30, "it was to be held in the middle"
        content = last.read_bytes()
        if change == "replaced":
            other = tmp_path / "other"
            other.write_bytes(b"".join(reversed(content.splitlines(keepends=True))))
            other.replace(last)
        elif change == "growing":
            with last.open("ab") as file:
                file.write(lines(90_000, 5, korean))
        else:
            last.unlink()
        os.kill(child.pid, signal.SIGCONT)
        said = "".join(child.communicate(timeout=300))
    finally:
        if child.poll() is None:
            os.kill(child.pid, signal.SIGCONT)
            child.kill()
    assert child.returncode == 1 and "Traceback" not in said
    assert f"{last}: changed" in said or f"{last}: it is not there" in said, said
    assert len(list(run.glob("records/*/*.json"))) == 29, "nothing of the changed file"
    assert not (run / "run.json").exists()
    code_, said = command("run", declaration, "--local", "--folder", run)
    assert code_ == 0, said
    assert len(ids(run)) == 200 * 29 + {"replaced": 200, "growing": 205, "deleted": 0}[change]


class Serving(BaseHTTPRequestHandler):
    """One file with ranges, and a tag that changes with it. `after`: the requests after which `then` is served."""

    protocol_version = "HTTP/1.1"
    content, then, after, seen, tags = b"", b"", 10**9, 0, True

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        kind = type(self)
        kind.seen += 1
        if kind.seen > kind.after:
            kind.content = kind.then
        self._answer(True)

    def _answer(self, body: bool) -> None:
        content = type(self).content
        asked = self.headers.get("Range")
        first, last = 0, len(content) - 1
        if asked:
            start, _, end = asked.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(end) if end else last, last)
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        if type(self).tags:
            self.send_header("ETag", f'"{hash(content)}"')
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if body:
            self.wfile.write(content[first : last + 1])

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[tuple[type[Serving], str]]:
    """A handler of its own to set, and the URL of its file."""
    handler = type("Own", (Serving,), {})
    serving = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    serving.handle_error = lambda *_: None  # type: ignore[method-assign]  # a reader hangs up when it has seen the change
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{serving.server_port}/docs.jsonl"
    serving.shutdown()
    serving.server_close()


@pytest.mark.parametrize("tags", [True, False])
def test_a_file_on_a_server_that_changes_stops_the_run(
    tmp_path: Path, korean: Prose, command: Any, server: tuple[Any, str], tags: bool
) -> None:
    handler, url = server
    content = lines(0, 5_000, korean)  # several partitions
    handler.content, handler.tags = content, tags
    handler.then = lines(20_000, 5_000, korean) + (b"" if tags else b"\n")  # without a tag, only its length tells
    handler.after = 2
    declaration, run = declared(tmp_path, url), tmp_path / "run"
    code, said = command("run", declaration, "--local", "--folder", run)
    assert code == 1 and f"error: {url}: changed" in said and "Traceback" not in said, said
    handler.after, handler.content = 10**9, handler.then
    code, said = command("run", declaration, "--local", "--folder", run)
    assert code == 0, said
    assert sorted(ids(run)) == sorted(set(ids(run))) and len(ids(run)) == 5_000


def test_an_object_that_changes_while_it_is_read(tmp_path: Path, korean: Prose, s3: None) -> None:
    pytest.importorskip("s3fs", reason="needs the s3 extra")
    fs = fsspec.filesystem("s3")
    fs.mkdir("changing")
    fs.pipe_file("changing/docs.jsonl", lines(0, 8_000, korean))
    pipeline = load_pipeline(declared(tmp_path, "s3://changing/docs.jsonl"))
    planned = list(partitions(pipeline, Store(str(tmp_path / "run"))))
    source = pipeline.sources["docs"]
    assert isinstance(source, JSONL) and len(planned) > 1
    reading = source.texts(planned[0].segments[0])
    next(reading)
    fs.pipe_file("changing/docs.jsonl", lines(1, 8_000, korean))
    with pytest.raises(StageError, match=r"s3://changing/docs\.jsonl: changed while the run was reading it"):
        list(reading)
    with pytest.raises(StageError, match=r"s3://changing/docs\.jsonl: changed since the run was planned"):
        list(source.texts(planned[1].segments[0]))
    fs.rm_file("changing/docs.jsonl")
    with pytest.raises(StageError, match=r"s3://changing/docs\.jsonl: it is not there"):
        list(source.texts(planned[1].segments[0]))


@pytest.mark.parametrize("change", ["cut", "written over", "deleted", "same size and time"])
@pytest.mark.parametrize("use", ["jsonl", "parquet"])
def test_a_file_that_changes_under_its_reader(tmp_path: Path, korean: Prose, use: str, change: str) -> None:
    path = tmp_path / f"docs.{use}"

    def write(first: int) -> None:
        if use == "jsonl":
            path.write_bytes(lines(first, 6_000, korean))
        else:
            rows = {"id": [f"d{n}" for n in range(6_000)], "text": [korean(first + n) for n in range(6_000)]}
            pq.write_table(pa.table(rows), path, row_group_size=2_000)

    write(0)
    pipeline = load_pipeline(declared(tmp_path, str(path), use))
    segment: Segment = next(iter(partitions(pipeline, Store(str(tmp_path / "run"))))).segments[0]
    reading = pipeline.sources["docs"].texts(segment)
    next(reading)
    before = path.stat()
    if change == "cut":
        os.truncate(path, before.st_size // 2)
    elif change == "written over":
        write(1)
    elif change == "deleted":
        path.unlink()
    else:
        path.rename(tmp_path / "aside")
        path.write_bytes((tmp_path / "aside").read_bytes())
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    said = "was deleted while" if change == "deleted" else r"changed while the run was reading it"
    with pytest.raises(StageError, match=rf"{path}: {said}"):
        list(reading)
