"""Numbers of Korean bank accounts: nothing in them proves what they are, so a bank or the word 계좌 has to be near.

Taken are 10 to 14 digits in two to five groups joined by dashes, or in one run, where the name of a bank or a word such as
계좌번호 or 입금 ends within 24 characters in front of them, or a bank's name in brackets follows within 6. One account directly
after another (within 24 characters, with no line between) is taken as well. 하나, 우리, 국민, 기업 are words of every day: alone
they count only directly in front of the number; with 은행 or 뱅크 behind them always. Groups parted by blanks need a bank or
계좌 directly in front of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from winnow.filters.personal.found import Found, digits, near

_NUMBER = re.compile(
    r"(?<![\d-])(?<!\d[.,])(?:\d{2,7}(?: ?- ?\d{1,8}){1,4}|\d{10,14})(?![\d]|-\d|[.,]\d|[:%원])", re.ASCII
)
_BLANKS = re.compile(r"(?<![\d-])(?<!\d[.,])\d{2,6} \d{2,6} \d{4,8}(?: \d{2,3})?(?!\d| ?-|[.,]\d|[:%원]| \d)", re.ASCII)
_BANK = (
    r"(?:KB)?국민은행|신한은행|우리은행|(?:KEB)?하나은행|(?:NH)?농협|(?:IBK)?기업은행|카카오뱅크|카뱅|토스뱅크|케이뱅크|K뱅크|새마을금고|신협|우체국|수협|"
    r"SC제일|제일은행|씨티은행|대구은행|iM뱅크|부산은행|경남은행|광주은행|전북은행|제주은행|산업은행|외환은행|저축은행|신한|IBK"
)
_WORD = re.compile(rf"{_BANK}|계좌|입금|송금|이체|무통장|예금주|통장\s?번호", re.ASCII)
_DIRECT = re.compile(r"(?:국민|우리|하나|기업|카카오|토스|대구|부산|케이|제일|산업)\s?[:)]?\s?$", re.ASCII)
_DIRECTLY = re.compile(
    rf"(?:{_BANK}|(?:국민|우리|하나|기업|카카오|토스|대구|부산|케이|제일|산업)(?:은행|뱅크)|계좌(?:\s?번호)?(?:는|은)?)\s?[:()]?\s?$",
    re.ASCII,
)
_BEHIND = re.compile(rf"^\s?[(\[/,]?\s?(?:{_BANK}|국민|우리|하나|기업|카카오|토스|예금주)", re.ASCII)
_NOT = re.compile(
    r"주문|송장|전화|연락처|문의|팩스|사업자|☎|고객센터|상담|접수|승인|거래\s?번호|일시|날짜|\btel\b|\bfax\b",
    re.ASCII | re.IGNORECASE,
)
_DATE = re.compile(
    r"(?:19|20)\d\d ?- ?\d\d? ?- ?\d\d?(?!\d)|(?:19|20)\d{12}$|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{2,6}$",
    re.ASCII,
)
BEFORE, BEHIND = 24, 6


def find(text: str) -> Iterator[Found]:
    """Account numbers in folded text."""
    for match in _BLANKS.finditer(text):
        value = digits(match[0])
        start = match.start()
        if 10 <= len(value) <= 14 and value[3:].strip("0") and _DIRECTLY.search(text[max(0, start - BEFORE) : start]):
            yield Found(start, match.end(), "accounts", value)
    last = -1
    for match in _NUMBER.finditer(text):
        value = digits(match[0])
        start, end = match.span()
        if not 10 <= len(value) <= 14 or not value[3:].strip("0") or _DATE.match(match[0]):
            continue
        before = text[max(0, start - BEFORE) : start]
        follows = last >= 0 and start - last <= BEFORE and "\n" not in text[last:start]
        named = follows or bool(_WORD.search(before) or _DIRECT.search(before))
        if not named and not _BEHIND.match(text[end : end + BEHIND + 8]):
            continue
        if near(text, start, start, _NOT, 10):
            continue
        last = end
        yield Found(start, end, "accounts", value)
