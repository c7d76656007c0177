"""What `winnow publish` writes is what the run selected, wherever it goes, and nothing else is touched."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import winnow
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.reselect import reselect
from winnow.pipelines.results.publish.dataset import row_groups
from winnow.pipelines.results.publish.privacy import cut, scrubbed, shown
from winnow.pipelines.results.publish.publish import publish
from winnow.pipelines.results.table import Run, open_run


def _beside(name: str) -> Any:
    """A module of this folder."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


published_run = _beside("published_run")

finished_run, said, expected = published_run.finished_run, published_run.said, published_run.expected
read, tree, DECLARATION = published_run.read, published_run.tree, published_run.DECLARATION


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return finished_run(tmp_path_factory.mktemp("secret-project"))


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def test_kept_documents_come_back_with_every_signal(done: Run, tmp_path: Path, console: Console) -> None:
    publish(done, str(tmp_path / "out"), console=console)
    got = read(tmp_path / "out", "data/kept")
    assert got.equals(expected(done))
    assert got.get_column("selection.multiplicity").sum() == done.accounting["copies"]
    assert {"language.score", "rules.word_count", "dedup.copies", "quality.score", "shards.tokens"} <= set(got.columns)
    assert not (tmp_path / "out" / "rejects").exists()
    assert f"published to {tmp_path}/out" in said(console)


def test_rejects_have_their_reasons_and_add_up(done: Run, tmp_path: Path, console: Console) -> None:
    publish(done, str(tmp_path / "out"), rejects=True, console=console)
    rejects = read(tmp_path / "out", "rejects/rejects")
    stages = done.accounting["stages"]
    assert len(rejects) == stages["docs"]["in"] + stages["crawl"]["in"] - done.accounting["kept"]
    status = dict(rejects.group_by("selection.status").len().iter_rows())
    assert status["failed"] == done.accounting["failed"] and status["dropped"] == len(rejects) - status["failed"]
    documents = done.documents(kept_only=False).filter(pl.col("selection.multiplicity") == 0).collect()
    told = ["id", "url", "text", "selection.stage", "selection.clause", "selection.value", "selection.threshold"]
    assert rejects.filter(pl.col("text").is_not_null()).select(told).equals(documents.select(told))
    records = rejects.filter(pl.col("text").is_null())
    by_clause = dict(
        records.filter(pl.col("selection.status") == "dropped").group_by("selection.clause").len().iter_rows()
    )
    assert by_clause == {**stages["crawl"]["dropped"], **stages["screen"]["dropped"]}
    assert set(records.get_column("source")) == {"docs", "crawl"}
    assert records.get_column("language.score").is_null().all()


def test_the_same_selection_gives_the_same_bytes_and_a_dry_run_knows_them(
    done: Run, tmp_path: Path, console: Console
) -> None:
    publish(done, str(tmp_path / "one"), rejects=True, dry_run=True, console=console)
    assert not (tmp_path / "one").exists()
    dry = said(console)
    assert "nothing was written" in dry and "license: unknown" in dry
    for folder in ("one", "two"):
        publish(done, str(tmp_path / folder / "small"), rejects=True, console=console)
    one, two = tree(tmp_path / "one" / "small"), tree(tmp_path / "two" / "small")
    assert one == two
    manifest = json.loads((tmp_path / "one" / "small" / "dataset.json").read_bytes())
    assert manifest["complete"] and manifest["selection"] == done.accounting["digest"]
    assert {path: entry["sha256"] for path, entry in manifest["files"].items()} == {
        path: digest for path, digest in one.items() if path != "dataset.json"
    }
    for path, entry in manifest["files"].items():
        if "rows" in entry:
            assert f"{path}: {entry['rows']:,} rows, {entry['bytes']:,} bytes" in dry


def test_files_and_row_groups_are_bounded(done: Run, tmp_path: Path, console: Console) -> None:
    publish(done, str(tmp_path), rejects=True, console=console, file_bytes=4000)
    paths = sorted(tmp_path.glob("data/*.parquet"))
    assert len(paths) > 1 and [p.name for p in paths] == [f"kept-{n:05d}.parquet" for n in range(len(paths))]
    assert read(tmp_path, "data/kept").equals(expected(done))


