"""`winnow fit fasttext`, `winnow fit linear` and `winnow evaluate`, as a user types them, on texts of these tests."""

from __future__ import annotations

import gzip
import json
import random
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import winnow
from winnow.classifiers.card import Card
from winnow.classifiers.linear_model import read_model
from winnow.pipelines.engine.declaration import load_pipeline
from winnow.stages.registry import find

Command = Callable[..., tuple[int, str]]

GOOD = "강물은 천천히 바다로 흘러가고 마을 사람들은 다리 위에서 저녁 노을을 오래 바라보았다 아이들은 모래밭에서 놀았다".split()
BAD = "로그인 회원가입 장바구니 더보기 목록 이전글 다음글 고객센터 이벤트 무료배송 특가 할인 클릭 공지사항 전체메뉴".split()


def text_of(label: str, seed: int, muddle: float = 0.3) -> str:
    """Of a label's words, some of the other's among them."""
    dice = random.Random(f"{label} {seed}")
    own, other = (GOOD, BAD) if label == "good" else (BAD, GOOD)
    return " ".join(dice.choice(other if dice.random() < muddle else own) for _ in range(dice.randint(6, 30)))


def write(path: Path, label: str, seeds: range, muddle: float = 0.3) -> Path:
    """JSON Lines with a text, its host (forty of them) and its kind."""
    rows = [{"text": text_of(label, n, muddle), "host": f"h{n % 40}.example", "kind": label} for n in seeds]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    for label in ("good", "bad"):
        write(folder / f"{label}.jsonl", label, range(240))
        write(folder / f"{label}-test.jsonl", label, range(1000, 1060))
    return folder


@pytest.fixture
def fit(command: Command, texts: Path) -> Callable[..., tuple[int, str]]:
    """`winnow fit KIND` on the texts."""

    def run(kind: str, out: Path, *more: object) -> tuple[int, str]:
        labels = [word for name in ("good", "bad") for word in ("--label", f"{name}={texts}/{name}.jsonl")]
        return command("fit", kind, *labels, "--name", "mine", "--language", "ko", "--out", out, *more)

    return run


def test_a_linear_model_is_fitted_from_labels_and_runs(
    fit: Command, command: Command, texts: Path, tmp_path: Path
) -> None:
    rules = ("--threshold", "strict=precision:0.9", "--threshold", "half=share:0.5", "--group", "host")
    code, said = fit("linear", tmp_path / "out", *rules)
    assert code == 0, said
    first, figures, named, then = said.splitlines()
    assert re.fullmatch(rf"{tmp_path}/out/mine\.linear: [\d,]+ bytes, fitted on \d+ examples", first)
    assert "auc" in figures and figures.endswith("mine.md") and "strict at 0." in named
    card = Card.model_validate_json((tmp_path / "out/mine.card.json").read_text("utf-8"))
    words = shlex.split(card.command)
    assert words[:3] == ["winnow", "fit", "linear"] and words[-2:] == ["--out", "OUT"]
    # Groups are not split: of forty hosts some are held out whole.
    assert 0 < card.evaluation.groups < 20
    assert sum(source.fit for source in card.sources) + sum(source.validation for source in card.sources) < 480
    code, said = command(*words[1:-1], tmp_path / "again")
    assert code == 0, said
    for path in (tmp_path / "out").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name
    (tmp_path / "some.yaml").write_text(
        f"name: some\nlanguage: ko\nsources: {{t: {{use: jsonl, paths: ['{texts}/*-test.jsonl']}}}}\n"
        "stages: {rules: {use: rules, keep: true}}\n",
        "utf-8",
    )
    (assignment,) = shlex.split(then.partition("--set ")[2])
    assignment = assignment.removesuffix("}") + ", threshold: strict}"
    stage = load_pipeline(tmp_path / "some.yaml", [assignment]).nodes["mine"].stage
    assert stage.clauses() == {"strict": read_model(tmp_path / "out/mine.linear")[0].thresholds["strict"].clause}
    code, said = command("run", tmp_path / "some.yaml", "--local", "--folder", tmp_path / "run", "--set", assignment)
    assert code == 0, said
    rows = winnow.open_run(tmp_path / "run").records().select("status", "clause", "mine.score").collect()
    at = read_model(tmp_path / "out/mine.linear")[0].thresholds["strict"].at
    for status, clause, score in rows.iter_rows():
        assert (status, clause) == (("kept", None) if score >= at else ("dropped", "mine.strict"))
    assert 0 < (rows["status"] == "kept").sum() < len(rows) == 120


def test_a_crawl_is_one_label_and_a_reference_the_other(
    command: Command, texts: Path, finished: Path, tmp_path: Path
) -> None:
    """DCLM's way: the run's documents against good texts."""
    labels = ("--label", f"good={texts}/good.jsonl", "--label", f"crawl={finished}", "--limit", "60")
    names = ("--name", "dclm", "--language", "ko", "--out", tmp_path)
    code, said = command("fit", "linear", *labels, *names, "--set", "linear.maxn=3", "--set", "validation=20")
    assert code == 0, said
    card = Card.model_validate_json((tmp_path / "dclm.card.json").read_text("utf-8"))
    assert (card.evaluation.positive, card.settings["maxn"]) == ("good", 3)
    assert all(0 < source.fit <= 60 for source in card.sources)


