"""The dataset card: a Markdown page with the metadata that the hub reads, from the run's own accounting.

Everything in it is derived from the run; no date, no machine and no absolute local path, so the same run gives the
same card. The words are in `card.md.jinja` and, what its pipeline does not do and what it lost, `limits.md.jinja`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Any

import jinja2
import yaml

from winnow.pipelines.results.publish.artifacts import models
from winnow.pipelines.results.publish.dataset import KEPT_FILES, REJECT_FILES, Counts, DataFile
from winnow.pipelines.results.publish.licence import Licence
from winnow.pipelines.results.publish.privacy import cut, scrubbed, shown
from winnow.pipelines.results.table import Run
from winnow.pipelines.selection.verdict import MULTIPLICITY

SIZES = "1K 10K 100K 1M 10M 100M 1B 10B 100B 1T".split()
"""The hub's classes of sizes, from a thousand rows, each ten times the one before."""

MOST_THRESHOLDS, MOST_DAMAGE = 3, 10
"""Thresholds of a clause, and stretches of damaged input, that are listed."""

PERSONAL = re.compile(r"pii|personal|redact|anonym|mask")
CONTAMINATION = re.compile(r"contaminat|benchmark")
"""What the kinds of stages that do such work have in their names."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What the card is about. `to`: the destination as the user wrote it, without folders of this machine."""

    run: Run
    to: str
    counts: Counts
    files: tuple[DataFile, ...]
    licence: Licence
    given: str | None
    private: bool

    @property
    def rejects(self) -> bool:
        """Whether the rejects are published too."""
        return any(file.path.startswith(REJECT_FILES) for file in self.files)


def winnow_version() -> str:
    """The installed version."""
    try:
        return version("winnow")
    except PackageNotFoundError:
        return "unknown"


def declaration(run: Run) -> str:
    """The resolved declaration as YAML, absolute local paths cut to their last component."""
    return yaml.safe_dump(cut(run.pipeline.tree), allow_unicode=True, sort_keys=False)


def card(publication: Publication) -> str:
    """README.md of a publication."""
    run, found = publication.run, models(publication.run)
    kinds = dict(_steps(run))
    sources = run.pipeline.tree["sources"]
    text: str = (
        _environment()
        .get_template("card.md.jinja")
        .render(
            p=publication,
            run=run,
            pack=run.pipeline.pack,
            accounting=run.accounting,
            winnow=winnow_version(),
            pyarrow=version("pyarrow"),
            metadata=_metadata(publication),
            text_bytes=sum(file.text_bytes for file in publication.files if file.path.startswith(KEPT_FILES)),
            steps=_steps(run),
            thresholds=list(_thresholds(publication)),
            sources=list(_sources(run)),
            models=found,
            licences=list(dict.fromkeys(f"`{model.name}`: {model.licence}" for model in found)),
            artifacts=[[model.stage, kinds[model.stage], model.name, f"`{model.digest}`"] for model in found],
            edits=" and ".join(run.pipeline.edits()),
            declaration=declaration(run),
            moved=[name for name, tree in sources.items() if cut(tree) != tree],
            **_limits(run),
        )
    )
    return text


