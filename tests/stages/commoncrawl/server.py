"""A web server on this machine for a folder that is laid out like a crawl's data host, with faults on demand.

    with CrawlServer(folder) as server:          # http://127.0.0.1:<free port>, HTTP/1.1, keep-alive, GET and HEAD
        server.plan(
            status(503, every=7, length=3),                  # three "Slow Down" in a row at every seventh request
            status(429, retry_after="1", first=1),           # the first request of each path
            status(404, path="crawl-data/*/wet/*"),          # always
            moved("http://127.0.0.1:81/x", path="x"),        # a redirect
            truncated(after=1000, path="*.warc.gz", first=2),# 1000 bytes of the body, then the connection ends
            broken_off(every=5),                             # connection reset before the answer; after=n: in the body
            stalled(2.0, every=9),                           # silence for two seconds, then the connection ends
            dripping(0.1, first=1),                          # ten bytes at a time, so many seconds apart
            wrong_range(first=1), range_ignored(path=...),   # another Content-Range; 200 and the whole file
            status(500, path="a.gz", start=4096),            # only ranges that begin at byte 4096: that one never comes
        )
        open_fetcher(server.url, ...)
        server.count("*.gz"), server.sent("*.gz"), server.connections, server.peak, server.log

Paths are relative and matched as by `fnmatch`; `*` crosses slashes. Which requests a fault strikes is counted, never
drawn: `first=k` the first k matching requests of each path (and range start), `every=n` each n-th of all that match
and `length` in a row from there, neither: all. The first fault of the plan that strikes is what happens. A plan may be
changed while the server runs: `plan()` takes all faults away. `delay` (seconds) is how long each answer takes.
`ranged=False` is a server that knows no ranges.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

BLOCK = 64 * 1024


@dataclass
class Fault:
    """What happens to the requests that it strikes; made by the functions below."""

    kind: str
    path: str = "*"
    first: int = 0
    every: int = 0
    length: int = 1
    start: int | None = None
    method: str = "*"
    code: int = 503
    retry_after: str | None = None
    to: str | None = None
    after: int = 0
    seconds: float = 0.0
    seen: Counter[tuple[str, int | None]] = field(default_factory=Counter, repr=False)
    matched: int = 0

    def strikes(self, request: Request) -> bool:
        """Whether it happens to this request, which is counted if it matches. One caller at a time."""
        if not (fnmatchcase(request.path, self.path) and fnmatchcase(request.method, self.method)):
            return False
        if self.start is not None and request.start != self.start:
            return False
        self.matched += 1
        self.seen[request.path, request.start] += 1
        if self.first:
            return self.seen[request.path, request.start] <= self.first
        if self.every:
            return self.matched >= self.every and self.matched % self.every < self.length
        return True


def status(code: int, retry_after: str | None = None, **which: Any) -> Fault:
    """An answer without the file. `retry_after`: the header, seconds or an HTTP date."""
    return Fault("status", code=code, retry_after=retry_after, **which)


def moved(to: str, **which: Any) -> Fault:
    """A redirect to another URL."""
    return Fault("status", code=302, to=to, **which)


def truncated(after: int = 0, **which: Any) -> Fault:
    """The length of the whole body is announced, `after` bytes of it are sent, and the connection is closed."""
    return Fault("truncated", after=after, **which)


def broken_off(after: int | None = None, **which: Any) -> Fault:
    """The connection is reset: before any answer, or when `after` bytes of the body are sent."""
    return Fault("broken_off", after=-1 if after is None else after, **which)


def stalled(seconds: float, after: int | None = None, **which: Any) -> Fault:
    """Nothing comes for so long, before any answer or after so many bytes of the body; then the connection is closed."""
    return Fault("stalled", seconds=seconds, after=-1 if after is None else after, **which)


def dripping(seconds: float, **which: Any) -> Fault:
    """The body comes ten bytes at a time, so many seconds apart."""
    return Fault("dripping", seconds=seconds, **which)


def wrong_range(**which: Any) -> Fault:
    """A range request is answered with bytes that begin one later, and says so."""
    return Fault("wrong_range", **which)


def range_ignored(**which: Any) -> Fault:
    """A range request is answered with 200 and the whole file."""
    return Fault("range_ignored", **which)


def unlengthed(**which: Any) -> Fault:
    """No Content-Length: the body ends where the connection does."""
    return Fault("unlengthed", **which)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `start` and `end`: bytes [start, end) of its Range header, `end` None where open. `at`: seconds of
    time.monotonic at arrival."""

    method: str
    path: str
    start: int | None
    end: int | None
    agent: str
    at: float


@dataclass(slots=True)
class Answer:
    """What a request gets, logged at arrival: the status (0: none), bytes of the body, the kind of the fault that struck.
    Both are set before they are sent, so that a client that has its answer finds it in the log."""

    request: Request
    fault: str | None
    code: int = 0
    sent: int = 0
    over: bool = False


