"""Full-width and half-width forms: which of Unicode's compatibility forms of width give way to the ordinary character.

`keep`  none of them.
`cjk`   letters and digits become ASCII, half-width kana and their punctuation full-width; full-width punctuation and the
        ideographic space stay, as Chinese and Japanese use them.
`ascii` full-width punctuation and the ideographic space become ASCII too.

The replacement is that of NFKC, for these ranges alone: NFKC as a whole changes meaning (`10³` to `103`). Half-width
Hangul and the full-width macron, whose NFKC form is a space with a combining mark, stay.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Width = Literal["keep", "cjk", "ascii"]

_LETTERS = "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"
_KANA = "\uff61-\uff9f"
_SIGNS = "\uff01-\uff5e\uffe0-\uffe2\uffe4-\uffe6\u3000"

AFFECTED: dict[Width, str] = {"keep": "", "cjk": _LETTERS + _KANA, "ascii": _SIGNS + _KANA}
"""The characters that a policy replaces, as the inside of a character class."""


def runs(width: Width) -> re.Pattern[str] | None:
    """Runs of characters that the policy replaces together: a half-width kana and its voicing mark are one."""
    return re.compile(f"[{AFFECTED[width]}]+") if AFFECTED[width] else None


def replaced(run: str) -> str:
    """The ordinary characters for a run of compatibility forms."""
    return unicodedata.normalize("NFKC", run)
