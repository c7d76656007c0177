"""What an answer brings: the bytes, another attempt or the end; and how long one thing is tried.

urllib3's own Retry does not serve: it knows nothing of bodies that break off or crawl, of a pause that all threads of a run
keep, nor of requests that are counted.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from urllib3 import BaseHTTPResponse

from winnow.stages.commoncrawl.fetcher import FetchError, NotThere, Politeness, Traffic
from winnow.stages.commoncrawl.rate_limit import RateLimiter

LONGEST_BACKOFF = 120.0
LONGEST_RETRY_AFTER = 600.0
"""Seconds. A host that asks for more is asked again after this."""

PROGRESS = 256 * 1024
"""Bytes that came after which attempts are counted anew: a long file may break more often than a short one."""

_random = random.Random()  # its own, so that nobody else's seeded draws depend on how often a host failed


class Retryable(Exception):
    """An attempt that failed and may be made again; `retry_after`: seconds; `slow`: all threads are to wait."""

    def __init__(self, cause: str, retry_after: float | None = None, slow: bool = False) -> None:
        super().__init__(cause)
        self.cause, self.retry_after, self.slow = cause, retry_after, slow


class Permanent(Exception):
    """What no attempt will mend: the cause, and the error to raise for it."""

    def __init__(self, cause: str, kind: type[FetchError] = FetchError) -> None:
        super().__init__(cause)
        self.cause, self.kind = cause, kind


class RetryState:
    """One thing that is being fetched. State: how often it failed since it last made progress."""

    def __init__(
        self, what: str, politeness: Politeness, limiter: RateLimiter, traffic: Traffic, stop: threading.Event
    ) -> None:
        self.what, self.politeness, self.limiter, self.traffic, self.stop = what, politeness, limiter, traffic, stop
        self.failures = self.all_failures = self.progress = 0
        self.began = time.monotonic()

    def before_request(self) -> None:
        """Waits until a request may be sent, and counts it. Raises rate_limit.Stopped where it is not wanted any more."""
        self.limiter.wait(self.politeness.requests_per_second, self.stop)
        self.traffic.add(requests=1)

    def received(self, size: int) -> None:
        """So many bytes came."""
        self.traffic.add(bytes=size)
        self.progress += size
        if self.progress >= PROGRESS:
            self.failures = self.progress = 0

    def after_failure(self, error: Retryable | Permanent) -> None:
        """Waits for the next attempt. Raises FetchError where there is none: after the last, or for what none would mend."""
        if isinstance(error, Permanent):
            self.traffic.add(failures=1)
            raise error.kind(f"{self.what}: {error.cause}") from error
        self.failures += 1
        self.all_failures += 1
        if self.failures >= self.politeness.attempts:
            seconds = time.monotonic() - self.began
            self.traffic.add(failures=1)
            raise FetchError(
                f"{self.what}: {error.cause} (tried {self.all_failures} times in {seconds:.0f} s)"
            ) from error
        delay = max(error.retry_after or 0.0, jittered(self.politeness.backoff, self.failures))
        if error.slow:
            self.limiter.hold(delay, self.politeness.requests_per_second)
        self.traffic.add(retries=1)
        self.stop.wait(delay)


def jittered(backoff: float, failures: int) -> float:
    """Seconds before the next attempt: anything from 0 to a bound that doubles, so that clients spread."""
    return _random.uniform(0, min(LONGEST_BACKOFF, backoff * 2 ** min(failures - 1, 30)))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date by the host's own clock; capped."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(LONGEST_RETRY_AFTER, float(value))
    try:
        then = parsedate_to_datetime(value).timestamp()
    except ValueError:
        return None
    try:
        now = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except ValueError:
        now = time.time()
    return min(LONGEST_RETRY_AFTER, max(0.0, then - now))


TRANSIENT = frozenset({403, 408, 425, 429})
"""Statuses that a later attempt may mend, as all from 500 on. 403 is how Common Crawl's host answers who is too fast."""

