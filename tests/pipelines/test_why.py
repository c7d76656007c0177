"""`winnow why`: what it says about a document agrees with recomputing it by hand, for every kind of fate."""

from __future__ import annotations

import json
import operator
import random
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from tokenizers import Tokenizer
from warcio.archiveiterator import ArchiveIterator

import winnow
from winnow.pipelines.console import visible
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.reselect import reselect
from winnow.pipelines.results.shown import Decision
from winnow.pipelines.results.table import Run, open_run
from winnow.pipelines.results.why import Explanation, explain

from .in_process import command

ROOT = Path(__file__).resolve().parents[2]

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    ">=": operator.ge,
    "<=": operator.le,
    "<": operator.lt,
    ">": operator.gt,
}


def go(recipe: Path, *assignments: str, folder: str = "run") -> Run:
    progress = Progress(quiet=True)
    return winnow.run(recipe, assignments, folder=recipe.parent / folder, progress=progress, local=True)


def part(run: Run, kind: str) -> list[pa.Table]:
    """The parts of one kind, partition by partition, read as plain Arrow files."""
    return [pa.ipc.open_file(f"{run.folder}/{kind}/{p.key}.arrow").read_all() for p in run.plan.partitions]


def by_hand(text: str, value: Any) -> bool:
    """A clause of one signal and one literal, in plain Python."""
    if (match := re.fullmatch(r"(\w+)", text)) is not None:
        return value is True
    if re.fullmatch(r"\w+ is null", text):
        return value is None
    match = re.fullmatch(r"[\w.]+ (=|>=|<=|<|>) (?:'(\w+)'|([\d.]+))", text)
    assert match is not None, text
    sign, word, number = match.groups()
    return value is not None and OPERATORS[sign](value, word if word is not None else float(number))


def said(explanation: Explanation, clause: str) -> tuple[str | None, bool | None]:
    """Value and verdict that `why` gives for a clause."""
    (check,) = [c for stage in explanation.stages for c in stage.clauses if c.name == clause]
    return check.value, check.holds


@pytest.fixture(scope="module")
def archive(data: Path) -> Path:
    """The real crawl."""
    return data / "crawl" / "web-mixed.warc.gz"


@pytest.fixture(scope="module")
def crawled(crawl_run: Path) -> Run:
    """The real crawl, curated by the command."""
    return open_run(crawl_run)


@pytest.fixture(scope="module")
def responses(archive: Path) -> dict[str, tuple[str, str]]:
    """Status code and content type of every page, by another reader of WARC files."""
    out = {}
    with archive.open("rb") as file:
        for record in ArchiveIterator(file):
            headers = record.http_headers
            if record.rec_type == "response" and headers is not None:
                out[record.rec_headers.get_header("WARC-Target-URI")] = (
                    headers.get_statuscode(),
                    headers.get_header("Content-Type") or "",
                )
    return out


