"""Snapshot after snapshot: a run drops what an earlier run kept, by the index that `winnow remember` makes of it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest

from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.reselect import reselect
from winnow.pipelines.engine.tasks import Kind
from winnow.pipelines.results.dedup_index import write_index
from winnow.pipelines.results.table import open_run
from winnow.pipelines.results.why import explain
from winnow.stages.base import StageError
from winnow.stages.duplicate_index import read_index

from .in_process import command


def _beside(name: str) -> Any:
    """A module of this folder."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


snapshots = _beside("known_snapshots")
go, identity, kept = snapshots.go, snapshots.identity, snapshots.kept
snapshot, table, text, QUIET = snapshots.snapshot, snapshots.table, snapshots.text, snapshots.QUIET

A = [
    [("a1", text(1)), ("a2", text(2)), ("a2x", text(2) + " 끝")],
    [("a3", text(3)), ("a4", text(4)), ("empty", "...")],
]
B = [
    [("b1", text(1)), ("b5", text(5)), ("b5x", text(5) + "!")],
    [("b2", text(2) + " 덧붙인 말"), ("b6", text(6)), ("also-empty", "!!")],
    [("b1x", text(1) + " 끝")],
]


def test_a_later_run_drops_what_an_earlier_one_kept(tmp_path: Path) -> None:
    a = go(snapshot(tmp_path, "a", A))
    done = command("remember", tmp_path / "a.run", "--out", tmp_path / "known" / "a")
    assert done.returncode == 0, done.stderr
    assert "known/a: 5 documents, digest " in done.stdout
    b = go(snapshot(tmp_path, "b", B, known=str(tmp_path / "known" / "a")))
    rows = table(b)
    assert kept(a) == {identity(i) for i in ("a1", "a2x", "a3", "a4", "empty")}
    assert kept(b) == {identity(i) for i in ("b5", "b6", "also-empty")} or kept(b) == {
        identity(i) for i in ("b5x", "b6", "also-empty")
    }
    for name, of, copies in (("b1", "a1", 3), ("b1x", "a1", 3), ("b2", "a2x", 2)):
        row = rows[identity(name)]
        assert (row["cluster"], row["copies"], row["representative"], row["known"]) == (
            identity(of),
            copies,
            False,
            True,
        )
        assert (row["stage"], row["clause"]) == ("dedup", "dedup.copy")
    assert {i for i, row in rows.items() if row["known"]} == {identity(i) for i in ("b1", "b1x", "b2")}
    report = b.plan.store.read_json(b.plan.marker(Kind.REDUCE, "dedup"))["report"]
    assert report == {"documents": 7, "clusters": 3, "duplicates": 4, "largest": 3, "known": 3}
    assert b.accounting["stages"]["dedup"]["dropped"] == {"dedup.copy": 4}


def test_clauses_tell_known_copies_from_others(tmp_path: Path) -> None:
    write_index(go(snapshot(tmp_path, "a", A)), tmp_path / "known" / "a")
    b = go(snapshot(tmp_path, "b", B, known=[str(tmp_path / "known")], keep="not known and representative"))
    assert b.accounting["stages"]["dedup"]["dropped"] == {"dedup.known": 3, "dedup.representative": 1}


def test_why_says_that_the_duplicate_is_of_an_earlier_run(tmp_path: Path) -> None:
    write_index(go(snapshot(tmp_path, "a", A)), tmp_path / "known" / "a")
    b = go(snapshot(tmp_path, "b", B, known=str(tmp_path / "known" / "a")))
    (told,) = explain(b, "https://b.example/b1")
    (cluster,) = told.clusters
    assert (cluster.id, cluster.copies, cluster.known, cluster.representative) == (identity("a1"), 3, True, None)
    assert [m.url for m in cluster.members] == ["https://b.example/b1x"]
    assert cluster.earlier["run"] == f"{tmp_path}/a.run"
    done = command("why", b.folder, "https://b.example/b1")
    assert f"one of 3 copies; its representative is a document of an earlier run: {tmp_path}/a.run, remembered in " in (
        done.stdout
    ), done.stderr
    assert "also https://b.example/b1x" in done.stdout and "more" not in done.stdout
    assert command("why", b.folder, "https://b.example/b2", "--json").returncode == 0
    shutil.rmtree(tmp_path / "known")  # what is decided stays told
    done = command("why", b.folder, identity("b2"))
    assert "one of 2 copies; its representative is a document of an earlier run (id " in done.stdout, done.stderr
    assert command("report", b.folder).returncode == 0
    assert command("publish", b.folder, "--to", tmp_path / "out", "--licence", "cc-by-4.0").returncode == 0
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "an index of what an earlier run kept" in card and "each with what the earlier runs kept" in card


