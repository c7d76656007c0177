"""`winnow describe`: what the code says of every kind, and the page that is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines.in_process import command
from winnow.pipelines.describe import page
from winnow.stages.registry import CONTRACTS, find, names

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kinds.md"


def test_the_page_of_kinds_is_what_the_code_says() -> None:
    assert PAGE.read_text("utf-8") == page(), "make it again: winnow describe --all > docs/kinds.md"


def test_every_setting_of_a_stage_is_documented() -> None:
    bare = [
        f"{of}.{use}.{name}"
        for of in ("stages", "solvers")
        for use in names(of)
        for name, field in find(of, use).Settings.model_fields.items()
        if not field.description
    ]
    assert bare == []


@pytest.mark.parametrize("use", ["rules", "warc", "unimax", "winnow.stages.urls:Urls"])
def test_one_kind_is_described(use: str) -> None:
    said = command("describe", use)
    assert said.returncode == 0 and said.stdout.startswith("# `"), said.stderr
    if use == "rules":
        assert "| `packs` |" in said.stdout and "`word_count` (int32)" in said.stdout


def test_what_there_is_is_listed() -> None:
    said = command("describe")
    assert said.returncode == 0 and all(name in said.stdout for of in CONTRACTS for name in names(of))


def test_what_there_is_not_is_one_sentence() -> None:
    said = command("describe", "ruels")
    assert said.returncode == 1 and "'ruels' is not a kind" in said.stderr and "nearest: 'rules'" in said.stderr
    said = command("describe", "nowhere.kinds:Kind")
    assert said.returncode == 1 and "no module 'nowhere.kinds'" in said.stderr and "Traceback" not in said.stderr
