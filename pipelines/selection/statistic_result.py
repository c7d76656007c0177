"""What a statistic came to, one entry per group: kept as JSON, applied to columns.

JSON is `{"kind": ..., "type": key type, "groups": [[group, ...], ...]}` (no type for moments), groups in pairs because a
group may be None, None first and then by name. Numbers are exact: a float is written with as many digits as it needs; what
is not finite, which JSON lacks, as "inf", "-inf" or "nan".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, nan
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from winnow.pipelines.selection.grouped_counts import Codes, Group, Integers, Words, places

Flags = npt.NDArray[np.bool_]


class Threshold(NamedTuple):
    """A group's quantile and the number of its rows that have a key."""

    group: Group
    value: float | int
    rows: int


class Boundary(NamedTuple):
    """Where a group is cut: a row is kept if key > `key`, or key == `key` and hash <= `hash` (None: no such row).

    `kept` and `total`: weight of the rows kept, and of all the group's rows that have a key.
    """

    group: Group
    key: float | int
    hash: int | None
    kept: int
    total: int


class Moment(NamedTuple):
    """A group's mean, population standard deviation and number of rows with a key."""

    group: Group
    mean: float
    std: float
    rows: int


Entry = Threshold | Boundary | Moment
_ENTRIES: dict[str, type[Entry]] = {"quantile": Threshold, "top": Boundary, "mean": Moment, "std": Moment}


@dataclass(frozen=True)
class StatisticResult:
    """A statistic's figures. `kind`: quantile, top, mean or std; `type`: of a quantile's or a top's keys, as numpy says."""

    kind: str
    entries: tuple[Entry, ...]
    type: str | None = None

    @classmethod
    def of(cls, kind: str, entries: Sequence[Entry], type: str | None = None) -> StatisticResult:
        """The entries in the order of their groups."""
        return cls(kind, tuple(sorted(entries, key=lambda e: (e.group is not None, e.group or ""))), type)

    def json(self) -> dict[str, Any]:
        """What `restore` reads."""
        groups = [[entry.group, *(_written(value) for value in entry[1:])] for entry in self.entries]
        return {"kind": self.kind, **({"type": self.type} if self.type else {}), "groups": groups}

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> StatisticResult:
        """The inverse of `json`."""
        kind, type_ = str(saved["kind"]), saved.get("type")
        floats = {"mean", "std"} | ({"value", "key"} if type_ and type_.startswith("float") else set())
        entry = _ENTRIES[kind]
        read = [
            entry._make(float(v) if field in floats else v for field, v in zip(entry._fields, row, strict=True))
            for row in saved["groups"]
        ]
        return cls(kind, tuple(read), type_)

    def groups(self) -> list[tuple[Group, float, str]]:
        """Group, number and what it means, for people."""
        out = []
        for entry in self.entries:
            if isinstance(entry, Boundary):
                out.append((entry.group, float(entry.key), f"keeps {entry.kept:,} of {entry.total:,}"))
            else:
                out.append((entry.group, float(getattr(entry, self._figure)), f"of {entry.rows:,} documents"))
        return out

    @property
    def _figure(self) -> str:
        """The field of an entry that has its figure."""
        return {"quantile": "value", "top": "key"}.get(self.kind, self.kind)

    @cached_property
    def _index(self) -> dict[Group, int]:
        return {entry.group: place for place, entry in enumerate(self.entries)}

    def _places(self, codes: Codes, names: Sequence[Group]) -> Integers:
        """The place of each row's entry, shape (n,); -1 for a group that has none. `codes` are places in `names`."""
        return places(names, self._index)[codes]

    def column(self, codes: Codes, names: Sequence[Group]) -> npt.NDArray[np.float64]:
        """The quantile, mean or standard deviation of each row's group, shape (n,); NaN for a group without rows.

        Exact, or ValueError: an int64 quantile beyond 2^53 that no float64 equals is refused.
        """
        figures = [getattr(entry, self._figure) for entry in self.entries]
        for entry, figure in zip(self.entries, figures, strict=True):
            if isfinite(figure) and float(figure) != figure:
                raise ValueError(f"the threshold {figure} of group {entry.group!r} is no float64")
        return np.array([*map(float, figures), nan])[self._places(codes, names)]

    def kept(
        self, keys: npt.NDArray[Any], hashes: Words, codes: Codes, names: Sequence[Group], valid: Flags | None = None
    ) -> Flags:
        """Which rows a top keeps, shape (n,): none with a null key and none of an unknown group.

        All columns have shape (n,), the keys the search's type; `valid` is False where a key is null, besides NaN.
        """
        at = self._places(codes, names)
        entries = [entry for entry in self.entries if isinstance(entry, Boundary)]
        cut = np.array([*(entry.key for entry in entries), 0], self.type)[at]
        last = np.array([*(entry.hash or 0 for entry in entries), 0], np.uint64)[at]
        ties = np.array([*(entry.hash is not None for entry in entries), False])[at]
        kept: Flags = (at >= 0) & ((keys > cut) | ((keys == cut) & ties & (hashes <= last)))
        return kept if valid is None else kept & valid


def _written(value: float | int | None) -> float | int | str | None:
    return value if value is None or isfinite(value) else str(value)
