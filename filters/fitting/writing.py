"""How a language is written, from its texts: script, whether pages can be told by it, word unit, what ends a sentence."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field

from winnow.filters.fitting import FitError
from winnow.filters.rules.classes import CLOSER, SENTENCE_END, class_table
from winnow.filters.script import RANGES

WITHOUT_SPACES = frozenset({"Hani", "Hans", "Hant", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"})
"""Scripts that put no space between words."""

_SHARED = ("Hans", "Hant")  # the same characters as Hani: which of them, a person says
_NEVER = re.compile(
    r"COMMA|COLON|WORDSPACE|QUOTATION|APOSTROPHE|SOLIDUS|ASTERISK|AMPERSAND|NUMBER SIGN|COMMERCIAL AT|PERCENT|ELLIPSIS|"
    r"\bDOT\b|BULLET|REFERENCE MARK|PRIME|DAGGER|SECTION|PILCROW|REPETITION|EMPHASIS"
)
"""Names of punctuation that ends lines and no sentence."""
KANA = 0.05
"""Share of the letters that must be kana for Japanese; the rest of its letters are Han."""
ENDS = 0.01
"""Share of the lines that a character must end to be taken for terminal punctuation."""


@dataclass(slots=True)
class Seen:
    """Letters by character, and the last characters of lines, closing quotation marks and brackets left out."""

    letters: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    lines: int = 0

    def add(self, text: str) -> None:
        self.letters.update(c for c in text if c.isalpha())
        for line in text.splitlines():
            line = line.strip()
            while line and _is(line[-1], CLOSER):
                line = line[:-1].rstrip()
            if line:
                self.lines += 1
                self.ends[line[-1]] += 1


def script(letters: Counter[str]) -> tuple[str, bool]:
    """The ISO 15924 code of the script that most letters are in, and whether it is one that pages are screened for
    (`filters/script.py` has its ranges). Raises FitError for a script without a name here, and for texts without
    letters."""
    total = sum(letters.values())
    if not total:
        raise FitError("the reference holds no letters: expected text")
    counts: Counter[str] = Counter()
    for name, ranges in RANGES.items():
        if name not in _SHARED:
            counts[name] = sum(n for c, n in letters.items() if any(a <= ord(c) <= b for a, b in ranges))
    counts["Latn"] = sum(
        n for c, n in letters.items() if unicodedata.name(c, "").startswith(("LATIN", "FULLWIDTH LATIN"))
    )
    if counts["Jpan"] >= KANA * total and counts["Jpan"] + counts["Hani"] >= total / 2:
        return "Jpan", True
    name, most = max(counts.items(), key=lambda item: (item[1], item[0]))
    if 2 * most < total:
        common, _ = max(letters.items(), key=lambda item: (item[1], item[0]))
        raise FitError(
            f"no script holds most letters of the reference ({name}: {most / total:.0%}; the commonest letter is "
            f"{unicodedata.name(common, repr(common))}): give --script CODE, as ISO 15924 names it"
        )
    return name, name in RANGES


def word_unit(script: str, segments: bool) -> str:
    """`whitespace`, or for scripts without spaces `segment` where there is a segmenter for it, else `character`."""
    if script not in WITHOUT_SPACES:
        return "whitespace"
    return "segment" if segments else "character"


def terminal_punctuation(seen: Seen, script: str) -> tuple[str, ...]:
    """What ends the language's sentences, sorted; empty where Unicode's Sentence_Terminal has all of it, or where
    nothing does (`unpunctuated`). The Greek question mark is a semicolon once composed (NFC)."""
    found = {c for c, n in seen.ends.items() if n >= ENDS * seen.lines and _ends(c)}
    if script == "Grek" and seen.ends[";"] >= ENDS * seen.lines:
        found.add(";")
    return () if all(_is(c, SENTENCE_END) for c in found) else tuple(sorted({*found, *".!?"}))


def unpunctuated(seen: Seen) -> bool:
    """Whether hardly a line ends in punctuation, as in languages that have none."""
    return sum(n for c, n in seen.ends.items() if _ends(c)) < ENDS * seen.lines


def _ends(character: str) -> bool:
    if _is(character, SENTENCE_END):
        return True
    return unicodedata.category(character) == "Po" and not _NEVER.search(unicodedata.name(character, ""))


def _is(character: str, bits: int) -> bool:
    table = class_table()
    return ord(character) < len(table) and bool(table[ord(character)] & bits)
