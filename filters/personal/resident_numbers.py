"""Resident and alien registration numbers of Korea: YYMMDD-GXXXXXX.

G names century and sex: 9, 0 born 18YY; 1, 2 born 19YY; 3, 4 born 20YY; 5, 6 and 7, 8 the same for foreigners. The last digit
checks the others (`check_digit`, from the enforcement rules of the Resident Registration Act; for foreigners 2 more).

Since October 2020 the six digits behind G are drawn at random, so a number given out since (to a newborn, or anew to
anybody) has no check digit. Taken is therefore what has a possible date and, besides,

- the right check digit, or
- a Korean's birth from 2020-10 on, unless words of an order or a receipt are in front of it, or
- a word such as 주민등록번호 within 30 characters in front of it or 12 behind.

Born in the 1800s, or written without the dash, it needs both the word and the check digit, or for 13 digits of somebody
born since 2020-10 the word. Numbers whose author has masked them (`900101-1******`) are left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from winnow.filters.personal.found import Found, near

_NUMBER = re.compile(r"(?<![\d-])(?<!\d[ .])(\d{6})( ?- ?|)(\d)(\d{6})(?!\d|-\d|\.\d)", re.ASCII)
_WORD = re.compile(
    r"주민\s?등록|주민\s?번호|주민\s?No|외국인\s?등록|외국인\s?번호|거소\s?신고|생년월일|resident|registration (?:no|number)|\bRRN\b|\bARC\b",
    re.ASCII | re.IGNORECASE,
)
_ORDER = re.compile(
    r"주문|접수|송장|문서|관리\s?번호|예약|상품|일련|승인|order|invoice|ticket|serial|batch|lot\b",
    re.ASCII | re.IGNORECASE,
)
_CENTURY = {
    "9": 1800,
    "0": 1800,
    "1": 1900,
    "2": 1900,
    "3": 2000,
    "4": 2000,
    "5": 1900,
    "6": 1900,
    "7": 2000,
    "8": 2000,
}
_RANDOM_FROM = date(2020, 10, 1)
_LAST_YEAR = 2040  # a birth after this is no birth; fixed, so that results do not depend on the clock


def check_digit(first: str, foreign: bool) -> int:
    """The 13th digit for the 12 before it: 11 less the weighted sum modulo 11 (weights 2 to 9, then 2 to 5), modulo
    10; for foreigners 13 less."""
    total = sum(int(c) * w for c, w in zip(first, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=True))
    return ((13 if foreign else 11) - total % 11) % 10


def _born(six: str, century: str) -> date | None:
    try:
        born = date(_CENTURY[century] + int(six[:2]), int(six[2:4]), int(six[4:]))
    except ValueError:
        return None
    return born if born.year <= _LAST_YEAR else None


def find(text: str) -> Iterator[Found]:
    """Resident and alien registration numbers in folded text."""
    for match in _NUMBER.finditer(text):
        six, dash, century, rest = match.groups()
        born = _born(six, century)
        if born is None:
            continue
        foreign = century in "5678"
        right = check_digit(six + century + rest[:-1], foreign) == int(rest[-1])
        recent = born >= _RANDOM_FROM and not foreign
        named = near(text, match.start(), match.end(), _WORD, 30, 12)
        if not dash or born.year < 1900:
            sure = named and (right or recent)
        else:
            sure = right or named or (recent and not near(text, match.start(), match.end(), _ORDER, 30))
        if sure and not (right and not named and near(text, match.start(), match.end(), _ORDER, 14)):
            yield Found(match.start(), match.end(), "resident_numbers", six + century + rest)
