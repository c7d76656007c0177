"""Removing whole lines: which characters go, so that what stays is the other lines joined by line feeds."""

from __future__ import annotations

from collections.abc import Mapping

from winnow.filters.edits import Edit


def spans(text: str) -> list[tuple[int, int]]:
    """Start and end of every line between line feeds, in characters; the line feeds belong to none."""
    found: list[tuple[int, int]] = []
    at = 0
    for line in text.split("\n"):
        found.append((at, at + len(line)))
        at += len(line) + 1
    return found


def removals(text: str, rules: Mapping[int, str]) -> list[Edit]:
    """One edit per line to remove (number from 0 -> rule). A line takes the line feed after it along; those at the end
    of the text take the one before."""
    lines = spans(text)
    tail = len(lines)
    while tail - 1 in rules:
        tail -= 1
    removed: list[Edit] = []
    for number in sorted(rules):
        start, end = lines[number]
        if number < tail or tail == 0:
            end = min(end + 1, len(text))
        else:
            start -= 1
        removed.append(Edit(start, end, "", rules[number]))
    return removed


def narrowed(old: str, new: str, start: int, rule: str) -> list[Edit]:
    """The one edit that makes `new` of `old`, which starts at character `start`, without their common ends; none where
    they are equal."""
    if old == new:
        return []
    most = min(len(old), len(new))
    head = _common(old, new, most)
    tail = _common(old[::-1], new[::-1], most - head)
    return [Edit(start + head, start + len(old) - tail, new[head : len(new) - tail], rule)]


def _common(a: str, b: str, most: int) -> int:
    """Length of the common beginning of both, at most `most`, by halving: comparing slices is what is fast."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