def test_tables_of_every_kind_give_one_model(command: Command, texts: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for name in ("good", "bad") for line in (texts / f"{name}.jsonl").open(encoding="utf-8")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    for name, mark in (("t.tsv", "\t"), ("t.csv", ",")):
        lines = [mark.join(("text", "host", "kind")), *(mark.join(row.values()) for row in rows)]
        (tmp_path / name).write_text("\n".join(lines) + "\n", "utf-8")
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    found = set()
    for name in ("t.parquet", "t.tsv", "t.csv", "t.jsonl.gz"):
        columns = ("--label-field", "kind", "--group", "host", "--positive", "good")
        named = ("--name", "mine", "--language", "ko", "--out", tmp_path / name.replace(".", "-"))
        code, said = command("fit", "linear", "--label", tmp_path / name, *columns, *named)
        assert code == 0, said
        found.add((tmp_path / name.replace(".", "-") / "mine.linear").read_bytes())
    assert len(found) == 1


def test_copies_of_what_is_held_out_are_not_fitted_on(command: Command, texts: Path, tmp_path: Path) -> None:
    """Each text comes again with words before and after it; a copy's side is that of its own hash."""
    for name in ("good", "bad"):
        rows = [json.loads(line)["text"] for line in (texts / f"{name}.jsonl").open(encoding="utf-8")]
        again = [*rows, *(f"다시 {n} {text} 끝" for n, text in enumerate(rows)), *(f" {text}\n" for text in rows)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in again), "utf-8")
    labels = [word for name in ("good", "bad") for word in ("--label", f"{name}={tmp_path}/{name}.jsonl")]
    sides = {}
    for overlap in ("null", "0.2"):
        names = ("--name", "mine", "--language", "ko", "--out", tmp_path / "out", "--set", f"overlap={overlap}")
        code, said = command("fit", "linear", *labels, *names)
        assert code == 0, said
        card = Card.model_validate_json((tmp_path / "out/mine.card.json").read_text("utf-8"))
        sides[overlap] = [sum(getattr(one, side) for one in card.sources) for side in ("fit", "validation", "test")]
    assert sum(sides["null"]) == 960  # equal ones, white space aside, count once
    assert sides["0.2"][2] == sides["null"][2]
    # Of the copies of a fifth of the texts, four fifths were on the fit's side, and too short ones stay.
    assert sides["0.2"][0] < sides["null"][0] - 80


def test_the_best_of_a_search_has_at_most_the_size_asked_for(fit: Command, tmp_path: Path) -> None:
    code, said = fit("linear", tmp_path, "--search", "3", "--size", "20k")
    assert code == 0, said
    assert (tmp_path / "mine.linear").stat().st_size <= 20_000
    assert "settings of 3 tried" in said


def test_models_are_judged_side_by_side_and_beside_baselines(
    fit: Command, command: Command, texts: Path, tmp_path: Path
) -> None:
    for kind in ("linear", "fasttext"):
        code, said = fit(kind, tmp_path, "--set", "train.bucket=2000", "--set", "train.dim=8")
        assert code == 0, said
    (tmp_path / "bare.ftz").write_bytes(
        (tmp_path / "mine.ftz").read_bytes()
    )  # as a foreign model is: without a sidecar
    tests = [word for name in ("good", "bad") for word in ("--test", f"{name}={texts}/{name}-test.jsonl")]
    train = [word for name in ("good", "bad") for word in ("--train", f"{name}={texts}/{name}.jsonl")]
    models = [tmp_path / name for name in ("mine.linear", "mine.ftz", "bare.ftz")]
    code, said = command(
        "evaluate",
        *models,
        *tests,
        *train,
        "--group",
        "host",
        "--source",
        "kind",
        "--positive",
        "good",
        "--out",
        tmp_path / "e",
    )
    assert code == 0, said
    found = json.loads((tmp_path / "e/evaluation.json").read_text("utf-8"))
    names = ["mine", "mine", str(models[2]), "majority", "bag-of-words regression", "plain fastText"]
    assert [one["model"] for one in found] == names
    for one in found:
        assert (one["examples"], one["groups"], one["positive"]) == (120, 40, "good")
        assert sum(map(sum, one["confusion"])) == 120
        assert sum(n for *_, n in one["reliability"]) == 120
        assert one["documents_per_second"] > 0
        assert {row["name"] for row in one["by_source"]} == {"good", "bad"}
        for figure in one["figures"].values():
            assert figure["low"] <= figure["high"]
    assert found[0]["figures"]["auc"]["value"] > 0.9
    assert found[3]["figures"]["auc"]["value"] == 0.5
    page = (tmp_path / "e/evaluation.html").read_text("utf-8")
    assert page.count("<h2>") == 7 and "The surest errors" in page and "://" not in page


