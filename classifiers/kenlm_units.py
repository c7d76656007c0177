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

from winnow.filters.ngram.spread import ALONE, BREAK, DIGIT, LETTER, ROOM, SPACE, count_words, spread

Unit = Literal["word", "sentencepiece", "character", "syllable"]
Normalization = Literal["none", "fold", "ccnet"]

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

    def split(self, texts: Sequence[bytes]) -> list[bytes]:
        """Each text, UTF-8, with its units parted by white space, a sentence on each line (lines may be blank)."""
        unit, normalize = self.units.unit, self.units.normalize
        fold = normalize == "fold"
        if normalize == "ccnet":
            texts = [_ccnet(text.decode()).encode() for text in texts]
        if unit in ("character", "syllable"):
            texts = _spread(texts, unit == "syllable", _folded() if fold else _same())
        else:
            if fold:
                texts = [_fold(text.decode()).encode() for text in texts]
            if unit == "sentencepiece":
                texts = self._in_pieces(texts)
        return [_safe(text) if b"<" in text or b"\0" in text else text for text in texts]

    def _in_pieces(self, texts: Sequence[bytes]) -> list[bytes]:
        lines = [line for text in texts for line in text.decode().split("\n")]
        found = iter(self.pieces.encode(lines, out_type=str, num_threads=1) if lines else [])
        return ["\n".join(" ".join(next(found)) for _ in range(text.count(b"\n") + 1)).encode() for text in texts]


def unit_counts(sentences: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """How many units each text of `Splitter.split` has, int64, as KenLM parts them: at ASCII white space."""
    ends = np.cumsum(np.fromiter(map(len, sentences), np.int64, len(sentences)))
    counts = np.zeros(len(sentences), np.int64)
    count_words(np.frombuffer(b"".join(sentences), np.uint8), ends, counts)
    return counts


def _safe(text: bytes) -> bytes:
    """KenLM ends a sentence at a NUL, and gives its own marks of a beginning and an end no probability of a word."""
    return text.replace(b"\0", b" ").replace(b"<s>", b"<unk>").replace(b"</s>", b"<unk>")


def _ccnet(text: str) -> str:
    return unicodedata.normalize("NFD", text.strip().lower()).translate(_ccnet_table())


@cache
def _ccnet_table() -> dict[int, str | None]:
    every = range(sys.maxunicode + 1)
    table: dict[int, str | None] = {code: "0" for code in every if unicodedata.category(chr(code)) == "Nd"}
    table |= {code: None for code in every if unicodedata.category(chr(code)) == "Mn"}
    table |= {ord(sign): ascii for sign, ascii in _PUNCTUATION.items()}
    return table | dict.fromkeys([*range(32), *range(127, 160)])


@cache
def _classes() -> npt.NDArray[np.uint8]:
    """What to do with each code point of the first plane."""
    classes = np.full(_TOP + 1, ALONE, np.uint8)
    for code in range(_TOP):
        char = chr(code)
        if char.isspace() or unicodedata.category(char) == "Cc":
            classes[code] = SPACE
        elif char.isdigit():
            classes[code] = DIGIT
        elif code < _LAST_ALPHABET and char.isalpha():
            classes[code] = LETTER
    classes[[0, 10]] = BREAK
    return classes


@cache
def _same() -> npt.NDArray[np.int32]:
    return np.arange(_TOP + 1, dtype=np.int32)


@cache
def _folded() -> npt.NDArray[np.int32]:
    """What each code point of the first plane becomes: a small letter of one character, or 0."""
    folded = _same().copy()
    for code in range(_TOP):
        char = chr(code)
        small = char.lower()
        folded[code] = ord("0") if unicodedata.category(char) == "Nd" else ord(small) if len(small) == 1 else code
    return folded


def _fold(text: str) -> str:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    low = codes < _TOP
    codes = np.where(low, _folded()[np.where(low, codes, 0)], codes.astype(np.int32))
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def _spread(texts: Sequence[bytes], syllables: bool, folded: npt.NDArray[np.int32]) -> list[bytes]:
    """`character` and `syllable` units."""
    if not texts:
        return []
    octets = b"\0".join(text.replace(b"\0", b" ") for text in texts)
    out = np.empty(ROOM * len(octets) + 8, np.uint8)
    used = spread(np.frombuffer(octets, np.uint8), _classes(), folded, syllables, out)
    return out[:used].tobytes().split(b"\0")
