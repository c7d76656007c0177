"""The task graph: what is measured again after which edit, which rows a stage covers, and in which pass it is measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.inputs import Partition
from winnow.pipelines.engine.plan import Plan, plan_over
from winnow.pipelines.engine.store import Store
from winnow.pipelines.engine.tasks import TOGETHER, Kind
from winnow.pipelines.engine.yaml_source import SpecError

from .declarations import declaration
from .in_process import command

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = tuple(Partition(n, f"{n:016x}", "crawl", ()) for n in range(3))


def planned(path: Path, *assignments: str) -> Plan:
    pipeline = load_pipeline(path, assignments)
    return plan_over(pipeline, Store("memory://nowhere"), PARTITIONS)


def changed(before: Plan, after: Plan, kind: Kind, what: str = "fingerprint") -> set[str]:
    """The stages of whose tasks of a kind a fingerprint differs."""
    return {t.stage for t in after.every(kind) if getattr(t, what) != getattr(before.tasks.get(t.name), what, None)}


def made_up(folder: Path, seeds: range) -> list[Plan]:
    plans = []
    for seed in seeds:
        path = folder / f"{seed}.yaml"
        path.write_text(yaml.safe_dump(declaration(seed), sort_keys=False), "utf-8")
        try:
            plans.append(planned(path))
        except SpecError:  # such as two stages that change texts side by side
            continue
    return plans


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> list[Plan]:
    return made_up(tmp_path_factory.mktemp("made"), range(150))


KO = ROOT / "pipelines" / "ko.yaml"
BELOW_CLEAN = {"rules", "quality", "toxicity", "dedup", "domain", "personal", "shards"}

EDITS = [
    # edit, what is measured again, what covers other documents, what reduces again
    (
        "stages.quality.keep=score >= 0.5",
        set(),
        {"toxicity", "dedup", "domain", "personal", "shards"},
        {"dedup", "mixture"},
    ),
    ("stages.rules.keep=true", set(), BELOW_CLEAN - {"rules"}, {"dedup", "mixture"}),
    ("stages.dedup.keep=copies < 3", set(), {"domain", "personal", "shards"}, {"mixture"}),
    ("stages.rules.packs=[gopher]", set(), BELOW_CLEAN - {"rules"}, {"dedup", "mixture"}),
    ("stages.clean.steps=[mojibake]", {"clean"} | BELOW_CLEAN, {"clean"} | BELOW_CLEAN, {"dedup", "mixture"}),
    ("stages.mixture.max_epochs=2", set(), set(), {"mixture"}),
    ("stages.shards.tokenizer=web-bpe", {"shards"}, {"shards"}, {"mixture"}),
    (
        "stages.extract.engine=resiliparse",
        {"language", "clean"} | BELOW_CLEAN,
        {"language", "clean"} | BELOW_CLEAN,
        {"dedup", "mixture"},
    ),
    ("stages.quality.cpus=2", set(), set(), set()),
    ("max_failures=0.5", set(), set(), set()),
]


@pytest.mark.parametrize(("edit", "measured", "covered", "reduced"), EDITS, ids=[e[0] for e in EDITS])
def test_an_edit_does_again_what_depends_on_it_and_nothing_else(
    edit: str, measured: set[str], covered: set[str], reduced: set[str]
) -> None:
    before, after = planned(KO), planned(KO, edit)
    assert changed(before, after, Kind.MEASURE) == measured
    assert changed(before, after, Kind.MEASURE, "coverage") == covered
    assert changed(before, after, Kind.REDUCE) == reduced


def test_every_task_comes_after_what_it_depends_on(plans: list[Plan]) -> None:
    assert len(plans) >= 100
    for plan in plans:
        seen: set[str] = set()
        for name, task in plan.tasks.items():
            assert {*task.value_deps, *task.row_deps} <= seen, (plan.pipeline.seed, name)
            deps = [plan.tasks[dep] for dep in (*task.value_deps, *task.row_deps)]
            assert all(dep.step <= task.step for dep in deps)
            if task.kind is Kind.MEASURE:
                assert task.step % 2 == 0
            elif task.kind in TOGETHER:
                assert task.step % 2 == 1
            seen.add(name)


def test_a_fingerprint_differs_where_something_above_it_does(plans: list[Plan], tmp_path: Path) -> None:
    """Of declarations made up at random, with one clause set otherwise: what is measured stays; all that its verdict
    enters is made anew, and nothing else."""
    edited = 0
    for plan in plans:
        for stage, node in plan.pipeline.nodes.items():
            if node.raw or node.writes or node.reduces or not node.clauses or node.statistics:
                continue
            after = planned(
                Path(plan.pipeline.path), f"stages.{stage}.keep={next(iter(node.stage.signals()))} is not null"
            )
            decision = f"decide {stage}"
            touched: set[str] = {decision}
            for name, task in plan.tasks.items():
                rows = task.row_deps if task.kind not in (Kind.MEASURE, Kind.DECIDE) else ()
                values = [dep for dep in task.value_deps if plan.tasks[dep].kind is not Kind.STATISTIC]
                if touched & {*values, *rows}:
                    touched.add(name)
            kinds = (Kind.MEASURE, Kind.REDUCE, Kind.SELECT, Kind.WRITE)
            for name, task in plan.tasks.items():
                if task.kind in kinds and name in after.tasks:
                    same = task.fingerprint == after.tasks[name].fingerprint
                    assert same == (name not in touched), (plan.pipeline.path, stage, name)
            edited += 1
    assert edited >= 100


def test_what_is_measured_with_the_rows_of_a_later_stage_waits_for_it(tmp_path: Path) -> None:
    """A clause over tokens chooses from texts as they are handed off, so whoever edits them sees all that it chooses from."""
    stages = {
        "extract": {"use": "extract"},
        "clean": {"use": "clean", "over": "extract", "keep": "removed_share < 0.9"},
        "personal": {"use": "personal", "keep": True},
        "words": {"use": "rules", "packs": ["gopher"], "over": "extract", "keep": "word_count > 20"},
        "long": {"use": "rules", "packs": ["gopher"], "over": "words", "keep": "top 50% of tokens by word_count"},
        "shards": {"use": "tokenize", "tokenizer": "web-bpe"},
    }
    plan = planned(_written(tmp_path, stages))
    assert plan.level_of("words") < plan.level_of("personal") <= plan.level_of("shards")
    assert "decide words" in plan.groups("personal")[0].row_deps
    assert "decide long" not in plan.groups("shards")[0].row_deps


def test_a_stage_that_waits_for_itself_is_one_sentence(tmp_path: Path) -> None:
    stages = {
        "extract": {"use": "extract"},
        "language": {"use": "langid"},
        "mixture": {"use": "mixture", "by": "language.label", "over": ["extract", "language"]},
        "dedup": {"use": "minhash", "over": "mixture", "keep": "representative"},
        "shards": {"use": "tokenize", "tokenizer": "web-bpe"},
    }
    with pytest.raises(
        SpecError, match="a corpus stage with a keep clause reads 'shards' signals, which wait for that"
    ):
        planned(_written(tmp_path, stages))


def _written(folder: Path, stages: dict[str, dict[str, object]]) -> Path:
    path = folder / "p.yaml"
    sources = {"crawl": {"use": "warc", "paths": ["a.warc"]}}
    tree = {"name": "p", "language": "en", "sources": sources, "stages": stages}
    path.write_text(yaml.safe_dump(tree, sort_keys=False), "utf-8")
    return path


def test_the_graph_is_printed_with_what_each_task_depends_on(recipe: Path) -> None:
    shown = command("plan", recipe, "--folder", recipe.parent / "run", "--graph")
    assert shown.returncode == 0, shown.stderr
    rows = {line[6:].split("  ")[0].strip(): " ".join(line.split()) for line in shown.stdout.splitlines()}
    words = " ".join(shown.stdout.split())
    for name in (
        "ingest",
        "measure language",
        "measure rules",
        "exchange dedup",
        "reduce dedup",
        "select",
        "write shards",
    ):
        assert name in words, shown.stdout
    assert list(rows)[1].startswith("ingest")
    assert not (recipe.parent / "run" / "records").exists()
