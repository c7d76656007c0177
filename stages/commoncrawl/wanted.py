"""Which rows of the columnar index are wanted, as masks over columns of a row group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.stages.commoncrawl.languages import charset_codec

Mask = npt.NDArray[np.bool_]

REASONS = ("site", "status", "mime", "length", "language")
"""What a row is passed over for: the first of these that it misses."""

_TEXT = ("url_host_tld", "url_host_name", "content_mime_detected", "content_charset", "content_languages")


@dataclass(frozen=True, slots=True)
class Wanted:
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
