"""The declaration: what it resolves to, and that everything wrong is refused with file, line and the nearest name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from winnow.filters.languages import languages
from winnow.filters.rules.table import MEASURES
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.yaml_source import SpecError
from winnow.stages.registry import names

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, text: str, name: str = "p.yaml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def child(folder: Path, text: str) -> Path:
    return write(folder, f"extends: {ROOT / 'pipelines' / 'web.yaml'}\nname: child\nlanguage: ko\n{text}")


@pytest.mark.parametrize("recipe", ["ko", "en", "ja", "web"])
def test_the_shipped_recipes_resolve(recipe: str) -> None:
    pipeline = load_pipeline(ROOT / "pipelines" / f"{recipe}.yaml")
    assert pipeline.language == ("en" if recipe == "web" else recipe)
    assert pipeline.terminal() is not None
    assert [n.name for n in pipeline.raw()] == ["urls", "screen", "extract"]


@pytest.mark.parametrize("language", languages())
def test_any_language_with_a_pack_runs_the_neutral_recipe(language: str) -> None:
    pipeline = load_pipeline(ROOT / "pipelines" / "web.yaml", [f"language={language}", f"name={language}"])
    label = next(c for c in pipeline.nodes["language"].clauses if c.name == "language.label")
    assert label.threshold == f"= '{language}'"


def test_the_korean_line() -> None:
    nodes = load_pipeline(ROOT / "pipelines" / "ko.yaml").nodes
    assert list(nodes) == [
        "urls",
        "screen",
        "extract",
        "language",
        "clean",
        "rules",
        "quality",
        "toxicity",
        "dedup",
        "domain",
        "personal",
        "mixture",
        "shards",
    ]
    assert nodes["rules"].over == ("clean",)
    assert nodes["dedup"].over == ("toxicity",), "the survivor of a cluster must be one that the rules keep"
    assert nodes["shards"].over == tuple(nodes)[:-1]
    assert nodes["mixture"].stage.settings.tokens == "shards.tokens"


def test_a_child_inserts_stages_where_it_writes_them(tmp_path: Path) -> None:
    path = child(tmp_path, "stages:\n  language: {}\n  second: {use: langid, keep: true}\n  dedup: null\n")
    assert list(load_pipeline(path).nodes) == [
        *("urls", "screen", "extract", "language", "second", "clean", "rules", "personal", "shards")
    ]


def test_another_kind_replaces_the_parents_settings(tmp_path: Path) -> None:
    path = child(tmp_path, "stages:\n  dedup: {use: rules, over: language}\n")
    nodes = load_pipeline(path).nodes
    assert nodes["dedup"].stage.kind == "rules"
    assert nodes["personal"].over == ("dedup", "clean"), (
        "texts are changed one after another, whatever branches between"
    )


def test_set_overrides_and_disables(tmp_path: Path) -> None:
    path = child(tmp_path, "")
    pipeline = load_pipeline(
        path, ["stages.screen.enabled=false", "stages.rules.keep.too_short=word_count >= 7", "seed=3"]
    )
    assert "screen" not in pipeline.nodes
    assert pipeline.seed == 3
    rules = {c.name: c for c in pipeline.nodes["rules"].clauses}
    assert rules["rules.too_short"].threshold == ">= 7"
    assert len(rules) > 5, "the other clauses of the language pack stay"


def test_a_string_replaces_every_default_clause_and_true_removes_one(tmp_path: Path) -> None:
    path = child(tmp_path, "stages:\n  rules: {keep: 'word_count >= 7'}\n")
    assert [c.name for c in load_pipeline(path).nodes["rules"].clauses] == ["rules.word_count"]
    before = len(load_pipeline(child(tmp_path, "")).nodes["rules"].clauses)
    assert len(load_pipeline(path, ["stages.rules.keep={too_short: true}"]).nodes["rules"].clauses) == before - 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stages:\n  rules: {pakcs: [gopher]}\n", ["p.yaml:5", "stages.rules.pakcs", "nearest: 'packs'"]),
        ("stages:\n  language: {use: langidd}\n", ["p.yaml:5", "nearest: 'langid'"]),
        ("stages:\n  dedup: {bands: x}\n", ["p.yaml:5", "stages.dedup.bands", "integer", "'x'"]),
        ("stages:\n  language: {over: dedup}\n", ["runs in a circle", "dedup"]),
        ("stages:\n  rules: {over: langage}\n", ["no stage 'langage'", "nearest: 'language'"]),
        ("stages:\n  rules: {keep: 'wordcount >= 5'}\n", ["'wordcount'", "'word_count'"]),
        (
            "stages:\n  dedup: {over: language, keep: 'rules.word_count > 5'}\n",
            ["'rules.word_count'", "neither it nor an ancestor"],
        ),
        ("stages:\n  shards: {keep: 'tokens > 5'}\n", ["the last stage decides nothing"]),
        ("stages:\n  Bad: {use: rules}\n", ["lower-case"]),
        ("stages:\n  crawl: {use: rules}\n", ["a source has that name"]),
        (
            "sources: {a: {use: commoncrawl, snapshot: latest, fetch: {user_agnet: x}}}\n",
            ["sources.a.fetch.user_agnet: unknown key", "nearest: 'user_agent'"],
        ),
        ("sources: {a: {use: commoncrawl, snapshot: latest, hosts: {alow: kr}}}\n", ["nearest: 'allow'"]),
        (
            "sources: {a: {use: commoncrawl, snapshot: latest}, a_audit: {use: commoncrawl, snapshot: 2024..}}\n",
            ["sources.a: its sample is the source 'a_audit'"],
        ),
        (
            "sources: {a: {use: commoncrawl, snapshot: latest}}\nstages: {a_audit: {use: rules}}\n",
            ["stages.a_audit", "a source has that name"],
        ),
        ("stages:\n  extract: null\n", ["raw pages", "extract stage"]),
        ("stages:\n  more: {use: tokenize}\n", ["second terminal"]),
        ("language: kk\n", ["twice"]),
        ("langauge: ko\n", ["langauge", "nearest: 'language'"]),
        ("max_failures: lots\n", ["max_failures", "'lots'"]),
        ("sources: {crawl: {paths: {a: b}}}\n", ["sources.crawl.paths", "list"]),
        ("sources: {crawl: {use: wrac}}\n", ["nearest: 'warc'"]),
        ("stages: [a]\n", ["stages", "dictionary"]),
        ("x: !!python/object/apply:os.system ['true']\n", ["p.yaml:4"]),
        ("stages: {rules: [\n", ["not valid YAML"]),
    ],
)
def test_a_mistake_is_one_sentence_with_file_and_line(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(SpecError) as error:
        load_pipeline(child(tmp_path, text))
    for word in words:
        assert word in str(error.value)


def test_a_mistake_in_the_parent_names_the_parent(tmp_path: Path) -> None:
    write(tmp_path, "name: a\nlanguage: ko\nsources: {}\nstages: {x: {use: nothing}}\n", "parent.yaml")
    with pytest.raises(SpecError, match=r"parent\.yaml:4: stages\.x\.use"):
        load_pipeline(write(tmp_path, "extends: parent.yaml\nname: b\n"))


def test_extends_in_a_circle(tmp_path: Path) -> None:
    write(tmp_path, "extends: b.yaml\n", "a.yaml")
    with pytest.raises(SpecError, match="circle"):
        load_pipeline(write(tmp_path, "extends: a.yaml\n", "b.yaml"))


def test_a_missing_file_lists_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path, "", "other.yaml")
    with pytest.raises(SpecError, match=r"no such declaration; there are other\.yaml"):
        load_pipeline(tmp_path / "p.yaml")


@pytest.mark.parametrize(
    "assignment", ["foo", "=1", "a..b=1", "stages.rules.packs.x=1", "stages.rules.packs=[", "stagess.x=1"]
)
def test_a_bad_set_is_refused(assignment: str) -> None:
    with pytest.raises(SpecError, match="--set"):
        load_pipeline(ROOT / "pipelines" / "ko.yaml", [assignment])


def test_every_stage_file_is_a_kind() -> None:
    files = sorted((ROOT / "stages").glob("*.py"))
    assert names("stages") == [file.stem for file in files if "\nKIND = " in file.read_text("utf-8")]
    assert {"extract", "fasttext", "linear", "minhash", "rules", "tokenize"} <= set(names("stages"))


def test_a_stage_added_at_the_end_still_comes_before_the_mixture_and_the_shards(tmp_path: Path) -> None:
    nodes = load_pipeline(ROOT / "pipelines" / "ko.yaml", ["stages.again={use: rules, keep: 'word_count >= 7'}"]).nodes
    assert list(nodes)[-3:] == ["again", "mixture", "shards"]
    assert "again" in nodes["mixture"].over


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stages:\n  extract: {over: language, keep: 'language.score > 0.7'}\n", ["circle"]),
        (
            "stages:\n  rules: {keep: {too_shrt: true}}\n",
            ["p.yaml:5: stages.rules.keep.too_shrt: true takes a clause away", "nearest: 'too_short'"],
        ),
        (
            "stages:\n  rules: {keep: {too_lng: 'True'}}\n",
            ["keep.too_lng: true", "nearest: 'too_long'"],
        ),
        ("stages:\n  dedpu: null\n", ["p.yaml:5: stages.dedpu: null takes away", "nearest: 'dedup'"]),
        ("sources:\n  crwal: null\n", ["sources.crwal: null takes away", "nearest: 'crawl'"]),
        ("stages:\n  late: {use: prescreen, over: rules}\n", ["stages.late.over", "sees raw pages", "documents"]),
        ("stages:\n  rules: {packs: [gophr], keep: 'word_count > 5'}\n", ["gophr", "gopher"]),
        ("seed: 2024-13-01\n", ["p.yaml:4", "2024-13-01"]),
        ("train: &a [*a]\n", ["p.yaml"]),
    ],
)
def test_more_mistakes_are_one_sentence(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(SpecError) as error:
        load_pipeline(child(tmp_path, text))
    for word in words:
        assert word in str(error.value)


def test_a_clause_of_ones_own_is_taken_away_by_whoever_builds_on_it(tmp_path: Path) -> None:
    parent = child(tmp_path, "stages:\n  rules: {keep: {mine: 'word_count > 3'}}\n")
    again = write(tmp_path, f"extends: {parent.name}\nname: b\nstages:\n  rules: {{keep: {{mine: true}}}}\n", "b.yaml")
    for path, sets in ((again, []), (parent, ["stages.rules.keep.mine=true"])):
        clauses = [clause.name for clause in load_pipeline(path, sets).nodes["rules"].clauses]
        assert "rules.mine" not in clauses and "rules.too_short" in clauses
    with pytest.raises(SpecError, match=r"keep\.mien: null takes away what is written .*nearest: 'mine'.*; true takes"):
        load_pipeline(parent, ["stages.rules.keep.mien=null"])
    assert "rules.mine" not in [
        c.name for c in load_pipeline(parent, ["stages.rules.keep.mine=null"]).nodes["rules"].clauses
    ]
    with pytest.raises(SpecError, match=r"keep\.mien: true takes a clause away, .*nearest: 'mine'"):
        load_pipeline(parent, ["stages.rules.keep.mien=true"])


def test_a_name_cannot_leave_the_runs_folder(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="name"):
        load_pipeline(child(tmp_path, ""), ["name=.."])


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("stages:\n  urls: {lsits: [a]}\n", ["lists", "own", "allow", "over", "keep", "repeat", "enabled", "actors"]),
        ("stages:\n  urls: {lists: [{pth: a}]}\n", ["path", "kind", "name"]),
        ("stages:\n  rules: {keep: 'wordcount >= 5'}\n", [m.name for m in MEASURES]),
        ("stages:\n  language: {use: zzz}\n", names("stages")),
        ("zzz: 1\n", ["name", "language", "seed", "max_failures", "sources", "stages", "rejected", "train"]),
    ],
)
def test_a_mistake_lists_every_choice(tmp_path: Path, text: str, choices: list[str]) -> None:
    with pytest.raises(SpecError) as error:
        load_pipeline(child(tmp_path, text))
    listed = re.split(r"[,;\s]+", str(error.value).partition("expected one of ")[2])
    assert set(choices) <= set(listed), error.value
    assert "..." not in str(error.value)
