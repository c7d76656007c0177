"""Characters that nobody sees: controls, zero-width characters, soft hyphens, byte order marks, line breaks of other
kinds than the line feed.

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
