"""Characters that are written in an odd way or not seen at all: for terminals (`terminal.py`), in other widths
(`full_width.py`), and `invisible.py`.

A text is NFC afterwards, also where two characters come to stand side by side that compose.
"""

from __future__ import annotations

import unicodedata
from functools import partial

import polars as pl

from winnow.filters.cleaning import Changes, Step, full_width
from winnow.filters.cleaning.compose import compose
from winnow.filters.cleaning.invisible import AFFECTED, invisible
from winnow.filters.cleaning.lines import narrowed, spans
from winnow.filters.cleaning.terminal import terminal
from winnow.filters.edits import Edit, apply


def characters(width: full_width.Width) -> Step:
    """Edits of the rules `characters.terminal`, `characters.width` (the policy's, see `full_width`),
    `characters.invisible`, and `characters.compose` where characters that come to be neighbours compose."""
    return partial(_characters, width=width)


def composed(text: str, edits: list[Edit]) -> list[Edit]:
    """The edits with those added that bring the text after them to NFC, line by line; the text before them is NFC."""
    after = apply(text, edits)
    if unicodedata.is_normalized("NFC", after):
        return edits
    lines = ((start, after[start:end]) for start, end in spans(after))
    added = [
        edit
        for start, line in lines
        for edit in narrowed(line, unicodedata.normalize("NFC", line), start, "characters.compose")
    ]
    return compose(text, edits, added)


def _characters(texts: pl.Series, width: full_width.Width) -> Changes:
    affected = AFFECTED + full_width.AFFECTED[width]
    changes: Changes = {}
    for row in texts.str.contains(f"[{affected}]").arg_true().to_list():
        edits = _edits(texts[row], width)
        if edits:
            changes[row] = edits
    return changes


def _edits(text: str, width: full_width.Width) -> list[Edit]:
    written = terminal(text)
    return compose(text, written, _replacements(apply(text, written), width))


def _replacements(text: str, width: full_width.Width) -> list[Edit]:
    found = [Edit(start, end, put, "characters.invisible") for start, end, put in invisible(text)]
    runs = full_width.runs(width)
    if runs is not None:
        found += [
            Edit(match.start(), match.end(), full_width.replaced(match[0]), "characters.width")
            for match in runs.finditer(text)
        ]
    found.sort(key=lambda edit: edit.start)
    return composed(text, found)
