"""Language packs: everything that is data about a language, one YAML file each.

A pack holds codes, script, word unit, stop words and the thresholds of every rule pack calibrated for that
language, versioned together: changing a number here changes the fingerprint of the stages that use it.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

FOLDER = Path(__file__).parent


class UnknownLanguage(ValueError):
    """No pack for the language asked for; the message lists those there are and the nearest."""


class LanguagePack(BaseModel):
    """One language. `clauses[pack][clause]` is an SQL boolean over the bare signals of the `rules` stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str  # ISO 639-1, the name used in declarations: ko
    iso639_3: str  # kor
    name: str  # Korean
    script: str  # ISO 15924: Hang; with iso639_3 the FineWeb2 code kor_Hang
    own_script: bool  # pages without this script's characters cannot be in the language
    word_unit: Literal["whitespace", "character"]
    version: int
    language_score: float  # least language-ID score
    stop_words: tuple[str, ...]
    endings: tuple[str, ...] = ()  # particles and verb endings: what words of running text end in
    sentence_endings: tuple[str, ...] = ()  # what the last word of a sentence ends in
    bad_words: tuple[str, ...] = ()  # whole words, or with a trailing `*` what a word starts with
    clauses: dict[str, dict[str, str]]  # rule pack -> clause name -> expression

    @property
    def fineweb2(self) -> str:
        """The FineWeb2 code, `kor_Hang`."""
        return f"{self.iso639_3}_{self.script}"


def languages() -> list[str]:
    """Codes of the languages that have a pack, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def language_pack(code: str) -> LanguagePack:
    """The pack for an ISO 639-1, ISO 639-3 or FineWeb2 code (`ko`, `kor`, `kor_Hang`). Raises UnknownLanguage."""
    for stem in languages():
        pack = LanguagePack.model_validate(yaml.safe_load((FOLDER / f"{stem}.yaml").read_text("utf-8")))
        if code in (pack.code, pack.iso639_3, pack.fineweb2):
            return pack
    near = difflib.get_close_matches(code, languages(), n=1, cutoff=0.3)
    hint = f"; nearest: '{near[0]}'" if near else ""
    raise UnknownLanguage(f"no language pack for '{code}': expected one of {', '.join(languages())}{hint}")
