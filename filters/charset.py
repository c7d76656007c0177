"""Bytes of a web page to text: what the page says about its charset, checked against what its bytes allow.

Order of evidence: byte order mark, NUL pattern of UTF-16/32, escape sequences of ISO-2022, valid UTF-8, the HTTP
header, the page's own `meta`, detection (faust-cchardet), the legacy charset likely for the pipeline's language.
A declared charset that does not decode the bytes (nearly) cleanly loses to the next piece of evidence, and so does a
declared Western one whose bytes come in pairs, as servers with a default charset send them.

Labels mean what browsers take them to mean (https://encoding.spec.whatwg.org/#names-and-labels): EUC-KR is CP949,
GB2312 is GB18030, Shift_JIS is CP932, ISO-8859-1 is Windows-1252, and UTF-16 in a `meta` that could be read is not.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from functools import cache

import cchardet
import numpy as np
from resiliparse.parse.encoding import map_encoding_to_html5

META_BYTES = 4096
DETECT_BYTES = 1 << 18

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# Python knows these labels by names of its own, the WHATWG table not at all or by a narrower set than pages use.
_WIDER = {
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-11": "cp874",
    "iso8859-9": "cp1254",
    "iso2022_jp": "iso2022_jp_2",
}
_EXTRA_LABELS = {
    "x-windows-949": "cp949",
    "windows949": "cp949",
    "x-uhc": "cp949",
    "x-johab": "johab",
    "csiso2022kr": "iso2022_kr",
    "x-user-defined": "cp1252",
    "x-mac-cyrillic": "mac-cyrillic",
}
_ESCAPES = re.compile(rb"\x1b(?:(\$\)C)|\$[@B]|\([IJ])")
_META = re.compile(
    rb"""<meta\b[^>]{0,512}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:\-]+)|<\?xml\b[^>]{0,256}?encoding\s*=\s*["']([A-Za-z0-9_.:\-]+)""",
    re.IGNORECASE,
)
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)

_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-16", "utf-32")
_KOREAN = ("cp949", "johab", "iso2022_kr")
_WESTERN = ("cp1252", "cp1254", "iso8859-15", "iso8859-2", "cp1250", "mac-roman")
_MULTIBYTE = (*_KOREAN, "gb18030", "big5hkscs", "cp932", "euc_jp")

_CLEAN = 0.02  # share of undecodable characters a legacy charset may show: truncated and damaged pages
_CLEAN_UTF8 = 0.05
_HANGUL_SHARE = 0.8  # of the non-ASCII characters of a CP949 reading; GB2312 pages reach about 0.6
_PAIRED_SHARE = 0.6  # of the high bytes that touch another; Western European text stays under 0.2

LIKELY = {
    "Hang": "cp949",
    "Jpan": "cp932",
    "Hani": "gb18030",
    "Hans": "gb18030",
    "Hant": "big5hkscs",
    "Cyrl": "cp1251",
    "Grek": "cp1253",
    "Hebr": "cp1255",
    "Arab": "cp1256",
    "Thai": "cp874",
}
"""ISO 15924 script -> the legacy charset (Python codec) that its undeclared pages are most likely in."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A page's text without NULs, and the Python name of the charset that gave it."""

    text: str
    charset: str


@dataclass(frozen=True, slots=True)
class _Reading:
    text: str
    codec: str
    foreign: int  # non-ASCII characters, undecodable ones included
    bad: int

    @property
    def bad_share(self) -> float:
        return self.bad / self.foreign if self.foreign else 0.0


@cache
def codec(label: str) -> str | None:
    """The Python codec that a declared charset label stands for on the web; None for an unknown label."""
    name = label.strip().strip("\"'").lower()
    if name in _EXTRA_LABELS:
        return _EXTRA_LABELS[name]
    known = map_encoding_to_html5(name, fallback_utf8=False) or name
    try:
        info = codecs.lookup(known)
        if not getattr(info, "_is_text_encoding", True):
            return None
    except (LookupError, ValueError):
        return None
    return _WIDER.get(info.name, info.name)


def declared(payload: bytes) -> str | None:
    """The charset label in the page's own `meta` or XML declaration, looked for in its first 4 KB."""
    head = payload[:META_BYTES]
    found = _META.search(_COMMENT.sub(b"", head)) or _META.search(head)
    return (found[1] or found[2]).decode("ascii") if found else None


def decode(payload: bytes, header: str | None = None, likely: str | None = None) -> Decoded:
    """Decodes a page. `header`: the charset of the HTTP Content-Type; `likely`: the codec to try for a page that
    says nothing usable. Never raises: bytes that no charset explains become U+FFFD."""
    for mark, name in _BOMS:
        if payload.startswith(mark):
            reading = _read(payload[len(mark) :], name)
            if reading.bad_share <= _CLEAN_UTF8:
                return _done(reading.text, name)
    wide = _wide(payload)
    if wide:
        return _done(payload.decode(wide, "replace"), wide)
    labels = [codec(label) for label in (header, declared(payload)) if label]
    claims = list(dict.fromkeys(name for name in labels if name and name not in _WIDE))
    if payload.isascii():
        return _decode_ascii(payload, claims)
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_legacy(payload, claims, likely)
    if _only_few_pairs(text) and claims and claims[0] in _MULTIBYTE:
        reading = _read(payload, claims[0])
        if not reading.bad:
            return _done(reading.text, claims[0])
    return _done(text, "utf-8")


