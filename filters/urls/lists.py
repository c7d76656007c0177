"""Lists of domains and words, in the formats that they come in.

A file is text, one entry a line, `#` starts a comment, gzip by its content. Lists of domains may be hosts files
(`0.0.0.0 name`) and write `.name` or `*.name`; a folder with files `domains` and `urls` is a category of the UT1
lists (https://dsi.ut-capitole.fr/blacklists/), whose `expressions` are not used. A line that is no entry of its kind is an
error: a list that is partly understood would let through what its author meant to stop.

Kinds: `domains` (with all below them), `hosts` (exactly), `urls` (host and path, with what is below the path; `www.` is
nothing), `suffixes` (public suffixes all of whose sites are meant), `words` (one is enough), `soft_words` (several are),
`substrings` (of a host's labels), `exceptions` (longer strings in which the words and substrings do not count), `allow`
(domains that nothing is said against). Exceptions and allowed domains hold for all lists together.
"""

from __future__ import annotations

import gzip
import ipaddress
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, cast

import numpy as np

from winnow.filters.hash_random import xxh64
from winnow.filters.kernel import Bytes, IntRows, Ints, ReadBytes, kernel
from winnow.filters.urls.address import (
    cut,
    decoded,
    folded,
    is_listed_suffix,
    is_registry_suffix,
    named,
    one_purpose,
    registry_hashes,
)
from winnow.filters.urls.address import host as host_of
from winnow.filters.urls.hashes import Hashes, hash_of, table

KINDS = ("domains", "hosts", "urls", "suffixes", "words", "soft_words", "substrings", "exceptions", "allow")
OWN = Path(__file__).parent / "lists"
THEMES = ("adult", "gambling", "piracy", "spam")
"""The lists of our own."""

CHUNK = 8 * 2**20
SHORT = 2**17  # bytes: below, the loop takes longer to load than the lines to read
_DOT, _HASH, _HYPHEN, _UNDERSCORE = 46, 35, 45, 95
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_WORD = re.compile(r"[^\W_]+")
_HOSTS_FILE = re.compile(r"localhost|localhost\.localdomain|local|broadcasthost|ip6-[a-z]+|0\.0\.0\.0", re.IGNORECASE)
"""The names by which hosts files start, none of them a site."""


class ListError(ValueError):
    """A list cannot be read: one sentence with the file, the line and what was expected."""


@dataclass(frozen=True, slots=True)
class ListFile:
    """One file of a list. `name`: what documents are said to be listed in; `kind`: one of KINDS."""

    name: str
    kind: str
    path: Path


@cache
def own(theme: str) -> tuple[ListFile, ...]:
    """The files of one of THEMES: `lists/<theme>.<kind>.txt`."""
    return tuple(ListFile(theme, kind, path) for kind in KINDS if (path := OWN / f"{theme}.{kind}.txt").is_file())


def found(name: str, kind: str, path: Path) -> list[ListFile]:
    """The files of a list at a path: itself, or those of a UT1 category. Raises ListError."""
    if path.is_file():
        return [ListFile(name, kind, path)]
    if not path.is_dir():
        raise ListError(
            f"list '{path}' does not exist: expected a file of {kind}, or a folder with files domains, urls"
        )
    if kind != "domains":
        raise ListError(f"list '{path}' is a folder, whose files say what they hold: expected a file of {kind}")
    files = [ListFile(name, part, file) for part in ("domains", "urls") if (file := _either(path / part)) is not None]
    if files:
        return files
    inside = sorted(child.name for child in path.iterdir() if child.is_dir() and _either(child / "domains"))
    hint = f"; it has categories, name one: {path / inside[0]} (of {', '.join(inside[:9])})" if inside else ""
    raise ListError(f"folder '{path}' has no file named domains or urls{hint}")


