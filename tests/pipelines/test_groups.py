"""Signals are measured, versioned and filed by group: a new version of one measures that one again and nothing else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

import winnow
from winnow.pipelines.engine.progress import Progress

KIND = """
import pyarrow as pa
from winnow.stages.base import DocumentStage, Group, Settings

VERSIONS = {"letters": 1, "words": 1}
CALLS = []
COLUMNS = {"letters": {"vowels": pa.int32(), "digits": pa.int32()}, "words": {"words": pa.int32()}}

class Measurer:
    def __init__(self, groups):
        self.groups = groups

    def measure(self, documents):
        texts = documents.column("text").to_pylist()
        CALLS.append((self.groups, len(texts)))
        found = {}
        if "letters" in self.groups:
            found["vowels"] = [sum(c in "aeiou" for c in t) + 1000 * (VERSIONS["letters"] - 1) for t in texts]
            found["digits"] = [sum(c.isdigit() for c in t) for t in texts]
        if "words" in self.groups:
            found["words"] = [len(t.split()) for t in texts]
            found["error"] = ["too long" if len(t.split()) > 90 else None for t in texts]
        return pa.record_batch(found)

    def highlight(self, text, signal):
        return []

class Counts(DocumentStage):
    kind, version, Settings = "counts", 1, Settings

    def signals(self):
        return {name: kind for columns in COLUMNS.values() for name, kind in columns.items()}

    def groups(self):
        return {name: Group(VERSIONS[name], columns) for name, columns in COLUMNS.items()}

    def open(self, artifacts, groups=None):
        return Measurer(tuple(COLUMNS) if groups is None else tuple(groups))
"""


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    name = f"grouped_{tmp_path.name}"  # a process remembers what it opened, by the name of its kind
    (tmp_path / f"{name}.py").write_text(KIND)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module(name)
    del sys.modules[name]


def go(folder: Path) -> Any:
    path = folder / "p.yaml"
    path.write_text(
        "name: groups\nlanguage: en\nmax_failures: 3\n"
        f"sources:\n  docs: {{use: jsonl, id: id, paths: ['{folder}/in/*.jsonl']}}\n"
        "stages:\n"
        f"  counts: {{use: 'grouped_{folder.name}:Counts', keep: 'words >= 3', guard: kept > 0}}\n"
        "  language: {use: langid, keep: true}\n"
    )
    return winnow.run(path, folder=folder / "run", local=True, progress=Progress(quiet=True))


def written(folder: Path) -> None:
    (folder / "in").mkdir()
    texts = ["one two three four", "a b", "1 22 333 x", "lone", " ".join(["long"] * 99), "un deux trois quatre cinq"]
    for number in range(3):
        rows = [f'{{"id": "d{number}-{n}", "text": "{text} {number}"}}' for n, text in enumerate(texts)]
        (folder / "in" / f"{number}.jsonl").write_text("\n".join(rows) + "\n")


def test_a_new_version_of_a_group_measures_that_group_again_and_nothing_else(
    tmp_path: Path, counts: ModuleType
) -> None:
    written(tmp_path)
    first = go(tmp_path)
    assert {groups for groups, _ in counts.CALLS} == {("letters", "words")}
    assert sum(rows for _, rows in counts.CALLS) == 18
    before = first.documents(kept_only=False).collect().sort("id")
    assert before.filter(pl.col("counts.words") < 3).height == 0 or "counts.vowels" in before.columns
    assert first.accounting["stages"]["counts"]["failed"] == 3
    counts.CALLS.clear()
    counts.VERSIONS["letters"] = 2
    second = go(tmp_path)
    assert {groups for groups, _ in counts.CALLS} == {("letters",)}
    assert sum(rows for _, rows in counts.CALLS) == 18
    after = second.documents(kept_only=False).collect().sort("id")
    failed = pl.col("selection.status") == 3
    assert (after.get_column("counts.vowels") - before.get_column("counts.vowels")).to_list() == [1000] * 18
    assert after.drop("counts.vowels").equals(before.drop("counts.vowels"))
    assert after.filter(failed).height == 3 and set(after.filter(failed).get_column("selection.value")) == {"too long"}
    assert second.accounting["stages"]["counts"] == first.accounting["stages"]["counts"]
    counts.CALLS.clear()
    assert go(tmp_path).did_nothing and not counts.CALLS


def test_a_part_of_one_group_that_is_lost_is_measured_again(tmp_path: Path, counts: ModuleType) -> None:
    written(tmp_path)
    plan = go(tmp_path).plan
    (letters, columns), _ = plan.signals(plan.pipeline.nodes["counts"], plan.partitions[1])
    assert list(columns) == ["vowels", "digits"]
    Path(plan.store.path(f"{letters}.arrow")).unlink()
    counts.CALLS.clear()
    go(tmp_path)
    assert counts.CALLS == [(("letters",), 6)]
