"""How a token budget is divided among groups, none of which may be repeated more than `max_epochs` times.

All solvers are one pass of water-filling: with weights w and caps c_g = max_epochs x size_g, find the level t with
sum_g min(t w_g, c_g) = budget. Groups are taken by ascending c_g / w_g; each gets
min(remaining budget x w_g / remaining weight, c_g), so what a capped group cannot take goes to the others in
proportion to their weights.

- UniMax (Chung et al. 2023, https://arxiv.org/abs/2304.09151, algorithm 1): w_g = 1.
- Temperature (Conneau, Lample 2019, https://arxiv.org/abs/1901.07291, section 3.1, with its q_i ~ p_i^alpha):
  w_g = size_g^alpha. With alpha 1 the shares are the natural ones.
- Fixed shares are not filled: a share is what was asked for, and one that its group cannot carry is an error.

A budget of None drops nothing: it is the least one that gives every group at least its size, as far as the epoch cap
allows. Sizes and budgets are tokens. An empty group gets nothing.
"""

from __future__ import annotations

from collections.abc import Mapping


class Infeasible(ValueError):
    """The budget asks for more than the groups hold; the message says how much they do hold."""


def capacity(sizes: Mapping[str, int], max_epochs: float) -> float:
    """The largest budget: max_epochs x the sum of the sizes."""
    return max_epochs * sum(sizes.values())


def unimax(sizes: Mapping[str, int], budget: float | None, max_epochs: float) -> dict[str, float]:
    """Tokens per group, as even as the cap allows. Raises Infeasible above `capacity`, ValueError on bad figures."""
    return _fill(dict.fromkeys(sizes, 1.0), sizes, budget, max_epochs)


def temperature(sizes: Mapping[str, int], budget: float | None, max_epochs: float, alpha: float) -> dict[str, float]:
    """Tokens per group in proportion to size^alpha: 1 keeps the natural shares, 0 is UniMax. Raises as `unimax`."""
    largest = max(sizes.values(), default=0)
    weights = {group: (size / largest) ** alpha if size else 0.0 for group, size in sizes.items()}
    return _fill(weights, sizes, budget, max_epochs)


def fixed_capacity(sizes: Mapping[str, int], shares: Mapping[str, float], max_epochs: float) -> float:
    """The largest budget that these shares allow: the least max_epochs x size_g / share_g."""
    return min((max_epochs * sizes.get(group, 0) / share for group, share in shares.items() if share), default=0.0)


def check_shares(shares: Mapping[str, float]) -> None:
    """Raises ValueError unless the shares are numbers from 0 to 1 that sum to 1 (within 1e-6)."""
    for group, share in sorted(shares.items()):
        if not 0 <= share <= 1:
            raise ValueError(f"the share of '{group}' is {share}, expected a number from 0 to 1")
    total = sum(shares[group] for group in sorted(shares))
    if abs(total - 1) > 1e-6:
        raise ValueError(f"the shares sum to {total:.6g}, expected 1")


def fixed(
    sizes: Mapping[str, int], budget: float | None, max_epochs: float, shares: Mapping[str, float]
) -> dict[str, float]:
    """Tokens per group: share x budget, nothing for groups without a share.

    Raises ValueError when a share names no group or `check_shares` does, and Infeasible when a group's share is more than max_epochs x its size.
    """
    check_shares(shares)
    for group in sorted(shares):
        if group not in sizes:
            raise ValueError(f"share for '{group}', but the groups are {_names(sizes)}")
    if budget is None:
        budget = min(_level(shares, sizes), fixed_capacity(sizes, shares, max_epochs))
    _check(sizes, budget, max_epochs)
    for group in sorted(sizes):
        asked, most = budget * shares.get(group, 0.0), max_epochs * sizes[group]
        if asked > most * (1 + 1e-9):
            raise Infeasible(
                f"group '{group}' is asked for {asked:,.0f} tokens but holds {sizes[group]:,} and at {max_epochs:g} "
                f"epochs gives {most:,.0f}; these shares allow a budget of at most "
                f"{fixed_capacity(sizes, shares, max_epochs):,.0f}"
            )
    return {group: min(budget * shares.get(group, 0.0), max_epochs * sizes[group]) for group in sizes}


def _level(weights: Mapping[str, float], sizes: Mapping[str, int]) -> float:
    """The least t with t w_g >= size_g for every group that has a weight."""
    return max((sizes[group] / weight for group, weight in weights.items() if weight), default=0.0)


def _fill(
    weights: Mapping[str, float], sizes: Mapping[str, int], budget: float | None, max_epochs: float
) -> dict[str, float]:
    caps = {group: max_epochs * size for group, size in sizes.items()}
    if budget is None:
        level = _level(weights, sizes)
        return {group: min(level * weights[group], caps[group]) for group in sizes}
    _check(sizes, budget, max_epochs)
    most = capacity(sizes, max_epochs)
    if budget > most * (1 + 1e-9):
        raise Infeasible(
            f"a budget of {budget:,.0f} tokens is more than {max_epochs:g} epochs of all groups, {most:,.0f}"
        )
    order = sorted((group for group in sizes if sizes[group]), key=lambda g: (caps[g] / weights[g], g))
    below = 0.0
    weight_from: dict[str, float] = {}
    for group in reversed(order):  # summed from the back, so that nothing is lost by subtracting
        below += weights[group]
        weight_from[group] = below
    tokens = dict.fromkeys(sizes, 0.0)
    remaining = float(budget)
    for group in order:
        tokens[group] = min(remaining * (weights[group] / weight_from[group]), caps[group])
        remaining = max(remaining - tokens[group], 0.0)
    return tokens


def _check(sizes: Mapping[str, int], budget: float, max_epochs: float) -> None:
    for group in sorted(sizes):
        if sizes[group] < 0:
            raise ValueError(f"group '{group}' has {sizes[group]} tokens, expected 0 or more")
    if not budget >= 0:
        raise ValueError(f"the budget is {budget} tokens, expected 0 or more")
    if not max_epochs > 0:
        raise ValueError(f"max_epochs is {max_epochs}, expected more than 0")


def _names(sizes: Mapping[str, int]) -> str:
    names = sorted(sizes)
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(f"'{name}'" for name in names[:20]) + more