def test_fifty_random_pages_agree_with_recomputing_by_hand(crawled: Run, responses: dict[str, tuple[str, str]]) -> None:
    plan = crawled.plan
    documents = pa.concat_tables(part(crawled, f"documents/{plan.ingest}")).to_pylist()
    position = {row["url"]: number for number, row in enumerate(documents)}
    signals: dict[str, list[dict[str, Any]]] = {}
    for name in plan.pipeline.nodes:
        folders = [filed.rpartition("/")[0] for filed, _ in plan.signals(plan.pipeline.nodes[name], plan.partitions[0])]
        groups = [pa.concat_tables(part(crawled, folder)).to_pylist() for folder in folders]
        signals[name] = [{k: v for row in rows for k, v in row.items()} for rows in zip(*groups, strict=True)]
    copies = pa.concat_tables(part(crawled, f"selection/{plan.selection}")).column("multiplicity").to_pylist()
    declared = {name: node.clauses for name, node in plan.pipeline.nodes.items()}

    uris = random.Random(0).sample(sorted(responses), 50)
    uris += [
        url for url in random.Random(1).sample(sorted(position), 20) if url not in uris
    ]  # nearly all of a crawl is foreign
    fates = set()
    for uri in uris:
        (told,) = explain(crawled, uri)
        fates.add(told.decision.clause or told.decision.status)
        if uri not in position:  # refused before it was a document
            assert told.decision.status in ("dropped", "failed")
            if told.decision.clause == "crawl.status":
                assert responses[uri][0] == told.decision.value != "200"
            elif told.decision.clause == "crawl.mime":
                assert told.decision.value is not None and responses[uri][1].startswith(told.decision.value)
            elif told.decision.clause == "screen.script":
                assert by_hand("script_chars >= 50", float(told.decision.value or "nan")) is False
            continue
        row = position[uri]
        expected = None
        for name, clauses in declared.items():
            measured = signals[name][row]
            for clause in clauses:
                value, held = said(told, clause.name)
                if expected is not None and not measured["_measured"]:
                    assert (value, held) == (None, None)
                    continue
                if clause.name == "urls.soft_words":
                    few = measured["soft_words"] < 2 or measured["soft"] is None
                    assert (held, value) == (few, f"urls.soft_words={measured['soft_words']}, urls.soft=null")
                    continue
                if clause.name == "quality.redundant":
                    rules = signals["rules"][row]
                    varied = by_hand("mtld >= 150", rules["mtld"]) or by_hand("word_count < 100", rules["word_count"])
                    assert held is bool(varied), (uri, clause.name)
                    assert value is not None and value.startswith("rules.mtld=") and ", rules.word_count=" in value
                    expected = expected if held else expected or clause.name
                    continue
                stage, _, bare = clause.text.split()[0].rpartition(".")
                stored = signals[stage or name][row][bare]
                assert held is by_hand(clause.text, stored), (uri, clause.name)
                assert (
                    value == ("null" if stored is None else str(stored).lower())
                    if stored is None or isinstance(stored, bool)
                    else float_or_text(value) == pytest.approx(stored)
                )
                expected = expected if held else expected or clause.name
        if expected is None and copies[row] == 0:
            expected = "mixture.multiplicity"
        assert told.decision.clause == expected, uri
        assert told.decision.status == ("kept" if expected is None else "dropped")
        assert told.decision.multiplicity == copies[row]
        assert told.changes or told.text.text == documents[row]["text"]
        text = documents[row]["text"]
        versions = {None: text}
        for stage in dict.fromkeys(change.stage for change in told.changes):
            edits = [change for change in told.changes if change.stage == stage and change.start is not None]
            for change in reversed(edits):
                assert change.start is not None and text[change.start :].startswith(change.before)
                text = text[: change.start] + change.after + text[change.start + len(change.before) :]
            versions[stage] = text
        check_measures(told, versions.get("clean", documents[row]["text"]))
        assert told.text.text in versions.values()
        check_places(crawled, told, text)
    assert {"screen.script", "kept"} <= fates and len(fates) >= 5, fates


def float_or_text(value: str | None) -> float | str | None:
    try:
        return float(value or "")
    except ValueError:
        return value


def check_measures(told: Explanation, text: str) -> None:
    """Two measures of the rules, from the text itself."""
    rules = next(stage for stage in told.stages if stage.stage == "rules").signals
    if rules:
        words = [w for w in text.split() if any(unicodedata.category(c)[0] in "LMN" for c in w)]
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        assert rules["word_count"] == len(words)
        assert rules["dup_lines"] == pytest.approx(1 - len(set(lines)) / len(lines), abs=1e-6)


def check_places(run: Run, told: Explanation, text: str) -> None:
    """The tokens at each place are those of the text."""
    assert len(told.places) == told.decision.multiplicity
    for place in told.places:
        shard = pa.ipc.open_file(f"{run.shards}/{place.shard}").read_all()
        assert shard.column("doc_id")[place.row].as_py() == told.id
        stream = shard.column("input_ids").combine_chunks().values.to_pylist()
        ids = stream[place.offset : place.offset + place.tokens]
        tokenizer = Tokenizer.from_file(f"{run.shards}/tokenizer.json")
        assert ids == [*tokenizer.encode(text, add_special_tokens=False).ids, tokenizer.token_to_id("<|endoftext|>")]


