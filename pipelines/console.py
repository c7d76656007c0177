"""What is printed for people and for programs: a console as wide as its reader's, lines of JSON, and texts made safe to print."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]

_CONTROLS = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}
_CONTROLS |= dict.fromkeys([*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F], 0xFFFD)


def console() -> Console:
    """Where people read: as wide as the terminal, or 160 columns."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def say(sentence: str, where: Console | None = None) -> None:
    """Print one sentence as it is, whatever brackets a URL or a cause in it holds."""
    (where or console()).print(sentence, highlight=False, markup=False, soft_wrap=True)


def as_lines(objects: Any) -> None:
    """Print one JSON object per line."""
    import orjson

    for found in objects:
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY))
    sys.stdout.buffer.flush()


def visible(text: str) -> str:
    """The text with control and direction characters replaced one by one, so that nothing in a document moves a terminal;
    tabs and line feeds stay."""
    return text.translate(_CONTROLS)
