"""The report and the comparison: their figures are the run's, hostile text stays text, and a browser shows them."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lxml.html
import numpy as np
import polars as pl
import pytest

import winnow
from winnow.pipelines.engine.errors import RunError
from winnow.pipelines.engine.progress import Progress
from winnow.pipelines.engine.reselect import reselect
from winnow.pipelines.results.report.collect import collect
from winnow.pipelines.results.report.compare import write_compare
from winnow.pipelines.results.report.figures import Amount
from winnow.pipelines.results.report.page import report_html, write_report
from winnow.pipelines.results.table import open_run

from .conftest import drawn

CHROMIUM = "/usr/bin/chromium"
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SECTIONS = ["overview", "stages", "funnel", "signals", "overlap", "domains", "languages", "hosts", "dates"]
SECTIONS += ["duplicates", "samples", "accounting", "throughput", "declaration"]
PIXELS = """async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, Math.min(image.height, 2000)), context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data, out = [];
  for (let i = 0; i < data.length; i += 4 * 17) out.push((data[i] + data[i + 1] + data[i + 2]) / 3);
  return out;
}"""
"""The brightness of every 17th pixel of an image."""
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \"'&amp; {{ 7 * 7 }} "


def go(recipe: Path, *assignments: str, folder: str = "run") -> winnow.Run:
    return winnow.run(recipe, assignments, folder=recipe.parent / folder, local=True, progress=Progress(quiet=True))


def numbers(table: Any, first: str) -> list[int]:
    """The whole numbers of the row that begins with `first`."""
    row = next(r for r in table.iter("tr") if r[0].text_content().strip() == first)
    return [int(cell.text_content().replace(",", "")) for cell in row[1:]]


def captioned(page: Any, words: str) -> Any:
    return next(t for t in page.iter("table") if words in (t.findtext("caption") or ""))


def loads(page: Any) -> Iterator[str]:
    """Everything that a browser would fetch for a page."""
    for element in page.iter():
        if not isinstance(element.tag, str):
            continue
        for name in ("src", "srcset", "data", "poster", "xlink:href", "action"):
            if name in element.attrib:
                yield element.attrib[name]
        if element.tag in ("link", "use", "image") and "href" in element.attrib:
            yield element.attrib["href"]
        if element.tag == "style" or "style" in element.attrib:
            yield from re.findall(r"url\([^)]*\)|@import[^;]*", (element.text or "") + element.attrib.get("style", ""))


def test_a_report_is_one_file_with_every_section(ran: Path) -> None:
    run = go(ran)
    place = write_report(run)
    assert Path(place) == ran.parent / "run" / "report.html"
    page = lxml.html.parse(place).getroot()
    assert [s.get("id") for s in page.iter("section")] == SECTIONS
    assert [a.get("href") for a in page.xpath("//nav//a")] == [f"#{name}" for name in SECTIONS]
    assert not [url for url in loads(page) if not url.startswith(("data:", "#"))]
    ids = [element.get("id") for element in page.xpath("//*[@id]")]
    assert len(ids) == len(set(ids))
    for table in page.iter("table"):
        assert table.findtext("caption") and table.xpath(".//th[@scope]")
    for slider in page.xpath("//input"):
        assert page.xpath(f"//label[@for='{slider.get('id')}']")
    assert all(svg.get("aria-label") for svg in page.iter("svg"))
    assert page.xpath("//svg//text") and "var(--kept)" in Path(place).read_text("utf-8")


def test_a_report_says_what_the_accounting_says(ran: Path) -> None:
    run = go(ran)
    figures = collect(run)
    page = lxml.html.fromstring(report_html(figures))
    table = captioned(page, "Rows at every source and stage")
    for name, account in run.accounting["stages"].items():
        dropped = sum(account["dropped"].values())
        assert numbers(table, name) == [account["in"], account["kept"], dropped, account["failed"]]
        drops = {drop.clause: drop.amount.rows for drop in figures.step(name).drops}
        assert drops == account["dropped"]
    everything = run.documents(kept_only=False).collect()
    size = pl.col("text").str.len_bytes()
    assert figures.documents == Amount(240, everything.select(size.sum()).item(), *figures_tokens(everything))
    kept = everything.filter(pl.col("selection.status") == 1)
    assert figures.selection.bytes == kept.select(size.sum()).item()
    assert figures.selection.tokens == kept.get_column("shards.tokens").sum()
    assert figures.selection.rows == run.accounting["kept"] == len(kept)
    [failure] = figures.failures
    assert (failure["stage"], failure["rows"]) == ("docs", 1)
    languages = next(labels for labels in figures.labels if labels.signal == "language.label")
    assert {x["value"]: (x["seen"], x["kept"]) for x in languages.values} == {
        value: (seen, kept) for value, seen, kept in by_language(everything)
    }
    [clusters] = figures.clusters
    assert clusters.documents == run.accounting["reports"]["dedup"]["documents"]


def figures_tokens(everything: pl.DataFrame) -> tuple[int, int]:
    tokens, size = pl.col("shards.tokens"), pl.col("text").str.len_bytes()
    return everything.select(tokens.sum()).item(), everything.filter(tokens.is_null()).select(size.sum()).item()


def by_language(everything: pl.DataFrame) -> list[tuple[str, int, int]]:
    kept = (pl.col("selection.status") == 1).sum()
    return everything.group_by("language.label").agg(pl.len(), kept).rows()


def test_a_slider_tells_what_a_tighter_threshold_keeps(ran: Path) -> None:
    run = go(ran)
    signal = next(s for s in collect(run).signals if s.name == "rules.word_count")
    [curve] = signal.curves
    assert (curve.operator, curve.number) == (">=", 20) and curve.notches[curve.now] == 20
    kept, everything = run.documents().collect(), run.documents(kept_only=False).collect()
    for notch, threshold in enumerate(curve.notches):
        assert curve.kept[notch] == kept.filter(pl.col("rules.word_count") >= threshold).height
    alone = everything.filter(pl.col("selection.clause") == "rules.word_count")
    for notch, threshold in enumerate(curve.notches):
        assert curve.entering[notch] == alone.filter(pl.col("rules.word_count") >= threshold).height
    assert signal.histogram.rows == everything.get_column("rules.word_count").is_not_null().sum()
    assert signal.histogram.kept.sum() == len(kept)


def test_a_quantile_is_drawn_where_it_came_to_lie(ran: Path) -> None:
    run = go(ran, "stages.rules.keep=char_count >= quantile(char_count, 0.3)")
    figures = collect(run)
    [told] = figures.statistics
    signal = next(s for s in figures.signals if s.name == "rules.char_count")
    assert signal.bounds == (("rules.char_count", ">=", told["number"]),)
    [curve] = signal.curves
    seen = run.documents(kept_only=False).collect().get_column("rules.char_count").drop_nulls()
    assert told["number"] == seen.quantile(0.3, "lower") or told["number"] in seen
    assert curve.kept[curve.now] == run.accounting["kept"] and curve.entering[curve.now] == 0
    assert "quantile(0.3)" in report_html(figures)


def test_clauses_that_drop_the_same_documents_are_counted_together(ran: Path) -> None:
    run = go(ran, "stages.rules.keep=word_count >= 20 and char_count >= 230 and mean_word_length <= 3")
    found = collect(run).overlap
    rows = run.documents(kept_only=False).collect().filter(pl.col("rules.word_count").is_not_null())
    elsewhere = ~rows.get_column("dedup.representative")  # a stage that sees the same documents
    fails = rows.select(
        word_count=pl.col("rules.word_count") < 20,
        char_count=pl.col("rules.char_count") < 230,
        mean_word_length=pl.col("rules.mean_word_length") > 3,
    )
    at = {name: found.clauses.index(f"rules.{name}") for name in fails.columns}
    for one, i in at.items():
        others = [name for name in fails.columns if name != one]
        assert found.both[i, i] == fails[one].sum() > 0
        assert found.both[i, found.clauses.index("dedup.representative")] == (fails[one] & elsewhere).sum()
        assert found.alone[i] == (fails[one] & ~fails[others[0]] & ~fails[others[1]] & ~elsewhere).sum()
        for two, j in at.items():
            assert found.both[i, j] == (fails[one] & fails[two]).sum()
    assert found.first[at["word_count"]] == fails["word_count"].sum()


def test_the_same_run_gives_the_same_page(ran: Path) -> None:
    run = go(ran)
    first = report_html(collect(run))
    drawn.cache_clear()
    assert report_html(collect(open_run(run.folder))) == first
    shutil.move(run.folder, f"{run.folder}-moved")
    assert report_html(collect(open_run(f"{run.folder}-moved"))) == first


def test_parts_that_contradict_the_accounting_are_refused(ran: Path) -> None:
    run = go(ran)
    run.accounting["stages"]["rules"]["kept"] += 1
    with pytest.raises(RunError, match=r"stage 'rules' accounts for .* but its parts hold"):
        collect(run)


def test_text_of_documents_stays_text(recipe: Path, korean: Callable[..., str]) -> None:
    for file in (recipe.parent / "in").glob("*.jsonl"):
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.startswith('{"')]
        for n, row in enumerate(rows):
            row["text"], row["url"] = HOSTILE + korean(n), f"https://evil.example/{HOSTILE}{n}"
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    run = go(
        recipe,
        f"stages.rules.keep={{'too_short': 'word_count >= 20', 'odd': \"char_count > 0 or '{HOSTILE[:9]}' = ''\"}}",
    )
    html = report_html(collect(run))
    page = lxml.html.fromstring(html)
    assert HOSTILE.split()[0] in page.text_content() and "{{ 7 * 7 }}" in page.text_content()
    assert not page.xpath("//img") and len(page.xpath("//script")) == 2
    assert not [e for e in page.iter() if isinstance(e.tag, str) and any(a.startswith("on") for a in e.attrib)]
    assert json.loads(page.xpath("//script[@id='curves']")[0].text)
    policy = page.xpath("//meta[@http-equiv]/@content")[0]
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy


def test_a_report_of_very_little(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"text": "one text"}\n', "utf-8")
    source = f"sources:\n  docs: {{use: jsonl, paths: ['{tmp_path}/one.jsonl']}}\n"
    stages = "stages:\n  language: {use: langid, keep: true}\n"
    (tmp_path / "little.yaml").write_text(f"name: little\nlanguage: en\n{source}{stages}", "utf-8")
    page = lxml.html.fromstring(report_html(collect(go(tmp_path / "little.yaml"))))
    assert [s.get("id") for s in page.iter("section")] == SECTIONS
    for section, sentence in (
        ("overlap", "No clause"),
        ("domains", "No stage"),
        ("hosts", "No record"),
        ("dates", "No record"),
    ):
        assert sentence in page.get_element_by_id(section).text_content()


def test_a_report_of_a_named_selection_is_its_own(ran: Path) -> None:
    run = go(ran)
    assert reselect(run, ["stages.rules.keep=word_count >= 40"], name="tighter", progress=Progress(quiet=True))
    tighter = open_run(f"{run.folder}@tighter")
    place = Path(write_report(tighter))
    assert place.name == "report-tighter.html" and not (place.parent / "report.html").exists()
    assert collect(tighter).selection.rows == tighter.accounting["kept"] <= run.accounting["kept"]


def test_a_provisional_selection_says_what_was_not_measured(ran: Path) -> None:
    run = go(ran)
    found = reselect(run, ["stages.rules.keep=word_count >= 5"], name="looser", progress=Progress(quiet=True))
    assert found.unmeasured
    figures = collect(open_run(f"{run.folder}@looser"))
    waiting = {step.name: step.unmeasured.rows for step in figures.steps if step.unmeasured.rows}
    assert waiting == {n: a["pending"] for n, a in found.accounting["stages"].items() if a.get("pending")}
    page = lxml.html.fromstring(report_html(figures))
    assert "not measured" in page.get_element_by_id("funnel").text_content()
    assert "provisional" in page.get_element_by_id("overview").text_content()


def test_selections_are_compared_on_one_page(ran: Path) -> None:
    run = go(ran)
    reselect(run, ["stages.rules.keep=mean_word_length >= 2.9"], name="longer", progress=Progress(quiet=True))
    other = go(ran, "stages.rules.keep=word_count >= 59", folder="other")
    sides = [("small", run), ("small@longer", open_run(f"{run.folder}@longer")), ("other", other)]
    place = write_compare(sides[:2])
    assert Path(place) == Path(run.folder) / "compare.html"
    for chosen, out in ((sides[:2], None), (sides[1:], "two.html"), (sides, "three.html")):
        page = lxml.html.parse(write_compare(chosen, ran.parent / (out or "c.html"))).getroot()
        assert not [url for url in loads(page) if not url.startswith(("data:", "#"))]
        kept = [set(side.documents().select("id").collect()["id"]) for _, side in chosen]
        table = captioned(page, "What each selection keeps")
        cells = next(r for r in table.iter("tr") if r[0].text == "documents kept")[1:]
        assert [int(cell.text.replace(",", "")) for cell in cells] == [len(ids) for ids in kept]
        rows = captioned(page, "Rows by stage and clause").xpath(".//tr[@class='stage']/th/text()")
        assert rows == ["docs", "language", "rules", "dedup", "mixture", "shards"]
        both = captioned(page, "Documents that both keep")
        for (name, _), ids in zip(chosen, kept, strict=True):
            assert numbers(both, name) == [len(ids & others) for others in kept]
        assert "mean_word_length >= 2.9" in captioned(page, "Clauses that are not the same").text_content()
        lost = captioned(page, f"kept by {chosen[0][0]}, not by {chosen[1][0]}")  # of two runs by id
        assert sum(int(cell.text.replace(",", "")) for cell in lost.xpath(".//tbody//td")) == len(kept[0] - kept[1])
    with pytest.raises(RunError, match="1 selection to compare"):
        write_compare(sides[:1])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser test")
    if not Path(CHROMIUM).is_file():
        pytest.skip(f"no Chromium at {CHROMIUM}: no browser test")
    with api.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield opened
        opened.close()


def opened(browser: Any, path: str, scheme: str, said: list[str], **more: Any) -> Any:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme, **more)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "data:")) else None
    )
    page.goto(Path(path).resolve().as_uri())
    return page


def shades(page: Any, selector: str) -> tuple[float, float]:
    """Mean and standard deviation of the brightness (0 to 255) of what the browser shows of an element."""
    shot = base64.b64encode(page.locator(selector).first.screenshot()).decode()
    reader = page.context.browser.new_page()  # a blank page, without the report's policy
    pixels = reader.evaluate(PIXELS, f"data:image/png;base64,{shot}")
    reader.close()
    return float(np.mean(pixels)), float(np.std(pixels))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_the_report(ran: Path, browser: Any, scheme: str) -> None:
    said: list[str] = []
    page = opened(browser, write_report(go(ran)), scheme, said)
    for selector in ("body", "#stages svg", "#signals .card svg", "#funnel table"):
        mean, spread = shades(page, selector)
        assert spread > 5, f"{selector} is empty"
        assert (mean > 150) if scheme == "light" else (mean < 100)
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]
    assert not said


def test_a_slider_works_by_keyboard(ran: Path, browser: Any) -> None:
    said: list[str] = []
    run = go(ran, "stages.rules.keep=char_count >= 200")
    page = opened(browser, write_report(run), "light", said)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(200):
        page.keyboard.press("Tab")
        if (
            page.evaluate("document.activeElement.closest('.card')?.querySelector('h4').innerText")
            == "rules.char_count"
        ):
            break
    assert page.evaluate("document.activeElement.type") == "range"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    name = page.evaluate("document.activeElement.id")
    answer, output = page.locator(f"#{name}-answer"), page.locator(f"output[for={name}]")
    assert output.inner_text() == "≥ 200"
    assert answer.inner_text().startswith(f"{run.accounting['kept']} documents kept")
    page.keyboard.press("End")
    assert output.inner_text() == "≥ 2,000" and answer.inner_text().startswith("0 documents kept: ")
    assert page.evaluate("document.activeElement.getAttribute('aria-valuetext')") == "≥ 2,000"
    page.keyboard.press("Home")
    assert "the next stage" in answer.inner_text()
    assert not said


def test_a_report_can_be_read_without_scripts(ran: Path, browser: Any) -> None:
    page = opened(browser, write_report(go(ran)), "light", [], java_script_enabled=False)
    assert not page.locator(".control").first.is_visible()
    page.locator(".card summary").first.click()
    assert page.locator(".card details table").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_the_comparison(ran: Path, browser: Any, scheme: str) -> None:
    said: list[str] = []
    run = go(ran)
    reselect(run, ["stages.rules.keep=word_count >= 59"], name="tighter", progress=Progress(quiet=True))
    page = opened(browser, write_compare([("a", run), ("b", open_run(f"{run.folder}@tighter"))]), scheme, said)
    assert shades(page, "#overview table")[1] > 5 and shades(page, "#overlap svg")[1] > 5
    assert not said
