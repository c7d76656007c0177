"""Numbers that name a person or a business: of residents, passports, licences, registrations.

**Resident and alien registration numbers of Korea**: YYMMDD-GXXXXXX. G names century and sex: 9, 0 born 18YY; 1, 2 born
19YY; 3, 4 born 20YY; 5, 6 and 7, 8 the same for foreigners. The last digit checks the others (from the enforcement rules
of the Resident Registration Act; for foreigners 2 more). Since October 2020 the six digits behind G are drawn at random,
so a number given out since (to a newborn, or anew to anybody) has no check digit. Taken is therefore what has a possible
date and, besides,

- the right check digit, or
- a Korean's birth from 2020-10 on, unless words of an order or a receipt are in front of it, or
- a word such as 주민등록번호 within 30 characters in front of it or 12 behind.

Born in the 1800s, or written without the dash, it needs both the word and the check digit, or for 13 digits of somebody
born since 2020-10 the word. Numbers whose author has masked them (`900101-1******`) are left.

**National numbers of other countries**, where a check digit or a word makes them reliable:

- China: the 18 characters of GB 11643, with a possible date and the check character (ISO/IEC 7064, MOD 11-2).
- Brazil: CPF as 000.000.000-00, with both check digits.
- United States: social security number 000-00-0000 outside the areas never given out, within 30 characters of `SSN` or
  `social security`.
- Japan: My Number, 12 digits with the check digit, within 30 characters of マイナンバー or 個人番号.

**Passports**: Korean numbers are a letter (M, S, R, G, D) and eight digits, since 2021 a letter, three digits, a letter and
four digits; those of the United States a letter and eight digits, or nine digits. None has a check digit, so a word such as
여권 has to be within 30 characters, and nine digits have to stand directly behind `passport no` or 여권번호. A
machine-readable zone (ICAO 9303, part 4: two lines of 44 characters) holds name, birth and number; both lines are taken
where the number's check digit is right.

**Driving licences of Korea**, near a word. **Registration numbers of Korean businesses**, XXX-XX-XXXXX: public by law, so
counted and masked only on request; the last digit checks the others, and written without dashes it needs a word such as
사업자 within 20 characters.

Check digits are python-stdnum's where it has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from stdnum.br import cpf
from stdnum.cn import ric
from stdnum.jp import in_
from stdnum.kr import rrn

from winnow.filters.personal.found import Found, digits, near

_RESIDENT = re.compile(r"(?<![\d-])(?<!\d[ .])(\d{6})( ?- ?|)(\d)(\d{6})(?!\d|-\d|\.\d)", re.ASCII)
_RESIDENT_WORD = re.compile(
    r"주민\s?등록|주민\s?번호|주민\s?No|외국인\s?등록|외국인\s?번호|거소\s?신고|생년월일|resident|registration (?:no|number)|\bRRN\b|\bARC\b",
    re.ASCII | re.IGNORECASE,
)
_ORDER = re.compile(
    r"주문|접수|송장|문서|관리\s?번호|예약|상품|일련|승인|order|invoice|ticket|serial|batch|lot\b",
    re.ASCII | re.IGNORECASE,
)
_CENTURY = dict(zip("9012563478", (1800, 1800, 1900, 1900, 1900, 1900, 2000, 2000, 2000, 2000), strict=True))
_RANDOM_FROM = date(2020, 10, 1)
_LAST_YEAR = 2040  # a birth after this is no birth; fixed, so that results do not depend on the clock


def _born(six: str, century: str) -> date | None:
    try:
        born = date(_CENTURY[century] + int(six[:2]), int(six[2:4]), int(six[4:]))
    except ValueError:
        return None
    return born if born.year <= _LAST_YEAR else None


def resident_numbers(text: str) -> Iterator[Found]:
    """Resident and alien registration numbers in folded text."""
    for match in _RESIDENT.finditer(text):
        six, dash, century, rest = match.groups()
        born = _born(six, century)
        if born is None:
            continue
        foreign = century in "5678"
        check_digit = int(rrn.calc_check_digit(six + century + rest[:-1])) + (2 if foreign else 0)
        right = check_digit % 10 == int(rest[-1])
        recent = born >= _RANDOM_FROM and not foreign
        named = near(text, match.start(), match.end(), _RESIDENT_WORD, 30, 12)
        if not dash or born.year < 1900:
            sure = named and (right or recent)
        else:
            sure = right or named or (recent and not near(text, match.start(), match.end(), _ORDER, 30))
        if sure and not (right and not named and near(text, match.start(), match.end(), _ORDER, 14)):
            yield Found(match.start(), match.end(), "resident_numbers", six + century + rest)


_CHINA = re.compile(r"(?<![\dA-Za-z])([1-8]\d{5})((?:19|20)\d{6})(\d{3}[\dXx])(?![\dA-Za-z])", re.ASCII)
_BRAZIL = re.compile(r"(?<![\d.-])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\d-])", re.ASCII)
_AMERICA = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}[- ](?!00)\d\d[- ](?!0000)\d{4}(?![\d-])", re.ASCII)
_AMERICAN_WORD = re.compile(r"\bSSN\b|social security", re.ASCII | re.IGNORECASE)
_JAPAN = re.compile(r"(?<![\d-])\d{4}([- ]?)\d{4}\1\d{4}(?![\d]|[- ]\d)", re.ASCII)
_JAPANESE_WORD = re.compile(r"マイナンバー|個人番号|my number", re.ASCII | re.IGNORECASE)


def national_numbers(text: str) -> Iterator[Found]:
    """National numbers in folded text."""
    for match in _CHINA.finditer(text):
        try:
            date(int(match[2][:4]), int(match[2][4:6]), int(match[2][6:]))
        except ValueError:
            continue
        if ric.calc_check_digit(match[0]) == match[0][-1].upper():
            yield Found(match.start(), match.end(), "national_numbers", match[0].upper())
    for match in _BRAZIL.finditer(text):
        value = digits(match[0])
        if len(set(value)) > 1 and cpf.is_valid(value):
            yield Found(match.start(), match.end(), "national_numbers", value)
    for match in _AMERICA.finditer(text):
        if near(text, match.start(), match.end(), _AMERICAN_WORD, 30, 12):
            yield Found(match.start(), match.end(), "national_numbers", digits(match[0]))
    for match in _JAPAN.finditer(text):
        value = digits(match[0])
        right = value.strip("0") and in_.calc_check_digit(value[:11]) == value[11]
        if right and near(text, match.start(), match.end(), _JAPANESE_WORD, 30, 12):
            yield Found(match.start(), match.end(), "national_numbers", value)


_PASSPORT = re.compile(
    r"(?<![A-Za-z0-9])([MSRGDmsrgd] ?\d{8}|[A-Z]\d{8}|[A-Z]\d{3}[A-Z]\d{4})(?![A-Za-z0-9])", re.ASCII
)
_PASSPORT_WORD = re.compile(r"여권|passport|旅券|护照|パスポート|reisepass|passeport", re.ASCII | re.IGNORECASE)
_NINE = re.compile(
    r"(?:passport|여권)\s?(?:no\b\.?|number|num\b\.?|번호|#)\s?(?:is\b|는|은)?\s?[:#]?\s?(\d{9})(?![A-Za-z0-9]|-\d)",
    re.ASCII | re.IGNORECASE,
)
_ZONE = re.compile(
    r"(?:(?<![A-Z0-9<])P[A-Z<][A-Z]{3}[A-Z<]{39}\s{1,4})?(?<![A-Z0-9<])([A-Z0-9<]{9})(\d)[A-Z<]{3}\d{7}[MFX<]\d{7}[A-Z0-9<]{14}[0-9<]\d(?![A-Z0-9<])",
    re.ASCII,
)


def passport_check_digit(field: str) -> int:
    """ICAO 9303, part 3, 4.9: weights 7, 3, 1; letters from A = 10, the filler is 0; modulo 10."""
    values = (0 if c == "<" else int(c, 36) for c in field)
    return sum(v * (7, 3, 1)[i % 3] for i, v in enumerate(values)) % 10


def passports(text: str) -> Iterator[Found]:
    """Passport numbers and machine-readable zones in folded text."""
    for match in _PASSPORT.finditer(text):
        value = match[1].replace(" ", "").upper()
        if value[1:].strip("0") and near(text, match.start(), match.end(), _PASSPORT_WORD, 30, 15):
            yield Found(match.start(), match.end(), "passports", value)
    for match in _NINE.finditer(text):
        if match[1].strip("0"):
            yield Found(match.start(1), match.end(1), "passports", match[1])
    for match in _ZONE.finditer(text):
        if passport_check_digit(match[1]) == int(match[2]):
            yield Found(match.start(), match.end(), "passports", match[1].rstrip("<"))


_LICENCE = re.compile(
    r"(?<![\d-])(?:(?:1[1-9]|2[0-8])|(?:서울|부산|경기|강원|충북|충남|전북|전남|경북|경남|제주|대구|인천|광주|대전|울산))"
    r"[- ]\d\d[- ]\d{6}[- ]\d\d(?![\d]|-\d)",
    re.ASCII,
)
_LICENCE_WORD = re.compile(r"면허|driver|licen[cs]e", re.ASCII | re.IGNORECASE)


def licences(text: str) -> Iterator[Found]:
    """Licence numbers in folded text."""
    for match in _LICENCE.finditer(text):
        if near(text, match.start(), match.end(), _LICENCE_WORD, 30, 15):
            yield Found(match.start(), match.end(), "licences", digits(match[0]))


_BUSINESS = re.compile(r"(?<![\d-])(?<!\d\.)(\d{3})( ?- ?|)(\d{2})\2(\d{5})(?!\d|-\d|\.\d)", re.ASCII)
_BUSINESS_WORD = re.compile(r"사업자|등록\s?번호|business", re.ASCII | re.IGNORECASE)


def business_check_digit(first: str) -> int:
    """The 10th digit for the 9 before it: weights 1, 3, 7, 1, 3, 7, 1, 3, 5, the tens of the last product added again."""
    total = sum(int(c) * w for c, w in zip(first, (1, 3, 7, 1, 3, 7, 1, 3, 5), strict=True)) + int(first[8]) * 5 // 10
    return -total % 10


def business_numbers(text: str) -> Iterator[Found]:
    """Business registration numbers in folded text."""
    for match in _BUSINESS.finditer(text):
        value = match[1] + match[3] + match[4]
        if business_check_digit(value[:9]) != int(value[9]) or not value.strip("0") or match[1] < "101":
            continue
        if match[2] or near(text, match.start(), match.end(), _BUSINESS_WORD, 20):
            yield Found(match.start(), match.end(), "business_numbers", value)
