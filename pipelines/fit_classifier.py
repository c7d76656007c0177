"""`winnow fit fasttext` and `winnow fit linear`: a classifier from a recipe, or from texts named by label."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winnow.pipelines.console import say

if TYPE_CHECKING:
    from winnow.classifiers.fit import FitReport
    from winnow.classifiers.search import Kind

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([kKmM]?)[bB]?")
_RULE = re.compile(r"([\w-]+)=(precision|recall|share):([0-9.]+)(?:@(.+))?")

RecipeArgument = Annotated[
    str | None, typer.Argument(help="A shipped recipe (ko-quality, ko-toxicity, ko-domain) or a YAML path.")
]
Label = Annotated[
    list[str] | None,
    typer.Option(
        help="Instead of a recipe, texts by label: good='ref/*.jsonl', bad=runs/ko (files, folders, patterns, a run); or files, "
        "with --label-field. Repeat it."
    ),
]


def command(kind: Kind) -> Callable[..., None]:
    """The command of a kind."""

    def fit(
        recipe: RecipeArgument = None,
        out: Annotated[Path, typer.Option(help="Folder for the model and its card.")] = Path("models"),
        data: Annotated[Path, typer.Option(help="Folder that the recipe's sources are in.")] = Path(),
        set_: Annotated[
            list[str] | None,
            typer.Option("--set", help="Override of the recipe: path=value, such as linear.maxn=5 or train.epoch=10."),
        ] = None,
        label: Label = None,
        label_field: Annotated[str | None, typer.Option(help="Column of the label.")] = None,
        text: Annotated[str, typer.Option(help="Column of the text.")] = "text",
        group: Annotated[
            str | None, typer.Option(help="Column of what is not to be split between fit and test: host, author, film.")
        ] = None,
        name: Annotated[str | None, typer.Option(help="The model's name.")] = None,
        language: Annotated[str | None, typer.Option(help="ISO 639 code of the texts.")] = None,
        positive: Annotated[
            str | None, typer.Option(help="Of two labels the one whose probability is the score. Default: the first.")
        ] = None,
        limit: Annotated[int | None, typer.Option(help="Most texts of each --label, by hash.", min=1)] = None,
        threshold: Annotated[
            list[str] | None,
            typer.Option(help="strict=precision:0.95, wide=recall:0.9, top=share:0.1 or top=share:0.1@bad. Repeat it."),
        ] = None,
        search: Annotated[int | None, typer.Option(help="Try so many settings, keep the best.", min=1)] = None,
        size: Annotated[
            str | None, typer.Option(help="Most bytes of the model, such as 2M; searches 8 settings.")
        ] = None,
        baselines: Annotated[
            bool, typer.Option("--baselines", help="Judge majority, words and plain fastText beside it in the card.")
        ] = False,
    ) -> None:
        from winnow.classifiers.fit import fit_classifier
        from winnow.classifiers.recipe import RecipeError, load_recipe, parsed
        from winnow.pipelines.evaluation.texts import of_run

        if (recipe is None) == (not label):
            raise RecipeError("expected either a recipe or --label, which says what to fit on")
        tree: dict[str, Any] = {}
        if threshold:
            tree["thresholds"] = dict(_rule(one) for one in threshold)
        if search is not None or size is not None:
            tree["search"] = {"tries": search or 8} | ({"size": _bytes(size)} if size is not None else {})
        if recipe is not None:
            given: dict[str, object] = {
                "--text": text != "text",
                "--group": group,
                "--name": name,
                "--positive": positive,
            }
            given |= {"--language": language, "--limit": limit, "--label-field": label_field}
            if wrong := [option for option, there in given.items() if there]:
                raise RecipeError(
                    f"{', '.join(wrong)}: the recipe says this: expected --set, or --label instead of a recipe"
                )
            declared = load_recipe(recipe, set_ or (), tree)
        else:
            if name is None or language is None:
                raise RecipeError("--label needs --name and --language, which go into the model")
            declared = parsed(
                _declared(label or [], label_field, text, group, name, language, positive, limit) | tree,
                name,
                set_ or (),
            )
        said = _said(kind, recipe, set_, label, threshold, baselines, search, size) + [
            word
            for option, value in (
                ("--label-field", label_field),
                ("--text", text if text != "text" else None),
                ("--group", group),
                ("--name", name),
                ("--language", language),
                ("--positive", positive),
                ("--limit", limit),
            )
            if value is not None
            for word in (option, str(value))
        ]
        placed = ["--data", "DATA"] if recipe is not None else []
        written = shlex.join([*said, *placed, "--out", "OUT"])
        _report(fit_classifier(declared, kind, data, out, written, of_run, baselines), kind)

    fit.__doc__ = f"Fit a {'fastText' if kind == 'fasttext' else 'linear'} classifier."
    return fit


def _declared(
    label: Sequence[str],
    label_field: str | None,
    text: str,
    group: str | None,
    name: str,
    language: str,
    positive: str | None,
    limit: int | None,
) -> dict[str, Any]:
    """The recipe that the options are. The first label of two is the positive one."""
    from winnow.pipelines.evaluation.texts import specs

    sources = specs(label, "--label", text=text, group=group, label_field=label_field)
    labels = list(dict.fromkeys(one["label"] for one in sources if "label" in one))
    if positive is None and len(labels) == 2:
        positive = labels[0]
    for one in sources:
        one |= {"limit": limit} if limit is not None else {}
    return {"name": name, "language": language, "licence": "as its texts'", "positive": positive, "sources": sources}


def _rule(given: str) -> tuple[str, dict[str, Any]]:
    from winnow.classifiers.recipe import RecipeError

    found = _RULE.fullmatch(given)
    if found is None:
        raise RecipeError(f"--threshold {given}: expected NAME=precision:P, NAME=recall:R or NAME=share:S[@LABEL]")
    name, rule, value, of = found.groups()
    return name, {rule: value} | ({"of": of} if of else {})


def _bytes(given: str) -> int:
    from winnow.classifiers.recipe import RecipeError

    found = _SIZE.fullmatch(given)
    if found is None:
        raise RecipeError(f"--size {given}: expected a number of bytes, such as 2M or 500k")
    return int(float(found[1]) * {"": 1, "k": 1000, "m": 1_000_000}[found[2].lower()])


def _said(
    kind: str,
    recipe: str | None,
    set_: Sequence[str] | None,
    label: Sequence[str] | None,
    threshold: Sequence[str] | None,
    baselines: bool,
    search: int | None,
    size: str | None,
) -> list[str]:
    out = ["winnow", "fit", kind, *([recipe] if recipe else [])]
    for option, values in (("--set", set_), ("--label", label), ("--threshold", threshold)):
        out += [word for value in values or () for word in (option, value)]
    out += ["--search", str(search)] if search is not None else []
    out += ["--size", size] if size is not None else []
    return [*out, "--baselines"] if baselines else out


def _report(fitted: FitReport, kind: Kind) -> None:
    from winnow.classifiers.card import shown

    figures = {name: shown(one) for name, one in fitted.evaluation.figures.items()}
    named = "; ".join(f"{n} at {t.at:.4f} ({t.rule})" for n, t in fitted.meaning.thresholds.items())
    settings = fitted.recipe.train if kind == "fasttext" else fitted.recipe.linear
    stage = f"{{use: {kind}, model: {fitted.model.resolve()}}}"
    say(f"{fitted.model}: {fitted.size:,} bytes, fitted on {fitted.fitted_on:,} examples")
    if fitted.recipe.search is not None:
        chosen = ", ".join(f"{name} {value}" for name, value in settings.model_dump().items())
        say(f"settings of {fitted.recipe.search.tries} tried: {chosen}, balance {fitted.recipe.balance:g}")
    said = ", ".join(f"{name} {value}" for name, value in figures.items() if value)
    say(f"on {fitted.evaluation.examples:,} held out: {said}; by source: {fitted.card}")
    if named:
        say(f"thresholds: {named}")
    stage_name = re.sub(r"^[^a-z]+", "", re.sub(r"[^a-z0-9_]", "_", fitted.recipe.name.lower())) or "model"
    say(f"measure with it: winnow run DECLARATION --set {shlex.quote(f'stages.{stage_name}={stage}')}")


def register_classifiers(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("fasttext")(command("fasttext"))
    app.command("linear")(command("linear"))
