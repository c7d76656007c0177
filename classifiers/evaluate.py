"""Judges a classifier on labelled texts: figures with intervals, by label, source and length, calibration, worst errors."""

from __future__ import annotations

import math
import time
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from winnow.classifiers.artifacts import ModelError
from winnow.classifiers.examples import Example
from winnow.classifiers.figures import (
    Flags,
    Places,
    Scores,
    area_under_curve,
    average_precision,
    calibration_error,
    f1_score,
    reliability,
    resampled,
)
from winnow.classifiers.meaning import Meaning, Predictions
from winnow.classifiers.scorer import Scorer
from winnow.nearest import expected

LENGTHS = (100, 300, 1000, 3000)
"""Characters where one class of lengths ends and the next begins."""

WORST = 20
SHOWN = 200
"""How many errors are told, and how many characters of each."""

NONE = "(no text)"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Part):
    """A figure on all texts, and the middle 95% over draws of groups; None where the texts do not allow it."""

    value: float | None
    low: float | None
    high: float | None


class OfLabel(_Part):
    """`auc`: of this label against all others."""

    precision: float
    recall: float
    f1: float
    auc: float | None
    examples: int


class OfTexts(_Part):
    """Texts of one source and label, or of one class of lengths. `right`: share with the right label; `low`, `median`, `high`:
    percentiles 5, 50, 95 of the score."""

    name: str
    label: str | None
    examples: int
    right: float
    low: float
    median: float
    high: float


class AtThreshold(_Part):
    """A named threshold on these texts."""

    at: float
    rule: str
    keep: str
    precision: float
    recall: float
    share: float


class Wrong(_Part):
    text: str
    label: str
    said: str
    score: float
    source: str


class Evaluation(_Part):
    """Of one model. `figures`: accuracy, macro_f1, auc and pr_auc (of the positive label; of more than two the mean over labels),
    ece. `confusion`: rows are true labels, columns what was said, the last one nothing. `reliability`: mean score, share that
    is true, texts."""

    model: str
    kind: str
    size: int | None
    digest: str | None
    positive: str | None
    labels: tuple[str, ...]
    examples: int
    groups: int
    figures: dict[str, Figure]
    by_label: dict[str, OfLabel]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[tuple[float, float, int], ...]
    by_source: tuple[OfTexts, ...]
    by_length: tuple[OfTexts, ...]
    thresholds: dict[str, AtThreshold]
    worst: tuple[Wrong, ...] = ()
    documents_per_second: float | None = None


def evaluate(
    scorer: Scorer,
    tests: Sequence[Example],
    kind: str,
    size: int | None = None,
    digest: str | None = None,
    names: Mapping[str, str] | None = None,
) -> Evaluation:
    """Scores every text as a stage would. `names`: what other labels the model has for those of the texts. Raises ModelError
    for labels that do not go together."""
    meaning = renamed(scorer.meaning, names or {})
    labels = meaning.labels
    for label in dict.fromkeys(one.label for one in tests):
        if label not in labels:
            raise ModelError(
                f"{meaning.name} has no label '{label}' of the test's; {expected(label, labels)}; `--rename MODEL'S=TEST'S` "
                "says which of its labels is meant"
            )
    texts = [unicodedata.normalize("NFC", one.text) for one in tests]
    scorer.predict(texts[:1], every=True)  # what compiles or loads does so before the clock runs
    begun = time.perf_counter()
    found = scorer.predict(texts, every=True)
    seconds = time.perf_counter() - begun
    truth = np.array([labels.index(one.label) for one in tests], np.int64)
    hit, confidence = _confidence(meaning, found, truth)
    groups = [one.group or str(n) for n, one in enumerate(tests)]
    return Evaluation(
        model=meaning.name,
        kind=kind,
        size=size,
        digest=digest,
        positive=meaning.positive,
        labels=labels,
        examples=len(tests),
        groups=len(set(groups)),
        figures=_figures(meaning, found, truth, groups),
        by_label={label: _of_label(found, truth, place) for place, label in enumerate(labels)},
        confusion=_confusion(found.labels, truth, len(labels)),
        reliability=tuple((_r(said), _r(true), n) for said, true, n in reliability(hit, confidence)),
        by_source=_slices([(one.source, one.label) for one in tests], found, truth),
        by_length=_slices([(_length(text), None) for text in texts], found, truth),
        thresholds=_thresholds(scorer.meaning, confidence, hit),
        worst=_worst(meaning, found, truth, tests),
        documents_per_second=round(len(texts) / seconds, 1) if seconds else None,
    )


def renamed(meaning: Meaning, names: Mapping[str, str]) -> Meaning:
    """With the labels of the texts instead of the model's own. Raises ModelError where two would be one."""
    labels = tuple(names.get(label, label) for label in meaning.labels)
    if len(set(labels)) < len(labels):
        raise ModelError(f"{meaning.name}: --rename would give two of its labels one name: {', '.join(labels)}")
    positive = None if meaning.positive is None else names.get(meaning.positive, meaning.positive)
    return meaning.model_copy(update={"labels": labels, "positive": positive})


