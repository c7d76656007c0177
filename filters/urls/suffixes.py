"""The site that a host belongs to, by the public suffix list (https://publicsuffix.org/list/).

A public suffix is a name under which anybody can register one (`com`, `co.kr`), or under which a provider gives them
away (`github.io`): the list's private part counts, so that each blog is a site of its own. `lists/hosting.txt` adds
providers that the list lacks, most of them Korean. A host under no rule has its last label as suffix, as the list's
algorithm says. The list is the one inside tldextract, never one from the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

from winnow.filters.urls.address import Host

HOSTING = Path(__file__).parent / "lists" / "hosting.txt"
REGISTRIES = Path(__file__).parent / "lists" / "registries.txt"


def snapshot() -> Path:
    """The file of the public suffix list in use."""
    return Path(str(files("tldextract").joinpath(".tld_set_snapshot")))


def site(host: Host) -> tuple[str, str | None]:
    """(registered domain, public suffix) of a host, in ASCII form. What has no registered domain (an IP address, a single
    label, a suffix itself) is its own; the suffix is then None but for a suffix itself."""
    if host.numeric or "." not in host.name:
        return host.name, None
    names, wild, but = _everyone()
    below, name = "", host.name
    while True:
        above = name.partition(".")[2]
        if name in but:
            return name, above
        if name in names or (above in wild) or not above:
            return below or name, name
        below, name = name, above


def is_registry_suffix(name: str) -> bool:
    """Whether registries sell names to anybody under this one: `com`, `co.kr`; not a provider's such as `github.io`.

    Where the list has every name below one as a suffix (`*.bd`), the ones that are such elsewhere count (`com.bd`).
    """
    if "." not in name:
        return True
    first, _, above = name.partition(".")
    names, wild, _ = _registries()
    return name in names or (above in wild and first in _usual())


def is_listed_suffix(name: str) -> bool:
    """Whether a registry's public suffix stands in the list itself: `com`, not `site4`, which counts as one by default."""
    return "." in name or name in _registries()[0]


@cache
def top_levels() -> frozenset[str]:
    """Every top-level domain of the list, in ASCII form."""
    names, wild, _ = _registries()
    return frozenset(name.rpartition(".")[2] for name in names | wild)


@cache
def one_purpose() -> frozenset[str]:
    """Public suffixes with one purpose, which a list of domains may hold."""
    return frozenset(_lines(REGISTRIES))


@cache
def registry_hashes() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Sorted xxh64 of registries' suffixes, and of the names all of whose children are (`*.ck`)."""
    names, wild, _ = _registries()
    return _hashes(names), _hashes(wild)


def _hashes(names: frozenset[str]) -> npt.NDArray[np.uint64]:
    return np.sort(np.array([xxhash.xxh64_intdigest(name.encode()) for name in names], np.uint64))


Rules = tuple[frozenset[str], frozenset[str], frozenset[str]]
"""In ASCII form: suffixes, names every name below which is one, and what is excepted from that."""


@cache
def _registries() -> Rules:
    """Of registries."""
    import tldextract

    return _parsed(tldextract.TLDExtract(cache_dir=None, suffix_list_urls=()).tlds)


@cache
def _everyone() -> Rules:
    """Of registries and providers."""
    import tldextract

    listed = tldextract.TLDExtract(
        cache_dir=None, suffix_list_urls=(), include_psl_private_domains=True, extra_suffixes=_lines(HOSTING)
    )
    return _parsed(listed.tlds)


def _parsed(listed: Iterable[str]) -> Rules:
    rules = [text if text.isascii() else text.encode("idna").decode("ascii") for text in listed]
    wild = frozenset(text[2:] for text in rules if text.startswith("*."))
    but = frozenset(text[1:] for text in rules if text.startswith("!"))
    return frozenset(text for text in rules if text[0] not in "*!"), wild, but


@cache
def _usual() -> frozenset[str]:
    return frozenset(name.partition(".")[0] for name in _registries()[0] if name.count(".") == 1)


def _lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").split("\n")
    return [line for line in lines if line and not line.startswith("#")]
