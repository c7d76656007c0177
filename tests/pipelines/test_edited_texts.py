"""Stages that change texts: what later stages read, what is handed off and shown has the edits, what is stored has not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import xxhash

import winnow
from winnow.pipelines.engine.declaration import SpecError, load_pipeline
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.reselect import reselect
from winnow.pipelines.results.publish.dataset import count, rejects
from winnow.pipelines.results.table import open_run
from winnow.pipelines.results.why import explain
from winnow.stages.base import StageError
from winnow.tokenize.reader import ShardSet
from winnow.tokenize.tokenizer import find, load

from .in_process import command

QUIET = Progress(quiet=True)
MENU = "홈 소개 공지사항 자료실 게시판"
FOOT = "문의: hong.{}@mail-example.kr 로 연락해 주세요."
RIGHTS = "ⓒ 2024 한마을신문 제{}호. 무단전재 및 재배포 금지"
RECIPE = """
name: edited
language: ko
sources: {{texts: {{use: jsonl, paths: ["{input}"], url: url}}}}
stages:
  raw: {{use: rules, packs: []}}
  menus: {{use: host_lines, documents: 5}}
  clean: {{use: clean}}
  rules: {{use: rules, packs: [], keep: "word_count >= 10"}}
  personal: {{use: personal}}
  shards: {{use: tokenize, tokenizer: ko-bpe}}