def _confidence(meaning: Meaning, found: Predictions, truth: Places) -> tuple[Flags, Scores]:
    """Whether what the score is the probability of is so: the text is positive, or has the label that was said."""
    if meaning.positive is not None:
        return truth == meaning.labels.index(meaning.positive), found.scores
    return truth == found.labels, found.scores


def _figures(meaning: Meaning, found: Predictions, truth: Places, groups: Sequence[str]) -> dict[str, Figure]:
    hit, confidence = _confidence(meaning, found, truth)
    every = found.probabilities
    assert every is not None
    of = range(len(meaning.labels)) if meaning.positive is None else [meaning.labels.index(meaning.positive)]

    def measure(rows: Places) -> list[float]:
        t, said = truth[rows], found.labels[rows]
        areas = [(area_under_curve(t == k, every[rows, k]), average_precision(t == k, every[rows, k])) for k in of]
        known = [pair for pair in areas if not math.isnan(pair[0])]
        auc, pr = np.mean(known, axis=0) if known else (math.nan, math.nan)
        f1 = np.mean([f1_score(t == k, said == k) for k in range(len(meaning.labels))])
        return [
            float((t == said).mean()),
            float(f1),
            float(auc),
            float(pr),
            calibration_error(hit[rows], confidence[rows]),
        ]

    values = measure(np.arange(len(truth)))
    spread = resampled(groups, measure)
    names = ("accuracy", "macro_f1", "auc", "pr_auc", "ece")
    return {
        name: Figure(value=_known(value), low=_known(low), high=_known(high))
        for name, value, (low, high) in zip(names, values, spread, strict=True)
    }


def _of_label(found: Predictions, truth: Places, place: int) -> OfLabel:
    true, said = truth == place, found.labels == place
    both = int((true & said).sum())
    assert found.probabilities is not None
    return OfLabel(
        precision=_r(both / max(int(said.sum()), 1)),
        recall=_r(both / max(int(true.sum()), 1)),
        f1=_r(f1_score(true, said)),
        auc=_known(area_under_curve(true, found.probabilities[:, place])),
        examples=int(true.sum()),
    )


def _confusion(
    said: np.ndarray[tuple[int], np.dtype[np.int32]], truth: Places, labels: int
) -> tuple[tuple[int, ...], ...]:
    said = np.where(said < 0, labels, said)
    counts = np.bincount(truth * (labels + 1) + said, minlength=labels * (labels + 1))
    return tuple(map(tuple, counts.reshape(labels, labels + 1).tolist()))


def _slices(keys: Sequence[tuple[str, str | None]], found: Predictions, truth: Places) -> tuple[OfTexts, ...]:
    rows_of: dict[tuple[str, str | None], list[int]] = {}
    for row, key in enumerate(keys):
        rows_of.setdefault(key, []).append(row)
    out = []
    for (name, label), rows in rows_of.items():
        low, median, high = np.percentile(found.scores[rows], (5, 50, 95))
        right = float((found.labels[rows] == truth[rows]).mean())
        scores = {"low": _r(low), "median": _r(median), "high": _r(high)}
        out.append(OfTexts(name=name, label=label, examples=len(rows), right=_r(right), **scores))
    return tuple(out if any(label for _, label in keys) else sorted(out, key=lambda one: _first(one.name)))


def _length(text: str) -> str:
    low = max((at for at in LENGTHS if len(text) >= at), default=0)
    high = next((at for at in LENGTHS if len(text) < at), None)
    return f"{low:,} to {high - 1:,} characters" if high else f"{low:,} characters and more"


def _first(name: str) -> int:
    return int(name.split()[0].replace(",", ""))


def _thresholds(meaning: Meaning, scores: Scores, hit: Flags) -> dict[str, AtThreshold]:
    out = {}
    for name, one in meaning.thresholds.items():
        above = scores >= one.at
        kept = above if one.keep == "above" else ~above
        precision = float(hit[above].mean()) if above.any() else 0.0
        recall = float(above[hit].mean()) if hit.any() else 0.0
        figures = {"precision": _r(precision), "recall": _r(recall), "share": _r(float(kept.mean()))}
        out[name] = AtThreshold(at=one.at, rule=one.rule, keep=one.keep, **figures)
    return out


def _worst(meaning: Meaning, found: Predictions, truth: Places, tests: Sequence[Example]) -> tuple[Wrong, ...]:
    """The surest errors."""
    wrong = np.flatnonzero((found.labels != truth) & (found.labels >= 0))
    sure = found.scores if meaning.positive is None else np.abs(found.scores - 0.5)
    order = wrong[np.argsort(-sure[wrong], kind="stable")][:WORST]
    return tuple(
        Wrong(
            text=" ".join(tests[row].text.split())[:SHOWN],
            label=tests[row].label,
            said=meaning.labels[found.labels[row]],
            score=_r(float(found.scores[row])),
            source=tests[row].source,
        )
        for row in order.tolist()
    )


def _r(value: float) -> float:
    return round(float(value), 4)


def _known(value: float) -> float | None:
    """None for nan, which JSON does not have."""
    return None if math.isnan(value) else _r(value)
