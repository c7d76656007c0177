"""Ways of writing a number made one, character for character, so that positions stay."""

from __future__ import annotations

import re

_DASHES = "‐‑‒–—―−－﹣ㅡｰ"
_SPACES = "\u00a0\u2002\u2003\u2007\u2009\u202f\u3000\t"
_TABLE = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(map(ord, _DASHES), ord("-")),
    **dict.fromkeys(map(ord, _SPACES), ord(" ")),
    ord("∙"): ord("·"),
    ord("ㆍ"): ord("·"),
}
_ANY = re.compile("[" + re.escape("".join(map(chr, _TABLE))) + "]")


def folded(text: str) -> str:
    """The text with full-width ASCII, dashes, spaces and middle dots in one form; as long as it was."""
    return text.translate(_TABLE) if _ANY.search(text) else text
