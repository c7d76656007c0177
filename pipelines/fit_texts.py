"""The texts that a language pack is fitted on: files, or the documents of a run, and of each a bounded sample.

A sample is the texts with the least xxh64 (seed 0; of the text, or of the document's id), so that it does not depend on
the order of files or partitions. Texts that are equal count once.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import polars as pl
import pyarrow as pa
import xxhash

from winnow.classifiers.language_id import LanguageIdentifier
from winnow.filters.calibrate import documents, files
from winnow.filters.fitting import FitError, writing
from winnow.pipelines.results.table import Run, open_run
from winnow.stages.langid import LangidSettings, LangidStage, prefixes

BATCH = 500

Keyed = tuple[str, str]
"""What a text is drawn by, and the text."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read: `fields` of rows, `join` rows to that many characters, `lines` of text files as rows."""

    fields: tuple[str, ...] = ("text",)
    join: int = 0
    lines: bool = False


@dataclass(slots=True)
class Sample:
    """At most `size` texts of those added. `seen`: how many texts there were, without blank ones."""

    size: int
    seen: int = 0
    held: dict[int, str] = field(default_factory=dict)

    def add(self, key: str, text: str) -> None:
        """One text, by the hash of its key."""
        self.seen += 1
        self.held.setdefault(xxhash.xxh64_intdigest(key.encode("utf-8")), text)
        if len(self.held) > 2 * self.size:
            self._cut()

    def texts(self) -> list[str]:
        """In the order of their hashes."""
        self._cut()
        return list(self.held.values())

    def _cut(self) -> None:
        self.held = {drawn: self.held[drawn] for drawn in sorted(self.held)[: self.size]}


@dataclass(frozen=True, slots=True)
class Texts:
    """A sample of one side: its texts, how many there were, and the model's scores of those in the language."""

    texts: list[str]
    seen: int
    scores: list[float]


def found(paths: Sequence[str | Path], expected: str = "texts") -> list[Path]:
    """The files that paths, folders and patterns name, each once, sorted. Raises FitError for what is not there;
    `expected`: what should be."""
    named = [path for name in paths for path in _matching(str(name))]
    missing = [path for path in named if not path.exists()]
    if missing:
        raise FitError(f"{missing[0]}: no such file or folder: expected {expected}")
    every = sorted(set(files(named)))
    if not every:
        raise FitError(
            f"{named[0]}: a folder without any file to read: expected {expected}, as .txt, .md, .jsonl, .parquet or .tsv"
        )
    return every


def _matching(name: str) -> list[Path]:
    """What a pattern matches; the path itself where it matches nothing."""
    path = Path(name)
    if not any(sign in name for sign in "*?[") or path.exists():
        return [path]
    parts = path.parts
    fixed = next(i for i, part in enumerate(parts) if any(sign in part for sign in "*?["))
    return sorted(Path(*parts[:fixed]).glob(str(Path(*parts[fixed:])))) or [path]


def read(paths: Sequence[Path], reading: Reading) -> Iterator[Keyed]:
    """The texts of files that are not blank; what JSON escapes as half a surrogate pair becomes `?`."""
    for text in documents(paths, reading.fields, reading.join, reading.lines):
        if text and not text.isspace():
            whole = text.encode("utf-8", "replace").decode("utf-8")
            yield whole, whole


def content(paths: Sequence[Path]) -> str:
    """sha256 (hex) over the sha256 of every file, sorted: what the files hold, not how they are called."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def opened(reference: str) -> Run | None:
    """The run that a reference names, None where it names files. Raises RunError for a folder of an unfinished run, and
    FitError for a run that gave texts up."""
    path = Path(reference)
    inside = path.is_dir() and any((path / name).exists() for name in ("run.json", "records"))
    if not inside and (path.exists() or not ("://" in reference or "@" in reference)):
        return None
    run = open_run(reference)
    if run.plan.store.exists(run.plan.purged):
        raise FitError(
            f"{reference}: it gave up the texts of documents that were not selected (rejected: metadata), so that it shows no "
            "crawl any more: expected a run that has them"
        )
    return run


def of_run(run: Run, code: str, model: str) -> Iterator[Keyed]:
    """Every document of a run that has text, kept or not, one partition in memory at a time; where a stage of the run
    asked the same language model already, those that it put in the language."""
    asked = None
    for name, node in run.plan.pipeline.nodes.items():
        settings = node.stage.settings
        if isinstance(node.stage, LangidStage) and (settings.model, settings.chars) == (model, LangidSettings().chars):
            asked = name
    for frame in run.read(["id", "text"], None if asked is None else pl.col(f"{asked}.label") == code):
        for key, text in frame.iter_rows():
            if text and not text.isspace():
                yield key, unicodedata.normalize("NFC", text)


def labelled(
    texts: Iterable[Keyed], model: LanguageIdentifier | None
) -> Iterator[tuple[str, str, str | None, float | None]]:
    """Key, text, and by the model its language and score, of the beginning that a `langid` stage reads."""
    rest = iter(texts)
    while batch := list(islice(rest, BATCH)):
        if model is None:
            yield from ((key, text, None, None) for key, text in batch)
            continue
        column = pa.array([text for _, text in batch], pa.large_string())
        labels, scores = model.predict(prefixes(column, LangidSettings().chars))
        for (key, text), label, score in zip(batch, labels, scores, strict=True):
            yield key, text, label, score


def sampled(
    texts: Iterable[Keyed], size: int, model: LanguageIdentifier | None, least: float | None, code: str, what: str
) -> Texts:
    """A sample of texts; with `least`, only of those that the model puts in the language with that score or more.
    Without it the sample's scores are those of the language, which most texts must be in."""
    sample = Sample(size)
    if least is None:
        for key, text in texts:
            sample.add(key, text)
        drawn = sample.texts()
        if model is None or not drawn:
            return Texts(drawn, sample.seen, [])
        answers = [(str(label), float(score or 0)) for _, _, label, score in labelled(((t, t) for t in drawn), model)]
        of = "--base-reference" if what == "base reference" else "--lang"
        own = writing.of_language([a for a, _ in answers], [s for _, s in answers], code, what, of)
        return Texts(drawn, sample.seen, own)
    for key, text, label, score in labelled(texts, model):
        if model is None or (label == code and score is not None and score >= least):
            sample.add(key, text)
    return Texts(sample.texts(), sample.seen, [])
