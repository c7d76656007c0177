"""The two fetchers: an HTTP host, and an object store or a folder that mirrors one, through fsspec."""

from __future__ import annotations

import errno
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import fsspec
import urllib3
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, LocationParseError, MaxRetryError

from winnow.stages.commoncrawl.fetcher import Fetcher, FetchError, NotThere, Politeness, Range, below
from winnow.stages.commoncrawl.ranged_file import RangedFile
from winnow.stages.commoncrawl.rate_limit import Stopped, limiter_of
from winnow.stages.commoncrawl.retry import (
    Permanent,
    Retryable,
    RetryState,
    Version,
    bytes_of,
    check_status,
    described,
)

BLOCK = 256 * 1024
"""Bytes that are read from a connection at a time at most."""

STORE_BLOCK = 8 * 2**20
"""Bytes of one piece of a stream from a store."""

SLOWEST = 1024
"""Bytes a second, on average after `timeout`, below which a connection is given up."""

ERROR_PAGE = 16 * 1024
"""Longest body of an error that is read to keep its connection."""

REDIRECTS = 5

HOPELESS = frozenset({errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.ENAMETOOLONG, errno.EISDIR})
"""What another attempt would not mend; s3fs gives a refused request as EINVAL."""

S3 = ("s3://", "s3a://")

NEVER = threading.Event()

Got = TypeVar("Got")


def open_fetcher(endpoint: str, politeness: Politeness | None = None) -> Fetcher:
    """A fetcher of `http://` and `https://` URLs, `s3://bucket` and any other fsspec URL, or a local folder. Asks for
    nothing yet. Raises FetchError for a scheme that cannot be opened."""
    over_http = endpoint.lower().startswith(("http://", "https://"))
    return (HttpFetcher if over_http else StoreFetcher)(endpoint, politeness or Politeness())


class HttpFetcher(Fetcher):
    """Files of `http://` and `https://`. State: the pool of connections, kept alive, and the counters."""

    def __init__(self, endpoint: str, politeness: Politeness) -> None:
        super().__init__(endpoint, politeness)
        parts = urlsplit(endpoint)
        if not parts.hostname or parts.username or parts.query or parts.fragment:
            raise FetchError(f"'{endpoint}' is no endpoint; expected one such as https://data.commoncrawl.org")
        self.limiter = limiter_of(parts.netloc.rpartition("@")[2].lower())
        self.gate = self.limiter.gate(politeness.connections)
        self.pool = _pool(parts.scheme.lower(), parts.netloc, politeness)

    def read(self, path: str) -> bytes:
        return b"".join(self._pieces(path, 0, None, self.gate, NEVER))

    def size(self, path: str) -> int:
        return self._head(path)[1]

    def read_range(self, wanted: Range, stop: threading.Event) -> bytes:
        return b"".join(self._pieces(wanted.path, wanted.start, wanted.end, self.gate, stop))

    def stream(self, path: str) -> Iterator[bytes]:
        # Not through the gate: who reads slowly, or reads another file meanwhile, would wait for himself.
        return self._pieces(path, 0, None, nullcontext(), NEVER)

    def ranged_file(self, path: str) -> BinaryIO:
        version, size = self._head(path)
        known = [version]

        def fetch(start: int, end: int) -> bytes:
            return b"".join(self._pieces(path, start, end, self.gate, NEVER, known))

        return cast(BinaryIO, RangedFile(f"{self.endpoint}/{path}", size, fetch))

    def close(self) -> None:
        self.pool.clear()

    def _head(self, path: str) -> tuple[Version, int]:
        retries = RetryState(f"{self.endpoint}/{path}", self.politeness, self.limiter, self.traffic, NEVER)
        while True:
            retries.before_request()
            try:
                with self.gate:
                    response = self._request("HEAD", path, {})
                    response.drain_conn()
                    response.release_conn()
                check_status(response)
                return described(response)
            except (Retryable, Permanent, HTTPError) as error:
                retries.after_failure(_classified(error))

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
        which = "" if start == 0 and end is None else f" [bytes {start}-{'' if end is None else end - 1}]"
        retries = RetryState(f"{self.endpoint}/{path}{which}", self.politeness, self.limiter, self.traffic, stop)
        place = start
        while True:
            retries.before_request()
            try:
                with gate:
                    response = self._request("GET", path, _range(place, end, known[0]))
                    try:
                        _drain_error(response)
                        check_status(response)
                        known[0], upto = bytes_of(response, place, end, known[0])
                        for piece in self._body(response, stop):
                            retries.received(len(piece))
                            place += len(piece)
                            yield piece
                        if upto is not None and place != upto:
                            raise Retryable(f"the body ended after byte {place} of {upto}")
                        return
                    finally:
                        if not response.closed:
                            response.close()  # not read to its end: of no use for the next request
                        response.release_conn()
            except (Retryable, Permanent, HTTPError) as error:
                retries.after_failure(_classified(error))

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
                raise Retryable(f"{read:.0f} bytes in {reading:.0f} s is too slow")

    def _request(self, method: str, path: str, headers: dict[str, str]) -> BaseHTTPResponse:
        url = f"{self.endpoint}/{quote(below(self.endpoint, path), safe='/=:+,@~!$&()*;')}"
        sent = {"User-Agent": self.politeness.user_agent, "Accept-Encoding": "identity", **headers}
        return self.pool.request(method, url, headers=sent, preload_content=False, decode_content=False)


