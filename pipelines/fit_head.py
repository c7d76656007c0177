"""`winnow fit transformer-head`: a small classifier over the embeddings of an encoder, from texts named by label or a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from winnow.pipelines.console import say
from winnow.pipelines.fit_classifier import Label


def register_head(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("transformer-head")(fit_head_command)


def fit_head_command(
    model: Annotated[str, typer.Option(help="The encoder: a folder, or hub:owner/repo@revision.")],
    out: Annotated[Path, typer.Option(help="The head's file, such as head.safetensors.")],
    recipe: Annotated[str | None, typer.Argument(help="A recipe, as of winnow fit linear, or --label.")] = None,
    label: Label = None,
    data: Annotated[Path, typer.Option(help="Folder that the recipe's sources are in.")] = Path(),
    text: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    group: Annotated[str | None, typer.Option(help="Column of what is not to be split between fit and test.")] = None,
    positive: Annotated[str | None, typer.Option(help="Of two labels the score's. Default: the first --label.")] = None,
    pooling: Annotated[
        Literal["mean", "cls"], typer.Option(help="mean of a window's last hidden states, or cls, the first.")
    ] = "mean",
    hidden: Annotated[int, typer.Option(help="Width of the layer between; 0: none.", min=0)] = 256,
    max_tokens: Annotated[
        int | None, typer.Option(help="Tokens of a window. Default: the model's, at most 512.")
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads that embed.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Of the split and the fit.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Fit a head over an encoder's embeddings (FineWeb2-HQ); the encoder stays as it is."""
    import numpy as np

    from winnow.classifiers.examples import examples
    from winnow.classifiers.figures import area_under_curve, f1_score
    from winnow.classifiers.head_fit import HeadSettings, fit_head
    from winnow.classifiers.model_folder import model_folder
    from winnow.classifiers.recipe import RecipeError, load_recipe, parsed
    from winnow.classifiers.transformer_head import write_head
    from winnow.pipelines.evaluation.texts import of_run, specs

    if (recipe is None) == (not label):
        raise RecipeError("expected either a recipe or --label, which says what to fit on")
    if out.suffix != ".safetensors":
        raise RecipeError(f"{out}: expected a name that ends in .safetensors")
    if out.exists() and not force:
        raise RecipeError(f"{out}: is there already: expected another --out, or --force to replace it")
    folder = model_folder(model)
    if recipe is not None:
        declared = load_recipe(recipe)
    else:
        sources = specs(label or [], "--label", text=text, group=group)
        labels = list(dict.fromkeys(one["label"] for one in sources))
        chosen = positive or (labels[0] if len(labels) == 2 else None)
        tree: dict[str, Any] = {"name": "head", "language": "any", "licence": "as its texts'", "seed": seed}
        declared = parsed(tree | {"positive": chosen, "sources": sources}, "head")
    found = examples(declared, data, of_run)
    settings = HeadSettings(pooling=pooling, hidden=hidden, max_tokens=max_tokens, threads=threads, seed=seed)
    head, chances = fit_head(folder, found, declared.positive, settings)
    write_head(head, out)
    truth = np.array([head.labels.index(one.label) for one in found if one.side == "test"])
    each = {name: f1_score(truth == k, chances.argmax(1) == k) for k, name in enumerate(head.labels)}
    figures = [f"macro-F1 {np.mean(list(each.values())):.3f}", *(f"{name} {value:.3f}" for name, value in each.items())]
    if head.positive is not None:
        at = head.labels.index(head.positive)
        figures.append(f"AUC {area_under_curve(truth == at, chances[:, at]):.3f}")
    say(
        f"{out}: fitted on {sum(one.side == 'fit' for one in found):,} texts; on {len(truth):,} held out: {', '.join(figures)}"
    )
    say(f"measure with it: {{use: transformer, model: {model}, head: {out}}}")
