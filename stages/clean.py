"""`use: clean`: repairs mojibake, odd and invisible characters, removes lines of boilerplate, and, where asked to, what C4
would remove and what edit programs say.

A transform: it says what to change, edit by edit with its rule, and the text that was extracted stays where it is. The
steps come one after the other, each on the text that those before it leave; what is stored are their edits together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import polars as pl
import pyarrow as pa
from pydantic import BeforeValidator

from winnow.filters.cleaning import Step
from winnow.filters.cleaning.characters import Width
from winnow.filters.edits import Edit, column
from winnow.identity import Located
from winnow.nearest import hint
from winnow.stages.base import EDITED, Artifact, DocumentStage, Outputs, Settings, StageError

if TYPE_CHECKING:
    from winnow.filters.cleaning import Cleaning

Files = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class CleanSettings(Settings):
    steps: tuple[Literal["mojibake", "characters", "boilerplate"], ...] = ("mojibake", "characters", "boilerplate")
    """What to do, in this order."""
    width: Width | None = None
    """What becomes of full-width characters (`filters/cleaning/characters.py`); `cjk` for languages in Han and kana unless
    given, else `ascii`."""
    languages: tuple[str, ...] | None = None
    """Whose boilerplate to know; the language pack's and English unless given."""
    c4_lines: bool = False
    """Whether to clean lines as C4 does, after the steps."""
    programs: Annotated[Files, Located()] = ()
    """Files of edit programs by document id, or by the id that the source has for the document, carried out before the steps,
    on the text that the stage is given."""


class Clean(DocumentStage):
    """Signals, of the text after all edits unless said otherwise: `edits` (how many), `removed_share` (of the characters
    before), `repaired_lines` (of mojibake), `boilerplate_lines` (removed), `damaged_share` (characters that are mojibake
    beyond repair), `chars` (without outer white space).

    With `programs`: `program` (kept, edited, dropped, refused; none for a document without one) and `bad_operations`.
    All programs are in memory, once per process.
    """

    __slots__ = ()
    kind = "clean"
    outputs = Outputs(edits=True)
    version = 3
    Settings = CleanSettings

    def signals(self) -> dict[str, pa.DataType]:
        always = {
            "edits": pa.int32(),
            "removed_share": pa.float32(),
            "repaired_lines": pa.int32(),
            "boilerplate_lines": pa.int32(),
            "damaged_share": pa.float32(),
            "chars": pa.int32(),
        }
        return always | ({"program": pa.string(), "bad_operations": pa.int32()} if self.settings.programs else {})

    def clauses(self) -> dict[str, str]:
        return {"empty": "chars >= 1"} | ({"program": "program != 'dropped'"} if self.settings.programs else {})

    def artifacts(self) -> list[Artifact]:
        from winnow.stages.program_files import ProgramFileError, identified

        self._boilerplate()
        try:
            files = [(path, identified(path)) for path in self.settings.programs]
        except ProgramFileError as error:
            raise StageError(f"{self.name}: {error}") from error
        found = [Artifact(f"{n}:{Path(path).name}", Path(path), digest) for n, (path, digest) in enumerate(files, 1)]
        self._programs(found)
        return found

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Cleaner:
        return Cleaner(self, self._steps(), self._programs(artifacts))

    def _steps(self) -> list[tuple[str, Step]]:
        """What is done to a text, in order, by name."""
        from winnow.filters.cleaning.characters import characters
        from winnow.filters.cleaning.mojibake import mojibake

        width: Width = self.settings.width or (
            "cjk" if self.pack.script in ("Jpan", "Hani", "Hans", "Hant") else "ascii"
        )
        known: dict[str, Step] = {
            "mojibake": mojibake,
            "characters": characters(width),
            "boilerplate": self._boilerplate(),
        }
        return [(name, known[name]) for name in self.settings.steps]

    def _boilerplate(self) -> Step:
        from winnow.filters.cleaning.boilerplate import BadPhrases, boilerplate, languages

        chosen: tuple[str, ...] | None = self.settings.languages
        for code in chosen or ():
            if code not in languages():
                raise StageError(
                    f"{self.name}: no boilerplate phrases for '{code}': expected some of {', '.join(languages())}{hint(code, languages())}"
                )
        try:
            return boilerplate(chosen if chosen is not None else (self.pack.code, "en"))
        except BadPhrases as error:
            raise StageError(f"{self.name}: {error}") from error

    def _programs(self, files: Sequence[Artifact]) -> Mapping[str, Any]:
        from winnow.stages.program_files import ProgramFileError, programs
        from winnow.stages.reading.batches import identity

        try:
            found: Mapping[str, Any] = programs(tuple((str(file.path), file.digest) for file in files), identity)
        except ProgramFileError as error:
            raise StageError(f"{self.name}: {error}") from error
        return found