SLOW_DOWN = frozenset({403, 429, 503})
"""Statuses that are about the client, not about the file: all threads wait."""

GONE = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class Version:
    """Which content a file has, as far as the host says. `tag`: a strong ETag. `size`: bytes."""

    tag: str | None = None
    modified: str | None = None
    size: int | None = None

    @property
    def condition(self) -> str | None:
        """For If-Range: an ETag or a date that stands for these very bytes."""
        return self.tag or self.modified

    def other(self, seen: Version) -> bool:
        """Whether `seen` is certainly another content."""
        pairs = ((self.tag, seen.tag), (self.modified, seen.modified), (self.size, seen.size))
        return any(mine is not None and theirs is not None and mine != theirs for mine, theirs in pairs)


def check_status(response: BaseHTTPResponse) -> None:
    """Raises Retryable or Permanent for a status without the bytes; nothing for 200 and 206."""
    code = response.status
    if code in (200, 206):
        return
    cause = f"HTTP {code} {response.reason or _phrase(code)}".rstrip()
    if code in GONE:
        raise Permanent(cause, NotThere)
    if code in TRANSIENT or code >= 500:
        raise Retryable(cause, retry_after(response.headers), code in SLOW_DOWN)
    if code == 416:
        size = response.headers.get("Content-Range", "").rpartition("/")[2]
        raise Permanent(f"{cause}: the range begins behind the end of the file" + f", at {size}" * size.isdigit())
    raise Permanent(cause)


def bytes_of(response: BaseHTTPResponse, start: int, end: int | None, known: Version) -> tuple[Version, int | None]:
    """The version that a 200 or 206 is about, and the offset in the file at which its body ends, None where only the
    body tells. Raises Retryable or Permanent where its body is not the bytes from `start` to `end` (None: to the file's
    end) of `known`."""
    if response.status == 206:
        return _part(response, start, end, known)
    size = _length(response)
    seen = _version(response, size)
    if known.other(seen):
        raise Permanent("the file is another than when reading it began")
    if start > 0 or (end is not None and end != size):
        raise Permanent("a request for a range is answered with the whole file; expected a host that knows ranges")
    if size is None and not response.chunked:
        raise Permanent("the answer has no length, so that its end looks like a broken connection")
    return seen, size


def _part(response: BaseHTTPResponse, start: int, end: int | None, known: Version) -> tuple[Version, int]:
    header = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", header)
    wanted = f"{start}-{'' if end is None else end - 1}"
    if match is None or int(match[1]) != start:
        raise Retryable(f"Content-Range is '{header}', wanted bytes {wanted}")
    size = None if match[3] == "*" else int(match[3])
    seen = _version(response, size)
    if known.other(seen):
        raise Permanent("the file is another than when reading it began")
    last = int(match[2]) + 1
    if end is not None and last < end and last == size:
        raise Permanent(f"the file has {size} bytes, wanted bytes {wanted}")
    if last != (size if end is None and size is not None else end or last):
        raise Retryable(f"Content-Range is '{header}', wanted bytes {wanted}")
    if _length(response) not in (None, last - start):
        raise Retryable(f"Content-Length is {response.headers['Content-Length']} for Content-Range '{header}'")
    return seen, last


def described(response: BaseHTTPResponse) -> tuple[Version, int]:
    """The file that a HEAD answer is about, and its bytes. Raises Permanent."""
    size = _length(response)
    if size is None:
        raise Permanent("HEAD is answered without a Content-Length")
    return _version(response, size), size


def _length(response: BaseHTTPResponse) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdigit() and not response.chunked else None


def _version(response: BaseHTTPResponse, size: int | None) -> Version:
    tag, modified = response.headers.get("ETag"), response.headers.get("Last-Modified")
    try:
        parsedate_to_datetime(modified or "")
    except ValueError:
        modified = None
    return Version(None if tag is None or tag.startswith("W/") else tag, modified, size)


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return ""
