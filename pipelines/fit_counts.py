"""`winnow fit importance|prior`: tables of counts, from files of texts or from runs.

Texts are counted one by one in any order, so the table depends on what they are and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from winnow.pipelines.console import say


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("importance")(fit_importance_command)
    app.command("prior")(fit_prior_command)


Out = Annotated[Path, typer.Option(help="The table's file, such as dsir.json.")]
Field = Annotated[list[str] | None, typer.Option(help="Field of rows that holds the text. Default: text.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file.")]


def fit_importance_command(
    target: Annotated[
        list[str], typer.Option(help="Texts to be like: files, folders, patterns, or the folder of a run.")
    ],
    raw: Annotated[
        list[str], typer.Option(help="Texts to select from: the same, such as runs/ko: all its documents, kept or not.")
    ],
    out: Out,
    field: Field = None,
    force: Force = False,
) -> None:
    """Fit the importance weights of DSIR: word 1- and 2-grams of a target corpus against those of the raw pool."""
    from winnow.classifiers.count_tables import Corpus, ImportanceTable, write
    from winnow.filters.fitting import FitError

    _check(out, force)
    sides = {}
    for name, named in (("target", target), ("raw", raw)):
        documents, counts = _grams(named, field)
        if not any(counts):
            raise FitError(f"--{name} {named[0]}: no text with a word in it: expected texts")
        sides[name] = Corpus(documents=documents, counts=tuple(counts))
    write(ImportanceTable(target=sides["target"], raw=sides["raw"]), out)
    said = ", ".join(
        f"{side.documents:,} texts of {name} ({sum(side.counts):,} n-grams)" for name, side in sides.items()
    )
    say(f"{out}: {said}")
    say(f"measure with it: {{use: importance, model: {out}, keep: top 30% of bytes by log_weight + gumbel()}}")


def fit_prior_command(
    texts: Annotated[list[str], typer.Argument(help="Files, folders, patterns, or the folder of a run.")],
    out: Out,
    tokenizer: Annotated[str, typer.Option(help="A shipped name, a path, or hub:owner/repo.")] = "ko-bpe",
    field: Field = None,
    force: Force = False,
) -> None:
    """Fit the token priors of a prior filter: how often each token occurs, times in how many texts."""
    import numpy as np

    from winnow.classifiers.count_tables import PriorTable, write
    from winnow.filters.fitting import FitError
    from winnow.tokenize.tokenizer import TokenizerError, find, load

    _check(out, force)
    try:
        loaded = load(find(tokenizer))
    except TokenizerError as error:
        raise FitError(str(error)) from error
    occurrences, within = np.zeros((2, loaded.vocab_size), np.int64)
    documents = refused = 0
    every = _texts(texts, field)
    while batch := list(islice(every, 500)):
        encoded = loaded.encode(batch)
        documents, refused = documents + len(batch), refused + len(encoded.errors)
        occurrences += np.bincount(encoded.ids, minlength=loaded.vocab_size)
        for ids in np.split(encoded.ids, np.cumsum(encoded.lengths)[:-1]):
            within[np.unique(ids)] += 1
    if not within.any():
        raise FitError(f"{texts[0]}: no text with a token in it: expected texts")
    write(
        PriorTable(
            tokenizer=loaded.file.digest,
            documents=documents,
            occurrences=tuple(occurrences.tolist()),
            within=tuple(within.tolist()),
        ),
        out,
    )
    without = f", of which {refused:,} could not be encoded" if refused else ""
    say(
        f"{out}: {documents:,} texts{without}, {occurrences.sum():,} tokens, {np.count_nonzero(within):,} of them different"
    )
    said = f"use: prior, model: {out}, tokenizer: {tokenizer}"
    say(f'measure with it: {{{said}, keep: "mean between quantile(0.15) and quantile(0.85)"}}')


def _check(out: Path, force: bool) -> None:
    """Raises FitError for a name that is no table's, and for a file that is there, unless `force`."""
    from winnow.filters.fitting import FitError

    if out.suffix != ".json":
        raise FitError(f"{out}: expected a name that ends in .json")
    if out.exists() and not force:
        raise FitError(f"{out}: is there already: expected another --out, or --force to replace it")


def _grams(named: Sequence[str], field: Sequence[str] | None) -> tuple[int, list[int]]:
    """How many texts, and their n-grams by bucket."""
    import numpy as np

    from winnow.filters.ngram.features import BUCKETS
    from winnow.filters.ngram.importance import weighed

    documents, counts, none = 0, np.zeros(BUCKETS, np.int64), np.zeros(BUCKETS)
    texts = _texts(named, field)
    while batch := list(islice(texts, 500)):
        documents += len(batch)
        counts += weighed(batch, none)[2]
    return documents, counts.tolist()


def _texts(named: Sequence[str], field: Sequence[str] | None) -> Iterator[str]:
    """Every text that is not blank, NFC. Raises FitError and RunError."""
    import unicodedata

    from winnow.pipelines.fit_texts import Reading, found, opened, read

    for name in named:
        if (run := opened(name)) is not None:
            for frame in run.read(["text"]):
                yield from (unicodedata.normalize("NFC", t) for t in frame.get_column("text") if t and not t.isspace())
        else:
            yield from (text for _, text in read(found([name]), Reading(tuple(field or ("text",)))))