def test_a_document_read_again_is_known_by_its_own_id(tmp_path: Path) -> None:
    a = go(snapshot(tmp_path, "a", A))
    write_index(a, tmp_path / "known" / "a")
    b = go(snapshot(tmp_path, "b", [*A, [("new", text(9))]], known=str(tmp_path / "known" / "a")))
    assert kept(b) == {identity("new"), identity("empty")}  # a text without words has no duplicates
    (told,) = explain(b, identity("a1"))
    (cluster,) = told.clusters
    assert (cluster.id, cluster.known, cluster.representative, cluster.members) == (told.id, True, None, ())
    assert "a document of an earlier run" in command("why", b.folder, identity("a1")).stdout


def test_neither_partitions_nor_places_nor_the_order_of_indexes_matter(tmp_path: Path) -> None:
    first = write_index(go(snapshot(tmp_path, "a", A)), tmp_path / "known" / "a")
    flat = [row for rows in A for row in reversed(rows)]
    again = write_index(
        go(snapshot(tmp_path, "again", [flat[:1], flat[3:], flat[1:3]])), tmp_path / "moved" / "elsewhere"
    )
    assert again.manifest.files == first.manifest.files and again.manifest.digest == first.manifest.digest
    write_index(go(snapshot(tmp_path, "c", [[("c6", text(6)), ("c1", text(1))]])), tmp_path / "known" / "c")
    places = [
        [f"{tmp_path}/known/a", f"{tmp_path}/known/c"],
        [f"{tmp_path}/known/c", f"{tmp_path}/known/a", f"{tmp_path}/moved/elsewhere"],
        [f"{tmp_path}/known/*"],
        f"{tmp_path}/known",
    ]
    found = []
    for number, known in enumerate(places):
        rows = [row for some in B for row in some]
        files = B if number % 2 else [rows[4:], rows[:4]]
        found.append(table(go(snapshot(tmp_path, f"b{number}", files, known=known))))
    assert all(other == found[0] for other in found)
    smallest = min(identity("a1"), identity("c1"))
    assert found[0][identity("b1")]["cluster"] == smallest and found[0][identity("b1")]["copies"] == 3
    assert found[0][identity("b6")]["known"]


def test_another_index_compares_again_and_measures_nothing_anew(tmp_path: Path) -> None:
    (tmp_path / "known").mkdir()
    declaration = snapshot(tmp_path, "b", B, known=f"{tmp_path}/known/*")
    before = go(declaration)
    assert not any(row["known"] for row in table(before).values()) and len(kept(before)) == 5
    write_index(go(snapshot(tmp_path, "a", A)), tmp_path / "known" / "a")
    assert go(declaration).accounting["kept"] == 3
    now, then = open_run(before.folder).plan, before.plan
    assert now.task(Kind.MEASURE, "dedup").fingerprint == then.task(Kind.MEASURE, "dedup").fingerprint
    assert now.task(Kind.REDUCE, "dedup").fingerprint != then.task(Kind.REDUCE, "dedup").fingerprint
    assert go(declaration).did_nothing
    shutil.rmtree(tmp_path / "known")
    (tmp_path / "known").mkdir()
    chosen = reselect(open_run(before.folder), name="alone", progress=QUIET)  # keys are stored: no text is needed
    assert not chosen.unmeasured and kept(chosen) == kept(before)


def test_without_known_nothing_is_other_than_it_was(tmp_path: Path) -> None:
    plain = go(snapshot(tmp_path, "b", B))
    one = table(plain)
    assert all("known" not in row for row in one.values())
    keep = "not known and representative"  # a first run with the declaration of those that follow
    for name, nothing in (("b0", f"{tmp_path}/no-*"), ("b1", [])):
        two = table(go(snapshot(tmp_path, name, B, known=nothing)))
        assert {i: {k: v for k, v in row.items() if k != "known"} for i, row in two.items()} == one
        assert not any(row["known"] for row in two.values())
        assert kept(go(snapshot(tmp_path, f"{name}x", B, known=nothing, keep=keep))) == kept(plain)


