"""`winnow prove` as one types it: arms of every kind, verdicts, resuming, and what is refused. Invented texts."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from winnow.pipelines.prove.documents import files_of, of_files

from .in_process import command

Prose = Callable[..., str]
DOCUMENTS = 240


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        path.write_text(lines, "utf-8")


def shuffled(text: str, seed: int) -> str:
    letters = list(text)
    random.Random(seed).shuffle(letters)
    return "".join(letters)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, words: Prose) -> Path:
    """A folder with a pool (half of it junk), arms of files, and targets."""
    folder = tmp_path_factory.mktemp("prove")
    good = [words(seed, 50) for seed in range(2 * DOCUMENTS)]
    junk = [shuffled(text, seed) for seed, text in enumerate(good[DOCUMENTS:])]
    pool = [
        {"id": f"g{n}", "text": text, "domain": "letters" if n % 2 else "news", "kind": "good"}
        for n, text in enumerate(good[:DOCUMENTS])
    ]
    pool += [
        {"id": f"j{n}", "text": text, "domain": "junk", "kind": "noisy", "noise": "shuffled:letters"}
        for n, text in enumerate(junk)
    ]
    write(folder / "pool.jsonl.gz", pool)
    some = random.Random(1)
    for share in (10, 50):
        mixed = [row if some.random() * 100 >= share else pool[DOCUMENTS + n] for n, row in enumerate(pool[:DOCUMENTS])]
        write(folder / f"junk{share}.jsonl", [{"text": row["text"]} for row in mixed])
    write(folder / "good.jsonl", [{"text": text} for text in good[:DOCUMENTS]])
    pq.write_table(pa.table({"text": good[:DOCUMENTS]}), folder / "good.parquet")
    write(folder / "held.jsonl", [{"text": words(10_000 + n, 40)} for n in range(40)])
    (folder / "targets.yaml").write_text(
        """pool: {paths: [pool.jsonl.gz], where: "characters > 20"}
oracle: "kind = 'good'"
unit: characters
seeds: 5
targets:
  letters: {where: "domain = 'letters'", share: 0.3}
  essays: {paths: [held.jsonl]}
