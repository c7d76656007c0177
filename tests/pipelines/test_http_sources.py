"""Sources on servers of the web that give no ranges, lie about lengths, answer with a page, refuse or break off: one sentence."""

from __future__ import annotations

import gzip
import io
import json
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .in_process import command

TEXTS = [f"Letter {n} of the box was opened in the evening. " + "It was read aloud. " * 200 for n in range(1800)]
SIGN_IN = b"<!doctype html>\n<html><title>Sign in</title><body><form>Your name</form></body></html>"


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": TEXTS}), file, compression="none", use_dictionary=False)
    return file.getvalue()


def archive() -> bytes:
    """Stored without compression, so that it is longer than what is read at a time."""
    records = b""
    for n, text in enumerate(TEXTS):
        block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>" + text.encode()
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://example.kr/{n}\r\nContent-Length: {len(block)}"
        )
        records += head.encode() + b"\r\n\r\n" + block + b"\r\n\r\n"
    return gzip.compress(records, 0)


class Odd(BaseHTTPRequestHandler):
    """Answers /KIND/FILE: KIND says in which way it is odd, or is the status of its error."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]

    def do_HEAD(self) -> None:
        self.answer(None)

    def do_GET(self) -> None:
        self.answer(self.headers.get("Range") or "")

    def answer(self, ranges: str | None) -> None:
        """`ranges`: the bytes asked for, None where only the head is wanted."""
        kind, _, name = self.path.lstrip("/").partition("/")
        data, whole = self.files.get(name, SIGN_IN), kind == "no-ranges"
        if kind.isdigit() or (kind.startswith("then-") and ranges is not None):
            self.send_error(int(kind.removeprefix("then-")))
            return
        if kind == "moved":
            self.send_response(302)
            self.send_header("Location", "/as-it-is/sign-in")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start, end = 0, len(data)
        if ranges and not whole:
            first, _, last = ranges.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1, end)
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if ranges and not whole else 200)
        size = end - start
        size = {"cut-short": size + 1000, "too-little": size // 2, "too-much": size * 2}.get(kind, size)
        self.send_header("Content-Length", str(end - start if ranges and kind != "cut-short" else size))
        if not whole:
            self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if ranges is None:
            return
        if kind == "reset":
            self.wfile.write(data[start : (start + end) // 2])
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.wfile.write(data[start:end])
        self.close_connection = kind in ("reset", "cut-short")

    def log_message(self, *_: Any) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client may leave half-way."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()
    served = type("Served", (Odd,), {"files": {"a.jsonl": lines, "a.parquet": parquet(), "a.warc.gz": archive()}})
    running = Quiet(("127.0.0.1", 0), served)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()


FORMATS = {"a.jsonl": "jsonl", "a.parquet": "parquet", "a.warc.gz": "warc"}
STAGES = {"warc": "extract: {use: extract}, "}


def declaration(url: str) -> str:
    kind = FORMATS[url.rpartition("/")[2]]
    sources, stages = f"{{docs: {{use: {kind}, paths: ['{url}']}}}}", STAGES.get(kind, "") + "language: {use: langid}"
    return f"name: a\nlanguage: en\nsources: {sources}\nstages: {{{stages}}}\n"


RANGES = "its server gives no ranges of bytes; copy it to this machine and name the copy"
GIVES_UP = "cannot be read any more: Response payload is not completed"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        *((f"http://SERVER/no-ranges/{name}", RANGES) for name in FORMATS),
        *((f"http://SERVER/too-little/{name}", "bytes, and gives more; copy it to this machine") for name in FORMATS),
        ("http://SERVER/too-much/a.jsonl", "bytes that it is said to have; run again"),
        ("http://SERVER/too-much/a.warc.gz", "bytes that it is said to have; run again"),
        ("http://SERVER/too-much/a.parquet", "is not a readable Parquet file: "),
        ("http://SERVER/cut-short/a.jsonl", GIVES_UP),
        ("http://SERVER/cut-short/a.warc.gz", GIVES_UP),
        ("http://SERVER/reset/a.parquet", GIVES_UP),
        ("http://SERVER/reset/a.warc.gz", "Connection reset by peer"),
        ("http://SERVER/moved/a.jsonl", "expected JSON Lines; is it the error page of a download?"),
        ("http://SERVER/moved/a.parquet", "expected Parquet; is it the error page of a download?"),
        ("http://SERVER/moved/a.warc.gz", "expected WARC or ARC; is it the error page of a download?"),
        *((f"http://SERVER/{status}/a.warc.gz", f": {status}, message=") for status in (403, 404, 500)),
        *((f"http://SERVER/then-{status}/a.jsonl", f": {status}, message=") for status in (403, 500)),
        ("https://SERVER/as-it-is/a.jsonl", "Cannot connect to host"),
    ],
)
def test_an_odd_server_is_one_sentence(tmp_path: Path, server: str, url: str, said: str) -> None:
    url = url.replace("SERVER", server)
    (tmp_path / "a.yaml").write_text(declaration(url))
    done = command("run", "a.yaml", "--local", "--folder", "run", cwd=tmp_path)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1 and len(errors) == 1 and "Traceback" not in done.stderr, done.stderr[-3000:]
    assert said in errors[0] and url in errors[0], errors[0]


def test_a_file_of_the_web_is_not_downloaded_to_plan_a_run(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    write = Odd.answer

    def counted(self: Odd, ranges: str | None) -> None:
        if ranges == "":
            sent.append(len(self.files["a.jsonl"]))
        write(self, ranges)

    monkeypatch.setattr(Odd, "answer", counted)
    (tmp_path / "a.yaml").write_text(declaration(f"http://{server}/as-it-is/a.jsonl"))
    done = command("plan", "a.yaml", "--folder", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(sent) <= 1, "one look whether it is there; its bytes are left on the way"
