"""What an experiment found, as one tree of plain values: results.json, and what the page is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.special import stdtrit

from winnow.pipelines.prove.arms import ORACLE, RANDOM, Arm
from winnow.pipelines.prove.draw import Drawn
from winnow.pipelines.prove.experiment import Measure, Outcome
from winnow.pipelines.prove.protocol import Protocol, Targets
from winnow.pipelines.prove.scores import Point
from winnow.pipelines.prove.verdict import Estimate, compare, duplicated, gap_closed

DUPLICATION = 0.02
"""Share of exact copies in a draw from which tier 0 no longer judges an arm."""

SAID = {
    "tier 0": "Tier 0 screens everything except duplication: an n-gram model takes a repeated text for evidence.",
    "targets": "Verdicts by target are corrected for their number (Holm); intervals are each target's own.",
}


def findings(protocol: Protocol, arms: Sequence[Arm], outcome: Outcome) -> dict[str, Any]:
    """Everything that the report shows."""
    names = [arm.name for arm in arms]
    baseline = RANDOM if RANDOM in names else names[0]
    holds = {arm.name: holding(arm, outcome.draws[arm.name], protocol.amount) for arm in arms}
    notes = list(SAID.values())
    if protocol.amount < protocol.asked:
        notes.append(
            f"{protocol.amount:,} {protocol.unit} of each arm are drawn, of {protocol.asked:,} asked: each seed leaves at "
            "least a fifth of each arm out, so that what chance does is seen."
        )
    caps = protocol.given.caps
    if caps is not None:
        unknown = [name for name, held in holds.items() if sum(held[caps.by].values()) < 0.99]
        if unknown:
            notes.append(f"Caps by {caps.by} do not reach documents without one, which {', '.join(unknown)} hold.")
    copied = [name for name, held in holds.items() if held["copies"] > DUPLICATION]
    if copied:
        notes.append(
            f"Tier 0 does not judge {', '.join(copied)}: more than {DUPLICATION:.0%} of the draw are exact copies."
        )
    short = {m.tier: f"{m.tier} {m.seeds} of {m.planned}" for m in outcome.measures if m.seeds < m.planned}
    if short:
        notes.append(
            f"The budget ended before all seeds were measured ({', '.join(short.values())}): every figure is of whole seeds, "
            "over all arms; the same command without --budget measures the rest."
        )
    return {
        "protocol": protocol.digest,
        "baseline": baseline,
        "primary": protocol.primary,
        "notes": notes,
        "amount": protocol.amount,
        "unit": protocol.unit,
        "arms": {
            arm.record.name: {**arm.record.model_dump(), **holds[arm.name], "overlap": outcome.overlaps[arm.name]}
            for arm in arms
        },
        "measures": {m.name: measure(m, names, baseline, protocol.given) for m in outcome.measures},
    }


def measure(found: Measure, names: Sequence[str], baseline: str, given: Targets) -> dict[str, Any]:
    """Bits by arm and target, every pair of arms, the gap closed."""
    measured, level = found.measured, given.level
    rates = measured.rates()
    arms = {}
    for number, name in enumerate(names):
        each = {target: float(rate[number].mean()) for target, rate in rates.items()}
        curve = on_the_way(found.curves[name], level)
        arms[name] = {"macro": float(np.mean(list(each.values()))), "targets": each, "curve": curve}
    pairs = []
    for a in names:
        for b in names:
            if a == b:
                continue
            whole, each_target = compare(measured, a, b, level)
            panels = {n: asdict(measured.contrast({a: 1.0, b: -1.0}, t, level)) for n, t in given.panels.items()}
            by_target = {t: asdict(e) for t, e in each_target.items()}
            pairs.append({"a": a, "b": b, "macro": asdict(whole), "panels": panels, "targets": by_target})
    gap: dict[str, Any] = {}
    if RANDOM in names and ORACLE in names:
        closed = {name: gap_closed(measured, name, RANDOM, ORACLE, level) for name in names}
        gap = {name: _share(estimate) for name, estimate in closed.items() if estimate is not None}
    return {
        "tier": found.tier,
        "unit": found.unit,
        "seeds": found.seeds,
        "planned_seeds": found.planned,
        "arms": arms,
        "pairs": pairs,
        "gap_closed": gap,
    }


def on_the_way(curves: Sequence[Sequence[Point]], level: float) -> list[dict[str, float]]:
    """Bits over all targets by the share of the training that was seen: the mean over seeds and its interval, Student's."""
    points = []
    for every in zip(*curves, strict=False):
        values = np.array([np.mean([*point.bits.values()]) for point in every])
        half = float(stdtrit(len(values) - 1, 0.5 + level / 2) * values.std(ddof=1) / np.sqrt(len(values)))
        mean, share = float(values.mean()), float(np.mean([point.share for point in every]))
        points.append({"share": share, "bits": mean, "low": mean - half, "high": mean + half})
    return points


def _share(found: Estimate) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}


def pair(found: Mapping[str, Any], a: str, b: str) -> dict[str, Any]:
    """The comparison of a with b."""
    return next(p for p in found["pairs"] if (p["a"], p["b"]) == (a, b))


def holding(arm: Arm, draws: Sequence[Drawn], amount: int) -> dict[str, Any]:
    """What an arm's draws hold: shares of the amount by domain, source, noise type and kind; documents; exact copies."""
    out: dict[str, Any] = {}
    for column in ("domain", "source", "noise", "kind"):
        values = arm.frame.get_column(column).fill_null("")
        total: dict[str, float] = {}
        for drawn in draws:
            for value, size in zip(values.gather(drawn.rows).to_list(), drawn.amounts.tolist(), strict=True):
                name = value.partition(":")[0] if column == "noise" else value
                total[name] = total.get(name, 0.0) + size / amount / len(draws)
        known = {name: round(share, 6) for name, share in total.items() if name}
        out[column] = dict(sorted(known.items(), key=lambda item: (-item[1], item[0])))
    out["documents_drawn"] = float(np.mean([len(drawn.rows) for drawn in draws]))
    out["copies"] = float(np.mean([duplicated(drawn.texts) for drawn in draws]))
    return out
