"""What an HTTP answer to a request for some bytes brings: those bytes, another try, or the end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from urllib3 import BaseHTTPResponse

from winnow.stages.commoncrawl.fetching import FetchError, NotThere
from winnow.stages.commoncrawl.patience import retry_after

AGAIN = frozenset({403, 408, 425, 429})
"""Statuses that a later attempt may mend, as all from 500 on. 403 is how Common Crawl's host answers who is too fast."""

SLOW_DOWN = frozenset({403, 429, 503})
"""Statuses that are about the client, not about the file: all threads wait."""

GONE = frozenset({404, 410})


class Again(Exception):
    """An attempt that failed and may be made again; `retry_after`: seconds; `slow`: all threads are to wait."""

    def __init__(self, cause: str, retry_after: float | None = None, slow: bool = False) -> None:
        super().__init__(cause)
        self.cause, self.retry_after, self.slow = cause, retry_after, slow


class Impossible(Exception):
    """What no attempt will mend: the cause, and the error to raise for it."""

    def __init__(self, cause: str, kind: type[FetchError] = FetchError) -> None:
        super().__init__(cause)
        self.cause, self.kind = cause, kind


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


def refused(response: BaseHTTPResponse) -> Again | Impossible | None:
    """What a status without the bytes means; None for 200 and 206."""
    code = response.status
    if code in (200, 206):
        return None
    cause = f"HTTP {code} {response.reason or _phrase(code)}".rstrip()
    if code in GONE:
        return Impossible(cause, NotThere)
    if code in AGAIN or code >= 500:
        return Again(cause, retry_after(response.headers), code in SLOW_DOWN)
    if code == 416:
        size = response.headers.get("Content-Range", "").rpartition("/")[2]
        return Impossible(f"{cause}: the range begins behind the end of the file" + f", at {size}" * size.isdigit())
    return Impossible(cause)


def bytes_of(response: BaseHTTPResponse, start: int, end: int | None, known: Version) -> tuple[Version, int | None]:
    """The version that a 200 or 206 is about, and the offset in the file at which its body ends, None where only the
    body tells. Raises Again or Impossible where its body is not the bytes from `start` to `end` (None: to the file's
    end) of `known`."""
    if response.status == 206:
        return _part(response, start, end, known)
    size = _length(response)
    seen = _version(response, size)
    if known.other(seen):
        raise Impossible("the file is another than when reading it began")
    if start > 0 or (end is not None and end != size):
        raise Impossible("a request for a range is answered with the whole file; expected a host that knows ranges")
    if size is None and not response.chunked:
        raise Impossible("the answer has no length, so that its end looks like a broken connection")
    return seen, size


def _part(response: BaseHTTPResponse, start: int, end: int | None, known: Version) -> tuple[Version, int]:
    header = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", header)
    wanted = f"{start}-{'' if end is None else end - 1}"
    if match is None or int(match[1]) != start:
        raise Again(f"Content-Range is '{header}', wanted bytes {wanted}")
    size = None if match[3] == "*" else int(match[3])
    seen = _version(response, size)
    if known.other(seen):
        raise Impossible("the file is another than when reading it began")
    last = int(match[2]) + 1
    if end is not None and last < end and last == size:
        raise Impossible(f"the file has {size} bytes, wanted bytes {wanted}")
    if last != (size if end is None and size is not None else end or last):
        raise Again(f"Content-Range is '{header}', wanted bytes {wanted}")
    if _length(response) not in (None, last - start):
        raise Again(f"Content-Length is {response.headers['Content-Length']} for Content-Range '{header}'")
    return seen, last


def described(response: BaseHTTPResponse) -> tuple[Version, int]:
    """The file that a HEAD answer is about, and its bytes. Raises Impossible."""
    size = _length(response)
    if size is None:
        raise Impossible("HEAD is answered without a Content-Length")
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
