"""What a search gives: a stretch of text with the kind of personal data it is; and ways of writing a number made one,
character for character, so that positions stay.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "emails",
    "ibans",
    "resident_numbers",
    "national_numbers",
    "cards",
    "passports",
    "licences",
    "business_numbers",
    "ips",
    "phones",
    "accounts",
    "homes",
    "addresses",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind, in the order of priority: where two overlap, the one named first here is taken, of one kind the leftmost.
What proves itself (a check digit, a fixed form) comes before what is told by words around it."""


@dataclass(frozen=True, slots=True)
class Found:
    """Characters [start, end) of a text are personal data of `kind`. `value` is the same for every way of writing it
    (digits without separators, lower-case letters), so that one value can be told from another."""

    start: int
    end: int
    kind: Kind
    value: str


def apart(found: Iterable[Found]) -> list[Found]:
    """What is left when of overlapping stretches the one of higher priority stays; sorted by `start`, apart."""
    rank = {kind: i for i, kind in enumerate(KINDS)}
    starts: list[int] = []
    taken: list[Found] = []
    for one in sorted(found, key=lambda f: (rank[f.kind], f.start, -f.end)):
        at = bisect_left(starts, one.start)
        if (at and taken[at - 1].end > one.start) or (at < len(starts) and starts[at] < one.end):
            continue
        starts.insert(at, one.start)
        taken.insert(at, one)
    return taken


def near(text: str, start: int, end: int, words: re.Pattern[str], before: int, after: int = 0) -> bool:
    """Whether `words` occur wholly in the `before` characters in front of [start, end) or the `after` behind it."""
    if words.search(text, max(0, start - before), start):
        return True
    return bool(after and words.search(text, end, end + after))


def digits(text: str) -> str:
    """The ASCII digits of a text."""
    return "".join(c for c in text if "0" <= c <= "9")


_DASHES = "‐‑‒–—―−－﹣ㅡｰ"
_SPACES = "\u00a0\u2002\u2003\u2007\u2009\u202f\u3000\t"
_TABLE = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(map(ord, _DASHES), ord("-")),
    **dict.fromkeys(map(ord, _SPACES), ord(" ")),
    ord("∙"): ord("·"),
    ord("ㆍ"): ord("·"),
}
_ANY = re.compile("[" + re.escape("".join(map(chr, _TABLE))) + "]")


def folded(text: str) -> str:
    """The text with full-width ASCII, dashes, spaces and middle dots in one form; as long as it was."""
    return text.translate(_TABLE) if _ANY.search(text) else text
