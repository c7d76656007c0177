"""One text as the kernels see it, in Python's terms, for those who look at a document (`spans.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from winnow.filters.languages import LanguagePack
from winnow.filters.passages import Span
from winnow.filters.rules.words import CONTENT, Words


@dataclass(frozen=True, slots=True)
class Cut:
    """One text as the kernels see it."""

    text: str
    pack: LanguagePack
    stop_words: tuple[str, ...]  # of the word unit
    more_bad_words: tuple[str, ...]
    held: Words  # a column of this text alone
    bits: Sequence[int]  # class bits of each character
    words: Sequence[Span]
    word_bits: Sequence[int]
    lines: Sequence[Span]  # trimmed, those that hold anything
    line_keys: Sequence[int]  # equal for equal lines
    line_blocks: Sequence[int]  # number of the paragraph

    @property
    def content(self) -> list[Span]:
        """The words that `word_count` counts."""
        return [word for word, bits in zip(self.words, self.word_bits, strict=True) if bits & CONTENT]

    def core(self, word: Span) -> Span:
        """From the first to the last letter, mark or number of a content word."""
        inside = [at for at in range(*word) if self.bits[at] & CONTENT]
        return inside[0], inside[-1] + 1

    def read(self, span: Span) -> str:
        return self.text[slice(*span)]

    def runs(self, wanted: Callable[[int], bool]) -> list[Span]:
        """Unbroken runs of the characters at whose place `wanted` holds."""
        found: list[Span] = []
        for hit, places in groupby(range(len(self.bits)), wanted):
            if hit:
                run = list(places)
                found.append((run[0], run[-1] + 1))
        return found


def cut_text(text: str, pack: LanguagePack, unit: str | None, more_bad_words: tuple[str, ...] = ()) -> Cut:
    """Cuts a text in a word unit, the pack's own unless given."""
    from winnow.filters.rules.columns import cut

    unit = unit or pack.word_unit
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    words = cut(np.array([0, len(data)], np.int64), data, pack, unit)
    rules = pack.units.get(unit) if unit != pack.word_unit else None  # type: ignore[call-overload]
    return Cut(
        text=text,
        pack=pack,
        stop_words=pack.stop_words if rules is None else rules.stop_words,
        more_bad_words=more_bad_words,
        held=words,
        bits=words.classes.tolist(),
        words=list(zip(words.word_start.tolist(), words.word_end.tolist(), strict=True)),
        word_bits=words.word_classes.tolist(),
        lines=list(zip(words.line_start.tolist(), words.line_end.tolist(), strict=True)),
        line_keys=words.line_hash.tolist(),
        line_blocks=words.line_block.tolist(),
    )
