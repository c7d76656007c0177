"""Mojibake: text that was read in another encoding than it was written in, read again in the right one, line by line.

What is repaired: what ftfy's heuristic finds (UTF-8 read as windows-1252, latin-1 and its like, several times over; only
ftfy's work on encodings, none of its other fixes), and two Korean cases that ftfy does not know: CP949 read as
windows-1252, and UTF-8 read as CP949. A line changes only as a whole and only where the other reading is sound, so that
nothing is guessed, and not where it speaks of mojibake (`discussed.py`).

A Korean reading is taken only where every byte of it makes sense: the whole line, or, for CP949 read as windows-1252 beside
other writing, a stretch of it, gives Hangul syllables, two and more in a row and half of them frequent ones, and hardly
anything else outside ASCII. UTF-8 read as CP949 has mostly lost bytes (`?덈뀞`, `占쏙옙`), and what is lost cannot be read
again: `damaged` counts it.

Lines end at every character that `characters.py` makes a line feed of. U+0085 is one of the bytes of UTF-8, too: it ends a
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
from winnow.filters.cleaning.characters import C1_SEQUENCE, LINE_END
from winnow.filters.cleaning.discussed import discussed
from winnow.filters.edits import Edit, apply, narrowed

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
