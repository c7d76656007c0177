"""Edits of edits: several steps in a row as one list of edits of the text that the first was given.

Each edit keeps its rule. Where a later edit touches what an earlier one put in, or takes away what surrounds an earlier
deletion, the two are one edit, whose rule names both in their order (`mojibake.utf8+boilerplate.share`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from winnow.filters.edits import Edit, apply


def compose(text: str, first: Sequence[Edit], second: Sequence[Edit]) -> list[Edit]:
    """Edits of `text` that do what `first` and then `second` do, where `second` are edits of the text after `first`.
    `apply(text, compose(text, first, second)) == apply(apply(text, first), second)`."""
    if not second or not first:
        return list(first or second)
    between = apply(text, first)
    placed: list[tuple[int, int]] = []  # where the edits of `first` lie in the text between
    moved = 0
    for edit in first:
        start = edit.start + moved
        placed.append((start, start + len(edit.text)))
        moved += len(edit.text) - (edit.end - edit.start)

    composed: list[Edit] = []
    i = j = moved = 0
    while i < len(first) or j < len(second):
        if j == len(second) or (i < len(first) and placed[i][1] <= second[j].start):
            composed.append(first[i])
            moved += len(first[i].text) - (first[i].end - first[i].start)
            i += 1
            continue
        low, high = second[j].start, second[j].end
        group = [second[j]]
        absorbed: list[Edit] = []
        gained = 0
        j += 1
        while True:
            if i < len(first) and placed[i][0] < high:
                low, high = min(low, placed[i][0]), max(high, placed[i][1])
                absorbed.append(first[i])
                gained += len(first[i].text) - (first[i].end - first[i].start)
                i += 1
            elif j < len(second) and second[j].start < high:
                high = max(high, second[j].end)
                group.append(second[j])
                j += 1
            else:
                break
        start, end = low - moved, high - moved - gained
        moved += gained
        within = [Edit(e.start - low, e.end - low, e.text, e.rule) for e in group]
        put = apply(between[low:high], within)
        if not absorbed or put != text[start:end]:
            rules = dict.fromkeys(name for e in (*absorbed, *group) for name in e.rule.split("+"))
            composed.append(Edit(start, end, put, "+".join(rules)))
    return composed


def chain(text: str, steps: Sequence[Callable[[str], Sequence[Edit]]]) -> list[Edit]:
    """The edits of `text` that do what the steps do one after the other, each on the text after those before it."""
    composed: list[Edit] = []
    for step in steps:
        composed = compose(text, composed, step(apply(text, composed)))
    return composed
