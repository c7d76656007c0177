"""Equal amounts of arms: documents in the order of a hash of seed and key, capped by group, the last one cut.

Of selections from the same documents, what arms share and what only some have are drawn apart, each to its share of the arm,
and so is each source: a tenth of junk is a tenth in every draw, so that chance in this does not hide what it does. An arm
that has little in common with one of the others is a sample beside it: how much of each source it happens to have is chance,
which its draws must show, so they are drawn without regard to sources. Every seed leaves at least a fifth of each group out
where an arm is hardly larger than what is asked: draws that were nearly the same could not show what chance did in choosing
documents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from winnow.filters.hash_random import hashes
from winnow.pipelines.prove.arms import Arm
from winnow.pipelines.prove.protocol import Caps, Unit
from winnow.pipelines.results.table import RunError

MOST = 0.8
"""Of each group of an arm, a draw takes at most this share."""

SELECTED = 0.5
"""Two arms are selections from the same documents where at least this share of the smaller one is in the other."""

Sizes = Callable[[Sequence[str]], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Drawn:
    """`rows` of the arm in order, and `amounts` of each that was taken; `texts`, the cut ones cut."""

    rows: npt.NDArray[np.int64]
    amounts: npt.NDArray[np.int64]
    texts: tuple[str, ...]


def sizes_in(unit: Unit, tokenizer: str) -> Sizes:
    """How much a text is. Raises TokenizerError."""
    if unit == "tokens":
        from winnow.tokenize.tokenizer import find, load

        encoder = load(find(tokenizer))
        return lambda texts: encoder.encode(texts).lengths

    def measured(texts: Sequence[str]) -> npt.NDArray[np.int64]:
        column = pl.Series(texts, dtype=pl.String)
        if unit == "hangul":
            return column.str.count_matches("[가-힣]").cast(pl.Int64).to_numpy()
        length = column.str.len_bytes() if unit == "bytes" else column.str.len_chars()
        return length.cast(pl.Int64).to_numpy()

    return measured


class Urn:
    """An arm that amounts are drawn from."""

    def __init__(self, arm: Arm, sizes: Sizes, caps: Caps | None) -> None:
        self.arm, self._sizes, self._caps = arm, sizes, caps
        texts = arm.frame.get_column("text")
        self.amounts = np.concatenate(
            [sizes(texts[at : at + 1000].to_list()) for at in range(0, len(texts), 1000)] or [np.zeros(0, np.int64)]
        )
        if caps is None:
            self.groups = np.zeros(len(texts), np.int64)
            self._capped = np.zeros(1, np.bool_)
        else:
            by = arm.frame.get_column(caps.by).fill_null("")
            self.groups = (by.rank("dense").cast(pl.Int64) - 1).to_numpy()
            self._capped = (by.unique().sort() != "").to_numpy()  # of what nothing is known, no cap can be kept
        self.totals = np.bincount(self.groups, self.amounts, len(self._capped))
        _, self.cells = np.unique(arm.shared, return_inverse=True)

    def by_source(self) -> None:
        """From now on each source, and each group that is capped, is drawn to its share too."""
        sources = self.arm.frame.get_column("source").fill_null("").rank("dense").cast(pl.Int64).to_numpy()
        cells = np.stack([self.groups, self.arm.shared, sources])
        _, self.cells = np.unique(cells, axis=1, return_inverse=True)

    def _quotas(self, amount: float, share: float) -> npt.NDArray[np.float64]:
        cap = np.where(self._capped, amount * (1.0 if self._caps is None else self._caps.share), amount)
        quotas: npt.NDArray[np.float64] = np.minimum(cap, share * self.totals)
        return quotas

    def most(self, asked: int, share: float) -> int:
        """The largest amount up to `asked` that can be drawn with at most `share` of each group."""
        low, high = 0, asked
        while low < high:  # what the quotas come to, less the amount, is concave in it, and 0 at 0
            middle = (low + high + 1) // 2
            if self._quotas(middle, share).sum() >= middle - 1e-6:
                low = middle
            else:
                high = middle - 1
        return low

    def _by_cell(self, amount: int) -> npt.NDArray[np.int64]:
        """What is drawn of each cell, `amount` in all: in proportion to what it has, less what quotas take of its groups."""
        quotas = self._quotas(amount, MOST)
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if np.minimum(quotas, middle * self.totals).sum() < amount else (low, middle)
        groups = np.minimum(quotas, high * self.totals)
        exact = np.bincount(self.cells, self.amounts * (groups / np.maximum(self.totals, 1))[self.groups])
        whole: npt.NDArray[np.int64] = np.floor(exact).astype(np.int64)
        short = min(max(0, amount - int(whole.sum())), len(whole))
        whole[np.argsort(whole - exact, kind="stable")[:short]] += 1
        return whole

    def draw(self, amount: int, seed: int) -> Drawn:
        """Documents that come to `amount`."""
        groups = np.ceil(self._quotas(amount, MOST)).astype(np.int64)
        order = np.argsort(
            hashes(self.arm.keys.to_arrow(), seed, f"draw {self.arm.record.draw}"), kind="stable"
        ).tolist()
        column = self.arm.frame.get_column("text")
        found: dict[int, tuple[int, str]] = {}
        left = amount
        for of, cells in ((self.cells, self._by_cell(amount)), (np.zeros(len(order), np.int64), np.array([amount]))):
            if left <= amount // 1000:
                break  # else quotas of groups ended before a cell had its share: other documents stand in
            for row in order:
                size, room = int(self.amounts[row]), min(left, int(cells[of[row]]), int(groups[self.groups[row]]))
                if room <= 0 or size == 0 or row in found:
                    continue
                text = column[row]
                spent = size
                if size > room:
                    text, size = self._cut(text, room)
                    spent = room  # what is left of it is less than a character
                for counter, at in ((cells, of[row]), (groups, self.groups[row])):
                    counter[at] -= spent
                left -= spent
                if text:
                    found[row] = size, text
        rows = [row for row in order if row in found]
        return Drawn(
            np.array(rows, np.int64),
            np.array([found[row][0] for row in rows], np.int64),
            tuple(found[row][1] for row in rows),
        )

    def _cut(self, text: str, room: int) -> tuple[str, int]:
        """The longest beginning that comes to at most `room`."""
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if int(self._sizes([text[:middle]])[0]) <= room:
                low = middle
            else:
                high = middle - 1
        return text[:low], int(self._sizes([text[:low]])[0])


def common_amount(urns: Sequence[Urn], asked: int, unit: Unit) -> int:
    """What is drawn of every arm: `asked`, or less where a draw would be nearly a whole arm. Raises RunError for an arm that
    has less than is asked."""
    least = asked
    for urn in urns:
        whole = urn.most(asked, 1.0)
        if whole < asked:
            capped = "" if urn._caps is None else f", with no {urn._caps.by} above {urn._caps.share:.0%} of it"
            raise RunError(
                f"arm '{urn.arm.name}' has {whole:,} {unit}{capped}: fewer than the {asked:,} asked; expected at most "
                f"--tokens {urn.most(asked, MOST)}, or a larger arm"
            )
        least = min(least, urn.most(asked, MOST))
    return least


def urns_of(arms: Sequence[Arm], sizes: Sizes, caps: Caps | None) -> list[Urn]:
    """The arms of one experiment, those drawn by source that are selections from what all others are selected from."""
    urns = [Urn(arm, sizes, caps) for arm in arms]
    for urn, shares in zip(urns, sharing(urns), strict=True):
        if (shares >= SELECTED).all():
            urn.by_source()
    return urns


def sharing(urns: Sequence[Urn]) -> npt.NDArray[np.float64]:
    """[arms, arms]: of the smaller of two arms, how much is in the other: 0 to 1."""
    out = np.eye(len(urns))
    for a, one in enumerate(urns):
        for b, other in enumerate(urns):
            if a < b:
                common = [int(u.amounts[u.arm.shared >> n & 1 == 1].sum()) for u, n in ((one, b), (other, a))]
                smaller = min(int(u.amounts.sum()) for u in (one, other))
                out[a, b] = out[b, a] = min(1.0, min(common) / max(smaller, 1))
    return out


def overlap(urn: Urn, draws: Sequence[Drawn], amount: int) -> float:
    """The share that two draws have in common, on average over pairs: 0 to 1."""
    weights = np.zeros((len(draws), len(urn.amounts)))
    for number, drawn in enumerate(draws):
        weights[number, drawn.rows] = drawn.amounts
    pairs = [
        np.minimum(weights[a], weights[b]).sum() / amount for a in range(len(draws)) for b in range(a + 1, len(draws))
    ]
    return float(np.mean(pairs)) if pairs else 0.0
