"""A run measures with the model that it was planned with: asked of the hub once, refused where it has changed."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pytest

from winnow.classifiers.artifacts import resolve
from winnow.filters.languages import language_pack
from winnow.identity import file_name
from winnow.stages import opening
from winnow.stages.base import DOCUMENT_SCHEMA, StageError
from winnow.stages.fasttext import KIND as FASTTEXT
from winnow.stages.langid import KIND as LANGID
from winnow.stages.opening import opened

TEXT = "오늘 아침 서울에는 비가 내렸고 기온은 어제보다 낮았다."


class Hub(ThreadingHTTPServer):
    """The part of the hub's protocol that `hf_hub_download` speaks, for one file. State: the file and its commit, and
    the requests seen."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.commit = content, "1" * 40
        self.seen: list[str] = []


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: Hub

    def do_HEAD(self) -> None:
        self.server.seen.append(f"{self.command} {self.path}")
        self.send_response(200)
        self.send_header("X-Repo-Commit", self.server.commit)
        self.send_header("ETag", f'"{self.server.commit}"')
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.server.content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub(resolve("lid.176").path.read_bytes())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def python(hub: Hub, home: Path, code: str) -> str:
    """Runs code in a process of its own whose hub is ours; what it prints."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_address[1]}",
        "HF_HOME": str(home),
        "NO_PROXY": "127.0.0.1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


PLAN = """
import pickle, pyarrow as pa
from pathlib import Path
from winnow.filters.languages import language_pack
from winnow.identity import file_name
from winnow.stages.langid import KIND
from winnow.stages.opening import opened
stage = KIND(name="language", settings=KIND.Settings(model="hub:owner/repo/lid.ftz"), pack=language_pack("ko"))
planned = {{file_name(a.name): a.digest for a in stage.artifacts()}}
Path({file!r}).write_bytes(pickle.dumps((stage, planned)))
texts = pa.record_batch({{"text": pa.array([{text!r}], pa.large_string())}})
print([opened(stage, planned).measure(texts).column("label")[0].as_py() for _ in range(20)].count("ko"))
"""
WORK = """
import pickle, pyarrow as pa
from pathlib import Path
from winnow.stages.base import StageError
from winnow.stages.opening import opened
stage, planned = pickle.loads(Path({file!r}).read_bytes())
try:
    texts = pa.record_batch({{"text": pa.array([{text!r}], pa.large_string())}})
    print(opened(stage, planned).measure(texts).column("label")[0].as_py())
except StageError as error:
    print(error)
"""


def test_a_model_on_the_hub_is_asked_for_once_and_a_moved_branch_is_refused(hub: Hub, tmp_path: Path) -> None:
    file = str(tmp_path / "stage.pickle")
    assert python(hub, tmp_path / "home", PLAN.format(file=file, text=TEXT)) == "20"
    assert [line for line in hub.seen if line.startswith("HEAD")] == ["HEAD /owner/repo/resolve/main/lid.ftz"]
    work = WORK.format(file=file, text=TEXT)
    assert python(hub, tmp_path / "home", work) == "ko"
    hub.content, hub.commit = resolve("ko-domain").path.read_bytes(), "2" * 40
    refusal = python(hub, tmp_path / "home", work)
    assert refusal.startswith("language: 'hub:owner/repo/lid.ftz' changed during the run: planned with sha256 ")
    assert "\n" not in refusal


def documents() -> pa.RecordBatch:
    row = {"id": "0" * 32, "url": None, "date": None, "source": "test", "title": None, "text": TEXT}
    return pa.RecordBatch.from_pylist([row], schema=DOCUMENT_SCHEMA)


@pytest.mark.parametrize("kind", [LANGID, FASTTEXT])
def test_a_file_written_anew_is_refused_until_the_next_plan(kind: type, tmp_path: Path) -> None:
    model = tmp_path / "own.ftz"
    shutil.copy(resolve("ko-domain").path, model)
    one = kind(name="own", settings=kind.Settings(model=str(model)), pack=language_pack("ko"))
    planned = {file_name(a.name): a.digest for a in one.artifacts()}
    worker = pickle.loads(pickle.dumps(one))
    assert worker == one
    loaded = opened(worker, planned)
    before = loaded.measure(documents())
    shutil.copy(resolve("lid.176").path, model)
    os.utime(model, ns=(1, 1))
    assert opened(one, planned) is loaded and loaded.measure(documents()) == before, "it is in memory since the plan"
    opening._OPENED.clear()
    with pytest.raises(StageError, match=r"own: '.*own\.ftz' changed during the run: planned with sha256"):
        opened(one, planned)
    assert opened(one, {file_name(a.name): a.digest for a in one.artifacts()}).measure(documents()).num_rows == 1


def test_a_stage_that_nothing_planned_measures_with_what_it_finds() -> None:
    one = LANGID(name="language", settings=LANGID.Settings(), pack=language_pack("ko"))
    assert pickle.loads(pickle.dumps(one)).measure(documents()).column("label").to_pylist() == ["ko"]
