"""`use: urls`: rules on addresses, before a byte of the page is looked at.

    urls: {use: urls, lists: [lists/ut1/adult, {path: words.txt, kind: soft_words}], own: [adult, spam], allow: [good.example]}

Lists are those of the user and, unless `own` says otherwise, four small ones of ours. The public suffix list and every
list file enter the stage's fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from winnow.classifiers.artifacts import digest
from winnow.filters.urls.address import HOSTING, REGISTRIES, snapshot
from winnow.filters.urls.lists import KINDS, OWN, THEMES, ListError, ListFile, found, own
from winnow.filters.urls.rules import UrlRules
from winnow.identity import Located
from winnow.nearest import hint, nearest
from winnow.stages.base import Artifact, PageStage, Settings, StageError, Types
from winnow.stages.source import Page

Kind = Literal[
    "domains", "hosts", "urls", "suffixes", "words", "soft_words", "substrings", "exceptions", "allow"
]  # lists.KINDS; a test compares them


class ListSettings(Settings):
    """A list."""

    path: str
    """A file, or the folder of a UT1 category."""
    kind: Kind = "domains"
    """What the entries of a file are."""
    name: str | None = None
    """What documents are said to be listed in; without one the file's name, up to its first dot."""

    @field_validator("kind", mode="before")
    @classmethod
    def _known(cls, kind: Any) -> Any:
        if kind in KINDS:
            return kind
        hard = isinstance(kind, str) and kind.lower().startswith(("hard", "word"))
        near = "words" if hard else nearest(str(kind), KINDS)
        raise PydanticCustomError(
            "kind",
            "no kind of list '{kind}': expected {kinds} or {last}{hint}",
            {
                "kind": str(kind),
                "kinds": ", ".join(KINDS[:-1]),
                "last": KINDS[-1],
                "hint": f"; nearest: '{near}'" if near else "",
            },
        )


def _listed(value: Any) -> Any:
    """One list may stand without brackets, and a bare path is a list of domains."""
    entries = (value,) if isinstance(value, str | dict) else value
    if not isinstance(entries, list | tuple):
        return entries
    return tuple({"path": entry} if isinstance(entry, str) else entry for entry in entries)


Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class UrlsSettings(Settings):
    lists: Annotated[tuple[ListSettings, ...], BeforeValidator(_listed), Located(inside="path")] = ()
    """Your own, one or several; a bare path stands for a list of domains."""
    own: Names = Field(default=THEMES)
    """Which of ours: adult, gambling, piracy, spam."""
    allow: Names = ()
    """Domains that nothing is said against, with all below them."""


class Urls(PageStage):
    """What is known of a page's address."""

    __slots__ = ()
    kind = "urls"
    version = 2
    Settings = UrlsSettings
    sees = "addresses"

    def signals(self) -> dict[str, pa.DataType]:
        """`host`, `domain` (registered; the host where it has none) and `suffix` (public), in ASCII form, null where the
        address has none. `listed`: the list that host or page stands in. `words`, `soft_words`: how many distinct hard
        words (with substrings of the host) and soft ones; `word`, `soft`: the first hard one, and all soft ones. Null for
        none. `malformed`: there is an address and no host in it."""
        return {
            "host": pa.string(),
            "domain": pa.string(),
            "suffix": pa.string(),
            "listed": pa.string(),
            "words": pa.int32(),
            "word": pa.string(),
            "soft_words": pa.int32(),
            "soft": pa.string(),
            "malformed": pa.bool_(),
        }

    def clauses(self) -> dict[str, str]:
        """`soft is null` is there for the sake of the recorded value, which names the signals of a clause: it says nothing
        that `soft_words < 2` does not."""
        return {
            "listed": "listed is null",
            "hard_words": "word is null",
            "soft_words": "soft_words < 2 or soft is null",
        }

    def artifacts(self) -> list[Artifact]:
        """The list files, ours as one, and the public suffix list. Reads the lists, so that a bad one stops the run
        before it starts. Raises StageError."""
        files = self._files()
        digests = tuple(digest(file.path) for file in files)
        self._rules(tuple(files), digests)
        given = [
            Artifact(f"{number}:{file.name}.{file.kind}", file.path, sha)
            for number, (file, sha) in enumerate(zip(files, digests, strict=True), 1)
            if file.path.parent != OWN
        ]
        ours = [f"{file.path.name} {digest(file.path)}\n" for theme in self.settings.own for file in own(theme)]
        ours += [f"{path.name} {digest(path)}\n" for path in (HOSTING, REGISTRIES)]
        return [
            *given,
            Artifact("own-lists", OWN, hashlib.sha256("".join(ours).encode()).hexdigest()),
            Artifact("public-suffixes", snapshot(), digest(snapshot())),
        ]

    def open(self, artifacts: Sequence[Artifact], groups: Collection[str] | None = None) -> Addresses:
        files = self._files()
        return Addresses(self._rules(tuple(files), tuple(digest(file.path) for file in files)), self.signals())

    def _rules(self, files: tuple[ListFile, ...], digests: tuple[str, ...]) -> UrlRules:
        try:
            return _loaded(files, digests, self.settings.allow)
        except ListError as error:
            raise StageError(f"{self.name}: {error}") from error

    def _files(self) -> list[ListFile]:
        settings: UrlsSettings = self.settings
        files: list[ListFile] = []
        try:
            for one in settings.lists:
                path = Path(one.path).expanduser()
                files += found(one.name or path.name.partition(".")[0], one.kind, path)
        except ListError as error:
            raise StageError(f"{self.name}: {error}") from error
        for theme in settings.own:
            if theme not in THEMES:
                raise StageError(
                    f"{self.name}: own: no list '{theme}': expected some of {', '.join(THEMES)}{hint(theme, THEMES)} (a file of yours is"
                    " named under lists)"
                )
            files += own(theme)
        return files


class Addresses:
    """The loaded lists."""

    def __init__(self, rules: UrlRules, signals: Types) -> None:
        self.rules, self.signals = rules, signals

    def measure(self, pages: Sequence[Page], /) -> pa.RecordBatch:
        """The signals, one row a page."""
        seen = self.rules.look([page.url for page in pages])
        columns = {
            "host": [a.host for a in seen],
            "domain": [a.domain for a in seen],
            "suffix": [a.suffix for a in seen],
            "listed": [a.listed for a in seen],
            "words": [len(a.hard) for a in seen],
            "word": [a.hard[0] if a.hard else None for a in seen],
            "soft_words": [len(a.soft) for a in seen],
            "soft": [" ".join(a.soft) if a.soft else None for a in seen],
            "malformed": [a.malformed for a in seen],
        }
        return pa.record_batch({name: pa.array(columns[name], kind) for name, kind in self.signals.items()})

    def highlight(self, text: str, signal: str) -> list[tuple[int, int]]:
        """An address is no part of a text."""
        return []


@lru_cache(maxsize=4)
def _loaded(files: tuple[ListFile, ...], digests: tuple[str, ...], allow: tuple[str, ...]) -> UrlRules:
    for file, planned in zip(files, digests, strict=True):
        here = digest(file.path)
        if here != planned:
            raise ListError(
                f"list '{file.path}' changed during the run: planned with sha256 {planned[:12]}, here it is {here[:12]};"
                " run again"
            )
    return UrlRules(files, allow)


KIND = Urls
