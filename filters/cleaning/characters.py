"""Characters that are written in an odd way or not seen at all. A text is NFC afterwards, also where two characters come
to stand side by side that compose.

**For terminals**: escape sequences (ECMA-48) and characters struck over others by a backspace. A sequence goes as a whole,
so that `ESC [31m` leaves no `[31m`. One whose ESC is gone already is a text like any other, and one that is spelled out
(`\\033[31m`) is text about it. Of what is struck over one another that stays which a terminal shows, and of a letter and an
underline the letter (`_\\bN`, as `man` writes).

**In other widths**: which of Unicode's compatibility forms of width give way to the ordinary character.

`keep`  none of them.
`cjk`   letters and digits become ASCII, half-width kana and their punctuation full-width; full-width punctuation and the
        ideographic space stay, as Chinese and Japanese use them.
`ascii` full-width punctuation and the ideographic space become ASCII too.

The replacement is that of NFKC, for these ranges alone: NFKC as a whole changes meaning (`10³` to `103`). Half-width
Hangul and the full-width macron, whose NFKC form is a space with a combining mark, stay.

**Invisible**: controls, zero-width characters, soft hyphens, byte order marks, line breaks of other kinds than the line feed.
They go, except where they are part of how something is written: the zero-width joiner inside an emoji, both joiners
between letters of scripts that join (Arabic, those of India, Mongolian and so on), the vowel separator in Mongolian words,
the zero-width space between letters of scripts that mark words with it (Thai to Khmer), direction marks in a text that
has right-to-left letters, the marks around annotations (U+FFF9 to U+FFFB), without which text and gloss run together.
Variation selectors, the grapheme joiner and tags of flags are left. Carriage returns, form feeds, U+0085 and Unicode's
line and paragraph separators become line feeds, the unit separator a space. The replacement character U+FFFD stays: it
shows damage.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from typing import Literal

import polars as pl

from winnow.filters.cleaning import Changes, Step
from winnow.filters.edits import Edit, apply, compose, narrowed, spans

RULE = "characters.terminal"

C1_SEQUENCE = re.compile("\x9b[0-9;:?]*[0-9][mKJHhl]")
"""A control sequence with the eight-bit introducer. That character is a closing quotation mark read as latin-1, too, so
only those with parameters count, and of those the ones that set colours, erase, and place the cursor."""

_SEQUENCE = re.compile(
    "\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]?"  # control sequences, also where they are cut off
    "|\\][^\x07\x1b\x9c\n]*(?:\x07|\x1b\\\\|\x9c)?"  # commands to the system, such as titles and links
    "|[PX^_][^\x07\x1b\x9c\n]*(?:\x1b\\\\|\x9c)"
    r"|[()*+\-./][0-9A-Za-z]|#[0-9]|[78=>]|[cDEHMNOZ](?![A-Za-z])"
    f")|{C1_SEQUENCE.pattern}"
)
_FROM_LINE = re.compile("[\x1b\x9b\x08]")


def terminal(text: str) -> list[Edit]:
    """Edits of rule `characters.terminal`; characters in order and apart."""
    if not _FROM_LINE.search(text):
        return []
    edits = [Edit(match.start(), match.end(), "", RULE) for match in _SEQUENCE.finditer(text)]
    if "\x08" not in text:
        return edits
    gone = {at for edit in edits for at in range(edit.start, edit.end)}
    gone |= _struck(text, gone)
    return _runs(gone)


def _struck(text: str, gone: set[int]) -> set[int]:
    """Where the backspaces are and what is struck over; `gone` are places that count as empty."""
    struck: set[int] = set()
    line: list[int] = []
    back = 0
    for at, character in enumerate(text):
        if at in gone:
            continue
        if character == "\x08":
            struck.add(at)
            back += 1
        elif character in "\r\n":
            line, back = [], 0
        elif back and line and character == "_" and text[line[-1]].isalnum():
            struck.add(at)
            back = 0
        else:
            # Wide characters take two steps back, and are written over by themselves.
            back = 1 if back and line and text[line[-1]] == character else back
            for _ in range(min(back, len(line))):
                struck.add(line.pop())
            line.append(at)
            back = 0
    return struck


def _runs(places: set[int]) -> list[Edit]:
    edits: list[Edit] = []
    for at in sorted(places):
        if edits and edits[-1].end == at:
            edits[-1] = Edit(edits[-1].start, at + 1, "", RULE)
        else:
            edits.append(Edit(at, at + 1, "", RULE))
    return edits


Width = Literal["keep", "cjk", "ascii"]

_LETTERS = "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"
_KANA = "\uff61-\uff9f"
_SIGNS = "\uff01-\uff5e\uffe0-\uffe2\uffe4-\uffe6\u3000"

WIDTHS: dict[Width, str] = {"keep": "", "cjk": _LETTERS + _KANA, "ascii": _SIGNS + _KANA}
"""The characters that a policy replaces, as the inside of a character class."""


def width_runs(width: Width) -> re.Pattern[str] | None:
    """Runs of characters that the policy replaces together: a half-width kana and its voicing mark are one."""
    return re.compile(f"[{WIDTHS[width]}]+") if WIDTHS[width] else None


def replaced(run: str) -> str:
    """The ordinary characters for a run of compatibility forms."""
    return unicodedata.normalize("NFKC", run)


_LINE_ENDS = "\r\x0b\x0c\x1c-\x1e\u2028\u2029"
_BREAKS = _LINE_ENDS + "\x85"
_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029"
_ZERO_WIDTH = "\u00ad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufffc\ufdd0-\ufdef\ufffe\uffff"
_JOINERS = "\u200c\u200d"
_DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"

AFFECTED = _CONTROLS + _ZERO_WIDTH + _JOINERS + _DIRECTIONS
"""The characters that may go or be replaced, as the inside of a character class."""

LINE_END = f"\r[\n\x85]|[\n{_LINE_ENDS}]"
"""What ends a line whatever comes next; U+0085 does not where it is a byte of something else (`mojibake.py`)."""

_ONE = re.compile(f"\r[\n\x85]|[{AFFECTED}]")
_BREAK = re.compile(f"[{_BREAKS}]")
_DIRECTION = re.compile(f"[{_DIRECTIONS}]")
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u060f\u0620-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_JOINING = re.compile(
    "[\u0600-\u0603\u0610-\u061a\u0620-\u07ff\u0840-\u0dff\u0f00-\u109f\u1700-\u1805\u180b-\u180d\u180f-\u1c4f"
    "\ua840-\ua8ff\ua980-\uaadf\uabc0-\uabff\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\U00010a00-\U00010fff"
    "\U00011000-\U00011fff\U0001e900-\U0001e95f]"
)
_MONGOLIAN = re.compile("[\u180b-\u180d\u180f\u1820-\u18aa]")
_PICTOGRAPH = re.compile(
    "[\u00a9\u00ae\u203c\u2049\u20e3\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff]"
)
_SPACELESS = re.compile("[\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf]")


def invisible(text: str) -> list[tuple[int, int, str]]:
    """What to replace: start, end (characters) and what takes its place, in order and apart."""
    right_to_left = False
    looked = False
    found: list[tuple[int, int, str]] = []
    for match in _ONE.finditer(text):
        character, start, end = match[0], match.start(), match.end()
        if _BREAK.match(character):
            found.append((start, end, "\n"))
        elif character == "\x1f":
            found.append((start, end, " "))
        elif _DIRECTION.match(character):
            if not looked:
                right_to_left, looked = _RIGHT_TO_LEFT.search(text) is not None, True
            if not right_to_left:
                found.append((start, end, ""))
        elif not _written(character, text[start - 1 : start], text[end : end + 1]):
            found.append((start, end, ""))
    return found


def _written(character: str, before: str, after: str) -> bool:
    """Whether a zero-width character is part of how its neighbours are written."""
    if character == "\u200b":
        return bool(_SPACELESS.match(before) and _SPACELESS.match(after))
    if character == "\u180e":
        return bool(_MONGOLIAN.match(before) and _MONGOLIAN.match(after))
    if character == "\u200d" and _PICTOGRAPH.match(before) and _PICTOGRAPH.match(after):
        return True
    # A joiner may end a word: Sinhala and Malayalam write it after the last consonant.
    return character in "\u200c\u200d" and bool(_JOINING.match(before)) and not _ONE.match(after)


def characters(width: Width) -> Step:
    """Edits of the rules `characters.terminal`, `characters.width` (the policy's, see `full_width`),
    `characters.invisible`, and `characters.compose` where characters that come to be neighbours compose."""
    return partial(_characters, width=width)


def composed(text: str, edits: list[Edit]) -> list[Edit]:
    """The edits with those added that bring the text after them to NFC, line by line; the text before them is NFC."""
    after = apply(text, edits)
    if unicodedata.is_normalized("NFC", after):
        return edits
    lines = ((start, after[start:end]) for start, end in spans(after))
    added = [
        edit
        for start, line in lines
        for edit in narrowed(line, unicodedata.normalize("NFC", line), start, "characters.compose")
    ]
    return compose(text, edits, added)


def _characters(texts: pl.Series, width: Width) -> Changes:
    affected = AFFECTED + WIDTHS[width]
    changes: Changes = {}
    for row in texts.str.contains(f"[{affected}]").arg_true().to_list():
        edits = _edits(texts[row], width)
        if edits:
            changes[row] = edits
    return changes


def _edits(text: str, width: Width) -> list[Edit]:
    written = terminal(text)
    return compose(text, written, _replacements(apply(text, written), width))


def _replacements(text: str, width: Width) -> list[Edit]:
    found = [Edit(start, end, put, "characters.invisible") for start, end, put in invisible(text)]
    runs = width_runs(width)
    if runs is not None:
        found += [
            Edit(match.start(), match.end(), replaced(match[0]), "characters.width") for match in runs.finditer(text)
        ]
    found.sort(key=lambda edit: edit.start)
    return composed(text, found)