panels: {written: [essays]}
""",
        "utf-8",
    )
    return folder


def prove(bench: Path, out: str, *arms: str, **options: str) -> dict[str, Any]:
    """Runs it and reads results.json."""
    given = {"targets": "targets.yaml", "tokens": "12k", "out": out, **options}
    done = command("prove", *arms, *[word for k, v in given.items() for word in (f"--{k}", v)], cwd=bench)
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads((bench / out / "results.json").read_text("utf-8"))
    return found


def verdict(found: dict[str, Any], a: str, b: str, measure: str = "witten-bell") -> str:
    pairs = found["measures"][measure]["pairs"]
    said: str = next(p for p in pairs if (p["a"], p["b"]) == (a, b))["macro"]["verdict"]
    return said


def refused(bench: Path, *words: str) -> str:
    done = command("prove", *words, cwd=bench)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert not (bench / "no").exists()
    return done.stderr


@pytest.fixture(scope="module")
def found(bench: Path) -> dict[str, Any]:
    return prove(bench, "all", "random", "oracle", "a=junk10.jsonl", "b=junk50.jsonl", "good.jsonl", "random")


def test_an_experiment_has_a_folder_of_its_own_where_none_is_named(bench: Path) -> None:
    words = ["prove", "good.jsonl", "junk50.jsonl", "--targets", "targets.yaml", "--tokens", "9k", "--seeds", "2"]
    done = command(*words, "--budget", "45m", cwd=bench)
    assert done.returncode == 0, done.stderr
    folder = bench / "runs" / "prove-targets"
    assert (folder / "results.json").is_file() and "prove-targets/report.html" in done.stderr + done.stdout


def test_less_junk_wins(found: dict[str, Any]) -> None:
    for measure in ("witten-bell", "kneser-ney"):
        for better, worse in (("oracle", "random"), ("a", "b"), ("good.jsonl", "a"), ("good.jsonl", "b")):
            assert verdict(found, better, worse, measure) == "win", (better, worse, measure)
            assert verdict(found, worse, better, measure) == "loss"
        assert verdict(found, "random again", "random", measure) == "tie"


def test_a_panel_of_one_target_is_that_target(bench: Path, found: dict[str, Any]) -> None:
    for pair in found["measures"]["dsir"]["pairs"]:
        panel, target = pair["panels"]["written"], pair["targets"]["essays"]
        assert [panel[key] for key in ("value", "low", "high")] == [target[key] for key in ("value", "low", "high")]
    assert "written: essays" in (bench / "all" / "report.html").read_text("utf-8")


def test_the_gap_closed_is_1_for_the_oracle(found: dict[str, Any]) -> None:
    gap = found["measures"]["witten-bell"]["gap_closed"]
    assert gap["oracle"]["value"] == 1 and gap["random"]["value"] == 0
    assert gap["a"]["low"] <= gap["a"]["value"] <= gap["a"]["high"] and gap["a"]["value"] > 0.5


def test_what_is_held_out_comes_into_no_arm(found: dict[str, Any]) -> None:
    """By id in the arms of the pool; by their text in files that have no ids."""
    pool = found["arms"]["random"]["left_out"]["held out"]
    assert pool > 20
    assert found["arms"]["good.jsonl"]["left_out"] == {"copy of held out": pool}


def test_what_arms_hold(found: dict[str, Any]) -> None:
    arms = found["arms"]
    assert set(arms["oracle"]["kind"]) == {"good"}
    assert arms["random"]["noise"].keys() == {"shuffled"}
    assert abs(sum(arms["random"]["domain"].values()) - 1) < 1e-3


def test_the_report_needs_nothing_else(bench: Path, found: dict[str, Any]) -> None:
    html = (bench / "all" / "report.html").read_text("utf-8")
    assert "src=" not in html and "http://" not in html.replace("http-equiv", "")
    for said in ("gap closed", "duplication", found["protocol"], "random again", "exact copies"):
        assert said in html


def test_again_and_killed_gives_the_same(bench: Path, found: dict[str, Any]) -> None:
    """In another folder; and in this one after half of the scores were lost."""
    arms = ("random", "oracle", "a=junk10.jsonl", "b=junk50.jsonl", "good.jsonl", "random")
    page = (bench / "all" / "results.json").read_bytes()
    scores = sorted((bench / "all" / "scores").iterdir())
    for path in scores[::2]:
        path.unlink()
    (bench / "all" / "results.json").unlink()
    assert prove(bench, "all", *arms) == found
    assert (bench / "all" / "results.json").read_bytes() == page
    assert sorted((bench / "all" / "scores").iterdir()) == scores


def test_formats_of_one_content_draw_the_same(bench: Path) -> None:
    found = prove(bench, "formats", "good.jsonl", "good.parquet", "b=junk50.jsonl")
    pair = next(
        p for p in found["measures"]["witten-bell"]["pairs"] if {p["a"], p["b"]} == {"good.jsonl", "good.parquet"}
    )
    assert pair["macro"]["value"] == 0 and pair["macro"]["verdict"] == "tie"


def test_a_changed_protocol_is_refused_where_another_is_registered(bench: Path, found: dict[str, Any]) -> None:
    before = (bench / "all" / "results.json").read_bytes()
    words = ["prove", "random", "oracle", "--targets", "targets.yaml", "--tokens", "13k", "--out", "all"]
    done = command(*words, cwd=bench)
    assert done.returncode == 1 and "another experiment was registered" in done.stderr
    assert (bench / "all" / "results.json").read_bytes() == before


def test_a_budget_that_ends_leaves_whole_seeds(bench: Path) -> None:
    """Each run measures one seed more at least; the same command without a limit ends as if there had been none."""
    words = ["prove", "random", "oracle", "--targets", "targets.yaml", "--tokens", "9k", "--out", "limited"]
    limited = bench / "limited"
    for seeds in (1, 2):
        done = command(*words, "--budget", "0.001s", cwd=bench)
        said = " ".join(done.stderr.split())
        assert done.returncode == 1 and f"the budget ended after {seeds} of 5 seeds of ngrams" in said, said
        assert "the same command goes on from there" in said and not (limited / "results.json").exists()
    done = command(*words, "--budget", "0.001s", cwd=bench)
    assert done.returncode == 0, done.stderr
    found = json.loads((limited / "results.json").read_text("utf-8"))
    for measure in found["measures"].values():
        assert (measure["seeds"], measure["planned_seeds"]) == (3, 5) and len(measure["pairs"]) == 2
    assert any("ngrams 3 of 5" in note and "without --budget" in note for note in found["notes"])
    assert "3 of 5 seeds" in (limited / "report.html").read_text("utf-8")
    for out in ("limited", "unlimited"):
        assert command(*words[:-1], out, cwd=bench).returncode == 0
    assert (limited / "results.json").read_bytes() == (bench / "unlimited" / "results.json").read_bytes()
    assert json.loads((limited / "results.json").read_text("utf-8"))["measures"]["dsir"]["seeds"] == 5


def test_the_protocol_is_there_before_the_first_score(bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from winnow.pipelines.prove.probe import Ngrams

    seen = []

    def fail(*arguments: Any) -> Any:
        seen.append((bench / "early" / "protocol.json").exists())
        raise KeyboardInterrupt

    monkeypatch.setattr(Ngrams, "score", fail)
    words = ["prove", "random", "oracle", "--targets", "targets.yaml", "--tokens", "12k", "--out", "early"]
    assert command(*words, cwd=bench).returncode != 0
    assert seen and all(seen)


def test_a_small_arm_draws_less_so_that_draws_differ(bench: Path) -> None:
    size = sum(len(json.loads(line)["text"]) for line in (bench / "junk50.jsonl").open(encoding="utf-8"))
    found = prove(bench, "whole", "a=junk10.jsonl", "b=junk50.jsonl", tokens=str(int(size * 0.85)))
    assert found["amount"] < size * 0.85 and any("a fifth" in note for note in found["notes"])


def test_caps_and_hangul(bench: Path) -> None:
    targets = (bench / "targets.yaml").read_text("utf-8")
    (bench / "capped.yaml").write_text(targets + "caps: {by: domain, share: 0.4}\n", "utf-8")
    found = prove(bench, "capped", "random", "random", targets="capped.yaml", unit="hangul", tokens="5k")
    assert found["unit"] == "hangul"
    assert max(found["arms"]["random"]["domain"].values()) <= 0.4 + 1e-6


def test_the_document_of_the_experiment_has_every_verdict(bench: Path) -> None:
    """docs/selection-quality.md, as `make experiment` writes it of an experiment."""
    from ..bench.selection_quality.document import document

    (bench / "six.yaml").write_text(
        (bench / "targets.yaml").read_text("utf-8") + "caps: {by: domain, share: 0.6}\n", "utf-8"
    )
    found = prove(bench, "six", "random", "ours=good.jsonl", "fineweb2=junk50.jsonl", "oracle", targets="six.yaml")
    protocol = json.loads((bench / "six" / "protocol.json").read_text("utf-8"))["protocol"]
    page = document(found, protocol, "Made here.")
    assert found["protocol"][:16] in page and page.count("| ours against fineweb2 |") == 3
    assert "over all targets: win" in page and "worse than fineweb2: none" in page
    for measure in found["measures"].values():
        for pair in measure["pairs"]:
            if pair["b"] in ("random", "ours", "fineweb2"):
                assert f"{pair['macro']['verdict']} {pair['macro']['value']:+.3f} [" in page


def test_shards_and_runs_are_arms(bench: Path) -> None:
    """A run's selection, another of the same run, and the shards that it wrote."""
    (bench / "small.yaml").write_text(
        """name: small
language: ko
sources: {pool: {use: jsonl, id: id, paths: [pool.jsonl.gz]}}
stages:
  rules: {use: rules, packs: [gopher], keep: "word_count >= 50"}
  shards: {use: tokenize, tokenizer: ko-bpe}
""",
        "utf-8",
    )
    done = command("run", "small.yaml", "--local", cwd=bench)
    assert done.returncode == 0, done.stderr
    found = prove(bench, "runs", "small.yaml", "random", **{"leave-out": "rules"})
    assert list(found["arms"]) == ["whole", "without rules", "random"]
    assert found["arms"]["whole"]["documents"] < found["arms"]["without rules"]["documents"]
    assert found["arms"]["without rules"]["domain"].keys() == found["arms"]["random"]["domain"].keys()
    shards = next((bench / "runs" / "small").rglob("manifest.json")).parent
    found = prove(bench, "shards", f"shards={shards}", "whole=runs/small", "b=junk50.jsonl")
    assert found["arms"]["shards"]["documents"] == found["arms"]["whole"]["documents"]
    pairs = found["measures"]["witten-bell"]["pairs"]
    assert next(p for p in pairs if (p["a"], p["b"]) == ("shards", "whole"))["macro"]["value"] == 0