class Cleaner:
    """The steps, and the programs by document id."""

    def __init__(self, stage: Clean, steps: Sequence[tuple[str, Step]], programs: Mapping[str, Any]) -> None:
        self.stage, self.steps, self.programs = stage, steps, programs

    def measure(self, documents: pa.RecordBatch, /) -> pa.RecordBatch:
        """The signals, the edits and `error`."""
        from winnow.filters.cleaning import Cleaning, emptied, invalid
        from winnow.filters.cleaning.mojibake import damaged
        from winnow.filters.cleaning.programs import execute

        errors = invalid(documents.column("text"))
        given = pl.Series("text", emptied(documents.column("text"), errors), pl.String)
        rows = documents.num_rows
        counts = {name: [0] * rows for name in ("mojibake", "boilerplate", "bad_operations")}
        verdicts = ["none"] * rows
        cleaning = Cleaning(given)

        def count(name: str, row: int, edits: int) -> None:
            if name in counts:
                counts[name][row] += edits

        if self.programs:
            keys = enumerate(documents.column("id").to_pylist())
            outcomes = {row: execute(given[row], self.programs[key]) for row, key in keys if key in self.programs}
            for row, outcome in outcomes.items():
                verdicts[row], counts["bad_operations"][row] = outcome.verdict, len(outcome.bad)
            cleaning.change({row: outcome.edits for row, outcome in outcomes.items() if outcome.edits})
        self._clean(cleaning, count)
        after = cleaning.after
        before_chars, after_chars = given.str.len_chars().cast(pl.Int64), after.str.len_chars().cast(pl.Int64)
        removed = (before_chars - after_chars).clip(lower_bound=0) / before_chars.clip(lower_bound=1)
        edits_of: list[list[Edit]] = [cleaning.edits.get(row, []) for row in range(rows)]
        values: dict[str, Any] = {
            "edits": [len(edits) for edits in edits_of],
            "removed_share": removed.to_list(),
            "repaired_lines": counts["mojibake"],
            "boilerplate_lines": counts["boilerplate"],
            "damaged_share": (damaged(after) / after_chars.clip(lower_bound=1)).to_list(),
            "chars": after.str.strip_chars().str.len_chars().to_list(),
            "program": verdicts,
            "bad_operations": counts["bad_operations"],
        }
        columns: dict[str, pa.Array] = {}
        for name, kind in self.stage.signals().items():
            known = [None if row in errors else value for row, value in enumerate(values[name])]
            columns[name] = pa.array(known, kind)
        columns[EDITED] = column(edits_of)
        columns["error"] = pa.array([errors.get(row) for row in range(rows)], pa.string())
        return pa.RecordBatch.from_pydict(columns)

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """What the steps would edit; for `repaired_lines` and `boilerplate_lines` those edits alone, for `damaged_share`
        what is beyond repair. Programs are by document, so nothing is shown of them. Raises StageError for a signal that
        this stage does not measure."""
        from winnow.filters.cleaning import Cleaning
        from winnow.filters.cleaning.mojibake import DAMAGE

        signals = self.stage.signals()
        if signal not in signals:
            raise StageError(f"{self.stage.name}: no signal '{signal}'{hint(signal, signals)}")
        if signal == "damaged_share":
            return [match.span() for match in re.finditer(DAMAGE, text)]
        if signal in ("program", "bad_operations"):
            return []
        rule = {"repaired_lines": "mojibake", "boilerplate_lines": "boilerplate"}.get(signal, "")
        cleaning = Cleaning(pl.Series([text], dtype=pl.String))
        self._clean(cleaning, lambda name, row, edits: None)
        edits = cleaning.edits.get(0, [])
        return [(edit.start, edit.end) for edit in edits if rule in edit.rule and edit.start < edit.end]

    def _clean(self, cleaning: Cleaning, count: Callable[[str, int, int], None]) -> None:
        from winnow.filters.cleaning.c4_lines import FEWEST_WORDS, MARKS, c4_lines

        cleaning.run(self.steps, count)
        if self.stage.settings.c4_lines:
            pack = self.stage.pack
            marks = tuple(dict.fromkeys((*MARKS, *pack.terminal_punctuation)))
            step = c4_lines(marks, FEWEST_WORDS if pack.word_unit == "whitespace" else 0)
            cleaning.change(step(cleaning.after))


KIND = Clean
