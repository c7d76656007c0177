"""The card of a fitted classifier: Markdown for people, written by the fit itself so that it cannot go stale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from winnow.classifiers.evaluate import Figures
from winnow.classifiers.examples import Example
from winnow.classifiers.recipe import Recipe


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
