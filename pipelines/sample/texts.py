"""The texts written for the sample, read from `texts/`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

FOLDER = Path(__file__).parent / "texts"
DOMAINS = ("technology", "economy", "society", "culture", "world", "sports", "politics", "documentation")


@dataclass(frozen=True, slots=True)
class Text:
    """One document: an original, or something made from originals. `domain` is None outside Korean."""

    id: str
    language: str
    domain: str | None
    title: str
    paragraphs: tuple[str, ...]

    @property
    def body(self) -> str:
        """The main text as an extractor should give it: paragraphs, one per line."""
        return "\n".join(self.paragraphs)


class Chrome(BaseModel):
    """The words of a site around its text, in one language; and of what is made of texts: titles of composites, `swaps` of
    words in near duplicates, sentences with a contact's details."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sites: tuple[str, ...]
    menu: tuple[str, ...]
    ads: tuple[str, ...]
    comments: tuple[str, ...]
    footer: tuple[str, ...]
    cookie: str
    authors: tuple[str, ...]
    labels: dict[str, str]
    titles: tuple[str, ...]
    swaps: tuple[tuple[str, str], ...] = ()
    contacts: tuple[str, ...] = ()


@cache
def originals(stem: str) -> tuple[Text, ...]:
    """The documents of `texts/<stem>.txt`: a line `# title`, then one paragraph per line."""
    language, _, domain = stem.partition("-")
    found: list[tuple[str, list[str]]] = []
    for line in filter(None, map(str.strip, (FOLDER / f"{stem}.txt").read_text("utf-8").splitlines())):
        if line.startswith("# "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return tuple(
        Text(f"{stem}-{number:02d}", language, domain or None, title, tuple(paragraphs))
        for number, (title, paragraphs) in enumerate(found, 1)
    )


@cache
def korean(domain: str) -> tuple[Text, ...]:
    """The Korean originals of one of DOMAINS."""
    return originals(f"ko-{domain}")


@cache
def lines(stem: str) -> tuple[str, ...]:
    """The non-empty lines of `texts/<stem>.txt`."""
    return tuple(filter(None, map(str.strip, (FOLDER / f"{stem}.txt").read_text("utf-8").splitlines())))


@cache
def chrome(language: str) -> Chrome:
    """The words around the text for `ko`, `en`, `ja` or `zh`."""
    return Chrome.model_validate(_chromes()[language])


@cache
def _chromes() -> dict[str, dict[str, object]]:
    loaded: dict[str, dict[str, object]] = yaml.safe_load((FOLDER / "chrome.yaml").read_text("utf-8"))
    return loaded
