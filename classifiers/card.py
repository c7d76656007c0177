"""A model's card: Markdown for people, and its figures as JSON, written by the fit itself so that neither can go stale. A test
computes the figures of the cards that ship anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from winnow.classifiers.evaluate import Evaluation, Figure
from winnow.classifiers.examples import MADE, SIDES, Example
from winnow.classifiers.recipe import Recipe

SUFFIX = ".card.json"


class SourceCounts(BaseModel):
    """Examples of a source on each side."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    licence: str
    attribution: str
    fit: int
    validation: int
    test: int


class Card(BaseModel):
    """What a card says in numbers. `digest`: sha256 of the model (and its sidecar)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    kind: str
    digest: str
    size: int
    command: str
    settings: dict[str, float | int | str | bool]
    sources: tuple[SourceCounts, ...]
    evaluation: Evaluation
    baselines: tuple[Evaluation, ...] = ()


def reproducible(found: Evaluation) -> Evaluation:
    """Without what differs from machine to machine, and without anybody's texts."""
    return found.model_copy(update={"documents_per_second": None, "worst": ()})


def counted(recipe: Recipe, found: Sequence[Example]) -> tuple[SourceCounts, ...]:
    """Of every source of a recipe, and of what was made."""
    counts: dict[tuple[str, str], int] = {}
    for one in found:
        counts[one.source, one.side] = counts.get((one.source, one.side), 0) + 1
    known = {spec.name: (spec.licence, spec.attribution) for spec in recipe.sources}
    made = {name: ("as above", _made_of(name, recipe)) for name, _ in sorted(counts) if name.startswith(MADE)}
    return tuple(
        SourceCounts(name=n, licence=of[0], attribution=of[1], **{side: counts.get((n, side), 0) for side in SIDES})
        for n, of in (known | made).items()
    )


def page(card: Card, recipe: Recipe) -> str:
    """The Markdown."""
    found = card.evaluation
    means = f"binary; the score is the probability of `{found.positive}`" if found.positive else "multi-class"
    split = f"{recipe.holdout}% of the texts, or groups of them, for the test"
    split += f", {recipe.validation}% for calibration and thresholds" if recipe.validation else ""
    lines = [f"# {card.model}", "", recipe.about.strip(), ""]
    lines += [
        f"- Kind: {'fastText' if card.kind == 'fasttext' else card.kind}, {means}. "
        f"Labels: {', '.join(f'`{label}`' for label in found.labels)}.",
        f"- Language: {recipe.language}. Size: {card.size:,} bytes. Licence of the model: {recipe.licence}.",
        f"- Digest (sha256 of {'model and sidecar' if card.kind == 'fasttext' else 'the file'}): `{card.digest}`.",
        f"- Command, which writes the same bytes again: `{card.command}`.",
        f"- Settings: {', '.join(f'{name} {value}' for name, value in card.settings.items())}.",
        f"- Split: {split}, by xxh64, or as the table says; documents are joined from texts of one side only"
        + (
            f", and one that stands to {recipe.overlap:.0%} in texts of a later side is left out."
            if recipe.overlap
            else "."
        ),
        *("", "## Sources", ""),
        *_table(
            ("source", "licence", "fitted on", "validation", "test"),
            (
                (f"{s.name} ({s.attribution})" if s.attribution else s.name, s.licence, s.fit, s.validation, s.test)
                for s in card.sources
            ),
        ),
        *("", f"## Figures on the test side: {found.examples:,} examples in {found.groups:,} groups", ""),
        "In brackets the middle 95% over draws of groups.",
        "",
        *_table(
            ("model", *found.figures),
            ((one.model, *map(shown, one.figures.values())) for one in (found, *card.baselines)),
        ),
        "",
        *_table(
            ("label", "precision", "recall", "F1", "AUC", "examples"),
            (
                (n, o.precision, o.recall, o.f1, "" if o.auc is None else o.auc, o.examples)
                for n, o in found.by_label.items()
            ),
        ),
        "",
        *_table(
            ("source", "label", "examples", "labelled so", "score 5%", "50%", "95%"),
            ((s.name, s.label, s.examples, s.right, s.low, s.median, s.high) for s in found.by_source),
        ),
        "",
        *_table(
            ("length", "examples", "labelled so", "score 5%", "50%", "95%"),
            ((s.name, s.examples, s.right, s.low, s.median, s.high) for s in found.by_length),
        ),
        *("", "Calibration: of the examples with such a score, so many are what it is the probability of.", ""),
        *_table(("mean score", "share", "examples"), found.reliability),
    ]
    if found.thresholds:
        lines += ["", "Thresholds by name, on the test side:", ""]
        lines += _table(
            ("threshold", "score", "chosen for", "keeps", "precision", "recall", "share kept"),
            ((n, t.at, t.rule, t.keep, t.precision, t.recall, t.share) for n, t in found.thresholds.items()),
        )
    if recipe.limits.strip():
        lines += ["", "## Limits", "", recipe.limits.strip()]
    return "\n".join(lines) + "\n"


def shown(figure: Figure) -> str:
    """`0.912 [0.901, 0.922]`."""
    if figure.value is None:
        return ""
    return f"{figure.value:.3f}" + ("" if figure.low is None else f" [{figure.low:.3f}, {figure.high:.3f}]")


def _table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    heads = list(heads)
    return [
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
        *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows),
    ]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")


def _made_of(source: str, recipe: Recipe) -> str:
    if source == MADE + "seeds":
        return f"words of {recipe.lexicon}, written for this project, among texts of the above"
    if source == MADE + "adverts" and recipe.junk is not None:
        return f"sentences of {recipe.junk.adverts}, written for this project"
    return "from words of the above"
