"""The contract that every kind keeps, as checks for the tests of whoever writes one.

    from winnow.testing import check_stage

    def test_contract():
        check_stage(Length("length", LengthSettings(), language_pack("en")))

Each check raises AssertionError with one sentence: what differs, in which row or column.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from winnow.filters.edits import apply, edits
from winnow.pipelines.selection.language import compile_clauses
from winnow.stages.base import DOCUMENT_SCHEMA, EDITED, Settings, Stage
from winnow.stages.opening import measured, opened
from winnow.stages.solver import Solver
from winnow.stages.source import Damage, InputFile, Page, Source

TEXTS = (
    "",
    " \n\t ",
    "a",
    "One line without an end",
    "The first line.\nThe second line, which is longer than the first.\n\n- a bullet\n- another one ...",
    "강가를 따라 걷다 보면 작은 다리와 공원이 나오고 저녁에는 등불이 켜진다.",
    "吾輩は猫である。名前はまだ無い。\r\nどこで生れたかとんと見当がつかぬ。",
    "𝒲𝑖𝑑𝑒 👩‍👩‍👧 é\u200b\ufeff \x0b\x85\u2028 tail",
    "x" * 5_000,
    "same words same words same words\n" * 40,
)
"""Texts that stages have to live with."""


def documents(texts: Sequence[str] = TEXTS) -> pa.RecordBatch:
    """A batch of DOCUMENT_SCHEMA with these texts; URLs, dates and titles are null in some rows."""
    rows = [
        {
            "id": f"{n:032x}",
            "url": None if n % 3 == 0 else f"https://host{n % 2}.example/a/{n}?q=1",
            "date": None if n % 4 == 0 else "2024-05-06T07:08:09Z",
            "source": "test",
            "title": None if n % 2 else f"Title {n}",
            "text": text,
        }
        for n, text in enumerate(texts)
    ]
    return pa.RecordBatch.from_pylist(rows, DOCUMENT_SCHEMA)


def pages(texts: Sequence[str] = TEXTS) -> list[Page]:
    """Raw pages with these texts."""
    return [
        Page(
            f"{n:032x}",
            None if n % 3 == 0 else f"https://host.example/{n}",
            None,
            f"<html><p>{text}</p></html>".encode(),
            None,
        )
        for n, text in enumerate(texts)
    ]


def check_stage(stage: Stage, rows: pa.RecordBatch | Sequence[Page] | None = None) -> None:
    """What it declares fits together; it travels; and what it measures of `rows` (documents, or pages for a stage that sees
    those; some of ours unless given) is as declared and depends neither on the batch nor on the object that measures."""
    check_declared(stage)
    columns = {name: kind for group in stage.groups().values() for name, kind in group.columns.items()}
    given: Any = rows if rows is not None else pages() if stage.raw else documents()
    if stage.outputs.text:
        columns |= {"title": pa.string(), "text": pa.large_string()}
    if not columns:
        return

    def out(part: Any, by: Stage = stage) -> list[dict[str, Any]]:
        made = by.open(by.artifacts())
        found: list[dict[str, Any]] = measured(by, made, part, columns).to_pylist()
        return found

    whole = out(given)
    assert repr(out(given)) == repr(whole), f"{stage.name}: measuring the same rows again gives other values"
    travelled = pickle.loads(pickle.dumps(stage))
    assert repr(out(given, travelled)) == repr(whole), f"{stage.name}: after pickling it measures other values"
    for n, row in enumerate(whole):
        (alone,) = out(given[n : n + 1] if not isinstance(given, pa.RecordBatch) else given.slice(n, 1))
        assert repr(alone) == repr(row), f"{stage.name}: row {n} measures {row} among others and {alone} by itself"
        values = [name for name in stage.measured_signals() if row["error"] is not None and row[name] is not None]
        assert not values, f"{stage.name}: row {n} failed ({row['error']}) and has values of {', '.join(values)}"
    assert out(given[:0] if not isinstance(given, pa.RecordBatch) else given.slice(0, 0)) == [], (
        f"{stage.name}: rows from none"
    )
    groups = stage.groups()
    for name, group in groups.items() if len(groups) > 1 else ():
        part = measured(stage, stage.open(stage.artifacts(), [name]), given, group.columns)
        same = [{k: row[k] for k in group.columns} for row in whole]
        alone_ = part.select(list(group.columns)).to_pylist()
        assert repr(alone_) == repr(same), f"{stage.name}: group '{name}' measures other values by itself"
    if isinstance(given, pa.RecordBatch):
        _check_texts(stage, given.column("text").to_pylist(), whole)


def check_declared(stage: Stage) -> None:
    """Kind, version, settings, signals, groups, clauses and identity fit together."""
    kind = type(stage)
    assert isinstance(kind.kind, str) and isinstance(kind.version, int), (
        f"{kind.__name__}: expected a kind and a version"
    )
    assert issubclass(kind.Settings, Settings), f"{kind.__name__}.Settings: expected a subclass of Settings"
    signals = stage.signals()
    for name, type_ in signals.items():
        assert name.isidentifier() and not name.startswith("_") and name != "error", f"'{name}' is no name of a signal"
        assert isinstance(type_, pa.DataType), f"signal '{name}': expected an Arrow type, got {type_!r}"
    assert set(stage.measured_signals()) <= set(signals), f"{stage.name}: it measures what is no signal"
    assert all(name.startswith("_") for name in stage.hidden()), f"{stage.name}: hidden columns start with '_'"
    grouped = [name for group in stage.groups().values() for name in group.columns]
    assert sorted(grouped) == sorted({**stage.measured_signals(), **stage.hidden()}), (
        f"{stage.name}: its groups have {sorted(grouped)}: expected every measured signal and hidden column once"
    )
    compile_clauses(stage.name, stage.clauses(), {f"{stage.name}.{name}": type_ for name, type_ in signals.items()})
    said = json.dumps(stage.identity(), sort_keys=True)
    again = kind(stage.name, stage.settings, stage.pack)
    assert json.dumps(again.identity(), sort_keys=True) == said, (
        f"{stage.name}: two of the same settings differ in identity"
    )
    travelled = pickle.loads(pickle.dumps(stage))
    assert json.dumps(travelled.identity(), sort_keys=True) == said, (
        f"{stage.name}: its identity changes when it is pickled"
    )


def check_solver(solver: Solver, sizes: Mapping[str, int] | None = None, max_epochs: float = 4.0) -> None:
    """It divides budgets up to its `capacity`, within the cap, and does not depend on the order of the groups."""
    given = dict(sizes or {"large": 1_000_000, "small": 10_000, "tiny": 3, "empty": 0})
    most = solver.capacity(given, max_epochs)
    for budget in (None, 0.0, most / 2, most):
        found = solver.solve(given, budget, max_epochs)
        assert set(found) == set(given), f"budget {budget}: it gives {sorted(found)}, expected every group"
        for group, tokens in found.items():
            cap = max_epochs * given[group] * (1 + 1e-9)
            assert 0 <= tokens <= cap, f"budget {budget}: '{group}' gets {tokens} tokens, expected 0 to {cap}"
        if budget is not None:
            total = sum(found.values())
            assert abs(total - budget) <= 1e-6 * max(budget, 1), f"budget {budget}: it gives {total} tokens in all"
        other = solver.solve(dict(reversed(given.items())), budget, max_epochs)
        assert other == found, f"budget {budget}: another order of the groups gives {other}, not {found}"


def check_source(source: Source, file: InputFile) -> None:
    """Its segments yield the same rows whenever they are read, with distinct ids."""
    segments = source.segments(file)
    assert segments == source.segments(file), f"{source.name}: the file is cut otherwise the second time"
    ids: list[str] = []
    for segment in segments:
        read = [list(source.pages(segment) if source.gives == "pages" else source.texts(segment)) for _ in range(2)]
        assert read[0] == read[1], f"{source.name}: {segment} yields other rows the second time"
        for item in read[0]:
            if isinstance(item, Page):
                ids.append(item.id)
            elif not isinstance(item, Damage):
                lacking = set(DOCUMENT_SCHEMA.names) | {"error"} - set(item.schema.names)
                assert lacking <= set(item.schema.names), f"{source.name}: a batch lacks {sorted(lacking)}"
                ids += item.column("id").to_pylist()
    assert len(ids) == len(set(ids)), f"{source.name}: ids that are there twice"


def _check_texts(stage: Stage, texts: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Edits lie in their texts, and what is highlighted does."""
    by = opened(stage)
    for n, (text, row) in enumerate(zip(texts, rows, strict=True)):
        if EDITED in row:
            apply(text, edits(row[EDITED]))
        for signal in stage.measured_signals():
            end = 0
            for start, stop in by.highlight(text, signal):
                assert end <= start <= stop <= len(text), (
                    f"{stage.name}: row {n}: '{signal}' highlights {start} to {stop}"
                )
                end = stop