def test_pages_of_every_fate_and_the_models_are_told(crawled: Run) -> None:
    records = pa.concat_tables(part(crawled, f"records/{crawled.plan.ingest}")).to_pylist()
    for clause in sorted({r["clause"] for r in records if r["clause"]}):
        url = next(r["url"] for r in records if r["clause"] == clause)
        found = explain(crawled, url)
        told = next(e for e in found if e.decision.clause == clause)
        names = [stage.stage for stage in told.stages]
        assert names == [*crawled.plan.pipeline.sources, *crawled.plan.pipeline.nodes]
        status = [stage.status for stage in told.stages]
        at = names.index(clause.partition(".")[0])
        assert status == ["passed"] * at + ["dropped"] + ["not reached"] * (len(names) - at - 1)
    (model,) = [m for m in told.models if m.stage == "quality"]
    recorded = json.loads(Path(crawled.folder, "run.json").read_text("utf-8"))["facts"]["quality"]
    assert model.artifacts == recorded["artifacts"] and len(model.artifacts["ko-quality"]) == 64


def test_duplicates_name_their_representative_and_each_other(ran: Path) -> None:
    run = go(ran)
    rows = run.documents(kept_only=False).collect()
    copies = rows.filter(pl.col("dedup.copies") > 2)
    (one,) = copies.filter(~pl.col("dedup.representative")).head(1).iter_rows(named=True)
    (told,) = explain(run, one["url"])
    (cluster,) = told.clusters
    members = copies.filter(pl.col("dedup.cluster") == one["dedup.cluster"])
    (first,) = members.filter(pl.col("dedup.representative")).iter_rows(named=True)
    assert (cluster.id, cluster.copies) == (first["id"], len(members))
    assert cluster.representative is not None and cluster.representative.url == first["url"]
    others = set(members["url"]) - {one["url"], first["url"]}
    assert {m.url for m in cluster.members} <= others and len(cluster.members) == min(5, len(others))


def test_a_document_is_found_by_id_loose_url_and_text(ran: Path) -> None:
    run = go(ran)
    row = run.documents().head(1).collect().row(0, named=True)
    for wanted in (
        row["id"],
        row["url"],
        row["url"].removeprefix("https://") + "/",
        f"http://WWW.{row['url'][8:]}#top",
    ):
        (told,) = explain(run, wanted)
        assert told.id == row["id"], wanted
    words = row["text"].split()[:12]
    (told,) = [e for e in explain(run, "\n ".join(words)) if e.id == row["id"]]
    assert told.found_by == "a fragment of its text"
    common = explain(run, "새로운")
    assert len(common) == 5 and "stopped after 5 texts" in common[0].notes[0]
    with pytest.raises(RunError, match=r"no record has the URL or id 'no such thing', and none of 240 texts holds it"):
        explain(run, "no such thing")


