"""E-mail addresses: the dot-atom form of RFC 5322, 3.2.3, that mail systems give out.

The part before the at sign is ASCII, the domain may be in letters of any script (RFC 5890) where what the ASCII reading
gives is no domain: in `hong@naru.kr로` the particle is none of it. The top-level domain is one of the public suffix list, so
that `a@b.transpose` is a product of matrices; what follows it after a dot is the next sentence (`jo@mail.kr.Please`). A last
label beyond ASCII is one of a list, since what follows it in Korean, Chinese or Japanese stands without a space. The at
sign may be written as in addresses of the web (`%40`).

Left: what is called as a function (`a@b.to(c)`), remote files (`me@host.kr:/srv`), domains reserved for documentation and tests (RFC 2606, RFC 6761), file names (`icon@2x.png`), unit names of
systemd, the shared users of code hosts (`git@github.com`), and the user part of an address of a network resource
(`ssh://deploy@host.kr/`). Written out (`hong [at] mail.kr`, `골뱅이`) they are found only where that is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from winnow.filters.personal.found import Found
from winnow.filters.urls.address import top_levels

_LOCAL = r"[A-Za-z0-9](?:[A-Za-z0-9._%+'-]{0,62}[A-Za-z0-9_+-])?"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(
    rf"(?<![A-Za-z0-9._%+'-])(?:%(?!40)[0-9A-Fa-f]{{2}})*['._-]?({_LOCAL})(?:@|%40)"
    rf"((?:{_LABEL}\.){{1,8}}(xn--[A-Za-z0-9-]{{2,59}}|[A-Za-z]{{2,24}}))(?![A-Za-z0-9_@])",
    re.ASCII,
)
_LETTERS = r"[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?"
_TOPS = (
    "한국 삼성 닷컴 닷넷 中国 中國 中文网 公司 网络 网址 在线 香港 台湾 台灣 澳門 新加坡 みんな コム ไทย คอม рф рус москва дети онлайн сайт "
    "орг бел укр срб мкд қаз бг ею мон ελ ευ հայ გე קום ישראל مصر السعودية امارات المغرب الجزائر تونس عمان قطر الاردن شبكة"
)
_INTERNATIONAL = re.compile(
    rf"(?<![A-Za-z0-9._%+'-])['._-]?({_LOCAL})@((?:{_LETTERS}\.){{1,8}}"
    rf"([A-Za-z]{{2,24}}(?![A-Za-z0-9_@])|{'|'.join(sorted(_TOPS.split(), key=len, reverse=True))}))"
)
_WRITTEN = re.compile(
    rf"(?<![A-Za-z0-9._%+-])({_LOCAL})(?: ?[\[({{<] ?(?:at|AT|앳|골뱅이) ?[\])}}>] ?| ?골뱅이 ?)"
    rf"({_LABEL}(?:(?:\.| ?[\[({{<] ?(?:dot|DOT|닷|점) ?[\])}}>] ?| 닷 | 점 ){_LABEL}){{0,6}}"
    rf"(?:\.| ?[\[({{<] ?(?:dot|DOT|닷|점) ?[\])}}>] ?| 닷 | 점 )([A-Za-z]{{2,24}}))(?![A-Za-z0-9_@])",
    re.ASCII,
)
_DOT = re.compile(r" ?[\[({<] ?(?:dot|DOT|닷|점) ?[\])}>] ?| 닷 | 점 ", re.ASCII)
_USERINFO = re.compile(r"://[^/\s?#]*$", re.ASCII)

_RESERVED = re.compile(r"(?:^|\.)(?:example\.(?:com|net|org)|(?:test|example|invalid|localhost|local))$", re.ASCII)
_FILES = frozenset(
    """
    png jpg jpeg gif svg webp avif ico bmp css scss js mjs ts tsx jsx json xml html htm php py rb java class
    jar md txt pdf zip gz mp3 mp4 woff ttf conf cfg ini yaml yml service socket timer target mount slice scope
    """.split()
)
_MEMBERS = frozenset(("bar", "call", "data", "dot", "fit", "foo", "mov", "new", "select"))
"""Top-level domains that are the names of members of objects and of nobody's mail."""
_NO_TOPS = _FILES | _MEMBERS
_ORDINARY = frozenset(
    """
    com net org edu gov int info biz kr jp cn tw hk de fr uk us eu ru
    """.split()
)
"""Those that are the end of an address whatever follows."""
_CALL = re.compile(r"\((?:\)|[\w\"'\[({*.-])", re.ASCII)
_REMOTE = re.compile(r":(?:[/~]|[\w.-]+/[\w./-]*\.git\b)", re.ASCII)
_SHARED = frozenset({"git", "hg", "svn"})


def find(text: str, written: bool = False) -> Iterator[Found]:
    """E-mail addresses in folded text; `written`: also those with the at sign in words or brackets."""
    ascii_ones = {match.start(1): match for match in _EMAIL.finditer(text)}
    others = () if text.isascii() else _INTERNATIONAL.finditer(text)
    every = {match.start(1): match for match in others if not match[2].isascii()} | ascii_ones
    for _, match in sorted(every.items()):
        local = match[1]
        domain = _domain(match[2])
        if domain is None or local.lower() in _SHARED or ".." in local:
            continue
        end = match.start(2) + len(domain)
        top = domain.rpartition(".")[2].lower()
        if _REMOTE.match(text, end) or (top not in _ORDINARY and _CALL.match(text, end)):
            continue
        if _USERINFO.search(text, max(0, match.start(1) - 100), match.start(1)):
            continue
        yield Found(match.start(1), end, "emails", f"{local.lower()}@{domain.lower()}")
    if written:
        for match in _WRITTEN.finditer(text):
            domain = _DOT.sub(".", match[2])
            if _domain(domain) == domain:
                yield Found(match.start(), match.end(), "emails", f"{match[1].lower()}@{domain.lower()}")


def _domain(text: str) -> str | None:
    """The domain that the text is or begins with; None where it is or begins with none that can have mail."""
    while "." in text:
        above, _, top = text.rpartition(".")
        if top.lower() in _NO_TOPS or _RESERVED.search(text.lower()):
            return None
        if not top.isascii() or (top.lower() in top_levels() and (top.islower() or top.isupper() or top.istitle())):
            return text
        below = above.rpartition(".")[2].lower()
        if not (top[0].isupper() and top[1:].islower()) and below not in _ORDINARY:
            return None
        text = above
    return None
