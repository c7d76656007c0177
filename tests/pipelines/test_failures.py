"""Disks that are full, folders that are closed, servers that do not answer, runs that are stopped: one sentence each."""

from __future__ import annotations

import errno
import json
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from winnow.pipelines.engine.errors import RunError, in_folder
from winnow.pipelines.process import guarded

from .in_process import command

COMMAND = [sys.executable, "-m", "winnow.pipelines.cli"]
SECRETS = ("s3cr3tpw", "t0k3nsig", "alice")


def winnow(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return command(*words, cwd=cwd)


def in_its_process(cwd: Path, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, cwd=cwd, timeout=600, **options)


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1 and len(lines) == 1 and "Traceback" not in done.stderr, done.stderr[-3000:]
    return lines[0]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A declaration over 200 rows."""
    rows = [json.dumps({"text": f"A text of some words, number {n}, that a run can read.", "n": n}) for n in range(200)]
    (tmp_path / "a.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    (tmp_path / "a.yaml").write_text(
        "name: a\nlanguage: en\nsources: {docs: {use: jsonl, paths: [a.jsonl]}}\n"
        "stages: {rules: {use: rules, packs: [gopher], keep: 'word_count >= 2'}}\n",
        "utf-8",
    )
    return tmp_path


def test_a_guard_says_what_the_rows_that_failed_know(small: Path) -> None:
    said = one_sentence(winnow(small, "run", "a.yaml", "--local", "--set", "sources.docs.text=body"))
    assert "keeps 0 of 200 rows" in said and "failed 200: " in said and "'body'" in said and "(200" in said


def test_folders_that_cannot_be_written_are_named_with_what_to_do(small: Path) -> None:
    (small / "file").write_text("")
    for folder in ("file/run", "/proc/run"):
        said = one_sentence(winnow(small, "run", "a.yaml", "--local", "--folder", folder))
        assert folder in said and "choose another folder (--folder)" in said


def test_a_folder_whose_parent_is_closed_is_named_with_what_to_do() -> None:
    closed = PermissionError(errno.EACCES, "Permission denied", "/srv/runs")
    said = r"^/srv/runs/a: cannot be written to \(/srv/runs\): .* choose another folder"
    with pytest.raises(RunError, match=said), in_folder("/srv/runs/a"):
        raise closed


def test_a_disk_that_is_full_is_one_sentence_and_the_run_goes_on_later(small: Path) -> None:
    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that a write fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))

    said = one_sentence(in_its_process(small, "run", "a.yaml", "--local", "--folder", "run", preexec_fn=limited))
    assert str(small / "run") in said and "make room there" in said
    assert not list((small / "run").rglob("*.tmp-*"))
    assert winnow(small, "run", "a.yaml", "--local", "--folder", "run").returncode == 0


def test_a_tiny_filesystem_that_fills_up_is_one_sentence(small: Path) -> None:
    (small / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(small / "disk")]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no filesystem can be mounted here")
    try:
        said = one_sentence(in_its_process(small, "run", "a.yaml", "--local", "--folder", "disk/run"))
    finally:
        subprocess.run(["umount", str(small / "disk")], check=True)
    assert str(small / "disk" / "run") in said and "the disk is full; make room there" in said


def test_memory_that_runs_out_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        guarded(lambda: bytearray(1 << 62))
    said = capsys.readouterr().err
    assert ended.value.code == 1 and said.startswith("error: memory ran out") and "use fewer --workers" in said


def test_ctrl_c_says_that_the_run_goes_on_and_status_says_stopped(small: Path) -> None:
    rows = [json.dumps({"text": f"A text, number {n}. " + "word " * 300}) for n in range(60_000)]
    (small / "a.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    words = [*COMMAND, "run", "a.yaml", "--local", "--folder", "run"]
    # Where the tests were started in the background the key is ignored, which children inherit.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    child = subprocess.Popen(words, cwd=small, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 300
    while not list(small.glob("run/documents/*/*.tmp-*")):
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=300)
    assert child.returncode == 130 and "Traceback" not in said, said
    assert said.splitlines()[-1] == "error: stopped from the keyboard; run again to continue"
    shown = winnow(small, "status", "run")
    assert shown.returncode == 1 and ": stopped" in shown.stdout and "run again to continue" in shown.stdout
    assert not list((small / "run").rglob("*.tmp-*"))


class Served(BaseHTTPRequestHandler):
    """A server without ranges of bytes."""

    protocol_version = "HTTP/1.1"
    content = b""

    def do_HEAD(self) -> None:
        self.answer(False)

    def do_GET(self) -> None:
        self.answer(True)

    def answer(self, body: bool) -> None:
        if "forbidden" in self.path:
            self.send_error(403)
            return
        self.send_response(200)
        if "unknown" in self.path:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        if body:
            self.wfile.write(self.content)

    def log_message(self, *_: Any) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client may leave half-way."""


@pytest.fixture
def server(small: Path) -> Iterator[str]:
    rows = [json.dumps({"text": f"A text, number {n}. " + "word " * 60}) for n in range(200)]
    rows.insert(7, "{no JSON")  # a failure, whose cause names the file
    served = type("Content", (Served,), {"content": "\n".join(rows).encode() + b"\n"})
    running = Quiet(("127.0.0.1", 0), served)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://alice:s3cr3tpw@127.0.0.1:1/a.jsonl?sig=t0k3nsig", "Cannot connect to host 127.0.0.1:1"),
        ("http://no.such.host.invalid/a.jsonl", "no.such.host.invalid"),
        ("http://alice:s3cr3tpw@SERVER/forbidden.jsonl?sig=t0k3nsig", "403"),
        ("http://alice:s3cr3tpw@SERVER/unknown.jsonl?sig=t0k3nsig", "copy it to this machine and name the copy"),
    ],
)
def test_a_server_that_does_not_answer_is_one_sentence(small: Path, server: str, url: str, said: str) -> None:
    url = url.replace("SERVER", server)
    done = winnow(small, "run", "a.yaml", "--local", "--set", f"sources.docs.paths=['{url}']")
    assert said in one_sentence(done)
    assert not any(secret in done.stderr + done.stdout for secret in SECRETS)