@cache
def _environment() -> jinja2.Environment:
    """Templates of this folder; a name that does not exist is an error."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {"count": "{:,}".format, "quote": quote}
    found.globals |= {"table": _table, "figures": _figures, "grouped": _grouped}
    return found


def _metadata(publication: Publication) -> str:
    pipeline = publication.run.pipeline
    configs: list[dict[str, Any]] = [
        {"config_name": "kept", "default": True, "data_files": [{"split": "train", "path": f"{KEPT_FILES}-*.parquet"}]}
    ]
    if publication.rejects:
        files = [{"split": "train", "path": f"{REJECT_FILES}-*.parquet"}]
        configs.append({"config_name": "rejects", "data_files": files})
    metadata = {
        **publication.licence.metadata,
        "language": [pipeline.language],
        "pretty_name": pipeline.name,
        "size_categories": [_size(publication.counts.kept)],
        "task_categories": ["text-generation"],
        "tags": ["pretraining", "winnow"],
        "configs": configs,
    }
    return yaml.safe_dump(metadata, allow_unicode=True, sort_keys=False)


def _size(rows: int) -> str:
    at = len(str(rows)) - 4  # of the class that the rows reach
    if at < 0:
        return "n<1K"
    return f"{SIZES[at]}<n<{SIZES[at + 1]}" if at + 1 < len(SIZES) else f"n>{SIZES[-1]}"


def _steps(run: Run) -> list[tuple[str, str]]:
    """Sources and stages in order, each with its kind."""
    sources, nodes = run.pipeline.sources.values(), run.pipeline.nodes.values()
    return [*((source.name, source.kind) for source in sources), *((node.name, node.stage.kind) for node in nodes)]


def _thresholds(publication: Publication) -> Iterator[list[str]]:
    """Every clause: what the declaration or the language pack states, and those that sources and mixtures have."""
    run, compared = publication.run, publication.counts.thresholds
    for name, _ in _steps(run):
        dropped = dict(run.accounting["stages"].get(name, {}).get("dropped", {}))
        node = run.pipeline.nodes.get(name)
        figures: dict[str, list[str]] = {}
        for clause, statistic, group, number, what in run.compared_with(name) if node else ():
            of = f" of {group}" if group is not None else ""
            said = f"{statistic.text or statistic.kind}{of} = {number:.6g} ({what})"
            figures.setdefault(clause.name, []).append(said)
        for clause in node.clauses if node else ():
            others = [threshold for threshold in compared.get(clause.name, []) if threshold not in clause.text]
            says = "; ".join(figures.get(clause.name, ())) or _few(others)
            yield [name, clause.name, f"`{clause.text}`", says, f"{dropped.pop(clause.name, 0):,}"]
        if node and node.repeats:
            repeats = f"{name}.{MULTIPLICITY}"
            text = node.repeat.text if node.repeat else MULTIPLICITY
            yield [name, repeats, f"repeat `{text}`", _few(compared.get(repeats, [])), f"{dropped.pop(repeats, 0):,}"]
        for clause_name, drops in sorted(dropped.items()):
            yield [name, clause_name, "", _few(compared.get(clause_name, [])), f"{drops:,}"]


def _few(values: Sequence[str]) -> str:
    if len(values) > MOST_THRESHOLDS:
        return f"{len(values):,} values, `{values[0]}` to `{values[-1]}`"
    return ", ".join(f"`{value}`" for value in values)


def _sources(run: Run) -> Iterator[list[str]]:
    tree = cut(run.pipeline.tree)["sources"]
    for name, source in run.pipeline.sources.items():
        paths = tree.get(name, {}).get("paths", [])  # a companion is declared by its source
        groups = [group for group, accounts in run.accounting.get("groups", {}).items() if group and name in accounts]
        listed = ", ".join(f"`{path}`" for path in ([paths] if isinstance(paths, str) else paths) or groups)
        yield [name, source.kind, listed, f"{run.accounting['stages'].get(name, {}).get('in', 0):,}"]


def _limits(run: Run) -> dict[str, Any]:
    """What `limits.md.jinja` says: what the pipeline does not do, what it lost, what may have been lost unseen."""
    pipeline, accounting, nodes = run.pipeline, run.accounting, run.pipeline.nodes.values()
    stages, most = accounting["stages"], run.pipeline.max_failures
    by_text: dict[str, list[str]] = {}
    for name, guards in pipeline.guards.items():
        for guard in guards:
            by_text.setdefault(guard.text, []).append(name)
    damage = [
        f"`{PurePosixPath(shown(d['file'])).name}` at byte {d['offset']:,} ({scrubbed(str(d['cause']))})"
        for d in accounting["damage"][:MOST_DAMAGE]
    ]
    return {
        "kinds": {node.stage.kind for node in nodes},
        "masking": [node.name for node in nodes if node.edits and PERSONAL.search(node.stage.kind)],
        "decontaminated": any(CONTAMINATION.search(node.stage.kind) for node in nodes),
        "duplicates": [
            node for node in nodes if node.stage.kind == "minhash"
        ],  # with settings, also of a kind that is gone
        "repeats": any(node.repeats for node in nodes),
        "records": sum(stages[source]["in"] for source in pipeline.sources if source in stages),
        "failing": [f"{name} {account['failed']:,}" for name, account in stages.items() if account["failed"]],
        "damage": damage,
        "guards": [f"`{text}` ({', '.join(names)})" for text, names in by_text.items()],
        "most_failures": f"{most:,.0f} records" if most >= 1 else f"{most:.2%} of the records",
    }


def _figures(report: Mapping[str, Any]) -> str:
    """What a stage that looks at all documents together says of them."""
    flat = {key: value for key, value in report.items() if not isinstance(value, dict | list)}
    return ", ".join(f"{key} {_figure(value)}" for key, value in flat.items())


def _grouped(groups: Mapping[Any, Mapping[str, Any]], keys: Sequence[str]) -> list[list[str]]:
    return [[str(group), *(_figure(values.get(key)) for key in keys)] for group, values in groups.items()]


def _figure(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
