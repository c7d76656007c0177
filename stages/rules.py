"""`rules`: the measures of Gopher, FineWeb, C4, RefinedWeb and the language's own pack, from one pass over the words.

rules: {use: rules, packs: [gopher, fineweb], word_unit: morpheme, bad_words: [lists/ko.txt]}
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, cast

import pyarrow as pa
from pydantic import BeforeValidator

from winnow.classifiers.artifacts import digest
from winnow.filters.bad_words import BadWordsError, read, table
from winnow.filters.languages import LanguagePack, UnknownUnit
from winnow.filters.passages import Span
from winnow.filters.rules.table import GROUPS, MEASURES, measure, spans
from winnow.identity import Execution, Located
from winnow.nearest import hint
from winnow.stages.base import Artifact, DocumentStage, Group, NoClauses, Settings, StageError, Types

Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class RulesSettings(Settings):
    packs: Annotated[Names | None, Execution()] = None
    """Names of the language pack's rule packs whose clauses apply; its default ones unless given. One needs no list."""
    word_unit: Literal["whitespace", "character", "segment", "morpheme"] | None = None
    """Cut words otherwise than the language pack says; its thresholds for that unit apply, and where it has none,
    `packs: []` measures alone."""
    bad_words: Annotated[Names, Located()] = ()
    """Files of bad words beside the pack's, in LDNOOBW's format. One needs no list."""


@dataclass(frozen=True, slots=True)
class RulesMeasurer:
    """Groups of rules, all unless `groups` names some, with the bad words of the pack and `listed` beside them."""

    stage: str
    pack: LanguagePack
    unit: str | None
    listed: tuple[str, ...]
    groups: Collection[str] | None = None

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        return measure(
            cast("pa.LargeStringArray", documents.column("text")),
            self.pack,
            self.unit,
            urls=documents.column("url"),
            dates=documents.column("date"),
            more_bad_words=self.listed,
            groups=self.groups,
        )

    def highlight(self, text: str, signal: str) -> list[Span]:
        """The stretches that the row of a measure names. Raises StageError for a signal that no rule measures."""
        names = [measure.name for measure in MEASURES]
        if signal not in names:
            raise StageError(f"{self.stage}: no signal '{signal}'{hint(signal, names)}")
        return spans(text, signal, self.pack, self.unit, more_bad_words=self.listed)


class Rules(DocumentStage):
    """Measures every rule on each text: the groups of `filters/rules/table.py`, each versioned and filed by itself.

    What is measured depends on the language pack's word lists, the files of bad words and the word unit, never on
    `packs` or thresholds.
    """

    __slots__ = ()
    kind = "rules"
    version = 3
    Settings = RulesSettings

    def signals(self) -> Types:
        return {measure.name: measure.type for measure in MEASURES}

    def groups(self) -> dict[str, Group]:
        return {
            group.name: Group(group.version, {measure.name: measure.type for measure in group.measures})
            for group in GROUPS
        }

    def clauses(self) -> dict[str, str]:
        """The clauses of the chosen packs. Raises StageError for a word unit that the language has no thresholds for,
        for a pack that it does not have, or for two packs that give one name to different clauses."""
        if self.settings.packs == ():
            return {}
        try:
            known = self.pack.rules(self.settings.word_unit).clauses
        except UnknownUnit as error:
            raise NoClauses(f"{self.name}: {error}, or keep: true to measure alone") from error
        usual = tuple(name for name in self.pack.default_packs if name in known) or tuple(known)
        chosen: dict[str, str] = {}
        for name in self.settings.packs if self.settings.packs is not None else usual:
            if name not in known:
                raise StageError(
                    f"{self.name}: language pack '{self.pack.code}' has no rule pack '{name}' for words of the unit "
                    f"'{self.settings.word_unit or self.pack.word_unit}': expected one of {', '.join(known)}{hint(name, known)}"
                )
            for clause, expression in known[name].items():
                if chosen.setdefault(clause, expression) != expression:
                    raise StageError(
                        f"{self.name}: rule pack '{name}' of language pack '{self.pack.code}' names a clause '{clause}' "
                        f"that another pack in use has as '{chosen[clause]}': expected names of their own"
                    )
        return chosen

    def artifacts(self) -> list[Artifact]:
        """The files of bad words, read and tried, and the version of what cuts words, if it is not the kernel. Raises
        StageError for a bad file, and for a word unit that needs a package which is not installed."""
        from winnow.filters import segmenters

        files = [Path(name).expanduser() for name in self.settings.bad_words]
        lists = [Artifact(f"{number}:{path.name}", path, self._read(path)[1]) for number, path in enumerate(files, 1)]
        try:
            cutter = segmenters.segmenter(self.settings.word_unit or self.pack.word_unit, self.pack)
        except segmenters.MissingSegmenter as error:
            raise StageError(f"{self.name}: {error}") from error
        if cutter is None:
            return lists
        version = hashlib.sha256(cutter.version.encode()).hexdigest()
        return [*lists, Artifact(f"words by {cutter.version}", Path(segmenters.__file__), version)]

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> RulesMeasurer:
        listed: list[str] = []
        for artifact in artifacts[: len(self.settings.bad_words)]:
            entries, found = self._read(artifact.path)
            if found != artifact.digest:
                raise StageError(f"{self.name}: bad words '{artifact.path}' changed during the run: run again")
            listed += entries
        return RulesMeasurer(self.name, self.pack, self.settings.word_unit, tuple(listed), groups)

    def _read(self, path: Path) -> tuple[tuple[str, ...], str]:
        """The entries of a file and its digest. Raises StageError for a bad one."""
        try:
            entries = read(path)
            table(entries)
        except BadWordsError as error:
            raise StageError(f"{self.name}: {error}") from error
        return entries, digest(path)


KIND = Rules
