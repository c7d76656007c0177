"""`winnow prove --mixtures N`: small arms over random mixtures of the pool's groups, and what their bits say of the shares.

Mixtures are drawn as RegMix does: Dirichlet around the groups' sizes at temperature 0.5, with strengths from 0.5 to 8 times
the number of groups, none asking more of a group than a draw may take of it. A document has the same place in every mixture
that holds it. Some mixtures are run with three seeds, for the noise of a run. OUT/mixtures.json is the result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from winnow.pipelines.prove.arms import Arm
from winnow.pipelines.prove.draw import MOST, Drawn, Sizes, Urn
from winnow.pipelines.prove.experiment import Outcome
from winnow.pipelines.prove.regression import FOLDS, Fit, best, fitted, noise_of
from winnow.pipelines.prove.scores import Floats
from winnow.pipelines.results.table import RunError

LEAST, REPEATED, SEEDS = 2 * FOLDS, 4, (0, 1, 2)
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Groups:
    """The pool by `domain`: an urn for each group, and the largest share of `amount` that it can give."""

    names: tuple[str, ...]
    urns: tuple[Urn, ...]
    bounds: Floats
    prior: Floats

    def sampled(self, number: int, seed: int) -> Floats:
        """Mixtures [number, groups]: rows sum to 1, within the bounds."""
        random = np.random.default_rng(seed)
        strengths = len(self.names) * np.exp(random.uniform(np.log(0.5), np.log(8.0), number))
        gamma = random.gamma(strengths[:, None] * self.prior, 1.0) + 1e-12
        return _within(gamma / gamma.sum(axis=1, keepdims=True), self.bounds)


class MixtureUrn(Urn):
    """A mixture as an arm that amounts are drawn from."""

    def __init__(self, groups: Groups, shares: Floats, name: str) -> None:
        self._groups, self.shares = groups, shares
        said = ", ".join(f"{share:.4f} {group}" for group, share in zip(groups.names, shares, strict=True))
        first = groups.urns[0].arm
        self.amounts = np.concatenate([urn.amounts for urn in groups.urns])
        every = np.full(len(self.amounts), -1, np.int64)  # each mixture is of the same documents
        record = first.record.model_copy(update={"name": name, "reference": said})
        frame, keys = (pl.concat([getattr(urn.arm, name) for urn in groups.urns]) for name in ("frame", "keys"))
        self.arm = replace(first, record=record, frame=frame, keys=keys, shared=every)

    def draw(self, amount: int, seed: int) -> Drawn:
        """Of each group its share; texts of all groups in one order."""
        parts = [urn.draw(int(amount * share), seed) for urn, share in zip(self._groups.urns, self.shares, strict=True)]
        starts = np.cumsum([0, *(len(urn.amounts) for urn in self._groups.urns)])
        rows = np.concatenate([start + part.rows for start, part in zip(starts[:-1], parts, strict=True)])
        amounts = np.concatenate([part.amounts for part in parts])
        # Groups side by side, in the proportion of their numbers of documents all the way.
        place = np.concatenate([(np.arange(len(part.rows)) + 0.5) / max(1, len(part.rows)) for part in parts])
        texts = [text for part in parts for text in part.texts]
        order = np.argsort(place, kind="stable")
        return Drawn(rows[order], amounts[order], tuple(texts[n] for n in order))


def groups_of(pool: Arm, sizes: Sizes, amount: int, mixtures: int) -> Groups:
    """The pool's domains, the largest by name, the others together where there would be more than a third as many groups as
    mixtures. Raises RunError."""
    if mixtures < LEAST:
        raise RunError(
            f"--mixtures {mixtures}: expected at least {LEAST}, of which each fit leaves an eighth out in turn"
        )
    domains = pool.frame.get_column("domain").fill_null(OTHER)
    weight = pool.frame.get_column("text").str.len_chars()
    by_size = pl.DataFrame({"domain": domains, "size": weight}).group_by("domain").agg(pl.col("size").sum())
    ordered = by_size.sort(["size", "domain"], descending=[True, False]).get_column("domain").to_list()
    named = ordered if len(ordered) <= mixtures // 3 else ordered[: mixtures // 3 - 1]
    label = pl.Series([domain if domain in set(named) else OTHER for domain in domains])
    urns, names = [], []
    for name in dict.fromkeys([*named, *label.unique().sort()]):
        here = label == name
        part = Arm(pool.record, pool.frame.filter(here), pool.keys.filter(here), pool.shared[here.to_numpy()])
        urn = Urn(part, sizes, None)
        if urn.totals.sum() * MOST >= 1:
            urns.append(urn)
            names.append(name)
    if len(names) < 2:
        raise RunError(
            f"the pool has one domain ({', '.join(names)}): expected documents with a `domain`, of two or more"
        )
    totals = np.array([float(urn.totals.sum()) for urn in urns])
    bounds: Floats = np.minimum(1.0, totals * MOST / amount)
    if bounds.sum() < 1:
        raise RunError(f"the pool has {int(totals.sum() * MOST):,}, too little for --tokens {amount:,}: ask for less")
    prior: Floats = np.sqrt(totals) / np.sqrt(totals).sum()
    return Groups(tuple(names), tuple(urns), bounds, prior)


def _within(shares: Floats, bounds: Floats) -> Floats:
    """What exceeds a bound goes to the others in proportion, until nothing does."""
    out = shares.copy()
    for _ in range(len(bounds)):
        over = out > bounds
        if not over.any():
            break
        free = np.where(out < bounds, out, 0.0)
        excess = np.where(over, out - bounds, 0.0).sum(axis=1, keepdims=True)
        out = np.minimum(out, bounds) + free * excess / np.maximum(free.sum(axis=1, keepdims=True), 1e-12)
    out = np.minimum(out, bounds)
    total: Floats = out / out.sum(axis=1, keepdims=True)
    return total


def table(groups: Groups, urns: Sequence[MixtureUrn], once: Outcome, again: Outcome, protocol: str) -> dict[str, Any]:
    """mixtures.json: what was run, each measure's fits by target and over all targets, and the best mixture of the latter."""
    shares = np.stack([urn.shares for urn in urns])
    repeats = {measure.name: measure.measured for measure in again.measures}
    measures = {}
    for measure in once.measures:
        rates, noisy = measure.measured.rates(), repeats[measure.name].rates()
        runs = {name: rate[:, 0] for name, rate in rates.items()}
        repeated = dict(noisy)
        if len(runs) > 1:
            runs["all"] = np.mean([*runs.values()], axis=0)
            repeated["all"] = np.mean([*noisy.values()], axis=0)
        fits = {name: fitted(shares, bits, noise_of(repeated[name])) for name, bits in runs.items()}
        last = [*fits][-1]
        measures[measure.name] = {
            "unit": measure.unit,
            "bits": {name: [round(float(b), 6) for b in bits] for name, bits in runs.items()},
            "fits": {name: _said(fit, groups) for name, fit in fits.items()},
            "best": _best(fits[last], groups),
        }
    return {
        "format": "winnow-mixtures",
        "version": 1,
        "protocol": protocol,
        "groups": list(groups.names),
        "sizes": [int(urn.totals.sum()) for urn in groups.urns],
        "mixtures": [[round(float(share), 6) for share in row] for row in shares],
        "measures": measures,
    }


