"""Languages and charsets as Common Crawl's index names them.

`content_languages` holds the codes of CLD2, up to three for a page, the likeliest first
(https://github.com/commoncrawl/language-detection-cld2); `content_charset` what Apache Tika found. Neither was found for
every page, and either may be wrong.
"""

from __future__ import annotations

from winnow.filters.charset import codec
from winnow.filters.languages import LanguagePack
from winnow.nearest import hint
from winnow.stages.stage import StageError

_KNOWN = """aar abk afr aka amh ara asm aym aze bak bel ben bih bis blu bod bos bre bul cat ceb ces chr cos crs cym dan deu div
    dzo ell eng epo est eus ewe fao fas fij fin fra fry gaa gla gle glg glv grn guj hat hau haw heb hin hrv hun hye ibo iku
    ile ina ind ipk isl ita jav jpn kal kan kas kat kaz kha khm kin kir kor kri kur lao lat lav lif lin lit loz ltz lua lug
    luo mal mar mfe mkd mlg mlt mon mri msa mya nau nep new nld nno nor nso nya oci ori orm oss pam pan pol por pus que raj
    roh ron run rus sag san sco sin slk slv smo sna snd som sot spa sqi srp ssw sun swa swe syr tam tat tel tgk tgl tha tir
    ton tso tsn tuk tum tur twi uig ukr urd uzb ven vie vol war wol xho yid yor zha zho zul"""
CODES = frozenset(_KNOWN.split())
"""What the index may hold, in ISO 639-3 (macrolanguages where CLD2 knows no finer one)."""

_WITHIN = {
    "als": "sqi", "arb": "ara", "azj": "aze", "cmn": "zho", "ekk": "est", "gaz": "orm", "khk": "mon", "kmr": "kur",
    "lvs": "lav", "nob": "nor", "npi": "nep", "ory": "ori", "pbt": "pus", "pes": "fas", "plt": "mlg", "swh": "swa",
    "uzn": "uzb", "ydd": "yid", "yue": "zho", "zsm": "msa",
}  # fmt: skip
"""Languages of which the index knows the macrolanguage only."""

CHARSETS = {
    "kor": ("cp949", "iso2022_kr", "johab"),
    "jpn": ("cp932", "euc_jp", "iso2022_jp_2"),
    "zho": ("gb18030", "big5hkscs", "hz"),
    "tha": ("cp874",),
    "ell": ("cp1253", "iso8859-7"),
    "heb": ("cp1255", "iso8859-8"),
    "vie": ("cp1258",),
}
"""Charsets (Python codecs) in which one language alone is written, but for mistakes."""


def index_code(code: str) -> str:
    """The index's code for a language in ISO 639-3. Raises StageError for one that it does not know."""
    found = _WITHIN.get(code, code)
    if found in CODES:
        return found
    raise StageError(
        f"'{code}' is no language of Common Crawl's index; expected an ISO 639-3 code that CLD2 knows, such as kor"
        + hint(code, sorted(CODES | set(_WITHIN)))
    )


def charset_codec(label: str) -> str | None:
    """The codec of a charset as the index names it: a label of the web, or Java's name of it (x-windows-874)."""
    return codec(label) or codec(label.lower().removeprefix("x-"))


def index_codec(label: str) -> str:
    """The codec of a charset label. Raises StageError for a label that means nothing."""
    found = charset_codec(label)
    if found is None:
        raise StageError(
            f"'{label}' is no charset; expected a label such as EUC-KR"
            + hint(label.upper(), ("EUC-KR", "SHIFT_JIS", "EUC-JP", "GB18030", "BIG5"))
        )
    return found


def wanted_languages(given: tuple[str, ...] | None, pack: LanguagePack | None) -> frozenset[str]:
    """The index's codes: those given, or the language pack's. Raises StageError where there is neither."""
    if given is not None:
        return frozenset(map(index_code, given))
    if pack is None:
        raise StageError("no languages: expected `languages:`, or a declaration with a language pack")
    return frozenset([index_code(pack.iso639_3)])


def wanted_charsets(given: tuple[str, ...] | None, languages: frozenset[str]) -> frozenset[str]:
    """Codecs of the charsets given, or those that the languages alone use. Raises StageError."""
    if given is not None:
        return frozenset(map(index_codec, given))
    return frozenset(name for language in languages for name in CHARSETS.get(language, ()))
