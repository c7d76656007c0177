"""The file of a fitted language pack: YAML whose comments say where each number comes from. The same pack gives the same
bytes; nothing in it depends on the time, the machine or the order of files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from winnow.filters.fitting.clauses import Fitted
from winnow.filters.languages import LanguagePack

_HOW = {"matched": "matched", "tail": "tail of the reference", "base": "the base's"}


def rendered(
    pack: LanguagePack, clauses: Sequence[Fitted], score: str, calibration: Mapping[str, Mapping[str, JsonValue]]
) -> str:
    """`score`: what to say of the cut-off. `clauses`: of the pack's `word_unit`; the pack's own are not looked at."""
    lines = [
        f"# {pack.name}. Made by `winnow fit language`; how each threshold is found: winnow/filters/fitting.",
        "#",
        "# Behind each clause: how it was found, and which share of the documents it drops, reference / crawl.",
        f"code: {_text(pack.code)}",
        f"iso639_3: {_text(pack.iso639_3)}",
        f"name: {_text(pack.name)}",
        f"script: {pack.script}",
        f"own_script: {str(pack.own_script).lower()}",
        f"word_unit: {pack.word_unit}",
        f"version: {pack.version}",
        f"provenance: {_text(pack.provenance)}",
        f"language_score: {pack.language_score:g} # {score}",
    ]
    for key in ("stop_words", "endings", "sentence_endings", "terminal_punctuation", "bad_words"):
        words = getattr(pack, key)
        if words or key == "stop_words":
            lines.append(f"{key}: {_list(words)}")
    if pack.default_packs:
        lines.append(f"default_packs: {_list(pack.default_packs)}")
    lines += ["clauses:", *_clauses(clauses), "calibration:"]
    for name, facts in calibration.items():
        lines.append(f"  {name}:")
        for key, value in facts.items():
            if isinstance(value, dict):
                lines.append(f"    {key}:")
                lines += [f"      {k}: {_json(v)}" for k, v in value.items()]
            else:
                lines.append(f"    {key}: {_json(value)}")
    return "\n".join(lines) + "\n"


def explained(fitted: Fitted) -> str:
    """Behind a clause: `tail of the reference; drops 0.9% / 12%; clamped to ...`."""
    how = _HOW.get(fitted.how, fitted.how)
    if fitted.match is not None and fitted.how == "matched":
        at = f"at quantile {fitted.match.quantile:.3f} of the base's reference"
        beyond = "in the tail of the base's reference: scaled by the ratio of tails"
        how = f"{fitted.clause.base:g} {beyond if fitted.match.beyond else at}"
    drops = f"{fitted.reference:.1%}" + (f" / {fitted.crawl:.1%}" if fitted.crawl is not None else "")
    return "; ".join(part for part in (how, f"drops {drops}", fitted.note) if part)


def _clauses(clauses: Sequence[Fitted]) -> list[str]:
    lines = []
    for group in dict.fromkeys(f.clause.group for f in clauses):
        own = [f for f in clauses if f.clause.group == group]
        lines.append(f"  {group}:" + ("" if any(f.threshold is not None for f in own) else " {}"))
        for f in own:
            if f.threshold is None:
                lines.append(f"    # {f.clause.name} left out: {f.clause.signal}: {f.note}")
            else:
                lines.append(f'    {f.clause.name}: "{f.expression}" # {explained(f)}')
    return lines


def _list(words: Sequence[str]) -> str:
    return "[" + ", ".join(_text(w) for w in words) + "]"


def _text(text: str) -> str:
    """Always quoted: YAML takes `no` and `on` for truth values, and Norwegian has both."""
    return json.dumps(text, ensure_ascii=False)


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)
