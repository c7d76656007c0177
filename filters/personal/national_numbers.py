"""National numbers of people in other countries, where a check digit or a word makes them reliable.

- China: the 18 characters of GB 11643, with a possible date and the check character (ISO/IEC 7064, MOD 11-2).
- Brazil: CPF as 000.000.000-00, with both check digits.
- United States: social security number 000-00-0000 outside the areas never given out, within 30 characters of `SSN` or
  `social security`.
- Japan: My Number, 12 digits with the check digit, within 30 characters of マイナンバー or 個人番号.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from winnow.filters.personal.found import Found, digits, near

_CHINA = re.compile(r"(?<![\dA-Za-z])([1-8]\d{5})((?:19|20)\d{6})(\d{3}[\dXx])(?![\dA-Za-z])", re.ASCII)
_BRAZIL = re.compile(r"(?<![\d.-])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\d-])", re.ASCII)
_AMERICA = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}[- ](?!00)\d\d[- ](?!0000)\d{4}(?![\d-])", re.ASCII)
_AMERICAN_WORD = re.compile(r"\bSSN\b|social security", re.ASCII | re.IGNORECASE)
_JAPAN = re.compile(r"(?<![\d-])\d{4}([- ]?)\d{4}\1\d{4}(?![\d]|[- ]\d)", re.ASCII)
_JAPANESE_WORD = re.compile(r"マイナンバー|個人番号|my number", re.ASCII | re.IGNORECASE)


def china(number: str) -> bool:
    """Whether the last character is right: the sum of 2**(17 - i) times each character, 1 modulo 11 (X is 10)."""
    return sum((10 if c in "Xx" else int(c)) * pow(2, 17 - i, 11) for i, c in enumerate(number)) % 11 == 1


def brazil(number: str) -> bool:
    """Whether both last digits are right (Receita Federal): weights 10 to 2, then 11 to 2, modulo 11."""
    if len(set(number)) == 1:
        return False
    for size in (9, 10):
        total = sum(int(c) * (size + 1 - i) for i, c in enumerate(number[:size]))
        if total * 10 % 11 % 10 != int(number[size]):
            return False
    return True


def japan(number: str) -> bool:
    """Whether the last digit is right (ordinance 85 of 2014, article 5): weights 2 to 7 and 2 to 6 from behind, modulo 11."""
    total = sum(int(c) * w for c, w in zip(reversed(number[:11]), (2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6), strict=True))
    return (0 if total % 11 <= 1 else 11 - total % 11) == int(number[11])


def find(text: str) -> Iterator[Found]:
    """National numbers in folded text."""
    for match in _CHINA.finditer(text):
        try:
            date(int(match[2][:4]), int(match[2][4:6]), int(match[2][6:]))
        except ValueError:
            continue
        if china(match[0]):
            yield Found(match.start(), match.end(), "national_numbers", match[0].upper())
    for match in _BRAZIL.finditer(text):
        if brazil(value := digits(match[0])):
            yield Found(match.start(), match.end(), "national_numbers", value)
    for match in _AMERICA.finditer(text):
        if near(text, match.start(), match.end(), _AMERICAN_WORD, 30, 12):
            yield Found(match.start(), match.end(), "national_numbers", digits(match[0]))
    for match in _JAPAN.finditer(text):
        value = digits(match[0])
        if value.strip("0") and japan(value) and near(text, match.start(), match.end(), _JAPANESE_WORD, 30, 12):
            yield Found(match.start(), match.end(), "national_numbers", value)
