"""An address taken apart, so that two spellings of one page give the same parts.

Hosts are lower case, in their ASCII form (internationalised labels as punycode, by UTS 46 where the label is valid under
it, by the bare mapping and RFC 3492 where not, as for emoji), without user, port or final dot. Paths are percent-decoded
once: a server that is sent `%2570` sees `%70`, not `p`. What is not UTF-8 after that is read as CP949, which old Korean
sites put in their addresses, then as Latin-1. Addresses come from crawls and never raise: one without a host that could
be a host is malformed.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

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
