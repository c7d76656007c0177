"""An address taken apart, so that two spellings of one page give the same parts; and the site that its host belongs to.

Hosts are lower case, in their ASCII form (internationalised labels as punycode, by UTS 46 where the label is valid under
it, by the bare mapping and RFC 3492 where not, as for emoji), without user, port or final dot. Paths are percent-decoded
once: a server that is sent `%2570` sees `%70`, not `p`. What is not UTF-8 after that is read as CP949, which old Korean
sites put in their addresses, then as Latin-1. Addresses come from crawls and never raise: one without a host that could
be a host is malformed.

Sites go by the public suffix list (https://publicsuffix.org/list/). A public suffix is a name under which anybody can
register one (`com`, `co.kr`), or under which a provider gives them away (`github.io`): the list's private part counts, so
that each blog is a site of its own. `lists/hosting.txt` adds providers that the list lacks, most of them Korean. A host
under no rule has its last label as suffix, as the list's algorithm says. The list is the one inside tldextract, never one
from the network.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt
import xxhash

LONGEST_PATH = 4096
"""How many characters of path and query are looked at."""

LONGEST_AUTHORITY = 2048
"""How many last characters of user, host and port are."""

LONGEST_HOST = 253  # characters of a host name in its ASCII form, RFC 1035 section 2.3.4 without the final dot

_USUAL = re.compile(r"https?://([^/\\?#\s]+)([^#\s]*)", re.ASCII)
_IGNORED = re.compile("[\t\n\r]")
_WEB = re.compile(r"https?:[/\\]*([^/\\?#]*)([^#]*)", re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.\-]*:)?//([^/\\?#]*)([^#]*)", re.IGNORECASE | re.DOTALL)
_NO_SCHEME = re.compile(r"([^/\\?#]*)([^#]*)", re.DOTALL)
_OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*:(?![0-9]*(?:[/\\?#]|$))", re.IGNORECASE)
_PLAIN = re.compile(r"[a-z0-9_\-]+(?:\.[a-z0-9_\-]+)*")
_NUMERIC = re.compile(r"[0-9.]*\.[0-9]+")


class Host(NamedTuple):
    """`name`: the ASCII form (IPv6 in brackets); `shown`: the same with internationalised labels as people write them;
    `numeric`: it is an IP address."""

    name: str
    shown: str
    numeric: bool


def cut(url: str) -> tuple[str, str]:
    """The part of an address that holds the host, as it is written, and what follows it up to a fragment.

    An address without a scheme starts with its host. The first part is empty where there is none (`mailto:`, `dns:`).
    """
    found = _USUAL.fullmatch(url)
    if found is not None and url.isascii():
        return found[1][-LONGEST_AUTHORITY:], found[2][:LONGEST_PATH]
    if not url.isascii():
        url = url.encode("utf-8", "replace").decode()  # a lone surrogate cannot be stored; Python's crawlers make them
    url = _IGNORED.sub("", url.strip())
    found = _WEB.match(url) or _SCHEME.match(url)
    if found is None:
        if _OTHER_SCHEME.match(url):
            return "", ""
        found = _NO_SCHEME.match(url)
    return (found[1][-LONGEST_AUTHORITY:], found[2][:LONGEST_PATH]) if found else ("", "")


def host(authority: str) -> Host | None:
    """The host in `user@host:port`; None where there is none or it cannot be one."""
    text = authority.rpartition("@")[2]
    if text.startswith("["):
        inside, closed, port = text[1:].partition("]")
        if not closed or not _port(port):
            return None
        try:
            name = f"[{ipaddress.IPv6Address(inside).compressed}]"
        except ValueError:
            return None
        return Host(name, name, True)
    text, colon, port = text.partition(":")
    return named(text) if _port(colon + port) else None


def named(text: str) -> Host | None:
    """The host of a bare name or IPv4 address; None where it cannot be one."""
    if "%" in text:
        text = decoded(text)
    if len(text) > 4 * LONGEST_HOST:
        return None
    name = text.lower()
    if not name.isascii():
        ascii_form = _to_ascii(name)
        if ascii_form is None:
            return None
        name = ascii_form
    name = name.removesuffix(".")
    if len(name) > LONGEST_HOST or not _PLAIN.fullmatch(name):
        return None
    if name[-1].isdigit() and _NUMERIC.fullmatch(name):
        try:
            name = str(ipaddress.IPv4Address(name))
        except ValueError:
            return None
        return Host(name, name, True)
    return Host(name, _to_unicode(name) if "xn--" in name else name, False)


def decoded(text: str) -> str:
    """Percent-decoded once: UTF-8, else CP949, else Latin-1."""
    raw = unquote_to_bytes(text)
    for charset in ("utf-8", "cp949"):
        try:
            return raw.decode(charset)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def folded(text: str) -> str:
    """Lower case; composed, and without full-width and other compatibility forms (NFKC)."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _port(text: str) -> bool:
    return not text or (text[0] == ":" and (text == ":" or (text[1:].isascii() and text[1:].isdigit())))


def _to_ascii(name: str) -> str | None:
    import idna

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:  # idna's errors are; symbols, underscores: names that resolve all the same
        pass
    try:
        mapped = idna.uts46_remap(name, std3_rules=False)
    except UnicodeError:
        return None
    labels = [
        part if part.isascii() else "xn--" + part.encode("punycode").decode("ascii") for part in mapped.split(".")
    ]
    return ".".join(labels).lower()


def _to_unicode(name: str) -> str:
    return ".".join(_label(part) if part.startswith("xn--") else part for part in name.split("."))


def _label(part: str) -> str:
    try:
        text = part[4:].encode("ascii").decode("punycode")
        text.encode("utf-8")
    except (UnicodeError, OverflowError, ValueError):  # not punycode: no reader would be shown anything else
        return part
    return folded(text)


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
