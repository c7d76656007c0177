"""Written Korean retold in the polite spoken style: `했다` becomes `했어요`, as people write in their own blogs.

Labelled good prose is nearly all in the plain style (`-다`), and user comments are what is left in the polite one, so that a
classifier takes the ending for the fault. Only sentence ends change; rare verbs keep the plain ending rather than a wrong one.
"""

from __future__ import annotations

import re

_FINAL_SS = "".join(chr(0xAC00 + (lead * 21 + vowel) * 28 + 20) for lead in range(19) for vowel in range(21))
_RULES = (
    (re.compile(rf"([{_FINAL_SS}])(?:습니)?다(?=[.!?]|$)"), r"\1어요"),
    (re.compile(r"(?:한|합니)다(?=[.!?]|$)"), "해요"),
    (re.compile(r"(?:된|됩니)다(?=[.!?]|$)"), "돼요"),
    (re.compile(r"(?:인|이|입니)다(?=[.!?]|$)"), "이에요"),
    (re.compile(r"(없|먹|읽|씻|입|넣|늦|힘들)(?:는|습니)?다(?=[.!?]|$)"), r"\1어요"),
    (re.compile(r"(않|같|많|좋|받|앉|찾|작|높|낮|밝|맑)(?:는|습니)?다(?=[.!?]|$)"), r"\1아요"),
    (re.compile(r"본다(?=[.!?]|$)"), "봐요"),
    (re.compile(r"준다(?=[.!?]|$)"), "줘요"),
    (re.compile(r"간다(?=[.!?]|$)"), "가요"),
    (re.compile(r"온다(?=[.!?]|$)"), "와요"),
    (re.compile(r"진다(?=[.!?]|$)"), "져요"),
    (re.compile(r"(킨|린|친|긴)다(?=[.!?]|$)"), lambda found: chr(ord(found[1]) - 14 * 28 - 4) + "요"),
)


def polite(text: str) -> str:
    """The text with its plain and formal sentence ends made polite."""
    for pattern, ending in _RULES:
        text = pattern.sub(ending, text)
    return text
