"""The figures of a report: plain data, made by `collect` from a run's parts, shown by `page`; and how they are written.

An `Amount` is what a step of the funnel is measured in. Pages have bytes of HTML; documents have bytes of text, and
tokens as far as the hand-off's tokenizer has read them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from winnow.pipelines.results.report.clauses import Curve, Overlaps
from winnow.pipelines.results.report.histogram import Histogram

DASH = "–"
_SIGNS = {">=": "≥", "<=": "≤", ">": ">", "<": "<", "=": "=", "==": "=", "!=": "≠", "<>": "≠"}


@dataclass(frozen=True, slots=True)
class Amount:
    """Rows with their bytes and tokens. `uncounted`: bytes of text whose tokens nobody counted."""

    rows: int = 0
    bytes: int | None = None  # of those rows that have any: a page that a source refuses is never read
    tokens: int = 0
    uncounted: int = 0

    def __add__(self, other: Amount) -> Amount:
        known = [size for size in (self.bytes, other.bytes) if size is not None]
        size = sum(known) if known else None
        return Amount(self.rows + other.rows, size, self.tokens + other.tokens, self.uncounted + other.uncounted)

    def tokens_at(self, rate: float | None) -> tuple[float | None, bool]:
        """Tokens, None where nothing tells; and whether some are estimated from bytes at `rate` tokens per byte."""
        if rate is None:
            return None, False
        return self.tokens + self.uncounted * rate, self.uncounted > 0


@dataclass(frozen=True, slots=True)
class Drop:
    """What one clause dropped at a stage: the rows for which it was the first to fail."""

    clause: str
    text: str  # as declared; "" where the source decides it
    amount: Amount


@dataclass(frozen=True, slots=True)
class Step:
    """One source or stage of the funnel. `pages`: it sees raw pages, so that bytes are theirs and tokens unknown.
    `terminal`: it writes the hand-off and decides nothing."""

    name: str
    kind: str
    pages: bool
    terminal: bool
    over: tuple[str, ...]
    seen: Amount
    kept: Amount
    failed: Amount
    drops: tuple[Drop, ...]
    unmeasured: Amount
    seconds: float | None
    measured: int | None


@dataclass(frozen=True, slots=True)
class Signal:
    """A numeric signal: its values among the documents that have one, and what decides on it."""

    name: str  # dotted
    stage: str
    integer: bool
    histogram: Histogram
    bounds: tuple[tuple[str, str, float], ...]  # clause, operator, number
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Labels:
    """The values of a string signal, most frequent first: value, and of the documents that have it how many the stage saw, how
    many are kept, these with repetitions, and their tokens. `role`: language, domain or label."""

    signal: str
    role: str
    values: tuple[dict[str, Any], ...]
    cut: int  # documents with one of the values that are not listed


@dataclass(frozen=True, slots=True)
class Clusters:
    """Duplicates of one stage. `sizes`: documents in a cluster -> clusters of that size."""

    stage: str
    sizes: dict[int, int]

    @property
    def documents(self) -> int:
        """Documents that the stage compared."""
        return sum(size * clusters for size, clusters in self.sizes.items())


@dataclass(frozen=True, slots=True)
class Sample:
    """A record to look at. `pieces`: stretches of its text, and whether the signal's value comes from them."""

    id: str
    url: str | None
    date: str | None
    title: str | None
    value: str
    pieces: tuple[tuple[str, bool], ...] = ()
    before: bool = False  # text was cut off before what is shown, and after it
    after: bool = False
    note: str = ""  # why nothing is shown, or nothing marked


@dataclass(frozen=True, slots=True)
class Samples:
    """Records that one reason dropped, or (`clause` None, `stage` "") that were kept."""

    stage: str
    clause: str | None
    threshold: str
    rows: int  # of which these are samples
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that a report shows of a run."""

    name: str
    language: str
    digest: str
    seed: int
    accounting: dict[str, Any]
    steps: tuple[Step, ...]
    selection: Amount  # documents kept, each once
    signals: tuple[Signal, ...]
    statistics: tuple[dict[str, Any], ...]  # what clauses compare with: clause, text, group (None: all), number, words
    overlap: Overlaps
    labels: tuple[Labels, ...]
    hosts: pl.DataFrame  # host, records seen and kept, most seen first
    hosts_error: int  # how many records a host's count may lack at most (0: exact)
    days: pl.DataFrame  # ISO day, "" for none, records seen and kept
    clusters: tuple[Clusters, ...]
    samples: tuple[Samples, ...]
    failures: tuple[dict[str, Any], ...]  # stage, cause, rows, url of one of them; most rows first
    other_failures: int  # rows with rarer causes than those listed
    rate: float | None  # tokens per byte of text among counted documents
    wall: float | None
    declaration: str
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)  # stage -> kind, version, settings, artifacts

    def step(self, name: str) -> Step:
        """The source or stage of that name."""
        return next(step for step in self.steps if step.name == name)

    @property
    def documents(self) -> Amount:
        """All documents that extraction or the sources gave; what the first stage over them sees."""
        return next((s.seen for s in self.steps if not s.pages and s.kind != "source"), Amount())

    @property
    def records(self) -> int:
        """Records that the sources read."""
        return sum(step.seen.rows for step in self.steps if step.kind == "source")


def count(value: float) -> str:
    """A whole number with separators: 12,345."""
    return f"{round(value):,}".replace("-", "−")


def short(value: float) -> str:
    """Every digit up to a million, then a unit: 123,456, 7.89 M."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return count(value)


def size(value: float | None) -> str:
    """Bytes in decimal units: 41.8 MB; a dash where unknown."""
    if value is None:
        return DASH
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:,.0f} B"


def share(part: float | None, whole: float | None) -> str:
    """A percentage with two digits that say something; a dash where there is no whole."""
    if not whole or part is None:
        return DASH
    percent = 100 * part / whole
    if percent == 0 or math.isclose(percent, 100):
        return f"{percent:.0f}%"
    if 99.9 < percent < 100:
        return ">99.9%"
    return f"{percent:.1f}%" if percent >= 0.1 else "<0.1%"


def signed(value: float) -> str:
    """A difference with its sign: +12, −3, ±0."""
    return f"+{count(value)}" if value > 0 else count(value) if value < 0 else "±0"


def number(value: float) -> str:
    """A threshold or a signal's value, as one would write it."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if value == round(value) and abs(value) < 1e15:
        return count(value)
    return f"{value:.6g}".replace("-", "−")


def seconds(value: float | None) -> str:
    """A duration: 35 s, 4 min 10 s, 2 h 05 min; a dash where unknown."""
    if value is None:
        return DASH
    if value < 60:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def sign(operator: str) -> str:
    """A comparison as mathematics writes it."""
    return _SIGNS.get(operator, operator)


def bare(name: str) -> str:
    """A clause's or signal's name without its stage."""
    return name.partition(".")[2] or name
