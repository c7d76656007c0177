"""`rules`: the measures of Gopher, FineWeb, C4, RefinedWeb and the language's own pack, from one pass over the words.

rules: {use: rules, packs: [gopher, fineweb], word_unit: morpheme, bad_words: [lists/ko.txt]}
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import pyarrow as pa
from pydantic import BeforeValidator

from winnow.classifiers.artifacts import digest
from winnow.filters.languages import UnknownUnit
from winnow.filters.rules.table import GROUPS, MEASURES
from winnow.nearest import hint
from winnow.stages.base import Group
from winnow.stages.stage import Artifact, Located, Map, NoClauses, Settings, StageError

Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class RulesSettings(Settings):
    """`packs`: names of the language pack's rule packs whose clauses apply; its default ones unless given.
    `word_unit`: cut words otherwise than the language pack says; its thresholds for that unit apply, and where it has
    none, `packs: []` measures alone. `bad_words`: files of bad words beside the pack's, in LDNOOBW's format.
    One name alone needs no list."""

    packs: Names | None = None
    word_unit: Literal["whitespace", "character", "segment", "morpheme"] | None = None
    bad_words: Annotated[Names, Located()] = ()


class Rules(Map):
    """Measures every rule on each text: the groups of `filters/rules/table.py`.

    What is measured depends on the language pack's word lists, the files of bad words and the word unit, never on
    `packs` or thresholds. State: the entries of those files as `artifacts()` last read them, which travel with the
    pickled stage, so that a run measures with the lists that its plan was made with.
    """

    __slots__ = ("_entries",)
    _entries: tuple[str, ...]
    kind = "rules"
    choosing = frozenset({"packs"})
    version = 3
    Settings = RulesSettings

    def signals(self) -> dict[str, pa.DataType]:
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
        from winnow.filters.bad_words import BadWordsError, read, table
        from winnow.filters.segmenters import MissingSegmenter, segmenter

        files = [Path(name).expanduser() for name in self.settings.bad_words]
        try:
            entries = tuple(entry for path in files for entry in read(path))
            if entries:
                table(entries)
            cutter = segmenter(self.settings.word_unit or self.pack.word_unit, self.pack)
        except (BadWordsError, MissingSegmenter) as error:
            raise StageError(f"{self.name}: {error}") from error
        object.__setattr__(self, "_entries", entries)
        lists = [Artifact(f"{number}:{path.name}", path, digest(path)) for number, path in enumerate(files, 1)]
        if cutter is None:
            return lists
        version = hashlib.sha256(cutter.version.encode()).hexdigest()
        return [*lists, Artifact(f"words by {cutter.version}", Path(segmenters.__file__), version)]

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        from winnow.filters.rules.table import measure

        return measure(
            cast("pa.LargeStringArray", documents.column("text")),
            self.pack,
            self.settings.word_unit,
            urls=documents.column("url"),
            dates=documents.column("date"),
            more_bad_words=self._listed(),
        )

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """The stretches that the table of measures names, found with the word lists and the word unit of `measure`.
        Raises StageError for a signal that this stage does not measure."""
        from winnow.filters.rules.table import spans

        if signal not in self.signals():
            raise StageError(f"{self.name}: no signal '{signal}'{hint(signal, self.signals())}")
        return spans(text, signal, self.pack, self.settings.word_unit, more_bad_words=self._listed())

    def _listed(self) -> tuple[str, ...]:
        if not hasattr(self, "_entries"):
            self.artifacts()
        return self._entries

    def __getstate__(self) -> list[Any]:
        return [self.name, self.settings, self.pack, getattr(self, "_entries", None)]

    def __setstate__(self, state: list[Any]) -> None:
        for name, value in zip(("name", "settings", "pack", "_entries"), state, strict=True):
            if value is not None:
                object.__setattr__(self, name, value)


KIND = Rules