def test_what_is_not_there_or_does_not_fit_is_one_sentence(tmp_path: Path) -> None:
    place = tmp_path / "known" / "a"
    a = go(snapshot(tmp_path, "a", A))
    write_index(a, place)
    missing = snapshot(tmp_path, "b", B, known=f"{tmp_path}/knwon/a")
    with pytest.raises(StageError, match=r"dedup: known '.*/knwon/a' is not there: expected a duplicate index"):
        go(missing)
    assert "\n" not in command("run", missing, "--local").stderr.strip()
    with pytest.raises(StageError, match=r"was made with ngram 5, expected ngram 4: keys"):
        go(snapshot(tmp_path, "b", B, known=str(place), ngram=4))
    keys = place / "band_03.keys"
    keys.write_bytes(keys.read_bytes()[:-8])
    with pytest.raises(StageError, match=r"'band_03.keys' has 24 bytes, expected 32; remove the folder"):
        go(snapshot(tmp_path, "b", B, known=str(place)))
    (place / "manifest.json").write_text("{}", "utf-8")
    with pytest.raises(StageError, match=r"manifest.json: not the manifest of a duplicate index"):
        go(snapshot(tmp_path, "b", B, known=str(place)))
    (place / "manifest.json").unlink()
    with pytest.raises(StageError, match=r"is not a whole duplicate index: 'manifest\.json' is missing"):
        go(snapshot(tmp_path, "b", B, known=str(place)))


