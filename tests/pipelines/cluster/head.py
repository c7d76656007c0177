"""A Ray cluster with a jobs server, in processes of its own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

START_SECONDS = 300


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def agent_ports() -> dict[str, int]:
    """Ports for a machine's agents, by Ray's names. With ports of their own nobody waits, for 15 s at most, until they
    say which they took, which is too short on a busy machine."""
    kinds = ("dashboard_agent_listen_port", "metrics_agent_port", "runtime_env_agent_port", "metrics_export_port")
    return dict(zip(kinds, free_ports(len(kinds)), strict=True))


@dataclass
class Head:
    """A head node that runs in processes of its own: the first of them, and the folder of its session."""

    address: str
    gcs: str
    pid: int
    folder: str

    def stop(self) -> None:
        """End it and everything that it started: all that is left of it names its folder."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        end = time.monotonic() + 15
        while runs(self.pid) and time.monotonic() < end:
            time.sleep(0.1)
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if self.folder.encode() in line.read_bytes():
                    os.kill(int(line.parent.name), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                continue
        shutil.rmtree(self.folder, ignore_errors=True)


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@contextlib.contextmanager
def shared_head(place: Path) -> Iterator[Head]:
    """The head of all who give this place, in any process: who comes first starts it, who leaves last ends it. It is busy
    also where nobody asks it."""
    note = place / "head.json"

    def users(change: int) -> Head:
        with (place / "head.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            said = json.loads(note.read_text()) if note.exists() else None
            head = Head(**said["head"]) if said else start_head()
            count = (said["users"] if said else 0) + change
            note.write_text(json.dumps({"head": asdict(head), "users": count}))
            if not count:
                note.unlink()
                head.stop()
        return head

    head = users(1)
    try:
        yield head
    finally:
        users(-1)


def start_head() -> Head:
    """A head with two CPUs and a jobs server on a free port."""
    dashboard, gcs, client = free_ports(3)
    folder = tempfile.mkdtemp(prefix="wj-", dir="/tmp")  # short: sockets lie below it
    ray = Path(sys.executable).parent / "ray"
    line = [str(ray), "start", "--head", "--block", f"--port={gcs}", "--num-cpus=2", "--disable-usage-stats"]
    line += ["--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
    for kind, port in agent_ports().items():
        line.append(f"--{kind.replace('metrics_agent', 'dashboard_agent_grpc').replace('_', '-')}={port}")
    line.append(f"--ray-client-server-port={client}")
    line += ["--object-store-memory=134217728", f"--temp-dir={folder}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    environment |= {"RAY_AUTH_MODE": "disabled", "RAY_worker_niceness": "0"}
    with Path(folder, "head.log").open("wb") as log:
        process = subprocess.Popen(line, env=environment, stdout=log, stderr=log, start_new_session=True)
    head = Head(f"http://127.0.0.1:{dashboard}", f"127.0.0.1:{gcs}", process.pid, folder)
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


def of_session(factory: pytest.TempPathFactory, worker: str) -> Path:
    """A folder that all processes of pytest share."""
    base = factory.getbasetemp()
    return base if worker == "master" else base.parent