class CrawlServer:
    """See the top of the file. State: the folder, the plan, and what was asked until now. Safe from any thread."""

    def __init__(self, folder: Path | str, delay: float = 0.0, ranged: bool = True) -> None:
        self.folder, self.delay, self.ranged = Path(folder), delay, ranged
        self.faults: tuple[Fault, ...] = ()
        self.lock, self.closing = threading.Lock(), threading.Event()
        self.forget()
        self.http = _Http(self)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def plan(self, *faults: Fault) -> None:
        """From now on these faults and no others, counted anew."""
        with self.lock:
            self.faults = faults

    def forget(self) -> None:
        """Empties the log and the counts; connections that are open stay so and are not counted again."""
        with self.lock:
            self.log: list[Answer] = []
            self.connections = self.running = self.peak = 0

    def count(self, path: str = "*", method: str = "*", code: int | None = None) -> int:
        """Requests so far, faults included. `code` 0: those that got none."""
        return sum(1 for _ in self._matching(path, method, code))

    def sent(self, path: str = "*", method: str = "GET") -> int:
        """Bytes of bodies sent so far, of files alone (not of error pages)."""
        return sum(a.sent for a in self._matching(path, method, None) if a.code in (200, 206))

    def agents(self) -> set[str]:
        """The User-Agent headers seen."""
        with self.lock:
            return {answer.request.agent for answer in self.log}

    def close(self) -> None:
        """Stop, and end every connection."""
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()
        self.http.hang_up()
        self.thread.join()

    def __enter__(self) -> CrawlServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _matching(self, path: str, method: str, code: int | None) -> Iterator[Answer]:
        with self.lock:
            log = list(self.log)
        for answer in log:
            if code is not None and answer.code != code:
                continue
            if fnmatchcase(answer.request.path, path) and fnmatchcase(answer.request.method, method):
                yield answer

    @contextmanager
    def serving(self, request: Request) -> Iterator[tuple[Answer, Fault | None]]:
        """Counts a request while it is answered; yields its line of the log and the fault that strikes it."""
        with self.lock:
            self.running += 1
            self.peak = max(self.peak, self.running)
            struck = next((fault for fault in self.faults if fault.strikes(request)), None)
            answer = Answer(request, struck.kind if struck else None)
            self.log.append(answer)
        try:
            yield answer, struck
        finally:
            self.ends(answer)

    def ends(self, answer: Answer) -> None:
        """From here on a request is not at work any more: its last byte may be with the client before its thread ends."""
        with self.lock:
            self.running -= not answer.over
            answer.over = True


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, crawl: CrawlServer) -> None:
        self.crawl = crawl
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self.crawl.lock:
            self.crawl.connections += 1
            self.open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self.crawl.lock:
            self.open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        with self.crawl.lock:
            still = list(self.open)
        for connection in still:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the client was faster
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class _Gone(Exception):
    """The connection was ended on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "CrawlServer/1"
    disable_nagle_algorithm = True
    server: _Http
    line: Answer

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        crawl = self.server.crawl
        path = unquote(urlsplit(self.path).path).lstrip("/")
        start, end = _range(self.headers.get("Range"))
        request = Request(self.command, path, start, end, self.headers.get("User-Agent", ""), time.monotonic())
        with crawl.serving(request) as (self.line, fault):
            try:
                if crawl.delay:
                    crawl.closing.wait(crawl.delay)
                self._answer(request, fault)
            except (_Gone, ConnectionError):
                self.close_connection = True

    def _answer(self, request: Request, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        if fault and kind in ("broken_off", "stalled") and fault.after < 0:
            self._end(fault)
        if fault and kind == "status":
            return self._refuse(fault.code, **{"Retry-After": fault.retry_after, "Location": fault.to})
        file = self.server.crawl.folder / request.path
        if ".." in request.path.split("/") or not file.is_file():
            return self._refuse(404)
        with file.open("rb") as handle:
            facts = os.fstat(handle.fileno())
            tag, modified = f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"', formatdate(facts.st_mtime, usegmt=True)
            start, end, size = request.start, request.end, facts.st_size
            same = self.headers.get("If-Range") in (None, tag, modified)
            if start is None or kind == "range_ignored" or not self.server.crawl.ranged or not same:
                code, start, end = 200, 0, size
            elif start >= size:
                return self._refuse(416, **{"Content-Range": f"bytes */{size}"})
            else:
                code, end = 206, min(size if end is None else end, size)
            shift = 1 if kind == "wrong_range" and code == 206 else 0
            self._begin(code)
            self.send_header("ETag", tag)
            self.send_header("Last-Modified", modified)
            self.send_header("Accept-Ranges", "bytes" if self.server.crawl.ranged else "none")
            if kind == "unlengthed":
                self.close_connection = True
                self.send_header("Connection", "close")
            else:
                self.send_header("Content-Length", str(end - start))
            if code == 206:
                self.send_header("Content-Range", f"bytes {start + shift}-{end - 1 + shift}/{size}")
            self.end_headers()
            if request.method == "GET":
                handle.seek(start + shift)
                self._body(handle, end - start, fault)
        return None

    def _body(self, handle: Any, length: int, fault: Fault | None) -> None:
        breaks = fault is not None and fault.kind in ("truncated", "broken_off", "stalled")
        whole = min(length, fault.after) if fault and breaks else length
        drips = fault is not None and fault.kind == "dripping"
        while self.line.sent < whole:
            if fault and drips:
                self.server.crawl.closing.wait(fault.seconds)
            block = handle.read(min(10 if drips else BLOCK, whole - self.line.sent))
            if not block:
                break
            self.line.sent += len(block)
            if self.line.sent >= whole:
                self.server.crawl.ends(self.line)
            self.wfile.write(block)
        if fault and breaks:
            self._end(fault)

    def _end(self, fault: Fault) -> None:
        if fault.kind == "stalled":
            self.server.crawl.closing.wait(fault.seconds)
        if fault.kind == "broken_off":  # a close that lingers for no time sends a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()
        raise _Gone

    def _begin(self, code: int) -> None:
        self.line.code = code
        self.send_response(code, "Slow Down" if code == 503 else None)

    def _refuse(self, code: int, **headers: str | None) -> None:
        self._begin(code)
        page = b"<Error><Code>%d</Code></Error>" % code
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command == "GET":
            self.line.sent = len(page)
            self.wfile.write(page)


def _range(header: str | None) -> tuple[int | None, int | None]:
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", header or "")
    if match is None:
        return None, None
    return int(match[1]), int(match[2]) + 1 if match[2] else None
