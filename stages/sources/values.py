"""What a line of JSON Lines holds, also where a fast parser refuses it or rounds its numbers."""

from __future__ import annotations

import json
from typing import Any

LONGEST = 4000
"""Digits of a whole number; longer ones stay text, since Python refuses to make numbers of them."""


class NotJson(ValueError):
    """A line that is no JSON: what is wrong, and at which character."""


class Number(str):
    """A number as it is written, which no float could hold."""

    __slots__ = ()


def exact(line: bytes) -> Any:
    """The value of a line with every number as it is written: fractions and very long numbers are `Number`.

    Reads what is no JSON but means one thing only: NaN and Infinity, as Python and pandas write them, are null; control
    characters stand for themselves. Bytes that are not UTF-8 become lone surrogates, of which `unsound` tells. Raises
    NotJson.
    """
    text = line.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as failure:
        at = f"at character {failure.pos + 1:,}"
        if failure.msg == "Extra data":
            raise NotJson(f"a second value begins {at}: expected one object a line") from None
        raise NotJson(f"{failure.msg[0].lower()}{failure.msg[1:].removesuffix(' at')} {at}") from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None


def unsound(text: str, line: bytes) -> str | None:
    """Why a string of a line cannot be a text, None where it can."""
    try:
        text.encode()
    except UnicodeEncodeError as failure:
        character = text[failure.start]
        try:
            line.decode()
        except UnicodeDecodeError:
            return f"is not valid UTF-8: byte 0x{ord(character) & 0xFF:02X} at its character {failure.start + 1:,}"
        return (
            f"holds a lone surrogate, \\u{ord(character):04x} at its character {failure.start + 1:,}, which is not "
            "valid Unicode"
        )
    return None


def written(value: Any) -> str | None:
    """A value as text, anything but a string as JSON; None for null."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def kind(value: Any) -> str:
    """The JSON type of a value, for people."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _whole(digits: str) -> int | Number:
    return int(digits) if len(digits) <= LONGEST else Number(digits)


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=Number, parse_constant=lambda _: None, strict=False)
