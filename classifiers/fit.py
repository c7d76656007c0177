"""Fits a classifier from a recipe, as a fastText model or a linear one: reads and splits the texts, fits (the best of a search,
where the recipe asks for one), calibrates, chooses thresholds, judges it on the test side, and writes model and card.

One thread, a fixed order and fresh processes make two fits of the same texts identical byte for byte.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from winnow.classifiers import card as cards
from winnow.classifiers.artifacts import digest as digest_of
from winnow.classifiers.baselines import baselines
from winnow.classifiers.calibrate import calibration, thresholds
from winnow.classifiers.evaluate import Evaluation, evaluate
from winnow.classifiers.examples import Example, drawn, examples
from winnow.classifiers.features import windows
from winnow.classifiers.figures import f1_score
from winnow.classifiers.linear_fit import fit_linear
from winnow.classifiers.linear_model import LinearScorer, read_model, write_model
from winnow.classifiers.meaning import Meaning, Predictions
from winnow.classifiers.readers import OfRun
from winnow.classifiers.recipe import Recipe, RecipeError
from winnow.classifiers.scorer import PREFIX, FasttextScorer, Sidecar, load, load_scorer, sidecar_path
from winnow.classifiers.search import Kind, candidates
from winnow.classifiers.train import train

ENDINGS: dict[Kind, str] = {"fasttext": ".ftz", "linear": ".linear"}


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit wrote, and how good it is on the test side. `recipe`: with the settings that the search chose."""

    recipe: Recipe
    meaning: Meaning
    model: Path
    card: Path
    digest: str
    size: int
    fitted_on: int
    evaluation: Evaluation


def fit_classifier(
    recipe: Recipe,
    kind: Kind,
    data: Path,
    out: Path,
    command: str,
    of_run: OfRun | None = None,
    beside: bool = False,
) -> FitReport:
    """Fits the classifier of a recipe on its sources (`data`: where their folders are) and writes it with its card into `out`, all
    of it or nothing. `command`: what the card says to fit it again; `beside`: with the figures of baselines. Raises
    RecipeError."""
    found = examples(recipe, data, of_run)
    fitted, held, tests = ([one for one in found if one.side == side] for side in ("fit", "validation", "test"))
    labels = tuple(sorted({one.label for one in fitted}))
    plain = Meaning(
        name=recipe.name, positive=recipe.positive, labels=labels, language=recipe.language, licence=recipe.licence
    )
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out, prefix=".fit-") as folder:
        work = Path(folder)
        model = work / f"{recipe.name}{ENDINGS[kind]}"
        chosen = _searched(recipe, kind, fitted, held, plain, model)
        meaning = _meant(chosen, kind, held, plain, model)
        _write(chosen, kind, meaning, model)
        loaded = load(model)
        digest = loaded.digest
        evaluation = evaluate(loaded.scorer, tests, kind, loaded.size, digest)
        others = []
        if beside:
            for other, of_kind, size in baselines(fitted, recipe.positive, work):
                others.append(cards.reproducible(evaluate(other, tests, of_kind, size)))
        made = cards.Card(
            model=recipe.name,
            kind=kind,
            digest=digest,
            size=model.stat().st_size,
            command=command,
            settings=(chosen.train if kind == "fasttext" else chosen.linear).model_dump() | {"balance": chosen.balance},
            sources=cards.counted(recipe, found),
            evaluation=cards.reproducible(evaluation),
            baselines=tuple(others),
        )
        model.with_name(recipe.name + cards.SUFFIX).write_text(made.model_dump_json(indent=1) + "\n", "utf-8")
        model.with_suffix(".md").write_text(cards.page(made, chosen), "utf-8")
        written = [model, sidecar_path(model), model.with_name(recipe.name + cards.SUFFIX), model.with_suffix(".md")]
        for path in written:
            if path.is_file():
                path.replace(out / path.name)
    target = out / model.name
    return FitReport(
        chosen, meaning, target, target.with_suffix(".md"), digest, target.stat().st_size, len(fitted), evaluation
    )


