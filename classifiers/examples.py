"""From a recipe's sources to the examples of the fit and of the test.

Whether a text is held out is a hash of the text (or of its file), so that it stays so when other texts come or
go; documents are joined from texts of one side only, so that no text is on both sides.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import xxhash

from winnow.classifiers.made_texts import is_background, junk_documents, load_lexicon, seeded, weak_label
from winnow.classifiers.readers import Text, read
from winnow.classifiers.recipe import Recipe, RecipeError, SourceSpec


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled document. `source` is its source's name (or `made: <kind>`), `test` whether it is held out."""

    text: str
    label: str
    source: str
    test: bool


def drawn(seed: int, key: str) -> float:
    """A number in [0, 1) that depends on the seed and the key alone."""
    return xxhash.xxh64_intdigest(key.encode(), seed=seed) / 2**64


def held_out(text: Text, spec: SourceSpec, recipe: Recipe) -> bool:
    """Whether a text belongs to the test side."""
    if spec.split in ("train", "test"):
        return spec.split == "test"
    key = text.group if spec.split == "group" else text.text
    return drawn(recipe.seed, key) < recipe.holdout / 100


def examples(recipe: Recipe, data: Path) -> list[Example]:
    """Every example of a recipe: sources in order, then the made ones. Repeats are not applied here.
    Raises RecipeError when a label has no example to fit on."""
    found: list[Example] = []
    lexicon = load_lexicon(recipe.lexicon) if recipe.lexicon else None
    backgrounds: list[str] = []
    seen: set[str] = set()
    for spec in recipe.sources:
        texts: list[Text] = []
        for text in read(spec, data):
            if text.text not in seen:
                seen.add(text.text)
                texts.append(text)
        for test in (False, True):
            side = [text for text in texts if held_out(text, spec, recipe) is test]
            if spec.weak and lexicon is not None:
                if not test:
                    backgrounds += [text.text for text in side if is_background(text.text, lexicon)]
                labelled = [(text, weak_label(text.text, lexicon)) for text in side]
                side = [replace(text, label=label) for text, label in labelled if label is not None]
            limit = spec.limit
            if limit is not None and test:
                limit = math.ceil(limit * recipe.holdout / 100)
            documents = list(_joined(side, spec, recipe.seed)) if spec.join else side
            if limit is not None:
                documents = _limited(documents, limit, spec, recipe.seed + 1)
            found += [Example(text.text, text.label, spec.name, test) for text in documents]
    if recipe.junk:
        for test in (False, True):
            texts_of_side = [one.text for one in found if one.test is test]
            share = recipe.holdout / 100 if test else 1.0
            for kind, text_made in junk_documents(recipe.junk, texts_of_side, recipe.seed + test, share):
                found.append(Example(text_made, recipe.junk.label, f"made: {kind}", test))
    if recipe.seeds and lexicon is not None:
        # None for the test: to find again the words that were put in would prove nothing.
        made = seeded(recipe.seeds, lexicon, backgrounds, recipe.seed)
        found += [Example(text_made, topic, "made: seeds", False) for topic, text_made in made]
    labels = {one.label for one in found if not one.test}
    if len(labels) < 2:
        raise RecipeError(f"recipe '{recipe.name}': a classifier needs two labels, the sources gave {sorted(labels)}")
    if recipe.positive is not None and recipe.positive not in labels:
        raise RecipeError(
            f"recipe '{recipe.name}': positive label '{recipe.positive}' has no example; labels: {', '.join(sorted(labels))}"
        )
    return found


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
                random.Random(xxhash.xxh64_intdigest(text.text, seed=seed)).uniform(math.log(least), math.log(most))
            )
        held.append(text.text)
        previous = text
    yield from flush()
