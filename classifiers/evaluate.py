"""Held-out figures of a classifier (accuracy, F1 and area under the ROC curve, in all and per source), and its card: Markdown
for people, written by the fit itself so that it cannot go stale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from winnow.classifiers.examples import Example
from winnow.classifiers.recipe import Recipe
from winnow.classifiers.scorer import Scorer


@dataclass(frozen=True, slots=True)
class PerSource:
    """Figures of one source's held-out examples of one label. `low`, `median`, `high`: percentiles 5, 50, 95 of the
    score; `hit`: the share that gets its label."""

    source: str
    label: str
    examples: int
    hit: float
    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures over all held-out examples. `f1` is that of the positive label, or macro-averaged when multi-class;
    `auc` is None when multi-class."""

    examples: int
    accuracy: float
    f1: float
    auc: float | None
    f1_by_label: dict[str, float]
    sources: tuple[PerSource, ...]


def f1_score(truth: npt.NDArray[np.bool_], said: npt.NDArray[np.bool_]) -> float:
    """Harmonic mean of precision and recall; 0 when nothing was found."""
    found = int((truth & said).sum())
    return 2 * found / (int(truth.sum()) + int(said.sum())) if found else 0.0


def area_under_curve(truth: npt.NDArray[np.bool_], scores: npt.NDArray[np.float32]) -> float:
    """Probability that a positive scores above a negative, ties counting half (Mann-Whitney U / (P * N))."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def evaluate(scorer: Scorer, held_out: Sequence[Example]) -> Figures:
    """Scores every example as a stage would and compares with its label."""
    truth = np.array([one.label for one in held_out], dtype=object)
    labels, scores = scorer.score([one.text for one in held_out])
    said = np.array(labels, dtype=object)
    by_label = {label: f1_score(truth == label, said == label) for label in scorer.labels}
    sources = []
    for source, label in dict.fromkeys((one.source, one.label) for one in held_out):
        rows = np.array([one.source == source and one.label == label for one in held_out])
        low, median, high = np.percentile(scores[rows], (5, 50, 95))
        hit = float((said[rows] == label).mean())
        sources.append(PerSource(source, label, int(rows.sum()), hit, float(low), float(median), float(high)))
    positive = scorer.positive
    return Figures(
        examples=len(held_out),
        accuracy=float((truth == said).mean()),
        f1=by_label[positive] if positive is not None else float(np.mean(list(by_label.values()))),
        auc=area_under_curve(truth == positive, scores) if positive is not None else None,
        f1_by_label=by_label,
        sources=tuple(sources),
    )


def card(recipe: Recipe, fitted: Sequence[Example], figures: Figures, digest: str, size: int) -> str:
    """The page: what it is, how it was fitted, sources with licences, figures, limits, digest."""
    kind = f"binary; the score is the probability of `{recipe.positive}`" if recipe.positive else "multi-class"
    counts = Counter(one.source for one in fitted)
    tests = Counter(one.source for one in figures.sources for _ in range(one.examples))
    lines = [
        f"# {recipe.name}",
        "",
        recipe.about.strip(),
        "",
        f"- Kind: fastText, {kind}. Labels: {', '.join(f'`{label}`' for label in figures.f1_by_label)}.",
        f"- Language: {recipe.language}. Size: {size:,} bytes. Licence of the model: {recipe.licence}.",
        f"- Digest (sha256 of model and sidecar): `{digest}`.",
        f"- Command: `python -m winnow.classifiers.fit --recipe {recipe.name} --data DATA --out classifiers/models`.",
        f"- Split: {recipe.holdout}% of the texts (of the files where texts are joined from files) by xxh64, "
        "or as the table says; documents are joined from texts of one side only.",
        "",
        "## Sources",
        "",
        "| source | folder | licence | fitted on | held out |",
        "|---|---|---|---|---|",
    ]
    for spec in recipe.sources:
        name = f"{spec.name} ({spec.attribution})" if spec.attribution else spec.name
        lines.append(f"| {name} | {spec.folder} | {spec.licence} | {counts[spec.name]:,} | {tests[spec.name]:,} |")
    for source in sorted(name for name in counts if name.startswith("made: ")):
        lines.append(f"| {source} ({_made_of(source, recipe)}) | | as above | {counts[source]:,} | {tests[source]:,} |")
    auc = f", AUC {figures.auc:.3f}" if figures.auc is not None else ""
    lines += [
        "",
        "## Figures on held-out examples",
        "",
        f"{figures.examples:,} examples: accuracy {figures.accuracy:.3f}, "
        f"{'F1' if recipe.positive else 'macro-F1'} {figures.f1:.3f}{auc}.",
        "F1 by label: " + ", ".join(f"{label} {value:.3f}" for label, value in figures.f1_by_label.items()) + ".",
        "",
        "| source | label | examples | labelled so | score 5% | 50% | 95% |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in figures.sources:
        lines.append(
            f"| {one.source} | {one.label} | {one.examples:,} | {one.hit:.3f} "
            f"| {one.low:.3f} | {one.median:.3f} | {one.high:.3f} |"
        )
    lines += ["", "## Limits", "", recipe.limits.strip(), ""]
    return "\n".join(lines)


def _made_of(source: str, recipe: Recipe) -> str:
    if source == "made: seeds":
        return f"words of {recipe.lexicon}, written for this project, among texts of the above"
    if source == "made: adverts" and recipe.junk is not None:
        return f"sentences of {recipe.junk.adverts}, written for this project"
    return "from words of the above"
