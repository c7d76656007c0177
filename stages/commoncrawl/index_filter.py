"""Which rows of the columnar index are wanted, as masks over columns of a row group.

`content_languages` holds the codes of CLD2, up to three for a page, the likeliest first
(https://github.com/commoncrawl/language-detection-cld2); `content_charset` what Apache Tika found. Neither was found for
every page, and either may be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.filters.charset import codec
from winnow.filters.languages import LanguagePack
from winnow.nearest import hint
from winnow.stages.base import StageError

Mask = npt.NDArray[np.bool_]

REASONS = ("site", "status", "mime", "length", "language")
"""What a row is passed over for: the first of these that it misses."""

_TEXT = ("url_host_tld", "url_host_name", "content_mime_detected", "content_charset", "content_languages")


@dataclass(frozen=True, slots=True)
class IndexFilter:
    """Every row of status 200 with one of the `mime` types detected, at most `length` bytes long as it is stored, whose
    host the rules take, and with one of the `languages` at any place of its list or one of the `charsets` (codecs).

    `allow`, `block`: domains with all below them; blocked wins. `tlds`: last labels of hosts. Empty: no such rule."""

    languages: frozenset[str]
    charsets: frozenset[str]
    mime: frozenset[str]
    length: int
    tlds: frozenset[str] = frozenset()
    allow: frozenset[str] = frozenset()
    block: frozenset[str] = frozenset()

    def columns(self) -> list[str]:
        """The columns of the index that the rules read."""
        names = ["fetch_status", "content_mime_detected", "warc_record_length", "content_languages", "content_charset"]
        if self.tlds:
            names.append("url_host_tld")
        if self.allow or self.block:
            names.append("url_host_name")
        return names

    def texts(self) -> list[str]:
        """Those of them that hold text."""
        return [name for name in self.columns() if name in _TEXT]

    def canonical(self) -> list[object]:
        """What tells these rules from others."""
        sets = (self.languages, self.charsets, self.mime, self.tlds, self.allow, self.block)
        return [self.length, *(sorted(one) for one in sets)]

    def masks(self, rows: pa.Table) -> dict[str, Mask]:
        """By reason, which rows are fine. `rows` has `columns()`."""
        length = _numbers(rows, "warc_record_length")
        fine = {
            "site": np.ones(rows.num_rows, bool),
            "status": _numbers(rows, "fetch_status") == 200,
            "mime": _matching(rows, "content_mime_detected", lambda value: value in self.mime),
            "length": (length > 0) & (length <= self.length),
            "language": _matching(rows, "content_languages", self._speaks)
            | _matching(rows, "content_charset", self._encodes),
        }
        if self.tlds:
            fine["site"] &= _matching(rows, "url_host_tld", lambda value: value in self.tlds)
        if self.allow or self.block:
            fine["site"] &= _matching(rows, "url_host_name", self._takes)
        return fine

    def outside(self, low: str, high: str) -> bool:
        """Whether no top-level domain from `low` to `high` is wanted."""
        return bool(self.tlds) and not any(low <= tld <= high for tld in self.tlds)

    def _speaks(self, value: str | None) -> bool:
        return value is not None and not self.languages.isdisjoint(value.split(","))

    def _encodes(self, value: str | None) -> bool:
        return value is not None and charset_codec(value) in self.charsets

    def _takes(self, host: str | None) -> bool:
        name = (host or "").lower().rstrip(".")
        above = [name]
        while "." in name:
            name = name.partition(".")[2]
            above.append(name)
        return self.block.isdisjoint(above) and (not self.allow or not self.allow.isdisjoint(above))


def first_missed(fine: Mapping[str, Mask]) -> tuple[dict[str, int], Mask, Mask]:
    """How many rows each reason passes over, which rows are wanted, and which miss the language alone."""
    left = np.ones(len(fine["site"]), bool)
    counts = {}
    for reason in REASONS[:-1]:
        counts[reason] = int(np.count_nonzero(left & ~fine[reason]))
        left &= fine[reason]
    foreign = left & ~fine["language"]
    counts["language"] = int(np.count_nonzero(foreign))
    return counts, left & fine["language"], foreign


def _numbers(rows: pa.Table, name: str) -> npt.NDArray[np.int64]:
    """A column of numbers; -1 where null, which is no status and no length."""
    values: npt.NDArray[np.int64] = rows.column(name).cast(pa.int64()).fill_null(-1).to_numpy()
    return values


def _matching(rows: pa.Table, name: str, test: Callable[[str | None], bool]) -> Mask:
    """Which values of a dictionary-encoded column pass, each distinct one tested once."""
    parts = [np.zeros(0, bool)]
    for chunk in rows.column(name).chunks:
        passes = np.array([*(test(value) for value in chunk.dictionary.to_pylist()), test(None)], bool)
        codes = chunk.indices.fill_null(len(passes) - 1).to_numpy(zero_copy_only=False)
        parts.append(passes[codes])
    return np.concatenate(parts)


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
