"""Numbers of payment cards: 13 to 19 digits with an issuer's prefix (ISO/IEC 7812) and a right Luhn digit.

In groups as cards print them (4-4-4-4, 4-6-5, 4-6-4) that is enough; in one run of digits a word such as 카드 has to be
within 30 characters. The numbers that payment services publish for tests are left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from winnow.filters.personal.found import Found, near

_NUMBER = re.compile(
    r"(?<![\d.])(?<!\d[- ])(?:"
    r"\d{4}( ?- ?|  ?|\.)\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?"
    r"|\d{4}([- ])\d{6}\2\d{4,5}"
    r"|\d{13,19}"
    r")(?![\d]|[- .]\d)",
    re.ASCII,
)
_WORD = re.compile(
    r"카드|체크|신용|card|visa|mastercard|amex|karte|carte|カード|银行卡|信用卡|결제", re.ASCII | re.IGNORECASE
)
_NOT = re.compile(r"주문|송장|운송장|ISBN|바코드|order|tracking|IMEI|timestamp|\bid\b", re.ASCII | re.IGNORECASE)
_TESTS = frozenset(
    [
        "4111111111111111",
        "4242424242424242",
        "4012888888881881",
        "4000056655665556",
        "5555555555554444",
        "5105105105105100",
        "2223003122003222",
        "5200828282828210",
        "378282246310005",
        "371449635398431",
        "6011111111111117",
        "6011000990139424",
        "3530111333300000",
        "3566002020360505",
        "30569309025904",
        "38520000023237",
        "4222222222222",
        "6200000000000005",
    ]
)


def luhn(number: str) -> bool:
    """Whether the last digit is right (ISO/IEC 7812-1, annex B)."""
    total = 0
    for i, c in enumerate(reversed(number)):
        digit = int(c) * (1 + i % 2)
        total += digit - 9 * (digit > 9)
    return total % 10 == 0


def issued(number: str) -> bool:
    """Whether prefix and length are those of a card scheme: Visa, Mastercard, American Express, Discover, JCB, Diners,
    UnionPay, or a Korean domestic card (9)."""
    size, two, three, four = len(number), int(number[:2]), int(number[:3]), int(number[:4])
    if number[0] == "4":
        return size in (13, 16, 19)
    if size == 16 and (51 <= two <= 55 or 2221 <= four <= 2720 or 3528 <= four <= 3589):
        return True
    if size == 15:
        return two in (34, 37)
    if size == 14:
        return two in (36, 38, 39) or 300 <= three <= 305
    if size >= 16 and (two == 62 or four == 6011 or 644 <= three <= 649 or two == 65):
        return True
    return size == 16 and two == 94


def find(text: str) -> Iterator[Found]:
    """Card numbers in folded text."""
    for match in _NUMBER.finditer(text):
        value = match[0].translate({32: None, 45: None, 46: None})
        if not issued(value) or not luhn(value) or value in _TESTS:
            continue
        named = near(text, match.start(), match.end(), _WORD, 30, 12)
        if len(value) == len(match[0]) and not named:
            continue
        if named or not near(text, match.start(), match.end(), _NOT, 24):
            yield Found(match.start(), match.end(), "cards", value)
