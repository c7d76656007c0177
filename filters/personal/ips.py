"""Addresses of the Internet Protocol that stand for one public host.

Left: what the registry of special-purpose addresses (RFC 6890) does not call global - private, loopback, link-local,
documentation - and multicast; illustrations (each part one repeated digit, 111.22.33.44); networks (`198.41.0.0/24`);
the well-known public resolvers; what looks like a version or a section number: a version word in front of it, a suffix
behind it, or four numbers below 100 at the beginning of a line, or without a word such as `IP` or `접속` within 40
characters, or without one, words of releases around it, or a name in front of what begins as versions do (`Flash Player
11.2.202.235`), and what is listed after such a one; and of version 6 what has fewer than three groups, or a first group that no registry gives out
(`2019:03:04:12:22:10:00:01` is a time).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from winnow.filters.personal.found import Found, near

_V4 = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})(?![\d_]|\.\d|/\d|-[\dA-Za-z])", re.ASCII)
_V6 = re.compile(r"(?<![0-9A-Za-z:.])(2[0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7})(?![0-9A-Za-z:]|/\d)", re.ASCII)
_VERSION = re.compile(
    r"(?:버전|버젼|펌웨어|빌드|릴리[스즈]|판본|バージョン|版本|version|firmware|\b(?:build|release|driver|ver\b|rev\b|OID\b)"
    r"|\b(?:section|chapter|table|figure|fig|clause|article|appendix|annex|paragraph|sec)\b|[<>=~!^]= ?[\"']?$|[\^~] ?$|[表図图] ?$)",
    re.ASCII | re.IGNORECASE,
)
_RELEASED = re.compile(
    r"\b(?:up|down)(?:grad|dat)|\binstall|\bpatch|\bbeta\b|업데이트|업그레이드|패치|설치|アップデート|更新|升级|안정판|개정판",
    re.ASCII | re.IGNORECASE,
)
_AND_LATER = re.compile(
    r"[ )\]]*(?:(?:and|or|to) (?:earlier|later|below|above|newer|older|prior|up|higher|lower)|[+] |이상|이하|이전|이후|及|以[上下前后]"
    r"|(?:beta|alpha|rc ?\d|SP ?\d|\(?(?:32|64)-?bit))|\.(?:tar|tgz|gz|zip|exe|msi|deb|rpm|jar|dll|nupkg|whl|dmg|apk|iso|7z|bz2|xz|so)\b",
    re.ASCII | re.IGNORECASE,
)
_NAME = re.compile(
    r"(?:\b[A-Z][A-Za-z0-9+.#_-]+|(?<![a-z])[a-z]+[A-Z][A-Za-z]*|[가-힣]{2,}|[\u30a0-\u30ff\u4e00-\u9fff]{2,})(?: (?:\d{1,4}|Pro|Plus))? ?[\"'(]?$",
    re.ASCII,
)
_SPOKEN = re.compile(
    r"\b(?:from|to|at|by|via|through|ssh|port|firewall|gateway|DNS|proxy|block|ban|deny|denied|reject|refuse|allow|accept|login|log(?:ged)? in|connect|attack"
    r"|src|dst|source|dest|listen|bind|peer|remote|visit|hop|route|trace|whois|scan|resolv|hosts|nmap|curl|wget|telnet|GET|POST)"
    r"|://$|@$|방문|공격|로그|게이트웨이|방화벽|포트|라우터|대역",
    re.ASCII | re.IGNORECASE,
)
_PORT = re.compile(r":\d{2,5}(?!\d)| - - |[ ,]*port\b|/[a-z]", re.ASCII)
_MOST_MAJOR = 40
"""Versions begin with a number up to this, or have a zero within."""
_AND_NEXT = re.compile(r"(?:[ ,/~–-]|\b(?:and|or|to|through|및|와|과)\b|및|와 |과 |에서 )+", re.ASCII)
_ATTACHED = re.compile(r"(?:[A-Za-z가-힣)]/|[A-Za-z0-9]-|[A-Za-z_]|[§#$€£₩=]\s?)$", re.ASCII)
_ADDRESS = re.compile(
    r"\bIPs?\b|\bIPv4|아이피|접속|서버|호스트|주소|핑|차단|공인|\bping\b|\bhost\b|\baddress\b|\bserver\b|\bclient\b|Adresse|adresse|アドレス",
    re.ASCII | re.IGNORECASE,
)
_REGISTRIES = (
    (0x2400, 0x241F),
    (0x2600, 0x2610),
    (0x2620, 0x2620),
    (0x2630, 0x263F),
    (0x2800, 0x280F),
    (0x2A00, 0x2A1F),
    (0x2C00, 0x2C0F),
)
_LEAST_GROUPS = 3
"""Groups of an address of version 6 that are written out: `2024::03` is a year and a month."""
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


def _allocated(first: int) -> bool:
    """Whether global unicast addresses that begin so are given out (IANA, IPv6 Global Unicast Address Assignments): 2001
    and 2003, and the blocks of the five registries. 2002 (6to4) is no registry's and has had no relays since RFC 7526."""
    return first in (0x2001, 0x2003) or any(low <= first <= high for low, high in _REGISTRIES)


def _version(text: str, start: int, end: int, parts: bytes) -> bool:
    """Whether four numbers, which no word says are an address, are a version."""
    if _AND_LATER.match(text, end) or near(text, start, start, _RELEASED, 30):
        return True
    if _PORT.match(text, end) or near(text, start, start, _SPOKEN, 24):
        return False
    named = _NAME.search(text, max(0, start - 24), start)
    return named is not None and (parts[0] <= _MOST_MAJOR or 0 in parts[1:3])


def find(text: str) -> Iterator[Found]:
    """Public addresses of both versions in folded text."""
    versions_end = -1
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
        told = near(text, start, match.end(), _ADDRESS, 40, 12) or (
            text.endswith("from ", 0, start) and not near(text, start, start, _RELEASED, 30)
        )
        if max(address.packed) < 100 and not told:
            continue
        listed = versions_end >= 0 and _AND_NEXT.fullmatch(text, versions_end, start)
        if listed or (not told and _version(text, start, match.end(1), address.packed)):
            versions_end = match.end(1)
            continue
        yield Found(start, match.end(1), "ips", value)
    for match in _V6.finditer(text):
        if not _allocated(int(match[1][:4], 16)) or sum(map(bool, match[1].split(":"))) < _LEAST_GROUPS:
            continue
        try:
            v6 = ipaddress.IPv6Address(match[1])
        except ValueError:
            continue
        if v6.is_global and v6.compressed not in _RESOLVERS_V6:
            yield Found(match.start(1), match.end(1), "ips", v6.compressed)
