"""Writes the bundled sample: `sample.warc.gz` and `truth.jsonl`, the same bytes for the same seed and zlib.

    python -m winnow.pipelines.sample.generate FOLDER [--records N] [--seed N] [--language ko]

A line of the truth describes one response record, by its `url`:

- `category`, `language`, `domain`, `template`, `encoding`, `charset_true`: what was made
- `keep_for`: by language code, whether a pipeline for it should keep the page; `keep` is that of the language asked for
- `why`: the stage that a Korean pipeline should drop it in (`status`, `mime` and `empty`: the source's clause); null
  where it should be kept
- `either`: keeping and dropping are both right (a page half Korean, half English; one that parsers give up on)
- `group`, `group_kind`: duplicates of each other share `group`, of which one member should survive
- `title`, `gold`: title and main text, paragraphs one per line; `personal`: spans of personal data in `gold`
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from winnow.pipelines.sample.cases import FULL, JUDGED, TECHNICAL, Case, cases
from winnow.pipelines.sample.dice import Dice
from winnow.pipelines.sample.encode import (
    ENCODINGS,
    Response,
    broken,
    encode,
    http_head,
    nested,
    request,
    response,
    revisit,
    truncated,
    warcinfo,
    wire,
)
from winnow.pipelines.sample.page import TEMPLATES, Article, Site, render, site, text
from winnow.pipelines.sample.texts import DOMAINS, chrome, korean, originals

FILE, TRUTH = "sample.warc.gz", "truth.jsonl"
OLD = ("tables", "gnuboard", "notice", "forum")
"""Templates of the sites that still serve legacy encodings."""
COMMON = (*TEMPLATES, *(name for name in TEMPLATES if name != "tables"))
"""Pages laid out in tables are half as common as the others."""
REASONS = {200: "OK", 301: "Moved Permanently", 403: "Forbidden", 404: "Not Found", 500: "Internal Server Error"}
SERVERS = ("nginx", "Apache", "Apache/2.4.6 (CentOS)", "Microsoft-IIS/8.5", "openresty", "cloudfront")
MIMES = {"pdf": "application/pdf", "json": "application/json", "image": "image/png", "stylesheet": "text/css"}


def generate(folder: Path, *, records: int = FULL, seed: int = 1, language: str = "ko") -> Path:
    """Writes both files into `folder` and returns the path of the WARC.

    `language` sets `keep` in the truth and nothing else. Raises ValueError for too few records or an unknown language.
    """
    if language not in JUDGED:
        raise ValueError(f"language={language!r} is not judged by the sample: expected one of {', '.join(JUDGED)}")
    folder.mkdir(parents=True, exist_ok=True)
    made = [(Dice(seed, "order", number).bits(), number, case) for number, case in enumerate(cases(records, seed))]
    with (folder / FILE).open("wb") as warc, (folder / TRUTH).open("wb") as truth:
        warc.write(warcinfo("2024-05-01T00:00:00Z", FILE))
        for place, (_, number, case) in enumerate(sorted(made, key=lambda entry: entry[:2])):
            answer, row = _answer(case, number, place, seed)
            row["keep"] = case.keep_for[language]
            warc.write(b"".join(_records(answer, Dice(seed, "company", number))))
            truth.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    return folder / FILE


def _records(answer: Response, dice: Dice) -> Iterator[bytes]:
    if dice.chance(0.15):
        yield request(answer.url, answer.date)
    yield response(answer)
    if dice.chance(0.02):
        yield revisit(answer, answer.date.replace("2024-05", "2024-06"))


def _answer(case: Case, number: int, place: int, seed: int) -> tuple[Response, dict[str, Any]]:
    dice = Dice(seed, "page", number)
    legacy = ENCODINGS[case.encoding].true in ("euc-kr", "cp949")
    template = dice.pick(OLD if legacy and dice.chance(0.6) else _templates(case))
    here = site(case.frame, template, dice.below(4), seed)
    url = f"http{'s' if dice.chance(0.8) else ''}://{here.host}{_path(template, number, dice)}"
    status, fields, payload = _content(case, template, here, dice)
    payload, coding = wire(payload, case.category, dice)
    version = "1.0" if case.category == "http10" else "1.1"
    date = f"2024-05-{1 + place // 720:02d}T{place // 30 % 24:02d}:{place * 2 % 60:02d}:{dice.below(60):02d}Z"
    fields = [("Date", "Wed, 01 May 2024 00:00:00 GMT"), ("Server", dice.pick(SERVERS)), *fields, *coding]
    if case.category != "chunked":
        fields.append(("Content-Length", str(len(payload))))
    row = {
        "url": url,
        "category": case.category,
        "language": None if case.category in TECHNICAL else case.text.language,
        "domain": case.text.domain,
        "template": template,
        "encoding": case.encoding,
        "charset_true": ENCODINGS[case.encoding].true,
        "status": status,
        "keep": None,
        "keep_for": case.keep_for,
        "why": case.why,
        "either": case.either,
        "group": case.group,
        "group_kind": case.group_kind,
        "title": case.text.title,
        "gold": case.text.body,
        "personal": [asdict(span) for span in case.personal],
    }
    return Response(url, date, http_head(status, REASONS[status], version, fields), payload), row


def _templates(case: Case) -> tuple[str, ...]:
    if case.category in ("abuse", "chatter"):
        return ("forum", "gnuboard", "seblog")
    if case.text.domain == "documentation":
        return ("manual", "manual", "wiki", "diary", "gnuboard", "notice")
    return COMMON


def _path(template: str, number: int, dice: Dice) -> str:
    shapes = {
        "gnuboard": f"/bbs/board.php?bo_table=free&wr_id={number}",
        "forum": f"/board/view?id=talk&no={number}",
        "tables": f"/~home/page{number}.html",
        "notice": f"/portal/bbs/view.do?nttId={number}&mid=a{dice.below(900)}",
        "shop": f"/product/detail.html?product_no={number}",
    }
    return shapes.get(template, f"/{template}/{dice.between(2015, 2024)}/{dice.between(1, 12):02d}/{number}")


def _content(case: Case, template: str, here: Site, dice: Dice) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, header fields and the body before transfer codings."""
    name = case.category
    if name in MIMES:
        return 200, [("Content-Type", MIMES[name])], _file(name, dice)
    encoding = ENCODINGS[case.encoding]
    declared = "text/html" + (f"; charset={encoding.header}" if encoding.header else "")
    fields = [] if name == "no_type" else [("Content-Type", declared)]
    if name == "empty":
        return 200, fields, b""
    if name == "whitespace":
        return 200, fields, b" \r\n\t\n" * dice.between(1, 60)
    if name == "binary":
        return 200, [("Content-Type", "text/html")], _noise(dice, dice.between(2000, 12000))
    if name.startswith("status_"):
        status = int(name.removeprefix("status_"))
        place = [("Location", f"https://{here.host}/moved/{dice.below(9999)}")] if status == 301 else []
        page = f"<html><head><title>{status} {REASONS[status]}</title></head><body><h1>{REASONS[status]}</h1></body></html>"
        return status, [*fields, *place], page.encode("ascii")
    html = render(template, _article(case, dice), here, dice, encoding.meta or "utf-8")
    if name == "broken":
        html = broken(html, dice)
    elif name in ("truncated", "nested"):
        first, last = text(case.text.paragraphs[0]), text(case.text.paragraphs[-1])
        cut = truncated if name == "truncated" else nested
        html = cut(html, first, last, dice)
    return 200, fields, encode(html, case.encoding)


