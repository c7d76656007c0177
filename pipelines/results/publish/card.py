"""The dataset card: a Markdown page with the metadata that the hub reads, from the run's own accounting.

Everything in it is derived from the run; no date, no machine and no absolute local path, so the same run gives the
same card.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from shlex import quote
from typing import Any

import yaml

from winnow.pipelines.results.publish.artifacts import Model, models
from winnow.pipelines.results.publish.dataset import KEPT_FILES, REJECT_FILES, Counts, DataFile, kept_schema
from winnow.pipelines.results.publish.licence import Licence
from winnow.pipelines.results.publish.limits import limits
from winnow.pipelines.results.publish.privacy import cut
from winnow.pipelines.results.table import Node, Run
from winnow.pipelines.selection.verdict import MULTIPLICITY

SIZES = [(10**3, "1K"), (10**4, "10K"), (10**5, "100K"), (10**6, "1M"), (10**7, "10M"), (10**8, "100M")]
SIZES += [(10**9, "1B"), (10**10, "10B"), (10**11, "100B"), (10**12, "1T")]

MOST_THRESHOLDS = 3


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
    found = models(publication.run)
    parts = [
        f"---\n{_metadata(publication)}---",
        f"# {publication.run.pipeline.name}",
        _summary(publication),
        "## Funnel\n\n" + _funnel(publication),
        "## Thresholds\n\n" + _thresholds(publication),
        *_reports(publication.run),
        "## Sources\n\n" + _sources(publication.run),
        "## Licences\n\n" + publication.licence.sentence + " winnow's code is Apache-2.0. " + _model_licences(found),
        "## Models\n\n" + _models(publication.run, found),
        "## Known limits\n\n" + "\n".join(f"- {limit}" for limit in limits(publication.run, found)),
        "## Columns\n\n" + _columns(publication),
        "## Declaration\n\n" + _declaration(publication.run),
        "## Making it again\n\n" + _again(publication),
    ]
    return "\n\n".join(parts) + "\n"


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
    below = "n<1K"
    for (least, name), following in zip(SIZES, [*(n for _, n in SIZES[1:]), None], strict=True):
        if rows >= least:
            below = f"{name}<n<{following}" if following else f"n>{name}"
    return below


def _summary(publication: Publication) -> str:
    run, counts = publication.run, publication.counts
    kept = [file for file in publication.files if file.path.startswith(KEPT_FILES)]
    tokens = f", {run.accounting['tokens']:,} tokens with the repeats" if run.pipeline.terminal() else ""
    repeats = f" ({counts.copies:,} with repeats)" if counts.copies != counts.kept else ""
    pack = run.pipeline.pack
    lines = [
        f"{counts.kept:,} documents{repeats} in {pack.name}, {sum(f.text_bytes for f in kept):,} bytes of text{tokens}; "
        f"selected by winnow {winnow_version()} from "
        f"{counts.kept + counts.rejects:,} records. The selection's digest is `{run.accounting['digest']}`."
    ]
    if publication.rejects:
        lines.append(
            f"The configuration `rejects` has the {counts.rejects:,} records that were not kept, each with the stage, "
            "clause, value and threshold that decided; those dropped before their text was extracted have none."
        )
    example = f'load_dataset("{publication.to.removeprefix("hub:")}", "kept", split="train")'
    if not publication.to.startswith("hub:"):
        example = 'load_dataset("parquet", data_files="data/kept-*.parquet", split="train")'
    lines.append(f"```python\nfrom datasets import load_dataset\n\nkept = {example}\n```")
    return "\n\n".join(lines)


def _funnel(publication: Publication) -> str:
    stages = publication.run.accounting["stages"]
    rows = []
    for name, kind in _steps(publication.run):
        if account := stages.get(name):
            dropped = sum(account["dropped"].values())
            rows.append([name, kind, *(f"{n:,}" for n in (account["in"], account["kept"], dropped, account["failed"]))])
    table = _table(["stage", "kind", "rows in", "kept", "dropped", "failed"], rows)
    return (
        f"{table}\n\nA document is in the data when every stage that saw it kept it: {publication.counts.kept:,} are."
    )


def _thresholds(publication: Publication) -> str:
    """Every clause: what the declaration or the language pack states, and those that sources and mixtures have."""
    run = publication.run
    stages = run.accounting["stages"]
    rows = []
    for name, _ in _steps(run):
        dropped = dict(stages.get(name, {}).get("dropped", {}))
        node = run.pipeline.nodes.get(name)
        figures = _figures_of(run, node) if node else {}
        for clause in node.clauses if node else ():
            compared = [t for t in publication.counts.thresholds.get(clause.name, []) if t not in clause.text]
            compares = figures.get(clause.name) or _few(compared)
            rows.append([name, clause.name, f"`{clause.text}`", compares, f"{dropped.pop(clause.name, 0):,}"])
        if node and node.repeats:
            repeats = f"{name}.{MULTIPLICITY}"
            text = node.repeat.text if node.repeat else MULTIPLICITY
            compared = publication.counts.thresholds.get(repeats, [])
            rows.append([name, repeats, f"repeat `{text}`", _few(compared), f"{dropped.pop(repeats, 0):,}"])
        for clause_name, drops in sorted(dropped.items()):
            compared = publication.counts.thresholds.get(clause_name, [])
            rows.append([name, clause_name, "", _few(compared), f"{drops:,}"])
    pack = run.pipeline.pack
    table = _table(["stage", "clause", "keeps where", "compared with", "rows dropped"], rows)
    return (
        f"Bare names are the stage's own signals. Clauses that the declaration does not state are those of the kinds of "
        f"stages and of the language pack `{pack.code}`, version {pack.version}. Each row counts what its stage dropped by "
        f"that clause first. `compared with` is filled in where the expression does not say it.\n\n{table}"
    )


def _figures_of(run: Run, node: Node) -> dict[str, str]:
    """Clause -> the quantiles, means and boundaries that it compared documents with."""
    results, out = run.statistics(node.name), {}
    for clause in node.clauses:
        figures = [
            f"{statistic.text or statistic.kind}{f' of {group}' if group is not None else ''} = {number:.6g} ({what})"
            for statistic in clause.statistics
            if statistic.column in results
            for group, number, what in results[statistic.column].groups()
        ]
        out[clause.name] = "; ".join(figures)
    return out


def _few(values: Sequence[str]) -> str:
    if len(values) > MOST_THRESHOLDS:
        return f"{len(values):,} values, `{values[0]}` to `{values[-1]}`"
    return ", ".join(f"`{value}`" for value in values)


def _reports(run: Run) -> Iterator[str]:
    """What the stages that look at all documents together say of them."""
    for name, report in run.accounting.get("reports", {}).items():
        flat = {key: value for key, value in report.items() if not isinstance(value, dict | list)}
        lines = [f"## Stage {name}", ", ".join(f"{key} {_figure(value)}" for key, value in flat.items())]
        groups = report.get("groups")
        if isinstance(groups, dict) and groups:
            keys = list(next(iter(groups.values())))
            rows = [[str(group), *(_figure(values.get(key)) for key in keys)] for group, values in groups.items()]
            lines.append(_table(["group", *keys], rows))
        if report:
            yield "\n\n".join(line for line in lines if line)


def _sources(run: Run) -> str:
    tree = cut(run.pipeline.tree)["sources"]
    rows = []
    for name, source in run.pipeline.sources.items():
        paths = tree.get(name, {}).get("paths", [])  # a companion is declared by its source
        groups = [group for group, accounts in run.accounting.get("groups", {}).items() if group and name in accounts]
        listed = ", ".join(f"`{path}`" for path in ([paths] if isinstance(paths, str) else paths) or groups)
        records = run.accounting["stages"].get(name, {}).get("in", 0)
        rows.append([name, source.kind, listed, f"{records:,}"])
    table = _table(["source", "kind", "read from", "records"], rows)
    return (
        f"{table}\n\nPaths are those of the declaration; absolute local paths are cut to their last component, and URLs lose "
        "accounts and queries. The column `source` names the source of each document, `url` and `date` what it said."
    )


def _model_licences(found: Sequence[Model]) -> str:
    if not found:
        return "No model took part in the selection."
    named = dict.fromkeys(f"`{model.name}`: {model.licence}" for model in found)
    return "Of the models that measured, from their cards:\n\n" + "\n".join(f"- {line}" for line in named)


def _models(run: Run, found: Sequence[Model]) -> str:
    if not found:
        return "None."
    kinds = dict(_steps(run))
    rows = [[model.stage, kinds[model.stage], model.name, f"`{model.digest}`"] for model in found]
    return _table(["stage", "kind", "artifact", "sha256"], rows)


def _columns(publication: Publication) -> str:
    run = publication.run
    kinds = {f"{node.name}.": node.stage.kind for node in run.pipeline.nodes.values()}
    own = {
        "id": "identity of the document",
        "url": "where the source has it from",
        "date": "when the source has it from",
        "source": "name of the source",
        "title": "title, where the page or record has one",
        "text": "the text, NFC" + (f", as {' and '.join(edits)} changed it" if (edits := run.pipeline.edits()) else ""),
        "selection.multiplicity": "how often training is to see the document",
    }
    rows = []
    for field in kept_schema(run):
        stage = field.name.partition(".")[0]
        rows.append(
            [f"`{field.name}`", str(field.type), own.get(field.name) or f"measured by {stage} ({kinds[f'{stage}.']})"]
        )
    table = _table(["column", "type", "what"], rows)
    reasons = (
        "\n\n`rejects` has `selection.status`, `selection.stage`, `selection.clause`, `selection.value` and "
        "`selection.threshold` in place of `selection.multiplicity`; the value of a failure is its cause."
    )
    return table + (reasons if publication.rejects else "")


def _declaration(run: Run) -> str:
    return f"With everything that it extends and overrides (`pipeline.yaml` here):\n\n```yaml\n{declaration(run)}```"


def _again(publication: Publication) -> str:
    run = publication.run
    sources = run.pipeline.tree["sources"]
    moved = [name for name, tree in sources.items() if cut(tree) != tree]
    sets = "".join(f" \\\n  --set 'sources.{name}.paths=[...]'" for name in moved)
    name = run.pipeline.name
    options = " --rejects" if publication.rejects else ""
    options += " --private" if publication.private else ""
    options += f" --licence {quote(publication.given)}" if publication.given else ""
    text = (
        f"With winnow {winnow_version()}:\n\n```sh\nwinnow run pipeline.yaml --folder runs/{name}{sets}\n"
        f"winnow publish runs/{name} --to {quote(publication.to)}{options}\n```\n\nThe same input gives the selection "
        f"`{run.accounting['digest']}` for any number of workers, and with "
        f"pyarrow {version('pyarrow')} files of the digests in `dataset.json`."
    )
    if moved:
        text += f" The paths of {', '.join(moved)} are cut here: give your own."
    return text


def _steps(run: Run) -> list[tuple[str, str]]:
    """Sources and stages in order, each with its kind."""
    pipeline = run.pipeline
    return [(source.name, source.kind) for source in pipeline.sources.values()] + [
        (node.name, node.stage.kind) for node in pipeline.nodes.values()
    ]


def _figure(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
