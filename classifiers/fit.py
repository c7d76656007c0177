"""Fits a fastText classifier from a recipe: `python -m winnow.classifiers.fit --recipe ko-quality --data DIR --out DIR`.

Writes `<name>.ftz` (the quantized model), `<name>.json` (the sidecar: what a score means, how text is prepared) and
`<name>.md` (the card). One thread, a fixed order and a fresh process make two fits of the same texts identical byte for byte.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from winnow.classifiers.artifacts import digest as digest_of
from winnow.classifiers.evaluate import Figures, card, evaluate
from winnow.classifiers.examples import Example, drawn, examples
from winnow.classifiers.features import windows
from winnow.classifiers.recipe import Recipe, RecipeError, load_recipe
from winnow.classifiers.scorer import PREFIX, Sidecar, content_digest, load_scorer, sidecar_path
from winnow.classifiers.train import train


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit wrote and how good it is on the held-out examples."""

    name: str
    model: Path
    sidecar: Path
    card: Path
    digest: str
    size: int
    fitted_on: int
    figures: Figures


def fit_classifier(recipe: str | Path | Recipe, data: Path, out: Path) -> FitReport:
    """Fits the classifier of a recipe (shipped name, YAML path, or a Recipe) on the sources under `data`, writes model,
    sidecar and card into `out` and evaluates it on what was held out. Raises RecipeError."""
    declared = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    found = examples(declared, data)
    out.mkdir(parents=True, exist_ok=True)
    model = out / f"{declared.name}.ftz"
    fitted = [one for one in found if not one.test]
    held_out = [one for one in found if one.test]
    if not held_out:
        raise RecipeError(f"recipe '{declared.name}': nothing was held out of {len(found)} examples; raise `holdout`")
    train(_lines(declared, fitted), declared.train, model)
    sidecar = Sidecar(
        name=declared.name,
        positive=declared.positive,
        labels=tuple(sorted({one.label for one in fitted})),
        features=declared.features,
        licence=declared.licence,
        model_sha256=digest_of(model),
    )
    beside = sidecar_path(model)
    beside.write_text(json.dumps(sidecar.model_dump(), ensure_ascii=False, indent=2) + "\n", "utf-8")
    digest = content_digest(model)
    figures = evaluate(load_scorer(model, digest), held_out)
    page = model.with_suffix(".md")
    page.write_text(card(declared, fitted, figures, digest, model.stat().st_size), "utf-8")
    return FitReport(declared.name, model, beside, page, digest, model.stat().st_size, len(fitted), figures)


def _lines(recipe: Recipe, fitted: Sequence[Example]) -> list[str]:
    """The training lines. fastText reads them in order, epoch after epoch, so their order is a hash."""
    repeats = {spec.name: spec.repeat for spec in recipe.sources}
    cut = [
        (one.label, line, repeats.get(one.source, 1)) for one in fitted for line in windows(one.text, recipe.features)
    ]
    counts: Counter[str] = Counter()
    for label, _, repeat in cut:
        counts[label] += repeat
    most = max(counts.values())
    keyed: list[tuple[float, str]] = []
    for label, line, repeat in cut:
        for copy in range(round(repeat * (most / counts[label]) ** recipe.balance)):
            keyed.append((drawn(recipe.seed + copy, line), f"{PREFIX}{label} {line}\n"))
    return [line for _, line in sorted(keyed)]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="winnow.classifiers.fit", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--recipe", required=True, help="a shipped recipe's name or a YAML file")
    parser.add_argument("--data", required=True, type=Path, help="folder that the recipe's sources are under")
    parser.add_argument("--out", required=True, type=Path, help="folder for the model, its sidecar and its card")
    given = parser.parse_args(arguments)
    try:
        report = fit_classifier(given.recipe, given.data, given.out)
    except RecipeError as error:
        sys.exit(f"error: {error}")
    figures = report.figures
    auc = f", AUC {figures.auc:.3f}" if figures.auc is not None else ""
    print(f"{report.model} ({report.size:,} bytes) fitted on {report.fitted_on:,} examples")
    print(f"held out {figures.examples:,}: accuracy {figures.accuracy:.3f}, F1 {figures.f1:.3f}{auc}")


if __name__ == "__main__":
    main()
