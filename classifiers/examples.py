"""From a recipe's sources to the examples of its three sides: fit, validation, test.

Which side a text is on is a hash of the text (or of its group: a file, a host, a film), so that it stays so when other texts come
or go; documents are joined from texts of one side only, so that no text is on two. A text that several sources give, white
space aside, counts once; one that stands in large part in texts of a later side is left out.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import xxhash

from winnow.classifiers.made_texts import is_background, junk_documents, load_lexicon, seeded, weak_label
from winnow.classifiers.readers import OfRun, Text, read
from winnow.classifiers.recipe import Recipe, RecipeError, SourceSpec
from winnow.filters.ngram.overlap import HeldOut

Side = Literal["fit", "validation", "test"]
SIDES: tuple[Side, ...] = ("fit", "validation", "test")
MADE_ORDER: tuple[Side, ...] = ("fit", "test", "validation")
MADE = "made: "
BATCH = 2000


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled document. `source` is its source's name (or `made: <kind>`); documents of one `group` do not vary apart."""

    text: str
    label: str
    source: str
    side: Side
    group: str = ""

    @property
    def test(self) -> bool:
        return self.side == "test"


def drawn(seed: int, key: str) -> float:
    """A number in [0, 1) that depends on the seed and the key alone."""
    return xxhash.xxh64_intdigest(key.encode(), seed=seed) / 2**64


def side_of(text: Text, spec: SourceSpec, recipe: Recipe) -> Side:
    """The side that a text belongs to."""
    if spec.split in ("train", "validation", "test"):
        return "fit" if spec.split == "train" else spec.split
    at = drawn(recipe.seed, text.group if spec.split == "group" or spec.group else text.text)
    if at < recipe.holdout / 100:
        return "test"
    return "validation" if at < (recipe.holdout + recipe.validation) / 100 else "fit"


def examples(recipe: Recipe, data: Path, of_run: OfRun | None = None) -> list[Example]:
    """Every example of a recipe: sources in order, then the made ones. Repeats are not applied here.
    Raises RecipeError when a label has no example to fit on."""
    found: list[Example] = []
    lexicon = load_lexicon(recipe.lexicon) if recipe.lexicon else None
    backgrounds: list[str] = []
    seen: set[int] = set()
    share = {"fit": 1.0, "validation": recipe.validation / 100, "test": recipe.holdout / 100}
    for spec in recipe.sources:
        sides = _read(spec, recipe, data, of_run, seen, share)
        for name, side in sides.items():
            if spec.weak and lexicon is not None:
                if name == "fit":
                    backgrounds += [text.text for text in side if is_background(text.text, lexicon)]
                labelled = [(text, weak_label(text.text, lexicon)) for text in side]
                side = [replace(text, label=label) for text, label in labelled if label is not None]
            documents = list(_joined(side, spec, recipe.seed)) if spec.join else side
            if spec.limit is not None:
                documents = _limited(documents, math.ceil(spec.limit * share[name]), spec, recipe.seed + 1)
            grouped = spec.group is not None or spec.split == "group"
            found += [
                Example(text.text, text.label, spec.name, name, text.group if grouped else "") for text in documents
            ]
    if recipe.overlap is not None:
        found = apart(found, recipe.overlap)
    if recipe.junk:
        for number, name in enumerate(MADE_ORDER):
            if share[name]:
                here = [one for one in found if one.side == name and not one.source.startswith(MADE)]
                texts = [one.text for one in here]
                sound = [one.text for one in here if one.label != recipe.junk.label]
                for kind, text_made in junk_documents(recipe.junk, texts, sound, recipe.seed + number, share[name]):
                    found.append(Example(text_made, recipe.junk.label, MADE + kind, name))
    if recipe.seeds and lexicon is not None:
        # None for the test: to find again the words that were put in would prove nothing.
        made = seeded(recipe.seeds, lexicon, backgrounds, recipe.seed)
        found += [Example(text_made, topic, MADE + "seeds", "fit") for topic, text_made in made]
    _complete(found, recipe)
    return found


