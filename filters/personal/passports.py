"""Passport numbers: Korean ones near a word, and the machine-readable zone of any country's.

Korean numbers are a letter (M, S, R, G, D) and eight digits, since 2021 a letter, three digits, a letter and four digits;
those of the United States a letter and eight digits, or nine digits. None has a check digit, so a word such as 여권 has to
be within 30 characters, and nine digits have to stand directly behind `passport no` or 여권번호. A machine-readable zone (ICAO 9303, part 4:
two lines of 44 characters) holds name, birth and number; both lines are taken where the number's check digit is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from winnow.filters.personal.found import Found, near

_NUMBER = re.compile(r"(?<![A-Za-z0-9])([MSRGDmsrgd] ?\d{8}|[A-Z]\d{8}|[A-Z]\d{3}[A-Z]\d{4})(?![A-Za-z0-9])", re.ASCII)
_WORD = re.compile(r"여권|passport|旅券|护照|パスポート|reisepass|passeport", re.ASCII | re.IGNORECASE)
_NINE = re.compile(
    r"(?:passport|여권)\s?(?:no\b\.?|number|num\b\.?|번호|#)\s?(?:is\b|는|은)?\s?[:#]?\s?(\d{9})(?![A-Za-z0-9]|-\d)",
    re.ASCII | re.IGNORECASE,
)
_ZONE = re.compile(
    r"(?:(?<![A-Z0-9<])P[A-Z<][A-Z]{3}[A-Z<]{39}\s{1,4})?(?<![A-Z0-9<])([A-Z0-9<]{9})(\d)[A-Z<]{3}\d{7}[MFX<]\d{7}[A-Z0-9<]{14}[0-9<]\d(?![A-Z0-9<])",
    re.ASCII,
)


def check_digit(field: str) -> int:
    """ICAO 9303, part 3, 4.9: weights 7, 3, 1; letters from A = 10, the filler is 0; modulo 10."""
    values = (0 if c == "<" else int(c, 36) for c in field)
    return sum(v * (7, 3, 1)[i % 3] for i, v in enumerate(values)) % 10


def find(text: str) -> Iterator[Found]:
    """Passport numbers and machine-readable zones in folded text."""
    for match in _NUMBER.finditer(text):
        value = match[1].replace(" ", "").upper()
        if value[1:].strip("0") and near(text, match.start(), match.end(), _WORD, 30, 15):
            yield Found(match.start(), match.end(), "passports", value)
    for match in _NINE.finditer(text):
        if match[1].strip("0"):
            yield Found(match.start(1), match.end(1), "passports", match[1])
    for match in _ZONE.finditer(text):
        if check_digit(match[1]) == int(match[2]):
            yield Found(match.start(), match.end(), "passports", match[1].rstrip("<"))
