"""`rules`: the measures of Gopher, FineWeb and the language's own pack, all from one pass over the words."""

from __future__ import annotations

import difflib
from typing import Literal, cast

import pyarrow as pa

from winnow.filters.measures import MEASURES
from winnow.stages.stage import Map, Settings, StageError


class RulesSettings(Settings):
    """`packs`: names of the language pack's rule packs whose clauses apply; all of them unless given.
    `word_unit`: cut words otherwise than the language pack says."""

    packs: tuple[str, ...] | None = None
    word_unit: Literal["whitespace", "character"] | None = None


class Rules(Map):
    """Measures every rule on each text: the table in `filters/measures.py`.

    What is measured depends on the language pack's word lists and the word unit, never on `packs` or thresholds.
    """

    __slots__ = ()
    kind = "rules"
    version = 1
    Settings = RulesSettings

    def signals(self) -> dict[str, pa.DataType]:
        return {measure.name: measure.type for measure in MEASURES}

    def clauses(self) -> dict[str, str]:
        """The clauses of the chosen packs. Raises StageError for a pack that the language does not have, or for two
        packs that give one name to different clauses."""
        known = self.pack.clauses
        chosen: dict[str, str] = {}
        for name in self.settings.packs if self.settings.packs is not None else known:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.3)
                hint = f"; nearest: '{near[0]}'" if near else ""
                raise StageError(
                    f"{self.name}: language pack '{self.pack.code}' has no rule pack '{name}': expected one of "
                    f"{', '.join(known)}{hint}"
                )
            for clause, expression in known[name].items():
                if chosen.setdefault(clause, expression) != expression:
                    raise StageError(
                        f"{self.name}: rule pack '{name}' of language pack '{self.pack.code}' names a clause '{clause}' "
                        f"that another pack in use has as '{chosen[clause]}': expected names of their own"
                    )
        return chosen

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        from winnow.filters.lexicon import lexicon
        from winnow.filters.rules import measure

        texts = cast("pa.LargeStringArray", documents.column("text"))
        return measure(texts, lexicon(self.pack), self._by_character())

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """The stretches that `filters/spans.py` names, found with the word lists and the word unit of `measure`.
        Raises StageError for a signal that this stage does not measure."""
        from winnow.filters.spans import spans

        if signal not in self.signals():
            near = difflib.get_close_matches(signal, self.signals(), n=1, cutoff=0.3)
            hint = f": nearest is '{near[0]}'" if near else ""
            raise StageError(f"{self.name}: no signal '{signal}'{hint}")
        return spans(text, signal, self.pack, self._by_character())

    def _by_character(self) -> bool:
        return (self.settings.word_unit or self.pack.word_unit) == "character"


KIND = Rules