"""


def story(number: int) -> str:
    words = [
        "도서관에서",
        "아이들은",
        "새로운",
        "이야기를",
        "읽고",
        "서로",
        "나누었다.",
        "강가의",
        "공원은",
        "저녁마다",
        "조용했다.",
    ]
    chosen = [words[xxhash.xxh64_intdigest(f"{number} {at}") % len(words)] for at in range(30)]
    return " ".join(chosen) + f" 그날은 {number}번째 모임이었다."


def rows() -> list[dict[str, Any]]:
    out = []
    for number in range(60):
        lines = [story(number)]
        if number % 2:
            lines = [MENU, *lines, RIGHTS.format(number)]
        if number % 3 == 0:
            lines.append(FOOT.format(number))
        out.append({"url": f"http://site{number % 2}.example.kr/{number}", "text": "\n".join(lines)})
    return out


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    (tmp_path / "texts.jsonl").write_text(
        "\n".join(json.dumps(r, ensure_ascii=False) for r in rows()), encoding="utf-8"
    )
    recipe = tmp_path / "edited.yaml"
    recipe.write_text(RECIPE.format(input=tmp_path / "texts.jsonl"), encoding="utf-8")
    return recipe


def go(recipe: Path, *assignments: str, folder: str = "run", **options: Any) -> winnow.Run:
    return winnow.run(recipe, assignments, folder=recipe.parent / folder, progress=QUIET, local=True, **options)


def by_url(run: winnow.Run, kept_only: bool = True) -> dict[str, dict[str, Any]]:
    return {row["url"]: row for row in run.documents(kept_only).collect().iter_rows(named=True)}


def test_later_stages_read_and_the_hand_off_has_the_edited_text(edited: Path) -> None:
    run = go(edited)
    found = by_url(run)
    for row in rows():
        text, number = found[row["url"]]["text"], int(row["url"].rpartition("/")[2])
        assert story(number) in text
        assert MENU not in text and "무단전재" not in text and "mail-example" not in text
        assert ("[EMAIL]" in text) == (number % 3 == 0)
        assert found[row["url"]]["raw.char_count"] == len(row["text"])
        unmasked = text.replace("[EMAIL]", f"hong.{number}@mail-example.kr")
        assert found[row["url"]]["rules.char_count"] == len(unmasked)
    tokenizer = load(find("ko-bpe"))
    assert run.shards is not None
    shards = ShardSet.open(run.shards)
    sizes = [len(tokenizer.encode([row["text"]], eos=True).ids) for row in found.values()]
    assert shards.total_tokens == sum(sizes) == sum(row["shards.tokens"] for row in found.values())


def test_what_is_stored_is_what_was_read(edited: Path) -> None:
    run = go(edited)
    stored = [
        text
        for partition in run.plan.partitions
        for text in run.plan.store.read(run.plan.documents(partition), ["text"]).column("text").to_pylist()
    ]
    assert stored == [row["text"] for row in rows()]


def test_why_lists_every_change_with_its_rule(edited: Path) -> None:
    (found,) = explain(go(edited), "http://site1.example.kr/3")
    assert [(c.stage, c.rule, c.before.strip(), c.after) for c in found.changes] == [
        ("menus", "host_lines.repeated", MENU, ""),
        ("clean", "boilerplate.copyright", RIGHTS.format(3), ""),
        ("personal", found.changes[2].rule, "hong.3@mail-example.kr", "[EMAIL]"),
    ]
    assert "[EMAIL]" in found.text.text and MENU not in found.text.text
    assert found.text_bytes == len(rows()[3]["text"].encode())


def test_a_dropped_document_is_shown_as_the_stage_saw_it(edited: Path) -> None:
    run = go(edited, "stages.rules.keep=char_count >= quantile(0.5)")
    dropped = run.documents(kept_only=False).filter(pl.col("selection.clause") == "rules.char_count").collect()
    url = next(url for url in dropped["url"] if url.endswith(("3", "9")))
    (found,) = explain(run, url)
    assert found.decision.clause == "rules.char_count"
    assert MENU not in found.text.text and "무단전재" not in found.text.text


def test_a_changed_edit_measures_what_reads_the_text_again_and_nothing_else(edited: Path) -> None:
    first = go(edited)
    again = go(edited, "stages.clean.steps=[mojibake]")
    for stage in ("raw", "menus"):
        assert again.plan.groups(stage) == first.plan.groups(stage)
    for stage in ("clean", "rules", "personal", "shards"):
        assert again.plan.groups(stage) != first.plan.groups(stage)
    assert "무단전재" in by_url(again)["http://site1.example.kr/1"]["text"]
    fresh = go(edited, "stages.clean.steps=[mojibake]", folder="fresh")
    assert by_url(fresh) == by_url(again)


def test_a_threshold_below_the_edits_selects_again_without_text(edited: Path) -> None:
    run = go(edited)
    found = reselect(run, ["stages.rules.keep=char_count >= quantile(0.5)"], progress=QUIET)
    assert not found.unmeasured
    kept = by_url(found)
    assert 0 < len(kept) < 60 and all(MENU not in row["text"] for row in kept.values())
    assert (
        go(edited, "stages.rules.keep=char_count >= quantile(0.5)", folder="whole").plan.selection
        == found.plan.selection
    )


def test_documents_dropped_above_the_edits_change_them(edited: Path) -> None:
    """Fewer documents of a host make a line of it less repeated, and all that was read below is measured again."""
    assignment = "stages.raw.keep=char_count > quantile(0.9)"
    few = go(edited, assignment, "stages.menus.documents=20")
    assert any(MENU in row["text"] for row in by_url(few).values())
    many = go(edited, "stages.menus.documents=20", folder="many")
    assert not any(MENU in row["text"] for row in by_url(many).values())


def test_a_top_share_of_tokens_counts_edited_texts(edited: Path) -> None:
    keep = "stages.rules.keep=top 50% of tokens by char_count"
    run = go(edited, keep)
    documents = run.documents(kept_only=False).collect()
    assert documents["shards.tokens"].null_count() == 0 and documents["personal.masked"].null_count() == 0
    kept = documents.filter(pl.col("selection.multiplicity") > 0)
    dropped = documents.filter(pl.col("selection.multiplicity") == 0)
    assert kept["rules.char_count"].min() >= dropped["rules.char_count"].max()
    half = documents["shards.tokens"].sum() / 2
    assert half - documents["shards.tokens"].max() < kept["shards.tokens"].sum() <= half


def test_the_result_does_not_depend_on_partitions(edited: Path, tmp_path: Path) -> None:
    whole = by_url(go(edited))
    lines = (tmp_path / "texts.jsonl").read_text("utf-8").splitlines()
    names = [tmp_path / f"piece{n}.jsonl" for n in range(4)]
    for n, name in enumerate(names):
        name.write_text("\n".join(lines[n::4]), encoding="utf-8")
    pieces = by_url(go(edited, f"sources.texts.paths={json.dumps([str(n) for n in names])}", folder="pieces"))
    assert {url: row["text"] for url, row in pieces.items()} == {url: row["text"] for url, row in whole.items()}


def test_text_that_was_given_up_stays_given_up(edited: Path) -> None:
    run = go(edited, "rejected=metadata", "stages.rules.keep=char_count >= quantile(0.5)")
    documents = run.documents(kept_only=False).collect()
    assert all(
        row["text"] == "" for row in documents.filter(pl.col("selection.multiplicity") == 0).iter_rows(named=True)
    )
    with pytest.raises(StageError, match="have no text any more"):
        go(edited, "rejected=metadata", "stages.clean.steps=[mojibake]")


def test_stages_that_change_texts_side_by_side_are_refused(edited: Path) -> None:
    with pytest.raises(SpecError, match=r"stages.clean.over: 'menus' and 'clean' change texts side by side; expected"):
        load_pipeline(edited, ["stages.clean.over=raw"])


def test_a_decision_that_waits_for_the_text_it_makes_is_refused(edited: Path) -> None:
    with pytest.raises(SpecError, match=r"stages.raw: decides by signals of 'shards'.*'menus' changes.*waits"):
        load_pipeline(edited, ["stages.raw.keep=top 50% of tokens by word_count"])


def test_addresses_are_judged_where_texts_come_without_pages(edited: Path) -> None:
    text = edited.read_text("utf-8").replace("stages:\n", "stages:\n  urls: {use: urls}\n", 1)
    edited.write_text(text, encoding="utf-8")
    run = go(edited, "stages.urls.keep=domain != 'site1.example.kr'", folder="addresses")
    stage = run.accounting["stages"]["urls"]
    assert (stage["in"], stage["kept"]) == (60, 60)
    run = go(edited, "stages.urls.keep=host != 'site1.example.kr'", folder="hosts")
    stage = run.accounting["stages"]["urls"]
    assert (stage["in"], stage["kept"], stage["dropped"]) == (60, 30, {"urls.host": 30})
    (found,) = explain(run, "http://site1.example.kr/3")
    assert (found.decision.clause, found.decision.value) == ("urls.host", "site1.example.kr")


def test_a_hand_off_that_would_lack_edits_is_refused(edited: Path) -> None:
    with pytest.raises(
        SpecError, match=r"stages.shards.over: 'menus' changes texts, and what is handed off would lack that"
    ):
        load_pipeline(edited, ["stages.shards.over=raw"])


def test_what_is_masked_leaves_no_run_in_rejects_and_reports_either(edited: Path) -> None:
    run = go(edited, "stages.raw.keep=char_count >= quantile(0.6)", folder="leaks")
    dropped = run.documents(kept_only=False).filter(pl.col("selection.clause") == "raw.char_count").collect()
    assert dropped["text"].str.contains("mail-example").any(), "what personal never saw is as it was, in the run"
    rejected = pl.from_arrow(pa.concat_tables(rejects(run, str)))
    assert isinstance(rejected, pl.DataFrame)
    assert not rejected["text"].fill_null("").str.contains("mail-example").any()
    assert rejected["text"].fill_null("").str.contains("[EMAIL]", literal=True).any()
    page = write_report(run, edited.parent / "report.html")
    assert "mail-example" not in page and "[EMAIL]" in page


def write_report(run: winnow.Run, path: Path) -> str:
    done = command("report", run.folder, "--out", path)
    assert done.returncode == 0, done.stderr
    return path.read_text("utf-8")


def test_a_report_counts_rows_judged_by_their_address(edited: Path) -> None:
    text = edited.read_text("utf-8").replace("stages:\n", "stages:\n  urls: {use: urls}\n", 1)
    edited.write_text(text, encoding="utf-8")
    run = go(edited, "stages.urls.keep=host != 'site1.example.kr'", folder="hosts")
    assert "urls.host" in write_report(run, edited.parent / "report.html")


def test_an_address_screen_that_needs_pages_is_refused_where_there_are_none(edited: Path) -> None:
    text = edited.read_text("utf-8").replace(
        "stages:\n", "stages:\n  screen: {use: prescreen}\n  urls: {use: urls}\n", 1
    )
    edited.write_text(text, encoding="utf-8")
    with pytest.raises(
        SpecError, match=r"stages.urls.keep: reads signals of 'screen', which looks at pages, and source 'texts'"
    ):
        load_pipeline(edited, ["stages.urls.keep=screen.script_chars >= 5"])


def test_texts_in_place_of_a_crawl(edited: Path, tmp_path: Path) -> None:
    """The shipped recipe over rows of text: stages that look at pages are passed by, and said to be."""
    recipe = tmp_path / "own.yaml"
    recipe.write_text(
        f"extends: web.yaml\nname: own\nlanguage: ko\nsources:\n  crawl: null\n"
        f"  texts: {{use: jsonl, paths: ['{tmp_path}/texts.jsonl'], url: url}}\n"
        "stages:\n  rules: {keep: 'word_count >= 10'}\n  shards: {tokenizer: ko-bpe}\n",
        encoding="utf-8",
    )
    run = go(recipe, folder="own")
    assert "urls" in run.accounting["stages"] and "extract" not in run.accounting["stages"]
    assert "language" in write_report(run, tmp_path / "report.html")
    (found,) = explain(run, "http://site1.example.kr/3")
    status = {stage.stage: stage.status for stage in found.stages}
    assert (status["urls"], status["screen"], status["extract"]) == ("passed", "not for texts", "not for texts")
    again = reselect(run, ["stages.rules={use: rules, packs: [gopher]}"], progress=QUIET)
    assert not again.unmeasured, "which packs decide changes no measurement"


def test_the_documents_of_a_provisional_selection(edited: Path) -> None:
    run = go(edited)
    found = reselect(run, ["stages.clean.steps=[mojibake]"], name="lax", progress=QUIET)
    assert found.unmeasured
    frame = open_run(f"{run.folder}@lax").documents(kept_only=False).collect()
    assert frame.height == 60 and frame["clean.edits"].null_count() == 60 and frame["clean.edits"].dtype == pl.Int32


def test_texts_that_their_edits_empty(tmp_path: Path) -> None:
    """They are dropped as such, no text is said to be given up, and what is kept can be published."""
    rows = [{"url": f"http://a.example.kr/{n}", "text": MENU + (f"\n{story(n)}" if n % 2 else "")} for n in range(40)]
    (tmp_path / "texts.jsonl").write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), encoding="utf-8")
    recipe = tmp_path / "empty.yaml"
    recipe.write_text(
        f"name: empty\nlanguage: ko\nsources: {{texts: {{use: jsonl, paths: ['{tmp_path}/texts.jsonl'], url: url}}}}\n"
        "stages:\n  menus: {use: host_lines, documents: 5}\n  shards: {use: tokenize, tokenizer: ko-bpe}\n",
        encoding="utf-8",
    )
    run = go(recipe, "rejected=metadata")
    assert run.accounting["stages"]["menus"]["dropped"] == {"menus.empty": 20}
    kept = go(recipe, "rejected=metadata", "stages.menus.keep=true", folder="all")
    assert count(kept).kept == 40
    (found,) = explain(kept, "http://a.example.kr/0")
    assert any("is empty after the changes below" in note for note in found.notes)
    assert [change.before for change in found.changes] == [MENU]


def test_a_fragment_that_was_edited_away_is_still_found(edited: Path) -> None:
    assert {e.url for e in explain(go(edited), "hong.3@mail-example.kr")} == {"http://site1.example.kr/3"}
