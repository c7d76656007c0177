"""An experiment: every arm and seed is scored once and kept in OUT, addressed by all that decides the score.

Seeds come one after the other, each over all arms, so that what a budget leaves is whole seeds. Killed and started again,
it goes on with what is missing.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from winnow.pipelines.prove.draw import Drawn, Urn, overlap, sharing
from winnow.pipelines.prove.held_out import Target, digest_of
from winnow.pipelines.prove.protocol import canonical, write
from winnow.pipelines.prove.scores import Point, Scores, Tier, Unit
from winnow.pipelines.prove.verdict import Measured
from winnow.pipelines.results.table import RunError

LEAST_SEEDS = 3

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measure:
    """What one measure found of all arms: `curves` arm -> the points of each seed."""

    name: str
    tier: str
    unit: Unit
    seeds: int
    planned: int
    """Seeds that the protocol asks for."""
    measured: Measured
    curves: Mapping[str, list[tuple[Point, ...]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """All measures, the draws they are of, and the seconds of work by arm and tier."""

    measures: tuple[Measure, ...]
    draws: Mapping[str, list[Drawn]]
    overlaps: Mapping[str, float]
    seconds: Mapping[str, Mapping[str, float]]

    def __or__(self, other: Outcome) -> Outcome:
        """Both, of the same draws."""
        longer = max((self, other), key=lambda outcome: len(next(iter(outcome.draws.values()))))
        seconds = {arm: {**times, **other.seconds[arm]} for arm, times in self.seconds.items()}
        return Outcome((*self.measures, *other.measures), longer.draws, longer.overlaps, seconds)


@dataclass(frozen=True, slots=True)
class Job:
    tier: Tier
    arm: str
    seed: int
    texts: tuple[str, ...]


def carry_out(
    urns: Sequence[Urn],
    targets: Sequence[Target],
    tiers: Sequence[Tier],
    amount: int,
    seeds: Sequence[int],
    out: Path,
    deadline: float | None,
    say: Say,
    workers: int = 2,
) -> Outcome:
    """Measures all arms seed by seed. No seed is begun that would not be done by `deadline` (of time.monotonic()) if it took as
    long as the longest so far, except the first that is not kept from before: each call goes on by one at least. Raises
    RunError where three seeds are not there then."""
    texts = {target.name: target.texts for target in targets}
    digest = digest_of([text for target in targets for text in (target.name, *target.texts)])
    (out / "scores").mkdir(parents=True, exist_ok=True)
    draws: dict[str, list[Drawn]] = {urn.arm.name: [] for urn in urns}
    found: dict[str, list[dict[str, Scores]]] = {urn.arm.name: [] for urn in urns}
    seconds: dict[str, dict[str, float]] = {urn.arm.name: {} for urn in urns}

    def key_of(job: Job) -> str:
        said = [job.tier.name, job.tier.identity, job.seed, digest, digest_of(job.texts)]
        return hashlib.sha256(canonical(said).encode()).hexdigest()

    def scored(job: Job) -> tuple[Job, dict[str, Scores], float]:
        key = key_of(job)
        path = out / "scores" / f"{key[:32]}.json"
        kept = _read(path)
        if kept is not None:
            return (job, *kept)
        start = time.monotonic()
        scores = job.tier.score(job.texts, job.seed, texts, out / "tiers" / job.tier.name / key[:16])
        took = time.monotonic() - start
        _keep(path, job, scores, took)
        return job, scores, took

    done = 0
    longest: float | None = None
    tier_of: dict[str, Tier] = {}
    for seed in seeds:
        began = time.monotonic()
        drawn = {urn.arm.name: urn.draw(amount, seed) for urn in urns}
        jobs = [Job(tier, arm, seed, draw.texts) for arm, draw in drawn.items() for tier in tiers]
        fresh = not all((out / "scores" / f"{key_of(job)[:32]}.json").exists() for job in jobs)
        if fresh and longest is not None and deadline is not None and began + longest > deadline:
            break
        for arm, draw in drawn.items():
            draws[arm].append(draw)
            found[arm].append({})
        with ThreadPoolExecutor(workers) as pool:
            for job, scores, took in pool.map(scored, jobs):
                found[job.arm][-1] |= scores
                tier_of |= dict.fromkeys(scores, job.tier)
                seconds[job.arm][job.tier.name] = seconds[job.arm].get(job.tier.name, 0.0) + took
        if fresh:
            longest = max(longest or 0.0, time.monotonic() - began)
        done += 1
        say(f"seed {done} of {len(seeds)}: {len(urns)} arms measured")
    if done < min(LEAST_SEEDS, len(seeds)):
        raise RunError(
            f"{out}: the budget ended after {done} of {len(seeds)} seeds of {', '.join(tier.name for tier in tiers)}; an "
            f"interval needs {LEAST_SEEDS}. What is measured is kept: the same command goes on from there"
        )
    overlaps = {urn.arm.name: overlap(urn, draws[urn.arm.name], amount) for urn in urns}
    measures = tuple(_measures(found, targets, tier_of, overlaps, sharing(urns), len(seeds)))
    return Outcome(measures, draws, overlaps, seconds)


def _measures(
    found: Mapping[str, list[dict[str, Scores]]],
    targets: Sequence[Target],
    tier_of: Mapping[str, Tier],
    overlaps: Mapping[str, float],
    shared: npt.NDArray[np.float64],
    planned: int,
) -> Iterator[Measure]:
    arms = tuple(found)
    for name, tier in tier_of.items():
        every = {arm: [seed[name] for seed in found[arm]] for arm in arms}
        sizes = every[arms[0]][0].sizes(tier.unit)
        measured = Measured(
            arms,
            {t.name: np.array([[s.bits[t.name] for s in every[arm]] for arm in arms]) for t in targets},
            {t.name: sizes[t.name] for t in targets},
            {t.name: t.groups for t in targets},
            np.array([overlaps[arm] for arm in arms]),
            shared,
        )
        curves = {arm: [s.curve for s in every[arm]] for arm in arms}
        yield Measure(name, tier.name, tier.unit, len(every[arms[0]]), planned, measured, curves)


def _keep(path: Path, job: Job, scores: Mapping[str, Scores], took: float) -> None:
    document = {
        "tier": job.tier.name,
        "arm": job.arm,
        "seed": job.seed,
        "seconds": took,
        "measures": {
            name: {
                "bits": {target: values.tolist() for target, values in found.bits.items()},
                "characters": {target: values.tolist() for target, values in found.characters.items()},
                "utf8_bytes": {target: values.tolist() for target, values in found.utf8_bytes.items()},
                "curve": [[point.share, point.bits] for point in found.curve],
            }
            for name, found in scores.items()
        },
    }
    write(path, json.dumps(document))


def _read(path: Path) -> tuple[dict[str, Scores], float] | None:
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text("utf-8"))
        return {
            name: Scores(
                {target: np.array(values, np.float64) for target, values in found["bits"].items()},
                {target: np.array(values, np.int64) for target, values in found["characters"].items()},
                {target: np.array(values, np.int64) for target, values in found["utf8_bytes"].items()},
                tuple(Point(float(share), dict(bits)) for share, bits in found["curve"]),
            )
            for name, found in document["measures"].items()
        }, float(document["seconds"])
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: damaged ({error}); remove it, and it is measured again") from error
