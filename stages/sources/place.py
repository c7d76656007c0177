"""Where in its file a row could not be read: a line, a byte or a row, written in front of the cause."""

from __future__ import annotations

import re

_PLACED = re.compile(r"(?P<place>.+?: (?:line [\d,]+ \(byte \d+\)|byte \d+|row \d+)): (?P<cause>.+)", re.DOTALL)


def placed(file: str, place: str, cause: str) -> str:
    """Why a row of a file could not be read. `place`: a line, a byte or a row of it."""
    return f"{file}: {place}: {cause}"


def unplaced(error: str) -> tuple[str, str | None]:
    """The cause of an error that `placed` made, so that equal ones can be counted, and file and place; None for others."""
    found = _PLACED.fullmatch(error)
    return (error, None) if found is None else (found["cause"], found["place"])
