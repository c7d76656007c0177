"""Cleaning: what to change in texts, as edits. Nothing here reads files of documents or writes a text.

A step is a function from a column of texts to the edits of those rows that it changes, so that a test of a whole column
at the speed of memory comes first and a clean text costs no more than that. Every step is idempotent, but for
`c4_lines` and `programs`, which follow their sources, and keeps texts in NFC.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from winnow.filters.edits import Edit

Changes = dict[int, list[Edit]]
"""Row -> its edits, in order and apart; rows that do not change are absent."""

Step = Callable[[pl.Series], Changes]
"""One idea of cleaning, over a column of valid UTF-8 texts without nulls."""
