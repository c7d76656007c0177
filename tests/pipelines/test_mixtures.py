"""`winnow prove --mixtures`: what bits say of a mixture's shares, and when they say nothing. Invented texts."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from winnow.pipelines.prove.mixtures import usable
from winnow.pipelines.prove.regression import best, fitted, noise_of
from winnow.pipelines.results.table import RunError

from .in_process import command

NAMES = ("미나", "준호", "서연", "도윤", "하은")
PLACES = ("시장에서", "강가에서", "도서관에서", "산길에서", "기차역에서")
DEEDS = ("책을 읽었다", "친구를 만났다", "사과를 샀다", "노래를 불렀다", "비를 피했다")
MARKS = ("<td>", "&nbsp;", "href=", "{{0}}", "0x7f", "</div>", "==>", "%20")


def story(some: random.Random) -> str:
    return " ".join(" ".join(some.choice(p) for p in (NAMES, PLACES, DEEDS)) + "." for _ in range(some.randint(3, 9)))


def written(folder: Path, domains: dict[str, bool], unit: str = "characters") -> None:
    """A pool of domains (True: stories, False: markup), and stories as targets."""
    some, pool = random.Random(5), []
    for domain, prose in domains.items():
        for n in range(150):
            marks = "".join(some.choice(MARKS) for _ in range(some.randint(20, 60)))
            text = story(some) if prose else f"{story(some)[:40]} {marks}"
            pool.append({"id": f"{domain}{n}", "text": text, "domain": domain})
    held = [{"text": story(some)} for _ in range(20)]
    for name, rows in (("pool.jsonl", pool), ("held.jsonl", held), ("more.jsonl", held[:12])):
        (folder / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    (folder / "targets.yaml").write_text(
        f"pool: {{paths: [pool.jsonl]}}\nunit: {unit}\n"
        "targets: {travel: {paths: [held.jsonl]}, more: {paths: [more.jsonl]}}\n",
        "utf-8",
    )


def mixed(folder: Path, out: str = "out") -> dict[str, Any]:
    done = command("prove", "--targets", "targets.yaml", "--mixtures", "16", "--tokens", "3k", "--out", out, cwd=folder)
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads((folder / out / "mixtures.json").read_text("utf-8"))
    return found


def test_what_serves_the_targets_is_found(tmp_path: Path) -> None:
    written(tmp_path, {"stories": True, "markup": False, "tables": False})
    found = mixed(tmp_path)
    measure = found["measures"]["witten-bell"]
    assert sorted(found["groups"]) == ["markup", "stories", "tables"] and len(found["mixtures"]) == 16
    assert all(abs(sum(row) - 1) < 1e-5 for row in found["mixtures"])
    assert set(measure["fits"]) == {"travel", "more", "all"}
    for fit in measure["fits"].values():
        assert fit["usable"] and fit["refused"] is None and fit["explained"] > 0.5
        assert fit["coefficients"]["stories"] < min(fit["coefficients"]["markup"], fit["coefficients"]["tables"])
    assert measure["best"]["stories"] > 0.7 and abs(sum(measure["best"].values()) - 1) < 1e-4
    assert usable(found, "witten-bell", "all") == measure["fits"]["all"]
    # The same again where some scores were lost, and in a folder of its own.
    for path in sorted((tmp_path / "out" / "scores").iterdir())[::2]:
        path.unlink()
    assert mixed(tmp_path) == found == mixed(tmp_path, "again")


def test_groups_that_do_not_differ_are_refused(tmp_path: Path) -> None:
    written(tmp_path, {"a": True, "b": True, "c": True})
    found = mixed(tmp_path)
    measure = found["measures"]["witten-bell"]
    assert measure["best"] is None
    assert not measure["fits"]["all"]["usable"]
    with pytest.raises(RunError, match=r"the fit witten-bell/all must not be used: (noise exceeds signal|it predicts)"):
        usable(found, "witten-bell", "all")
    with pytest.raises(RunError, match=r"mixtures\.json has no fit witten-bell/news"):
        usable(found, "witten-bell", "news")


def test_what_cannot_be_mixed_is_refused(tmp_path: Path) -> None:
    written(tmp_path, {"a": True, "b": False})
    for words, sentence in (
        (("--mixtures", "15"), "--mixtures 15: expected at least 16"),
        (("random", "--mixtures", "16"), "--mixtures makes its own arms"),
        (("--mixtures", "16", "--tokens", "900k"), "too little for --tokens 900,000"),
        ((), "no arm: expected at least two to compare"),
    ):
        done = command("prove", *words, "--targets", "targets.yaml", "--out", "no", cwd=tmp_path)
        assert done.returncode == 1 and sentence in " ".join(done.stderr.split()), done.stderr
        assert not (tmp_path / "no").exists()
    written(tmp_path, {"a": True})
    done = command(
        "prove", "--targets", "targets.yaml", "--mixtures", "16", "--tokens", "3k", "--out", "no", cwd=tmp_path
    )
    assert "the pool has one domain (a)" in " ".join(done.stderr.split())


def test_laws_are_recovered() -> None:
    some = np.random.default_rng(0)
    shares = some.dirichlet(np.full(5, 0.7), 40)
    slopes = np.array([0.3, -0.2, 0.0, 0.1, -0.5])
    bits = np.exp(0.4 + shares @ slopes + some.normal(0, 0.002, 40))
    fit = fitted(shares, bits, noise=0.003)
    assert fit.refused is None and fit.error < 0.006 < fit.spread and fit.curve.form == "log-linear"
    found = fit.curve.coefficients
    np.testing.assert_allclose(found - found.mean(), slopes - slopes.mean(), atol=0.02)
    top = best(fit.curve, lambda number: np.random.default_rng(1).dirichlet(np.ones(5), number))
    assert top.argmax() == 4 and top[4] > 0.8 and top.sum() == pytest.approx(1)
    powers = np.array([-0.2, 0.0, 0.05, -0.05, 0.0])
    fit = fitted(shares, np.exp(0.4 + np.log(shares + 1 / 64) @ powers + some.normal(0, 0.002, 40)), noise=0.003)
    assert fit.refused is None and fit.curve.form == "power"
    np.testing.assert_allclose(fit.curve.coefficients, powers, atol=0.01)
    pure = some.normal(1.0, 0.01, 40)
    assert "noise exceeds signal" in str(fitted(shares, pure, noise=0.01).refused)
    assert "did not see worse" in str(fitted(shares, pure, noise=0.0).refused)
    assert noise_of(np.array([[1.0, 3.0], [2.0, 2.0]])) == pytest.approx(1.0)
    assert noise_of(np.array([[1.0, 1.5], [2.0, 2.5]])) == pytest.approx(0.0)  # a seed's documents are all mixtures'
