"""What a language pack holds, and how its file is read: every mistake is one sentence with the file and the key."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from winnow.identity import Execution
from winnow.nearest import hint

WordUnit = Literal["whitespace", "character", "segment", "morpheme"]
"""`whitespace`: between white space (eojeol). `character`: letters of scripts written without spaces, one by one.
`segment`: UAX 29 word boundaries, by dictionary in such scripts (ICU). `morpheme`: Kiwi's morphemes, for Korean only."""

Clauses = dict[str, dict[str, str]]


class UnknownLanguage(ValueError):
    """No pack for the language asked for; the message lists those there are and the nearest."""


class BadLanguagePack(UnknownLanguage):
    """A file that is no sound language pack; one line per mistake."""


class UnknownUnit(ValueError):
    """Thresholds asked for in a word unit for which the pack has none."""


class UnitRules(BaseModel):
    """What holds in one word unit only. `clauses[pack][clause]` is one comparison of a bare signal of the `rules` stage
    with a number: `word_count >= 50`."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    stop_words: tuple[str, ...]
    clauses: Annotated[Clauses, Execution()]


class LanguagePack(BaseModel):
    """One language; what is marked as execution changes no measurement. `stop_words` and `clauses` are for `word_unit`; `units` has those for others."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    code: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]  # ISO 639-1 where there is one, used in declarations: ko
    iso639_3: Annotated[str, Field(pattern=r"^[a-z]{3}$")]  # kor
    name: Annotated[str, Field(min_length=1)]  # Korean
    script: Annotated[str, Field(pattern=r"^[A-Z][a-z]{3}$")]  # ISO 15924: Hang; with iso639_3 FineWeb2's kor_Hang
    own_script: bool  # pages without this script's characters cannot be in the language
    word_unit: WordUnit
    version: Annotated[int, Field(ge=1), Execution()]
    provenance: Annotated[str, Field(min_length=1), Execution()]  # where thresholds and word lists come from
    language_score: Annotated[float, Field(gt=0, lt=1), Execution()]  # least language-ID score
    stop_words: tuple[str, ...]
    endings: tuple[str, ...] = ()  # particles and verb endings: what words of running text end in
    sentence_endings: tuple[str, ...] = ()  # what the last word of a sentence ends in
    terminal_punctuation: tuple[Annotated[str, Field(min_length=1, max_length=1)], ...] = ()
    # ends a sentence in this language; empty: Unicode's Sentence_Terminal
    bad_words: tuple[str, ...] = ()  # whole words, or with a trailing `*` what a word starts with
    clauses: Annotated[Clauses, Execution()]
    default_packs: Annotated[
        tuple[str, ...], Execution()
    ] = ()  # those of `clauses` that apply unless a declaration names others; empty: all
    units: dict[WordUnit, UnitRules] = {}
    calibration: Annotated[
        dict[str, JsonValue], Execution()
    ] = {}  # name of a collection of texts -> statistics of it, and how to get them

    @property
    def fineweb2(self) -> str:
        """The FineWeb2 code, `kor_Hang`."""
        return f"{self.iso639_3}_{self.script}"

    @property
    def spaceless(self) -> bool:
        """Whether white space parts no words in this language: the pack's unit is finer."""
        return self.word_unit in ("character", "segment")

    def rules(self, unit: str | None = None) -> UnitRules:
        """Stop words and clauses for a word unit, `word_unit` unless given. Raises UnknownUnit where the pack has none:
        thresholds found in one unit mean nothing in another."""
        if unit is None or unit == self.word_unit:
            return UnitRules(stop_words=self.stop_words, clauses=self.clauses)
        if unit in self.units:
            return self.units[unit]
        known = [self.word_unit, *self.units]
        raise UnknownUnit(
            f"language pack '{self.code}' has no thresholds for the word unit '{unit}': they are for "
            f"'{self.word_unit}'{''.join(f' and {other!r}' for other in self.units)} and do not hold for another unit; "
            f"expected word_unit: {' or '.join(known)}"
        )


def parsed(tree: object, name: str) -> LanguagePack:
    """The pack that a YAML tree holds; `name` is its file, for messages. Raises BadLanguagePack with one line per
    mistake."""
    if not isinstance(tree, dict):
        raise BadLanguagePack(f"{name}: expected a mapping with the keys of a language pack, got {type(tree).__name__}")
    try:
        return LanguagePack.model_validate(tree)
    except ValidationError as error:
        raise BadLanguagePack("\n".join(f"{name}: {_sentence(e)}" for e in error.errors())) from None


def _sentence(error: Any) -> str:
    path = [str(part) for part in error["loc"] if part != "[key]"]
    where, value = ".".join(path), error["input"]
    if error["type"] == "extra_forbidden":
        return f"unknown key '{where}': expected one of {', '.join(_keys(path))}{hint(path[-1], _keys(path))}"
    if error["type"] == "missing":
        return f"no key '{where}': expected one"
    if (path[0] == "units" and len(path) == 2) or where == "word_unit":
        return f"{where}: expected one of {', '.join(get_args(WordUnit))}, got {value!r}{hint(str(value), get_args(WordUnit))}"
    if error["type"] == "string_type" and isinstance(value, bool):
        return f"{where}: expected text, got {str(value).lower()}; write the word in quotes"
    said = error["msg"][0].lower() + error["msg"][1:]
    return f"{where}: {said}, got {str(value)[:60]!r}"


def _keys(path: list[str]) -> list[str]:
    model = UnitRules if path[0] == "units" else LanguagePack
    return list(model.model_fields)
