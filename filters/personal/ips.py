"""Addresses of the Internet Protocol that stand for one public host.

Left: what the registry of special-purpose addresses (RFC 6890) does not call global - private, loopback, link-local,
documentation - and multicast; illustrations (each part one repeated digit, 111.22.33.44); networks (`198.41.0.0/24`);
the well-known public resolvers; what looks like a version or a section number: a version word in front of it, a suffix
behind it, or four numbers below 100 at the beginning of a line, or without a word such as `IP` or `접속` within 40
characters, or without one, words of releases around it, or what begins as versions do (`12.9.0.167`) without a word of
who has an address, such as `login` or `server`, unless that is part of a program's name (`SQL Server 12.0.4.199`); and what is
listed after such a one. Of version 6 what has fewer than three groups, or a first group that no registry gives out
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
    r"|버[전젼]|version\b|(?:has been |was |is )(?:released|out\b)"
    r"|(?:beta|alpha|rc ?\d|SP ?\d|\(?(?:32|64)-?bit))|\.(?:tar|tgz|gz|zip|exe|msi|deb|rpm|jar|dll|nupkg|whl|dmg|apk|iso|7z|bz2|xz|so)\b",
    re.ASCII | re.IGNORECASE,
)
_NAME = re.compile(
    r"(?:\b[A-Z][A-Za-z0-9+.#_-]+|(?<![a-z])[a-z]+[A-Z][A-Za-z]*|\b[a-z]+\d+[a-z]*|[가-힣]{2,}|[\u30a0-\u30ff\u4e00-\u9fff]{2,})"
    r"(?: (?:\d{1,4}|Pro|Plus))?(?: ?[\"'(|]| ?\t)? ?$",
    re.ASCII,
)
_SPOKEN = re.compile(
    r"\b(?:from|to|at|by|via|through)[ :(\[\"']*$|\b(?:ssh|ports?|firewalls?|gateways?|DNS|proxy|block(?:s|ed|ing)?|ban(?:s|ned)?|deny|denied"
    r"|reject\w*|refuse\w*|allow\w*|accept\w*|log(?:ged)? ?in|connect\w*|attack\w*|src|dst|source|dest|listen\w*|bind|peers?|remote|visit\w*|hops?"
    r"|routes?|traceroute|trace|whois|scan(?:s|ned|ning)?|resolv\w*|hosts|nmap|curl|wget|telnet|(?-i:GET|POST))\b"
    r"|://$|@$|방문|공격|로그인|(?<![가-힣])로그(?!램)|게이트웨이|방화벽|(?<![리서스])포트(?!폴리오)|라우터|대역(?!전)"
    r"|\busers?\b(?! ?agent)|\banonymous\b|글쓴이|작성자|사용자|회원|익명|ㅇㅇ",
    re.ASCII | re.IGNORECASE,
)
_PORT = re.compile(r":\d{2,5}(?!\d)| - - |[ ,]*port\b|/[a-z]", re.ASCII)
_MOST_MAJOR, _MOST_MINOR = 40, 25
"""Versions begin with numbers up to these, which of addresses about a sixtieth do, or have a zero within."""
_AND_NEXT = re.compile(r"(?:[ ,/~–-]|\b(?:and|or|to|through|및|와|과)\b|및|와 |과 |에서 )+", re.ASCII)
_ATTACHED = re.compile(r"(?:[A-Za-z가-힣)]/|[A-Za-z0-9]-|[A-Za-z_]|[§#$€£₩=]\s?)$", re.ASCII)
_ADDRESS = re.compile(
    r"\bIPs?\b|\bIPv4|아이피|접속|주소|(?<![가-힣])핑|차단|공인(?!인증)|\bping\b|\baddress\b|Adresse|adresse|アドレス",
    re.ASCII | re.IGNORECASE,
)
_HOLDER = re.compile(r"서버|호스트|\bhost\b|\bserver\b|\bclient\b", re.ASCII | re.IGNORECASE)
"""What has an address, and what many programs are called."""
_PROGRAM = re.compile(r"(?:[Ss]erver|[Cc]lient|[Hh]ost|서버|호스트|클라이언트) ?\(?$")
_NO_NAME = re.compile(
    r"(?:\b(?:The|Our|My|Your|Its?|This|That|A|An|Web|Mail|FTP|Game|File|New|Old|Main)|우리|저희|이번|메인|메일|게임|파일|외부|내부|해당) $",
    re.ASCII,
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
    named = _of_a_program(text, start)
    if parts[0] > _MOST_MAJOR or parts[1] > _MOST_MINOR:
        return named and 0 in parts[1:3]
    return named or not near(text, start, end, _HOLDER, 40, 12)


def _of_a_program(text: str, start: int) -> bool:
    """Whether a program's name is directly in front: `SQL Server` is one, and a `Mail Server` has an address."""
    if called := _PROGRAM.search(text, max(0, start - 12), start):
        start = called.start()
        if _NO_NAME.search(text, max(0, start - 8), start):
            return False
    return _NAME.search(text, max(0, start - 24), start) is not None


def find(text: str) -> Iterator[Found]:
    """Public addresses of both versions in folded text."""
    last, is_version = -1, False
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
        if max(address.packed) < 100 and not told and not near(text, start, match.end(), _HOLDER, 40, 12):
            continue
        if last < 0 or not _AND_NEXT.fullmatch(text, last, start):  # else it is what the one before it in the list is
            is_version = not told and _version(text, start, match.end(1), address.packed)
        last = match.end(1)
        if not is_version:
            yield Found(start, last, "ips", value)
    for match in _V6.finditer(text):
        if not _allocated(int(match[1][:4], 16)) or sum(map(bool, match[1].split(":"))) < _LEAST_GROUPS:
            continue
        try:
            v6 = ipaddress.IPv6Address(match[1])
        except ValueError:
            continue
        if v6.is_global and v6.compressed not in _RESOLVERS_V6:
            yield Found(match.start(1), match.end(1), "ips", v6.compressed)
