"""Personal data in a column of texts: the screen's windows decoded, folded, and put to the kinds that they can hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from winnow.filters.kernel import Bytes, Ints
from winnow.filters.personal import addresses, emails, ips, phones, screen
from winnow.filters.personal.found import KINDS, Found, apart, folded
from winnow.filters.personal.identity_numbers import (
    business_numbers,
    licences,
    national_numbers,
    passports,
    resident_numbers,
)
from winnow.filters.personal.payments import accounts, cards, ibans

_NUMBERS = (
    ("resident_numbers", resident_numbers),
    ("cards", cards),
    ("business_numbers", business_numbers),
    ("passports", passports),
    ("licences", licences),
    ("ibans", ibans),
    ("national_numbers", national_numbers),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for. `region`: whose national telephone numbers (ISO 3166, two letters; None: only those with a plus);
    `written`: also e-mail addresses with the at sign in words."""

    kinds: frozenset[str] = frozenset(KINDS)
    region: str | None = None
    written: bool = False


class NotText(ValueError):
    """A text that is not valid UTF-8, where something in it would have to be told by character."""


def search(text: str, wanted: Wanted) -> list[Found]:
    """What one text holds, sorted, apart; positions in characters. Lone surrogates count as one character."""
    rows = search_column(pa.array([text.encode("utf-8", "replace").decode()], pa.large_string()), wanted)
    found = rows.get(0, [])
    if isinstance(found, NotText):
        raise found
    return found


def search_column(texts: pa.Array, wanted: Wanted) -> dict[int, list[Found] | NotText]:
    """Row -> what its text holds (sorted, apart), for the rows that hold anything; NotText for a row whose candidates
    cannot be decoded. `texts` is large_string; null is empty."""
    offsets, data = _buffers(texts)
    found: dict[int, list[Found] | NotText] = {}
    for row, low, high, first, bits in screen.windows(offsets, data, wanted.written).tolist():
        before = found.get(row)
        if isinstance(before, NotText):
            continue
        try:
            stretch = folded(data[low:high].tobytes().decode())
        except UnicodeDecodeError as error:
            found[row] = NotText(
                f"not valid UTF-8 at byte {low - int(offsets[row]) + error.start} ({error.reason}), beside what may be personal data"
            )
            continue
        if hits := apart(_in_window(stretch, bits, wanted)):
            placed = [Found(first + hit.start, first + hit.end, hit.kind, hit.value) for hit in hits]
            found[row] = placed if before is None else before + placed
    return found


def _in_window(text: str, bits: int, wanted: Wanted) -> Iterator[Found]:
    kinds = wanted.kinds
    if bits & screen.AT and "emails" in kinds:
        yield from emails.find(text, wanted.written)
    if bits & (screen.DOTTED | screen.COLONS) and "ips" in kinds:
        yield from ips.find(text)
    if bits & screen.NUMBER:
        for kind, find in _NUMBERS:
            if kind in kinds:
                yield from find(text)
        if "phones" in kinds:
            yield from phones.find(text, wanted.region)
        if "accounts" in kinds:
            yield from accounts(text)
    if bits & screen.STREET and ("homes" in kinds or "addresses" in kinds):
        yield from (hit for hit in addresses.find(text) if hit.kind in kinds)


def _buffers(texts: pa.Array) -> tuple[Ints, Bytes]:
    """Offsets and bytes of a large_string array, sliced ones too; nothing is copied."""
    if not len(texts):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return ends, np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
