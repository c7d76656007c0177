"""Lists applied to addresses, many at once; what depends on the host alone is found once for each.

Hosts are compared with lists of domains by themselves and every domain above them, so a subdomain of a listed domain is
listed at any depth. Words count in the host's labels above its public suffix and in path and query, each distinct word
once; user names, ports and fragments are not looked at. (Kinds of lists and the idea of hard and soft words: RefinedWeb,
https://arxiv.org/abs/2306.01116, appendix G.1.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from winnow.filters.urls import lists
from winnow.filters.urls.address import Host, cut, decoded, folded, host, named, site
from winnow.filters.urls.hashes import Hashes, HashTable, hash_of, table
from winnow.filters.urls.lists import ListError, ListFile
from winnow.filters.urls.words import NONE, Found, WordRules

HOSTS = 2**17
"""Most hosts remembered at a time; about 500 bytes each."""

FOLDERS = 32
"""How many folders down a path lists of addresses are asked for."""


class Address(NamedTuple):
    """What the rules find. `host`, `domain` and `suffix` are None where there is none; `listed` is the name of the first
    list that the address stands in; `hard` and `soft` are distinct words in order; an allowed host has none of the three."""

    host: str | None = None
    domain: str | None = None
    suffix: str | None = None
    listed: str | None = None
    hard: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()
    malformed: bool = False


class _Host(NamedTuple):
    """An address with nothing but the host; whether the host is allowed, and whether a page of it may be listed."""

    plain: Address
    allowed: bool
    pages: bool


ABSENT = Address()
_MALFORMED = _Host(Address(malformed=True), True, False)


class UrlRules:
    """State: the lists in memory, and hosts met before (HOSTS, or as many as one batch has)."""

    def __init__(self, files: Sequence[ListFile], allow: Iterable[str] = ()) -> None:
        """`allow`: domains beside those in files. Raises ListError."""
        order = list(dict.fromkeys(file.name for file in files))
        parts: dict[str, list[tuple[int, Hashes]]] = {kind: [] for kind in lists.KINDS}
        entries: dict[str, list[str]] = {kind: [] for kind in lists.KINDS}
        with_pages: list[tuple[int, Hashes]] = []
        for file in files:
            if file.kind in ("domains", "hosts", "allow"):
                parts[file.kind].append((order.index(file.name), lists.names(file)))
            elif file.kind == "suffixes":
                parts["domains"].append((order.index(file.name), lists.suffixes(file)))
            elif file.kind == "urls":
                keys, hosts = lists.pages(file)
                parts["urls"].append((order.index(file.name), keys))
                with_pages.append((0, hosts))
            else:
                entries[file.kind] += lists.words(file)
        parts["allow"].append((0, np.array([hash_of(_allowed(name)) for name in allow], np.uint64)))
        self.names = order
        self.trees: HashTable = table(parts["domains"])
        self.exact: HashTable = table(parts["hosts"])
        self.pages: HashTable = table(parts["urls"])
        self._with_pages = table(with_pages)
        self.allowed: HashTable = table(parts["allow"])
        self.words = WordRules(entries["words"], entries["soft_words"], entries["substrings"], entries["exceptions"])
        self._hosts: dict[str, _Host] = {}

    @property
    def bytes(self) -> int:
        """What the lists of domains, hosts and addresses occupy."""
        return sum(found.bytes for found in (self.trees, self.exact, self.pages, self._with_pages, self.allowed))

    def forget(self) -> UrlRules:
        """Forgets the hosts met so far, which changes nothing but the time that the next take."""
        self._hosts.clear()
        return self

    def look(self, urls: Sequence[str | None]) -> list[Address]:
        """What the rules find, one by one in order. ABSENT where there is no address; never raises."""
        cuts = [cut(url) if url else None for url in urls]
        known = self._hosts
        new = list(dict.fromkeys(part[0] for part in cuts if part and part[0] not in known))
        if len(known) + len(new) > HOSTS:
            known.clear()
            new = list(dict.fromkeys(part[0] for part in cuts if part))
        if new:
            known.update(zip(new, self._measured(new), strict=True))
        out, keys, rows = [], list[int](), list[int]()
        for part in cuts:
            if part is None:
                out.append(ABSENT)
                continue
            facts, path = known[part[0]], part[1]
            if facts.allowed or len(path) < 2:
                out.append(facts.plain)
                continue
            text = folded(decoded(path)) if "%" in path or not path.isascii() else path.lower()
            found = self.words.in_path(text)
            if facts.pages:
                new_keys = _keys(facts.plain.host or "", text)
                keys += new_keys
                rows += [len(out)] * len(new_keys)
            out.append(facts.plain if found is NONE else _with_words(facts.plain, found))
        for row, owner in zip(rows, self.pages.find(np.array(keys, np.uint64)).tolist(), strict=True):
            if owner >= 0 and out[row].listed is None:
                out[row] = out[row]._replace(listed=self.names[owner])
        return out

    def _measured(self, authorities: Sequence[str]) -> list[_Host]:
        hosts = [host(text) for text in authorities]
        names = [_above(found) if found else [] for found in hosts]
        hashes = np.array([hash_of(name) for above in names for name in above], np.uint64)
        listed, allowed = self.trees.find(hashes).tolist(), (self.allowed.find(hashes) >= 0).tolist()
        exact, paged = self.exact.find(hashes).tolist(), (self._with_pages.find(hashes) >= 0).tolist()
        out, at = [], 0
        for found, above in zip(hosts, names, strict=True):
            if found is None:
                out.append(_MALFORMED)
                continue
            end = at + len(above)
            owner = max(exact[at], max(listed[at:end]))
            if owner >= 0:
                owner = min(owner for owner in (exact[at], *listed[at:end]) if owner >= 0)
            free = any(allowed[at:end])
            pages = paged[at + found.name.startswith("www.")]  # what `page_key` leaves of it
            at = end
            domain, suffix = site(found)
            hard, soft = NONE if free or found.numeric else self.words.in_host(_labels(found, suffix))
            name = self.names[owner] if owner >= 0 and not free else None
            out.append(_Host(Address(found.name, domain, suffix, name, hard, soft), free, pages and name is None))
        return out


def _keys(name: str, text: str) -> list[int]:
    """Hashes of what a list of addresses may call this page by: itself, and the folders above it, the page first."""
    key = lists.page_key(name, text)
    path = key.partition("?")[0].rstrip("/")
    starts = [at for at, c in enumerate(path) if c == "/"]
    return [hash_of(k) for k in (key, path, *(path[:at] for at in starts[1 : FOLDERS + 1]))]


def _allowed(name: str) -> str:
    found = named(name.removeprefix("*").removeprefix("."))
    if found is None:
        raise ListError(f"allow: '{name}': expected a domain such as example.com")
    return found.name


def _above(found: Host) -> list[str]:
    """The host and every domain above it."""
    if found.numeric:
        return [found.name]
    out, name = [], found.name
    while name:
        out.append(name)
        name = name.partition(".")[2]
    return out


def _labels(found: Host, suffix: str | None) -> str:
    parts = found.shown.split(".")
    return ".".join(parts[: len(parts) - (suffix.count(".") + 1 if suffix else 0)])


def _with_words(plain: Address, found: Found) -> Address:
    hard = tuple(dict.fromkeys(plain.hard + found[0]))
    soft = tuple(word for word in dict.fromkeys(plain.soft + found[1]) if word not in hard)
    return plain._replace(hard=hard, soft=soft)
