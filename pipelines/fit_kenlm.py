"""`winnow fit kenlm`: an n-gram language model of texts, for the stage `kenlm`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winnow.pipelines.console import say

if TYPE_CHECKING:
    from winnow.classifiers.kenlm_fit import GroupedText


def register_kenlm(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("kenlm")(fit_kenlm_command)


def fit_kenlm_command(
    texts: Annotated[
        list[str],
        typer.Argument(help="Files, folders, 'patterns/*.jsonl.gz', or a run such as runs/ko or runs/ko@SELECTION."),
    ],
    out: Annotated[Path, typer.Option(help="The model: a name in .arpa, .arpa.gz, .arpa.xz or .kenlm (the smallest).")],
    unit: Annotated[
        str, typer.Option(help="word, sentencepiece, character, or syllable (a character, a word's first one marked).")
    ] = "word",
    normalize: Annotated[str, typer.Option(help="none, fold (small letters, digits 0) or ccnet.")] = "none",
    order: Annotated[int, typer.Option(help="Units in the longest n-gram, 2 to 6.")] = 5,
    prune: Annotated[
        str, typer.Option(help="Leave out n-grams that occur this often or less, by order: 0,0,1,2.")
    ] = "0",
    vocabulary: Annotated[int | None, typer.Option(help="Most units, by frequency. Default: all.")] = None,
    pieces: Annotated[int, typer.Option(help="Pieces of the SentencePiece model that is fitted with it.")] = 8000,
    shuffled: Annotated[
        bool, typer.Option("--shuffled", help="Shuffle the words of each line: a model of word salad, for `against`.")
    ] = False,
    digits: Annotated[int, typer.Option(help="Decimals of log10 probabilities; 2 or 3 for small models.")] = 6,
    text: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    group: Annotated[
        str | None, typer.Option(help="Column of what is not to be split between fit and held out: host, author.")
    ] = None,
    group_match: Annotated[
        str | None, typer.Option(help="Regular expression of the part of that column which is the group: '^[^.]+'.")
    ] = None,
    holdout: Annotated[int, typer.Option(help="Percent of the groups held out, for the sidecar's percentiles.")] = 10,
    most: Annotated[
        int | None,
        typer.Option(help="Most characters fitted of each of TEXTS, by hash, so that none outweighs.", min=1),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="ISO 639 code of the texts; a pipeline of another one refuses the model.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Written into the sidecar.")] = "",
    lmplz: Annotated[Path | None, typer.Option(help="KenLM's lmplz, for texts beyond memory.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the model.")] = False,
) -> None:
    """Fit a KenLM model: interpolated modified Kneser-Ney as lmplz estimates it, written as ARPA, the same bytes every time."""
    from pydantic import ValidationError

    from winnow.classifiers.artifacts import ModelError
    from winnow.classifiers.kenlm_fit import KenlmFit, fit_kenlm

    if out.exists() and not force:
        raise ModelError(f"{out}: is there already: expected another --out, or --force to replace it")
    if not re.fullmatch(r"\d+(,\d+)*", prune):
        raise ModelError(f"--prune {prune}: expected numbers such as 0,0,1")
    try:
        match = None if group_match is None else re.compile(group_match)
        fit = KenlmFit.model_validate(
            {
                "unit": unit,
                "normalize": normalize,
                "order": order,
                "prune": tuple(map(int, prune.split(","))),
                "vocabulary": vocabulary,
                "pieces": pieces,
                "shuffled": shuffled,
                "digits": digits,
                "holdout": holdout,
                "most": most,
                "language": language,
                "licence": licence,
            }
        )
    except re.error as error:
        raise ModelError(f"--group-match {group_match}: no regular expression: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"--{part}: " for part in first["loc"][:1])
        raise ModelError(f"{where}{first['msg'].removeprefix('Value error, ')}") from error
    report = fit_kenlm(_texts(texts, text, group, match), fit, out, lmplz)
    grams = ", ".join(f"{count:,}" for count in report.grams)
    say(
        f"{out}: {report.size:,} bytes, fitted on {report.fitted_on:,} texts, {report.units:,} units; n-grams by order: {grams}"
    )
    if report.fallback:
        orders = " and ".join(map(str, report.fallback))
        say(f"the counts of order {orders} give no discounts (few or artificial texts): 0.5, 1 and 1.5 stand in")
    if report.perplexity is not None:
        say(
            f"on {report.held_out:,} texts held out: median perplexity {report.perplexity:,.1f}; percentiles: {report.sidecar}"
        )
    say(f"measure with it: {{use: kenlm, model: {out}}}")


def _texts(named: Sequence[str], text: str, group: str | None, match: re.Pattern[str] | None) -> Iterator[GroupedText]:
    """The texts of each name, NFC; without `group` each is its own."""
    import unicodedata

    from winnow.classifiers.kenlm_fit import GroupedText
    from winnow.classifiers.readers import read
    from winnow.classifiers.recipe import SourceSpec
    from winnow.pipelines.evaluation.texts import of_run
    from winnow.pipelines.fit_texts import opened

    for number, name in enumerate(named):
        said: dict[str, str | None] = {
            "name": name,
            "files": name,
            "text": text,
            "group": group,
            "label": "",
            "licence": "",
        }
        if opened(name) is not None:
            said["reader"] = "run"
        spec = SourceSpec.model_validate(said)
        for one in read(spec, Path(), of_run):
            whole = unicodedata.normalize("NFC", one.text)
            key = one.group if group else whole
            found = match.search(key) if match and group else None
            yield GroupedText(whole, found[0] if found else key, number)
