"""`winnow evaluate`: how good classifiers are on labelled texts, side by side, as a page and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from winnow.pipelines.console import console, say

if TYPE_CHECKING:
    from winnow.classifiers.evaluate import Evaluation
    from winnow.classifiers.examples import Example


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Models: a shipped name, a path (.linear, .ftz, .bin), hub:owner/repo/file.", metavar="MODEL..."
        ),
    ],
    test: Annotated[
        list[str] | None, typer.Option(help="Texts by label: good='ref/*.jsonl'; or files, with --label-field.")
    ] = None,
    train: Annotated[
        list[str] | None,
        typer.Option(help="Texts like --test's, which the baselines are fitted on: majority, words, plain fastText."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Instead: the test side of a recipe; baselines are fitted on its fit side.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder that the recipe's sources are in.")] = Path(),
    text: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    label_field: Annotated[str | None, typer.Option(help="Column of the label.")] = None,
    group: Annotated[
        str | None, typer.Option(help="Column of what does not vary apart (host, film): intervals are over groups.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Column that says where a text is from.")] = None,
    positive: Annotated[
        str | None, typer.Option(help="Label whose probability is the score, where a model does not say so.")
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option(help="A model's label for one of the texts': __hq=good. Repeat it.")
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Fit baselines where there is something to fit on.")] = True,
    out: Annotated[Path, typer.Option(help="Folder for evaluation.json and evaluation.html.")] = Path("evaluation"),
) -> None:
    """Judge classifiers on labelled texts: F1, AUC, calibration, intervals, by source and length, errors, speed."""
    from winnow.classifiers import baselines as plain
    from winnow.classifiers.artifacts import resolve
    from winnow.classifiers.evaluate import evaluate as judged
    from winnow.classifiers.evaluate import renamed
    from winnow.classifiers.recipe import RecipeError
    from winnow.classifiers.scorer import load
    from winnow.pipelines.evaluation.page import write

    names = {}
    for pair in rename or ():
        own, equals, theirs = pair.partition("=")
        if not (own and equals and theirs):
            raise RecipeError(f"--rename {pair}: expected MODEL'S=TEST'S, such as __hq=good")
        names[own] = theirs
    fitted, tests = _texts(test, train, recipe, data, text, label_field, group, source)
    found: list[Evaluation] = []
    said = next((own for own, theirs in names.items() if theirs == positive), positive)
    for model in models:
        loaded = load(resolve(model).path, said, model)
        found.append(judged(loaded.scorer, tests, loaded.kind, loaded.size, loaded.digest, names))
    if fitted and baselines:
        wanted = renamed(load(resolve(models[0]).path, said, models[0]).scorer.meaning, names).positive
        with TemporaryDirectory() as folder:
            for scorer, kind, size in plain.baselines(fitted, wanted, Path(folder)):
                found.append(judged(scorer, tests, kind, size))
    write(found, out)
    _show(found, out)


def _texts(
    test: Sequence[str] | None,
    train: Sequence[str] | None,
    recipe: str | None,
    data: Path,
    text: str,
    label_field: str | None,
    group: str | None,
    source: str | None,
) -> tuple[list[Example], list[Example]]:
    """What baselines are fitted on, and what is judged on."""
    from winnow.classifiers.examples import apart, examples
    from winnow.classifiers.recipe import RecipeError, load_recipe
    from winnow.pipelines.evaluation.texts import of_run, read_examples, specs

    if (recipe is None) == (test is None):
        raise RecipeError("expected either --test or --recipe, which says what to judge on")
    if recipe is not None:
        every = examples(load_recipe(recipe), data, of_run)
        return [one for one in every if one.side == "fit"], [one for one in every if one.side == "test"]
    tests = read_examples(specs(test or (), "--test", text=text, group=group, label_field=label_field), "test", source)
    if not tests:
        raise RecipeError("--test: no text to judge on")
    if train is None:
        return [], tests
    given = specs(train, "--train", text=text, group=group, label_field=label_field)
    every = apart([*read_examples(given, "fit", source), *tests], 0.2)
    return [one for one in every if one.side == "fit"], tests


def _show(found: Sequence[Evaluation], out: Path) -> None:
    from rich.table import Table

    from winnow.classifiers.card import shown

    names = list(found[0].figures)
    title = f"{found[0].examples:,} texts in {found[0].groups:,} groups"
    table = Table("model", *names, "documents/s", "bytes", title=title)
    for one in found:
        rate = "" if one.documents_per_second is None else f"{one.documents_per_second:,.0f}"
        size = "" if one.size is None else f"{one.size:,}"
        table.add_row(one.model, *(shown(one.figures[name]) for name in names), rate, size)
    console().print(table)
    say(f"{out / 'evaluation.json'}")
    say(f"{out / 'evaluation.html'}")


def register_evaluate(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(evaluate)
