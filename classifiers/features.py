"""How a text becomes the lines that a fastText classifier sees: the same function when fitting and when scoring.

fastText reads one line of words split at ASCII white space and averages their vectors. So punctuation is set
apart from words, numbers and addresses are masked, letters are lowered, and a document may be cut into windows
that are scored one by one, because a single average dilutes ten words of abuse in a page of a thousand.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|\S+@\S+\.\S+", re.IGNORECASE)
_RUN = re.compile(r"(\S)\1{2,}")


class Features(BaseModel):
    """The recipe of the lines. It travels with the model in its sidecar.

    `chars`: how many code points of a document are read. `window`: words per line, 0 for one line per document.
    `top`: share of a document's windows, from the highest, whose mean is its score (at least one window);
    1.0 is the mean of all. `version` is raised whenever the same text and `Features` would give other lines, so that
    models fitted before are refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    chars: int = Field(default=4000, ge=1)
    lower: bool = True
    mask: bool = True
    punctuation: bool = True
    squeeze: bool = True
    window: int = Field(default=0, ge=0)
    top: float = Field(default=1.0, gt=0.0, le=1.0)


PLAIN = Features(lower=False, mask=False, punctuation=False, squeeze=False)
"""For a model without a sidecar: NFC words and nothing else, as `fasttext supervised` reads a file."""


@cache
def _table(mask: bool, punctuation: bool) -> dict[int, str]:
    table = {}
    for code in range(0x3100):
        char = chr(code)
        category = unicodedata.category(char)
        if mask and category == "Nd":
            table[code] = "0"
        elif punctuation and category[0] in "PS":
            table[code] = f" {char} "
    for code in (*range(0xFF01, 0xFF10), *range(0xFF1A, 0xFF21), 0x30FB):
        if punctuation:
            table[code] = f" {chr(code)} "
    return table


def normalize(text: str, features: Features) -> str:
    """One line: composed, masked, lowered, words parted by single spaces, no newline."""
    text = unicodedata.normalize("NFC", text)
    # Most texts hold no address, and looking for one by regular expression costs more than all the rest.
    if features.mask and ("@" in text or "://" in text or "www." in text.lower()):
        text = _ADDRESS.sub(" addr ", text)
    if features.lower:
        text = text.lower()
    if features.squeeze:
        text = _RUN.sub(r"\1\1", text)
    table = _table(features.mask, features.punctuation)
    if table:
        text = text.translate(table)
    # fastText takes a word that starts with __label__ for a label and ends the line at the word </s>.
    text = text.replace("__label__", "label ").replace("</s>", " s ").replace("\0", " ")
    return " ".join(text.split())


def windows(text: str, features: Features) -> list[str]:
    """The lines of one document, in order; none when it holds no word.

    A window closes at the end of a line of the text once it has a third of `window` words, so that comments under
    a page stay apart, and at `window` words in any case.
    """
    text = text[: features.chars]
    if not features.window:
        line = normalize(text, features)
        return [line] if line else []
    return list(_cut(text, features))


def _cut(text: str, features: Features) -> Iterator[str]:
    least = math.ceil(features.window / 3)
    held: list[str] = []
    for line in text.splitlines():
        words = normalize(line, features).split(" ")
        held.extend(word for word in words if word)
        while len(held) > features.window:
            yield " ".join(held[: features.window])
            held = held[features.window :]
        if len(held) >= least:
            yield " ".join(held)
            held = []
    if held:
        yield " ".join(held)


def top_count(windows: int, top: float) -> int:
    """How many of a document's windows its score averages."""
    return max(1, math.ceil(windows * top))
