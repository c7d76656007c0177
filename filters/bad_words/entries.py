"""What a list of bad words says.

One entry per line; an empty line, and what stands behind a `#` at a line's start or after white space, is no entry.

- `word`: the whole word. Behind a Korean one particles and endings may stand; one in a script written without spaces
  matches anywhere, in Katakana only where the Katakana ends, a single Han character only where it stands alone.
- `word*`: what a word starts with. `*word` and `*word*`: also inside a word.
- `two words`: across white space or a hyphen, in Korean also written together.
- `!word`: an exception. What matches it is no bad word, unless a longer entry matches at the same place.

Letters are compared in the normal form of `alphabet.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_COMMENT = re.compile(r"(?:^|\s)#.*")
MOST_WORDS = 6
"""Words of an entry of a file: the longest of the public lists has six, a line of prose more."""
_FOLDER = Path(__file__).resolve().parent


class BadWordsError(ValueError):
    """A list of bad words that cannot be used: what, where, what was expected."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list."""

    text: str  # without marks, its white space single
    prefix: bool  # the word may go on
    inside: bool  # the word may have begun before
    exception: bool


def entry(line: str) -> Entry:
    """One entry. Raises BadWordsError where nothing but marks is left, or `*` stands within."""
    written = " ".join(line.split())
    exception = written.startswith("!")
    bare = written[exception:].strip()
    text = bare.strip("*").strip()
    if not text or "*" in text:
        raise BadWordsError(
            f"bad word '{written}': expected a word, with `*` only before or behind it and `!` in front"
        )
    return Entry(text, prefix=bare.endswith("*"), inside=bare.startswith("*"), exception=exception)


def read(path: Path) -> tuple[str, ...]:
    """The entries of a file, in its order. Raises BadWordsError for a file that is missing, not UTF-8, holds none, or holds
    sentences, as a licence taken for a list does."""
    try:
        written = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadWordsError(
            f"bad words '{path}': {error.strerror or error}: expected a file with one word per line"
        ) from error
    except UnicodeDecodeError as error:
        raise BadWordsError(f"bad words '{path}': byte {error.start} is not UTF-8: expected text in UTF-8") from error
    listed = []
    for number, line in enumerate(written.splitlines(), 1):
        kept = _COMMENT.sub("", line).strip()
        if not kept:
            continue
        if not kept.isprintable():
            raise BadWordsError(
                f"bad words '{path}', line {number}: {kept[:40]!r}: expected one word per line, in readable characters"
            )
        if len(kept.split()) > MOST_WORDS:
            raise BadWordsError(
                f"bad words '{path}', line {number}: {kept[:40]!r}... has {len(kept.split())} words, which is a sentence: "
                f"expected one word per line, or a phrase of at most {MOST_WORDS} words"
            )
        try:
            entry(kept)
        except BadWordsError as error:
            raise BadWordsError(f"bad words '{path}', line {number}: {error}") from error
        listed.append(kept)
    if not listed:
        raise BadWordsError(f"bad words '{path}': no entry: expected one word per line")
    return tuple(listed)


@cache
def exceptions() -> tuple[str, ...]:
    """The exceptions that ship with this package: ordinary words that begin like a bad one."""
    return read(_FOLDER / "exceptions.txt")


@cache
def particles() -> tuple[str, ...]:
    """What may follow a Korean bad word in its word, also several in a row."""
    return read(_FOLDER / "particles.txt")
