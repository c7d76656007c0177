"""Fits the tokenizers that ship in models/ and writes their cards: `python -m winnow.tokenize.fit_shipped --data FOLDER`

FOLDER holds the source folders named in RECIPES, each with its own SOURCE.txt. Only sources whose licences allow
derivatives are read; the texts themselves are not copied. Same data, same bytes.
"""

from __future__ import annotations

import argparse
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import tokenizers

from winnow.tokenize.fit import FitReport, fit_tokenizer, read_texts
from winnow.tokenize.tokenizer import MODELS, TokenizerError, find, load

HANGUL_SHARE = 0.05  # below it a page of the Korean documentation is an untranslated English one


def _pages(folder: Path, pattern: str) -> Iterator[str]:
    for path in sorted(folder.glob(pattern)):
        yield unicodedata.normalize("NFC", path.read_text("utf-8"))


def _hangul_share(text: str) -> float:
    return sum("가" <= c <= "힣" for c in text) / max(len(text), 1)


def _korean(texts: Iterator[str]) -> Iterator[str]:
    return (text for text in texts if _hangul_share(text) >= HANGUL_SHARE)


def _foreign(texts: Iterator[str]) -> Iterator[str]:
    """What translators left in English: the paragraphs without Hangul (prose, examples, commands) of each page."""
    for text in texts:
        kept = [paragraph for paragraph in text.split("\n\n") if _hangul_share(paragraph) == 0]
        yield "\n\n".join(kept)


def _boolq(folder: Path) -> Iterator[str]:
    """The paragraphs of KoBEST BoolQ, each once (questions share them)."""
    seen: set[str] = set()
    for path in sorted(folder.glob("BoolQ/*.tsv")):
        for line in path.read_text("utf-8").splitlines()[1:]:
            text = unicodedata.normalize("NFC", line.split("\t")[1])
            if text not in seen:
                seen.add(text)
                yield text


def _sentences(folder: Path) -> Iterator[str]:
    """The sentences of a Universal Dependencies treebank."""
    for path in sorted(folder.glob("*.conllu")):
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("# text = "):
                yield unicodedata.normalize("NFC", line.removeprefix("# text = "))


