"""Addresses of the Internet Protocol that stand for one public host.

Left: what the registry of special-purpose addresses (RFC 6890) does not call global - private, loopback, link-local,
documentation - and multicast; illustrations (each part one repeated digit, 111.22.33.44); networks (`198.41.0.0/24`); the well-known public resolvers; and what looks like a version
or a section number: a version word or a product's name in front of it, a suffix behind it, or four numbers below 100
at the beginning of a line, or without a word such as `IP` or `접속` within 40 characters.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from winnow.filters.personal.found import Found, near

_V4 = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})(?![\d_]|\.\d|/\d|-[\dA-Za-z])", re.ASCII)
_V6 = re.compile(r"(?<![0-9A-Za-z:.])([23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7})(?![0-9A-Za-z:]|/\d)", re.ASCII)
_VERSION = re.compile(
    r"(?:버전|버젼|펌웨어|빌드|릴리[스즈]|판본|バージョン|版本|version|firmware|build|release|driver|ver\b|rev\b|OID\b)",
    re.ASCII | re.IGNORECASE,
)
_ATTACHED = re.compile(r"(?:[A-Za-z가-힣)]/|[A-Za-z0-9]-|[A-Za-z_]|[§#$€£₩=]\s?)$", re.ASCII)
_ADDRESS = re.compile(
    r"\bIPs?\b|\bIPv4|아이피|접속|서버|호스트|주소|핑|차단|공인|\bping\b|\bhost\b|\baddress\b|\bserver\b|\bclient\b|\bfrom\b|Adresse|adresse|アドレス",
    re.ASCII | re.IGNORECASE,
)
_HEADING = re.compile(r"(?:\A|\n)[ #*]*\Z", re.ASCII)
_WELL_KNOWN = frozenset({"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "208.67.222.222", "208.67.220.220"})
_RESOLVERS_V6 = frozenset(
    {"2001:4860:4860::8888", "2001:4860:4860::8844", "2606:4700:4700::1111", "2606:4700:4700::1001"}
)

PLACEHOLDERS = (
    "22.214.171.124",
    "126.96.36.199",
    "188.8.131.52",
    "184.108.40.206",
    "220.127.116.11",
    "18.104.22.168",
)
"""What FineWeb writes instead of an address: of a list drawn at random that nobody answered at (datatrove)."""


def find(text: str) -> Iterator[Found]:
    """Public addresses of both versions in folded text."""
    for match in _V4.finditer(text):
        value = match[1]
        if value in _WELL_KNOWN or value in PLACEHOLDERS:
            continue
        try:
            address = ipaddress.IPv4Address(value)
        except ValueError:
            continue
        if not address.is_global or address.is_multicast:
            continue
        start = match.start(1)
        if near(text, start, start, _VERSION, 16):
            continue
        attached = _ATTACHED.search(text, max(0, start - 3), start)
        if attached and not text.endswith(("=",), 0, start):
            continue
        if all(len(set(part)) == 1 for part in value.split(".")):
            continue
        if max(address.packed) < 100 and _HEADING.search(text, max(0, start - 6), start):
            continue
        if max(address.packed) < 100 and not near(text, start, match.end(), _ADDRESS, 40, 12):
            continue
        yield Found(start, match.end(1), "ips", value)
    for match in _V6.finditer(text):
        try:
            v6 = ipaddress.IPv6Address(match[1])
        except ValueError:
            continue
        if v6.is_global and v6.compressed not in _RESOLVERS_V6:
            yield Found(match.start(1), match.end(1), "ips", v6.compressed)
