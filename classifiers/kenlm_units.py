"""How a text becomes the sentences that a KenLM model sees: the same function when fitting and when scoring.

A model predicts one unit after the other, and the end of each line. A unit is

- `word`: what white space parts;
- `sentencepiece`: a piece of a SentencePiece model, as in CCNet (Wenzek et al. 2020);
- `character`: a character; `▁` stands for the space between words;
- `syllable`: a character, of which a word's first is marked (`▁학 교 에`), so that an n-gram reaches further; a run of letters
  of an alphabet, or of digits, stays one unit. This is what splits a Korean eojeol into its syllables.

`normalize` comes first: `fold` makes letters small and digits 0; `ccnet` is the normalisation of CCNet, by which a whole
document is one sentence: small letters, accents off (NFD without marks, which parts Hangul into jamo; SentencePiece composes
them again), digits 0, punctuation of other scripts as in ASCII, control characters out, line feeds among them.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

Unit = Literal["word", "sentencepiece", "character", "syllable"]
Normalization = Literal["none", "fold", "ccnet"]

MARK = "▁"

_ALONE, _SPACE, _BREAK, _LETTER, _DIGIT = range(5)
_TOP = 0xFFFF  # a noncharacter: every code point above the first plane is looked up as it
_LAST_ALPHABET = 0x0600  # Latin, Greek, Cyrillic, Armenian, Hebrew

_PUNCTUATION = dict(
    zip("，。、„”“«»」「《》´∶：？！（）；．～’━〈〉【】％►", ',.,"""""""""\'::?!();.~\'-<>[]%-', strict=True)
)
_PUNCTUATION |= {"．": ". ", "–": "-", "—": " - ", "…": "..."}


class Units(BaseModel):
    """What a model's units are. It travels with the model in its sidecar. `version` is raised whenever the same text would
    give other units."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    unit: Unit = "word"
    normalize: Normalization = "none"


@dataclass(frozen=True, slots=True)
class Splitter:
    """Units, and the SentencePiece model that makes them, None for others."""

    units: Units
    pieces: Any = None

    def split(self, texts: Sequence[str]) -> list[bytes]:
        """Each text as UTF-8: units parted by white space, a sentence on each line (lines may be blank)."""
        if self.units.normalize == "ccnet":
            texts = [_ccnet(text) for text in texts]
        elif self.units.normalize == "fold":
            texts = [text.lower().translate(_digits()) for text in texts]
        if self.units.unit in ("character", "syllable"):
            made = _spread(texts, self.units.unit == "syllable")
        elif self.units.unit == "sentencepiece":
            made = self._in_pieces(texts)
        else:
            made = [text.encode("utf-8", "replace") for text in texts]
        return [_safe(text) for text in made]

    def _in_pieces(self, texts: Sequence[str]) -> list[bytes]:
        lines = [line for text in texts for line in text.split("\n")]
        found = iter(self.pieces.encode(lines, out_type=str, num_threads=1) if lines else [])
        return ["\n".join(" ".join(next(found)) for _ in text.split("\n")).encode("utf-8", "replace") for text in texts]


def unit_counts(sentences: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """How many units each text of `Splitter.split` has, int64, as KenLM parts them: at ASCII white space."""
    sizes = np.fromiter((len(text) + 1 for text in sentences), np.int64, len(sentences))
    octets = np.frombuffer(b"\n" + b"\n".join(sentences) + b"\n", np.uint8)
    blank = (octets == 32) | ((octets - np.uint8(9)) < 5)
    firsts = np.flatnonzero(blank[:-1] & ~blank[1:])
    return np.diff(np.searchsorted(firsts, np.concatenate([[0], np.cumsum(sizes)])))


def _safe(text: bytes) -> bytes:
    """KenLM ends a sentence at a NUL, and gives its own marks of a beginning and an end no probability of a word."""
    return text.replace(b"\0", b" ").replace(b"<s>", b"<unk>").replace(b"</s>", b"<unk>")


def _ccnet(text: str) -> str:
    return unicodedata.normalize("NFD", text.strip().lower()).translate(_ccnet_table())


@cache
def _digits() -> dict[int, str]:
    return {code: "0" for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Nd"}


@cache
def _ccnet_table() -> dict[int, str | None]:
    table: dict[int, str | None] = dict(_digits())
    table |= {code: None for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Mn"}
    table |= {ord(sign): ascii for sign, ascii in _PUNCTUATION.items()}
    return table | dict.fromkeys([*range(32), *range(127, 160)])


@cache
def _classes() -> npt.NDArray[np.uint8]:
    """What to do with each code point of the first plane."""
    classes = np.zeros(_TOP + 1, np.uint8)
    for code in range(_TOP):
        char = chr(code)
        if char.isspace() or unicodedata.category(char) == "Cc":
            classes[code] = _SPACE
        elif char.isdigit():
            classes[code] = _DIGIT
        elif code < _LAST_ALPHABET and char.isalpha():
            classes[code] = _LETTER
    classes[[0, 10]] = _BREAK
    return classes


def _spread(texts: Sequence[str], syllables: bool) -> list[bytes]:
    """`character` and `syllable` units, on code points as an array: a regular expression costs more than KenLM does."""
    if not texts:
        return []
    joined = "\0".join(text.replace("\0", " ") for text in texts)
    codes = np.frombuffer(joined.encode("utf-32-le", "replace"), "<u4")
    kinds = _classes()[np.minimum(codes, _TOP)]
    shown = (kinds != _SPACE) & (kinds != _BREAK)
    before = np.concatenate([[_BREAK], kinds[:-1]]).astype(np.uint8)
    word_start = shown & ((before == _SPACE) | (before == _BREAK))
    widths = np.where(shown, 2, 0)
    widths[kinds == _BREAK] = 1
    if syllables:
        widths[(kinds == before) & ((kinds == _LETTER) | (kinds == _DIGIT))] = 1
        widths[word_start] = 3
        marked, back = word_start, 2
    else:
        at = np.arange(len(codes))
        last_break = np.maximum.accumulate(np.where(kinds == _BREAK, at, -1))
        last_shown = np.concatenate([[-1], np.maximum.accumulate(np.where(shown, at, -1))[:-1]])
        marked, back = word_start & (last_shown > last_break), 3
        widths[marked] = 4
    ends = np.cumsum(widths)
    out = np.full(int(ends[-1]) if len(ends) else 0, ord(" "), "<u4")
    kept = widths > 0
    out[ends[kept] - 1] = codes[kept]
    out[ends[marked] - back] = ord(MARK)
    return out.tobytes().decode("utf-32-le").encode("utf-8").split(b"\0")