@dataclass(frozen=True, slots=True)
class Source:
    """One folder of FOLDER, its licence as its SOURCE.txt states it, and how its texts are read."""

    folder: str
    licence: str
    what: str
    texts: Callable[[Path], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One shipped tokenizer. `held_out` names texts it was not fitted on, for its fertility."""

    name: str
    vocab_size: int
    what: str
    sources: tuple[Source, ...]
    held_out: tuple[Source, ...]


GSD = Source("ko-hq-ud-gsd", "CC-BY-SA-4.0", "UD Korean GSD sentences (news, blogs)", _sentences)
RECIPES = (
    Recipe(
        "ko-bpe",
        24_000,
        "Korean: encyclopedic, edited and legal prose, technical documentation, a little user text",
        (
            Source("ko-hq-kobest", "CC-BY-SA-4.0", "KoBEST BoolQ paragraphs (Wikipedia)", _boolq),
            Source("ko-hq-ud-kaist", "CC-BY-SA-4.0", "UD Korean Kaist sentences", _sentences),
            Source("ko-gov-law", "public law", "constitution and bills", lambda f: _pages(f, "ko*/*.txt")),
            Source("ko-docs-k8s", "CC-BY-4.0", "Kubernetes documentation", lambda f: _korean(_pages(f, "**/*.md"))),
            Source("ko-docs-react", "CC-BY-4.0", "React documentation", lambda f: _korean(_pages(f, "**/*.md"))),
            Source("ko-docs-rustbook", "MIT or Apache-2.0", "The Rust Book", lambda f: _korean(_pages(f, "src/*.md"))),
            Source("ko-docs-hf-course", "Apache-2.0", "Hugging Face course", lambda f: _korean(_pages(f, "**/*.mdx"))),
            Source("ko-docs-techinterview", "MIT", "computer science notes", lambda f: _korean(_pages(f, "**/*.md"))),
            Source("ko-docs-interviewq", "MIT", "interview notes", lambda f: _korean(_pages(f, "*/*.md"))),
            Source(
                "ko-docs-cncf-glossary", "CC-BY-4.0", "CNCF glossary, Korean", lambda f: _pages(f, "content/ko/*.md")
            ),
            Source(
                "ko-sentiment-nsmc",
                "CC0-1.0",
                "film reviews, the first 10,000",
                lambda f: islice(read_texts([f / "train.jsonl.gz"]), 10_000),
            ),
        ),
        (GSD,),
    ),
    Recipe(
        "web-bpe",
        12_000,
        "English, Japanese and Korean, mostly technical; Chinese only through the kanji of Japanese",
        (
            Source(
                "ko-docs-cncf-glossary", "CC-BY-4.0", "CNCF glossary, English", lambda f: _pages(f, "content/en/*.md")
            ),
            Source(
                "ko-docs-cncf-glossary", "CC-BY-4.0", "CNCF glossary, Japanese", lambda f: _pages(f, "content/ja/*.md")
            ),
            Source(
                "ko-docs-cncf-glossary", "CC-BY-4.0", "CNCF glossary, Korean", lambda f: _pages(f, "content/ko/*.md")
            ),
            Source("ko-docs-react", "CC-BY-4.0", "React, English paragraphs", lambda f: _foreign(_pages(f, "**/*.md"))),
            Source(
                "ko-docs-k8s", "CC-BY-4.0", "Kubernetes, English paragraphs", lambda f: _foreign(_pages(f, "**/*.md"))
            ),
            Source("ko-hq-ud-kaist", "CC-BY-SA-4.0", "UD Korean Kaist sentences", _sentences),
        ),
        (
            GSD,
            Source(
                "ko-docs-hf-course",
                "Apache-2.0",
                "English paragraphs of the Hugging Face course",
                lambda f: _foreign(_pages(f, "**/*.mdx")),
            ),
        ),
    ),
)

CARD = """# {name}

{what}.

Byte-level BPE, {vocab_size:,} entries (`<|endoftext|>` 0, `<|pad|>` 1, 256 bytes, merges), NFC, letter runs split where
Hangul, Han or kana meet other scripts, digits in groups of at most three. No text is unknown to it.

Made by `python -m winnow.tokenize.fit_shipped --data FOLDER` with tokenizers {library}; fitting again gives the same bytes.

- tokenizer.json sha256 `{sha256}`
- fitted on {texts:,} texts, {characters:,} characters
{fertility}

| source | texts | characters | licence |
|---|---|---|---|
{rows}

The file is derived from all of these and carries no text of theirs beyond vocabulary entries (at most 32 bytes each).
It is small, for samples, tests and small models; fit your own for a large run: `winnow fit tokenizer`.
"""


def fit_shipped(recipe: Recipe, data: Path, models: Path = MODELS) -> FitReport:
    """Fits one recipe and writes `models`/NAME with its card. Raises TokenizerError where a source is missing."""
    rows: list[str] = []

    def texts() -> Iterator[str]:
        for source in recipe.sources:
            count = characters = 0
            for text in source.texts(_folder(data, source)):
                count += 1
                characters += len(text)
                yield text
            rows.append(f"| {source.folder}: {source.what} | {count:,} | {characters:,} | {source.licence} |")

    out = models / recipe.name
    report = fit_tokenizer(texts(), recipe.vocab_size, out, recipe.name)
    fertility: list[str] = []
    for source in recipe.held_out:
        unseen = list(source.texts(_folder(data, source)))
        tokens = len(load(find(str(out))).encode(unseen).ids)
        per_character = tokens / sum(map(len, unseen))
        per_token = sum(len(text.encode()) for text in unseen) / tokens
        fertility.append(
            f"- not fitted on, {source.what} ({source.folder}): {per_character:.3f} tokens per character, "
            f"{per_token:.2f} bytes per token"
        )
    card = CARD.format(
        name=recipe.name,
        what=recipe.what,
        vocab_size=recipe.vocab_size,
        library=tokenizers.__version__,
        sha256=report.sha256,
        texts=report.texts,
        characters=report.characters,
        fertility="\n".join(fertility),
        rows="\n".join(rows),
    )
    (out / "README.md").write_text(card, "utf-8")
    return report


def _folder(data: Path, source: Source) -> Path:
    folder = data / source.folder
    if not folder.is_dir():
        raise TokenizerError(f"{folder}: missing, expected {source.what}")
    return folder


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="winnow.tokenize.fit_shipped", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="folder that holds the source folders")
    data = parser.parse_args().data
    for recipe in RECIPES:
        print(fit_shipped(recipe, data))


if __name__ == "__main__":
    main()
