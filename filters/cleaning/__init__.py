"""Cleaning: what to change in texts, as edits. Nothing here reads files of documents or writes a text.

A step is a function from a column of texts to the edits of those rows that it changes, so that a test of a whole column
at the speed of memory comes first and a clean text costs no more than that. Every step is idempotent, but for
`c4_lines` and `programs`, which follow their sources, and keeps texts in NFC. `Cleaning` carries steps out in a row: the
text that each step sees, and the edits of all of them against the text given.

Texts that are not valid UTF-8 (a lone surrogate written as bytes) are found before an engine that trusts its input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from winnow.filters.edits import Edit, apply, compose

Changes = dict[int, list[Edit]]
"""Row -> its edits, in order and apart; rows that do not change are absent."""

Step = Callable[[pl.Series], Changes]
"""One idea of cleaning, over a column of valid UTF-8 texts without nulls."""


ROUNDS = 10
"""How often steps are gone through at most; two rounds are rare already."""


class Cleaning:
    """State: `given`, the texts at first (valid UTF-8, no nulls), `after`, the texts now, and `edits` between them."""

    def __init__(self, given: pl.Series) -> None:
        self.given = given
        self.after = given
        self.edits: Changes = {}

    def change(self, changes: Changes) -> None:
        """Carries out edits of the texts as they are now."""
        if not changes:
            return
        texts = [apply(self.after[row], edits) for row, edits in changes.items()]
        self.after = self.after.clone().scatter(list(changes), texts)
        for row, edits in changes.items():
            self.edits[row] = compose(self.given[row], self.edits.get(row, []), edits)

    def run(self, steps: Sequence[tuple[str, Step]], count: Callable[[str, int, int], None]) -> None:
        """Each step in its order, on the texts that those before it leave; then once more where a later step left
        something that an earlier one may understand (`Ã©` with a zero-width space in it), until nothing changes.
        Removed lines leave nothing new to the others. `count` is told a step's name, a row and how many edits."""
        rows = list(range(len(self.given)))
        for _ in range(ROUNDS):
            again: set[int] = set()
            for number, (name, step) in enumerate(steps):
                part = self.after if len(rows) == len(self.given) else self.after.gather(rows)
                changes = {rows[at]: edits for at, edits in step(part).items()}
                self.change(changes)
                for row, edits in changes.items():
                    count(name, row, len(edits))
                again.update(changes if number and name != "boilerplate" else ())
            if not again:
                return
            rows = sorted(again)


def invalid(texts: pa.Array) -> dict[int, str]:
    """Row -> what is wrong with its bytes, for the rows whose text is not valid UTF-8. A sound column costs one scan."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return {
            row: cause for row, data in enumerate(texts.cast(pa.large_binary()).to_pylist()) if (cause := _cause(data))
        }
    return {}


def emptied(texts: pa.Array, rows: dict[int, str]) -> pa.Array:
    """The column with empty texts in these rows."""
    if not rows:
        return texts
    mask = pa.array([row in rows for row in range(len(texts))])
    return pc.if_else(mask, pa.scalar(b"", pa.large_binary()), texts.cast(pa.large_binary())).cast(texts.type)


def _cause(data: bytes) -> str:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"the text is not valid UTF-8 at byte {error.start}: {error.reason}"
    return ""
