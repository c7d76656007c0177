"""docs/selection-quality.md, made of an experiment's results.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from winnow.pipelines.prove.findings import pair

Tree = Mapping[str, Any]

INTRODUCTION = """# Which Korean selection trains the better model

Made by `make experiment`; do not edit. Every figure of the experiment is here, whatever it says.

Models are trained on equal amounts of each arm and measured in bits on held-out texts: fewer are better, so a difference
below 0 is a win of the arm that is named first. Intervals hold over draws of documents and documents of the targets; a tie
is an interval that holds 0. [prove.md](prove.md) says how arms are drawn and what an interval means. All documents come
from one pool, a mixture of sources that are good or noisy by their origin; what is a good source is judged by its origin,
not page by page, and the pool is not the web.

- `random`: the pool as it is. `random again`: another draw of it, for what chance does.
- `fineweb2`: language by lid.176 (at least 0.842), then FineWeb2's filters for Korean by datatrove, on Kiwi's morphemes.
- `ours`: what `pipelines/ko.yaml` keeps. `ours without ...`: the same, one stage left out.
- `oracle`: the documents of good sources.

The revision of the recipe: `quality` keeps what its model does not call junk, is mostly Hangul and is varied (it kept what the
model scored as good); `toxicity` drops less. Documentation loses by it: manuals repeat their terms, which the bound on variety
takes for templates, and hold much code, which the bound on Hangul drops. `--set 'stages.quality.keep=score >= 0.2'` keeps them;
`ours without quality` shows about what that costs.
"""


def document(found: Tree, protocol: Tree, said: str) -> str:
    """Markdown. `said`: how this run of the experiment was made."""
    parts = [*_summary(found), *_setting(found, protocol, said), *_measures(found, protocol), *_arms(found)]
    return "\n".join([INTRODUCTION, *parts]) + "\n"


def _summary(found: Tree) -> Iterator[str]:
    """The verdicts on `ours`, the bad ones by name."""
    yield "## What it says\n"
    for name, measure in found["measures"].items():
        if "ours" not in measure["arms"]:
            continue
        if "fineweb2" in measure["arms"]:
            both = pair(measure, "ours", "fineweb2")
            each = both["targets"]
            panels = "".join(
                f"; over the targets {panel}: {_said(measure, 'ours', 'fineweb2', panel)}" for panel in both["panels"]
            )
            largest = max(each, key=lambda target: abs(each[target]["value"]))
            part = each[largest]["value"] / len(each) / (both["macro"]["value"] or 1.0)
            yield (
                f"- {name}: ours against fineweb2 over all targets: {_said(measure, 'ours', 'fineweb2')}{panels}. Of the "
                f"difference over all targets, {largest} alone makes {part:.0%}."
            )
        for other in ("random", "fineweb2"):
            if other in measure["arms"]:
                against = pair(measure, "ours", other)["targets"]
                lost = [f"{target} {e['value']:+.3f}" for target, e in against.items() if e["verdict"] == "loss"]
                yield f"- {name}: targets on which ours is worse than {other}: {', '.join(lost) or 'none'}."
    if all(measure["unit"] == "character" for measure in found["measures"].values()):
        yield "- Tier 1 was not run: nothing here is of a trained neural model."
    yield ""


def _setting(found: Tree, protocol: Tree, said: str) -> Iterator[str]:
    targets = protocol["targets"]
    yield "## Setting\n"
    yield (
        f"{found['amount']:,} {found['unit']} of each arm, {len(protocol['seeds'])} seeds, no domain above "
        f"{protocol['given']['caps']['share']:.0%} of an arm. Protocol `{found['protocol'][:16]}`, registered before the first "
        f"model was trained. {said}\n"
    )
    yield "| target | documents | characters |\n|---|---|---|"
    for target in targets:
        yield f"| {target['name']} | {target['documents']} | {target['characters']:,} |"
    yield ""
    for note in found["notes"]:
        yield f"- {note}"
    yield ""


def _measures(found: Tree, protocol: Tree) -> Iterator[str]:
    order = sorted(found["measures"], key=lambda name: name != found["primary"])
    for name in order:
        measure = found["measures"][name]
        unit = measure["unit"].replace("_", " ")
        yield f"## {name}{' (the verdict)' if name == found['primary'] else ''}\n"
        yield f"Bits per {unit} over all targets, {measure['seeds']} seeds.\n"
        others = [arm for arm in ("fineweb2", "ours") if arm in measure["arms"]]
        heads = [f"against {other}" for other in ("random", *others)]
        yield "| arm | bits | " + " | ".join(heads) + " | gap closed |"
        yield "|---|---|" + "---|" * (len(heads) + 1)
        for arm, figures in measure["arms"].items():
            cells = [_said(measure, arm, other) for other in ("random", *others)]
            gap = measure["gap_closed"].get(arm)
            closed = "" if gap is None else f"{gap['value']:.0%} [{gap['low']:.0%}, {gap['high']:.0%}]"
            yield f"| {arm} | {figures['macro']:.3f} | " + " | ".join(cells) + f" | {closed} |"
        for panel, members in protocol["given"]["panels"].items():
            yield f"\nOver the targets {panel} ({', '.join(members)}):\n"
            yield "| arm | " + " | ".join(heads) + " |"
            yield "|---|" + "---|" * len(heads)
            for arm in measure["arms"]:
                cells = [_said(measure, arm, other, panel) for other in ("random", *others)]
                yield f"| {arm} | " + " | ".join(cells) + " |"
        yield "\nBy target, against random:\n"
        targets = list(next(iter(measure["arms"].values()))["targets"])
        yield "| arm | " + " | ".join(targets) + " |"
        yield "|---|" + "---|" * len(targets)
        yield (
            "| random (bits) | " + " | ".join(f"{measure['arms']['random']['targets'][t]:.3f}" for t in targets) + " |"
        )
        for arm in measure["arms"]:
            if arm != "random":
                each = pair(measure, arm, "random")["targets"]
                yield f"| {arm} | " + " | ".join(_cell(each[t]) for t in targets) + " |"
        for other in others:
            if other != "ours" and "ours" in measure["arms"]:
                each = pair(measure, "ours", other)["targets"]
                yield f"| ours against {other} | " + " | ".join(_cell(each[t]) for t in targets) + " |"
        yield ""


def _arms(found: Tree) -> Iterator[str]:
    yield "## What each arm holds\n"
    yield "| arm | documents | characters | good sources | largest domains | noise | exact copies |"
    yield "|---|---|---|---|---|---|---|"
    for name, arm in found["arms"].items():
        domains, noise = (_largest(arm[column], number) for column, number in (("domain", 6), ("noise", 4)))
        good = arm["kind"].get("good", 0.0)
        yield (
            f"| {name} | {arm['documents']:,} | {arm['characters']:,} | {good:.0%} | {domains} | {noise} | {arm['copies']:.1%} |"
        )


def _largest(shares: Mapping[str, float], number: int) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in [*shares.items()][:number])


def _said(measure: Tree, a: str, b: str, panel: str | None = None) -> str:
    if a == b:
        return ""
    found = pair(measure, a, b)
    e = found["macro"] if panel is None else found["panels"][panel]
    return f"{e['verdict']} {e['value']:+.3f} [{e['low']:+.3f}, {e['high']:+.3f}]"


def _cell(e: Tree) -> str:
    return f"{e['verdict']} {e['value']:+.3f}"
