"""What a declaration names as its input, through the command: files of odd names, folders, and what cannot be read."""

from __future__ import annotations

import bz2
import json
import shutil
import unicodedata
from pathlib import Path

import pytest
import yaml
from fsspec.implementations.local import LocalFileSystem

from winnow.pipelines.engine.declaration import load_pipeline, resolve_pipeline
from winnow.pipelines.engine.inputs import partitions
from winnow.pipelines.engine.plan import make_plan
from winnow.pipelines.engine.store import Store
from winnow.pipelines.engine.tasks import Kind
from winnow.pipelines.engine.yaml_source import SpecError
from winnow.stages.reading.paths import NoInput, matches

from .in_process import command

ROOT = Path(__file__).resolve().parents[2]

DECLARATION = """name: field
language: ko
max_failures: {most}
sources:
  texts: {{use: jsonl, paths: {paths}, id: id, title: id}}
stages:
  rules: {{use: rules, packs: [gopher], keep: "word_count >= 3"}}
"""


def declared(folder: Path, *paths: str, most: float = 0.05) -> Path:
    path = folder / "field.yaml"
    path.write_text(DECLARATION.format(paths=json.dumps(paths, ensure_ascii=False), most=most), "utf-8")
    return path


def written(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


TEXT = "마을 도서관에서는 어린이들과 함께 새로운 책을 읽고 이야기를 나누는 시간을 가졌다."


def test_an_error_names_its_file_and_line_wherever_it_is_shown(tmp_path: Path) -> None:
    good = {"id": "a", "text": TEXT}
    written(tmp_path / "in" / "a.jsonl", good, good)
    written(tmp_path / "in" / "b.jsonl", {**good, "id": "b"}, "{broken", {"id": "c", "body": TEXT})
    path = declared(tmp_path, "in/*.jsonl")
    done = command("run", str(path), "--local", cwd=tmp_path)
    assert done.returncode == 1
    assert "not JSON: expecting property name enclosed in double quotes at character 2" in done.stderr
    assert "b.jsonl: line 2 (byte " in done.stderr
    done = command("run", str(path), "--local", "--set", "max_failures=10", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in (["sample", "runs/field", "--failed"], ["inspect", "runs/field"]):
        done = command(*words, cwd=tmp_path)
        assert "b.jsonl: line 2 (byte" in done.stdout and "b.jsonl: line 3 (byte" in done.stdout
        assert "no 'text'; it has body, id" in done.stdout and "None" not in done.stdout


def test_every_unreadable_file_is_told_before_anything_runs(tmp_path: Path) -> None:
    written(tmp_path / "in" / "a.jsonl", {"id": "a", "text": TEXT})
    (tmp_path / "in" / "b.jsonl").write_bytes(json.dumps({"text": TEXT}).encode("utf-16"))
    (tmp_path / "in" / "c.jsonl.bz2").write_bytes(bz2.compress(b'{"text": "a"}\n'))
    written(tmp_path / "in" / "d.jsonl", json.dumps([{"text": TEXT}] * 3, indent=1))
    done = command("plan", str(declared(tmp_path, "in/*")), cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 3, done.stderr
    for line, words in zip(
        lines, ("b.jsonl is UTF-16LE", "c.jsonl.bz2 is packed by bzip2", "d.jsonl is a JSON array"), strict=True
    ):
        assert words in line and "expected" in line


ODD = [
    "[crawl] 2024/part [1].jsonl",
    "a*b?.jsonl",
    "50% #1 a::b.jsonl",
    "줄\n바꿈.jsonl",
    "~home.jsonl",
    "{a,b}!.jsonl",
]


@pytest.mark.parametrize("name", ODD)
def test_a_file_that_exists_under_exactly_this_name_is_meant(tmp_path: Path, name: str) -> None:
    file = written(tmp_path / name, {"id": "a", "text": TEXT})
    written(file.parent / "axb1.jsonl", {"id": "b", "text": TEXT})
    assert [Path(found) for found in files(tmp_path, name)] == [file]
    folder = written(tmp_path / "[more]" / "in*" / "a.jsonl", {"id": "c", "text": TEXT}).parent
    assert [Path(found) for found in files(tmp_path, "[more]/in*/*.jsonl")] == [folder / "a.jsonl"]
    assert set(files(tmp_path, "*more]/**/*.jsonl")) == {str(folder / "a.jsonl")}, "and elsewhere they stay patterns"


@pytest.mark.parametrize(("there", "asked"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_hangul_is_found_however_it_is_composed(tmp_path: Path, there: str, asked: str) -> None:
    name = unicodedata.normalize(there, "자료/뉴스 모음.jsonl")
    file = written(tmp_path / name, {"id": "a", "text": TEXT})
    for wanted in ("자료/뉴스 모음.jsonl", "자료/뉴스*.jsonl", "자료"):
        assert files(tmp_path, unicodedata.normalize(asked, wanted)) == [str(file)], wanted
    mixed = "/".join([unicodedata.normalize("NFC", "자료"), unicodedata.normalize("NFD", "뉴스 모음.jsonl")])
    assert files(tmp_path, mixed) == [str(file)]


@pytest.mark.parametrize(
    "pattern", ["*", "*.gz", "?.gz", "[ab].gz", "[!a].gz", ".*", "z/*", "*/*", "**", "none/*", "x[1]/*"]
)
def test_a_pattern_on_a_disk_means_what_fsspec_means_by_it(tmp_path: Path, pattern: str) -> None:
    for name in ("a.gz", "b.gz", "c.txt", ".hidden.gz", "z/a.gz", "z/y/a.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link.gz").symlink_to(tmp_path / "a.gz")
    fs, path = LocalFileSystem(), f"{tmp_path}/{pattern}"
    assert [name.rstrip("/") for name in matches(fs, path)] == sorted(name.rstrip("/") for name in fs.glob(path))


def test_one_path_needs_no_list(tmp_path: Path) -> None:
    file = written(tmp_path / "in" / "a.jsonl", {"id": "a", "text": TEXT})
    listed = load_pipeline(declared(tmp_path, "in"))
    path = tmp_path / "bare.yaml"
    path.write_text(DECLARATION.format(paths="in", most=0.05), "utf-8")
    bare = load_pipeline(path)
    assert [Path(found) for found in files(tmp_path, "in")] == [file]
    assert bare.sources["texts"].settings == listed.sources["texts"].settings


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file = written(tmp_path / "home" / "in" / "a.jsonl", {"id": "a", "text": TEXT})
    for wanted in ("~/in/a.jsonl", "~/in", "~/in/*.jsonl"):
        assert files(tmp_path, wanted) == [str(file)]
    done = command("run", str(declared(tmp_path, "~/in")), "--local", "--folder=~/out", cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "home" / "out" / "run.json").is_file(), done.stderr
    done = command("inspect", "~/out", cwd=tmp_path)
    assert done.returncode == 0 and "1 documents kept" in done.stdout


def test_a_folder_is_read_with_all_below_it_and_says_what_is_not(tmp_path: Path) -> None:
    inputs = ["a.jsonl", "sub/b.ndjson.gz", "sub/deep/c.JSONL.zst", "d.json"]
    for name in inputs:
        written(tmp_path / "in" / name, {"id": name, "text": TEXT})
    (tmp_path / "in" / "sub" / "deeper").mkdir(parents=True)
    for name in ("README.md", "_SUCCESS", ".hidden/e.jsonl", "sub/_temporary/f.jsonl", "a.jsonl.crc", "jsonl"):
        written(tmp_path / "in" / name, "no document")
    said: list[str] = []
    assert files(tmp_path, "in", said) == sorted(str(tmp_path / "in" / name) for name in inputs)
    assert said == [
        f"sources.texts: {tmp_path}/in: 4 files are read and 6 passed over "
        "(.hidden/e.jsonl, README.md, _SUCCESS, a.jsonl.crc, jsonl, sub/_temporary/f.jsonl)"
    ]
    done = command("plan", str(declared(tmp_path, "in/")), cwd=tmp_path)
    assert done.returncode == 0 and "4 files are read and 6 passed over" in done.stdout
    (tmp_path / "none" / "inside").mkdir(parents=True)
    with pytest.raises(NoInput, match=r"the folder '.*/none' holds no .jsonl or .ndjson or .json file; it is empty"):
        files(tmp_path, "none")
    written(tmp_path / "none" / "inside" / "a.csv", "id,text")
    with pytest.raises(NoInput, match=r"holds no .jsonl or .ndjson or .json file, but inside/a\.csv"):
        files(tmp_path, "none")
    with pytest.raises(NoInput, match="matches folders only; expected files"):
        files(tmp_path, "in/sub/deep*")


def files(folder: Path, wanted: str, said: list[str] | None = None) -> list[str]:
    """The input files that a path in a declaration stands for."""
    pipeline = load_pipeline(declared(folder, wanted))
    found = partitions(pipeline, Store(str(folder / "none")), say=(said if said is not None else []).append)
    return [segment.file.url for partition in found for segment in partition.segments]


def test_paths_start_from_the_file_that_they_are_written_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent's from the parent, the child's from the child, those of --set from the current folder."""
    base, child, here = (tmp_path / name for name in ("base", "child", "here"))
    for folder in (base, child, here):
        written(folder / "in" / "a.jsonl", {"id": folder.name, "text": TEXT})
        written(folder / "words.txt", "나쁜말")
        written(folder / "hosts.txt", "bad.example")
        shutil.copytree(ROOT / "tokenize" / "models" / "ko-bpe", folder / "bpe")
    urls = """stages:
  urls: {use: urls, lists: [hosts.txt, {path: ./hosts.txt, kind: words}], keep: "true"}
"""
    more = """
  more: {use: rules, bad_words: words.txt, keep: "word_count > 0"}
  shards: {use: tokenize, tokenizer: bpe}
train: {model: {checkpoint: ./llama, revision: 12e4567}, phases: [{name: 1, data: [{shards: old}]}]}
"""
    (base / "base.yaml").write_text(
        declared(base, "in/a.jsonl").read_text("utf-8").replace("stages:\n", urls).rstrip() + more, "utf-8"
    )
    (child / "child.yaml").write_text(
        "extends: ../base/base.yaml\nstages:\n  more: {bad_words: [words.txt]}\n", "utf-8"
    )
    monkeypatch.chdir(here)
    tree = load_pipeline("../child/child.yaml").tree
    assert tree["sources"]["texts"]["paths"] == [f"{base}/in/a.jsonl"]
    lists = tree["stages"]["urls"]["lists"]
    assert lists == [f"{base}/hosts.txt", {"path": f"{base}/hosts.txt", "kind": "words"}]
    assert tree["stages"]["more"]["bad_words"] == [f"{child}/words.txt"]
    assert tree["stages"]["shards"]["tokenizer"] == f"{base}/bpe"
    assert tree["train"]["model"] == {"checkpoint": f"{base}/llama", "revision": "12e4567"}
    assert tree["train"]["phases"] == [{"name": "1", "data": [{"shards": f"{base}/old"}]}]
    sets = [
        "sources.texts.paths=[in/a.jsonl]",
        "stages.urls={lists: [hosts.txt]}",
        "stages.shards.tokenizer=web-bpe",
        "train.phases=[{name: x, data: [{shards: s3://b/k}]}]",
    ]
    tree = load_pipeline("../child/child.yaml", sets).tree
    assert tree["sources"]["texts"]["paths"] == [f"{here}/in/a.jsonl"]
    assert tree["stages"]["urls"]["lists"] == [f"{here}/hosts.txt"]
    assert tree["stages"]["shards"]["tokenizer"] == "web-bpe", "what ships comes first"
    assert tree["train"]["phases"][0]["data"] == [{"shards": "s3://b/k"}]


def test_what_is_in_the_current_folder_alone_is_refused_with_what_to_write(tmp_path: Path) -> None:
    written(tmp_path / "in" / "a.jsonl", {"id": "a", "text": TEXT})
    written(tmp_path / "words.txt", "나쁜말")
    (tmp_path / "recipes").mkdir()
    path = declared(tmp_path / "recipes", "in/*.jsonl")
    done = command("run", str(path), "--local", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(
        f"error: {path}:5: sources.texts.paths.0: 'in/*.jsonl' is not there beside the declaration"
    )
    assert "write '../in/*.jsonl', or set it on the command line" in done.stderr
    assert "--set 'sources.texts.paths=[in/*.jsonl]'" in done.stderr
    path = declared(tmp_path / "recipes", "../in/*.jsonl")
    bad = ["--set", "stages.rules.bad_words=words.txt"]
    assert command("run", str(path), "--local", *bad, cwd=tmp_path).returncode == 0
    path.write_text(path.read_text("utf-8").replace("use: rules,", "use: rules, bad_words: words.txt,"), "utf-8")
    done = command("run", str(path), "--local", cwd=tmp_path)
    assert done.returncode == 1 and "stages.rules.bad_words: 'words.txt' is not there beside" in done.stderr


def test_a_run_may_be_read_and_moved_from_anywhere(tmp_path: Path) -> None:
    """What was measured with a file does not depend on the folder that the file is in."""
    for name in ("one", "two"):
        written(tmp_path / name / "in" / "a.jsonl", {"id": "a", "text": TEXT})
        written(tmp_path / name / "words.txt", "나쁜말")
        path = declared(tmp_path / name, "in")
        path.write_text(path.read_text("utf-8").replace("use: rules,", "use: rules, bad_words: words.txt,"), "utf-8")
    facts = []
    for name in ("one", "two"):
        plan = make_plan(load_pipeline(tmp_path / name / "field.yaml"), Store(str(tmp_path / "none")))
        facts.append({name: t.fingerprint for name, t in plan.tasks.items() if t.kind in (Kind.INGEST, Kind.MEASURE)})
    assert facts[0] == facts[1]


@pytest.mark.parametrize(
    "written_as", ["no", "on", "yes", "off", "2024-10-01", "2024-13-01", "0123", "1_000", "1:30", "1e3", "~"]
)
def test_a_text_is_read_as_it_is_written(tmp_path: Path, written_as: str) -> None:
    """YAML takes these for truth values, dates and numbers; where a text is expected they are one."""
    text = declared(tmp_path, "in").read_text("utf-8").replace("id: id", f"text: {written_as}, url: {written_as}")
    path = tmp_path / "field.yaml"
    path.write_text(text, "utf-8")
    for pipeline in (load_pipeline(path), load_pipeline(path, [f"sources.texts.url={written_as}"])):
        assert (pipeline.sources["texts"].settings.text, pipeline.sources["texts"].settings.url) == (
            written_as,
            written_as if written_as != "~" else None,
        )
        again = resolve_pipeline(yaml.safe_load(yaml.safe_dump(pipeline.tree)), "run.json")
        assert again.sources["texts"].settings == pipeline.sources["texts"].settings
    path.write_text(text.replace("name: ", f"name: {written_as} #"), "utf-8")
    if written_as in ("~", "1:30"):
        with pytest.raises(SpecError, match=f"name: string should match .* got '{written_as}'"):
            load_pipeline(path)
    else:
        assert load_pipeline(path).name == written_as
    path.write_text(text.replace("language: ", f"language: {written_as} #"), "utf-8")
    with pytest.raises(SpecError, match=rf"field\.yaml:2: language: no language pack for '{written_as}'"):
        load_pipeline(path)


def test_yes_and_no_stay_what_they_are_elsewhere(tmp_path: Path) -> None:
    path = declared(tmp_path, "in")
    path.write_text(path.read_text("utf-8").replace("use: rules,", "use: rules, enabled: no,"), "utf-8")
    assert not load_pipeline(path).nodes and load_pipeline(path, ["stages.rules.enabled=yes"]).nodes
    assert load_pipeline(path, ["stages.rules.enabled=on", "seed=010"]).seed == 8
    with pytest.raises(SpecError, match=r"sources\.texts\.use: 'no' is not a kind"):
        load_pipeline(path, ["sources.texts.use=no"])
