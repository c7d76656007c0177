"""The Korean recipe, through the command: which registers it keeps, and which clause drops what it drops."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from winnow.pipelines.results.table import open_run

HERE = Path(__file__).parent
TEXTS = yaml.safe_load((HERE / "korean_texts.yaml").read_text("utf-8"))
RECIPE = HERE.parents[1] / "pipelines" / "ko.yaml"


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """The clause that dropped each text, None for one that is kept."""
    folder = tmp_path_factory.mktemp("korean")
    named = {**TEXTS["kept"], **TEXTS["dropped"]}
    rows = [{"text": text, "title": name} for name, text in named.items()]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    source = f'sources.crawl={{use: jsonl, paths: ["{folder / "texts.jsonl"}"], title: title}}'
    words = [
        "run",
        str(RECIPE),
        "--local",
        "--folder",
        str(folder / "run"),
        "--set",
        source,
        "--set",
        "stages.urls=null",
    ]
    done = subprocess.run([sys.executable, "-m", "winnow.pipelines.cli", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    documents = open_run(folder / "run").documents(kept_only=False)
    found = documents.select("title", pl.col("selection.clause")).collect()
    return dict(found.iter_rows())


@pytest.mark.parametrize("title", TEXTS["kept"])
def test_memories_stories_with_talk_and_petitions_are_kept(title: str, decided: dict[str, str | None]) -> None:
    assert decided[title] is None


@pytest.mark.parametrize("clause", TEXTS["dropped"])
def test_manuals_full_of_markup_templates_and_adverts_are_dropped_for_what_they_are(
    clause: str, decided: dict[str, str | None]
) -> None:
    assert decided[clause] == clause
