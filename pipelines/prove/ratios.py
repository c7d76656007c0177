"""`winnow prove DOMAIN GENERAL --ratios 1/8,1/4,1/3,1/2`: how much of a domain a model that goes on training can take.

The critical mixture ratio (Gu et al. 2024, "CMR Scaling Law", arXiv:2407.17467). One warmed model goes on with each ratio of
domain to general text; dL is what its loss is above that of the warmed model, T the tokens since. By ratio:

    domain texts     dL = a T^s + b
    general texts    dL = a T^s + c T^r + b

fitted by least squares to the points on the way. A ratio is feasible where at the end dL of domain texts is below 0 and that
of general texts at most the tolerance, each with the fit's error added. The largest feasible one is the critical ratio; where
it changes over the points, it is fitted as alpha T^s + beta.

A fit is judged by its error on points left out, one at a time, and by the noise of the seeds' mean. Where either is as large
as the signal (the size of dL beside the noise; for general texts at least the tolerance, which is what must be resolved), it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, combinations
from typing import Any

import numpy as np

from winnow.pipelines.prove.draw import MOST, Urn
from winnow.pipelines.prove.experiment import Measure
from winnow.pipelines.prove.mixtures import Groups, MixtureUrn
from winnow.pipelines.prove.protocol import Targets
from winnow.pipelines.prove.proxy.settings import ProxySettings
from winnow.pipelines.prove.scores import Floats
from winnow.pipelines.results.table import RunError

DOMAIN, GENERAL = "domain", "general"
POINTS = (0.0, 1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1.0)
"""Of training, where the declaration names none. The first is the warmed model."""
TOLERANCE = 0.02
"""In bits a byte: about the 0.05 nats a token of CMR, for tokens of 3.6 bytes."""
LEAST_POINTS = 7
"""After the warmed model: five parameters are fitted to all but one."""

Form = Callable[..., Floats]


def power(t: Floats, a: float, s: float, b: float) -> Floats:
    """Of the share of the training that was seen, above 0."""
    return a * t**s + b


def two_powers(t: Floats, a: float, s: float, c: float, r: float, b: float) -> Floats:
    """What is forgotten and what is learnt again."""
    return a * t**s + c * t**r + b


EXPONENTS = (-1.0, -0.5, -0.2, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Tried first, with the best factors for each; the search goes on from the best of them."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A form's parameters, in bits and shares of the training; `end`, its value there; `error`, on points left out; `noise`, of
    the seeds' mean; `signal`. `refused` says why it must not be used."""

    parameters: tuple[float, ...]
    end: float
    error: float
    noise: float
    signal: float
    refused: str | None


def ratios_of(text: str) -> list[Fraction]:
    """`1/8,1/4` as fractions, ascending. Raises RunError."""
    try:
        found = sorted({Fraction(part.strip()) for part in text.split(",")})
    except (ValueError, ZeroDivisionError):
        found = []
    if len(found) < 2 or not 0 < found[0] < found[-1] < 1:
        raise RunError(
            f"--ratios {text}: expected two or more shares of the domain, above 0 and below 1: 1/8,1/4,1/3,1/2"
        )
    return found


def going_on(given: Targets, proxy: ProxySettings | None, arms: Sequence[str]) -> ProxySettings:
    """The proxies with points to fit curves to. Raises RunError where they do not go on from a warmed model, or where the
    targets do not say which texts are the domain's and which are general."""
    if proxy is None or not proxy.warm_tokens:
        raise RunError(
            "--ratios: it says how a model that goes on training changes: expected --tier 1, and warm_tokens"
        )
    if len(arms) != 2:
        raise RunError(f"--ratios: expected two arms, the domain and general texts, got {', '.join(arms) or 'none'}")
    if not {DOMAIN, GENERAL} <= set(given.panels):
        raise RunError(
            f"--ratios: expected `panels: {{{DOMAIN}: [...], {GENERAL}: [...]}}` in the file of targets: which of "
            f"{', '.join(given.targets)} are texts of the domain, and which are general"
        )
    if proxy.points == ProxySettings().points:
        proxy = proxy.model_copy(update={"points": POINTS})
    if len(proxy.point_steps()) <= LEAST_POINTS or 0 not in proxy.point_steps():
        raise RunError(
            f"--ratios: proxy.points: expected 0 and {LEAST_POINTS} more, at different ones of {proxy.steps} steps"
        )
    return proxy


def mixed(domain: Urn, general: Urn, ratios: Sequence[Fraction], amount: int) -> list[MixtureUrn]:
    """An arm for each ratio. Raises RunError where an arm has too little."""
    for urn, most in ((domain, ratios[-1]), (general, 1 - ratios[0])):
        if urn.totals.sum() * MOST < amount * most:
            raise RunError(
                f"arm '{urn.arm.name}' has {int(urn.totals.sum()):,}, of which a draw takes at most {MOST:.0%}: too little for "
                f"{float(most):.0%} of --tokens {amount:,}; expected at most {int(urn.totals.sum() * MOST / most):,}"
            )
    groups = Groups((domain.arm.name, general.arm.name), (domain, general), np.ones(2), np.full(2, 0.5))
    return [MixtureUrn(groups, np.array([float(r), 1 - float(r)]), f"{domain.arm.name} {r}") for r in ratios]


