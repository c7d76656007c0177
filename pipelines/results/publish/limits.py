"""Known limits of a selection: what its pipeline does not do, what it lost, what may have been lost unseen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from winnow.pipelines.results.publish.artifacts import Model
from winnow.pipelines.results.publish.privacy import scrubbed, shown
from winnow.pipelines.results.table import Run

PERSONAL = re.compile(r"pii|personal|redact|anonym|mask")
CONTAMINATION = re.compile(r"contaminat|benchmark")
"""What the kinds of stages that do such work have in their names."""

MOST_DAMAGE = 10


def limits(run: Run, models: Sequence[Model]) -> list[str]:
    """One sentence or short paragraph per limit, as Markdown."""
    pipeline, accounting = run.pipeline, run.accounting
    kinds = {node.stage.kind for node in pipeline.nodes.values()}
    out = []
    masking = [node.name for node in pipeline.nodes.values() if node.edits and PERSONAL.search(node.stage.kind)]
    if masking:
        out.append(
            f"**Personal data** (`{'`, `'.join(masking)}`). Masked is what patterns find, such as addresses of e-mail and "
            "numbers; names of persons, and what no pattern knows, are in the texts as the sources had them. URLs are not "
            "masked."
        )
    else:
        out.append(
            "**Personal data.** No stage removes or masks personal data: names, addresses, telephone numbers and the like "
            "are in the texts as the sources had them."
        )
    if not any(CONTAMINATION.search(kind) for kind in kinds):
        out.append(
            "**Contamination.** No stage compares the texts with evaluation sets; test items of benchmarks may be among them."
        )
    out.append(
        "**Rights and facts.** No stage judges whether a text is true, or under which terms its author published it."
    )
    out += _duplicates(run)
    if "prescreen" in kinds:
        out.append(
            "**Pre-screen.** Pages whose raw bytes hold too little of the language's script were dropped before they were "
            "parsed; a page in a charset that its bytes do not betray can be among them."
        )
    if "extract" in kinds:
        out.append(
            "**Extraction.** The text is what the extractor took for the main text of a page; some of it may be missing, and "
            "some boilerplate may be left."
        )
    if any(node.repeats for node in pipeline.nodes.values()):
        out.append(
            "**Repeats.** A document is stored once; `selection.multiplicity` says how often training is to see it. "
            "Documents that were sampled away are no worse than those that were kept."
        )
    out.append(_failures(run))
    if accounting.get("shared_ids", {}).get("kept_documents"):
        shared = accounting["shared_ids"]
        ids = f"{shared['kept_ids']:,} id" + ("s" if shared["kept_ids"] != 1 else "")
        out.append(
            f"**Ids.** {shared['kept_documents']:,} of the documents have only {ids} between them, so that "
            f"`id` is no key of the data; such as `{'`, `'.join(shared['examples'])}`."
        )
    if accounting["damage"]:
        out.append(_damage(accounting["damage"]))
    out.append(_guards(run))
    out += [f"**{model.name}**, says its card: {model.limits}" for model in models if model.limits]
    return out


def _duplicates(run: Run) -> list[str]:
    found = [node for node in run.pipeline.nodes.values() if node.stage.kind == "minhash"]
    if not found:
        return ["**Near duplicates.** No stage looks for near duplicates; there may be many."]
    out = []
    for node in found:
        settings = node.stage.settings  # of a kind that is gone those that it had
        half = (1 - 0.5 ** (1 / settings.bands)) ** (1 / settings.rows)
        seen = f"those that {', '.join(node.over)} kept" if node.over else "all documents"
        compared = f"Only documents of this run were compared, {seen}"
        if getattr(settings, "known", ()):
            compared += ", and each with what the earlier runs kept whose index it was given"
        out.append(
            f"**Near duplicates** (`{node.name}`). Documents are joined where MinHash signatures of their {settings.ngram}-grams "
            f"agree in one of {settings.bands} bands of {settings.rows} values: at a Jaccard similarity of {half:.2f} that "
            f"happens to half of the pairs. Candidate pairs are not verified by comparing the texts, and a cluster joins "
            f"documents through others. {compared}."
        )
    return out


def _failures(run: Run) -> str:
    accounting = run.accounting
    records = sum(accounting["stages"][s]["in"] for s in run.pipeline.sources if s in accounting["stages"])
    by_stage = [f"{name} {a['failed']:,}" for name, a in accounting["stages"].items() if a["failed"]]
    where = f" ({', '.join(by_stage)})" if by_stage else ""
    return (
        f"**Failures.** {accounting['failed']:,} of {records:,} records failed and are not in the data{where}: pages or "
        "documents that a stage could not read or measure."
    )


def _damage(damage: Sequence[dict[str, Any]]) -> str:
    shown_damage = [
        f"`{PurePosixPath(shown(d['file'])).name}` at byte {d['offset']:,} ({scrubbed(str(d['cause']))})"
        for d in damage[:MOST_DAMAGE]
    ]
    more = f"; and {len(damage) - MOST_DAMAGE:,} more" if len(damage) > MOST_DAMAGE else ""
    return (
        f"**Damage.** {len(damage):,} stretches of the input could not be read, and the records in them are not in any "
        f"count: {'; '.join(shown_damage)}{more}."
    )


def _guards(run: Run) -> str:
    pipeline = run.pipeline
    by_text: dict[str, list[str]] = {}
    for name, guards in pipeline.guards.items():
        for guard in guards:
            by_text.setdefault(guard.text, []).append(name)
    own = [f"`{text}` ({', '.join(names)})" for text, names in by_text.items()]
    most = pipeline.max_failures
    failures = f"{most:,.0f} records" if most >= 1 else f"{most:.2%} of the records"
    return (
        f"**Guards.** The run would have stopped, had more than {failures} failed, or a stage kept nothing"
        + (f", or one of these not held: {', '.join(own)}" if own else "; no tighter guard was set")
        + ". A selection that passes its guards may still be a bad one."
    )
