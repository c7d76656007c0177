"""The commands of `winnow fit`: language, tokenizer, and those of classifiers (`fit_classifier.py`) and of KenLM (`fit_kenlm.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winnow.pipelines.commands import Reference
from winnow.pipelines.console import console, say
from winnow.pipelines.fit_classifier import register_classifiers
from winnow.pipelines.fit_kenlm import register_kenlm

if TYPE_CHECKING:
    from rich.console import Console

    from winnow.pipelines.fit_language import LanguageFit
    from winnow.pipelines.results.table import Run


fit_app = typer.Typer(pretty_exceptions_enable=False, help="Fit the artifacts that stages use.", no_args_is_help=True)
register_classifiers(fit_app)
register_kenlm(fit_app)


@fit_app.command("language")
def fit_language_command(
    lang: Annotated[str, typer.Option(help="ISO 639 code of the language: tr.")],
    reference: Annotated[
        list[str],
        typer.Option(
            help="Good text: files, folders or 'patterns/*.txt' of .txt .md .jsonl(.gz) .parquet .tsv .conllu."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The pack's file: tr.yaml.")],
    crawl: Annotated[
        list[str] | None, typer.Option(help="The folder of a run, such as runs/en, or files like the reference's.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Language pack whose clauses are fitted. Default: en, or one of the word unit.")
    ] = None,
    base_reference: Annotated[
        list[str] | None,
        typer.Option(help="Good text in the base's language: thresholds keep the quantile that they have in it."),
    ] = None,
    from_unit: Annotated[
        str | None, typer.Option(help="Fit the pack's thresholds for this word unit (morpheme) to another unit.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Word unit: whitespace, character, segment, morpheme. Default: by script.")
    ] = None,
    script: Annotated[str | None, typer.Option(help="ISO 15924 code, such as Latn. Default: by letters.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the language. Default: the code.")] = None,
    iso639_3: Annotated[str | None, typer.Option("--iso639-3", help="Default: by the code.")] = None,
    field: Annotated[list[str] | None, typer.Option(help="Field of rows that holds the text. Default: text.")] = None,
    join: Annotated[int, typer.Option(help="Join rows of a file to documents of this many characters.", min=0)] = 0,
    lines: Annotated[bool, typer.Option("--lines", help="Each line of .txt and .md is a row.")] = False,
    sample: Annotated[int, typer.Option(help="Most documents looked at of each side, by hash.", min=100)] = 10_000,
    tail: Annotated[
        float,
        typer.Option(help="Share of the reference beyond a threshold, without --base-reference.", min=1e-4, max=0.1),
    ] = 0.01,
    most_reference: Annotated[
        float, typer.Option(help="Share of the reference that one clause may drop.", min=0.001, max=0.5)
    ] = 0.1,
    most_crawl: Annotated[
        float, typer.Option(help="Share of the crawl that one clause may drop.", min=0.01, max=1)
    ] = 0.5,
    model: Annotated[str, typer.Option(help="Language model: lid.176, a path or hub:owner/repo/file.")] = "lid.176",
    language_score: Annotated[
        float | None, typer.Option(help="Least language score, fitted unless given; then no model is asked.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Fit a language pack - stop words, thresholds, language cut-off - from good text and crawl."""
    from winnow.filters.fitting.clauses import Limits
    from winnow.pipelines.engine.progress import Progress, compile_shown
    from winnow.pipelines.fit_language import Request, fit_language, refuse_existing, write_pack
    from winnow.pipelines.fit_texts import Reading

    refuse_existing(out, force)
    with Progress() as progress:
        compile_shown(progress)
    fitted = fit_language(
        Request(
            lang=lang,
            reference=tuple(reference),
            crawl=tuple(crawl or ()),
            base=base,
            base_reference=tuple(base_reference or ()),
            from_unit=from_unit,
            unit=unit,
            script=script,
            name=name,
            iso639_3=iso639_3,
            model=model,
            language_score=language_score,
            reading=Reading(tuple(field or ("text",)), join, lines),
            sample=sample,
            limits=Limits(tail, most_reference, most_crawl, joined=join > 0, same_texts=from_unit is not None),
        )
    )
    write_pack(fitted, out, force)
    show(fitted, console())
    say(f"{out}: a declaration names it as language: {out}")


def show(fitted: LanguageFit, console: Console) -> None:
    """The thresholds as a table, then stop words and what the clauses of the default packs together drop."""
    from rich.table import Table

    pack = fitted.pack
    if fitted.from_unit:
        heads = ["measure", fitted.from_unit, "its quantile", pack.word_unit]
        title = f"{pack.name}: thresholds of {fitted.from_unit} words as thresholds of {pack.word_unit} words"
    else:
        heads = ["clause", "measure", "base", "threshold"]
        title = f"{pack.name} ({pack.fineweb2}), {pack.word_unit} words: least language score {pack.language_score:g}"
    table = Table(*heads, *fitted.documents, "", title=title)
    for f in fitted.clauses:
        now = "left out" if f.threshold is None else f"{f.clause.operator} {f.threshold:.10g}"
        base = f"{f.clause.operator} {f.clause.base:g}"
        at = "" if f.match is None else f"{f.match.quantile:.3f}" + (" (tail)" if f.match.beyond else "")
        shares = [f"{share:.1%}" for share in (f.reference, f.crawl) if share is not None]
        if fitted.from_unit:
            table.add_row(f.clause.signal, base, at, now, *shares, f.note)
        else:
            why = f.note or (f"at quantile {at}" if at else "")
            table.add_row(f"{f.clause.group}.{f.clause.name}", f.clause.signal, base, now, *shares, why)
    console.print(table)
    say(f"stop words: {' '.join(pack.stop_words)}", console)
    dropped = ", ".join(f"{v:.1%} of {fitted.documents[k]:,} documents of {k}" for k, v in fitted.together.items())
    packs = ", ".join(pack.default_packs or pack.clauses)
    say(f"all clauses of {packs} together drop {dropped}", console)


@fit_app.command("tokenizer")
def fit_tokenizer_command(
    run: Reference,
    out: Annotated[Path, typer.Option(help="Folder for tokenizer.json.")],
    vocabulary: Annotated[int, typer.Option(help="Number of tokens.", min=300)] = 16_000,
) -> None:
    """Fit a byte-level BPE tokenizer on the corpus that a run selected."""
    from winnow.pipelines.results.table import open_run
    from winnow.tokenize.fit import fit_tokenizer

    fitted = fit_tokenizer(_texts(open_run(run)), vocabulary, out, out.name)
    tokens = f"{fitted.vocab_size:,} tokens from {fitted.texts:,} texts, {fitted.bytes_per_token:.2f} bytes a token"
    say(f"{fitted.path}: {tokens}")


def _texts(done: Run) -> Iterator[str]:
    """The selected texts, one partition in memory at a time."""
    import polars as pl

    for frame in done.read(["text"], pl.col("multiplicity") > 0):
        yield from frame.get_column("text")
