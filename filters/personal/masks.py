"""What to write instead of personal data, so that it is not found again.

Two styles. `typed` writes the kind in capitals and brackets, `[EMAIL]`: plain ASCII that no tokenizer or HTML cleaner eats,
that a reader of the corpus understands and one regular expression finds. `fixed` writes a value of the same form that is
nobody's, as FineWeb does (`email@example.com`, an address that answers to nobody), so that a model sees natural text.

Numbered (`[EMAIL_1]`), the same value of a document gets the same number, in the order of their first appearance; nothing
links values of two documents. Neither style is ever found: words in brackets have no form of any kind, the fixed values are ones
that the kinds leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from winnow.filters.edits import Edit, apply
from winnow.filters.personal.found import Found
from winnow.filters.personal.ips import PLACEHOLDERS
from winnow.filters.personal.search import NotText, Wanted, search_column

TYPED = {
    "emails": "EMAIL",
    "ips": "IP",
    "phones": "PHONE",
    "resident_numbers": "RESIDENT_NUMBER",
    "national_numbers": "NATIONAL_NUMBER",
    "passports": "PASSPORT",
    "licences": "LICENCE",
    "business_numbers": "BUSINESS_NUMBER",
    "cards": "CARD",
    "accounts": "ACCOUNT",
    "homes": "ADDRESS",
    "addresses": "ADDRESS",
    "ibans": "IBAN",
}
FIXED = {
    "emails": "email@example.com",
    "ips": PLACEHOLDERS[0],
    "phones": "010-0000-0000",
    "resident_numbers": "000000-0000000",
    "national_numbers": "000000000000000000",
    "passports": "M00000000",
    "licences": "00-00-000000-00",
    "business_numbers": "000-00-00000",
    "cards": "0000-0000-0000-0000",
    "accounts": "000-000-000000",
    "homes": "○○시 ○○구 ○○로 0",
    "addresses": "○○시 ○○구 ○○로 0",
    "ibans": "XX00 0000 0000 0000",
}
MOST_ROUNDS = 12
"""How often masked text is searched again. Masks are shorter than what they hide, so a word can come near enough to a number
that it was too far from; a longer chain of those than this is left."""


@dataclass(slots=True)
class Names:
    """The placeholders of one document. Numbers go by kind and value, in the order of first appearance."""

    style: str = "typed"
    numbered: bool = False
    _numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def placeholder(self, found: Found) -> str:
        """What stands for `found`."""
        if self.style == "fixed":
            return FIXED[found.kind]
        word = TYPED[found.kind]
        if not self.numbered:
            return f"[{word}]"
        key = (word, found.value)
        if key not in self._numbers:
            self._counts[word] = self._counts.get(word, 0) + 1
            self._numbers[key] = self._counts[word]
        return f"[{word}_{self._numbers[key]}]"


@dataclass(slots=True)
class Masked:
    """What is done to one text: everything found (sorted, apart, in the text's own characters), and the edits that mask some of it."""

    found: list[Found]
    edits: list[Edit]


def mask_column(
    texts: pa.Array, wanted: Wanted, masked: frozenset[str], names: Sequence[Names]
) -> dict[int, Masked | NotText]:
    """Row -> what was found and what to change, for the rows that hold anything. `texts` is large_string; `names` has a
    row's placeholders.

    Masked rows are searched again, with the masks in place, until nothing to be masked is left.
    """
    done: dict[int, Masked | NotText] = {}
    open_rows: dict[int, Masked] = {}
    for row, found in search_column(texts, wanted).items():
        if isinstance(found, NotText):
            done[row] = found
            continue
        one = Masked(found, [_edit(f, names[row]) for f in found if f.kind in masked])
        if one.edits:
            open_rows[row] = one
        done[row] = one
    originals: dict[int, str] = {}
    for row in list(open_rows):
        try:
            originals[row] = texts[row].as_py()
        except UnicodeDecodeError as error:
            done[row] = NotText(f"not valid UTF-8 at byte {error.start} ({error.reason}), in a text with personal data")
            del open_rows[row]
    for _ in range(MOST_ROUNDS):
        rows = sorted(open_rows)
        if not rows:
            break
        again = search_column(
            pa.array([apply(originals[row], open_rows[row].edits) for row in rows], pa.large_string()), wanted
        )
        for i, row in enumerate(rows):
            hits = again.get(i, [])
            new = [f for f in hits if f.kind in masked] if not isinstance(hits, NotText) else []
            if not new:
                del open_rows[row]
                continue
            _add(open_rows[row], new, names[row], len(originals[row]))
    return done


def _edit(found: Found, names: Names) -> Edit:
    return Edit(found.start, found.end, names.placeholder(found), f"personal.{found.kind}")


def _add(one: Masked, new: Sequence[Found], names: Names, size: int) -> None:
    """Adds what was found in the masked text, in the characters of the original. What touches a mask takes it in."""
    for found in reversed(new):
        start, end = _original(one.edits, found.start, found.end)
        start, end = max(0, start), min(size, end)
        gone = [e for e in one.edits if e.start < end and start < e.end]
        widened = Found(
            min([start, *(e.start for e in gone)]), max([end, *(e.end for e in gone)]), found.kind, found.value
        )
        one.edits = sorted([e for e in one.edits if e not in gone] + [_edit(widened, names)], key=lambda e: e.start)
        one.found = sorted(
            [f for f in one.found if f.end <= widened.start or widened.end <= f.start] + [widened],
            key=lambda f: f.start,
        )


def _original(edits: Sequence[Edit], start: int, end: int) -> tuple[int, int]:
    """Where [start, end) of the text after its edits was before them; a position within a mask is that mask's bound."""
    low, high = start, end
    shift = 0
    found_low = found_high = False
    for edit in edits:
        begins = edit.start + shift  # of the mask, in the masked text
        ends = begins + len(edit.text)
        if not found_low and start < ends:
            low = edit.start if start >= begins else start - shift
            found_low = True
        if not found_high and end <= begins:
            high = end - shift
            found_high = True
        elif not found_high and end <= ends:
            high = edit.end
            found_high = True
        shift += len(edit.text) - (edit.end - edit.start)
    if not found_low:
        low = start - shift
    if not found_high:
        high = end - shift
    return low, high
