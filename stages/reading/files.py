"""One file on any fsspec filesystem: its address as it may be shown, the file as it was planned, a window on its bytes.

Settings keep the whole address, with user, password and the query in which tokens and signatures are; reading needs it.
Whatever is shown or written down is shown or written without them.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import fsspec.core
import xxhash
from fsspec.implementations.local import LocalFileSystem

from winnow.stages.base import StageError
from winnow.stages.source import InputFile

ACCOUNT = re.compile(r"(?<=://)[^/@\s'\"]+@")
QUERY = re.compile(r"(?P<address>\b[A-Za-z][\w+.-]*://[^\s?'\"<>]*)\?[^\s'\"<>*?]*=[^\s'\"<>]*")


def public(text: str) -> str:
    """A text with every account and every query of an address in it left out."""
    return QUERY.sub(r"\g<address>", ACCOUNT.sub("", text)) if "://" in text else text


def filed(url: str) -> str:
    """An address under which something is kept: addresses that differ in their queries stay apart."""
    if "://" not in url:
        return url
    shown = public(url)
    bare = ACCOUNT.sub("", url)
    return shown if shown == bare else f"{shown} ({xxhash.xxh64_hexdigest(bare)})"


def public_tree(tree: Any) -> Any:
    """The same for every string of a tree of mappings and lists."""
    if isinstance(tree, dict):
        return {key: public_tree(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [public_tree(value) for value in tree]
    return public(tree) if isinstance(tree, str) else tree


STAMPS = ("ETag", "etag", "generation", "md5Hash", "LastModified", "Last-Modified", "mtime", "last_modified", "Content-MD5", "created")  # fmt: skip
"""What filesystems call what changes with a file's content, the surest first."""


def server_errors() -> tuple[type[Exception], ...]:
    """Errors of servers that are no OSError: those of the libraries behind http://, hf:// and s3://, if they are loaded."""
    names = {
        "aiohttp": "ClientError",
        "httpx": "HTTPError",
        "urllib3.exceptions": "HTTPError",
        "botocore.exceptions": "BotoCoreError",
    }
    return tuple(getattr(sys.modules[module], name) for module, name in names.items() if module in sys.modules)


def reason_of(failure: BaseException) -> str:
    """What a server or a filesystem said, in a line; the cause that a library gives of it, where there is one."""
    cause = failure.__cause__ if isinstance(failure, FileNotFoundError) and failure.__cause__ else failure
    return public(" ".join(str(cause).split())[:300]) or type(cause).__name__


class FileState(NamedTuple):
    """A file as it is now. `size` is None where a server does not tell it; `stamp` is st_mtime_ns on a local disk, elsewhere
    the first of STAMPS that there is, '' for none; `inode` is 0 elsewhere."""

    size: int | None
    stamp: str
    inode: int


def filesystem(url: str, listed: bool = False) -> tuple[Any, str]:
    """The fsspec filesystem of a URL, which asks its server anew each time unless `listed`, and the path there. What has no scheme is a local
    path, whatever characters it holds: fsspec would take `a::b` for a file in an archive."""
    if "://" not in url:
        return LocalFileSystem(), str(Path(url).expanduser().absolute())
    found: tuple[Any, str] = fsspec.core.url_to_fs(url, **({} if listed else {"use_listings_cache": False}))
    return found


def file_state(fs: Any, path: str) -> FileState:
    """Raises OSError, FileNotFoundError among them."""
    if isinstance(fs, LocalFileSystem):
        there = Path(path).stat()
        return FileState(there.st_size, str(there.st_mtime_ns), there.st_ino)
    info = fs.info(path)
    size = info.get("size")
    return FileState(None if size is None else int(size), stamp_of(info), 0)


def stamp(fs: Any, path: str) -> tuple[int, str]:
    """Size and stamp of a file. On a local disk that is its times and its inode: what is written to, replaced or copied has
    others, whatever time it was given afterwards. Raises FileNotFoundError."""
    if isinstance(fs, LocalFileSystem):
        there = Path(path).stat()
        return there.st_size, f"{there.st_mtime_ns}-{there.st_ctime_ns}-{there.st_ino}"
    info = fs.info(path)
    return int(info["size"]), stamp_of(info)


def stamp_of(info: dict[str, Any]) -> str:
    """The stamp among what a filesystem says of a file."""
    return next((str(info[key]) for key in STAMPS if info.get(key)), "")


