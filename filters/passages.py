"""The passages of a text that a model judges one by one to show where its verdict comes from: the lines, or the
sentences of a text that is one line.

Extracted text has one paragraph, item or comment on a line, so a line is the smallest piece that means something by
itself. A text without line breaks has only its sentences.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise

Span = tuple[int, int]
"""Start and end, in characters of the text; the end is exclusive."""

SHOWN = 5
"""How many passages of a text are shown at most: more would be the text again."""

SUREST = 1 - 1e-6
"""fastText's probabilities are float32 and reach 1: what counts as certain."""

_CLOSERS = "\"'”’)\\]」』】》〉"
# A full stop ends a sentence where white space follows it (not in 3.14); the marks of scripts without spaces always do.
_BOUNDARY = re.compile(rf"(?<=[.!?…])[{_CLOSERS}]*(?=\s)|(?<=[。！？｡])(?![。！？｡])[{_CLOSERS}]*")
_LINE_FEED = re.compile("\n")


def passages(text: str, chars: int) -> list[Span]:
    """The passages among the first `chars` characters of `text`, counted from the first that is no white space: those
    with a letter or a number, without outer white space, in order, apart."""
    start = len(text) - len(text.lstrip())
    end = min(start + chars, len(text))
    lines = _parts(text, start, end, _LINE_FEED)
    return _parts(text, *lines[0], _BOUNDARY) if len(lines) == 1 else lines


def push(probability: float, size: float) -> float:
    """How much a passage of `size` words or characters pushes a document towards a label that it has by itself with
    `probability`: -ln(1 - probability) x size. A fastText model averages the vectors of all words before it scores, so
    that a passage counts by its size and by its log odds, which this is close to where they are high, and which,
    unlike them, is never below 0."""
    return -math.log1p(-min(probability, SUREST)) * size


def strongest(pushes: Mapping[Span, float]) -> list[Span]:
    """The SHOWN passages that push most, the earlier of equals, in the order of the text."""
    return sorted(sorted(pushes, key=lambda span: (-pushes[span], span))[:SHOWN])


def _parts(text: str, start: int, end: int, boundary: re.Pattern[str]) -> list[Span]:
    """The pieces of `text[start:end]` between boundaries, trimmed, those that hold a letter or a number."""
    cuts = [start, *(found.end() for found in boundary.finditer(text, start, end)), end]
    parts: list[Span] = []
    for first, last in pairwise(cuts):
        piece = text[first:last]
        if any(map(str.isalnum, piece)):
            parts.append((last - len(piece.lstrip()), first + len(piece.rstrip())))
    return parts
