"""Lines hashed together with the host of their document, as columns: what a corpus counts to find a site's own lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from winnow.filters.words import split

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class KeyedLines:
    """Shapes: `keys`, `starts`, `ends` [lines], `offsets` [texts + 1], `chars` [texts]. Starts and ends are characters of
    the text and hold the line with its white space, without the line feed after it."""

    offsets: npt.NDArray[np.int64]
    keys: Hashes
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    chars: npt.NDArray[np.int64]


def hosts(urls: Sequence[str | None]) -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """The hash of each URL's host in small letters, without port and user, and which URLs have one."""
    names = [_host(url) for url in urls]
    keys = np.array([xxhash.xxh64_intdigest(name) for name in names], np.uint64)
    return keys, np.array([name != "" for name in names], np.bool_)


def keyed_lines(texts: pa.Array, host: Hashes, known: npt.NDArray[np.bool_], shortest: int, longest: int) -> KeyedLines:
    """The lines of `shortest` to `longest` characters (without outer white space) of the texts (large_string, valid UTF-8)
    whose host is known."""
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = texts.buffers()[2]
    words = split(offsets, np.frombuffer(data or b"", np.uint8), False)
    breaks = np.flatnonzero(words.characters == 10)
    chars = _chars(texts)
    text_ends = np.cumsum(chars)
    text_starts = text_ends - chars
    row = np.repeat(np.arange(len(texts)), np.diff(words.line_offsets))
    length = words.line_end - words.line_start
    counted = known[row] & (length >= shortest) & (length <= longest)
    row, start = row[counted], words.line_start[counted]
    after = np.searchsorted(breaks, start)
    bounded = np.concatenate((np.array([-1]), breaks, np.array([len(words.characters)])))
    starts = np.maximum(bounded[after] + 1, text_starts[row])
    ends = np.minimum(bounded[after + 1], text_ends[row])
    sizes = np.bincount(row, minlength=len(texts))
    return KeyedLines(
        np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes))),
        _mixed(words.line_hash[counted], host[row]),
        (starts - text_starts[row]).astype(np.int32),
        (ends - text_starts[row]).astype(np.int32),
        chars,
    )


def _chars(texts: pa.Array) -> npt.NDArray[np.int64]:
    import pyarrow.compute as pc

    return np.asarray(pc.utf8_length(texts), np.int64)


def _host(url: str | None) -> str:
    try:
        return (urlsplit(url).hostname or "").lower().rstrip(".") if url else ""
    except ValueError:
        return ""


def _mixed(line: Hashes, host: Hashes) -> Hashes:
    """One hash of both, every bit of it depending on every bit of them (the finalizer of splitmix64)."""
    mixed = line ^ (host * np.uint64(0x9E3779B97F4A7C15))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    last: Hashes = mixed ^ (mixed >> np.uint64(31))
    return last
