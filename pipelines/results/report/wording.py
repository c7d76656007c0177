"""How numbers and names are written in a report."""

from __future__ import annotations

import math
from typing import Any

DASH = "–"
_SIGNS = {">=": "≥", "<=": "≤", ">": ">", "<": "<", "=": "=", "==": "=", "!=": "≠", "<>": "≠"}


def count(value: float) -> str:
    """A whole number with separators: 12,345."""
    return f"{round(value):,}".replace("-", "−")


def short(value: float) -> str:
    """Every digit up to a million, then a unit: 123,456, 7.89 M."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return count(value)


def size(value: float | None) -> str:
    """Bytes in decimal units: 41.8 MB; a dash where unknown."""
    if value is None:
        return DASH
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:,.0f} B"


def share(part: float | None, whole: float | None) -> str:
    """A percentage with two digits that say something; a dash where there is no whole."""
    if not whole or part is None:
        return DASH
    percent = 100 * part / whole
    if percent == 0 or math.isclose(percent, 100):
        return f"{percent:.0f}%"
    if 99.9 < percent < 100:
        return ">99.9%"
    return f"{percent:.1f}%" if percent >= 0.1 else "<0.1%"


def signed(value: float) -> str:
    """A difference with its sign: +12, −3, ±0."""
    return f"+{count(value)}" if value > 0 else count(value) if value < 0 else "±0"


def number(value: float) -> str:
    """A threshold or a signal's value, as one would write it."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if value == round(value) and abs(value) < 1e15:
        return count(value)
    return f"{value:.6g}".replace("-", "−")


def seconds(value: float | None) -> str:
    """A duration: 35 s, 4 min 10 s, 2 h 05 min; a dash where unknown."""
    if value is None:
        return DASH
    if value < 60:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def sign(operator: str) -> str:
    """A comparison as mathematics writes it."""
    return _SIGNS.get(operator, operator)


def bare(name: str) -> str:
    """A clause's or signal's name without its stage."""
    return name.partition(".")[2] or name


def sharing(shared: dict[str, Any]) -> str:
    """The sentence about documents that have the id of another one."""
    kept = (
        f"; {shared['kept_documents']:,} of them are kept"
        if shared["kept_documents"]
        else "; at most one of each is kept"
    )
    ids = f"{shared['ids']:,} id" + ("s" if shared["ids"] != 1 else "")
    return (
        f"{shared['documents']:,} documents have only {ids} between them{kept}. What goes by the id (joins, `programs:`) means "
        "all that have it"
    )