def _said(fit: Fit, groups: Groups) -> dict[str, Any]:
    explained = 1 - fit.error**2 / fit.spread**2 if fit.spread else 0.0
    return {
        "usable": fit.refused is None,
        "refused": fit.refused,
        "spread": round(fit.spread, 6),
        "cross_validated_error": round(fit.error, 6),
        "explained": round(explained, 4),
        "noise": round(fit.noise, 6),
        "form": fit.curve.form,
        "intercept": round(fit.curve.intercept, 6),
        "coefficients": _by_group(fit.curve.coefficients, groups),
        "centre": _by_group(fit.curve.centre, groups),
    }


def _best(fit: Fit, groups: Groups) -> dict[str, float] | None:
    return None if fit.refused else _by_group(best(fit.curve, lambda number: groups.sampled(number, 1)), groups)


def _by_group(values: Floats, groups: Groups) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in zip(groups.names, values, strict=True)}


def usable(found: Mapping[str, Any], measure: str, target: str) -> dict[str, Any]:
    """The fit of a table for whoever solves a mixture by it. Raises RunError where the fit is refused, or absent."""
    try:
        fit: dict[str, Any] = found["measures"][measure]["fits"][target]
    except KeyError as error:
        raise RunError(f"mixtures.json has no fit {measure}/{target}: it lacks {error}") from error
    if not fit["usable"]:
        raise RunError(f"the fit {measure}/{target} must not be used: {fit['refused']}")
    return fit


def dumped(found: Mapping[str, Any]) -> str:
    """The file's text."""
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"
