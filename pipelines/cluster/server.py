"""The jobs server of a Ray cluster, spoken to through Ray's own client."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from winnow.nearest import expected
from winnow.pipelines.engine.errors import RunError

T = TypeVar("T")

MARK = "winnow"
"""The key of a job's metadata that tells winnow's jobs from others; its value is the version."""

REQUEST_SECONDS = 60.0
"""Seconds until a request without an answer counts as failed. Ray's client would wait for ever."""

CONNECT_SECONDS = 10

DASHBOARD, SERVER, CLUSTER = "RAY_DASHBOARD_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"

WAITING = frozenset({"PENDING", "RUNNING"})
"""States of a job that has not ended."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job as its server reports it. Times are seconds since 1970, None where it has not come to that."""

    id: str
    state: str  # PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED
    metadata: dict[str, str]
    started: float | None
    ended: float | None
    message: str

    @property
    def ours(self) -> bool:
        """Whether winnow submitted it."""
        return MARK in self.metadata

    @property
    def cause(self) -> str:
        """Why it failed, in one line: the last error that its command printed, or what the server says."""
        lines = [line.strip() for line in self.message.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        return (errors or lines or [""])[-1 if errors else 0]


class JobsServer:
    """A connection. State: Ray's client, which holds the address and what authorizes us. Every method raises RunError
    with one sentence where the server does not answer or refuses."""

    def __init__(self, address: str | None = None) -> None:
        """`address`: of the dashboard; by default what the environment names."""
        self.client = _client(_resolved(address))
        self.address: str = self.client.get_address()

    def jobs(self) -> dict[str, JobStatus]:
        """Every job that was submitted there, by its id."""
        found = self._call(self.client.list_jobs)
        return {job.submission_id: _status(job) for job in found if job.submission_id}

    def submit(self, id: str, command: str, environment: Mapping[str, Any], metadata: Mapping[str, str]) -> bool:
        """Submits a job. False where the server has one of this id already, so that nothing was started."""
        submitted = {"entrypoint": command, "runtime_env": dict(environment), "metadata": dict(metadata)}
        try:
            self._call(lambda: self.client.submit_job(submission_id=id, **submitted))
        except RunError:
            if id in self.jobs():  # refused as a second one, or accepted by a server whose answer was lost
                return False
            raise
        return True

    def logs(self, id: str) -> str:
        """Everything that a job has printed."""
        self._check(id)
        return str(self._call(lambda: self.client.get_job_logs(id)))

    def follow(self, id: str, show: Callable[[str], object]) -> None:
        """Show what a job prints, as it does, until it ends."""

        async def pieces() -> None:
            async for piece in self.client.tail_job_logs(id):
                show(piece)

        self._check(id)
        self._call(lambda: asyncio.run(pieces()))

    def _check(self, id: str) -> None:
        jobs = self.jobs()
        if id not in jobs:
            ours = [job.id for job in jobs.values() if job.ours]
            raise RunError(
                f"{self.address}: no job '{id}' there; {expected(id, ours) if ours else 'none of winnow at all'}"
            )

    @property
    def here(self) -> bool:
        """Whether the server is on this machine."""
        host = urlsplit(self.address).hostname or ""
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return False
        return any(_own(family, where[0]) for family, _, _, _, where in found)

    def _call(self, request: Callable[[], T]) -> T:
        from aiohttp import ClientError
        from ray.exceptions import RayError

        try:
            return request()
        except (OSError, RuntimeError, RayError, ClientError) as error:
            raise RunError(f"{self.address}: the jobs server {_said(error)}") from error


def _resolved(address: str | None) -> str:
    """A URL of a dashboard, or host:port of a cluster that knows its own: the option, then RAY_DASHBOARD_ADDRESS,
    RAY_API_SERVER_ADDRESS and RAY_ADDRESS. Raises RunError where nothing is named."""
    found = address or next((os.environ[name] for name in (DASHBOARD, SERVER, CLUSTER) if os.environ.get(name)), None)
    if found is None:
        raise RunError(
            f"no jobs server is named; give --address http://head:8265, or set {DASHBOARD} or {CLUSTER} to a cluster's"
        )
    dashboard = address is not None or found == os.environ.get(DASHBOARD)
    return f"http://{found}" if dashboard and "://" not in found else found


def _client(address: str) -> Any:
    for package in ("aiohttp", "requests"):
        try:
            importlib.import_module(package)
        except ModuleNotFoundError:
            raise RunError(
                f"jobs on a cluster need '{package}', which is not installed: pip install 'winnow[cluster]'"
            ) from None
    from ray.exceptions import RayError
    from ray.job_submission import JobSubmissionClient

    for module in ("dashboard.modules.job.sdk", "dashboard.modules.dashboard_sdk", "_private.runtime_env.packaging"):
        logging.getLogger(f"ray.{module}").setLevel(logging.WARNING)  # they tell of every upload and closed connection

    class Client(JobSubmissionClient):  # type: ignore[misc, unused-ignore]
        """Gives every request a timeout."""

        def _do_request(self, *words: Any, **options: Any) -> Any:
            return super()._do_request(*words, **({"timeout": REQUEST_SECONDS} | options))

    # Ray puts the environment before the argument; what was named on the command line comes first here.
    before = os.environ.get(SERVER)
    os.environ[SERVER] = address
    try:
        if "://" not in address:
            _reachable(address)
        return Client(address)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise RunError(
            f"{address}: no jobs server answers there ({_first(error)}); expected the dashboard of a Ray cluster, such as "
            "http://head:8265"
        ) from error
    finally:
        if before is None:
            del os.environ[SERVER]
        else:
            os.environ[SERVER] = before


def _reachable(cluster: str) -> None:
    """Raises OSError at once where nobody listens at host:port; Ray itself would try for minutes."""
    host, colon, port = cluster.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


def _own(family: socket.AddressFamily, host: Any) -> bool:
    """Whether an address belongs to this machine: only then can something be bound to it."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def _status(job: Any) -> JobStatus:
    times = [moment / 1000 if moment else None for moment in (job.start_time, job.end_time)]
    return JobStatus(
        job.submission_id, str(job.status), dict(job.metadata or {}), times[0], times[1], job.message or ""
    )


def _said(error: BaseException) -> str:
    return f"cannot be asked: {_first(error)}" if isinstance(error, OSError) else f"refuses: {_first(error)}"


def _first(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