def names(file: ListFile) -> Hashes:
    """xxh64 of the entries of a list of domains, hosts or allowed domains, in no order. Raises ListError.

    Long lists are read by a loop over bytes, which leaves the lines that are more than a plain name to the reader of short
    ones; memory is that of the result and of a stretch of the file.
    """
    parts: list[Hashes] = []
    before = 0
    for chunk in _chunks(file.path):
        if len(chunk) < SHORT:
            plain, others, lines = (
                np.empty(0, np.uint64),
                list(enumerate(chunk.split(b"\n")[:-1], 1)),
                chunk.count(b"\n"),
            )
        else:
            plain, others, lines = _plain(chunk, file, before)
        rest = [hash_of(entry) for line, text in others for entry in _names(text, file, before + line)]
        parts += [plain, np.array(rest, np.uint64)]
        before += lines
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _plain(chunk: bytes, file: ListFile, before: int) -> tuple[Hashes, list[tuple[int, bytes]], int]:
    """Hashes of the plain names, the other lines with their numbers, and how many lines there are."""
    data = np.frombuffer(chunk, np.uint8)
    most = chunk.count(b"\n")
    texts, parents = np.empty(data.size, np.uint8), np.empty(data.size, np.uint8)
    text_ends, parent_ends = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
    plain, ends, starts = np.empty(most, np.int64), np.empty(most, np.int64), np.empty((most, 2), np.int64)
    count, others, lines = plain_names(data, texts, text_ends, parents, parent_ends, plain, starts, ends)
    hashes, above = np.empty(count, np.uint64), np.empty(count, np.uint64)
    xxh64(texts, text_ends[: count + 1], np.uint64(0), hashes)
    if file.kind != "hosts":
        xxh64(parents, parent_ends[: count + 1], np.uint64(0), above)
        suffixes, wild = (table([(0, found)]) for found in registry_hashes())
        for at in np.flatnonzero((suffixes.find(hashes) >= 0) | (wild.find(above) >= 0)):
            _not_a_suffix(bytes(texts[text_ends[at] : text_ends[at + 1]]).decode(), file, before + int(plain[at]))
    bounds = zip(starts[:others].tolist(), ends[:others].tolist(), strict=True)
    return hashes, [(line, chunk[start:end]) for (start, line), end in bounds], int(lines)


def pages(file: ListFile) -> tuple[Hashes, Hashes]:
    """xxh64 of the entries of a list of addresses, as `page_key` makes them, and of their hosts. Raises ListError."""
    hosts: list[int] = []

    def entry(text: str) -> str:
        authority, path = cut(text)
        host = host_of(authority)
        if host is None or not path.strip("/"):
            raise ValueError("expected host and path, such as example.com/path")
        hosts.append(hash_of(page_key(host.name, "")))
        return page_key(host.name, folded(decoded(path)))

    keys = np.array([hash_of(key) for key in _entries(file, entry)], np.uint64)
    return keys, np.array(hosts, np.uint64)


def page_key(host: str, path: str) -> str:
    """What an address is compared by with lists of addresses: host without `www.`, path without a final slash."""
    return host.removeprefix("www.") + path.replace("\\", "/").rstrip("/")


def suffixes(file: ListFile) -> Hashes:
    """xxh64 of the entries of a list of public suffixes. Raises ListError."""

    def entry(text: str) -> str:
        host = named(text.removeprefix("."))
        if host is None or not (is_registry_suffix(host.name) and is_listed_suffix(host.name)):
            raise ValueError("expected a public suffix, such as xxx or co.kr")
        return host.name

    return np.array([hash_of(name) for name in _entries(file, entry)], np.uint64)


def words(file: ListFile) -> list[str]:
    """The entries of a list of words, substrings or exceptions, folded. Raises ListError."""

    def word(text: str) -> str:
        text = folded(text)
        if not _WORD.fullmatch(text) or len(text) < 2:
            raise ValueError("expected one word of at least two letters or digits, without spaces and signs")
        return text

    def substring(text: str) -> str:
        text = folded(text)
        if not _WORD.fullmatch(text) or len(text) < (3 if text.isascii() else 2):
            raise ValueError("expected at least three letters or digits (two beyond ASCII), without spaces and signs")
        return text

    def exception(text: str) -> str:
        return " ".join(_WORD.findall(folded(text))) or _nothing()

    return list(_entries(file, {"substrings": substring, "exceptions": exception}.get(file.kind, word)))


def _nothing() -> str:
    raise ValueError("expected letters or digits")


def _entries(file: ListFile, entry: Callable[[str], str]) -> Iterator[str]:
    before = 0
    for chunk in _chunks(file.path):
        lines = chunk.split(b"\n")
        for number, line in enumerate(lines, before + 1):
            text = _COMMENT.sub("", _text(line, file, number)).strip()
            if text:
                try:
                    yield entry(text)
                except ValueError as error:
                    raise _wrong(file, number, text, str(error)) from error
        before += len(lines) - 1


def _names(line: bytes, file: ListFile, number: int) -> list[str]:
    """The canonical names in a line that is not one plain name."""
    text = _COMMENT.sub("", _text(line, file, number)).strip()
    fields = text.split()
    if len(fields) > 1 and _is_address(fields[0]):
        fields = [field for field in fields[1:] if not _HOSTS_FILE.fullmatch(field)]
    elif len(fields) > 1:
        raise _wrong(file, number, text, _EXPECTED)
    out = []
    for field in fields:
        host = host_of(field) if field.startswith("[") else named(field.removeprefix("*").removeprefix("."))
        if host is None:
            raise _wrong(file, number, text, _EXPECTED)
        if file.kind != "hosts" and not host.numeric:
            _not_a_suffix(host.name, file, number)
        out.append(host.name)
    return out


