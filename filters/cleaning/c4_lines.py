"""C4's cleaning of lines (Raffel et al. 2020, arXiv:1910.10683, section 2.2), as edits.

What goes, by rule: `c4.long_word` (a word of more than 1,000 characters), `c4.no_punctuation` (the line does not end in
terminal punctuation, or ends in `...`), `c4.few_words` (fewer than 3), `c4.javascript`, `c4.policy` (terms of use, privacy
and cookies), and from lines that stay `c4.citation` (`[1]`, `[edit]`, `[citation needed]`). The first rule that applies
counts, in this order. Outer white space of lines goes as `c4.space`, and every kind of line break becomes a line feed.

The order and every condition are those of datatrove's C4QualityFilter and of the authors' code, so that the text after
the edits is theirs; that a citation at the end of a line leaves a space, and so no punctuation, is theirs too. Dropping
documents (curly brackets, lorem ipsum, too few sentences) is left to the rules stage.
"""

from __future__ import annotations

import re
from functools import partial

import polars as pl

from winnow.filters.cleaning import Changes, Step
from winnow.filters.cleaning.characters import composed
from winnow.filters.edits import Edit

MARKS = (".", "?", "!", '"', "'")
LONGEST_WORD = 1000
FEWEST_WORDS = 3
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")

_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
_LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD + 1}}}")


def c4_lines(marks: tuple[str, ...] = MARKS, fewest_words: int = FEWEST_WORDS) -> Step:
    """Edits of a column. `marks` end a line of running text; `fewest_words` 0 where words are not between white space."""
    return partial(_c4_lines, marks=marks, fewest_words=fewest_words)


def _c4_lines(texts: pl.Series, marks: tuple[str, ...], fewest_words: int) -> Changes:
    changes = {row: _edits(text, marks, fewest_words) for row, text in enumerate(texts.to_list())}
    return {row: edits for row, edits in changes.items() if edits}


def _edits(text: str, marks: tuple[str, ...], fewest_words: int) -> list[Edit]:
    edits: list[Edit] = []
    first = True
    at = kept = 0  # where the next line starts, and where the last kept one ends
    rule = "c4.space"
    for line in text.splitlines(keepends=True):
        body = line.strip()
        start = at + len(line) - len(line.lstrip())
        at += len(line)
        why = _why(body, marks, fewest_words)
        if why is not None:
            rule = why if rule == "c4.space" else rule
            continue
        citations = [Edit(start + c.start(), start + c.end(), "", "c4.citation") for c in _CITATION.finditer(body)]
        if first:
            # The text as a whole is trimmed once more, after its citations are gone.
            while citations and not text[start : citations[0].start].strip():
                start = citations.pop(0).end
            start += len(text[start:at]) - len(text[start:at].lstrip())
        joint = "" if first else "\n"
        if text[kept:start] != joint:
            edits.append(Edit(kept, start, joint, rule))
        edits += citations
        kept = start + len(text[start:at].rstrip())
        first, rule = False, "c4.space"
    if kept < len(text):
        edits.append(Edit(kept, len(text), "", rule))
    return composed(text, edits) if edits else edits


def _why(line: str, marks: tuple[str, ...], fewest_words: int) -> str | None:
    if _LONG_WORD.search(line):
        return "c4.long_word"
    cited = _CITATION.sub("", line) if "[" in line else line
    if not cited.endswith(marks) or cited.endswith("..."):
        return "c4.no_punctuation"
    if len(line.split()) < fewest_words:
        return "c4.few_words"
    lower = cited.lower()
    if "javascript" in lower:
        return "c4.javascript"
    return "c4.policy" if any(phrase in lower for phrase in POLICY) else None
