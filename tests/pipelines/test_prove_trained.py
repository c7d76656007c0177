"""`winnow prove --tier 1` as one types it: small proxies, on Ray; killed and resumed, the figures are the same."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from .in_process import command

NAMES = ("미나", "준호", "서연", "도윤", "하은")
PLACES = ("시장에서", "강가에서", "도서관에서", "산길에서", "기차역에서")
DEEDS = ("책을 읽었다", "친구를 만났다", "사과를 샀다", "노래를 불렀다", "비를 피했다")
MARKS = ("<td>", "&nbsp;", "href=", "{{0}}", "0x7f", "</div>", "==>", "%20")
TARGETS = """pool: {paths: [pool.jsonl]}
oracle: "kind = 'good'"
unit: characters
seeds: 4
trained_seeds: 4
targets:
  stories: {where: "domain = 'stories'", share: 0.2}
  travel: {paths: [travel.jsonl]}
proxy:
  {vocabulary: 320, layers: 1, width: 32, heads: 2, context: 32, batch: 4, warm_tokens: 12000, warm_rate: 0.01,
   tokens: 6000, rates: [0.005, 0.001], averaged: 3, overlap: 8, warm_threads: 1}
"""


def story(some: random.Random) -> str:
    return " ".join(
        " ".join(some.choice(part) for part in (NAMES, PLACES, DEEDS)) + "." for _ in range(some.randint(3, 9))
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("trained")
    some = random.Random(4)
    pool = [{"id": f"g{n}", "text": story(some), "domain": "stories", "kind": "good"} for n in range(600)]
    for n in range(600):
        text = "".join(some.choice(MARKS) for _ in range(some.randint(20, 60)))
        pool.append({"id": f"j{n}", "text": text, "domain": "markup", "kind": "noisy"})
    travel = [{"text": story(some)} for _ in range(20)]
    for name, rows in (("pool.jsonl", pool), ("travel.jsonl", travel)):
        (made / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    (made / "targets.yaml").write_text(TARGETS, "utf-8")
    return made


def prove(folder: Path, out: str) -> dict[str, Any]:
    words = ("prove", "random", "oracle", "random", "--targets", "targets.yaml", "--tokens", "8k", "--tier", "1")
    done = command(*words, "--out", out, cwd=folder)
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads((folder / out / "results.json").read_text("utf-8"))
    return found


def test_the_oracle_wins_at_both_rates_and_a_resumed_experiment_finds_the_same(folder: Path, ray_session: None) -> None:
    found = prove(folder, "out")
    assert found["primary"] == "proxy-lr-0.005"
    for rate in ("proxy-lr-0.005", "proxy-lr-0.001"):
        measure = found["measures"][rate]
        assert measure["unit"] == "utf8_byte"
        said = {(p["a"], p["b"]): p["macro"]["verdict"] for p in measure["pairs"]}
        assert said["oracle", "random"] == "win"
        assert said["random again", "random"] == "tie"
    protocol = json.loads((folder / "out" / "protocol.json").read_text("utf-8"))["protocol"]
    assert protocol["given"]["proxy"]["threads"] == 1 and set(protocol["tiers"]) >= {"proxy-lr-0.005", "proxy-lr-0.001"}
    # As a kill leaves it: some scores are there, others not.
    page = (folder / "out" / "results.json").read_bytes()
    for path in sorted((folder / "out" / "scores").iterdir())[::3]:
        path.unlink()
    (folder / "out" / "results.json").unlink()
    assert prove(folder, "out") == found and (folder / "out" / "results.json").read_bytes() == page


def test_another_protocol_is_refused_before_a_proxy_is_warmed(folder: Path) -> None:
    (folder / "there").mkdir()
    words = (
        "prove",
        "random",
        "oracle",
        "--targets",
        "targets.yaml",
        "--tokens",
        "8k",
        "--seeds",
        "3",
        "--out",
        "there",
    )
    assert command(*words, cwd=folder).returncode == 0
    for more in (("--tier", "1"), ("--tier", "1", "--mixtures", "16")):
        changed = [word for word in words if "--mixtures" not in more or word not in ("random", "oracle")]
        done = command(*changed, *more, cwd=folder)
        said = " ".join((done.stderr + done.stdout).split())
        assert done.returncode == 1 and "another experiment was registered there" in said, said
        assert "warming" not in said and not (folder / "there" / "proxy").exists()


def test_how_much_of_a_domain_general_texts_bear(folder: Path, ray_session: None) -> None:
    targets = TARGETS.replace("trained_seeds: 4", "trained_seeds: 2").replace("rates: [0.005, 0.001]", "rates: [0.005]")
    targets += "panels: {domain: [markup], general: [travel]}\n"
    markup = "  markup: {where: \"domain = 'markup'\", share: 0.2}\n"
    (folder / "ratios.yaml").write_text(targets.replace("targets:\n", f"targets:\n{markup}"), "utf-8")
    rows = [json.loads(line) for line in (folder / "pool.jsonl").open(encoding="utf-8")]
    for name in ("stories", "markup"):
        texts = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows if row["domain"] == name)
        (folder / f"{name}.jsonl").write_text("".join(texts), "utf-8")
    words = ("prove", "markup=markup.jsonl", "stories.jsonl", "--ratios", "1/8,1/2", "--targets", "ratios.yaml")
    done = command(*words, "--tokens", "8k", "--tier", "1", "--out", "ratios", cwd=folder)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "largest feasible ratio" in done.stdout + done.stderr
    (found,) = json.loads((folder / "ratios" / "ratios.json").read_text("utf-8")).values()
    assert list(found["ratios"]) == ["markup 1/8", "markup 1/2"]
    little, much = (each["domain"]["rise"][-1] for each in found["ratios"].values())
    assert much < little and found["ratios"]["markup 1/2"]["tokens"][-1] == 6000
    measure = json.loads((folder / "ratios" / "results.json").read_text("utf-8"))["measures"]["proxy-lr-0.005"]
    for arm in measure["arms"].values():
        assert [point["share"] for point in arm["curve"]] == [0, 1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1]
        assert all(point["low"] <= point["bits"] <= point["high"] for point in arm["curve"])
    assert "<polygon" in (folder / "ratios" / "report.html").read_text("utf-8")


def test_what_cannot_be_trained_is_refused_before_anything_is_read(folder: Path) -> None:
    for tier, changed, sentence in (
        ("1", "proxy: {layrs: 2}", "proxy.layrs: unknown; nearest: 'layers'"),
        ("1", "proxy: {width: 30}", "proxy: width 30 is not a multiple of heads 4"),
        ("2", "proxy: {size: 12M}", "proxy.size: 12M: expected one of 4M, 6M, 8M, 10M"),
    ):
        (folder / "wrong.yaml").write_text(TARGETS.partition("proxy:")[0] + changed + "\n", "utf-8")
        words = ("prove", "random", "oracle", "--targets", "wrong.yaml", "--tokens", "8k", "--tier", tier)
        done = command(*words, "--out", "no", cwd=folder)
        assert done.returncode == 1 and sentence in " ".join(done.stderr.split()), done.stderr
        assert not (folder / "no").exists()
