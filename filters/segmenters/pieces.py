"""Long texts in pieces, so that what a segmenter holds at a time is bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator

SURROGATE = re.compile("[\ud800-\udfff]")
"""Characters of a `str` that no segmenter takes; to be replaced one for one, so that places stay."""


def pieces(text: str, limit: int) -> Iterator[tuple[int, str]]:
    """Consecutive pieces of `text` of at most `limit` characters, each with the place where it starts.

    A text is cut after the last blank line that fits, else after the last line break, else after the last space, else
    within a word. Where it is cut depends on the text alone.
    """
    start = 0
    while len(text) - start > limit:
        for mark in ("\n\n", "\n", " "):
            found = text.rfind(mark, start, start + limit)
            if found >= 0:
                end = found + len(mark)
                break
        else:
            end = start + limit
        yield start, text[start:end]
        start = end
    yield start, text[start:]
