"""Steps in a row over one column: the text that each step sees, and the edits of all of them against the text given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from winnow.filters.cleaning import Changes, Step
from winnow.filters.cleaning.compose import compose
from winnow.filters.edits import apply

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
