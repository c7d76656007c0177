"""What a snapshot's index is found to hold: scanned part by part, planned in units, stated before a byte of WARC is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import orjson
import pyarrow as pa
import xxhash

from winnow.stages.base import StageError
from winnow.stages.commoncrawl import snapshots
from winnow.stages.commoncrawl.fetch import open_fetcher
from winnow.stages.commoncrawl.fetcher import Politeness
from winnow.stages.commoncrawl.index import Draw, scan_facts, scan_part
from winnow.stages.commoncrawl.index_filter import REASONS, IndexFilter
from winnow.stages.commoncrawl.units import Sizes, plan_units, units_list
from winnow.stages.source import InputFile, Kept

REQUEST_SECONDS = 0.1
"""How long a range request takes until its first byte, in estimates."""
BYTES_PER_SECOND = 50e6
"""What one process receives at most, in estimates."""

_LEAST_DRAWN = 64
"""Rows that are drawn of each part at least."""

_FORMAT = 2  # raised whenever the same settings would keep other tables


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """One snapshot read via its index. `audit`: pages to audit, None for as many as `AUDITED_PAGES` says. `auditing`: it
    is the audit's pages that are to be read, not the wanted ones."""

    snapshot: str
    endpoint: str
    politeness: Politeness
    index_filter: IndexFilter
    sizes: Sizes
    audit: int | None
    seed: int
    auditing: bool = False

    def inputs(self, kept: Kept) -> list[InputFile]:
        """A file for each unit, of the size that is fetched for it. Raises StageError."""
        return [
            InputFile(kept.url(row["unit"]), row["bytes"], "", row["unit"], row["identity"], self.snapshot, alone=True)
            for row in self.units(kept).to_pylist()
        ]

    def units(self, kept: Kept) -> pa.Table:
        """`units.PLAN`, from what is kept or else from the index. Raises StageError."""
        listed = snapshots.listed(kept, self.endpoint, self.snapshot, "cc-index-table", self.politeness)
        parts = [path for path in listed if "/subset=warc/" in path and path.endswith(".parquet")]
        if not parts:
            raise StageError(
                f"snapshot {self.snapshot}: its list of index files has no parts of subset=warc; expected "
                "cc-index/table/cc-main/warc/crawl=…/subset=warc/part-….parquet"
            )
        draw = Draw(self.seed, self._drawn(len(parts)))
        scan = self._scan_name(draw)
        if self.audit == 0 and not all(kept.has(f"{scan}/{_stem(part)}") for part in parts):
            draw = Draw(0, 0)
            scan = self._scan_name(draw)
        name = f"{self._place()}/units-{_fingerprint(scan, *self._shape())}"
        if kept.has(units_list(name)):
            return kept.read(units_list(name))
        scans = {f"{scan}/{_stem(part)}": part for part in parts}
        kept.make({table: partial(self._scan, part, draw) for table, part in scans.items()})
        sizes = replace(self.sizes, sample=self._sample(kept, [*scans])) if self.auditing else self.sizes
        return plan_units(kept, [*scans], name, sizes)

    def expected(self, kept: Kept) -> dict[str, Any]:
        """What reading takes, for people."""
        units = self.units(kept)
        facts = scan_facts(units)
        total = {name: sum(units.column(name).to_pylist()) for name in ("records", "requests", "bytes", "gap_bytes")}
        figures: dict[str, Any] = {"index_rows": facts["rows"], "wanted": facts["wanted"]}
        if self.auditing:
            figures = {"index_rows": facts["rows"], "passed_over": facts["language"]}
        figures |= total | {"files": sum(units.column("files").to_pylist()), "units": units.num_rows}
        figures["seconds"] = round(self._seconds(total), 1)
        if not self.auditing:
            figures["at"] = f"{BYTES_PER_SECOND / 1e6:.0f} MB/s, {self._rate():.0f} requests/s"
            figures["passed_over"] = ", ".join(f"{reason} {facts[reason]:,}" for reason in REASONS if facts[reason])
            figures |= {"index_bytes": facts["index_bytes"], "index_requests": facts["index_requests"]}
        return figures

    def audited(
        self, kept: Kept, accounts: Mapping[str, Mapping[str, Any]], name: str, audit: str, found_by: str
    ) -> dict[str, Any]:
        """The recall of the index, from the accounts of the source `name` and of its audit: a page is in the language where
        the stage `found_by` keeps it. What a limit leaves unread, or failed, counts as what was read."""
        units = self.units(kept)
        facts = scan_facts(units)
        own, sampled = accounts.get(name, {}), accounts[audit]
        read = sum(units.column("records").to_pylist()) - _count(own, name, "failed")
        looked_at = _count(sampled, audit, "in") - _count(sampled, audit, "failed")
        found = _count(sampled, found_by, "kept")
        given = _count(own, found_by, "kept")
        whole = round(given * facts["wanted"] / read) if read > 0 else 0
        recall = estimate(facts["language"], looked_at, found, whole)
        return {
            "passed_over": facts["language"],
            "audited": looked_at,
            "found": found,
            "selected_found": whole,
            "missed": round(recall.missed),
            "missed_low": round(recall.missed_low),
            "missed_high": round(recall.missed_high),
            "recall": recall.recall,
            "recall_low": recall.recall_low,
            "recall_high": recall.recall_high,
        }

    def _scan(self, part: str, draw: Draw) -> pa.Table:
        with open_fetcher(self.endpoint, self.politeness) as fetcher:
            return scan_part(fetcher, part, self.index_filter, draw)

    def _place(self) -> str:
        return f"{snapshots.home(self.endpoint)}/{self.snapshot}"

    def _scan_name(self, draw: Draw) -> str:
        return f"{self._place()}/scan-{_fingerprint(self.index_filter.canonical(), draw.seed, draw.most)}"

    def _drawn(self, parts: int) -> int:
        """Rows to draw of each part: enough that the lowest of all are among them, however they lie. No fewer for an audit
        of less than the default, so that another size needs no other scan."""
        most = max(AUDITED_PAGES, self.audit or 0)
        return max(_LEAST_DRAWN, min(most, 16 + 4 * -(-most // parts)))

    def _sample(self, kept: Kept, names: list[str]) -> int:
        if self.audit is not None:
            return self.audit
        wanted = sum(scan_facts(kept.read(name, ["order"]))["wanted"] for name in names)
        return min(AUDITED_PAGES, min(wanted, self.sizes.limit or wanted) // 10)

    def _shape(self) -> list[object]:
        """What tells these units from others of the same scan."""
        sizes = self.sizes
        audit = ["audit", self.audit] if self.auditing else []
        return [sizes.gap, sizes.unit_bytes, sizes.unit_records, sizes.limit, *audit]

    def _rate(self) -> float:
        """Requests a second of one process, in estimates."""
        waiting = self.politeness.connections / REQUEST_SECONDS
        return min(waiting, self.politeness.requests_per_second or waiting)

    def _seconds(self, total: Mapping[str, int]) -> float:
        """Of one process that does nothing else."""
        return max(total["requests"] / self._rate(), total["bytes"] / BYTES_PER_SECOND)


def _count(accounts: Mapping[str, Any], stage: str, what: str) -> int:
    return int(accounts[stage][what]) if stage in accounts else 0


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".parquet")


def _fingerprint(*parts: Any) -> str:
    return xxhash.xxh3_64_hexdigest(orjson.dumps([_FORMAT, *parts]))


AUDITED_PAGES = 4_000
"""Pages of a snapshot that are audited unless a declaration says otherwise, or a tenth of those that are read where that
is less. With nothing found among so many, at most one page in a thousand is missed; in a snapshot of 2.5 billion pages
of which 0.7% are Korean, that is a recall of at least 0.88."""

NORMAL = 1.959963984540054
"""Two-sided 95% of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Pages of the language that the index misses, and the recall of what it gives; each with a 95% interval."""

    missed: float
    missed_low: float
    missed_high: float
    recall: float | None  # None where neither the index nor the audit found a page
    recall_low: float | None
    recall_high: float | None


def wilson(found: int, of: int, z: float = NORMAL) -> tuple[float, float]:
    """The Wilson score interval of a share (E. B. Wilson, 1927); (0, 1) where nothing was looked at."""
    if of == 0:
        return 0.0, 1.0
    share, extra = found / of, z * z / of
    middle = (share + extra / 2) / (1 + extra)
    half = z * math.sqrt(share * (1 - share) / of + extra / (4 * of)) / (1 + extra)
    return (0.0 if found == 0 else middle - half), (1.0 if found == of else middle + half)


def estimate(population: int, audited: int, found: int, selected_found: int) -> Recall:
    """The recall of an index, from a random sample of the pages that it passes over for their language alone.

    `population`: how many it passes over so; `audited`: of them, how many were looked at; `found`: of those, how many are
    in the language; `selected_found`: how many of the pages that it gives are. Raises ValueError for counts that cannot be."""
    if not 0 <= found <= audited <= population:
        raise ValueError(f"expected 0 <= found ({found}) <= audited ({audited}) <= population ({population})")
    low, high = wilson(found, audited)
    if audited == population:
        low = high = found / audited if audited else 0.0
    share = found / audited if audited else 0.0
    missed, least, most = share * population, max(low * population, found), high * population
    return Recall(
        missed,
        least,
        most,
        _recall(selected_found, missed),
        _recall(selected_found, most),
        _recall(selected_found, least),
    )


def _recall(found: int, missed: float) -> float | None:
    return found / (found + missed) if found + missed > 0 else None
