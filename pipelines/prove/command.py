"""`winnow prove`: which selection trains the better model, with error bars."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from functools import reduce
from itertools import chain
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winnow.pipelines.console import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction

    from winnow.pipelines.prove.draw import Urn
    from winnow.pipelines.prove.experiment import Outcome
    from winnow.pipelines.prove.held_out import Held
    from winnow.pipelines.prove.protocol import Protocol, Targets
    from winnow.pipelines.prove.proxy.settings import ProxySettings
    from winnow.pipelines.prove.scores import Tier


def prove(
    arms: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ARM...",
            help="A run's selection (runs/ko, runs/ko@stricter), a folder of shards, JSON Lines or Parquet files, `random`, "
            "`oracle`, or name=one of these. With --leave-out: a declaration, or its run's folder. With --mixtures: none.",
        ),
    ] = None,
    *,
    targets: Annotated[Path, typer.Option(help="YAML: the pool and the held-out texts by name; see docs/prove.md.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The experiment's folder: protocol, scores, results.json, report.html. Default: runs/prove-TARGETS."
        ),
    ] = None,
    tokens: Annotated[str, typer.Option(help="How much of each arm a model is trained on, such as 900k or 3M.")] = "3M",
    unit: Annotated[
        str | None,
        typer.Option(help="What amounts are: tokens, characters, hangul or bytes. Default: the targets' file."),
    ] = None,
    tier: Annotated[
        int,
        typer.Option(
            help="0: n-gram models, minutes. 1: also a small trained model, up to an hour. 2: a larger one, on GPUs.",
            min=0,
            max=2,
        ),
    ] = 0,
    seeds: Annotated[int | None, typer.Option(help="Draws of each arm.", min=2, max=100)] = None,
    budget: Annotated[str | None, typer.Option(help="Begin no seed that would end after this time: 45m, 2h.")] = None,
    leave_out: Annotated[
        str | None, typer.Option("--leave-out", help="Stages, with commas: an arm for the whole, one without each.")
    ] = None,
    mixtures: Annotated[
        int | None,
        typer.Option(help="So many random mixtures of the pool's domains as arms, and how bits depend on shares."),
    ] = None,
    ratios: Annotated[
        str | None,
        typer.Option(help="Shares of the first ARM in the second, as 1/8,1/4,1/3,1/2: how much general texts bear."),
    ] = None,
) -> None:
    """Say which of several selections trains the better model: bits on held-out texts after training on equal amounts."""
    from winnow.pipelines.prove.arms import named, paired, read_arm
    from winnow.pipelines.prove.draw import common_amount, sizes_in, urns_of
    from winnow.pipelines.prove.held_out import hold_out
    from winnow.pipelines.prove.protocol import amount_of, read_targets, seconds_of
    from winnow.pipelines.results.table import RunError

    began = time.monotonic()
    given = read_targets(targets)
    out = out or Path("runs", f"prove-{targets.stem}")
    proxy = _proxy(given, tier)
    if proxy is not None:  # with every default, for the protocol
        given = given.model_copy(update={"proxy": proxy.model_dump(mode="json")})
    changed: dict[str, Any] = {"unit": unit, "seeds": seeds, "trained_seeds": seeds}
    given = _checked(given, {name: value for name, value in changed.items() if value is not None})
    asked = amount_of(tokens, "--tokens")
    deadline = None if budget is None else began + seconds_of(budget, "--budget")
    if mixtures is not None:
        if arms or leave_out or budget or ratios:
            raise RunError(
                "--mixtures makes its own arms and runs all of them: expected no ARM, --leave-out, --budget or --ratios"
            )
        _mixtures(given, hold_out(given, targets.parent, str(targets)), proxy, mixtures, asked, out)
        return
    arms = arms or []
    if leave_out is not None:
        from winnow.pipelines.prove.leave_out import arms_without

        arms = arms_without(arms, leave_out)
    named_arms = named(arms)
    shares: list[Fraction] = []
    if ratios is not None:
        from winnow.pipelines.prove.ratios import going_on, mixed, ratios_of

        shares, proxy = ratios_of(ratios), going_on(given, proxy, [name for name, _, _ in named_arms])
        given = given.model_copy(update={"proxy": proxy.model_dump(mode="json"), "caps": None})
    if len(named_arms) < 2:
        raise RunError(
            "no arm: expected at least two to compare, such as `random` and `oracle`"
            if not named_arms
            else f"one arm ({named_arms[0][0]}): expected at least two to compare, such as `random` beside it"
        )
    held = hold_out(given, targets.parent, str(targets))
    sizes = sizes_in(given.unit, given.tokenizer)
    read = []
    for name, reference, draw in named_arms:
        arm = read_arm(name, reference, draw, given, held, asked)
        say(f"{name}: {arm.record.documents:,} documents, {arm.record.characters:,} characters")
        read.append(arm)
    urns = urns_of(paired(read, held), sizes, given.caps)
    if shares and proxy is not None:
        outcome = _compare(given, held, mixed(urns[0], urns[1], shares, asked), (asked, asked), proxy, deadline, out)
        _show_ratios(outcome, given, shares, proxy.tokens, out)
        return
    amount = common_amount(urns, asked, given.unit)
    _compare(given, held, urns, (asked, amount), proxy, deadline, out)


def _checked(given: Targets, changed: dict[str, Any]) -> Targets:
    from pydantic import ValidationError

    from winnow.nearest import expected
    from winnow.pipelines.prove.protocol import Targets
    from winnow.pipelines.results.table import RunError

    try:
        return Targets.model_validate({**given.model_dump(), **changed})
    except ValidationError as error:
        first = error.errors()[0]
        option = f"--{first['loc'][0]} {first['input']}"
        units = ("tokens", "characters", "hangul", "bytes")
        what = expected(str(first["input"]), units) if first["loc"][0] == "unit" else first["msg"]
        raise RunError(f"{option}: {what}") from error


def _compare(
    given: Targets,
    held: Held,
    urns: Sequence[Urn],
    amounts: tuple[int, int],
    proxy: ProxySettings | None,
    deadline: float | None,
    out: Path,
) -> Outcome:
    """Carries the experiment out and writes its report. Ratios need no tier 0: it begins with no model."""
    from winnow.pipelines.prove.experiment import carry_out
    from winnow.pipelines.prove.findings import findings
    from winnow.pipelines.prove.mixtures import MixtureUrn
    from winnow.pipelines.prove.page import page
    from winnow.pipelines.prove.probe import WITTEN_BELL, HashedWords, Ngrams, closed
    from winnow.pipelines.prove.protocol import write

    texts = (text for urn in urns for text in urn.arm.frame.get_column("text"))
    known = closed(chain(texts, (text for target in held.targets for text in target.texts)))
    quick: list[Tier] = [] if isinstance(urns[0], MixtureUrn) else [Ngrams(given.order, known), HashedWords()]
    few = range(given.trained_seeds)
    seeds = tuple(few if not quick else range(given.seeds if proxy is None else max(given.seeds, len(few))))
    with _registered(given, held, urns, amounts, seeds, quick, WITTEN_BELL, proxy, out) as (protocol, trained, workers):
        done = [carry_out(urns, held.targets, quick, amounts[1], seeds, out, deadline, say)] if quick else []
        if trained:
            done.append(carry_out(urns, held.targets, trained, amounts[1], few, out, deadline, say, workers))
    outcome = reduce(or_, done)
    found = findings(protocol, [urn.arm for urn in urns], outcome)
    write(out / "results.json", json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    cost = {arm: {name: round(took, 2) for name, took in times.items()} for arm, times in outcome.seconds.items()}
    write(out / "report.html", page(found, protocol.model_dump(mode="json"), cost))
    _show(found, out)
    return outcome


def _show_ratios(outcome: Outcome, given: Targets, shares: Sequence[Fraction], tokens: int, out: Path) -> None:
    from winnow.pipelines.prove.protocol import write
    from winnow.pipelines.prove.ratios import dumped, table

    found = {m.name: table(m, given.panels, shares, tokens) for m in outcome.measures}
    write(out / "ratios.json", dumped(found))
    for name, measure in found.items():
        say(f"{name}: bits per byte above the warmed model's, domain and general texts")
        for arm, each in measure["ratios"].items():
            parts = [each["domain"], each["general"]]
            figures = ", ".join(f"{part['end']:+.4f} (error {part['cross_validated_error']})" for part in parts)
            refused = "; ".join(f"refused: {part['refused']}" for part in parts if part["refused"])
            say(f"  {arm:<28} {figures}: {refused or ('feasible' if each['feasible'] else 'not feasible')}")
        largest = measure["largest_feasible"] or "none of these"
        say(f"  largest feasible ratio, general texts at most {measure['tolerance']:g} worse: {largest}")
    say(f"{out / 'ratios.json'}")


def _proxy(given: Targets, tier: int) -> ProxySettings | None:
    """What is trained, None at tier 0."""
    if tier == 0:
        return None
    from winnow.pipelines.prove.proxy.ladder import settings_of
    from winnow.pipelines.prove.proxy.prepare import need_torch

    need_torch()
    return settings_of(given.proxy, tier)


@contextmanager
def _registered(
    given: Targets,
    held: Held,
    urns: Sequence[Urn],
    amounts: tuple[int, int],
    seeds: tuple[int, ...],
    quick: Sequence[Tier],
    primary: str,
    proxy: ProxySettings | None,
    out: Path,
) -> Iterator[tuple[Protocol, Sequence[Tier], int]]:
    """The protocol, the trained tiers and how many of their runs fit side by side. Another protocol in OUT is refused before a
    proxy is warmed; this one is written after, for it names the warmed model. `primary` is of tier 0."""
    from winnow.pipelines.prove.protocol import Protocol, refuse_another, register
    from winnow.pipelines.prove.proxy.settings import tier_name

    names = [] if proxy is None else [tier_name(rate) for rate in proxy.rates]
    protocol = Protocol(
        given=given,
        arms=tuple(urn.arm.record for urn in urns),
        targets=tuple(target.record for target in held.targets),
        asked=amounts[0],
        amount=amounts[1],
        unit=given.unit,
        seeds=seeds,
        tiers={tier.name: tier.identity for tier in quick} | dict.fromkeys(names, ""),
        primary=names[0] if names else primary,
    )
    refuse_another(protocol, out)
    with _trained(proxy, held, urns, out) as (trained, workers):
        tiers = protocol.tiers | {tier.name: tier.identity for tier in trained}
        protocol = protocol.model_copy(update={"tiers": tiers})
        register(protocol, out)
        say(f"protocol {protocol.digest[:16]} registered in {out / 'protocol.json'}")
        yield protocol, trained, workers


@contextmanager
def _trained(
    proxy: ProxySettings | None, held: Held, urns: Sequence[Urn], out: Path
) -> Iterator[tuple[Sequence[Tier], int]]:
    """The trained tiers, one for each learning rate, and how many of their runs fit side by side."""
    if proxy is None:
        yield (), 1
        return
    import numpy as np
    import polars as pl

    from winnow.filters.hash_random import hashes
    from winnow.pipelines.prove.proxy.on_ray import on_ray
    from winnow.pipelines.prove.proxy.tier import tiers

    def pool() -> Iterator[str]:
        """The raw pool in hash order; without one, what the arms have together."""
        if held.pool is not None:
            texts = held.pool.filter(held.reason(held.pool).is_null()).get_column("text")
        else:
            texts = pl.concat([urn.arm.frame.get_column("text") for urn in urns]).unique()
        yield from texts.gather(np.argsort(hashes(texts.to_arrow(), 0, "proxy"), kind="stable"))

    with on_ray(proxy) as cluster:
        say("warming the proxy on the pool")
        yield [cluster.send(tier) for tier in tiers(pool, proxy, 0, out / "proxy")], cluster.workers


def _mixtures(given: Targets, held: Held, proxy: ProxySettings | None, number: int, amount: int, out: Path) -> None:
    from winnow.pipelines.prove.arms import RANDOM, paired, read_arm
    from winnow.pipelines.prove.draw import sizes_in
    from winnow.pipelines.prove.experiment import carry_out
    from winnow.pipelines.prove.mixtures import REPEATED, SEEDS, MixtureUrn, dumped, groups_of, table
    from winnow.pipelines.prove.probe import WITTEN_BELL, Ngrams, closed
    from winnow.pipelines.prove.protocol import write

    (pool,) = paired([read_arm("pool", RANDOM, 0, given, held, 5 * amount)], held)
    groups = groups_of(pool, sizes_in(given.unit, given.tokenizer), amount, number)
    say(f"{number} mixtures of {len(groups.names)} groups: {', '.join(groups.names)}")
    urns = [MixtureUrn(groups, shares, f"mixture-{n:03d}") for n, shares in enumerate(groups.sampled(number, 0), 1)]
    texts = [*pool.frame.get_column("text"), *(text for target in held.targets for text in target.texts)]
    quick: list[Tier] = [] if proxy else [Ngrams(given.order, closed(texts))]
    amounts = (amount, amount)
    with _registered(given, held, urns, amounts, SEEDS, quick, WITTEN_BELL, proxy, out) as (protocol, trained, workers):
        tiers = [*quick, *trained]
        once = carry_out(urns, held.targets, tiers, amount, SEEDS[:1], out, None, say, workers)
        again = carry_out(urns[:REPEATED], held.targets, tiers, amount, SEEDS, out, None, say, workers)
    found = table(groups, urns, once, again, protocol.digest)
    write(out / "mixtures.json", dumped(found))
    for name, measure in found["measures"].items():
        say(f"{name}: bits per {measure['unit'].replace('_', ' ')} of mixtures, by their shares")
        for target, fit in measure["fits"].items():
            figures = f"error {fit['cross_validated_error']:.4f}, spread {fit['spread']:.4f}, noise {fit['noise']:.4f}"
            say(f"  {target:<28} {figures}" + (f": refused: {fit['refused']}" if fit["refused"] else ""))
        if measure["best"]:
            best = sorted(measure["best"].items(), key=lambda item: -item[1])
            say("  best: " + ", ".join(f"{share:.0%} {group}" for group, share in best if share >= 0.005))
    say(f"{out / 'mixtures.json'}")


def _show(found: dict[str, Any], out: Path) -> None:
    """The verdicts over all targets, and where the rest is."""
    baseline = found["baseline"]
    for name, measure in found["measures"].items():
        said = " (the verdict)" if name == found["primary"] else ""
        say(f"{name}{said}: bits per {measure['unit'].replace('_', ' ')}; fewer are better")
        for arm, figures in measure["arms"].items():
            line = f"  {arm:<28} {figures['macro']:.3f}"
            if arm != baseline:
                e = next(p for p in measure["pairs"] if (p["a"], p["b"]) == (arm, baseline))["macro"]
                line += f"  {e['verdict']:<4} {e['value']:+.3f} [{e['low']:+.3f}, {e['high']:+.3f}] against {baseline}"
            say(line)
    for note in found["notes"]:
        say(f"note: {note}")
    say(f"{out / 'report.html'}")


def register_prove(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(prove)
