"""Language packs: everything that is data about a language, one YAML file each.

A pack holds codes, script, word unit, stop words and the thresholds of every rule pack calibrated for that
language, versioned together: changing a number here changes the fingerprint of the stages that use it. Thresholds and
stop words belong to the unit in which they were found: `rules` hands them out for that unit or refuses.

Packs that ship are named by a code (`ko`); a pack of one's own by the path of its file (`packs/tr.yaml`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from winnow.filters.bounded_yaml import OutOfBounds, Texts, load, read_text
from winnow.filters.languages.pack import (
    BadLanguagePack,
    LanguagePack,
    UnitRules,
    UnknownLanguage,
    UnknownUnit,
    WordUnit,
    parsed,
)
from winnow.nearest import hint

__all__ = [
    "BadLanguagePack",
    "LanguagePack",
    "UnitRules",
    "UnknownLanguage",
    "UnknownUnit",
    "WordUnit",
    "language_pack",
    "languages",
]

FOLDER = Path(__file__).parent


def languages() -> list[str]:
    """Codes of the languages that have a pack here, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def language_pack(name: str) -> LanguagePack:
    """The pack for an ISO 639-1, ISO 639-3 or FineWeb2 code (`ko`, `kor`, `kor_Hang`), or of the file at a path that
    ends in `.yaml` or `.yml`, relative to the current folder and read anew each time.

    Raises UnknownLanguage for a code without a pack or a file that is not there, BadLanguagePack, which is one too, for a
    file that is no pack. Whether its thresholds make sense says `winnow.filters.pack_check`.
    """
    if name.endswith((".yaml", ".yml")):
        return _opened(name)
    return _shipped(name)


@cache
def _shipped(code: str) -> LanguagePack:
    for stem in sorted(languages(), key=lambda stem: stem != code):
        path = FOLDER / f"{stem}.yaml"
        pack = parsed(_tree(path.read_text("utf-8"), str(path)), str(path))
        if code in (pack.code, pack.iso639_3, pack.fineweb2):
            return pack
    raise UnknownLanguage(
        f"no language pack for '{code}': expected one of {', '.join(languages())}{hint(code, languages())}, or the path of a pack's file "
        "(xx.yaml; `winnow fit language` makes one)"
    )


def _opened(name: str) -> LanguagePack:
    path = Path(name)
    try:
        text = read_text(path)
    except OSError as error:
        where = "" if path.is_absolute() else f" (from {Path.cwd()})"
        raise UnknownLanguage(f"no language pack at '{name}'{where}: {error.strerror or error}") from None
    except OutOfBounds as error:
        raise UnknownLanguage(f"{name}: {error}") from None
    return parsed(_tree(text, name), name)


class _OneOfEach(Texts):
    """Refuses a key that a mapping has twice, of which YAML would silently take the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key '{key.value}' twice", key.start_mark)
            seen.add(key.value)
        return node


def _tree(text: str, name: str) -> object:
    try:
        tree: object = load(text, _OneOfEach)
        return tree
    except OutOfBounds as error:
        raise BadLanguagePack(f"{name}{f':{error.line}' if error.line else ''}: {error}") from None
