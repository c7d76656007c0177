"""The rate of requests to one host: in a process, and of all workers of a Ray together."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from winnow.stages.commoncrawl.fetch import open_fetcher
from winnow.stages.commoncrawl.fetcher import Politeness
from winnow.stages.commoncrawl.rate_limit import RateLimiter, Stopped

from .server import CrawlServer, status


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CrawlServer]:
    (tmp_path / "file").write_bytes(b"x" * 100)
    with CrawlServer(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def ray_here() -> Iterator[Any]:
    """Ray with two CPUs: one that runs already, or one for this file."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    import ray

    mine = not ray.is_initialized()
    if mine:
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=128 * 2**20,
            logging_level="ERROR",
            log_to_driver=False,
        )
    yield ray
    if mine:
        ray.shutdown()


def test_threads_and_fetchers_of_a_process_share_the_rate(server: CrawlServer) -> None:
    rate = Politeness(requests_per_second=25)
    with open_fetcher(server.url, rate) as one, open_fetcher(server.url, rate) as other:
        readers = [threading.Thread(target=f.read, args=("file",)) for f in (one, other) * 10]
        began = time.monotonic()
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    assert server.count() == 20 and time.monotonic() - began >= 19 / 25


def test_attempts_count_against_the_rate(server: CrawlServer) -> None:
    server.plan(status(500, first=5))
    with open_fetcher(server.url, Politeness(requests_per_second=20, backoff=0.001)) as fetcher:
        fetcher.read("file")
    times = [answer.request.at for answer in server.log]
    assert len(times) == 6 and times[-1] - times[0] > 0.2


def test_a_pause_is_one_for_all_threads_and_can_be_left() -> None:
    limiter, stop = RateLimiter("nowhere"), threading.Event()
    limiter.hold(0.3, rate=0)
    began = time.monotonic()
    limiter.hold(0.1, rate=0)  # a shorter one takes nothing back
    limiter.wait(0, stop)
    assert time.monotonic() - began > 0.29
    limiter.hold(100, rate=0)
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(Stopped):
        limiter.wait(0, stop)


def test_the_first_requests_of_a_run_keep_the_rate_too(server: CrawlServer, ray_here: Any) -> None:
    """While the process that keeps the slots starts, they do not grow stale. Where they do, half a second's come at once;
    a busy machine that notes the first request late by less than that is no fault."""
    with open_fetcher(server.url, Politeness(requests_per_second=10)) as fetcher:
        for _ in range(12):
            fetcher.read("file")
    times = [answer.request.at for answer in server.log]
    assert times[-1] - times[0] > 0.75


def test_all_workers_of_a_run_share_the_rate(server: CrawlServer, ray_here: Any) -> None:
    url = server.url

    def read(agent: str, times: int) -> None:
        with open_fetcher(url, Politeness(requests_per_second=20, user_agent=agent)) as fetcher:
            for _ in range(times):
                fetcher.read("file")

    task = ray_here.remote(num_cpus=1)(read)
    ray_here.get([task.remote(agent, 1) for agent in "ab"])  # two workers, and the process that keeps the slots
    server.forget()
    ray_here.get([task.remote(agent, 20) for agent in "ab"])
    times = sorted(answer.request.at for answer in server.log)
    assert len(times) == 40 and server.agents() == {"a", "b"}
    assert times[-1] - times[0] >= 39 / 20 * 0.8


def test_the_rate_outlives_the_worker_that_kept_it(server: CrawlServer, ray_here: Any) -> None:
    url = server.url

    def read(times: int, then_die: bool) -> int:
        with open_fetcher(url, Politeness(requests_per_second=20)) as fetcher:
            for _ in range(times):
                fetcher.read("file")
        if then_die:
            os._exit(1)
        return os.getpid()

    task = ray_here.remote(num_cpus=1, max_retries=0, retry_exceptions=False)(read)
    with pytest.raises(ray_here.exceptions.WorkerCrashedError):
        ray_here.get(task.remote(2, True))
    survivor = ray_here.get(task.remote(6, False))
    assert survivor != os.getpid() and server.count() == 8
    with open_fetcher(url, Politeness(requests_per_second=20)) as fetcher:  # the driver belongs to the run as well
        fetcher.read("file")
