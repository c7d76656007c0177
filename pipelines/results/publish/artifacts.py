"""What a publication says about the models that a run measured with: digest, licence, sources and limits, from cards.

A card is the Markdown file beside a model; it counts only if it names the digest of the model that the run planned
with, so that no neighbour's card and no later model's card speaks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from winnow.pipelines.results.publish.privacy import shown
from winnow.pipelines.results.table import Run
from winnow.stages.base import StageError

UNKNOWN = "unknown: no card beside the model names its digest"

INDEX = "an index of what an earlier run kept, for finding duplicates: hashes and ids, no text"

_STATED = {
    # The digest of the pinned file in classifiers/artifacts.py, whose wheel brings no card.
    "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83": (
        "CC-BY-SA-3.0, by Facebook (https://fasttext.cc/docs/en/language-identification.html)"
    ),
}


@dataclass(frozen=True, slots=True)
class Model:
    """One artifact of one stage. `licence` is a sentence where the card does not state one; `limits` is '' without a
    card that has such a section."""

    stage: str
    name: str
    digest: str
    licence: str
    limits: str


def models(run: Run) -> list[Model]:
    """Every artifact of the run, in the stages' order, with the digests that it was planned with."""
    facts = run.facts()
    out: list[Model] = []
    for node in run.pipeline.nodes.values():
        planned: dict[str, str] = facts.get(node.name, {}).get("artifacts", {})
        try:
            paths = {artifact.name: artifact.path for artifact in node.stage.artifacts()} if planned else {}
        except StageError:  # the model is not on this machine any more: its digest stands, its card is not to be had
            paths = {}
        cards = {name: _card(paths.get(name), digest) for name, digest in planned.items()}
        chosen = node.stage.settings.model_dump()
        for name, digest in planned.items():
            reference = chosen.get(name)  # a stage that calls its artifact "tokenizer" has the reference under that key
            label = f"{name} {shown(reference)}" if isinstance(reference, str) else shown(name)
            beside = next(
                (n for n in planned if cards[n] and name in paths and paths[n].parent == paths[name].parent), None
            )
            stated = INDEX if name.startswith("known:") else _STATED.get(digest)
            licence = stated or _licence(cards[name]) or (f"as {beside}" if beside else UNKNOWN)
            out.append(Model(node.name, label, digest, licence, _limits(cards[name])))
    return out


def _card(path: Path | None, digest: str) -> str:
    candidates = [path.with_suffix(".md"), path.parent / "README.md"] if path is not None else []
    for candidate in candidates:
        if candidate.is_file() and digest in (text := candidate.read_text("utf-8")):
            return text
    return ""


def _licence(card: str) -> str:
    """The licence that a card states for the model, else those of the sources that its table names."""
    if stated := re.search(r"Licence of the model: (?P<licence>[^\n]+?)\.?(?:\n|$)", card):
        return stated["licence"]
    licences = dict.fromkeys(licence for licence in _column(card, "licence") if licence)
    return f"derived from texts under {', '.join(licences)}" if licences else ""


def _limits(card: str) -> str:
    found = re.search(r"^## Limits\n+(?P<text>.+?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    return " ".join(found["text"].split()) if found else ""


def _column(card: str, name: str) -> Iterator[str]:
    """Cells of the first Markdown table that has such a column."""
    at = -1
    for line in card.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if at < 0:
            at = cells.index(name) if name in cells else -1
        elif at >= len(cells):
            return
        elif not set(cells[at]) <= set("-: "):
            yield cells[at]