def test_names_and_paths_are_enough(bench: Path) -> None:
    (bench / "short.yaml").write_text("essays: held.jsonl\nthe-same: [held.jsonl]\n", "utf-8")
    found = prove(
        bench, "short", "a=junk10.jsonl", "b=junk50.jsonl", targets="short.yaml", unit="characters", seeds="3"
    )
    assert verdict(found, "a", "b") == "win"
    each = found["measures"]["witten-bell"]["arms"]["a"]["targets"]
    assert each["essays"] == each["the-same"]


def test_a_stage_that_hid_documents_from_later_ones(bench: Path) -> None:
    """Leaving it out says once how to measure them; then it works."""
    (bench / "two.yaml").write_text(
        """name: two
language: ko
sources: {pool: {use: jsonl, id: id, paths: [pool.jsonl.gz]}}
stages:
  rules: {use: rules, packs: [gopher], keep: "word_count >= 50"}
  again: {use: rules, packs: [gopher], keep: "mean_word_length < 90"}
""",
        "utf-8",
    )
    assert command("run", "two.yaml", "--local", cwd=bench).returncode == 0
    words = ["prove", "two.yaml", "random", "--leave-out", "rules", "--targets", "targets.yaml", "--tokens", "12k"]
    done = command(*words, "--out", "no", cwd=bench)
    assert done.returncode == 1 and "were never measured" in done.stderr and not (bench / "no").exists()
    (line,) = re.findall(r"winnow (run \S+ --selection \S+)", done.stderr)
    assert command(*line.split(), "--local", cwd=bench).returncode == 0
    assert command(*words, "--out", "two", cwd=bench).returncode == 0
    assert "expected one of rules, again" in refused(
        bench, *words[1:3], "--leave-out", "rule", *words[5:], "--out", "no"
    )