def utf8_wins(good: int, bad: int) -> bool:
    """Whether bytes with this many valid and invalid UTF-8 sequences are damaged UTF-8 rather than a legacy charset."""
    return bad <= max(_CLEAN_UTF8 * good, 2) and good >= bad


def disguised(payload: bytes) -> bool:
    """Whether ASCII bytes may stand for other characters here: UTF-16, UTF-32, ISO-2022, HZ."""
    return (
        payload.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE))
        or _wide(payload) is not None
        or (payload.find(b"\x1b") >= 0 and _ESCAPES.search(payload) is not None)
        or (b"hz" in payload[:META_BYTES].lower() and payload.find(b"~{") >= 0)
    )


def _decode_ascii(payload: bytes, claims: list[str]) -> Decoded:
    escape = _ESCAPES.search(payload)
    seven_bit = ["iso2022_kr" if escape[1] else "iso2022_jp_2"] if escape else []
    seven_bit += [name for name in claims if name in ("hz", "iso2022_kr", "iso2022_jp_2")]
    for name in seven_bit:
        reading = _read(payload, name)
        if reading.foreign and reading.bad_share <= _CLEAN_UTF8:
            return _done(reading.text, name)
    return _done(payload.decode("ascii"), "utf-8")


def _decode_legacy(payload: bytes, claims: list[str], likely: str | None) -> Decoded:
    readings = {"utf-8": _read(payload, "utf-8")}

    def reading(name: str) -> _Reading:
        if name not in readings:
            readings[name] = _read(payload, name)
        return readings[name]

    utf8 = reading("utf-8")
    good = utf8.foreign - utf8.bad
    if utf8_wins(good, utf8.bad):
        return _done(utf8.text, "utf-8")
    if not any(name in _KOREAN for name in claims):
        korean = reading("cp949")
        if korean.bad_share <= _CLEAN and _hangul_share(korean) >= _HANGUL_SHARE and _paired(payload):
            return _done(korean.text, "cp949")
    for name in claims:
        if name in _WESTERN and _paired(payload):
            continue
        if reading(name).bad_share <= _CLEAN:
            return _done(reading(name).text, name)
    guess = cchardet.detect(payload[:DETECT_BYTES]).get("encoding")
    guessed = codec(guess) if guess else None
    tried = [name for name in (guessed, likely, *claims, "cp949", "cp1252") if name and name not in _WIDE]
    for name in tried:
        if reading(name).bad_share <= _CLEAN:
            return _done(reading(name).text, name)
    best = min(readings.values(), key=lambda found: found.bad_share)
    return _done(best.text, best.codec)


def _read(payload: bytes, name: str) -> _Reading:
    if name == "iso2022_kr":
        # Real messages repeat the designator or leave it out of the first line, where Python's decoder wants it.
        payload = b"\x1b$)C" + payload.replace(b"\x1b$)C", b"")
    text = payload.decode(name, "replace")
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    # C1 controls stand for bytes that the single-byte charset does not assign.
    bad = int(np.count_nonzero(points == 0xFFFD)) + int(np.count_nonzero((points >= 0x80) & (points < 0xA0)))
    return _Reading(text, name, int(np.count_nonzero(points >= 0x80)), bad)


def _hangul_share(reading: _Reading) -> float:
    points = np.frombuffer(reading.text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return int(np.count_nonzero((points >= 0xAC00) & (points <= 0xD7A3))) / max(reading.foreign, 1)


def _paired(payload: bytes) -> bool:
    high = np.frombuffer(payload, np.uint8) >= 0x80
    beside = np.zeros_like(high)
    beside[1:] |= high[:-1]
    beside[:-1] |= high[1:]
    return bool(np.count_nonzero(high & beside) >= _PAIRED_SHARE * np.count_nonzero(high))


def _only_few_pairs(text: str) -> bool:
    """Valid UTF-8 that a double-byte charset could also have produced: a few two-byte sequences, nothing longer."""
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    foreign = points[points >= 0x80]
    return foreign.size <= 3 and int(foreign.max(initial=0)) < 0x800


def _wide(payload: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: markup is ASCII, so NULs fill fixed positions."""
    head = payload[:1024]
    if len(head) < 8 or head.count(0) < len(head) // 10:
        return None
    first, second, third, fourth = (head[place::4].count(0) * 4 / len(head) for place in range(4))
    if min(third, fourth) > 0.8 and first < 0.2:
        return "utf-32-le"
    if min(first, second) > 0.8 and fourth < 0.2:
        return "utf-32-be"
    even, odd = (first + third) / 2, (second + fourth) / 2
    if max(even, odd) < 0.2 or min(even, odd) > 0.02:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _done(text: str, name: str) -> Decoded:
    return Decoded(text.replace("\x00", "").removeprefix("\ufeff"), name)
