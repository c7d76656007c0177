"""Changes of a text as data: what is replaced by what, and by which rule.

A stage that changes texts does not write them anew. It says what to change, and whoever reads a text later applies that:
the original stays, every change can be shown with its reason, and an untouched text costs nothing.

Edits of edits: several steps in a row as one list of edits of the text that the first was given.

Each edit keeps its rule. Where a later edit touches what an earlier one put in, or takes away what surrounds an earlier
deletion, the two are one edit, whose rule names both in their order (`mojibake.utf8+boilerplate.share`).

Removing whole lines: which characters go, so that what stays is the other lines joined by line feeds.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
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


def compose(text: str, first: Sequence[Edit], second: Sequence[Edit]) -> list[Edit]:
    """Edits of `text` that do what `first` and then `second` do, where `second` are edits of the text after `first`.
    `apply(text, compose(text, first, second)) == apply(apply(text, first), second)`."""
    if not second or not first:
        return list(first or second)
    between = apply(text, first)
    placed: list[tuple[int, int]] = []  # where the edits of `first` lie in the text between
    moved = 0
    for edit in first:
        start = edit.start + moved
        placed.append((start, start + len(edit.text)))
        moved += len(edit.text) - (edit.end - edit.start)

    composed: list[Edit] = []
    i = j = moved = 0
    while i < len(first) or j < len(second):
        if j == len(second) or (i < len(first) and placed[i][1] <= second[j].start):
            composed.append(first[i])
            moved += len(first[i].text) - (first[i].end - first[i].start)
            i += 1
            continue
        low, high = second[j].start, second[j].end
        group = [second[j]]
        absorbed: list[Edit] = []
        gained = 0
        j += 1
        while True:
            if i < len(first) and placed[i][0] < high:
                low, high = min(low, placed[i][0]), max(high, placed[i][1])
                absorbed.append(first[i])
                gained += len(first[i].text) - (first[i].end - first[i].start)
                i += 1
            elif j < len(second) and second[j].start < high:
                high = max(high, second[j].end)
                group.append(second[j])
                j += 1
            else:
                break
        start, end = low - moved, high - moved - gained
        moved += gained
        within = [Edit(e.start - low, e.end - low, e.text, e.rule) for e in group]
        put = apply(between[low:high], within)
        if not absorbed or put != text[start:end]:
            rules = dict.fromkeys(name for e in (*absorbed, *group) for name in e.rule.split("+"))
            composed.append(Edit(start, end, put, "+".join(rules)))
    return composed


def chain(text: str, steps: Sequence[Callable[[str], Sequence[Edit]]]) -> list[Edit]:
    """The edits of `text` that do what the steps do one after the other, each on the text after those before it."""
    composed: list[Edit] = []
    for step in steps:
        composed = compose(text, composed, step(apply(text, composed)))
    return composed


def spans(text: str) -> list[tuple[int, int]]:
    """Start and end of every line between line feeds, in characters; the line feeds belong to none."""
    found: list[tuple[int, int]] = []
    at = 0
    for line in text.split("\n"):
        found.append((at, at + len(line)))
        at += len(line) + 1
    return found


def removals(text: str, rules: Mapping[int, str]) -> list[Edit]:
    """One edit per line to remove (number from 0 -> rule). A line takes the line feed after it along; those at the end
    of the text take the one before."""
    lines = spans(text)
    tail = len(lines)
    while tail - 1 in rules:
        tail -= 1
    removed: list[Edit] = []
    for number in sorted(rules):
        start, end = lines[number]
        if number < tail or tail == 0:
            end = min(end + 1, len(text))
        else:
            start -= 1
        removed.append(Edit(start, end, "", rules[number]))
    return removed


def narrowed(old: str, new: str, start: int, rule: str) -> list[Edit]:
    """The one edit that makes `new` of `old`, which starts at character `start`, without their common ends; none where
    they are equal."""
    if old == new:
        return []
    most = min(len(old), len(new))
    head = _common(old, new, most)
    tail = _common(old[::-1], new[::-1], most - head)
    return [Edit(start + head, start + len(old) - tail, new[head : len(new) - tail], rule)]


def _common(a: str, b: str, most: int) -> int:
    """Length of the common beginning of both, at most `most`, by halving: comparing slices is what is fast."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
