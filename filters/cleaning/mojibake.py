"""Mojibake: text that was read in another encoding than it was written in, read again in the right one, line by line.

What is repaired: what ftfy's heuristic finds (UTF-8 read as windows-1252, latin-1 and its like, several times over; only
ftfy's work on encodings, none of its other fixes), and the Korean cases of `korean_mojibake.py`, which ftfy does not
know. A line changes only as a whole and only where the other reading is sound, so that nothing is guessed, and not where it
speaks of mojibake (`discussed.py`).

Lines end at every character that `invisible.py` makes a line feed of. U+0085 is one of the bytes of UTF-8, too: it ends a
line unless it is in a sequence of them, or the line has other such controls, as text read as latin-1 has.

ftfy's heuristic is a regular expression. Rust's engine runs it over the column at the speed of memory; Python's, a
hundred times slower, sees only the lines of texts where that found something.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from functools import cache
from itertools import accumulate

import polars as pl

from winnow.filters.cleaning import Changes
from winnow.filters.cleaning.discussed import discussed
from winnow.filters.cleaning.invisible import LINE_END
from winnow.filters.cleaning.korean_mojibake import KOREAN_SUSPECT, reread
from winnow.filters.cleaning.lines import narrowed
from winnow.filters.cleaning.terminal import C1_SEQUENCE
from winnow.filters.edits import Edit, apply

# The end of a Portuguese word in capitals and the mark after it (`“MANHÃ”`, `MAÇÃ™`) have the bytes of one letter in
# UTF-8, too: what ftfy makes of them alone is a guess, and mostly a wrong one.
_SOUND_END = re.compile(r"(?<=[A-ZÀ-ÖØ-Þ])[ÂÃ][”“™®](?!\w)")

_END = re.compile(f"{LINE_END}|{C1_SEQUENCE.pattern}")
_SEQUENCE = re.compile(  # table 3-7 of the Unicode standard
    "[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    "|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
_OTHER = re.compile("[\x80-\x84\x86-\x9f]")

LONGEST = 100_000
"""Characters of a line that are looked at as one; a longer line is no line of running text and is left as it is."""


def mojibake(texts: pl.Series) -> Changes:
    """Edits of rule `mojibake`, at most one per line; texts are NFC before and after."""
    suspect = texts.str.contains(_suspect()).arg_true().to_list()
    changes = {row: _edits(texts[row]) for row in suspect}
    return {row: edits for row, edits in changes.items() if edits}


def repaired(text: str) -> str:
    """The text with each line as it was written, if it can be told, else as it is."""
    pieces: list[str] = []
    at = 0
    for start, end in _lines(text):
        pieces += (text[at:start], _repaired(text[start:end]))
        at = end
    return "".join((*pieces, text[at:]))


def _repaired(line: str) -> str:
    if line.isascii() or len(line) > LONGEST:
        return line
    sound = _sound_but_for_ends(line)
    read = (None if sound else _as_utf8(line)) or reread(line) or (line if sound else _by_heuristic(line))
    if "\x1a" not in line:
        # ftfy's encodings carry the replacement character as this control, so that it fits in a byte.
        read = read.replace("\x1a", "\ufffd")
    if read == line or "\n" in read or any("\ud800" <= character <= "\udfff" for character in read):
        return line
    return repaired(unicodedata.normalize("NFC", read))


def _sound_but_for_ends(line: str) -> bool:
    from ftfy.badness import is_bad

    return _SOUND_END.search(line) is not None and not is_bad(_SOUND_END.sub("", line))


def _as_utf8(line: str) -> str | None:
    from ftfy import bad_codecs  # noqa: F401  registers sloppy-windows-1252
    from ftfy.badness import is_bad

    for encoding in ("latin-1", "sloppy-windows-1252"):
        with suppress(UnicodeError):
            read = line.encode(encoding).decode("utf-8")
            return read if is_bad(line) else None
    return None


def _by_heuristic(line: str) -> str:
    from ftfy import TextFixerConfig, fix_encoding
    from ftfy.badness import is_bad

    # What is off replaces what has been lost: it guesses.
    return fix_encoding(line, TextFixerConfig(replace_lossy_sequences=False)) if is_bad(line) else line


def _edits(text: str) -> list[Edit]:
    parts = _lines(text)
    lines = [text[start:end] for start, end in parts]
    repairs = {number: read for number, line in enumerate(lines) if (read := _repaired(line)) != line}
    for number in discussed(lines, repairs) if repairs else ():
        del repairs[number]
    edits = [
        edit for number, read in repairs.items() for edit in narrowed(lines[number], read, parts[number][0], "mojibake")
    ]
    if "\x85" in text and len(_lines(apply(text, edits))) < len(parts):
        return []  # a letter put in front of U+0085 makes it look like a byte: it is to be a line feed first
    return edits


def _lines(text: str) -> list[tuple[int, int]]:
    """Start and end of every stretch to be read by itself; what ends lines, and what terminals act on, belongs to none."""
    if "\x85" not in text and "\x9b" not in text:
        kept = accumulate(map(len, text.splitlines(keepends=True)), initial=0)
        return [(at, at + len(line)) for at, line in zip(kept, text.splitlines(), strict=False)]
    parts = _between([match.span() for match in _END.finditer(text)], 0, len(text))
    return [part for start, end in parts for part in _between(_next_lines(text[start:end], start), start, end)]


def _between(ends: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    edges = [start, *(at for span in ends for at in span), end]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _next_lines(line: str, start: int) -> list[tuple[int, int]]:
    """Where U+0085 ends a line, in the text in which this one begins at `start`."""
    rest = _SEQUENCE.sub("", line)
    if "\x85" not in rest or _OTHER.search(rest):
        return []
    # Other bytes can only be in sequences here, and then what looks like one is.
    taken = _SEQUENCE.sub(lambda found: "x" * len(found[0]), line) if _OTHER.search(line) else line
    return [(start + at, start + at + 1) for at, character in enumerate(taken) if character == "\x85"]


@cache
def _suspect() -> str:
    from ftfy.badness import BADNESS_RE

    return f"{compact(BADNESS_RE.pattern)}|{KOREAN_SUSPECT}"


def compact(verbose: str) -> str:
    """A pattern in Python's verbose syntax without its comments and white space. Rust has a verbose syntax of its own,
    which drops white space in classes too."""
    kept: list[str] = []
    at = 0
    in_class = False
    while at < len(verbose):
        character = verbose[at]
        size = 2 if character == "\\" else 1
        if character == "#" and not in_class:
            size = verbose.find("\n", at) - at
            size = size if size > 0 else len(verbose) - at
        elif in_class or not character.isspace():
            kept.append(verbose[at : at + size])
        if character in "[]":
            in_class = character == "["
        at += size
    return "".join(kept)