def test_labels_of_a_column_and_of_another_name(fit: Command, command: Command, texts: Path, tmp_path: Path) -> None:
    code, said = fit("linear", tmp_path)
    assert code == 0, said
    columns = ("--label-field", "kind", "--test", texts / "good-test.jsonl", "--test", texts / "bad-test.jsonl")
    code, said = command("evaluate", tmp_path / "mine.linear", *columns, "--out", tmp_path / "a")
    assert code == 0, said
    other = ("--test", f"fine={texts}/good-test.jsonl", "--test", f"junk={texts}/bad-test.jsonl")
    code, said = command("evaluate", tmp_path / "mine.linear", *other, "--out", tmp_path / "b")
    assert code == 1 and "mine has no label 'fine' of the test's; expected one of bad, good" in said
    assert not (tmp_path / "b").exists()
    named = ("--rename", "good=fine", "--rename", "bad=junk")
    code, said = command("evaluate", tmp_path / "mine.linear", *other, *named, "--out", tmp_path / "b")
    assert code == 0, said
    one, two = (json.loads((tmp_path / name / "evaluation.json").read_text("utf-8"))[0] for name in "ab")
    assert one["figures"]["auc"] == two["figures"]["auc"]
    assert two["positive"] == "fine"


def test_what_cannot_be_fitted_or_judged_is_one_sentence(
    fit: Command, command: Command, texts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    good, bad = f"good={texts}/good.jsonl", f"bad={texts}/bad.jsonl"
    empty = tmp_path / "empty.jsonl"
    empty.write_text("", "utf-8")
    odd = tmp_path / "odd.jsonl"
    odd.write_text(json.dumps({"text": "x", "kind": None, "words": "a b", "parts": ["x"]}), "utf-8")
    named = ("--name", "x", "--language", "ko", "--out", out)
    cases: list[tuple[tuple[object, ...], str]] = [
        (("fit", "linear", "--out", out), "expected either a recipe or --label"),
        (("fit", "linear", "--label", good, "--label", bad, "--out", out), "--label needs --name and --language"),
        (("fit", "linear", "--label", texts / "good.jsonl", *named), "expected LABEL=PATHS"),
        (("fit", "linear", "--label", good, *named), "needs two labels"),
        (("fit", "linear", "--label", good, "--label", f"bad={empty}", *named), "gave no text of label 'bad'"),
        (("fit", "linear", "--label", odd, "--label-field", "kind", *named), "has a text without a label"),
        (("fit", "linear", "--label", odd, "--label-field", "words", *named), "label 'a b', with white space in it"),
        (("fit", "linear", "--label", f"good={odd}", "--text", "parts", *named), "holds a list: expected a text"),
        (("fit", "fasttext", "--label", good, "--label", "bad=nowhere/*.jsonl", *named), "no file 'nowhere/*.jsonl'"),
        (("fit", "linear", "--label", good, "--label", bad, "--text", "txt", *named), "no column 'txt' in good.jsonl"),
        (("fit", "linear", "--label", good, "--label", bad, "--positive", "fine", *named), "positive label 'fine'"),
        (
            ("fit", "linear", "--label", good, "--label", bad, "--threshold", "x=f1:1", *named),
            "expected NAME=precision:P",
        ),
        (("fit", "linear", "--label", good, "--label", bad, "--size", "small", *named), "expected a number of bytes"),
        (("fit", "linear", "--label", good, "--label", bad, "--set", "linear.maxm=3", *named), "linear.maxm"),
        (("fit", "linear", "ko-quality", "--positive", "high", "--out", out), "--positive: the recipe says this"),
        (("fit", "linear", "ko-qualty", "--out", out), "nearest: 'ko-quality'"),
        (("evaluate", "ko-quality"), "expected either --test or --recipe"),
        (("evaluate", "ko-qualty", "--test", good), "no model 'ko-qualty'"),
        (("evaluate", "ko-quality", "--test", f"high={empty}"), "no text to judge on"),
        (("evaluate", empty, "--test", good), "is not a fastText model"),
        (("evaluate", "ko-quality", "--test", good, "--rename", "high"), "expected MODEL'S=TEST'S"),
    ]
    for words, expected in cases:
        code, said = command(*words)
        assert code == 1, (words, said)
        assert said.startswith("error: ") and said.count("\n") == 1, (words, said)
        assert expected in said, (words, said)
    assert not out.exists() or not any(out.iterdir())
    one_host = ("--group", "kind")
    code, said = fit("linear", out, *one_host)
    assert code == 1 and "was held out" in said and "more examples or groups" in said


def test_the_page_names_options_and_keys_that_there_are(command: Command) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "classifiers.md").read_text("utf-8")
    helps = "".join(command(*words, "--help")[1] for words in (("fit", "linear"), ("fit", "fasttext"), ("evaluate",)))
    assert set(re.findall(r"--[a-z][a-z-]+", page)) <= set(re.findall(r"--[a-z-]+", helps))
    declared = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert declared is not None
    for name, settings in yaml.safe_load(declared[1])["stages"].items():
        kind = find("stages", settings.pop("use"))
        kind.Settings(**{key: value for key, value in settings.items() if key != "keep"})
        assert name