def test_what_opens_an_address_is_in_no_file_and_no_word(small: Path, server: str) -> None:
    url = f"http://alice:s3cr3tpw@{server}/a.jsonl?sig=t0k3nsig"
    text = (small / "a.yaml").read_text("utf-8").replace("a.jsonl", url).replace("[http", "['http").replace("]}", "']}")
    (small / "a.yaml").write_text(text, "utf-8")
    done = winnow(small, "run", "a.yaml", "--local", "--folder", "run")
    assert done.returncode == 0, done.stderr
    told = done.stdout + done.stderr
    for words in (["report", "run"], ["inspect", "run"], ["sample", "run", "--failed"], ["why", "run", "number 3"], ["status", "run"], ["plan", "run"], ["publish", "run", "--to", "out", "--licence", "cc0-1.0"]):  # fmt: skip
        told += (shown := winnow(small, *words)).stdout + shown.stderr
    assert not any(secret in told for secret in SECRETS), told
    for file in [*(small / "run").rglob("*"), *(small / "out").rglob("*")]:
        if file.is_file():
            assert not any(secret.encode() in file.read_bytes() for secret in SECRETS), file
    assert (small / "run").stat().st_mode & 0o777 == 0o700
    assert not [file for file in (small / "run").rglob("*") if file.is_file() and file.stat().st_mode & 0o077 and file.name not in (".verified.json", "report.html")]  # fmt: skip
    other = text.replace("alice:s3cr3tpw@", "bob:another@")
    (small / "a.yaml").write_text(other, "utf-8")
    again = winnow(small, "run", "a.yaml", "--local", "--folder", "run")
    assert "nothing to do" in again.stdout, "another password is no other file"
