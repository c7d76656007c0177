"""Edit programs, as ProX has language models write them (arXiv:2409.17115): what to do with one document, as data.

One operation per line, or a list of them. `keep_doc()`, `drop_doc()`, `remove_lines(line_start=0, line_end=3)`,
`normalize(source_str="...", target_str="...")`, and what else `OPERATIONS` names; arguments by name or by position. Lines
are those between line feeds of the text that the program was written for, counted from 0, `line_end` included. Programs
are parsed and never evaluated. An operation that cannot be read or carried out is a bad one, counted and explained; what
can be done of it is done, as ProX does (lines beyond the end are left out).

The rules of ProX's executor then decide, in this order:

1. at least 95% of the words are gone, with fewer than 2 bad operations -> the document is dropped
2. 10 words or fewer are left -> dropped, however many operations are bad
3. fewer than 2 bad operations -> the edits are taken
4. otherwise the program is refused and the document stays as it is

Words are what stands between white space, for Korean eojeol. Where ProX's own executor would be silently wrong this is
not: an operation it does not know is a bad one there too few, a comma inside a string ends the string, a line number
after a normalization with a line feed means another line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from winnow.filters.cleaning.characters import composed
from winnow.filters.edits import Edit, apply, compose, removals
from winnow.nearest import hint

Verdict = Literal["kept", "edited", "dropped", "refused"]

REMOVED_SHARE = 0.95
FEWEST_WORDS = 10
BAD_OPERATIONS = 2

KEEP = ("keep", "keep_doc", "keep_chunk", "keep_all", "untouch", "untouch_doc")
REMOVE = ("drop", "drop_doc", "drop_chunk", "remove_all")
OPERATIONS = (*KEEP, *REMOVE, "remove_lines", "normalize")

LONGEST = 20_000
"""Characters of one operation; a longer one is a bad one."""

_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\((.*)\)\s*;?\s*", re.DOTALL)
_ARGUMENT = re.compile(
    r"""\s*(?:(?P<name>[A-Za-z_]\w*)\s*=\s*)?
    (?:(?P<number>-?\d{1,9})|(?P<flag>True|False)|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)')
    \s*(?P<end>,|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'"}
_NAMES = {
    "start": "start",
    "line_start": "start",
    "end": "end",
    "line_end": "end",
    "source": "source",
    "source_str": "source",
    "target": "target",
    "target_str": "target",
    "all": "all",
}
_POSITIONS = {"remove_lines": ("start", "end"), "normalize": ("source", "target")}
_TYPES: dict[str, type] = {"start": int, "end": int, "source": str, "target": str, "all": bool}


class BadOperation(ValueError):
    """An operation that cannot be read: what it says and what was expected."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One of OPERATIONS. `start` and `end` are lines from 0, both included; `end` None is the last line."""

    name: str
    start: int = 0
    end: int | None = None
    source: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a program does to a text. `edits` is empty unless the verdict is `edited`."""

    verdict: Verdict
    edits: list[Edit]
    bad: list[str] = field(default_factory=list)  # one sentence each


def execute(text: str, program: str | Sequence[str]) -> Outcome:
    """Carries a program out by ProX's rules. Edits have the rules `program.normalize`, `program.remove_lines`."""
    bad: list[str] = []
    lines = text.count("\n") + 1
    gone: dict[int, str] = {}
    edits: list[Edit] = []
    for number, line in enumerate(program.split("\n") if isinstance(program, str) else program):
        if not line.strip():
            continue
        try:
            operation = parse(line)
            if operation.name in REMOVE:
                operation = Operation("remove_lines")
            if operation.name == "remove_lines":
                last = lines - 1 if operation.end is None else operation.end
                gone |= dict.fromkeys(range(operation.start, min(last, lines - 1) + 1), "program.remove_lines")
                if last >= lines:
                    raise BadOperation(
                        f"lines {operation.start} to {last} of a text of {lines}: expected at most {lines - 1}"
                    )
            elif operation.name == "normalize":
                edits = compose(text, edits, _normalized(apply(text, edits), operation))
        except BadOperation as error:
            bad.append(f"operation {number}: {error}")
    edits = compose(text, edits, removals(apply(text, edits), gone))
    edits = composed(text, edits) if edits else edits
    before, after = len(text.split()), len(apply(text, edits).split())
    few_bad = len(bad) < BAD_OPERATIONS
    if (few_bad and after <= (1 - REMOVED_SHARE) * before) or after <= FEWEST_WORDS:
        return Outcome("dropped", [], bad)
    if not few_bad:
        return Outcome("refused", [], bad)
    return Outcome("edited" if edits else "kept", edits, bad)


def parse(line: str) -> Operation:
    """One operation from its textual form. Raises BadOperation."""
    call = _CALL.fullmatch(line) if len(line) <= LONGEST else None
    if call is None:
        raise BadOperation(f"'{line.strip()[:60]}' is no operation: expected NAME(...) of at most {LONGEST} characters")
    name = call[1]
    if name not in OPERATIONS:
        raise BadOperation(
            f"unknown operation '{name[:60]}': expected one of {', '.join(OPERATIONS)}{hint(name, OPERATIONS)}"
        )
    values = _arguments(name, call[2])
    if name == "normalize":
        return _normalize(values)
    if name != "remove_lines":
        if values:
            raise BadOperation(f"{name} takes no arguments, got {', '.join(values)}")
        return Operation(name)
    if values.get("all") is True and len(values) == 1:
        return Operation(name)
    start, end = values.get("start"), values.get("end")
    if not isinstance(start, int) or not isinstance(end, int) or "all" in values or not 0 <= start <= end:
        raise BadOperation(f"remove_lines({call[2].strip()[:60]}): expected 0 <= line_start <= line_end, or all=True")
    return Operation(name, start, end)


def _normalize(values: dict[str, int | str | bool]) -> Operation:
    source, target = values.get("source", ""), values.get("target", "")
    if not isinstance(source, str) or not isinstance(target, str) or not source.strip():
        raise BadOperation("normalize: expected a source_str that holds more than white space")
    if "\n" in source + target:
        raise BadOperation("normalize: expected strings without a line feed, since operations count lines")
    return Operation("normalize", source=source, target=target)


def _arguments(operation: str, written: str) -> dict[str, int | str | bool]:
    values: dict[str, int | str | bool] = {}
    at = 0
    while at < len(written.rstrip()):
        found = _ARGUMENT.match(written, at)
        if found is None:
            raise BadOperation(f"{operation}: cannot read the arguments at '{written[at : at + 40].strip()}'")
        positions = _POSITIONS.get(operation, ())
        given = found["name"] or (positions[len(values)] if len(values) < len(positions) else "")
        name = _NAMES.get(given, "")
        value = _value(found)
        wrong = not name or type(value) is not _TYPES[name]
        if wrong or name in values or name not in (*positions, "all") or (name == "all" and operation == "normalize"):
            raise BadOperation(f"{operation}: unexpected argument {found[0].strip(' ,')[:60]!r}")
        values[name] = value
        at = found.end()
    return values


def _value(found: re.Match[str]) -> int | str | bool:
    if found["number"] is not None:
        return int(found["number"])
    if found["flag"] is not None:
        return found["flag"] == "True"
    quoted = found["double"] if found["double"] is not None else found["single"]
    # A backslash before anything else is one: models write patterns and paths as they stand in the text.
    return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[0]), quoted)


def _normalized(text: str, operation: Operation) -> list[Edit]:
    found: list[Edit] = []
    at = text.find(operation.source)
    while at >= 0 and operation.source != operation.target:
        found.append(Edit(at, at + len(operation.source), operation.target, "program.normalize"))
        at = text.find(operation.source, at + len(operation.source))
    return found