def test_what_is_wrong_is_said(bench: Path) -> None:
    rest = ["--out", "no", "--targets", "targets.yaml"]
    assert "expected at least two" in refused(bench, "good.jsonl", *rest)
    assert "no such run, folder or file" in refused(bench, "good.jsonl", "goood", *rest)
    assert "nearest: 'good.jsonl'" in refused(bench, "good.jsonl", "goood.jsonl", *rest)
    said = refused(bench, "good.jsonl", "random", *rest, "--tokens", "9M")
    assert "fewer than the 9,000,000 asked" in said and "--tokens" in said
    assert "such as 900k" in refused(bench, "random", "oracle", *rest, "--tokens", "many")
    assert "such as 45m" in refused(bench, "random", "oracle", *rest, "--budget", "soon")
    assert "nearest: 'hangul'" in refused(bench, "random", "oracle", *rest, "--unit", "hangle")
    (bench / "bad.jsonl").write_text('{"text": "가"}\n{"txt": "나"}\n', "utf-8")
    assert "bad.jsonl:2: expected a string 'text'; it has txt" in refused(bench, "random", "bad.jsonl", *rest)
    (bench / "broken.jsonl").write_text('{"text": "가"}\n{"text"\n', "utf-8")
    assert "broken.jsonl:2: not JSON" in refused(bench, "random", "broken.jsonl", *rest)
    assert "matches no file; nearest: 'good.jsonl'" in refused(bench, "random", "goood.jsonl", *rest)
    assert "'nowhere://a/b.jsonl' cannot be opened" in refused(bench, "random", "nowhere://a/b.jsonl", *rest)


@pytest.mark.parametrize("name", ["damaged.jsonl.gz", "damaged.jsonl.zst", "damaged.parquet"])
def test_a_damaged_file_is_named(bench: Path, name: str) -> None:
    (bench / name).write_bytes(
        (bench / "pool.jsonl.gz").read_bytes()[:300] if ".gz" in name else b"PAR1 and nothing else"
    )
    said = refused(bench, "random", name, "--out", "no", "--targets", "targets.yaml")
    assert f"{name}: cannot be read: " in said


def test_a_pool_of_an_empty_file_has_nothing_to_draw(bench: Path) -> None:
    (bench / "empty.jsonl").touch()
    (bench / "empty.yaml").write_text("pool: {paths: empty.jsonl}\ntargets: {a: held.jsonl}\n", "utf-8")
    said = refused(bench, "random", "good.jsonl", "--out", "no", "--targets", "empty.yaml")
    assert "random has no document to train on" in said


