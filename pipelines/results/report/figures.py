"""The figures of a report: plain data, made by `collect` from a run's parts, shown by `page`.

An `Amount` is what a step of the funnel is measured in. Pages have bytes of HTML; documents have bytes of text, and
tokens as far as the hand-off's tokenizer has read them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from winnow.pipelines.results.report.histogram import Histogram, Ints
from winnow.pipelines.results.report.threshold import Curve


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
class Statistic:
    """A figure over all documents that a clause compares each of them with, for a group or (None) for all."""

    clause: str
    text: str
    group: str | None
    number: float
    words: str


@dataclass(frozen=True, slots=True)
class Overlap:
    """Clauses that drop the same documents. `both[i, j]`: documents that fail clauses i and j; the diagonal, those that
    fail i. `alone[i]`: those that fail no other clause; `first[i]`: those that count as dropped by i."""

    clauses: tuple[str, ...]
    both: Ints
    alone: Ints
    first: Ints


@dataclass(frozen=True, slots=True)
class Label:
    """One value of a string signal."""

    value: str
    seen: int
    kept: int
    copies: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Labels:
    """The values of a string signal, most frequent first. `role`: language, domain or label."""

    signal: str
    role: str
    values: tuple[Label, ...]
    cut: int  # documents with one of the values that are not listed


@dataclass(frozen=True, slots=True)
class Host:
    """Records of one host: all, and those selected."""

    name: str
    seen: int
    kept: int


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts of most records selected, and of most not selected. `error`: how many records a host's count may lack
    at most (0: exact)."""

    kept: tuple[Host, ...]
    dropped: tuple[Host, ...]
    distinct: int
    error: int


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
class Failure:
    """Records that failed at a stage for one cause, with one of them."""

    stage: str
    cause: str
    rows: int
    example: str


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
    statistics: tuple[Statistic, ...]
    overlap: Overlap
    labels: tuple[Labels, ...]
    hosts: Hosts
    days: dict[str, tuple[int, int]]  # ISO day, "" for none -> records, of those selected
    clusters: tuple[Clusters, ...]
    samples: tuple[Samples, ...]
    failures: tuple[Failure, ...]
    other_failures: int  # rows with rarer causes than those listed
    rate: float | None  # tokens per byte of text among counted documents
    wall: float | None
    declaration: str
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)  # stage -> kind, version, settings, artifacts
    versions: dict[str, str] = field(default_factory=dict)

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