@given(st.lists(st.lists(st.integers(0, 50), max_size=12), max_size=6), st.integers(1, 7), st.integers(1, 120))
def test_row_groups_depend_on_the_rows_alone(spread: list[list[int]], rows: int, size: int) -> None:
    texts = [["x" * n for n in part] for part in spread]
    flat = [text for part in texts for text in part]

    def groups(parts: list[list[str]]) -> list[list[str]]:
        tables = (
            pa.table({"text": pa.array(p, pa.large_string()), "url": pa.nulls(len(p), pa.string())}) for p in parts
        )
        return [group.column("text").to_pylist() for group in row_groups(tables, rows, size)]

    found = groups(texts)
    assert [text for group in found for text in group] == flat
    assert found == groups([flat])
    for n, group in enumerate(found):
        assert 0 < len(group) <= rows and (len(group) == 1 or sum(map(len, group)) <= size)
        if n + 1 < len(found):  # as many as the bounds allow
            assert len(group) == rows or sum(map(len, [*group, found[n + 1][0]])) > size


def test_another_publication_takes_the_place_of_the_first(done: Run, tmp_path: Path, console: Console) -> None:
    publish(done, str(tmp_path), rejects=True, console=console, file_bytes=4000)
    (tmp_path / "LICENSE").write_text("mine")
    (tmp_path / "rejects" / "notes.txt").write_text("mine")
    publish(done, str(tmp_path), console=console)
    assert set(tree(tmp_path)) == {
        *("README.md", "pipeline.yaml", "dataset.json", "data/kept-00000.parquet"),
        *("LICENSE", "rejects/notes.txt"),
    }
    assert "of an earlier publication removed" in said(console)
    assert read(tmp_path, "data/kept").equals(expected(done))


