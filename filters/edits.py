"""Changes of a text as data: what is replaced by what, and by which rule.

A stage that changes texts does not write them anew. It says what to change, and whoever reads a text later applies that:
the original stays, every change can be shown with its reason, and an untouched text costs nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

EDITS = pa.list_(
    pa.struct(
        [
            pa.field("start", pa.int32(), nullable=False),
            pa.field("end", pa.int32(), nullable=False),
            pa.field("text", pa.string(), nullable=False),
            pa.field("rule", pa.string(), nullable=False),
        ]
    )
)
"""Arrow type of a column of edits: per text a list in the order of `start`; null or empty where nothing changes."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters [start, end) of a text (code points, counted before any edit) give way to `text`.

    `start == end` inserts. `rule` says why, in a few characters without white space (`boilerplate.cookie`).
    """

    start: int
    end: int
    text: str
    rule: str


class OverlappingEdits(ValueError):
    """Edits that are out of order, overlap, or reach beyond the text."""


def apply(text: str, edits: Sequence[Edit]) -> str:
    """The text after its edits, which are sorted and apart. Raises OverlappingEdits where they are not."""
    parts: list[str] = []
    at = 0
    for edit in edits:
        if not at <= edit.start <= edit.end <= len(text):
            raise OverlappingEdits(
                f"edit [{edit.start}, {edit.end}) of rule '{edit.rule}' in a text of {len(text)} characters: expected edits "
                f"in order, apart, and within the text; the one before ends at {at}"
            )
        parts += (text[at : edit.start], edit.text)
        at = edit.end
    return "".join((*parts, text[at:]))


def column(edits: Iterable[Sequence[Edit]]) -> pa.Array:
    """A column of EDITS, one row per text."""
    sizes: list[int] = []
    flat: list[Edit] = []
    for row in edits:
        sizes.append(len(row))
        flat.extend(row)
    offsets = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    fields = list(EDITS.value_type)
    values = [pa.array([getattr(edit, f.name) for edit in flat], f.type) for f in fields]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays(values, fields=fields), type=EDITS)


def edits(row: object) -> list[Edit]:
    """One row of a column of EDITS as Python has it (a list of mappings, or None)."""
    return [Edit(**edit) for edit in row] if isinstance(row, list) else []


def apply_column(texts: pa.Array, changes: pa.Array) -> pa.Array:
    """The texts (large_string) after their edits, in NFC again, row by row. Rows without edits are copied by Arrow, or,
    where no row has any, not at all. An empty text stays empty: its characters were given up after the edits were made.
    """
    sizes = pc.fill_null(pc.list_value_length(changes), 0).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero((sizes > 0) & (pc.binary_length(texts).to_numpy(zero_copy_only=False) > 0))
    if not len(rows):
        return texts
    at = pa.array(rows)
    changed = [
        unicodedata.normalize("NFC", apply(text, edits(row)))
        for text, row in zip(texts.take(at).to_pylist(), changes.take(at).to_pylist(), strict=True)
    ]
    mask = np.zeros(len(texts), bool)
    mask[rows] = True
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(changed, texts.type))