def _range(place: int, end: int | None, known: Version) -> dict[str, str]:
    if place == 0 and end is None:
        return {}
    wanted = {"Range": f"bytes={place}-{'' if end is None else end - 1}"}
    return wanted | ({"If-Range": known.condition} if known.condition else {})


def _classified(error: Retryable | Permanent | HTTPError) -> Retryable | Permanent:
    """Whether another attempt may mend what urllib3 raised."""
    if isinstance(error, Retryable | Permanent):
        return error
    reason = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
    said = str(reason.args[0] if reason.args else reason).partition("\n")[0]
    cause = f"{type(reason).__name__}: {said or 'no answer'}"
    not_trusted = any(isinstance(arg, ssl.SSLCertVerificationError) for arg in (reason.__cause__, *reason.args))
    return Permanent(cause) if isinstance(reason, LocationParseError) or not_trusted else Retryable(cause)


def _drain_error(response: BaseHTTPResponse) -> None:
    """Reads a short error page, so that its connection can be used again."""
    short = response.length_remaining is not None and response.length_remaining <= ERROR_PAGE
    if response.status not in (200, 206) and short:
        response.drain_conn()


def _pool(scheme: str, netloc: str, politeness: Politeness) -> urllib3.PoolManager:
    """Attempts are made by `RetryState`, redirects by the pool. A proxy is the one that the environment names."""
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


