"""The real data is reached by the fixtures of tests/conftest.py alone, so that pytest knows which tests may depend on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import LONGEST

TESTS = Path(__file__).parent
NAMES_IT = re.compile(r"""parents?(\[\d\])? / ["']shared|shared["']? ?/ ?["']?(data|cases|facts)""")


def test_no_other_file_names_the_folder_of_the_data() -> None:
    mine = {Path(__file__), TESTS / "conftest.py"}
    others = [path for path in TESTS.rglob("*.py") if path not in mine and TESTS / "bench" not in path.parents]
    assert len(others) > 100
    naming = [str(path.relative_to(TESTS)) for path in others if NAMES_IT.search(path.read_text("utf-8"))]
    assert not naming, f"use the fixtures `data` or `optional_data` of tests/conftest.py instead: {naming}"


def test_the_files_that_begin_first_are_there() -> None:
    assert [name for name in LONGEST if not (TESTS / name).is_file()] == []


@pytest.fixture
def by_another(optional_data: Path | None) -> Path | None:
    return optional_data


def test_what_uses_the_data_is_marked(request: pytest.FixtureRequest, by_another: Path | None) -> None:
    assert request.node.get_closest_marker("data") is not None


def test_what_does_not_is_not_marked(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("data") is None
