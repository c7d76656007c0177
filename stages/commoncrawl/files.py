"""Files of an object store, or of a folder that mirrors a data host: the same reads through fsspec."""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, BinaryIO, TypeVar, cast

import fsspec

from winnow.stages.commoncrawl.ahead import in_order
from winnow.stages.commoncrawl.fetching import FetchError, NotThere, Politeness, Range, Traffic, below
from winnow.stages.commoncrawl.handle import RangedFile
from winnow.stages.commoncrawl.limits import pace_of
from winnow.stages.commoncrawl.patience import Patience

BLOCK = 8 * 2**20
"""Bytes of one piece of a stream."""

HOPELESS = frozenset({errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.ENAMETOOLONG, errno.EISDIR})
"""What another attempt would not mend; s3fs gives a refused request as EINVAL."""

S3 = ("s3://", "s3a://")

NEVER = threading.Event()

Got = TypeVar("Got")


class Short(Exception):
    """Fewer bytes came than the file has there."""


class FileFetcher:
    """`fetching.Fetcher` of any fsspec URL and of local folders. State: the counters. `requests` counts what fsspec is asked
    for, which may be two of a store's requests. A stream is read in pieces of BLOCK bytes."""

    def __init__(self, endpoint: str, politeness: Politeness) -> None:
        self.endpoint, self.politeness, self.traffic = endpoint.rstrip("/"), politeness, Traffic()
        self.anonymous = False
        try:
            self.fs, self.root = fsspec.core.url_to_fs(endpoint, **self._options())
        except (ValueError, ImportError) as error:
            hint = "; pip install 'winnow[s3]'" if endpoint.startswith("s3:") else ""
            raise FetchError(f"'{endpoint}' cannot be opened: {error}{hint}") from error
        if endpoint.startswith(S3):
            self.fs.retries = 1  # s3fs would try five times for each attempt that is counted here
        self.root = self.root.rstrip("/")
        self.pace = pace_of("".join(endpoint.partition("://")[:2]) + self.root.partition("/")[0])
        self.gate = self.pace.gate(politeness.connections)

    def read(self, path: str) -> bytes:
        return self._try(path, "", lambda at: bytes(self.fs.cat_file(at)), NEVER)

    def size(self, path: str) -> int:
        return int(self._info(path)["size"])

    def ranges(self, wanted: Sequence[Range]) -> Iterator[tuple[Range, bytes | FetchError]]:
        def one(item: Range, stop: threading.Event) -> bytes:
            return self._range(item.path, item.start, item.end, stop)

        return in_order(wanted, one, self.politeness.connections)

    def stream(self, path: str) -> Iterator[bytes]:
        before = self._info(path)
        for start in range(0, before["size"], BLOCK):
            yield self._range(path, start, min(start + BLOCK, before["size"]))
        if _stamp(self._info(path)) != _stamp(before):
            raise FetchError(f"{self.endpoint}/{path}: the file is another than when reading it began")

    def handle(self, path: str) -> BinaryIO:
        name = f"{self.endpoint}/{path}"
        return cast(BinaryIO, RangedFile(name, self.size(path), partial(self._range, path)))

    def close(self) -> None:
        """Nothing: fsspec keeps a store's connections for the process."""

    def __enter__(self) -> FileFetcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _range(self, path: str, start: int, end: int, stop: threading.Event = NEVER) -> bytes:
        if start == end:
            return b""

        def fetch(at: str) -> bytes:
            data = bytes(self.fs.cat_file(at, start=start, end=end))
            if len(data) != end - start:
                size = int(self.fs.size(at))
                if size < end:
                    raise OSError(errno.EINVAL, f"the file has {size} bytes")
                raise Short(f"{len(data)} bytes came, wanted {end - start}")
            return data

        return self._try(path, f" [bytes {start}-{end - 1}]", fetch, stop)

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
        patience = Patience(f"{self.endpoint}/{path}{which}", self.politeness, self.pace, self.traffic, stop)
        transient: tuple[type[Exception], ...] = (OSError, Short, *_transient())
        while True:
            patience.ask()
            try:
                with self.gate:
                    got = fetch(at)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise patience.given_up("no such file", NotThere) from error
            except PermissionError as error:
                raise patience.given_up(f"not allowed: {error}{self._how_to_be_allowed()}") from error
            except transient as error:
                cause = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
                code = error.errno if isinstance(error, OSError) else None
                if code in HOPELESS:
                    raise patience.given_up(cause) from error
                patience.failed(cause, slow=code == errno.EBUSY)  # s3fs gives "503 Slow Down" as EBUSY
                continue
            if isinstance(got, bytes):
                patience.got(len(got))
            return got

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
        self.anonymous = not _has_credentials()
        return {"config_kwargs": config, **({"anon": True} if self.anonymous else {})}

    def _how_to_be_allowed(self) -> str:
        if not self.anonymous:
            return ""
        return "; no AWS credentials were found, so it was asked without (https://data.commoncrawl.org needs none)"


def _has_credentials() -> bool:
    """Whether AWS credentials are configured, in fsspec or anywhere that botocore looks."""
    if {"key", "anon", "profile"} & set(fsspec.config.conf.get("s3", {})):
        return True
    try:
        import botocore.session
    except ImportError:  # opening the store says so
        return True
    return botocore.session.Session().get_credentials() is not None


def _transient() -> tuple[type[Exception], ...]:
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