class StoreFetcher(Fetcher):
    """Files of any fsspec URL and of local folders. State: the counters. `requests` counts what fsspec is asked for, which
    may be two of a store's requests. A stream is read in pieces of STORE_BLOCK bytes."""

    def __init__(self, endpoint: str, politeness: Politeness) -> None:
        super().__init__(endpoint, politeness)
        self.anonymous = endpoint.startswith(S3) and not _has_credentials()
        try:
            self.fs, self.root = fsspec.core.url_to_fs(endpoint, **self._options())
        except (ValueError, ImportError) as error:
            hint = "; pip install 'winnow[s3]'" if endpoint.startswith("s3:") else ""
            raise FetchError(f"'{endpoint}' cannot be opened: {error}{hint}") from error
        if endpoint.startswith(S3):
            self.fs.retries = 1  # s3fs would try five times for each attempt that is counted here
        self.root = self.root.rstrip("/")
        self.limiter = limiter_of("".join(endpoint.partition("://")[:2]) + self.root.partition("/")[0])
        self.gate = self.limiter.gate(politeness.connections)

    def read(self, path: str) -> bytes:
        return self._try(path, "", lambda at: bytes(self.fs.cat_file(at)), NEVER)

    def size(self, path: str) -> int:
        return int(self._info(path)["size"])

    def read_range(self, wanted: Range, stop: threading.Event) -> bytes:
        start, end = wanted.start, wanted.end

        def fetch(at: str) -> bytes:
            data = bytes(self.fs.cat_file(at, start=start, end=end))
            if len(data) != end - start:
                size = int(self.fs.size(at))
                if size < end:
                    raise OSError(errno.EINVAL, f"the file has {size} bytes")
                raise Retryable(f"{len(data)} bytes came, wanted {end - start}")
            return data

        return self._try(wanted.path, f" [bytes {start}-{end - 1}]", fetch, stop) if end > start else b""

    def stream(self, path: str) -> Iterator[bytes]:
        before = self._info(path)
        for start in range(0, before["size"], STORE_BLOCK):
            yield self.read_range(Range(path, start, min(start + STORE_BLOCK, before["size"])), NEVER)
        if _stamp(self._info(path)) != _stamp(before):
            raise FetchError(f"{self.endpoint}/{path}: the file is another than when reading it began")

    def ranged_file(self, path: str) -> BinaryIO:
        def fetch(start: int, end: int) -> bytes:
            return self.read_range(Range(path, start, end), NEVER)

        return cast(BinaryIO, RangedFile(f"{self.endpoint}/{path}", self.size(path), fetch))

    def _info(self, path: str) -> dict[str, Any]:
        def fetch(at: str) -> dict[str, Any]:
            info: dict[str, Any] = self.fs.info(at)
            if info["type"] != "file":
                raise OSError(errno.EISDIR, "it is a folder")
            return info

        return self._try(path, "", fetch, NEVER)

    def _try(self, path: str, which: str, fetch: Callable[[str], Got], stop: threading.Event) -> Got:
        """What `fetch` gives for the path in the store, after as many attempts as it takes. Raises FetchError."""
        at = f"{self.root}/{below(self.endpoint, path)}"
        retries = RetryState(f"{self.endpoint}/{path}{which}", self.politeness, self.limiter, self.traffic, stop)
        failures: tuple[type[Exception], ...] = (Retryable, OSError, *_transient_errors())
        while True:
            retries.before_request()
            try:
                with self.gate:
                    got = fetch(at)
            except failures as error:
                retries.after_failure(self._classified(error))
                continue
            if isinstance(got, bytes):
                retries.received(len(got))
            return got

    def _classified(self, error: Exception) -> Retryable | Permanent:
        """Whether another attempt may mend what the store's library raised."""
        if isinstance(error, Retryable):
            return error
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return Permanent("no such file", NotThere)
        if isinstance(error, PermissionError):
            hint = "; no AWS credentials were found, so it was asked without (https://data.commoncrawl.org needs none)"
            return Permanent(f"not allowed: {error}{hint if self.anonymous else ''}")
        cause = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
        code = error.errno if isinstance(error, OSError) else None
        if code in HOPELESS:
            return Permanent(cause)
        return Retryable(cause, slow=code == errno.EBUSY)  # s3fs gives "503 Slow Down" as EBUSY

    def _options(self) -> dict[str, Any]:
        if not self.endpoint.startswith(S3):
            return {}
        config: dict[str, Any] = {
            "retries": {"total_max_attempts": 1},
            "connect_timeout": self.politeness.timeout,
            "read_timeout": self.politeness.timeout,
            "max_pool_connections": self.politeness.connections,
            "user_agent_extra": self.politeness.user_agent,
        }
        return {"config_kwargs": config, **({"anon": True} if self.anonymous else {})}


def _has_credentials() -> bool:
    """Whether AWS credentials are configured, in fsspec or anywhere that botocore looks."""
    if {"key", "anon", "profile"} & set(fsspec.config.conf.get("s3", {})):
        return True
    try:
        import botocore.session
    except ImportError:  # opening the store says so
        return True
    return botocore.session.Session().get_credentials() is not None


def _transient_errors() -> tuple[type[Exception], ...]:
    """Errors of stores' libraries that another attempt may mend and that are no OSError."""
    named = (
        ("aiohttp", "ClientError"),
        ("botocore.exceptions", "HTTPClientError"),
        ("botocore.exceptions", "IncompleteReadError"),
        ("botocore.parsers", "ResponseParserError"),
        ("gcsfs.retry", "HttpError"),
    )
    return tuple(getattr(sys.modules[module], name) for module, name in named if module in sys.modules)


def _stamp(info: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(info.get(key) for key in ("size", "mtime", "ETag", "LastModified", "ino"))
