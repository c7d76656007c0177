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

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from winnow.filters.line_codes import BREAK, DIGIT, LAST, PUNCTUATION, SPACE, line_codes

_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|\S+@\S+\.\S+", re.IGNORECASE)


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


WHOLE = 1 << 40
"""More words than a text has."""

PLAIN = Features(lower=False, mask=False, punctuation=False, squeeze=False)
"""For a model without a sidecar: NFC words and nothing else, as `fasttext supervised` reads a file."""


@cache
def _kinds(mask: bool, punctuation: bool) -> npt.NDArray[np.uint8]:
    """What is done with each code point of the first plane (`filters/line_codes.py`)."""
    kinds = np.zeros(LAST + 1, np.uint8)
    kinds[_spaces()] = SPACE
    kinds[[ord(end) for end in _ENDS]] = BREAK
    for code in range(0x3100):
        category = unicodedata.category(chr(code))
        if mask and category == "Nd":
            kinds[code] = DIGIT
        elif punctuation and category[0] in "PS":
            kinds[code] = PUNCTUATION
    if punctuation:
        kinds[[*range(0xFF01, 0xFF10), *range(0xFF1A, 0xFF21), 0x30FB]] = PUNCTUATION
    return kinds


_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""What ends a line for `str.splitlines`."""


@cache
def _spaces() -> npt.NDArray[np.bool_]:
    return np.array([chr(code).isspace() for code in range(LAST + 1)])


@cache
def _runs() -> npt.NDArray[np.uint8]:
    return (~_spaces()).astype(np.uint8)


def _prepared(text: str, features: Features, window: int, least: int) -> str:
    """The words composed, masked, lowered, punctuation set apart, parted as `line_codes` says."""
    text = unicodedata.normalize("NFC", text)
    # Most texts hold no address, and looking for one by regular expression costs more than all the rest.
    if features.mask and ("@" in text or "://" in text or any(ww in text for ww in _WW)):
        text = _ADDRESS.sub(" addr ", text)
    if features.lower:
        text = text.lower()
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<i4")
    out = np.empty(3 * len(codes), np.int32)
    kinds = _kinds(features.mask, features.punctuation)
    used = line_codes(codes, kinds, _runs(), features.squeeze, window, least, out)
    return out[:used].tobytes().decode("utf-32-le", "surrogatepass")


def _special(text: str) -> bool:
    """fastText takes a word that starts with __label__ for a label and ends the line at the word </s>."""
    return "__label__" in text or "</s>" in text or "\0" in text


def _plain(line: str) -> str:
    line = line.replace("__label__", "label ").replace("</s>", " s ").replace("\0", " ")
    return " ".join(line.split())


_WW = ("ww.", "WW.", "Ww.", "wW.")  # with which every writing of www. ends


def normalize(text: str, features: Features) -> str:
    """One line: composed, masked, lowered, words parted by single spaces, no newline."""
    line = _prepared(text, features, WHOLE, WHOLE)
    return _plain(line) if _special(line) else line


def windows(text: str, features: Features) -> list[str]:
    """The lines of one document, in order; none when it holds no word.

    A window closes at the end of a line of the text once it has a third of `window` words, so that comments under
    a page stay apart, and at `window` words in any case.
    """
    text = text[: features.chars]
    if not features.window:
        line = normalize(text, features)
        return [line] if line else []
    cut = _prepared(text, features, features.window, math.ceil(features.window / 3))
    if _special(cut):
        return list(_cut(_prepared(text, features, WHOLE, 1), features.window))
    return cut.split("\n") if cut else []


def _cut(text: str, window: int) -> Iterator[str]:
    """The same of lines whose words become others."""
    least = math.ceil(window / 3)
    held: list[str] = []
    for line in text.split("\n"):
        held.extend(_plain(line).split())
        while len(held) > window:
            yield " ".join(held[:window])
            held = held[window:]
        if len(held) >= least:
            yield " ".join(held)
            held = []
    if held:
        yield " ".join(held)


def top_count(windows: int, top: float) -> int:
    """How many of a document's windows its score averages."""
    return max(1, math.ceil(windows * top))
