"""A Ray cluster of its own with a jobs server, for all tests of this room."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from winnow.pipelines.cluster.server import WAITING, JobsServer, JobStatus
from winnow.pipelines.cluster.snapshots import Listing
from winnow.pipelines.cluster.state import State
from winnow.pipelines.cluster.submit import SubmitOptions
from winnow.pipelines.cluster.watch import Watch, WatchOptions
from winnow.pipelines.engine.declaration import load_pipeline

from ..in_process import command
from .head import Head, of_session, shared_head

HERE = Path(__file__).parent


def loaded(path: Path, name: str) -> Any:
    """A module of the tests, which are no package."""
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


watched = loaded(HERE / "watched.py", "watched")
mirror = loaded(HERE / "mirror.py", "crawl_mirror")
crawl_mimic = loaded(HERE.parents[1] / "stages" / "commoncrawl" / "mimic.py", "crawl_mimic")
crawl_server = loaded(HERE.parents[1] / "stages" / "commoncrawl" / "server.py", "crawl_server")


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Head]:
    """One for all files that need one at the same time; ended also where a test fails."""
    with shared_head(of_session(tmp_path_factory, worker_id)) as head:
        yield head


@pytest.fixture
def cluster(head: Head, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its address, and an environment without a cluster of somebody else's."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    return head.address


@pytest.fixture
def server(cluster: str) -> JobsServer:
    """A connection to it."""
    return JobsServer(cluster)


@pytest.fixture
def ended(server: JobsServer) -> Callable[[str], JobStatus]:
    """Waits until a job has ended."""

    def wait(job: str, seconds: float = 600) -> JobStatus:
        end = time.monotonic() + seconds
        while (seen := server.jobs()[job]).state in WAITING:
            assert time.monotonic() < end, server.logs(job)
            time.sleep(0.2)
        return seen

    return wait


@pytest.fixture
def winnow_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in this process."""
    return command


@pytest.fixture
def winnow_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in a process of its own, with whatever its libraries print."""

    def run(*words: str, cwd: Path, seconds: float = 600) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "winnow.pipelines.cli", *words]
        return subprocess.run(line, capture_output=True, text=True, cwd=cwd, timeout=seconds)

    return run


DECLARATION = """name: ko
language: ko
sources:
  crawl: {{use: commoncrawl, via: wet, snapshot: "2026..", endpoint: "{url}", fetch: {{backoff: 0.05, attempts: 3}}}}
stages:
  rules: {{use: rules, packs: [gopher], keep: "word_count >= 5"}}
  dedup: {{use: minhash, keep: representative}}
"""


@pytest.fixture
def site(tmp_path: Path, korean: Callable[..., str]) -> Iterator[Any]:
    """A crawl of two snapshots on a web server. The second has half of the first's texts again."""
    texts = [korean(seed) for seed in range(30)]
    of = {
        watched.FIRST: [(f"https://a.example/{n}", text) for n, text in enumerate(texts[:20])],
        watched.SECOND: [(f"https://b.example/{n}", text) for n, text in enumerate(texts[10:])],
    }
    mirror.write_mirror(tmp_path / "crawl", of)
    with crawl_server.CrawlServer(tmp_path / "crawl") as server:
        yield server


@pytest.fixture
def declared(tmp_path: Path, site: Any) -> Path:
    """A declaration of that crawl in a folder of its own."""
    path = tmp_path / "ko.yaml"
    path.write_text(DECLARATION.format(url=site.url), "utf-8")
    return path


@pytest.fixture
def looking(declared: Path, server: JobsServer) -> Callable[..., Watch]:
    """Makes a watch. `command` takes the place of Python in its jobs: `true` succeeds at once, `false` fails."""

    def make(command: str = "true", wanted: str | None = None, **options: Any) -> Watch:
        sets = options.pop("sets", [])
        pipeline = load_pipeline(declared, sets)
        base = str(declared.parent / "runs" / "ko")
        told = WatchOptions(pipeline, base, submit=SubmitOptions(python=command), **options)
        return Watch(told, Listing(pipeline, wanted), State(f"{base}/watch"), server)

    return make
