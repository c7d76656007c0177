"""Telephone numbers: the Korean numbering plan by a pattern of our own, other countries by phonenumbers.

Numbers behind +82 and 010 with separators are found in every text; older mobile numbers (011, 016 to 019), land lines (02,
031 to 064; `82-2-...` without a plus near a word), Internet (070) and forwarding numbers (050x) in texts of the region KR. A land line written with blanks alone, or without
any separator, needs a word such as 전화 within 24 characters. Left are numbers that belong to no person's line: services
(15xx, 16xx, 18xx), free and paid calls (080, 060); a capital letter directly behind makes it the number of a part.

Elsewhere `phonenumbers.PhoneNumberMatcher` (leniency VALID) decides, but only about what is written as a number to dial: with
a plus, with the region's trunk prefix 0 and separators, grouped 3-3-4 under the North American plan, else near a word
such as `phone`. Numbers behind words such as ISBN, 주문번호 or 계좌 are left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache

from winnow.filters.personal.found import Found, digits, near

_SEP = r"(?: ?[-./·)_] ?| )"
_KOREAN = re.compile(
    r"(?<![\d+])(?<![\d][-.])(?<![A-Za-z_=/]-)(?:"
    rf"(?P<prefix>(?:\(?\+ ?82|(?:\(?00[127]{_SEP}?)82|82(?=-(?:10|2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70)-\d{{3,4}}-)){_SEP}?(?:\(0\) ?)?0?)"
    r"(?P<trunkless>1[016789]|2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|50\d)"
    r"|(?:\( ?)?(?P<area>01[016789]|02|03[1-3]|04[1-4]|05[1-5]|06[1-4]|070|050\d)"
    r")"
    rf"(?P<s1>{_SEP}|)(?P<mid>\d{{3,4}})(?P<s2>{_SEP}|)(?P<end>\d{{4}})(?![\d]|-\d|\.\d|[:%]|[A-DG-LNOQ-SU-Z](?![A-Za-z0-9.:-]))",
    re.ASCII,
)
_WORD = re.compile(
    r"전화|연락|번호|문의|팩스|휴대|핸드폰|폰|대표|상담|예약|☎|☏|📞|📱|📠|\b(?:tel|phone|fax|mobile|call|cell|t|f|m|hp|h\.p|contact|whatsapp|text)\b|telefon|t[ée]l[ée]phone|\bt[ée]l\b|rufen|handy|portable|"
    r"電話|携帯|お問い合わせ|电话|手机|联系|ファックス|[Тт]ел|điện thoại|โทร|telefone|teléfono|móvil|هاتف|फोन",
    re.ASCII | re.IGNORECASE,
)
_NOT = re.compile(
    r"ISBN|ISSN|DOI|주문|송장|접수|운송장|계좌|입금|특허|공고|고시|상품|품번|모델|등록\s?번호|관리\s?번호|우편|사업자|법인|일련|좌표|코드|"
    r"\b(?:order|invoice|tracking|patent|serial|model|part|version|account|acct|iban|sku|ean|upc|case|ref(?:erence)?|item|"
    r"ticket|timestamp|zip|coordinates|lat|lon|rfc|cve|bestell\w*|rechnung\w*|konto\w*|artikel\w*|commande|compte|siret|siren|"
    r"id|no|nr|port|pid|p)\b|注文|品番|番号[:：]?\s?[A-Z]",
    re.ASCII | re.IGNORECASE,
)
_DIALLED = re.compile(r"(?<![\w.,])(?<!\d[-/:])(\+? ?\(?\d(?:[\d \-./()·]{5,24})\d)(?![\w]|[.,:]\d|[%€$₩£¥])", re.ASCII)
_DATE = re.compile(
    r"(?:19|20)\d\d[-./ ]+\d{1,2}[-./ ]+\d{1,2}|\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d(?!\d)|(?:19|20)\d\d ?[-/ ] ?(?:19|20)\d\d(?!\d)",
    re.ASCII,
)
_NORTH_AMERICAN = re.compile(r"(?:1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. /])\d{3}[-. ]\d{4}$", re.ASCII)
_PARTS = re.compile(r"[\d()]{2,}[ \-./()·]", re.ASCII)
MOST_TRIALS = 20_000
"""How many candidates of one call phonenumbers is asked about: a page of numbers costs no more than some seconds."""

REGIONS = {
    "ko": "KR",
    "en": "US",
    "ja": "JP",
    "zh": "CN",
    "de": "DE",
    "fr": "FR",
    "es": "ES",
    "pt": "BR",
    "ru": "RU",
    "vi": "VN",
    "th": "TH",
    "hi": "IN",
    "it": "IT",
    "tr": "TR",
    "pl": "PL",
    "nl": "NL",
    "id": "ID",
    "uk": "UA",
}
"""The region whose national way of dialling a language's texts use, where the declaration names none. Of a language of many
countries (Arabic) only numbers with a plus are found."""


@cache
def regions() -> frozenset[str]:
    """The regions that phonenumbers knows."""
    import phonenumbers

    return frozenset(phonenumbers.SUPPORTED_REGIONS)


def find(text: str, region: str | None) -> Iterator[Found]:
    """Telephone numbers in folded text. `region`: two letters of ISO 3166, as phonenumbers takes them, or None."""
    ends: list[tuple[int, int]] = []
    for found in _korean(text, region == "KR"):
        ends.append((found.start, found.end))
        yield found
    if region == "KR" and "+" not in text:
        return
    trials = 0
    at = 0
    for match in _DIALLED.finditer(text):
        while at < len(ends) and ends[at][1] <= match.start(1):
            at += 1
        if at < len(ends) and ends[at][0] < match.end(1):
            continue
        if not _dialled(text, match, region):
            continue
        trials += 1
        if trials > MOST_TRIALS:
            return
        for start, end, value in _valid(match[1], region):
            yield Found(match.start(1) + start, match.start(1) + end, "phones", value)


def _korean(text: str, land_lines: bool) -> Iterator[Found]:
    for match in _KOREAN.finditer(text):
        area = match["area"] or "0" + match["trunkless"]
        mobile = area in ("010", "011", "016", "017", "018", "019")
        if not land_lines and not match["prefix"] and not (area == "010" and match["s1"] and match["s2"]):
            continue
        middle, last = match["mid"], match["end"]
        if not (middle + last).strip("0"):
            continue
        if (area in ("010", "070") and len(middle) == 3) or (middle[0] in "01" and not mobile and area[:3] != "050"):
            continue
        first, second = match["s1"].strip(), match["s2"].strip()
        if (
            (not match["s2"]) != (not match["s1"])
            and not (area == "010" and first)
            and not match["prefix"]
            and first != ")"
        ):
            continue
        start, end = match.span()
        if text.startswith("(", start) and ")" not in match[0]:
            start += 1
        if not match["s1"] and not match["s2"] and _letters(text, start, end):
            continue
        if (match["prefix"] or "").rstrip("-") == "82" and not mobile and not near(text, start, start, _WORD, 24):
            continue
        loose = not first and not second and not match["prefix"]
        if loose and not (mobile and (area == "010" or match["s1"])) and not near(text, start, end, _WORD, 24):
            continue
        if near(text, start, start, _NOT, 12) and not near(text, start, start, _WORD, 12):
            continue
        yield Found(start, end, "phones", area + middle + last)


def _letters(text: str, start: int, end: int) -> bool:
    """Whether a Latin letter touches [start, end): a run of digits within a hash or a name is no number."""
    around = text[max(0, start - 1) : start] + text[end : end + 1]
    return any(c.isascii() and c.isalpha() for c in around)


def _dialled(text: str, match: re.Match[str], region: str | None) -> bool:
    """Whether a candidate is worth asking about: written as a number to dial, and nothing else by its form."""
    written = match[1]
    start, end = match.span(1)
    size = len(digits(written))
    if not 7 <= size <= 15 or _DATE.search(written):
        return False
    if near(text, start, start, _NOT, 14) and not near(text, start, start, _WORD, 10):
        return False
    if written[0] == "+":
        return size >= 8
    if region is None:
        return False
    named = near(text, start, end, _WORD, 24)
    if _trunk(region) == "0":
        separated = bool(_PARTS.search(written))
        return written.lstrip("( ")[0] == "0" and (named or (separated and size >= 9 and "." not in written))
    if _trunk(region) == "1":
        return bool(_NORTH_AMERICAN.search(written)) or named
    return named


@cache
def _trunk(region: str) -> str | None:
    """What is dialled in front of a national number: 0 in most of the world, 1 in North America."""
    import phonenumbers

    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    return metadata.national_prefix if metadata is not None else None


@lru_cache(maxsize=4096)
def _valid(written: str, region: str | None) -> tuple[tuple[int, int, str], ...]:
    import phonenumbers

    matcher = phonenumbers.PhoneNumberMatcher(written, region, leniency=phonenumbers.Leniency.VALID, max_tries=8)
    return tuple(
        (m.start, m.end, f"+{m.number.country_code}{phonenumbers.national_significant_number(m.number)}")
        for m in matcher
        if phonenumbers.national_significant_number(m.number)[3:].strip("0")
        and phonenumbers.number_type(m.number)
        not in (
            phonenumbers.PhoneNumberType.TOLL_FREE,
            phonenumbers.PhoneNumberType.PREMIUM_RATE,
            phonenumbers.PhoneNumberType.SHARED_COST,
        )
    )