def _searched(
    recipe: Recipe, kind: Kind, fitted: Sequence[Example], held: Sequence[Example], plain: Meaning, model: Path
) -> Recipe:
    """The recipe with the settings chosen, its model written. Without a search these are its own."""
    if recipe.search is None:
        _train(recipe, kind, fitted, plain, model)
        return recipe
    best: tuple[float, Recipe] | None = None
    smallest = None
    for candidate in candidates(recipe, kind, len(plain.labels)):
        tried = model.with_name("tried" + model.suffix)
        _train(candidate, kind, fitted, plain, tried)
        size = tried.stat().st_size
        smallest = min(size, smallest or size)
        if recipe.search.size is not None and size > recipe.search.size:
            continue
        found = macro_f1(_raw(candidate, kind, tried, plain, held), held)
        if best is None or found > best[0]:
            best = (found, candidate)
            tried.replace(model)
    if best is None:
        raise RecipeError(
            f"recipe '{recipe.name}': none of {recipe.search.tries} settings gives a model of at most "
            f"{recipe.search.size:,} bytes: the smallest has {smallest:,}; expected a larger `search.size`"
        )
    return best[1]


def macro_f1(found: Predictions, tests: Sequence[Example]) -> float:
    """Mean over labels."""
    truth = np.array([found.names.index(one.label) for one in tests])
    return float(np.mean([f1_score(truth == k, found.labels == k) for k in range(len(found.names))]))


def _train(recipe: Recipe, kind: Kind, fitted: Sequence[Example], plain: Meaning, model: Path) -> None:
    repeats = {spec.name: spec.repeat for spec in recipe.sources}
    if kind == "fasttext":
        train(_lines(recipe, fitted, repeats), recipe.train, model)
        return
    order = sorted(range(len(fitted)), key=lambda n: (drawn(recipe.seed, fitted[n].text), n))
    ordered = [fitted[n] for n in order]
    copies = [float(repeats.get(one.source, 1)) for one in ordered]
    texts, labels = [one.text for one in ordered], [one.label for one in ordered]
    fit_linear(texts, labels, copies, recipe.balance, recipe.linear_features(), recipe.linear, plain, model)


def _raw(recipe: Recipe, kind: Kind, model: Path, plain: Meaning, texts: Sequence[Example]) -> Predictions:
    """Predictions as they are before calibration."""
    if kind == "linear":
        return LinearScorer(*read_model(model)).predict([one.text for one in texts], every=True)
    loaded = load_scorer(model, f"{digest_of(model)} of a fit", recipe.positive)
    return FasttextScorer(loaded.model, plain, recipe.features).predict([one.text for one in texts], every=True)


def _meant(recipe: Recipe, kind: Kind, held: Sequence[Example], plain: Meaning, model: Path) -> Meaning:
    """With calibration and thresholds, from the validation side."""
    if not held:
        return plain
    raw = _raw(recipe, kind, model, plain, held)
    assert raw.probabilities is not None
    every = raw.probabilities.astype(np.float64)
    truth = np.array([plain.labels.index(one.label) for one in held])
    if recipe.positive is not None:
        place = plain.labels.index(recipe.positive)
        fitted = calibration(every[:, place], truth == place, recipe.calibration)
        scores = (fitted.of_positive(every[:, place]) if fitted else every[:, place]).astype(np.float32)
        hit = truth == place
    else:
        fitted = calibration(every, truth, recipe.calibration)
        scores = (fitted.of_all(every) if fitted else every).max(axis=1).astype(np.float32)
        hit = truth == raw.labels
    named = thresholds(recipe.thresholds, scores, hit, [one.label for one in held], recipe.name)
    return plain.model_copy(update={"calibration": fitted, "thresholds": named})


def _write(recipe: Recipe, kind: Kind, meaning: Meaning, model: Path) -> None:
    """What the numbers mean, into the model's file or beside it."""
    if kind == "linear":
        header, rarities, weights = read_model(model)
        said = {"calibration": meaning.calibration, "thresholds": meaning.thresholds}
        write_model(model, header.model_copy(update=said), rarities, weights)
        return
    sidecar = Sidecar(**meaning.model_dump(), features=recipe.features, model_sha256=digest_of(model))
    sidecar_path(model).write_text(json.dumps(sidecar.model_dump(), ensure_ascii=False, indent=2) + "\n", "utf-8")


def _lines(recipe: Recipe, fitted: Sequence[Example], repeats: dict[str, int]) -> list[str]:
    """The training lines. fastText reads them in order, epoch after epoch, so their order is a hash."""
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
