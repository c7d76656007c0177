"""Numbers of Korean driver's licences: 11-22-333333-44, the first part the issuing office (11 to 28) or its name.

There is no public check digit, so a word such as 면허 has to be within 30 characters in front or 15 behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from winnow.filters.personal.found import Found, digits, near

_NUMBER = re.compile(
    r"(?<![\d-])(?:(?:1[1-9]|2[0-8])|(?:서울|부산|경기|강원|충북|충남|전북|전남|경북|경남|제주|대구|인천|광주|대전|울산))"
    r"[- ]\d\d[- ]\d{6}[- ]\d\d(?![\d]|-\d)",
    re.ASCII,
)
_WORD = re.compile(r"면허|driver|licen[cs]e", re.ASCII | re.IGNORECASE)


def find(text: str) -> Iterator[Found]:
    """Licence numbers in folded text."""
    for match in _NUMBER.finditer(text):
        if near(text, match.start(), match.end(), _WORD, 30, 15):
            yield Found(match.start(), match.end(), "licences", digits(match[0]))
