"""Finished runs that were damaged: noticed by whoever reads, made again by `winnow run`, told by `winnow verify`."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import winnow
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.reselect import reselect
from winnow.pipelines.results.table import open_run

Prose = Callable[..., str]

DECLARATION = """name: small
language: ko
sources:
  docs: {{use: jsonl, id: id, url: url, paths: ["{folder}/in/*.jsonl"]}}
stages:
  addresses: {{use: urls, own: []}}
  language: {{use: langid}}
  rules: {{use: rules, packs: [], keep: "word_count >= 20 and unique_words >= quantile(0.1)"}}
  dedup: {{use: minhash, over: language, keep: representative}}
  shards: {{use: tokenize, tokenizer: ko-bpe, shard_bytes: 6000}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, words: Prose) -> Path:
    """A folder with in/, small.yaml, and run/: a finished run with several shards and a selection `other` beside its own."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "in").mkdir()
    rows = [{"id": str(n), "url": f"https://x.example.kr/{n}", "text": words(n // 2, 10 + n)} for n in range(120)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "in" / "a.jsonl").write_text("\n".join(["{not json", *lines]) + "\n", "utf-8")
    (folder / "small.yaml").write_text(DECLARATION.format(folder=folder), "utf-8")
    quiet = Progress(quiet=True)
    run = winnow.run(folder / "small.yaml", folder=folder / "run", local=True, progress=quiet)
    reselect(run, ["stages.rules.keep=word_count >= 40"], name="other", progress=quiet)
    assert len(list((folder / "run").glob("shards/*/*.arrow"))) > 1
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run's folder, to be damaged."""
    return Path(shutil.copytree(finished / "run", tmp_path / "run"))


def parts(run: Path) -> dict[str, bytes]:
    """What the run holds for people and trainers."""
    kinds = ("records", "documents", "signals", "corpus", "selection", "shards")
    files = [p for kind in kinds for p in (run / kind).rglob("*.arrow") if not p.name.startswith("exchange-")]
    return {str(p.relative_to(run)): p.read_bytes() for p in files}


def one(run: Path, pattern: str) -> Path:
    return sorted(p for p in run.glob(pattern) if not p.name.startswith("exchange-"))[-1]


REMOVED = (
    "documents", "records", "selection/*", "signals/rules", "corpus/dedup", "statistics", "shards",
    "documents/*/*.arrow", "documents/*/*.json", "records/*/*.arrow", "signals/addresses/*/*.arrow",
    "signals/rules/*/*.arrow", "signals/dedup/*/*.json", "signals/shards/*/covers-*.json", "corpus/dedup/*/*[0-9a-f].arrow",
    "corpus/dedup/*/done.json", "statistics/*/*.json", "selection/*/done.json", "shards/*/manifest.json",
    "shards/*/shard-00001.arrow", "shards/*/tokenizer.json",
)  # fmt: skip


@pytest.mark.parametrize("pattern", REMOVED)
@pytest.mark.parametrize("cut", [False, True])
def test_what_is_missing_or_cut_is_made_again(run: Path, command: Any, pattern: str, cut: bool) -> None:
    before, digest = parts(run), open_run(run).accounting["digest"]
    own = open_run(run).plan
    pattern = pattern.replace("selection/*", f"selection/{own.selection}").replace("shards/*", own.shards)
    path = run / str(own.groups("shards")[0].done) if "covers" in pattern else one(run, pattern)
    if path.is_dir():
        if cut:
            pytest.skip("folders are not cut")
        shutil.rmtree(path)
    elif cut:
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.unlink()
    code, said = command("verify", run)
    assert code == 1 and str(run) in said and "winnow run" in said, said
    code, said = command("run", run, "--local")
    assert code == 0 and "nothing to do" not in said, said
    assert open_run(run).accounting["digest"] == digest and parts(run) == before
    code, said = command("verify", run)
    assert code == 0, said
    code, said = command("run", run, "--local")
    assert code == 0 and "nothing to do" in said


@pytest.mark.parametrize("folder", ["records", "documents", "signals/rules", "corpus/dedup", "selection"])
def test_every_command_says_what_is_missing_and_the_way_out(
    run: Path, command: Any, folder: str, tmp_path: Path
) -> None:
    for part in (run / folder).rglob("*.arrow"):
        part.unlink()
    said_ = []
    for words in (
        ["select", run, "--set", "stages.rules.keep=word_count >= 30"],
        ["inspect", run],
        ["report", run, "--out", tmp_path / "r.html"],
        ["publish", run, "--to", tmp_path / "out"],
        ["sample", run],
    ):
        code, said = command(*words)
        assert code in (0, 1) and "Traceback" not in said
        if code:
            assert f"error: {run}/{folder}" in said and f"`winnow run {run}` makes it again" in said, (words, said)
            said_.append(words[0])
    assert said_
    assert command("run", run, "--local")[0] == 0
    assert command("publish", run, "--to", tmp_path / "out")[0] == 0