def test_files_are_found_as_those_of_a_source_are(bench: Path, s3: None) -> None:
    import fsspec

    rows = (bench / "good.jsonl").read_bytes()
    packed = bench / "in" / "[deep]" / "good.jsonl.zst"
    packed.parent.mkdir(parents=True)
    packed.write_bytes(zstandard.compress(rows))
    fsspec.filesystem("s3").makedir("bucket")
    with fsspec.open("s3://bucket/good.jsonl", "wb") as file:
        file.write(rows)
    there = [
        texts_of(files_of([name], bench, "x")) for name in ("good.jsonl", "in", "in/[deep]/*", "s3://bucket/*.jsonl")
    ]
    assert there == there[:1] * 4


def texts_of(files: list[str]) -> list[str]:
    return pl.concat(of_files(files)).get_column("text").to_list()


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ("targets: {a: {paths: [none.jsonl]}}", "targets.a: 'none.jsonl' matches no file"),
        ("targets: {a: {path: [held.jsonl]}}", "targets.a.path: unknown; expected one of"),
        ("targets: {a: {where: \"kind = 'good'\"}}", "needs `pool`"),
        ("pool: {paths: [pool.jsonl.gz]}\ntargets: {a: {where: \"knd = 'good'\"}}", "it may name id, domain"),
        ("pool: {paths: [pool.jsonl.gz]}\ntargets: {a: {where: \"kind = 'best'\"}}", "0 documents are held out"),
        ("targets: {a: {paths: [held.jsonl]}}\npanels: {b: [c]}", "panels.b: no target 'c'; expected one of a"),
        ("pool: [", "wrong.yaml:1"),
        ("a: 1", "expected a mapping with `targets`"),
    ],
)
def test_wrong_targets_are_refused(bench: Path, targets: str, said: str) -> None:
    (bench / "wrong.yaml").write_text(targets, "utf-8")
    assert said in refused(bench, "good.jsonl", "junk10.jsonl", "--out", "no", "--targets", "wrong.yaml")


def test_the_page_does_what_it_says(bench: Path, tmp_path: Path, words: Prose) -> None:
    """Its command on its targets' file, with runs and files of these names."""
    page = Path(__file__).resolve().parents[2] / "docs" / "prove.md"
    every = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    fenced = dict(every[::-1])  # the first of each kind
    (tmp_path / "targets.yaml").write_text(fenced["yaml"], "utf-8")
    (tmp_path / "pool").mkdir()
    for n in range(8):  # domains, so that a cap of 15% can hold
        rows = [
            {"id": f"{n}-{m}", "text": words(1000 * n + m, 60), "domain": f"d{n}", "kind": "good"} for m in range(30)
        ]
        write(
            tmp_path / "pool" / f"{n}.jsonl.gz",
            [{**row, "domain": "news" if n == 7 else row["domain"]} for row in rows],
        )
    write(tmp_path / "essays.jsonl", [{"text": words(20_000 + n, 40)} for n in range(30)])
    pq.write_table(pa.table({"text": [words(30_000 + n, 60) for n in range(200)]}), tmp_path / "other.parquet")
    line = fenced["sh"].replace("\\\n", " ").replace("900k", "12k").split()
    line = [word.replace("runs/ko@stricter", "other.parquet").replace("runs/ko", "pool") for word in line]
    done = command(*line[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(json.loads((tmp_path / "runs" / "which" / "results.json").read_text("utf-8"))["arms"]) >= {
        "ours",
        "theirs",
    }


def test_copies_of_a_text_are_drawn_together(bench: Path) -> None:
    """A text that stands four times in an arm stands so in its draws, whatever part of the arm they are."""
    rows = [json.loads(line) for line in (bench / "good.jsonl").open(encoding="utf-8")]
    write(bench / "fourfold.jsonl", [row for row in rows[: len(rows) // 2] for _ in range(4)])
    found = prove(bench, "copies", "good.jsonl", "fourfold.jsonl", tokens="15k", seeds="3")
    assert found["arms"]["good.jsonl"]["copies"] == 0 and 0.7 < found["arms"]["fourfold.jsonl"]["copies"] < 0.76
    assert any("does not judge fourfold.jsonl" in note for note in found["notes"])
