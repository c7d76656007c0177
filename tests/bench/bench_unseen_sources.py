"""How well a linear recipe does on sources that it was not fitted on: one fit without the sources of each fold.

    python tests/bench/bench_unseen_sources.py [ko-translation] [--fold 'Workfront|Python|Debian' --fold ...]

A fold is a regular expression of names of sources, of both labels; related ones belong into one fold. The AUC is that of
the fold's texts, of all sides, under a model that has seen none of its sources.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from winnow.classifiers.examples import examples
from winnow.classifiers.figures import area_under_curve
from winnow.classifiers.linear_fit import fit_linear
from winnow.classifiers.linear_model import LinearScorer, read_model
from winnow.classifiers.meaning import Meaning
from winnow.classifiers.recipe import load_recipe

FOLDS = (
    "Workfront|Python|Debian",
    r"\+\+|Visual|GNOME|Kubernetes|licence",
    "IoT|xwMOOC|Rust|Hugging",
    "Dive|PyTorch|CNCF|Apache|Vue",
    r"Visual|\+\+|React|Helm|Interview",
)
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def main() -> None:
    """One table row a fold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe", nargs="?", default="ko-translation")
    parser.add_argument("--fold", action="append", help="By default those of ko-translation.")
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    if not options.data.exists():
        print(f"skipped: {options.data} is not there")
        return
    recipe = load_recipe(options.recipe)
    found = examples(recipe, options.data)
    labels = tuple(sorted({one.label for one in found}))
    repeats = {spec.name: float(spec.repeat) for spec in recipe.sources}
    meaning = Meaning(
        name=recipe.name, positive=recipe.positive, labels=labels, language=recipe.language, licence=recipe.licence
    )
    print("| sources left out | AUC | each source: texts, median score, AUC against the other label |\n|---|---|---|")
    for fold in options.fold or FOLDS:
        tests = [one for one in found if re.search(fold, one.source)]
        fitted = [one for one in found if not re.search(fold, one.source)]
        with TemporaryDirectory() as folder:
            path = Path(folder) / "left-out.linear"
            fit_linear(
                [one.text for one in fitted],
                [one.label for one in fitted],
                [repeats.get(one.source, 1.0) for one in fitted],
                recipe.balance,
                recipe.linear_features(),
                recipe.linear,
                meaning,
                path,
            )
            scores = LinearScorer(*read_model(path)).predict([one.text for one in tests]).scores
        truth = np.array([one.label == recipe.positive for one in tests])
        names = np.array([one.source for one in tests])
        parts = list(_parts(names, truth, scores))
        print(f"| {fold.replace('|', ', ')} | {area_under_curve(truth, scores):.3f} | {'; '.join(parts)} |", flush=True)


def _parts(names: npt.NDArray[np.str_], truth: npt.NDArray[np.bool_], scores: npt.NDArray[np.float32]) -> Iterable[str]:
    for name in sorted(set(names.tolist())):
        own = names == name
        both = own | (truth != truth[own][0])
        area = area_under_curve(truth[both], scores[both])
        yield f"{name}: {own.sum()}, {np.median(scores[own]):.2f}, {area:.3f}"


if __name__ == "__main__":
    main()