def fitted(form: Form, shares: Floats, losses: Floats, least_signal: float) -> Fit:
    """The form fitted to dL [seeds, points] at `shares` [points] of the training."""
    mean = losses.mean(axis=0)
    noise = float(np.sqrt(losses.var(axis=0, ddof=1).mean() / len(losses)))
    signal = max(float(np.sqrt(max((mean**2).mean() - noise**2, 0.0))), least_signal)
    whole = _searched(form, shares, mean)
    found = [form(shares[n], *_searched(form, np.delete(shares, n), np.delete(mean, n))) for n in range(len(mean))]
    error = float(np.sqrt(np.mean((np.array(found) - mean) ** 2)))
    refused = None
    if max(noise, error) >= signal:
        refused = f"noise exceeds signal: {noise:.5f} bits between seeds, error {error:.5f}, signal {signal:.5f}"
    return Fit(whole, float(form(np.ones(1), *whole)[0]), error, noise, signal, refused)


def _searched(form: Form, shares: Floats, values: Floats) -> tuple[float, ...]:
    from scipy.optimize import curve_fit

    tried = []
    for exponents in combinations(EXPONENTS, 1 if form is power else 2):
        columns = np.stack([*(shares**e for e in exponents), np.ones(len(shares))], axis=1)
        factors = np.linalg.lstsq(columns, values, rcond=1e-6)[0]
        squared = float(((columns @ factors - values) ** 2).sum())
        tried.append((squared, [*chain.from_iterable(zip(factors, exponents, strict=False)), factors[-1]]))
    _, start = min(tried)
    bound = [3.0 if n % 2 else np.inf for n in range(len(start))]
    with suppress(
        RuntimeError
    ):  # no minimum in so many steps, where two powers are nearly one: the start is close to it
        start, _ = curve_fit(form, shares, values, start, bounds=(np.negative(bound), bound), max_nfev=200)
    return tuple(float(value) for value in start)


def table(
    measure: Measure,
    panels: Mapping[str, Sequence[str]],
    ratios: Sequence[Fraction],
    tokens: int,
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """What one learning rate says: curves, fits and feasibility of each ratio, the largest feasible one, and its law."""
    curves, out = {}, {}
    shares = np.array([point.share for point in next(iter(measure.curves.values()))[0]])[1:]
    for ratio, (arm, seeds) in zip(ratios, measure.curves.items(), strict=True):
        losses = {
            name: np.array([[np.mean([point.bits[t] for t in targets]) for point in curve] for curve in seeds])
            for name, targets in ((DOMAIN, panels[DOMAIN]), (GENERAL, panels[GENERAL]))
        }
        rise = {name: bits[:, 1:] - bits[:, :1] for name, bits in losses.items()}
        domain, general = fitted(power, shares, rise[DOMAIN], 0.0), fitted(two_powers, shares, rise[GENERAL], tolerance)
        usable = domain.refused is None and general.refused is None
        feasible = usable and domain.end + domain.error < 0 and general.end + general.error <= tolerance
        curves[ratio] = general
        out[arm] = {
            "ratio": str(ratio),
            "feasible": feasible if usable else None,
            "tokens": [round(share * tokens) for share in shares.tolist()],
            DOMAIN: _said(domain, rise[DOMAIN]),
            GENERAL: _said(general, rise[GENERAL]),
        }
    possible = [arm for arm, found in out.items() if found["feasible"]]
    return {
        "unit": measure.unit,
        "tolerance": tolerance,
        "ratios": out,
        "largest_feasible": out[possible[-1]]["ratio"] if possible else None,
        "law": _law(curves, shares, tolerance),
    }


def _said(fit: Fit, rise: Floats) -> dict[str, Any]:
    return {
        "rise": [round(float(value), 6) for value in rise.mean(axis=0)],
        "parameters": [round(value, 6) for value in fit.parameters],
        "end": round(fit.end, 6),
        "cross_validated_error": round(fit.error, 6),
        "noise": round(fit.noise, 6),
        "signal": round(fit.signal, 6),
        "refused": fit.refused,
    }


def _law(curves: Mapping[Fraction, Fit], shares: Floats, tolerance: float) -> dict[str, Any]:
    """The critical ratio over the training, alpha t^s + beta: at each point the ratio at which general texts lose the
    tolerance, between neighbours of those that were run."""
    used = {float(ratio): fit.parameters for ratio, fit in curves.items() if fit.refused is None}
    at, critical = [], []
    for share in shares.tolist():
        rises = np.array([float(two_powers(np.array([share]), *parameters)[0]) for parameters in used.values()])
        above = np.flatnonzero(rises > tolerance)
        if len(above) and above[0] > 0:  # else all ratios are on one side of it
            n, known = int(above[0]), list(used)
            part = (tolerance - rises[n - 1]) / (rises[n] - rises[n - 1])
            at.append(share)
            critical.append(known[n - 1] + part * (known[n] - known[n - 1]))
    if len(at) < 5:
        said = f"the critical ratio lies between those that were run at {len(at)} of {len(shares)} points: expected 5 or more"
        return {"refused": said}
    x, y = np.array(at), np.array(critical)
    fit = fitted(power, x, np.stack([y, y]), 0.0)
    if fit.error >= y.std():
        return {"refused": "alpha t^s + beta predicts points left out no better than their mean does"}
    return {
        "refused": None,
        "parameters": [round(p, 6) for p in fit.parameters],
        "cross_validated_error": round(fit.error, 6),
    }


def dumped(found: Mapping[str, Any]) -> str:
    """ratios.json."""
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"