def _read(
    spec: SourceSpec, recipe: Recipe, data: Path, of_run: OfRun | None, seen: set[int], share: Mapping[str, float]
) -> dict[Side, list[Text]]:
    """A source's texts by side, without those seen before. Of a source with a limit no more are held than it needs."""
    sides: dict[Side, list[Text]] = {name: [] for name in SIDES}
    bounded = None if spec.weak or spec.join else spec.limit
    for text in read(spec, data, of_run):
        key = xxhash.xxh64_intdigest(" ".join(text.text.split()).encode())
        if key in seen:
            continue
        seen.add(key)
        name = side_of(text, spec, recipe)
        held = sides[name]
        held.append(text)
        if bounded is not None and len(held) > 2 * (most := math.ceil(bounded * share[name])) + BATCH:
            sides[name] = _limited(held, most, spec, recipe.seed + 1)
    return sides


def apart(found: list[Example], overlap: float) -> list[Example]:
    """Without the documents of a side of which `overlap` and more stands in those of a later side."""
    kept = found
    for name, later in (("validation", ("test",)), ("fit", ("validation", "test"))):
        held = [one.text for one in kept if one.side in later]
        if not held:
            continue
        windows = HeldOut(held)
        own = [one for one in kept if one.side == name]
        copies: set[int] = set()
        for start in range(0, len(own), BATCH):
            part = own[start : start + BATCH]
            shares = windows.shares([one.text for one in part])
            copies |= {id(one) for one, share in zip(part, shares, strict=True) if share >= overlap}
        kept = [one for one in kept if id(one) not in copies]
    return kept


def _complete(found: Sequence[Example], recipe: Recipe) -> None:
    """Raises RecipeError for labels that are none or have no example on a side."""
    who = f"recipe '{recipe.name}'"
    of_side = {name: Counter(one.label for one in found if one.side == name) for name in SIDES}
    labels = set(of_side["fit"])
    for spec in recipe.sources:
        meant = {spec.label} if spec.label is not None else set(spec.labels.values())
        given = {one.label for one in found if one.source == spec.name}
        if lacking := sorted(meant - given - labels):
            raise RecipeError(
                f"{who}: source '{spec.name}' gave no text of label '{lacking[0]}': expected some, or the label left out"
            )
    if len(labels) < 2:
        raise RecipeError(f"{who}: a classifier needs two labels, the sources gave {sorted(labels)}")
    if recipe.positive is not None and recipe.positive not in labels:
        raise RecipeError(
            f"{who}: positive label '{recipe.positive}' has no example; labels: {', '.join(sorted(labels))}"
        )
    if recipe.positive is None and len(labels) == 2:
        raise RecipeError(f"{who}: with two labels expected `positive`, one of {', '.join(sorted(labels))}")
    if recipe.positive is not None and len(labels) > 2:
        raise RecipeError(
            f"{who}: `positive` is for two labels, the sources gave {len(labels)}: {', '.join(sorted(labels))}"
        )
    wanted = [("test", "holdout")] + ([("validation", "validation")] if recipe.validation else [])
    for name, knob in wanted:
        lacking = sorted(labels - set(of_side[name]))  # type: ignore[index]
        if len(lacking) == len(labels) or (lacking and name == "validation"):
            raise RecipeError(
                f"{who}: no example of {', '.join(lacking)} was held out for the {name} side, of {len(found):,} in all: "
                f"expected more examples or groups, or a higher `{knob}`"
            )


def _limited(documents: list[Text], limit: int, spec: SourceSpec, seed: int) -> list[Text]:
    """`limit` of the documents by hash (of each label where the labels are weak), in their own order."""
    wanted: set[int] = set()
    taken: Counter[str] = Counter()
    for text in sorted(documents, key=lambda text: drawn(seed, text.text)):
        group = text.label if spec.weak else ""
        if taken[group] < limit:
            taken[group] += 1
            wanted.add(id(text))
    return [text for text in documents if id(text) in wanted]


def _joined(texts: Iterable[Text], spec: SourceSpec, seed: int) -> Iterator[Text]:
    """Documents of consecutive texts with the same label and group; lengths are log-uniform over `join`."""
    assert spec.join is not None
    least, most = spec.join
    held: list[str] = []
    previous: Text | None = None
    target = 0.0

    def flush() -> Iterator[Text]:
        body = "\n".join(held)
        if previous is not None and len(body) >= least:
            yield Text(body[: 2 * most], previous.label, previous.group)

    for text in texts:
        changed = previous is None or (text.label, text.group) != (previous.label, previous.group)
        if changed or sum(map(len, held)) >= target:
            yield from flush()
            held = []
            target = math.exp(
                random.Random(xxhash.xxh64_intdigest(text.text.encode(), seed=seed)).uniform(
                    math.log(least), math.log(most)
                )
            )
        held.append(text.text)
        previous = text
    yield from flush()
