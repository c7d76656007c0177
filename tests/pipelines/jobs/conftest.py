"""A Ray cluster of its own with a jobs server, for all tests of this room."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from winnow.pipelines import cli
from winnow.pipelines.jobs.server import WAITING, JobsServer, Seen
from winnow.pipelines.jobs.snapshots import Listing
from winnow.pipelines.jobs.state import State
from winnow.pipelines.jobs.submit import Sending
from winnow.pipelines.jobs.watch import Orders, Watch
from winnow.pipelines.spec import load_pipeline

HERE = Path(__file__).parent

START_SECONDS = 120


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


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@dataclass
class Head:
    """A head node that runs in processes of its own. State: the process, and the folder of its session."""

    address: str
    gcs: str
    process: subprocess.Popen[bytes]
    folder: str

    def stop(self) -> None:
        """End it and everything that it started: all that is left of it names its folder."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if self.folder.encode() in line.read_bytes():
                    os.kill(int(line.parent.name), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                continue
        shutil.rmtree(self.folder, ignore_errors=True)


def start_head() -> Head:
    """A head with two CPUs and a jobs server on a free port."""
    dashboard, gcs, agent, client = free_ports(4)
    folder = tempfile.mkdtemp(prefix="wj-", dir="/tmp")  # short: sockets lie below it
    ray = Path(sys.executable).parent / "ray"
    line = [str(ray), "start", "--head", "--block", f"--port={gcs}", "--num-cpus=2", "--disable-usage-stats"]
    line += ["--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
    line += [f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={client}"]
    line += ["--object-store-memory=134217728", f"--temp-dir={folder}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | {"RAY_AUTH_MODE": "disabled"}
    with Path(folder, "head.log").open("wb") as log:
        process = subprocess.Popen(line, env=environment, stdout=log, stderr=log, start_new_session=True)
    head = Head(f"http://127.0.0.1:{dashboard}", f"127.0.0.1:{gcs}", process, folder)
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", dashboard), 1).close()
                return head
            except OSError:
                said = Path(folder, "head.log").read_text("utf-8", "replace")[-2000:]
                assert process.poll() is None and time.monotonic() < end, said
                time.sleep(0.1)
    except BaseException:
        head.stop()
        raise


@pytest.fixture(scope="session")
def head() -> Iterator[Head]:
    """One for the whole session; ended also where a test fails."""
    started = start_head()
    yield started
    started.stop()


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
def ended(server: JobsServer) -> Callable[[str], Seen]:
    """Waits until a job has ended."""

    def wait(job: str, seconds: float = 90) -> Seen:
        end = time.monotonic() + seconds
        while (seen := server.jobs()[job]).state in WAITING:
            assert time.monotonic() < end, server.logs(job)
            time.sleep(0.2)
        return seen

    return wait


@pytest.fixture
def winnow_command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in this process, which has loaded everything already."""

    def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["winnow", *words])
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        code = 0
        with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                cli.main()
            except SystemExit as left:
                code = int(left.code or 0)
        return subprocess.CompletedProcess(words, code, *(stream.buffer.getvalue().decode() for stream in (out, err)))

    return run


@pytest.fixture
def winnow_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in a process of its own, with whatever its libraries print."""

    def run(*words: str, cwd: Path, seconds: float = 100) -> subprocess.CompletedProcess[str]:
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

    def make(command: str = "true", wanted: str | None = None, **orders: Any) -> Watch:
        sets = orders.pop("sets", [])
        pipeline = load_pipeline(declared, sets)
        base = str(declared.parent / "runs" / "ko")
        told = Orders(pipeline, base, sending=Sending(python=command), **orders)
        return Watch(told, Listing(pipeline, wanted), State(f"{base}/watch"), server)

    return make