def test_texts_beyond_the_first_batch_are_found(recipe: Path, korean: Callable[..., str]) -> None:
    rows = [
        {"id": f"m{n}", "url": f"https://x.kr/{n}", "text": f"{korean(2000 + n)} 표지{n:04d}끝"} for n in range(1100)
    ]
    (recipe.parent / "in" / "many.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    run = go(recipe)
    for number in (3, 511, 512, 1099):
        (told,) = explain(run, f"표지{number:04d}끝")
        assert (told.url, told.text.text) == (rows[number]["url"], rows[number]["text"])
        assert told.decision.multiplicity == len(told.places)


def test_a_url_is_found_escaped_or_not(recipe: Path, korean: Callable[..., str]) -> None:
    pairs = {
        "https://x.kr/w/%EB%B0%94%EB%8B%A4?a=1": "x.kr/w/바다?a=1",
        "https://x.kr/강/1": "https://x.kr/%ea%b0%95/1",
    }
    rows = [{"id": f"u{n}", "url": url, "text": korean(900 + n)} for n, url in enumerate(pairs)]
    (recipe.parent / "in" / "urls.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    run = go(recipe)
    for url, wanted in pairs.items():
        assert [e.url for e in explain(run, wanted)] == [url]


def test_all_records_of_a_url_are_shown(recipe: Path, korean: Callable[..., str]) -> None:
    rows = [{"id": f"x{n}", "url": "https://x.kr/again", "text": korean(900 + n)} for n in range(3)]
    (recipe.parent / "in" / "again.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    assert len(explain(go(recipe), "https://x.kr/again")) == 3


def test_a_record_that_failed_says_so(ran: Path) -> None:
    run = go(ran)
    (lost,) = [r for table in part(run, f"records/{run.plan.ingest}") for r in table.to_pylist() if r["status"] == 3]
    (told,) = explain(run, lost["id"])
    assert (told.decision.status, told.decision.stage, told.decision.value) == ("failed", "docs", lost["value"])
    assert [s.status for s in told.stages] == ["failed"] + ["not reached"] * 5 and told.stages[0].error == lost["value"]


def test_a_repeated_document_has_as_many_places_and_its_draw_says_why(ran: Path) -> None:
    run = go(ran, "stages.mixture.budget_tokens=20000", "stages.mixture.max_epochs=1.5")
    seen = set()
    for row in run.documents(kept_only=False).collect().sample(16, seed=1).iter_rows(named=True):
        (told,) = explain(run, row["id"])
        assert len(told.places) == told.decision.multiplicity == row["selection.multiplicity"]
        if told.wanted is not None and told.draw is not None:
            assert told.decision.multiplicity == int(told.wanted) + (told.draw < told.wanted % 1)
            (repetition,) = told.repetitions
            assert repetition.group == row["language.label"] == "ko"
            seen.add(told.decision.multiplicity)
    assert seen == {1, 2}


@pytest.mark.parametrize(
    "edits",
    [
        ("stages.rules.keep=word_count >= 20 and (unique_words > 0.74 or language.score < 0.99)",),
        ("stages.rules.keep={some: sample(0.5), even: 'mod(char_count, 2) = 0'}", "stages.rules.repeat=0.7"),
    ],
)
def test_a_decision_is_what_the_documents_say(ran: Path, edits: tuple[str, ...]) -> None:
    run = go(ran, *edits)
    wanted = ["outcome", "multiplicity", "stage", "clause", "value", "threshold"]
    said = run.records().filter(pl.col("row") >= 0).select("status", *wanted[1:]).collect().rows()
    documents = run.documents(kept_only=False).collect()
    assert [(word, *rest) for word, *rest in said] == [
        ({1: "kept", 2: "dropped", 3: "failed", 4: "pending"}[status], *rest)
        for status, *rest in documents.select(f"selection.{c}" for c in ["status", *wanted[1:]]).rows()
    ]
    for row in documents.sample(8, seed=3).iter_rows(named=True):
        (told,) = explain(run, row["id"])
        assert told.decision == Decision(
            {1: "kept", 2: "dropped"}[row["selection.status"]], *(row[f"selection.{c}"] for c in wanted[1:])
        )


def test_a_quantile_is_told_with_the_number_of_the_group(ran: Path) -> None:
    run = go(ran, "stages.language.keep=true", "stages.rules.keep=char_count >= quantile(0.4, by = language.label)")
    for row in run.documents(kept_only=False).collect().sample(10, seed=1).iter_rows(named=True):
        (told,) = explain(run, row["id"])
        (check,) = next(stage for stage in told.stages if stage.stage == "rules").clauses
        (number,) = check.resolved
        assert number.group == row["language.label"] and number.number is not None
        assert check.holds is (row["rules.char_count"] >= number.number)


def test_a_run_in_object_storage_is_explained_too(ran: Path) -> None:
    near = go(ran)
    there = f"memory://why{ran.parent.name}/run"
    far = winnow.run(ran, folder=there, progress=Progress(quiet=True), local=True)
    for row in near.documents().head(3).collect().iter_rows(named=True):
        (here,), (away,) = explain(near, row["url"]), explain(open_run(far.folder), row["url"])
        assert here == away and here.places


def test_a_draw_is_told(ran: Path) -> None:
    run = go(ran, "stages.rules.keep={word_count: word_count >= 20, some: sample(0.5)}")
    for row in run.documents(kept_only=False).collect().sample(10, seed=1).iter_rows(named=True):
        (told,) = explain(run, row["id"])
        value, holds = said(told, "rules.some")
        if value is not None:
            assert holds is (float(value.removeprefix("uniform ")) < 0.5)
        if told.decision.clause == "rules.some":
            assert holds is False and told.decision.sentence() == "dropped by rules.some, expected sample(0.5)"


def test_text_that_was_given_up_is_said_to_be(ran: Path) -> None:
    run = go(ran, "rejected=metadata")
    lost = run.documents(kept_only=False).filter(pl.col("selection.multiplicity") == 0).head(1).collect()
    (told,) = explain(run, lost["id"][0])
    assert told.text.text == "" and told.text_bytes
    assert any("'rejected: metadata'" in note for note in told.notes)
    with pytest.raises(RunError, match="the text of documents that are not selected was given up"):
        explain(run, "no such thing")


def test_what_a_provisional_selection_never_measured_is_pending(ran: Path) -> None:
    base = go(ran, "stages.rules.keep=word_count >= 55")
    quiet = Progress(quiet=True)
    reselect(base, ["stages.rules.keep=word_count >= 5"], name="looser", progress=quiet)
    run = open_run(f"{base.folder}@looser")
    pending = run.documents(kept_only=False).filter(pl.col("selection.status") == 4).head(1).collect()
    (told,) = explain(run, pending["id"][0])
    assert told.decision.status == "pending" and told.decision.stage == "shards"
    assert [s.status for s in told.stages if s.stage == "shards"] == ["pending"]
    assert [c.holds for s in told.stages if s.stage == "rules" for c in s.clauses] == [True]


def test_the_command_prints_every_stage_and_marks_what_dropped(recipe: Path, korean: Callable[..., str]) -> None:
    line = korean(1, 12)
    rows = [{"id": "odd", "url": "https://x.kr/[/b]\u001b[31m", "text": "\n".join([line] * 6 + [korean(2, 20)])}]
    (recipe.parent / "in" / "odd.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    run = go(recipe, "stages.rules.keep=dup_lines <= 0.5")
    done = command("why", run.folder, "https://x.kr/[/b]\u001b[31m")
    assert done.returncode == 0, done.stderr
    assert "\u001b" not in done.stdout and visible("https://x.kr/[/b]\u001b[31m") in done.stdout
    assert "dropped by rules.dup_lines: 0.71428573, expected <= 0.5" in done.stdout
    assert "rules: dropped" in done.stdout and "<- dropped here" in done.stdout
    assert f"⟦{line}⟧" in done.stdout
    (told,) = [json.loads(x) for x in command("why", run.folder, rows[0]["url"], "--json").stdout.splitlines()]
    assert told["decision"]["clause"] == "rules.dup_lines" and told["text"]["text"] == rows[0]["text"]
    missing = command("why", run.folder, "https://nowhere.example/")
    assert missing.returncode == 1 and missing.stderr.startswith("error: ") and len(missing.stderr.splitlines()) == 1


def test_several_documents_are_listed_until_one_is_chosen(ran: Path) -> None:
    run = go(ran)
    done = command("why", run.folder, "새로운")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) < 70 and lines[0] == "20 records or more, found by a fragment of its text:"
    assert lines[1].startswith("  1  https://example.org/") and "⟦새로운⟧" in done.stdout
    assert lines[-1].startswith(f"everything about one of them: winnow why {run.folder} '새로운' --number N")
    third = lines[7].split("id ")[1].split()[0]
    chosen = command("why", run.folder, "새로운", "--number", "3").stdout
    assert f"id {third}" in chosen and chosen == command("why", run.folder, third).stdout.replace(
        "its URL or id", "a fragment of its text"
    )
    refused = command("why", run.folder, "새로운", "--number", "99")
    assert refused.returncode == 1 and "--number 99: 20 are listed" in refused.stderr
    everything = command("why", run.folder, "새로운", "--all", "--chars", "-1").stdout
    assert everything.count("found by a fragment of its text") > 50
    missing = command("why", run.folder, "https://nowhere.example/", "--all")
    assert missing.returncode == 1