@contextmanager
def as_planned(file: InputFile) -> Iterator[tuple[Any, str]]:
    """The filesystem and path of a file, for a block that reads it. Raises StageError where the file cannot be looked at, and
    where it is not the planned one when the block begins, or not the same any more when it has read: whatever it has read
    by then must not be recorded."""
    fs, path = filesystem(file.url)
    try:
        before = file_state(fs, path)
    except FileNotFoundError as failure:
        raise StageError(
            f"cannot open {public(file.url)}: it is not there (any more): put it back, or run again without it"
        ) from failure
    except OSError as failure:
        raise StageError(f"cannot open {public(file.url)}: {reason_of(failure)}") from failure
    except server_errors() as failure:
        raise StageError(
            f"cannot open {public(file.url)}: its server cannot be reached: {reason_of(failure)}"
        ) from failure
    if (before.size, before.stamp) != (file.size if before.size is not None else None, file.stamp or before.stamp):
        raise StageError(_changed(file, before, "since the run was planned"))
    try:
        yield fs, path
    except Exception as failure:  # of whatever kind a reader raises over bytes that change under it
        if (sentence := _difference(file, fs, path, before)) is not None:
            raise StageError(sentence) from failure
        if "://" in file.url and isinstance(failure, (OSError, ValueError, *server_errors())):
            ranges = "range" in str(failure).lower() or "seek" in str(failure).lower()
            why = (
                "its server gives no ranges of bytes" if ranges else f"it cannot be read any more: {reason_of(failure)}"
            )
            then = "copy it to this machine and name the copy" if ranges else "run again to continue"
            raise StageError(f"{public(file.url)}: {why}; {then}") from failure
        raise
    if (sentence := _difference(file, fs, path, before)) is not None:
        raise StageError(sentence)


def _difference(file: InputFile, fs: Any, path: str, before: FileState) -> str | None:
    """What is to be said of a file that is not as it was before it was read."""
    try:
        now = file_state(fs, path)
    except FileNotFoundError:
        return f"{file.url}: was deleted while the run was reading it: put it back, or run again without it"
    except OSError as failure:
        return f"{file.url}: cannot be looked at any more after it was read: {failure}; run again"
    return None if now == before else _changed(file, now, "while the run was reading it")


def _changed(file: InputFile, now: FileState, when: str) -> str:
    sizes = ""
    if now.size is not None and now.size != file.size:
        sizes = f" (it had {file.size:,} bytes, and has {now.size:,})"
    return f"{file.url}: changed {when}{sizes}: let it be finished, then run again to read it as it is"


BLOCK = 1 << 20
"""Bytes per read: large enough to hide a local seek, small enough that a segment over-reads little."""


class Window:
    """The last bytes read of an open file. Reads forward are free; reads elsewhere move the window."""

    def __init__(self, handle: IO[bytes], size: int, block: int = BLOCK) -> None:
        self.size = size
        self.data = b""
        self.base = 0  # file offset of data[0]
        self._handle = handle
        self._block = block

    def hold(self, at: int, count: int) -> int:
        """Makes file bytes [at, at + count) present in `data`, as far as the file goes. Returns the index of `at`."""
        index = at - self.base
        if 0 <= index <= len(self.data):
            missing = min(at + count, self.size) - self.base - len(self.data)
            if missing <= 0:
                return index
            self.data = self.data[index:] + self._read(self.base + len(self.data), max(missing, self._block))
        else:
            self.data = self._read(at, max(min(count, self.size - at), self._block))
        self.base = at
        return 0

    def bytes_at(self, at: int, count: int) -> bytes:
        """File bytes [at, at + count), fewer only at the end of the file."""
        index = self.hold(at, count)
        return self.data[index : index + count]

    def blocks(self, at: int) -> Iterator[bytes]:
        """The bytes from `at` to the end of the file, BLOCK at a time."""
        while block := self.bytes_at(at, BLOCK):
            at += len(block)
            yield block

    def peek(self, at: int, count: int) -> bytes:
        """The same for a few bytes anywhere; does not move the window."""
        index = at - self.base
        if index >= 0 and min(at + count, self.size) <= self.base + len(self.data):
            return self.data[index : index + count]
        return self._read(at, min(count, max(self.size - at, 0)))

    def _read(self, at: int, count: int) -> bytes:
        self._handle.seek(at)
        parts = []
        while count > 0 and (part := self._handle.read(count)):
            parts.append(part)
            count -= len(part)
            at += len(part)
        if count > 0 and at < self.size:
            raise OSError(f"it ends after {at:,} of the {self.size:,} bytes that it is said to have")
        return parts[0] if len(parts) == 1 else b"".join(parts)


@contextmanager
def opened(file: InputFile, block: int = BLOCK) -> Iterator[Window]:
    """A window on `file`. Raises StageError where the file cannot be opened, or is not the planned one from start to end."""
    with as_planned(file) as (filesystem, path):
        try:
            handle = filesystem.open(path, "rb", block_size=max(block, 4 << 20), cache_type="readahead")
        except OSError as failure:
            raise StageError(f"cannot open {file.url}: {failure}") from failure
        with handle:
            yield Window(handle, file.size, block)


def page_instead(head: bytes, expected: str) -> str | None:
    """What to say of a file that begins as a web page does, None of another."""
    shown = head.lstrip()[:40].decode("utf-8", "replace")
    if not shown.startswith("<"):
        return None
    return f"HTML or XML (it begins with {shown!r}): expected {expected}; is it the error page of a download?"


def basename(url: str) -> str:
    """The last part of a path or URL."""
    return url.rstrip("/").rpartition("/")[2]


def pieces(file: InputFile, least: int, most: int, count: int) -> list[tuple[int, int]]:
    """Cuts a file into equal byte ranges of size / `count`, held between `least` and `most` bytes. An empty file
    is one empty piece, so that somebody reads it and says so."""
    piece = min(max(file.size // count, least), most)
    number = max(1, -(-file.size // piece))
    cuts = [file.size * index // number for index in range(number + 1)]
    return list(itertools.pairwise(cuts))