def test_remembering_twice_does_nothing_and_another_content_is_refused(tmp_path: Path) -> None:
    a, b = go(snapshot(tmp_path, "a", A)), go(snapshot(tmp_path, "b", B))
    first = write_index(a, tmp_path / "known" / "a")
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "known" / "a").iterdir()}
    assert not first.did_nothing and len(stamps) == 2 + 2 * 14
    assert write_index(str(tmp_path / "a.run"), tmp_path / "known" / "a").did_nothing
    same = go(snapshot(tmp_path, "same", A[::-1]))  # other files, the same documents
    assert write_index(same, tmp_path / "known" / "a").did_nothing
    with pytest.raises(RunError, match=r"holds another duplicate index, of 5 documents of .*a\.run, and .* keeps 5"):
        write_index(b, tmp_path / "known" / "a")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "known" / "a").iterdir()} == stamps
    assert [p.name for p in (tmp_path / "known").iterdir()] == ["a"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(RunError, match="is there and is no duplicate index"):
        write_index(a, tmp_path / "mine")
    assert command("remember", tmp_path / "nowhere", "--out", tmp_path / "x").returncode == 1


def test_a_run_without_keys_or_with_several_is_refused(tmp_path: Path) -> None:
    several = snapshot(tmp_path, "b", B)
    tree = json.loads(several.read_text("utf-8"))
    tree["stages"]["loose"] = {"use": "minhash", "bands": 20, "rows": 4}
    several.write_text(json.dumps(tree), "utf-8")
    run = go(several)
    with pytest.raises(RunError, match="it has dedup, loose; name one with --stage"):
        write_index(run, tmp_path / "x")
    made = write_index(run, tmp_path / "loose", "loose")
    assert made.manifest.scheme["bands"] == 20 and len(made.manifest.files) == 41
    with pytest.raises(RunError, match="no stage 'dedub' of kind 'minhash'; it has dedup, loose"):
        write_index(run, tmp_path / "x", "dedub")
    tree["stages"] = {"rules": {"use": "rules", "packs": ["gopher"], "keep": True, "guard": "rows >= 0"}}
    several.write_text(json.dumps(tree), "utf-8")
    with pytest.raises(RunError, match="expected one stage of kind 'minhash'; it has none"):
        write_index(go(several, folder=str(tmp_path / "none")), tmp_path / "x")


def test_a_record_kept_twice_is_one_document(tmp_path: Path) -> None:
    twice = [[("a", text(1)), ("b", text(2))], [("a", text(1))]]
    made = write_index(go(snapshot(tmp_path, "a", twice, keep=True)), tmp_path / "known")
    once = write_index(go(snapshot(tmp_path, "b", twice)), tmp_path / "once")
    assert made.manifest.documents == 2 and made.manifest.digest == once.manifest.digest


def test_a_selection_is_remembered_as_it_is(tmp_path: Path) -> None:
    a = go(snapshot(tmp_path, "a", A))
    reselect(a, ["stages.dedup.keep=copies < 2"], name="single", progress=QUIET)
    made = write_index(f"{a.folder}@single", tmp_path / "single")
    assert made.manifest.documents == 4 and made.manifest.made_from["run"].endswith("a.run@single")
    index = read_index(made.url)
    assert index is not None
    held = [i for i in ("a1", "a2", "a2x", "a3", "a4", "empty") if index.holds(identity(i))]
    assert held == ["a1", "a3", "a4", "empty"]


@pytest.mark.skipif(sys.platform != "linux", reason="stops at a system call's file")
def test_killed_in_the_middle_it_is_written_whole_the_next_time(tmp_path: Path) -> None:
    rows = [(f"a{n}", text(n, 12)) for n in range(4_000)]
    a = go(snapshot(tmp_path, "a", [rows[:2_000], rows[2_000:]]))
    expected = write_index(a, tmp_path / "undisturbed").manifest
    place, hidden = tmp_path / "known" / "a", tmp_path / "known" / ".a.remembering"
    line = [sys.executable, "-m", "winnow.pipelines.cli", "remember", a.folder, "--out", str(place)]
    landed = 0
    for wanted in ("ids", "band_02.keys", "band_06.documents", "band_11.keys") * 5:  # some kills come too late
        if landed == 4:
            break
        child = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while child.poll() is None:
            if (hidden / wanted).exists():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
                break
            time.sleep(0.0005)
        child.wait(timeout=600)
        if place.exists():  # it was faster
            shutil.rmtree(place)
        else:
            landed += 1
            assert hidden.is_dir()
            before = go(snapshot(tmp_path, "b", [rows[:3]], known=f"{tmp_path}/known/*"))
            assert before.accounting["kept"] == 3, "what is not whole counts as none"
    assert landed >= 2
    both = [subprocess.Popen(line) for _ in range(2)]  # and two at a time make one
    assert [child.wait(timeout=600) for child in both] == [0, 0]
    made = read_index(str(place))
    assert made is not None and made.manifest == expected
    made.check()
    assert [p.name for p in (tmp_path / "known").iterdir()] == ["a"]


def test_indexes_on_object_storage(tmp_path: Path, s3: None) -> None:
    pytest.importorskip("s3fs", reason="needs the s3 extra")
    fs, few = fsspec.filesystem("s3"), {"bands": 4, "rows": 2}  # each band is two files of an index
    fs.mkdir("winnow-known")
    none = go(snapshot(tmp_path, "b", B, **few, known="s3://winnow-known/ko/*"))
    assert none.accounting["kept"] == 5
    a = go(snapshot(tmp_path, "a", A, **few))
    local = write_index(a, tmp_path / "known" / "a")
    made = write_index(a, "s3://winnow-known/ko/a")
    assert made.manifest == local.manifest and write_index(a, "s3://winnow-known/ko/a").did_nothing
    with pytest.raises(RunError, match="holds another duplicate index"):
        write_index(none, "s3://winnow-known/ko/a")
    fs.pipe_file("winnow-known/ko/half/ids", b"0" * 16)  # killed before its manifest
    one = table(go(snapshot(tmp_path, "b1", B, **few, known="s3://winnow-known/ko/*")))
    two = table(go(snapshot(tmp_path, "b2", B, **few, known=str(tmp_path / "known" / "a"))))
    assert one == two and sum(bool(row["known"]) for row in one.values()) == 3
    with pytest.raises(StageError, match="is not a whole duplicate index"):
        go(snapshot(tmp_path, "b3", B, **few, known="s3://winnow-known/ko/half"))
    with pytest.raises(StageError, match="is not there"):
        go(snapshot(tmp_path, "b4", B, **few, known="s3://winnow-known/en"))
    far = snapshot(tmp_path, "b5", B, **few, known="s3://winnow-known/ko/a")
    run = go(far, folder="s3://winnow-known/runs/b")
    assert table(run) == two
    again = write_index(run, "s3://winnow-known/ko/b")
    assert again.manifest.documents == 3
