"""Segmenters: words where white space does not part them, or parts them too coarsely.

A segmenter finds words in decoded texts and gives their places; `winnow.filters.words.split_at` makes the columns that
every rule reads. The units `whitespace` and `character` need none: the kernel of `words.py` cuts them.

Words are in order, apart from each other, not empty and hold no white space. Symbols are words too, as with the
tokenizers on which FineWeb2's thresholds were found. A text's words depend on that text alone.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from winnow.filters.languages import LanguagePack

Ints = npt.NDArray[np.int64]


class MissingSegmenter(ValueError):
    """The package that cuts a word unit is not installed, or cuts no words of the language; the message says what to
    do."""


class Segmenter(Protocol):
    """Cuts texts into the words of one unit."""

    @property
    def version(self) -> str:
        """What cuts, with its version: another one may find other words."""
        ...

    def cut(self, texts: list[str]) -> tuple[Ints, Ints, Ints]:
        """Starts [words], ends [words] and word offsets [texts + 1].

        Places are characters (code points) counted from the start of the word's own text, ends exclusive; text `i` has
        the words from `offsets[i]` up to `offsets[i + 1]`. Any `str` is cut, lone surrogates and NUL included.
        """
        ...


def segmenter(unit: str, pack: LanguagePack) -> Segmenter | None:
    """What cuts words of `unit` in the pack's language; None for the units that the kernel cuts itself.

    Loads no model: that is done at the first text. Raises MissingSegmenter.
    """
    if unit == "segment":
        from winnow.filters.segmenters.boundaries import Boundaries

        return Boundaries(pack.code)
    if unit == "morpheme":
        from winnow.filters.segmenters.morphemes import Morphemes

        if pack.code != "ko":
            raise MissingSegmenter(
                f"word unit 'morpheme' is for Korean (ko), and the language is '{pack.code}': expected word_unit: "
                f"{pack.word_unit}"
            )
        return Morphemes()
    return None
