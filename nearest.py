"""The nearest valid name, for the sentences that refuse another. Below every room, so that each may import it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED = 12
"""Names that a sentence lists before it says the nearest first."""


def nearest(name: str, choices: Iterable[str], cutoff: float = 0.3) -> str | None:
    """The choice most like a name, None where none is. `cutoff`: the least likeness that counts, from 0 to 1."""
    return next(iter(difflib.get_close_matches(name, list(choices), n=1, cutoff=cutoff)), None)


def hint(name: str, choices: Iterable[str], cutoff: float = 0.3) -> str:
    """`; nearest: 'b'` for the end of an error sentence, or nothing. Arguments as in `nearest`."""
    near = nearest(name, choices, cutoff)
    return "" if near is None else f"; nearest: '{near}'"


def expected(name: str, choices: Iterable[str]) -> str:
    """`expected one of a, b, c; nearest: 'b'` for an error sentence, with every choice; the nearest come before long lists."""
    names = list(dict.fromkeys(choices))
    if not names:
        return "there is none to choose"
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    if len(names) <= LISTED:
        return f"expected one of {', '.join(names)}" + (f"; nearest: '{near[0]}'" if near else "")
    first = f"nearest: '{near[0]}'" + (f" (then {', '.join(near[1:])})" if near[1:] else "") + "; " if near else ""
    return f"{first}expected one of {len(names)}: {', '.join(names)}"
