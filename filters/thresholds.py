"""What `winnow.filters.ranks` finds, one entry per group: kept as JSON, applied to columns.

JSON is `{"type": key type, "groups": [[group, ...], ...]}`, groups as pairs because a group may be None, None first
and then by name. Numbers are exact: a float is written with as many digits as it needs; the infinities, which JSON
lacks, as the strings "inf" and "-inf".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from winnow.filters.cells import Codes, Group, Integers, Words, checked, places

KEY_TYPES = ("float32", "int32", "float64", "int64")


def key_type(name: str) -> np.dtype[Any]:
    """The numpy type of a name in `KEY_TYPES`. Raises ValueError for another."""
    if name not in KEY_TYPES:
        raise ValueError(f"keys are of type {name}, expected one of {', '.join(KEY_TYPES)}")
    return np.dtype(name)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A group's quantile and the number of its rows that have a key."""

    group: Group
    value: float | int
    rows: int


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where a group is cut: a row is kept if key > `key`, or key == `key` and hash <= `hash` (None: no such row).

    `kept` and `total`: weight of the rows kept, and of all the group's rows that have a key.
    """

    group: Group
    key: float | int
    hash: int | None
    kept: int
    total: int


@dataclass(frozen=True)
class Thresholds:
    """Quantiles by group, sorted by group."""

    type: str
    groups: tuple[Threshold, ...]

    @cached_property
    def _index(self) -> dict[Group, int]:
        return {entry.group: place for place, entry in enumerate(self.groups)}

    @cached_property
    def _values(self) -> npt.NDArray[np.float64]:
        for entry in self.groups:
            if float(entry.value) != entry.value:
                raise ValueError(f"the threshold {entry.value} of group {entry.group!r} is no float64; use `groups`")
        return np.array([*(float(entry.value) for entry in self.groups), np.nan], np.float64)

    def thresholds(self, codes: Codes, names: Sequence[Group]) -> npt.NDArray[np.float64]:
        """Each row's threshold, shape (n,); NaN for a group without one.

        Exact, or ValueError: an int64 threshold beyond 2^53 that no float64 equals is refused.
        """
        return self._values[_rows(codes, names, self._index, codes.size)]

    def json(self) -> dict[str, Any]:
        """The thresholds as JSON values; groups are [group, value, rows]."""
        return {"type": self.type, "groups": [[e.group, _written(e.value), e.rows] for e in self.groups]}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `json`."""
        kind = key_type(values["type"])
        return cls(kind.name, tuple(Threshold(g, _read(value, kind), rows) for g, value, rows in values["groups"]))


@dataclass(frozen=True)
class Boundaries:
    """Cuts by group, sorted by group."""

    type: str
    groups: tuple[Boundary, ...]

    @cached_property
    def _index(self) -> dict[Group, int]:
        return {entry.group: place for place, entry in enumerate(self.groups)}

    @cached_property
    def _columns(self) -> tuple[npt.NDArray[Any], Words, npt.NDArray[np.bool_]]:
        keys = np.array([*(entry.key for entry in self.groups), 0], key_type(self.type))
        last = np.array([*(entry.hash or 0 for entry in self.groups), 0], np.uint64)
        ties = np.array([*(entry.hash is not None for entry in self.groups), False], np.bool_)
        return keys, last, ties

    def kept(
        self,
        keys: npt.NDArray[Any],
        hashes: Words,
        codes: Codes,
        names: Sequence[Group],
        *,
        valid: npt.NDArray[np.bool_] | None = None,
    ) -> npt.NDArray[np.bool_]:
        """Which rows are kept, shape (n,): none with a null key and none of an unknown group.

        All columns have shape (n,); `valid` is False where a key is null, besides NaN. Raises ValueError for keys of
        another type than the search's.
        """
        if keys.dtype.name != self.type:
            raise ValueError(f"keys are of type {keys.dtype}, expected {self.type}, as they were searched")
        for column in (hashes, keys if valid is None else valid):
            if column.shape != keys.shape:
                raise ValueError(f"a column of shape {column.shape} for {keys.size} keys")
        at = _rows(codes, names, self._index, keys.size)
        cut, last, ties = (column[at] for column in self._columns)
        kept: npt.NDArray[np.bool_] = (at >= 0) & ((keys > cut) | ((keys == cut) & ties & (hashes <= last)))
        return kept if valid is None else kept & valid

    def json(self) -> dict[str, Any]:
        """The boundaries as JSON values; groups are [group, key, hash, kept, total]."""
        groups = [[e.group, _written(e.key), e.hash, e.kept, e.total] for e in self.groups]
        return {"type": self.type, "groups": groups}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `json`."""
        kind = key_type(values["type"])
        return cls(kind.name, tuple(Boundary(g, _read(key, kind), *rest) for g, key, *rest in values["groups"]))


def _rows(codes: Codes, names: Sequence[Group], index: Mapping[Group, int], rows: int) -> Integers:
    return places(names, index)[checked(codes, names, rows)]


def _written(value: float | int) -> float | int | str:
    return value if isfinite(value) else str(value)


def _read(value: float | int | str, kind: np.dtype[Any]) -> float | int:
    return float(value) if kind.kind == "f" else int(value)
