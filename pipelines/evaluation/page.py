"""The page of an evaluation: one HTML file that needs nothing else, made of evaluation.json's tree."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from winnow.classifiers.evaluate import Evaluation
from winnow.pipelines.results.report.page import environment

HERE = Path(__file__).parent
STYLE = HERE.parent / "results" / "report" / "report.css"
SIDE = 220
"""Of a calibration plot, in CSS pixels."""


def page(found: Sequence[Evaluation]) -> str:
    """The same figures give the same bytes."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    plots = [[(said * SIDE, (1 - true) * SIDE, n) for said, true, n in one.reliability] for one in found]
    return (
        environment(HERE)
        .get_template("evaluation.html.jinja")
        .render(
            found=found,
            first=found[0],
            plots=plots,
            side=SIDE,
            style=Markup(STYLE.read_text("utf-8")),
            policy=policy,
        )
    )


def write(found: Sequence[Evaluation], out: Path) -> None:
    """evaluation.json and evaluation.html, each at once or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    tree = json.dumps([one.model_dump(mode="json") for one in found], ensure_ascii=False, indent=1)
    for name, content in (("evaluation.json", tree + "\n"), ("evaluation.html", page(found))):
        draft = out / f".{name}.{os.getpid()}"
        draft.write_text(content, "utf-8")
        draft.replace(out / name)
