"""Files of an HTTP host: one pool of connections kept alive, whole files and ranges, tried again with patience."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import TracebackType
from typing import Any, BinaryIO, cast
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, LocationParseError, MaxRetryError

from winnow.stages.commoncrawl.ahead import in_order
from winnow.stages.commoncrawl.answers import Again, Impossible, Version, bytes_of, described, refused
from winnow.stages.commoncrawl.fetching import FetchError, Politeness, Range, Traffic, below
from winnow.stages.commoncrawl.handle import RangedFile
from winnow.stages.commoncrawl.limits import Stopped, pace_of
from winnow.stages.commoncrawl.patience import Patience

BLOCK = 256 * 1024
"""Bytes that are read from a connection at a time at most."""

SLOWEST = 1024
"""Bytes a second, on average after `timeout`, below which a connection is given up."""

ERROR_PAGE = 16 * 1024
"""Longest body of an error that is read to keep its connection."""

REDIRECTS = 5

NEVER = threading.Event()


class HttpFetcher:
    """`fetching.Fetcher` of `http://` and `https://`. State: the pool of connections and the counters."""

    def __init__(self, endpoint: str, politeness: Politeness) -> None:
        self.endpoint, self.politeness, self.traffic = endpoint.rstrip("/"), politeness, Traffic()
        parts = urlsplit(endpoint)
        if not parts.hostname or parts.username or parts.query or parts.fragment:
            raise FetchError(f"'{endpoint}' is no endpoint; expected one such as https://data.commoncrawl.org")
        self.pace = pace_of(parts.netloc.rpartition("@")[2].lower())
        self.gate = self.pace.gate(politeness.connections)
        self.pool = _pool(parts.scheme.lower(), parts.netloc, politeness)

    def read(self, path: str) -> bytes:
        return b"".join(self._pieces(path, 0, None, self.gate, NEVER))

    def size(self, path: str) -> int:
        return self._head(path)[1]

    def ranges(self, wanted: Sequence[Range]) -> Iterator[tuple[Range, bytes | FetchError]]:
        def one(item: Range, stop: threading.Event) -> bytes:
            return b"".join(self._pieces(item.path, item.start, item.end, self.gate, stop))

        return in_order(wanted, one, self.politeness.connections)

    def stream(self, path: str) -> Iterator[bytes]:
        # Not through the gate: who reads slowly, or reads another file meanwhile, would wait for himself.
        return self._pieces(path, 0, None, nullcontext(), NEVER)

    def handle(self, path: str) -> BinaryIO:
        version, size = self._head(path)
        return cast(BinaryIO, RangedFile(f"{self.endpoint}/{path}", size, partial(self._exactly, path, [version])))

    def close(self) -> None:
        self.pool.clear()

    def __enter__(self) -> HttpFetcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _head(self, path: str) -> tuple[Version, int]:
        patience = self._patience(path, "", NEVER)
        while True:
            patience.ask()
            try:
                with self.gate:
                    response = self._request("HEAD", path, {})
                    response.drain_conn()
                    response.release_conn()
                if (refusal := refused(response)) is not None:
                    raise refusal
                return described(response)
            except (Again, Impossible, HTTPError) as error:
                _settle(patience, error)

    def _exactly(self, path: str, known: list[Version], start: int, end: int) -> bytes:
        return b"".join(self._pieces(path, start, end, self.gate, NEVER, known))

    def _pieces(
        self,
        path: str,
        start: int,
        end: int | None,
        gate: AbstractContextManager[object],
        stop: threading.Event,
        known: list[Version] | None = None,
    ) -> Iterator[bytes]:
        """Bytes from `start` to `end` (None: the file's end) as they come, in one request where nothing goes wrong.
        `known` holds the version that they must be of, and from the first answer on holds that one's."""
        if start == end:
            return
        known = [Version()] if known is None else known
        whole = start == 0 and end is None
        patience = self._patience(path, "" if whole else f" [bytes {start}-{'' if end is None else end - 1}]", stop)
        place = start
        while True:
            patience.ask()
            try:
                with gate:
                    response = self._request("GET", path, _range(place, end, known[0]))
                    try:
                        if (refusal := refused(response)) is not None:
                            _drain(response)
                            raise refusal
                        known[0], upto = bytes_of(response, place, end, known[0])
                        for piece in self._body(response, stop):
                            patience.got(len(piece))
                            place += len(piece)
                            yield piece
                        if upto is not None and place != upto:
                            raise Again(f"the body ended after byte {place} of {upto}")
                        return
                    finally:
                        if not response.closed:
                            response.close()  # not read to its end: of no use for the next request
                        response.release_conn()
            except (Again, Impossible, HTTPError) as error:
                _settle(patience, error)

    def _body(self, response: BaseHTTPResponse, stop: threading.Event) -> Iterator[bytes]:
        reading = read = 0.0
        while True:
            began = time.monotonic()
            piece = response.read1(BLOCK, decode_content=False)
            reading += time.monotonic() - began
            if not piece:
                return
            read += len(piece)
            yield piece
            if response.length_remaining == 0 and not response.chunked:
                return
            if stop.is_set():
                raise Stopped
            if reading > self.politeness.timeout + read / SLOWEST:
                raise Again(f"{read:.0f} bytes in {reading:.0f} s is too slow")

    def _request(self, method: str, path: str, headers: dict[str, str]) -> BaseHTTPResponse:
        url = f"{self.endpoint}/{quote(below(self.endpoint, path), safe='/=:+,@~!$&()*;')}"
        sent = {"User-Agent": self.politeness.user_agent, "Accept-Encoding": "identity", **headers}
        return self.pool.request(method, url, headers=sent, preload_content=False, decode_content=False)

    def _patience(self, path: str, which: str, stop: threading.Event) -> Patience:
        return Patience(f"{self.endpoint}/{path}{which}", self.politeness, self.pace, self.traffic, stop)


def _range(place: int, end: int | None, known: Version) -> dict[str, str]:
    if place == 0 and end is None:
        return {}
    wanted = {"Range": f"bytes={place}-{'' if end is None else end - 1}"}
    return wanted | ({"If-Range": known.condition} if known.condition else {})


def _settle(patience: Patience, error: Again | Impossible | HTTPError) -> None:
    """Waits for the next attempt, or raises FetchError."""
    if isinstance(error, Impossible):
        raise patience.given_up(error.cause, error.kind) from None
    if isinstance(error, Again):
        return patience.failed(error.cause, error.retry_after, error.slow)
    reason = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
    said = str(reason.args[0] if reason.args else reason).partition("\n")[0]
    cause = f"{type(reason).__name__}: {said or 'no answer'}"
    if isinstance(reason, LocationParseError) or _not_trusted(reason):
        raise patience.given_up(cause) from error
    return patience.failed(cause)


def _not_trusted(error: BaseException) -> bool:
    return any(isinstance(arg, ssl.SSLCertVerificationError) for arg in (error.__cause__, *error.args))


def _drain(response: BaseHTTPResponse) -> None:
    """Reads a short error page, so that its connection can be used again."""
    if response.length_remaining is not None and response.length_remaining <= ERROR_PAGE:
        response.drain_conn()


def _pool(scheme: str, netloc: str, politeness: Politeness) -> urllib3.PoolManager:
    """Attempts are made by `Patience`, redirects by the pool. A proxy is the one that the environment names."""
    retries = urllib3.Retry(
        total=None, connect=0, read=0, status=0, other=0, redirect=REDIRECTS, respect_retry_after_header=False
    )
    options: dict[str, Any] = {
        "maxsize": politeness.connections + 1,  # the one more is a stream's
        "retries": retries,
        "timeout": urllib3.Timeout(connect=politeness.timeout, read=politeness.timeout),
    }
    proxy = getproxies().get(scheme)
    host = urlsplit(f"//{netloc}").hostname or ""
    if proxy and host not in ("localhost", "127.0.0.1", "::1") and not proxy_bypass(netloc):
        return urllib3.ProxyManager(proxy, **options)
    return urllib3.PoolManager(**options)
