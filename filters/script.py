"""Writing systems: which code points belong to a script that a language has to itself, and how many of them the raw
bytes of a page hold.

Counting reads UTF-8 and numeric character references straight from the bytes (a numba kernel that skips plain ASCII
64 bytes at a time); a page in another charset is decoded by `filters/charset.py` first. `tests/bench/bench_prescreen.py`
on 2,261 real pages: 20,500 pages/s, 5.9 times faster than detecting, decoding and counting with a regular expression.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from winnow.filters.charset import LIKELY, decode, disguised, utf8_wins
from winnow.filters.kernel import ReadBytes, kernel
from winnow.nearest import hint

RANGES: dict[str, tuple[tuple[int, int], ...]] = {
    "Arab": ((0x0600, 0x06FF), (0x0750, 0x077F), (0x08A0, 0x08FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC)),
    "Armn": ((0x0531, 0x058F), (0xFB13, 0xFB17)),
    "Beng": ((0x0980, 0x09FF),),
    "Cyrl": ((0x0400, 0x052F), (0x1C80, 0x1C8F), (0x2DE0, 0x2DFF), (0xA640, 0xA69F)),
    "Deva": ((0x0900, 0x097F), (0xA8E0, 0xA8FF)),
    "Ethi": ((0x1200, 0x139F), (0x2D80, 0x2DDF)),
    "Geor": ((0x10A0, 0x10FF), (0x1C90, 0x1CBF), (0x2D00, 0x2D2F)),
    "Grek": ((0x0370, 0x03FF), (0x1F00, 0x1FFF)),
    "Gujr": ((0x0A80, 0x0AFF),),
    "Guru": ((0x0A00, 0x0A7F),),
    "Hang": (
        (0x1100, 0x11FF),
        (0x3131, 0x318E),
        (0xA960, 0xA97C),
        (0xAC00, 0xD7A3),
        (0xD7B0, 0xD7FB),
        (0xFFA0, 0xFFDC),
    ),
    "Hani": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF)),
    "Hans": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF)),
    "Hant": ((0x3100, 0x312F), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF)),
    "Hebr": ((0x0590, 0x05FF), (0xFB1D, 0xFB4F)),
    "Jpan": ((0x3041, 0x309F), (0x30A1, 0x30FA), (0x30FD, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9D)),
    "Khmr": ((0x1780, 0x17FF), (0x19E0, 0x19FF)),
    "Knda": ((0x0C80, 0x0CFF),),
    "Laoo": ((0x0E80, 0x0EFF),),
    "Mlym": ((0x0D00, 0x0D7F),),
    "Mymr": ((0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),
    "Orya": ((0x0B00, 0x0B7F),),
    "Sinh": ((0x0D80, 0x0DFF),),
    "Taml": ((0x0B80, 0x0BFF),),
    "Telu": ((0x0C00, 0x0C7F),),
    "Thai": ((0x0E01, 0x0E5B),),
    "Tibt": ((0x0F00, 0x0FFF),),
}
"""ISO 15924 code -> inclusive code point ranges (https://www.unicode.org/Public/UCD/latest/ucd/Blocks.txt). Japanese
is told by kana, because Chinese shares its Han characters."""

_TABLE_SIZE = 0x32400

_BLOCK = 64
_HIGH = np.uint64(0x8080808080808080)
_ONES = np.uint64(0x0101010101010101)
_AMPERSANDS = np.uint64(0x2626262626262626)


class UnknownScript(ValueError):
    """No ranges for the script asked for; the message lists those there are and the nearest."""


@dataclass(frozen=True, slots=True)
class ScriptCount:
    """`script` characters of the script; `foreign` all non-ASCII characters, character references included."""

    script: int
    foreign: int

    @property
    def ratio(self) -> float:
        return self.script / self.foreign if self.foreign else 0.0


@cache
def membership(script: str) -> NDArray[np.uint8]:
    """1 for each code point of the script, shape (0x32400,): all planes that the scripts here reach."""
    if script not in RANGES:
        raise UnknownScript(
            f"no ranges for script '{script}': expected one of {', '.join(sorted(RANGES))}{hint(script, RANGES)}"
        )
    table = np.zeros(_TABLE_SIZE, np.uint8)
    for first, last in RANGES[script]:
        table[first : last + 1] = 1
    return table


def count_script(payload: bytes, script: str, header: str | None = None) -> ScriptCount:
    """Counts the characters of `script` in a raw page. `header`: the charset that HTTP declares."""
    table = membership(script)
    hidden = disguised(payload)
    if not hidden:
        ours, foreign, good, bad = scan(np.frombuffer(payload, np.uint8), table)
        if bad == 0 or utf8_wins(good, bad):
            return ScriptCount(ours, foreign)
    text = decode(payload, header, LIKELY.get(script)).text
    ours, foreign, _, _ = scan(np.frombuffer(text.encode("utf-8", "replace"), np.uint8), table)
    return ScriptCount(ours, foreign)


@kernel
def scan(data: ReadBytes, table: ReadBytes) -> tuple[int, int, int, int]:
    """UTF-8 bytes -> (characters in `table`, non-ASCII characters, valid multi-byte sequences, invalid bytes).

    The first two include numeric character references (`&#44032;`, `&#xAC00;`); the last two tell whether the bytes
    are UTF-8 at all. Well-formedness as in table 3-7 of the Unicode standard."""
    size = data.size
    words = data[: size // 8 * 8].view(np.uint64)
    ours = foreign = good = bad = 0
    i = 0
    while i < size:
        end = min(i + _BLOCK, size)
        if i & 7 == 0 and i + _BLOCK <= size:
            # Eight bytes at a time: a high bit is non-ASCII, a zero byte after the exclusive or an ampersand
            # (Hacker's Delight, 6-1: borrows may add false alarms, never hide one).
            seen = np.uint64(0)
            first = i >> 3
            for j in range(_BLOCK // 8):
                word = words[first + j]
                rest = word ^ _AMPERSANDS
                seen |= word | ((rest - _ONES) & ~rest)
            if seen & _HIGH == 0:
                i = end
                continue
        else:
            end = min((i | 7) + 1, size)
        while i < end:
            byte = data[i]
            if byte < 0x80:
                i += 1
                if byte != 38 or i + 2 >= size or data[i] != 35:
                    continue
                i += 1
                base = 10
                if data[i] == 120 or data[i] == 88:
                    base = 16
                    i += 1
                point = 0
                while i < size and point < 0x110000:
                    digit = data[i]
                    if 48 <= digit <= 57:
                        value = digit - 48
                    elif base == 16 and 97 <= (digit | 32) <= 102:
                        value = (digit | 32) - 87
                    else:
                        break
                    point = point * base + value
                    i += 1
                if 0x80 <= point < 0x110000:
                    foreign += 1
                    if point < table.size:
                        ours += table[point]
                continue
            length = 0
            low, high = 0x80, 0xBF
            if 0xC2 <= byte <= 0xDF:
                length, point = 1, byte & 0x1F
            elif 0xE0 <= byte <= 0xEF:
                length, point = 2, byte & 0x0F
                if byte == 0xE0:
                    low = 0xA0
                elif byte == 0xED:
                    high = 0x9F
            elif 0xF0 <= byte <= 0xF4:
                length, point = 3, byte & 0x07
                if byte == 0xF0:
                    low = 0x90
                elif byte == 0xF4:
                    high = 0x8F
            i += 1
            valid = length > 0
            for _ in range(length):
                if i >= size or data[i] < low or data[i] > high:
                    valid = False
                    break
                point = (point << 6) | (data[i] & 0x3F)
                low, high = 0x80, 0xBF
                i += 1
            if not valid:
                bad += 1
                continue
            good += 1
            foreign += 1
            if point < table.size:
                ours += table[point]
    return ours, foreign, good, bad
