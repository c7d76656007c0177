"""What is written for a terminal: escape sequences (ECMA-48) and characters struck over others by a backspace.

A sequence goes as a whole, so that `ESC [31m` leaves no `[31m`. One whose ESC is gone already is a text like any other, and
one that is spelled out (`\\033[31m`) is text about it. Of what is struck over one another that stays which a terminal
shows, and of a letter and an underline the letter (`_\\bN`, as `man` writes).
"""

from __future__ import annotations

import re

from winnow.filters.edits import Edit

RULE = "characters.terminal"

C1_SEQUENCE = re.compile("\x9b[0-9;:?]*[0-9][mKJHhl]")
"""A control sequence with the eight-bit introducer. That character is a closing quotation mark read as latin-1, too, so
only those with parameters count, and of those the ones that set colours, erase, and place the cursor."""

_SEQUENCE = re.compile(
    "\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]?"  # control sequences, also where they are cut off
    "|\\][^\x07\x1b\x9c\n]*(?:\x07|\x1b\\\\|\x9c)?"  # commands to the system, such as titles and links
    "|[PX^_][^\x07\x1b\x9c\n]*(?:\x1b\\\\|\x9c)"
    r"|[()*+\-./][0-9A-Za-z]|#[0-9]|[78=>]|[cDEHMNOZ](?![A-Za-z])"
    f")|{C1_SEQUENCE.pattern}"
)
_FROM_LINE = re.compile("[\x1b\x9b\x08]")


def terminal(text: str) -> list[Edit]:
    """Edits of rule `characters.terminal`; characters in order and apart."""
    if not _FROM_LINE.search(text):
        return []
    edits = [Edit(match.start(), match.end(), "", RULE) for match in _SEQUENCE.finditer(text)]
    if "\x08" not in text:
        return edits
    gone = {at for edit in edits for at in range(edit.start, edit.end)}
    gone |= _struck(text, gone)
    return _runs(gone)


def _struck(text: str, gone: set[int]) -> set[int]:
    """Where the backspaces are and what is struck over; `gone` are places that count as empty."""
    struck: set[int] = set()
    line: list[int] = []
    back = 0
    for at, character in enumerate(text):
        if at in gone:
            continue
        if character == "\x08":
            struck.add(at)
            back += 1
        elif character in "\r\n":
            line, back = [], 0
        elif back and line and character == "_" and text[line[-1]].isalnum():
            struck.add(at)
            back = 0
        else:
            # Wide characters take two steps back, and are written over by themselves.
            back = 1 if back and line and text[line[-1]] == character else back
            for _ in range(min(back, len(line))):
                struck.add(line.pop())
            line.append(at)
            back = 0
    return struck


def _runs(places: set[int]) -> list[Edit]:
    edits: list[Edit] = []
    for at in sorted(places):
        if edits and edits[-1].end == at:
            edits[-1] = Edit(edits[-1].start, at + 1, "", RULE)
        else:
            edits.append(Edit(at, at + 1, "", RULE))
    return edits
