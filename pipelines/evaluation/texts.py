"""Labelled texts as commands name them: `good='ref/*.jsonl'`, `bad=runs/ko`, or files with a column of labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from winnow.classifiers.examples import Example, Side
from winnow.classifiers.linear_model import address
from winnow.classifiers.readers import read
from winnow.classifiers.recipe import RecipeError, SourceSpec
from winnow.pipelines.fit_texts import opened
from winnow.pipelines.results.table import open_run

COLUMNS = ("id", "url", "source", "title", "text")


def specs(
    given: Sequence[str], option: str, *, text: str = "text", group: str | None = None, label_field: str | None = None
) -> list[dict[str, Any]]:
    """The sources that an option names, as a recipe has them. Raises RecipeError."""
    out: list[dict[str, Any]] = []
    for value in given:
        label, equals, paths = value.partition("=")
        labelled = bool(equals) and "/" not in label
        if label_field is not None:
            label, paths, labelled = "", value, True
        if not labelled or not paths or (label_field is None and not label):
            raise RecipeError(
                f"{option} {value}: expected LABEL=PATHS, such as good='ref/*.jsonl', or --label-field FIELD, the column that "
                "holds the label"
            )
        run = opened(paths) is not None
        known = f"{label}: {paths}" if label else paths
        spec: dict[str, Any] = {"name": known, "files": [paths], "text": [text], "licence": "as its owner says"}
        spec |= {"label": label} if label else {"label_column": label_field}
        spec |= {"reader": "run"} if run else {}
        spec |= {"group": group} if group else {}
        out.append(spec)
    return out


def of_run(reference: str) -> Iterator[dict[str, Any]]:
    """Every document of a run that has text, kept or not; of RUN@SELECTION those that the selection keeps."""
    chosen = pl.col("multiplicity") > 0 if "@" in reference.rpartition("/")[2] else None
    for frame in open_run(reference).read(list(COLUMNS), chosen):
        for row in frame.iter_rows(named=True):
            if row["text"]:
                yield {**row, "host": address(row["url"] or "", "host")}


def read_examples(given: Sequence[dict[str, Any]], side: Side, source: str | None = None) -> list[Example]:
    """The texts of sources, all on one side. `source`: the column that says where a text is from. Raises RecipeError."""
    out = []
    for tree in given:
        spec = SourceSpec.model_validate(tree)
        for one in read(spec, Path(), of_run, also=source):
            out.append(Example(one.text, one.label, one.also or spec.name, side, one.group if spec.group else ""))
    return out
