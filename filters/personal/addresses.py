"""Street addresses of Korea, by road name (도로명주소) or by lot (지번), and among them homes.

An address begins with a province or large city, then a city, county or district, then a road with a building's number or a
village with a lot's. Most on web pages are those of shops and offices, printed to be found, so `addresses` are counted and
masked only on request. What names a numbered building and a unit in it (`103동 1502호`, or `, 103-1502` behind it), as housing estates have them, is
a `homes`: those are masked. A unit without a building (`302호`) is a room of an office as often, and stays an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from winnow.filters.personal.found import Found

_PROVINCE = (
    r"(?:서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|전북|전남|경북|경남|제주|충청북|충청남|전라북|전라남|경상북|경상남)"
    r"(?:특별시|광역시|특별자치시|특별자치도|시|도)?"
)
_ADDRESS = re.compile(
    rf"(?<![가-힣]){_PROVINCE} {{1,2}}(?:[가-힣]{{1,6}}[시군구] {{1,2}}){{0,2}}(?:[가-힣]{{1,6}}[읍면] {{1,2}})?"
    r"(?:[가-힣0-9·.]{1,12}(?:로|길) ?(?:\d{1,4}번?[가-힣]?길 ?)?(?:지하 ?)?[1-9]\d{0,3}(?:-\d{1,4})?(?![\d,.]\d|년|월|일|개|명|%|시|분|원|만|천|억|배|층|위|차|호선)"
    r"|[가-힣0-9]{1,8}(?:동|리|가) {1,2}(?:산 ?)?[1-9]\d{0,3}(?:-\d{1,4}(?:번지)?|번지)(?!\d|년|월|일|개|명|%))"
    r"(?P<unit>[ ,]{0,3}(?:\([가-힣0-9, ]{1,24}\)[ ,]{0,2})?(?:[가-힣A-Za-z0-9]{2,16}[ ,]{1,2})?\d{1,4}동[ ,]{0,2}(?:\d{1,3}층 ?)?\d{1,4}호|, ?[1-9]\d{2}-\d{3,4}(?![\d-]))?",
    re.ASCII,
)
_DISTRICT = re.compile(r"[시군구읍면] ", re.ASCII)


def find(text: str) -> Iterator[Found]:
    """Addresses in folded text; of kind `homes` with a building and a unit, else `addresses`."""
    for match in _ADDRESS.finditer(text):
        if not _DISTRICT.search(match[0]) and not match[0].startswith("세종"):
            continue
        yield Found(match.start(), match.end(), "homes" if match["unit"] else "addresses", "".join(match[0].split()))
