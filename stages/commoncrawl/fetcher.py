"""Reading files below an endpoint: an HTTP host, an object store, or a folder that mirrors one."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import BinaryIO, Self

from pydantic import Field

from winnow.stages.base import Settings, StageError


def _agent() -> str:
    try:
        return f"winnow/{version('winnow')} (curation of pretraining corpora; no contact given)"
    except PackageNotFoundError:  # run from a folder that was never installed
        return "winnow (curation of pretraining corpora; no contact given)"


class FetchError(StageError):
    """Bytes that cannot be had: one sentence with the URL, what happened, and how often it was tried."""


class NotThere(FetchError):
    """The endpoint says that it has no such file. Never tried again."""


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes [start, end) of the file at `path` below the endpoint."""

    path: str
    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise FetchError(f"{self.path}: bytes [{self.start}, {self.end}) are no range; expected 0 <= start <= end")


class Politeness(Settings):
    """How an endpoint is treated; nothing here changes what is read."""

    connections: int = Field(default=8, ge=1, le=64)
    """Bodies that one worker process fetches at a time."""
    requests_per_second: float = Field(default=0.0, ge=0)
    """Of the whole run to one host; 0 for no limit."""
    attempts: int = Field(default=8, ge=1)
    """How often one thing is asked for without progress."""
    backoff: float = Field(default=1.0, ge=0)
    """Seconds before the second attempt at most; doubles, up to 120."""
    timeout: float = Field(default=60.0, gt=0)
    """Seconds without a byte."""
    user_agent: str = Field(default_factory=_agent, min_length=1, pattern=r"^[\x20-\x7e]+$")
    """What the host reads in its log; say how you can be reached."""


@dataclass
class Traffic:
    """What one fetcher did. `requests`: asked, with those asked again, which `retries` counts. `bytes`: of bodies,
    with those thrown away. `failures`: what ended in a FetchError."""

    requests: int = 0
    bytes: int = 0
    retries: int = 0
    failures: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, requests: int = 0, bytes: int = 0, retries: int = 0, failures: int = 0) -> None:
        """Counts; from any thread."""
        with self._lock:
            self.requests += requests
            self.bytes += bytes
            self.retries += retries
            self.failures += failures
        if self is not PROCESS:
            PROCESS.add(requests, bytes, retries, failures)

    def figures(self) -> dict[str, int]:
        """The four counts, to be stored or sent."""
        with self._lock:
            return {name: getattr(self, name) for name in ("requests", "bytes", "retries", "failures")}


PROCESS = Traffic()
"""What all fetchers of this process did together, for who watches it."""


class Fetcher(ABC):
    """Reads what lies below one endpoint. Paths are relative, with slashes, as they are named there. Everything raises
    NotThere where there is no such file, FetchError where it cannot be read after all attempts. Use from any thread;
    make one in each process. A context manager. State: `traffic`, what it did until now."""

    def __init__(self, endpoint: str, politeness: Politeness) -> None:
        self.endpoint, self.politeness, self.traffic = endpoint.rstrip("/"), politeness, Traffic()

    @abstractmethod
    def read(self, path: str) -> bytes:
        """A small whole file."""

    @abstractmethod
    def size(self, path: str) -> int:
        """Bytes of a file."""

    @abstractmethod
    def read_range(self, wanted: Range, stop: threading.Event) -> bytes:
        """Exactly these bytes. Gives up once `stop` is set."""

    @abstractmethod
    def stream(self, path: str) -> Iterator[bytes]:
        """A whole file in pieces, on a connection of its own. Goes on at the byte where a connection broke; FetchError
        where the file is another by then."""

    @abstractmethod
    def ranged_file(self, path: str) -> BinaryIO:
        """A file to seek and read in, as pyarrow.parquet.ParquetFile wants it. Reads what is asked for, and a little more
        where that is small. Over HTTP, FetchError where the file is another by then."""

    def ranges(self, wanted: Sequence[Range]) -> Iterator[tuple[Range, bytes | FetchError]]:
        """Each range with its bytes, in the order given, `connections` at a time and no more bodies than that ahead. One
        that cannot be read is given with its error, which is not raised."""
        return prefetch(wanted, self.read_range, self.politeness.connections)

    def close(self) -> None:
        """Gives up connections. Nothing to do where a library keeps them for the process."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def prefetch(
    wanted: Sequence[Range], read: Callable[[Range, threading.Event], bytes], most: int
) -> Iterator[tuple[Range, bytes | FetchError]]:
    """Each range with what `read` gives, in order, or the FetchError that it raises. At most `most` of them are being read
    or wait to be taken. Whoever stops iterating sets the event that `read` is given."""
    stop = threading.Event()
    rest = iter(wanted)
    running: deque[tuple[Range, Future[bytes]]] = deque()
    with ThreadPoolExecutor(most, "fetch") as threads:
        try:
            while True:
                while len(running) < most and (item := next(rest, None)) is not None:
                    running.append((item, threads.submit(read, item, stop)))
                if not running:
                    return
                item, future = running.popleft()
                try:
                    outcome: bytes | FetchError = future.result()
                except FetchError as error:
                    outcome = error
                yield item, outcome
        finally:
            stop.set()
            for _, future in running:
                future.cancel()


def below(endpoint: str, path: str) -> str:
    """`path` if it stays below the endpoint. Lists of paths come from outside: raises FetchError for one that leaves."""
    parts = path.split("/")
    if not path or path.startswith("/") or ".." in parts or "\\" in path or "\x00" in path:
        raise FetchError(f"'{path}' is no path below {endpoint}; expected one such as 'crawl-data/…/warc.paths.gz'")
    return path
