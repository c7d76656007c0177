"""Registration numbers of Korean businesses: XXX-XX-XXXXX. Public by law, so counted and masked only on request.

The last digit checks the others. Written without dashes it needs a word such as 사업자 within 20 characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from winnow.filters.personal.found import Found, near

_NUMBER = re.compile(r"(?<![\d-])(?<!\d\.)(\d{3})( ?- ?|)(\d{2})\2(\d{5})(?!\d|-\d|\.\d)", re.ASCII)
_WORD = re.compile(r"사업자|등록\s?번호|business", re.ASCII | re.IGNORECASE)


def check_digit(first: str) -> int:
    """The 10th digit for the 9 before it: weights 1, 3, 7, 1, 3, 7, 1, 3, 5, the tens of the last product added again."""
    total = sum(int(c) * w for c, w in zip(first, (1, 3, 7, 1, 3, 7, 1, 3, 5), strict=True)) + int(first[8]) * 5 // 10
    return -total % 10


def find(text: str) -> Iterator[Found]:
    """Business registration numbers in folded text."""
    for match in _NUMBER.finditer(text):
        value = match[1] + match[3] + match[4]
        if check_digit(value[:9]) != int(value[9]) or not value.strip("0") or match[1] < "101":
            continue
        if match[2] or near(text, match.start(), match.end(), _WORD, 20):
            yield Found(match.start(), match.end(), "business_numbers", value)