_EXPECTED = "expected a domain such as example.com, or an address and a domain as in a hosts file"


def _not_a_suffix(name: str, file: ListFile, number: int) -> None:
    if not is_listed_suffix(name):
        raise _wrong(file, number, name, "expected a domain such as example.com; for words give kind: words")
    if is_registry_suffix(name) and name not in one_purpose():
        raise _wrong(
            file,
            number,
            name,
            "it is a public suffix, and would stop every site under it: delete the line, or give it in a list of kind suffixes",
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _wrong(file: ListFile, number: int, text: str, expected: str) -> ListError:
    seen = text if len(text) <= 60 else text[:60] + "..."
    return ListError(f"list '{file.path}', line {number}: '{seen}': {expected}")


def _text(line: bytes, file: ListFile, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ListError(
            f"list '{file.path}', line {number}: not UTF-8: expected a text file, one entry a line"
        ) from error


def _either(path: Path) -> Path | None:
    for file in (path, path.with_name(path.name + ".gz"), path.with_name(path.name + ".txt")):
        if file.is_file():
            return file
    return None


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw:
        if raw.read(2) == b"\x1f\x8b":
            raw.seek(0)
            with gzip.open(raw) as inside:
                yield cast(IO[bytes], inside)
            return
        raw.seek(0)
        yield raw


def _chunks(path: Path) -> Iterator[bytes]:
    """The file in stretches of whole lines; each ends with a newline. Raises ListError."""
    rest = b""
    seen = 0
    try:
        with _opened(path) as file:
            while block := file.read(CHUNK):
                at = block.find(b"\0")
                if at >= 0:
                    raise ListError(
                        f"list '{path}' is not a text file: byte {seen + at} is NUL; expected one entry a line, or gzip of that"
                    )
                seen += len(block)
                whole, newline, after = (rest + block).rpartition(b"\n")
                if newline:
                    yield whole.removeprefix(b"\xef\xbb\xbf") + newline
                rest = after
                if len(rest) > CHUNK:
                    raise ListError(f"list '{path}' has a line of more than {CHUNK} bytes; expected one entry a line")
    except (OSError, EOFError) as error:
        raise ListError(f"list '{path}' cannot be read: {error}") from error
    if rest:
        yield rest.removeprefix(b"\xef\xbb\xbf") + b"\n"


@kernel
def plain_names(
    data: ReadBytes,
    names: Bytes,
    name_offsets: Ints,
    parents: Bytes,
    parent_offsets: Ints,
    plain: Ints,
    starts: IntRows,
    ends: Ints,
) -> tuple[int, int, int]:
    """Sorts the lines of `data` (uint8, ends with a newline) into plain names and others.

    A plain name consists of two or more labels of ASCII letters, digits, hyphens and underscores, the last not of
    digits alone. It is written in lower case to `names`, and what follows its first dot to `parents`, one after the
    other, with where they end in `*_offsets` [1 + plain]; `plain` gets its line. Of the others that are neither blank
    nor a comment, `starts` and `ends` get their first and last byte, and the line. Returns how many there are of both
    and of lines: (plain, others, lines).
    """
    count, others, line = 0, 0, 0
    used, parent_used = 0, 0
    name_offsets[0] = 0
    parent_offsets[0] = 0
    start = 0
    for at in range(data.size):
        if data[at] != 10:
            continue
        begin, end = start, at
        start = at + 1
        while begin < end and (data[begin] == 32 or data[begin] == 9):
            begin += 1
        while end > begin and (data[end - 1] == 32 or data[end - 1] == 9 or data[end - 1] == 13):
            end -= 1
        line += 1
        if begin == end or data[begin] == _HASH:
            continue
        first_dot, last_dot = -1, begin - 1
        good, digits = end - begin <= 253, True
        for i in range(begin, end):
            byte = data[i]
            if 65 <= byte <= 90:
                byte += np.uint8(32)
            if byte == _DOT:
                if i == last_dot + 1:
                    good = False
                    break
                if first_dot < 0:
                    first_dot = i
                last_dot = i
                digits = True
            elif 97 <= byte <= 122 or byte in (_HYPHEN, _UNDERSCORE):
                digits = False
            elif not 48 <= byte <= 57:
                good = False
                break
            names[used + i - begin] = byte
        if not good or first_dot < 0 or last_dot == end - 1 or digits:
            starts[others, 0], starts[others, 1] = begin, line
            ends[others] = end
            others += 1
            continue
        for i in range(first_dot + 1, end):
            parents[parent_used] = names[used + i - begin]
            parent_used += 1
        used += end - begin
        name_offsets[count + 1] = used
        parent_offsets[count + 1] = parent_used
        plain[count] = line
        count += 1
    return count, others, line
