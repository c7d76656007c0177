"""A Ray cluster with a jobs server, in processes of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

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
    dashboard, gcs, client, *agents = free_ports(7)
    folder = tempfile.mkdtemp(prefix="wj-", dir="/tmp")  # short: sockets lie below it
    ray = Path(sys.executable).parent / "ray"
    line = [str(ray), "start", "--head", "--block", f"--port={gcs}", "--num-cpus=2", "--disable-usage-stats"]
    line += ["--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
    # With ports of their own nobody waits, for 15 s at most, until its agents say which they took.
    for kind, port in zip(
        ("dashboard-agent-listen", "dashboard-agent-grpc", "runtime-env-agent", "metrics-export"), agents, strict=True
    ):
        line.append(f"--{kind}-port={port}")
    line.append(f"--ray-client-server-port={client}")
    line += ["--object-store-memory=134217728", f"--temp-dir={folder}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    environment |= {"RAY_AUTH_MODE": "disabled", "RAY_worker_niceness": "0"}
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
