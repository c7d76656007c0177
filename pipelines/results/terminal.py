"""What `why`, `sample` and `diff` print. Whatever comes from documents is printed as it is, but for control characters."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from winnow.pipelines.console import visible
from winnow.pipelines.results.diff import Change, Count, Difference, Group, Reason
from winnow.pipelines.results.find import Candidate, Found
from winnow.pipelines.results.sample import Sample, Sampled
from winnow.pipelines.results.shown import Cluster, HighlightedText, excerpt, rendered
from winnow.pipelines.results.why import ClauseCheck, Explanation, StageCheck, TextChange

VERDICTS = {True: ("ok", "green"), False: ("no", "bold red"), None: ("-", "dim")}

GONE = "was given up, as 'rejected: metadata' asks, or is empty after the stages that change texts"
"""What became of a text that is not there; `why` tells which."""

EDITS_SHOWN, EDIT_CHARS = 12, 80
"""Changes of a text that are listed, and characters of each."""

COLOURS = {"passed": "green", "kept": "green", "dropped": "bold red", "failed": "bold red"}


def show_why(explanations: Iterable[Explanation], console: Console, chars: int) -> None:
    """One block per record. `chars`: how much of the text, 0 for all of it."""
    for number, explanation in enumerate(explanations):
        if number:
            console.print()
        _explanation(explanation, console, chars)


def show_candidates(found: Sequence[Candidate], records: Found, run: str, wanted: str, console: Console) -> None:
    """The records that may be meant, by number, and how to ask for one of them."""
    several = f"{_many(len(found), 'record')} or more" if not records.complete else _many(len(found), "record")
    _line(console, f"{several}, found by {records.by}:", style="bold")
    for number, candidate in enumerate(found, 1):
        _line(console, f"{number:3}  {candidate.url or '(no URL)'}  id {candidate.id}  source {candidate.source}")
        style = COLOURS.get(candidate.decision.status, "yellow")
        _line(console, f"     {candidate.decision.sentence()}", style=style)
        if candidate.text.text:
            console.print(
                Text("     ") + rendered(candidate.text, console), soft_wrap=True, highlight=False, markup=False
            )
    again = f"winnow why {shlex.quote(run)} {shlex.quote(wanted)}"
    _line(
        console, f"everything about one of them: {again} --number N, or its id or URL; about all of them: {again} --all"
    )


def show_sample(sample: Sample, console: Console, chars: int) -> None:
    """Each record with its reason, and `chars` characters of its text (0 for all of it)."""
    for record in sample.records:
        _sampled(record, console, chars)
    shown = len(sample.records)
    _line(
        console,
        f"{shown:,} of {sample.population:,} records: {sample.question}" if shown else f"no record: {sample.question}",
    )


def show_diff(found: Difference, console: Console, groups: int) -> None:
    """Totals, domains, hosts, clauses with examples, and how the declarations differ."""
    a, b = found.a, found.b
    _line(console, f"A  {a.reference}  selection {a.digest}")
    _line(console, f"B  {b.reference}  selection {b.digest}")
    if found.by_id:
        _line(console, "two inputs: documents are matched by id")
    totals = Table("", "documents", "tokens")
    rows = [("kept by A", a.kept, ""), ("lost", found.lost, "-"), ("gained", found.gained, "+")]
    rows += [("repeated less", found.less, ""), ("repeated more", found.more, "+")]
    for name, count, sign in [*rows, ("kept by B", b.kept, "")]:
        changes = name.startswith("repeated")
        if changes and not count.documents:
            continue
        documents = f"({count.documents:,})" if changes else f"{sign if count.documents else ''}{count.documents:,}"
        totals.add_row(name, documents, f"{sign if count.tokens else ''}{count.tokens:,}")
    for column in totals.columns[1:]:
        column.justify = "right"
    console.print(totals)
    for name, side in (("A", a), ("B", b)):
        if side.kept.uncounted:
            _line(
                console,
                f"{name}: {side.kept.uncounted:,} documents have no token count; their tokens are missing above",
            )
        for stage, waiting in side.pending.items():
            _line(
                console,
                f"{name} is provisional: {waiting:,} documents are pending at {stage}, which never measured them",
            )
    for where, undecided in found.undecided.items():
        open_, _, stage = where.partition(": ")
        other = "A" if open_ == "b" else "B"
        _line(
            console,
            f"{_amount(undecided)} kept by {other} are pending at {stage} in {open_.upper()}, neither lost nor gained",
        )
    _changes(console, "clauses that differ (A -> B)", found.clauses)
    _changes(console, "settings that differ (A -> B)", found.settings)
    _reasons(console, "lost, by what drops them in B", found.lost_by)
    _reasons(console, "gained, by what dropped them in A", found.gained_by)
    _groups(console, "domain", found.domains, groups)
    _groups(console, "host", found.hosts, groups)


def _explanation(e: Explanation, console: Console, chars: int) -> None:
    _line(console, e.url or "(no URL)", style="bold")
    facts = [f"id {e.id}", f"date {e.date}" if e.date else "", f"source {e.source}", f"found by {e.found_by}"]
    facts += [
        f"{e.page_bytes:,} bytes of page" if e.page_bytes else "",
        f"{e.text_bytes:,} bytes of text" if e.text_bytes else "",
    ]
    _line(console, "  ".join(f for f in facts if f))
    if e.title:
        _line(console, e.title)
    _line(console, e.decision.sentence(), style=COLOURS.get(e.decision.status, "yellow"))
    for note in e.notes:
        _line(console, f"note: {note}", style="yellow")
    for stage in e.stages:
        _stage(stage, console)
    _edits(e.changes, console, len(e.changes) if chars == 0 else EDITS_SHOWN)
    for cluster in e.clusters:
        for line in _cluster(cluster, e.id):
            _line(console, line)
    for repetition in e.repetitions:
        group = f"group {repetition.group}, " if repetition.group is not None else ""
        how = f" ({repetition.text})" if repetition.text else ""
        _line(console, f"{repetition.stage}: {group}{repetition.multiplicity:.6g} copies{how}")
    if e.wanted is not None and e.draw is not None:
        rest = e.wanted - int(e.wanted)
        _line(
            console,
            f"multiplicity {e.decision.multiplicity}: {e.wanted:.6g} wanted"
            + (f", draw {e.draw:.6f} {'<' if e.draw < rest else '>='} {rest:.6f}" if rest else ""),
        )
    for place in e.places:
        _line(
            console,
            f"shard {place.shard}: row {place.row:,}, tokens {place.offset:,} to {place.offset + place.tokens:,} ({place.tokens:,})",
        )
    _line(console, "measured with")
    for model in e.models:
        artifacts = ", ".join(f"{name} sha256 {digest[:16]}" for name, digest in model.artifacts.items())
        _line(
            console, f"  {model.stage}: {model.kind} version {model.version}" + (f", {artifacts}" if artifacts else "")
        )
    _text(e.text, console, chars)


def _edits(changes: Sequence[TextChange], console: Console, most: int) -> None:
    """What was changed in the text, by rule."""
    if not changes:
        return
    _line(console, f"{_many(len(changes), 'change')} of the text")
    for change in changes[:most]:
        where = "title" if change.start is None else f"at {change.start:,}"
        gone, new = (_short(part) for part in (change.before, change.after))
        _line(
            console,
            f"  {change.stage} {change.rule} {where}: {gone} -> {new}"
            if new
            else f"  {change.stage} {change.rule} {where}: {gone} removed",
        )
    if len(changes) > most:
        _line(console, f"  and {len(changes) - most:,} more (--chars 0 shows all)", style="dim")


def _short(part: str) -> str:
    """A changed stretch on one line."""
    line = " ".join(part.split())
    return f"'{line[:EDIT_CHARS]}...'" if len(line) > EDIT_CHARS else f"'{line}'" if part else ""


def _stage(stage: StageCheck, console: Console) -> None:
    over = f" over {', '.join(stage.over)}" if 0 < len(stage.over) < 3 else ""
    beyond = " (measured all the same)" if stage.measured and stage.status == "not reached" else ""
    error = f": {stage.error}" if stage.error else ""
    line = Text(visible(f"{stage.stage}: "), style="bold")
    line.append(f"{stage.status}{beyond}{error}", style=COLOURS.get(stage.status, "dim"))
    line.append(f"  [{stage.kind}{over}]", style="dim")
    console.print(line, soft_wrap=True)
    if stage.clauses and all(clause.holds is None for clause in stage.clauses):
        _line(console, f"  {_many(len(stage.clauses), 'clause')}, untold", style="dim")
        return
    width = max((len(c.name.partition(".")[2]) for c in stage.clauses), default=0)
    for clause in stage.clauses:
        console.print(_clause(clause, width), soft_wrap=True)
        for number in clause.resolved:
            group = f" for {number.group}" if number.group is not None else ""
            value = "none" if number.number is None else f"{number.number:.6g}"
            _line(console, f"       {number.text}{group}: {value}, {number.meaning}")
    used = {signal for clause in stage.clauses for signal in clause.signals}
    rest = {name: value for name, value in stage.signals.items() if f"{stage.stage}.{name}" not in used}
    if rest:
        _line(console, "  " + ", ".join(f"{name}={_number(value)}" for name, value in rest.items()), style="dim")


def _clause(clause: ClauseCheck, width: int) -> Text:
    word, colour = VERDICTS[clause.holds]
    line = Text("  ")
    line.append(f"{word:<3}", style=colour)
    line.append(visible(f"{clause.name.partition('.')[2]:<{width}}  "))
    subject = clause.text.removesuffix(clause.threshold).strip() if clause.threshold else clause.text
    if not subject and len(clause.signals) == 1:
        subject = clause.signals[0].rpartition(".")[2]
    value = "" if clause.value is None else f" = {clause.value}" if subject else clause.value
    line.append(
        visible(f"{subject}{value}" + (f", expected {clause.threshold}" if subject != clause.threshold else ""))
    )
    if clause.decides:
        line.append("  <- dropped here", style="bold red")
    return line


def _cluster(cluster: Cluster, document: str) -> Iterator[str]:
    if cluster.copies == 1:
        yield f"{cluster.stage}: no duplicates"
        return
    if cluster.known:
        stays = _earlier(cluster)
    elif cluster.id == document:
        stays = "this document"
    else:
        stays = (cluster.representative.url if cluster.representative else None) or "(no URL)"
    yield f"{cluster.stage}: one of {cluster.copies:,} copies; its representative is {stays} (id {cluster.id})"
    for member in cluster.members:
        yield f"  also {member.url or '(no URL)'} (id {member.id})"
    shown = len(cluster.members) + 1 + (cluster.known or cluster.id != document)
    if cluster.copies > shown:
        yield f"  and {cluster.copies - shown:,} more"


def _earlier(cluster: Cluster) -> str:
    """Where a representative is that is not of this run."""
    made = cluster.earlier
    if not made:
        return "a document of an earlier run"
    groups = f", {', '.join(made['groups'])}" if made.get("groups") else ""
    return f"a document of an earlier run: {made.get('run')}{groups}, remembered in {made['index']}"


def _sampled(record: Sampled, console: Console, chars: int) -> None:
    _line(console, record.url or "(no URL)", style="bold")
    near = f"  {_number(record.near)}" if record.near is not None else ""
    _line(
        console,
        f"id {record.id}  {record.decision.sentence()}{near}",
        style=COLOURS.get(record.decision.status, "yellow"),
    )
    if not record.text.text and record.text_bytes:
        _line(console, f"its text ({record.text_bytes:,} bytes) {GONE}")
    _text(record.text, console, chars)
    console.print()


def _text(text: HighlightedText, console: Console, chars: int) -> None:
    if not text.text or chars < 0:
        return
    shown, before, after = excerpt(text, chars)
    if text.note:
        _line(console, f"note: {text.note}", style="yellow")
    if before:
        _line(console, f"... {before:,} characters before", style="dim")
    console.print(rendered(shown, console), soft_wrap=True, highlight=False, markup=False)
    if after:
        more = sum(1 for start, _ in text.spans if start >= before + len(shown.text))
        marks = f", with {more:,} more marked stretches" if more else ""
        _line(console, f"... {after:,} characters after{marks}", style="dim")


def _reasons(console: Console, title: str, reasons: tuple[Reason, ...]) -> None:
    if not reasons:
        return
    _line(console, f"\n{title}", style="bold")
    for reason in reasons:
        _line(console, f"  {reason.reason}: {_amount(reason.count)}")
        for example in reason.examples:
            tokens = "" if example.tokens is None else f", {example.tokens:,} tokens"
            value = example.decision
            why = (
                f": {value.value}, expected {value.threshold}"
                if value and value.status == "dropped" and value.value
                else ""
            )
            why = f": {value.value}" if value and value.status == "failed" else why
            _line(console, f"    {example.url or example.id}{tokens}{why}")


def _changes(console: Console, title: str, changes: tuple[Change, ...]) -> None:
    if changes:
        _line(console, f"\n{title}", style="bold")
    for change in changes:
        _line(console, f"  {change.name}: {change.a or '(none)'} -> {change.b or '(none)'}")


def _groups(console: Console, kind: str, groups: tuple[Group, ...], most: int) -> None:
    if not groups:
        return
    table = Table(
        kind, "lost", "tokens", "gained", "tokens", "by repetition", title=f"\nper {kind}", title_justify="left"
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for g in groups[:most]:
        cells = [f"{n:,}" if n else "" for n in (g.lost.documents, g.lost.tokens, g.gained.documents, g.gained.tokens)]
        table.add_row(Text(visible(g.name)), *cells, f"{g.repeated:+,}" if g.repeated else "")
    console.print(table)
    if len(groups) > most:
        _line(console, f"{len(groups) - most:,} more {kind}s (--groups shows them)")


def _amount(count: Count) -> str:
    missing = f" ({count.uncounted:,} without a token count)" if count.uncounted else ""
    return f"{_many(count.documents, 'document')}, {_many(count.tokens, 'token')}{missing}"


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if abs(number) == 1 else "s")


def _number(value: Any) -> str:
    return "null" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(visible(text), style=style), soft_wrap=True)
