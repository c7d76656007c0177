"""Street addresses of Korea, by road name (도로명주소) or by lot (지번), and among them homes.

An address begins with a province or large city, then a city, county or district, then a road with a building's number or a
village with a lot's. Most on web pages are those of shops and offices, printed to be found, so `addresses` are counted and
masked only on request. What names a unit that people live in is one of `homes`; those are masked:

- a building and a unit of it: `103동 1502호`, `A동 302호`, `가동 302호`, `, 103-1502`, and `103-1502` behind a blank where the
  unit ends as units do (01 to 12 on a floor). With 동 and 호 no province and no lot are needed (`강남구 대치동 은마아파트 12동 1305호`);
- a unit alone (`, 1203호`), by itself or behind the name of a block of flats. Behind a floor (`1층 102호`), the name of another
  building (`한빛빌딩 302호`) or before 실 it is a shop's, an office's or a ward's, and stays an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from winnow.filters.personal.found import Found

_PROVINCE = (
    r"(?:서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|전북|전남|경북|경남|제주|충청북|충청남|전라북|전라남|경상북|경상남)"
    r"(?:특별시|광역시|특별자치시|특별자치도|시|도)?"
)
_BUILDING_AND_UNIT = r"(?:\d{1,4}|[A-Z가나다라마바사아자차카타파하])동[ ,]{0,2}(?:\d{1,3}층 ?|지하 ?)?[BF]?\d{1,4}호"
_FLATS = r"[가-힣A-Za-z0-9]{0,14}(?:아파트|빌라|맨션|맨숀|타운|빌|자이|래미안|푸르지오|힐스테이트|하이츠|빌리지|원룸|연립|주택|오피스텔|하우스|캐슬|마을)"
_UNIT_ALONE = rf"(?:{_FLATS}[ ,]{{0,2}})?(?:지하 ?|[BF])?[1-9]\d{{2,3}}호(?![실선기차점관수])"
_HYPHEN = r"[1-9]\d{2}-\d{3,4}(?![\d-])"
_HYPHEN_BEHIND_BLANK = r"[1-9]\d{2}-[1-9]\d?(?:0[1-9]|1[0-2])(?![\d-])"
_NAMES = r"(?:[가-힣A-Za-z0-9]{2,16}[ ,]{0,2}){0,2}"
_ASIDE = r"(?:\([가-힣0-9, ]{1,24}\)[ ,]{0,2})?"
_DISTRICTS = r"[가-힣]{1,6}[시군구] {1,2}"
_LOT = r"[가-힣0-9]{1,8}(?:동|리|가) {1,2}(?:산 ?)?[1-9]\d{0,3}(?:-\d{1,4}(?:번지)?|번지)(?!\d|년|월|일|개|명|%)"
_ROAD = (
    r"[가-힣0-9·.]{1,12}(?:로|길) ?(?:\d{1,4}번?[가-힣]?길 ?)?(?:지하 ?)?[1-9]\d{0,3}(?:-\d{1,4})?"
    r"(?!\d|\.\d|,\d(?!\d{0,3}[동호]|\d{2}-\d{3})|년|월|일|개|명|%|시|분|원|만|천|억|배|층|위|차|호선)"
)
_NO_LOT = rf"[가-힣0-9]{{1,8}}[동리가읍면](?= {{1,2}}{_NAMES}{_BUILDING_AND_UNIT})"
_PLACE = rf"(?:[가-힣]{{1,6}}[읍면] {{1,2}})?(?:{_ROAD}|{_LOT}|{_NO_LOT})"
_ADDRESS = re.compile(
    rf"(?<![가-힣]){_PROVINCE} {{1,2}}(?:{_DISTRICTS}){{0,2}}{_PLACE}"
    rf"(?P<unit>[ ,]{{0,3}}{_ASIDE}{_NAMES}{_BUILDING_AND_UNIT}"
    rf"|[ ,]{{1,3}}{_ASIDE}{_UNIT_ALONE}|, ?{_HYPHEN}| {_HYPHEN_BEHIND_BLANK})?",
    re.ASCII,
)
_LOCAL = re.compile(
    rf"(?<![가-힣])(?:{_DISTRICTS}){{1,2}}{_PLACE}[ ,]{{0,3}}{_ASIDE}{_NAMES}{_BUILDING_AND_UNIT}", re.ASCII
)
_DISTRICT = re.compile(r"[시군구읍면] ", re.ASCII)


def find(text: str) -> Iterator[Found]:
    """Addresses in folded text; of kind `homes` with a unit that people live in, else `addresses`."""
    for match in _ADDRESS.finditer(text):
        if not _DISTRICT.search(match[0]) and not match[0].startswith("세종"):
            continue
        yield Found(match.start(), match.end(), "homes" if match["unit"] else "addresses", "".join(match[0].split()))
    for match in _LOCAL.finditer(text):
        yield Found(match.start(), match.end(), "homes", "".join(match[0].split()))