def test_a_killed_publication_is_healed(
    done: Run, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("winnow.pipelines.results.publish.folder.Folder.finish", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(done, str(tmp_path), console=console, file_bytes=4000)
    assert len(list(tmp_path.glob("data/*.parquet"))) > 1
    assert json.loads((tmp_path / "dataset.json").read_bytes())["complete"] is False
    half = tmp_path / "data" / f"kept-00007.parquet.tmp-{'0' * 32}"
    half.write_bytes(b"half")
    publish(done, str(tmp_path), console=console)
    assert set(tree(tmp_path)) == {"README.md", "pipeline.yaml", "dataset.json", "data/kept-00000.parquet"}


def test_a_file_that_is_not_whole_is_not_left(
    done: Run, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = pq.ParquetWriter.write_table

    def interrupted(writer: Any, table: pa.Table, **options: Any) -> None:
        written(writer, table, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", interrupted)
        with pytest.raises(KeyboardInterrupt):
            publish(done, str(tmp_path), console=console)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["dataset.json"]
    publish(done, str(tmp_path), console=console)
    assert read(tmp_path, "data/kept").equals(expected(done))


def test_what_is_not_ours_is_refused_and_left_alone(done: Run, tmp_path: Path, console: Console) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match=r"already holds thesis\.tex, and no dataset\.json"):
        publish(done, str(tmp_path), console=console)
    with pytest.raises(RunError, match="is a file; expected a folder"):
        publish(done, str(tmp_path / "thesis.tex"), console=console)
    with pytest.raises(RunError, match="already holds"):
        publish(done, done.folder, dry_run=True, console=console)
    assert set(tree(tmp_path)) == {"thesis.tex"}
    out = tmp_path / "out"
    publish(done, str(out), console=console)
    (out / "rejects").mkdir()
    (out / "rejects" / "rejects-00000.parquet").write_text("mine")
    with pytest.raises(RunError, match="is in the way"):
        publish(done, str(out), rejects=True, console=console)
    assert (out / "rejects" / "rejects-00000.parquet").read_text() == "mine"
    (out / "README.md").write_text("my own card")
    with pytest.raises(RunError, match="was edited since it was published"):
        publish(done, str(out), console=console)
    assert (out / "README.md").read_text() == "my own card"


def test_the_card_says_what_was_done(done: Run, tmp_path: Path, console: Console) -> None:
    publish(done, str(tmp_path), rejects=True, licence="CC-BY-SA-4.0", console=console)
    card = (tmp_path / "README.md").read_text("utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == "cc-by-sa-4.0" and front["language"] == ["ko"]
    assert front["size_categories"] == ["n<1K"]
    assert [config["config_name"] for config in front["configs"]] == ["kept", "rejects"]
    for config in front["configs"]:
        for files in config["data_files"]:
            assert files["split"] == "train" and list(tmp_path.glob(files["path"]))
    for name, account in done.accounting["stages"].items():
        dropped = sum(account["dropped"].values())
        figures = (account["in"], account["kept"], dropped, account["failed"])
        assert re.search(rf"^\| {name} \| \w+ \| {' . '.join(map(str, figures))} \|$", card, re.MULTILINE), name
    for node in done.plan.pipeline.nodes.values():
        for clause in node.clauses:
            assert f"| {clause.name} | `{clause.text}` |" in card
        for artifact in node.stage.artifacts():
            assert artifact.digest in card
    assert "| crawl | crawl.status |  | `= 200` | 3 |" in card
    assert "`ko-quality`: CC-BY-SA-4.0" in card and "`lid.176`: CC-BY-SA-3.0" in card
    assert "derived from texts under CC-BY-SA-4.0" in card and "A bag of words cannot see word order" in card
    assert "No stage removes or masks personal data" in card and "not verified by comparing" in card
    assert "2 of 99 records failed" in card and done.accounting["digest"] in card


def test_no_folder_of_this_machine_is_published(done: Run, tmp_path: Path, console: Console) -> None:
    publish(done, str(tmp_path / "out"), rejects=True, console=console)
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or b"secret-project" not in path.read_bytes(), path
    declared = yaml.safe_load((tmp_path / "out" / "pipeline.yaml").read_text("utf-8"))
    assert declared["sources"]["docs"]["paths"] == ["*.jsonl"]
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "--set 'sources.docs.paths=[...]'" in card and "--to out --rejects" in card


def test_the_published_declaration_makes_the_same_selection_again(done: Run, tmp_path: Path, console: Console) -> None:
    publish(done, str(tmp_path / "out"), console=console)
    inputs = Path(done.folder).parent / "in"
    sets = [f'sources.docs.paths=["{inputs}/*.jsonl"]', f'sources.crawl.paths=["{inputs}/*.warc"]']
    again = winnow.run(
        tmp_path / "out" / "pipeline.yaml", sets, folder=tmp_path / "run", local=True, progress=Progress(quiet=True)
    )
    assert again.accounting["digest"] == done.accounting["digest"]
    publish(again, str(tmp_path / "again"), console=console)
    name = "data/kept-00000.parquet"
    assert tree(tmp_path / "out")[name] == tree(tmp_path / "again")[name]


@pytest.mark.parametrize(
    ("given_licence", "metadata", "hint"),
    [
        (None, {"license": "unknown"}, "unknown: set it with --licence"),
        ("cc-by-sa", {"license": "other", "license_name": "cc-by-sa"}, "nearest: 'cc-by-sa-"),
        ("Our Terms 2", {"license": "other", "license_name": "our-terms-2"}, "published as 'other'"),
        ("ODC-BY", {"license": "odc-by"}, ""),
    ],
)
def test_the_licence_is_what_the_user_says(
    done: Run, tmp_path: Path, console: Console, given_licence: str | None, metadata: dict[str, str], hint: str
) -> None:
    publish(done, str(tmp_path), licence=given_licence, console=console)
    card = (tmp_path / "README.md").read_text("utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert {key: value for key, value in front.items() if key.startswith("license")} == metadata
    assert hint in said(console) and (given_licence or "unknown: set it") in card


def test_rows_that_do_not_reconcile_are_not_published(done: Run, tmp_path: Path, console: Console) -> None:
    wrong = replace(done, accounting={**done.accounting, "kept": done.accounting["kept"] + 1})
    with pytest.raises(RunError, match="rows do not reconcile: kept"):
        publish(wrong, str(tmp_path / "out"), console=console)
    assert not (tmp_path / "out").exists()


def test_quantiles_and_selections_beside_the_first(done: Run, tmp_path: Path, console: Console) -> None:
    (tmp_path / "small.yaml").write_text(DECLARATION.format(folder=Path(done.folder).parent), "utf-8")
    sets = ["rejected=metadata", "stages.mixture.enabled=false", "stages.shards.enabled=false"]
    sets.append("stages.quality.keep=score >= quantile(0.5)")
    run = winnow.run(tmp_path / "small.yaml", sets, folder=tmp_path / "run", local=True, progress=Progress(quiet=True))
    publish(run, str(tmp_path / "out"), rejects=True, console=console)
    kept, rejects = read(tmp_path / "out", "data/kept"), read(tmp_path / "out", "rejects/rejects")
    assert kept.equals(expected(run)) and kept.get_column("text").str.len_chars().min() > 0
    assert rejects.get_column("text").is_null().all()
    (threshold,) = re.findall(
        r"^\| quality \| quality\.score \| `score >= quantile\(0\.5\)` \| .* = ([\d.]+) \(of [\d,]+ documents\) \|",
        (tmp_path / "out" / "README.md").read_text("utf-8"),
        re.MULTILINE,
    )
    assert kept.get_column("quality.score").min() == pytest.approx(float(threshold), rel=1e-5)
    reselect(run, ["stages.quality.keep=score >= quantile(0.8)"], name="best", progress=Progress(quiet=True))
    best = open_run(tmp_path / "run@best")
    publish(best, str(tmp_path / "best"), console=console)
    assert read(tmp_path / "best", "data/kept").equals(expected(best)) and best.accounting["kept"] < len(kept)
    assert "quantile(0.8)" in (tmp_path / "best" / "pipeline.yaml").read_text("utf-8")
    everything = reselect(run, ["stages.quality.keep=true"], progress=Progress(quiet=True))
    with pytest.raises(RunError, match="kept documents have no text any more"):
        publish(everything, str(tmp_path / "all"), console=console)
    looser = reselect(run, ["stages.dedup.keep=true"], progress=Progress(quiet=True))
    assert looser.unmeasured
    with pytest.raises(RunError, match=r"the selection is provisional: .* never measured"):
        publish(looser, str(tmp_path / "all"), console=console)
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("hub:corpus", "expected hub:org/name"),
        ("hub:lab/a b", "expected hub:org/name"),
        ("hub:lab/..", "expected hub:org/name"),
        ("hub:lab/x/y", "expected hub:org/name"),
        ("hf:lab/corpus", "expected hub:org/name"),
        ("https://huggingface.co/datasets/lab/corpus", "expected hub:org/name"),
        ("", "--to is empty"),
    ],
)
def test_destinations_that_are_none_are_refused(done: Run, console: Console, to: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        publish(done, to, dry_run=True, console=console)


def test_private_is_about_the_hub(done: Run, tmp_path: Path, console: Console) -> None:
    with pytest.raises(RunError, match="--private is about a dataset on the hub"):
        publish(done, str(tmp_path / "out"), private=True, console=console)


def test_paths_and_secrets_are_cut() -> None:
    assert shown("/home/me/crawl/*.warc.gz") == "*.warc.gz"
    assert shown("~/models/x.ftz") == "x.ftz" and shown("file:///data/x.ftz") == "x.ftz"
    assert shown("C:\\data\\x.ftz") == "x.ftz"
    assert shown("runs/a/b.gz") == "runs/a/b.gz" and shown("s3://bucket/crawl/*.gz") == "s3://bucket/crawl/*.gz"
    assert shown("https://me:pass@host/a.gz?X-Signature=abc") == "https://host/a.gz"
    assert cut({"a": ["/x/y", 3], "keep": "score >= 0.5"}) == {"a": ["y", 3], "keep": "score >= 0.5"}
    assert scrubbed("OSError: '/home/me/x.py' gave up") == "OSError: 'x.py' gave up"
    assert scrubbed("see https://host/a/b of 3/4 rows") == "see https://host/a/b of 3/4 rows"


def test_object_storage(done: Run, console: Console, s3: None) -> None:
    pytest.importorskip("s3fs", reason="needs the s3 extra")
    import fsspec

    fs = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    fs.mkdir("winnow-publish")
    publish(done, "s3://winnow-publish/small", rejects=True, console=console, file_bytes=4000)
    publish(done, "s3://winnow-publish/small", console=console)
    names = {name.removeprefix("winnow-publish/small/") for name in fs.find("winnow-publish/small")}
    assert names == {"README.md", "pipeline.yaml", "dataset.json", "data/kept-00000.parquet"}
    content = io.BytesIO(fs.cat_file("winnow-publish/small/data/kept-00000.parquet"))
    assert pl.DataFrame(pq.read_table(content)).equals(expected(done))
    fs.pipe_file("winnow-publish/other/x.txt", b"mine")
    with pytest.raises(RunError, match=r"already holds x\.txt"):
        publish(done, "s3://winnow-publish/other", console=console)