KINDS = {
    "documents/*/*.arrow": ["publish"],
    "documents/*/*.json": ["publish"],
    "records/*/*.arrow": ["inspect", "publish"],
    "records/*/*.json": ["select", "inspect", "publish"],
    "signals/addresses/*/*.arrow": ["publish"],
    "signals/rules/*/*.arrow": ["select", "publish"],
    "signals/rules/*/*.json": ["select", "publish"],
    "signals/dedup/*/*.arrow": [],  # keys, for a reduce
    "corpus/dedup/*/*.arrow": ["select", "publish"],
    "corpus/dedup/*/done.json": ["select"],
    "statistics/*/*.json": ["publish"],
    "selection/*/*.arrow": ["publish"],
    "selection/*/done.json": ["select", "inspect", "publish"],
    "selections/*.json": ["other"],
    "shards/*/shard-*.arrow": ["inspect"],
    "shards/*/manifest.json": ["inspect"],
    "shards/*/tokenizer.json": ["inspect"],
    "run.json": ["select", "inspect", "publish", "run"],
    "progress.json": ["status"],
    "signals/*/*/covers-*.json": ["run"],
}
"""Every kind of file, and the commands that read it."""


@pytest.mark.parametrize("pattern", KINDS)
def test_a_flipped_bit_anywhere_is_noticed_by_who_reads_it(
    run: Path, finished: Path, command: Any, pattern: str, tmp_path: Path
) -> None:
    dice = random.Random(pattern)
    own = open_run(run).plan
    pattern_ = pattern.replace("selection/*", f"selection/{own.selection}").replace("shards/*/", f"{own.shards}/")
    firsts = [next(iter(group.columns)) for group in own.pipeline.nodes["rules"].groups().values()]
    keep = " and ".join(["word_count >= 31", *(f"coalesce({name}, 0) >= 0" for name in firsts)])  # reads every group
    asked = {
        "select": ["select", run, "--set", f"stages.rules.keep={keep}"],
        "inspect": ["inspect", run],
        "publish": ["publish", run, "--to", tmp_path / "out", "--rejects", "--dry-run"],
        "other": ["inspect", f"{run}@other"],
        "status": ["status", run],
        "run": ["run", run, "--local"],
    }
    for _ in range(2):
        files = sorted(p for p in run.glob(pattern_) if not p.name.startswith("exchange-"))
        path = dice.choice([p for p in files if "covers" in pattern or not p.name.startswith("covers-")])
        content, bit = path.read_bytes(), dice.randrange(8 * path.stat().st_size)
        times = path.stat()
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # nor is a time that was put back believed
        for name in KINDS[pattern]:
            code, said = command(*asked[name])
            if name == "run" and path.name != "run.json":
                assert code == 0 and f"{path}: is damaged" in said, (bit, said)
                path.write_bytes(flipped)  # it was made again
            else:
                assert code == 1 and str(path) in said and "Traceback" not in said, (name, bit, said)
        code, said = command("verify", run)
        assert code == 1 and str(path) in said and len(said.splitlines()) == 1, (bit, said)
        path.write_bytes(content)
        assert command("verify", run)[0] == 0
    path.write_bytes(flipped)
    if pattern in ("selections/*.json", "progress.json"):
        return
    if pattern == "run.json":
        code, said = command("plan", finished / "small.yaml", "--folder", run)
        assert code == 0 and f"{path}: is damaged" in said
    before = parts(finished / "run")  # what `select` made is beside it
    code, said = command("run", finished / "small.yaml", "--folder", run, "--local", "--strict")
    assert code == 0, said
    code, said = command("verify", run)
    assert code == 0 and parts(run).items() >= before.items(), said


def test_nothing_is_hashed_twice_and_an_edit_is_noticed(
    run: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import winnow.pipelines.engine.store as store

    real, hashed = store.hexdigest, []

    def counted(content: Any, digits: int) -> str:
        size = memoryview(content).nbytes
        hashed.append(size)
        return real(content, digits)

    monkeypatch.setattr(store, "hexdigest", counted)
    monkeypatch.setattr(store, "_LEDGERS", {})
    words = ["select", run, "--set", "stages.rules.keep=word_count >= 25"]
    plan = open_run(run).plan
    filed = plan.signals(plan.pipeline.nodes["rules"], plan.partitions[-1])
    part = Path(plan.store.path(next(name for name, columns in filed if "word_count" in columns) + ".arrow"))
    assert command(*words)[0] == 0 and part.stat().st_size in hashed
    hashed.clear()
    store._LEDGERS.clear()  # as another process
    assert command(*words)[0] == 0 and part.stat().st_size not in hashed
    hashed.clear()
    store._LEDGERS.clear()
    part.write_bytes(part.read_bytes())
    assert command(*words)[0] == 0 and part.stat().st_size in hashed
    (run / ".verified.json").write_text("{cut off")
    store._LEDGERS.clear()
    assert command(*words)[0] == 0, "the memory of what was hashed is a hint and no more"


def test_a_run_that_has_nothing_to_do_looks_into_no_part(
    run: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import winnow.pipelines.engine.store as store

    assert command("run", run, "--local")[0] == 0
    read: list[str] = []
    real = store.Store.read_json

    def counted(self: Any, name: str, hint: bool = False) -> Any:
        read.append(name)
        return real(self, name, hint)

    monkeypatch.setattr(store.Store, "read_json", counted)
    store._LEDGERS.clear()
    code, said = command("run", run, "--local")
    assert code == 0 and "nothing to do" in said
    assert not [name for name in read if name.startswith("signals/") and "covers" not in name]


def test_a_broken_declaration_of_a_selection_says_to_select_again(run: Path, command: Any) -> None:
    (run / "selections" / "other.json").write_text("{}", "utf-8")
    code, said = command("inspect", f"{run}@other")
    assert code == 1 and "select it again: winnow select" in said
    code, said = command("verify", run)
    assert code == 1 and "selections/other.json" in said
    code, said = command("verify", run / "nothing")
    assert code == 1 and "no run there" in said
