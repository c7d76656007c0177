"""Numbers that money goes by: of payment cards, IBANs and Korean bank accounts.

**Payment cards**: 13 to 19 digits with an issuer's prefix (ISO/IEC 7812) and a right Luhn digit. In groups as cards print
them (4-4-4-4, 4-6-5, 4-6-4) that is enough; in one run of digits a word such as 카드 has to be within 30 characters. The
numbers that payment services publish for tests are left.

**IBANs** (ISO 13616): country, two check digits, an account of the country's length. The check is modulo 97 (ISO/IEC 7064,
MOD 97-10): one in 97 random strings passes it.

**Korean accounts**: nothing in them proves what they are, so a bank or the word 계좌 has to be near. Taken are 10 to 14
digits in two to five groups joined by dashes, or in one run, where the name of a bank or a word such as 계좌번호 or 입금 ends
within 24 characters in front of them, or a bank's name in brackets follows within 6. One account directly after another
(within 24 characters, with no line between) is taken as well. 하나, 우리, 국민, 기업 are words of every day: alone they count
only directly in front of the number; with 은행 or 뱅크 behind them always. Groups parted by blanks need a bank or 계좌 directly
in front of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stdnum import luhn
from stdnum.iso7064 import mod_97_10

from winnow.filters.personal.found import Found, digits, near

_CARD = re.compile(
    r"(?<![\d.])(?<!\d[- ])(?:"
    r"\d{4}( ?- ?|  ?|\.)\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?"
    r"|\d{4}([- ])\d{6}\2\d{4,5}"
    r"|\d{13,19}"
    r")(?![\d]|[- .]\d)",
    re.ASCII,
)
_CARD_WORD = re.compile(
    r"카드|체크|신용|card|visa|mastercard|amex|karte|carte|カード|银行卡|信用卡|결제", re.ASCII | re.IGNORECASE
)
_NOT_CARD = re.compile(r"주문|송장|운송장|ISBN|바코드|order|tracking|IMEI|timestamp|\bid\b", re.ASCII | re.IGNORECASE)
_TESTS = frozenset(
    """
    4111111111111111 4242424242424242 4012888888881881 4000056655665556 5555555555554444 5105105105105100
    2223003122003222 5200828282828210 378282246310005 371449635398431 6011111111111117 6011000990139424
    3530111333300000 3566002020360505 30569309025904 38520000023237 4222222222222 6200000000000005
    """.split()
)


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


def cards(text: str) -> Iterator[Found]:
    """Card numbers in folded text."""
    for match in _CARD.finditer(text):
        value = match[0].translate({32: None, 45: None, 46: None})
        if not issued(value) or luhn.checksum(value) != 0 or value in _TESTS:
            continue
        named = near(text, match.start(), match.end(), _CARD_WORD, 30, 12)
        if len(value) == len(match[0]) and not named:
            continue
        if named or not near(text, match.start(), match.end(), _NOT_CARD, 24):
            yield Found(match.start(), match.end(), "cards", value)


LENGTHS = {
    entry[:2]: int(entry[2:])
    for entry in """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24
    FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32
    LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22
    SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
    """.split()
}
"""Country -> number of characters, by the registry of ISO 13616."""

_HEAD = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?=[ -]?[A-Z0-9]{3})", re.ASCII)
_GROUP = re.compile(r"[ -]?([A-Z0-9])", re.ASCII)


def ibans(text: str) -> Iterator[Found]:
    """IBANs in folded text, with or without blanks between groups."""
    for head in _HEAD.finditer(text):
        size = LENGTHS.get(head[0][:2], 0)
        if not size:
            continue
        value, at = head[0], head.end()
        while len(value) < size and (more := _GROUP.match(text, at)):
            value += more[1]
            at = more.end()
        if len(value) < size or (text[at : at + 1].isascii() and text[at : at + 1].isalnum()):
            continue
        if "02" <= value[2:4] <= "98" and value[4:].strip("0") and mod_97_10.checksum(value[4:] + value[:4]) == 1:
            yield Found(head.start(), at, "ibans", value)


_ACCOUNT = re.compile(
    r"(?<![\d-])(?<!\d[.,])(?:\d{2,7}(?: ?- ?\d{1,8}){1,4}|\d{10,14})(?![\d]|-\d|[.,]\d|[:%원])", re.ASCII
)
_BLANKS = re.compile(r"(?<![\d-])(?<!\d[.,])\d{2,6} \d{2,6} \d{4,8}(?: \d{2,3})?(?!\d| ?-|[.,]\d|[:%원]| \d)", re.ASCII)
_BANK = (
    r"(?:KB)?국민은행|신한은행|우리은행|(?:KEB)?하나은행|(?:NH)?농협|(?:IBK)?기업은행|카카오뱅크|카뱅|토스뱅크|케이뱅크|K뱅크|새마을금고|신협|우체국|수협|"
    r"SC제일|제일은행|씨티은행|대구은행|iM뱅크|부산은행|경남은행|광주은행|전북은행|제주은행|산업은행|외환은행|저축은행|신한|IBK"
)
_ACCOUNT_WORD = re.compile(rf"{_BANK}|계좌|입금|송금|이체|무통장|예금주|통장\s?번호", re.ASCII)
_DIRECT = re.compile(r"(?:국민|우리|하나|기업|카카오|토스|대구|부산|케이|제일|산업)\s?[:)]?\s?$", re.ASCII)
_DIRECTLY = re.compile(
    rf"(?:{_BANK}|(?:국민|우리|하나|기업|카카오|토스|대구|부산|케이|제일|산업)(?:은행|뱅크)|계좌(?:\s?번호)?(?:는|은)?)\s?[:()]?\s?$",
    re.ASCII,
)
_BEHIND = re.compile(rf"^\s?[(\[/,]?\s?(?:{_BANK}|국민|우리|하나|기업|카카오|토스|예금주)", re.ASCII)
_NOT_ACCOUNT = re.compile(
    r"주문|송장|전화|연락처|문의|팩스|사업자|☎|고객센터|상담|접수|승인|거래\s?번호|일시|날짜|\btel\b|\bfax\b",
    re.ASCII | re.IGNORECASE,
)
_DATE = re.compile(
    r"(?:19|20)\d\d ?- ?\d\d? ?- ?\d\d?(?!\d)|(?:19|20)\d{12}$|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{2,6}$",
    re.ASCII,
)
BEFORE, BEHIND = 24, 6


def accounts(text: str) -> Iterator[Found]:
    """Account numbers in folded text."""
    for match in _BLANKS.finditer(text):
        value = digits(match[0])
        start = match.start()
        if 10 <= len(value) <= 14 and value[3:].strip("0") and _DIRECTLY.search(text[max(0, start - BEFORE) : start]):
            yield Found(start, match.end(), "accounts", value)
    last = -1
    for match in _ACCOUNT.finditer(text):
        value = digits(match[0])
        start, end = match.span()
        if not 10 <= len(value) <= 14 or not value[3:].strip("0") or _DATE.match(match[0]):
            continue
        before = text[max(0, start - BEFORE) : start]
        follows = last >= 0 and start - last <= BEFORE and "\n" not in text[last:start]
        named = follows or bool(_ACCOUNT_WORD.search(before) or _DIRECT.search(before))
        if not named and not _BEHIND.match(text[end : end + BEHIND + 8]):
            continue
        if near(text, start, start, _NOT_ACCOUNT, 10):
            continue
        last = end
        yield Found(start, end, "accounts", value)