def _article(case: Case, dice: Dice) -> Article:
    words = chrome(case.frame)
    pool = korean(dice.pick(DOMAINS)) if case.frame == "ko" else originals(case.frame)
    remarks = dice.sample(words.comments, dice.below(7))
    return Article(
        title=case.text.title,
        paragraphs=case.text.paragraphs,
        author=dice.pick(words.authors),
        date=f"20{dice.between(15, 23)}.{dice.between(1, 12):02d}.{dice.between(1, 28):02d}",
        comments=tuple(remarks),
        related=tuple(other.title for other in dice.sample(pool, 10)),
        body=case.body,
    )


def _noise(dice: Dice, size: int) -> bytes:
    return b"".join(dice.bits().to_bytes(8, "little") for _ in range(size // 8))


def _file(name: str, dice: Dice) -> bytes:
    if name == "json":
        return orjson.dumps(
            {"items": [{"id": dice.below(10**6), "title": korean("culture")[0].title} for _ in range(9)]}
        )
    if name == "stylesheet":
        return site("ko", "portal", 0, dice.below(9)).style.encode("utf-8")
    start = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n" if name == "pdf" else b"\x89PNG\r\n\x1a\n"
    return start + _noise(dice, dice.between(1000, 5000))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the bundled sample: a crawl and the truth about it.")
    parser.add_argument("folder", type=Path, help="where sample.warc.gz and truth.jsonl go")
    parser.add_argument("--records", type=int, default=FULL, help="number of response records (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed gives another sample (default: %(default)s)")
    parser.add_argument("--language", default="ko", choices=JUDGED, help="whose `keep` to state (default: %(default)s)")
    options = parser.parse_args()
    print(generate(options.folder, records=options.records, seed=options.seed, language=options.language))


if __name__ == "__main__":
    main()
