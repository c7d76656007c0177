"""What `why`, `sample` and `diff` print: `terminal.txt.jinja`, filled in and coloured.

In a filled template a style stands between two control characters. Whatever comes from documents is printed as it is, but for
control characters, so that none of it can colour or move anything.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from rich.console import Console
from rich.table import Table
from rich.text import Text

from winnow.pipelines.console import visible
from winnow.pipelines.results.diff import Count, Difference, Group
from winnow.pipelines.results.find import Found
from winnow.pipelines.results.sample import Sample
from winnow.pipelines.results.shown import HighlightedText, Shown, excerpt, pieces
from winnow.pipelines.results.why import ClauseCheck, Explanation, StageCheck

EDITS_SHOWN, EDIT_CHARS = 12, 80
"""Changes of a text that are listed, and characters of each."""

COLOURS = {"passed": "green", "kept": "green", "dropped": "bold red", "failed": "bold red"}
"""By the status of a record or stage."""

VERDICTS = {True: ("ok", "green"), False: ("no", "bold red"), None: ("-", "dim")}
"""Word and style of whether a clause holds."""

_STYLE = re.compile("\x02([^\x03]*)\x03")


def show_why(explanations: Iterable[Explanation], console: Console, chars: int) -> None:
    """One block per record. `chars`: how much of the text, 0 for all of it."""
    for number, explanation in enumerate(explanations):
        if number:
            console.print()
        most = EDITS_SHOWN if chars else len(explanation.changes)
        _print(console, "explanation", explanation, most, _text(console, chars, explanation.text))


def show_candidates(found: Sequence[Shown], records: Found, run: str, wanted: str, console: Console) -> None:
    """The records that may be meant, by number, and how to ask for one of them."""
    again = f"winnow why {shlex.quote(run)} {shlex.quote(wanted)}"
    _print(console, "candidates", found, partial(_marked, console), records.by, records.complete, again)


def show_sample(sample: Sample, console: Console, chars: int) -> None:
    """Each record with its reason, and `chars` characters of its text (0 for all of it)."""
    _print(console, "sample", sample, partial(_text, console, chars))


def show_diff(found: Difference, console: Console, groups: int) -> None:
    """Totals, domains, hosts, clauses with examples, and how the declarations differ."""
    _print(console, "compared", found)
    rows = [("kept by A", found.a.kept, ""), ("lost", found.lost, "-"), ("gained", found.gained, "+")]
    rows += [("repeated less", found.less, ""), ("repeated more", found.more, "+"), ("kept by B", found.b.kept, "")]
    totals = _table("", "documents", "tokens")
    for name, count, sign in rows:
        tokens = f"{sign if count.tokens else ''}{count.tokens:,}"
        if not name.startswith("repeated"):
            totals.add_row(name, f"{sign if count.documents else ''}{count.documents:,}", tokens)
        elif count.documents:
            totals.add_row(name, f"({count.documents:,})", tokens)
    console.print(totals)
    _print(console, "changed", found)
    _groups(console, "domain", found.domains, groups)
    _groups(console, "host", found.hosts, groups)


def _groups(console: Console, kind: str, groups: tuple[Group, ...], most: int) -> None:
    if not groups:
        return
    table = _table(kind, "lost", "tokens", "gained", "tokens", "by repetition")
    table.title, table.title_justify = f"\nper {kind}", "left"
    for g in groups[:most]:
        cells = [f"{n:,}" if n else "" for n in (g.lost.documents, g.lost.tokens, g.gained.documents, g.gained.tokens)]
        table.add_row(Text(visible(g.name)), *cells, f"{g.repeated:+,}" if g.repeated else "")
    console.print(table)
    if len(groups) > most:
        console.print(f"{len(groups) - most:,} more {kind}s (--groups shows them)", highlight=False)


def _table(*columns: str) -> Table:
    """A table whose first column has names, and the others numbers."""
    table = Table(*columns)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _print(console: Console, macro: str, *values: Any) -> None:
    """Print a macro of the template, given these values."""
    text, style = Text(), ""
    for at, piece in enumerate(_STYLE.split(getattr(_template(), macro)(*values))):
        if at % 2:
            style = piece
        else:
            text.append(piece, style)
    console.print(text, soft_wrap=True, end="")


@cache
def _template() -> Any:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # so that what a macro gives is known from a plain value
        finalize=_safe,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for said in (_amount, _bare, _clause_words, _many, _number, _other_signals, _quoted, _style):
        environment.filters[said.__name__[1:]] = said
    environment.filters["count"] = "{:,}".format
    environment.globals |= {"colours": COLOURS, "verdicts": VERDICTS}
    return environment.get_template("terminal.txt.jinja").module


def _safe(value: Any) -> Markup:
    return value if isinstance(value, Markup) else Markup(visible(str(value)))  # nothing is escaped as HTML is


def _style(value: str, style: str) -> Markup:
    return Markup(f"\x02{style}\x03{_safe(value)}\x02\x03")


def _marked(console: Console, shown: HighlightedText) -> Markup:
    """A text with its marks: in colour where the console has any, else between ⟦ and ⟧."""
    mark = "⟦{}⟧".format if console.color_system is None else partial(_style, style="black on yellow")
    return Markup("").join(_safe(mark(piece)) if marked else _safe(piece) for piece, marked in pieces(shown))


def _text(console: Console, chars: int, text: HighlightedText) -> Markup:
    """At most `chars` characters of a text, 0 for all, -1 for none, with a line about what was cut off."""
    if not text.text or chars < 0:
        return Markup("")
    shown, before, after = excerpt(text, chars)
    more = sum(1 for start, _ in text.spans if start >= before + len(shown.text))
    return Markup(_template().text(text, _marked(console, shown), before, after, more))


def _clause_words(clause: ClauseCheck) -> str:
    """What a clause compares, its value and what was expected."""
    subject = clause.text.removesuffix(clause.threshold).strip() if clause.threshold else clause.text
    if not subject and len(clause.signals) == 1:
        subject = clause.signals[0].rpartition(".")[2]
    value = "" if clause.value is None else f" = {clause.value}" if subject else clause.value
    return f"{subject}{value}" + (f", expected {clause.threshold}" if subject != clause.threshold else "")


def _other_signals(stage: StageCheck) -> str:
    """The signals of a stage that none of its clauses reads."""
    used = {signal for clause in stage.clauses for signal in clause.signals}
    rest = {name: value for name, value in stage.signals.items() if f"{stage.stage}.{name}" not in used}
    return ", ".join(f"{name}={_number(value)}" for name, value in rest.items())


def _quoted(part: str) -> str:
    """A changed stretch on one line."""
    line = " ".join(part.split())
    return f"'{line[:EDIT_CHARS]}...'" if len(line) > EDIT_CHARS else f"'{line}'" if part else ""


def _amount(count: Count) -> str:
    missing = f" ({count.uncounted:,} without a token count)" if count.uncounted else ""
    return f"{_many(count.documents, 'document')}, {_many(count.tokens, 'token')}{missing}"


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if abs(number) == 1 else "s")


def _bare(name: str) -> str:
    return name.partition(".")[2]


def _number(value: Any) -> str:
    return "null" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
