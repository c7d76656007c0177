"""Text of Korean pages read in the wrong encoding: CP949 read as windows-1252, and UTF-8 read as CP949.

A reading is taken only where every byte of it makes sense: the whole line, or, for CP949 read as windows-1252 beside
other writing, a stretch of it, gives Hangul syllables, two and more in a row and half of them frequent ones, and hardly anything else outside ASCII.
UTF-8 read as CP949 has mostly lost bytes (`?덈뀞`, `占쏙옙`), and what is lost cannot be read again: `damaged` counts it.
"""

from __future__ import annotations

import re

import polars as pl

_HIGH = "\u00a1-\u00fe"
_LEAD = "\u00b0-\u00c8"  # bytes B0-C8 lead the 2,350 syllables of KS X 1001
_PAIRS = re.compile(rf"(?:[\u00a1-\u00c8][{_HIGH}])+")
_LATIN_1 = re.compile("[\u0080-\u00ff]")
_TWO_SYLLABLES = f"[{_LEAD}][{_HIGH}][{_LEAD}][{_HIGH}]"
_SYLLABLES = re.compile("[가-힣]{2}")
# The 256 most frequent syllables of Korean web pages, treebanks and headlines: 89% of all. Accented capitals and
# tables of characters read as CP949 give rare ones.
_FREQUENT = frozenset(
    "가각간감값강같개거건것게결경계고공과관교구국권규그근금급기까나남내넌네년노는능니다단달당대더던데도독동되된됩두드든들등디따때또라"
    "래램러레려력령로록론루르른를름리마만많말매메며면명모목무문물미민및바반발방배버번법변보본부분불브비사산상새생서선설성세션소속수순"
    "스습시식신실심십아안않야양어언업없었에여역연열영예오옵와외요용우운워원월웨위유으은을음의이인일임입있자작장재저적전점정제조종주준"
    "중증지직진질집차참처청체초최추출츠치커컴코크키타태택터템토통트특티팅파판패페편포표품프필하학한할함합항해했행현형호화확환활회후히"
)
# The hanja that CP949 has for the first two bytes of a Hangul syllable in UTF-8 (EA-ED, then A1-BF).
_HANJA = "".join(bytes((lead, trail)).decode("cp949") for lead in range(0xEA, 0xEE) for trail in range(0xA1, 0xC0))
_READ_AS_CP949 = re.compile(f"[{_HANJA}]")

# The syllables that CP949 has for the accented Latin letters in UTF-8 (C3, then 81-BF): `gar챌on` is garçon. Those with a
# trail below A1 are beyond KS X 1001 and no one writes them; the others (`챗`, `책`) are evidence only within a word.
_RARE_ACCENTS = "".join(bytes((0xC3, trail)).decode("cp949") for trail in range(0x81, 0xA1))
_ACCENTS = _RARE_ACCENTS + "".join(bytes((0xC3, trail)).decode("cp949") for trail in range(0xA1, 0xC0))
_LATIN_AS_CP949 = f"[a-z][{_ACCENTS}][a-z]|[{_RARE_ACCENTS}][a-z]|[A-Za-z][{_RARE_ACCENTS}]"
_LONE_ACCENT = re.compile(f"(?<![A-Za-z{_ACCENTS}])[{_ACCENTS}](?![a-z{_ACCENTS}])")

KOREAN_SUSPECT = f"{_TWO_SYLLABLES}|[{_HANJA}]|{_LATIN_AS_CP949}"
"""What a line to repair has in it, in the syntax of Rust's and Python's regular expressions."""

# Syllables that CP949 has beyond KS X 1001, with a trail byte above 7F as in UTF-8: they are what is left of Hangul in
# UTF-8 beside the question mark for the byte that was lost. Written Korean has next to none of them.
_BEYOND = "".join(
    character
    for character in map(chr, range(0xAC00, 0xD7A4))
    if (code := character.encode("cp949"))[0] < 0xB0 and code[1] >= 0x80
)
DAMAGE = f"\ufffd|占쏙옙|占쏙|쏙옙|\u00ef\u00bf\u00bd|[?\ufffd][{_BEYOND}]+|[{_BEYOND}]+[?\ufffd]"
"""What cannot be read again; U+FFFD, the marks that it leaves when it is read as CP949 or latin-1, and lost bytes."""


def reread(line: str) -> str | None:
    """The line in the encoding that it was written in, or None where it is none of these cases."""
    if re.search(_TWO_SYLLABLES, line):
        whole = _decoded(line, "sloppy-windows-1252", "cp949") or _decoded(line, "latin-1", "cp949")
        if whole is not None:
            return whole
        parts = _PAIRS.sub(lambda found: _decoded(found[0], "latin-1", "euc_kr") or found[0], line)
        if not _LATIN_1.search(parts):
            return parts
    if _READ_AS_CP949.search(line):
        return _decoded(line, "cp949", "utf-8")
    return _latin(line) if re.search(_LATIN_AS_CP949, line) else None


def damaged(texts: pl.Series) -> pl.Series:
    """Characters of each text that are damaged beyond repair (int64)."""
    counts = pl.Series(texts.name, [0], pl.Int64).new_from_index(0, len(texts))
    rows = texts.str.contains(DAMAGE).arg_true()
    if not len(rows):
        return counts
    chars = texts.gather(rows).str.extract_all(DAMAGE).list.eval(pl.element().str.len_chars()).list.sum()
    return counts.scatter(rows, chars.cast(pl.Int64))


def _latin(line: str) -> str | None:
    """A line of Latin letters alone whose accented ones were read as Hangul; None where any Hangul is something else."""
    if _LONE_ACCENT.search(line):
        return None
    try:
        read = line.encode("cp949").decode("utf-8")
    except UnicodeError:
        return None
    return read if all(character.isascii() or "\u00c0" <= character <= "\u00ff" for character in read) else None


def _decoded(line: str, written: str, meant: str) -> str | None:
    import ftfy.bad_codecs  # noqa: F401  registers sloppy-windows-1252

    try:
        read = line.encode(written).decode(meant)
    except UnicodeError:
        return None
    foreign = [character for character in read if not character.isascii()]
    hangul = sum("가" <= character <= "힣" for character in foreign)
    frequent = sum(character in _FREQUENT for character in foreign)
    sound = _SYLLABLES.search(read) and hangul >= 0.8 * len(foreign) and frequent >= 0.5 * hangul
    return read if sound else None
