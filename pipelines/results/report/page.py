"""`winnow report`: the figures of a run as one HTML file that needs nothing else.

Everything that comes from documents is hostile: Jinja escapes it, also inside the embedded JSON, and a content security
policy in the page forbids every load and every script but the one whose hash it names.
"""

from __future__ import annotations

import base64
import hashlib
import platform
import threading
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from winnow.pipelines.results.inspect import sharing
from winnow.pipelines.results.report import figures as written
from winnow.pipelines.results.report.collect import collect
from winnow.pipelines.results.report.figures import Amount, Figures
from winnow.pipelines.results.table import Run

HERE = Path(__file__).parent
NAME = "report.html"

PACKAGES = """winnow polars pyarrow numpy ray trafilatura resiliparse fastwarc tokenizers vl-convert-python"""


def write_report(run: Run, out: Path | str | None = None) -> str:
    """Write the report of a finished run; returns where. Default: `report.html` in the run's folder,
    `report-NAME.html` for a named selection.

    Raises RunError where the run's parts contradict its accounting, OSError where `out` cannot be written.
    """
    threading.Thread(target=_prepare, daemon=True).start()
    name = NAME if run.name is None else f"report-{run.name}.html"
    return put(run, report_html(collect(run)), out, name)


def _prepare() -> None:
    """Start the drawing engine while documents are counted: that takes it as long as thirty charts."""
    from winnow.pipelines.results.report import charts

    charts.bars([], [], "")


def put(run: Run | None, html: str, out: Path | str | None, name: str) -> str:
    """Write a page to a local path, or under a name in the run's folder, wherever that is; returns the place."""
    if out is None and run is not None:
        run.plan.store.write_text(name, html)
        return run.plan.store.url(name)
    path = Path(name if out is None else out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, "utf-8")
    return str(path)


def report_html(figures: Figures) -> str:
    """The page of a run. The same figures give the same bytes."""
    from winnow.pipelines.results.report import parts

    rate = figures.rate
    context = {
        "f": figures,
        "p": parts.of(figures),
        "versions": versions(),
        "tokens": partial(token_words, rate=rate),
        "tokens_at": lambda amount: amount.tokens_at(rate)[0],
    }
    return render("report.html.jinja", **context)


def render(template: str, **context: Any) -> str:
    """A page from a template of this folder, with the style, the script and the policy that pins them."""
    script = (HERE / "report.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    style = Markup((HERE / "report.css").read_text("utf-8"))
    return environment().get_template(template).render(policy=policy, style=style, script=Markup(script), **context)


@cache
def environment(folder: Path = HERE) -> jinja2.Environment:
    """Templates of a folder; everything escaped, a name that does not exist is an error."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = ("count", "short", "size", "share", "signed", "number", "seconds", "sign", "bare")
    found.filters |= {word: getattr(written, word) for word in words} | {"sharing": sharing}
    return found


def token_words(amount: Amount, rate: float | None) -> str:
    """An amount's tokens: counted ones plainly, with ≈ where some are estimated from bytes."""
    value, estimated = amount.tokens_at(rate)
    return written.DASH if value is None else ("≈ " if estimated else "") + written.short(value)


def versions() -> dict[str, str]:
    """Package -> version, of those that matter here and are installed."""
    out = {"Python": platform.python_version()}
    for package in PACKAGES.split():
        try:
            out[package] = version(package)
        except PackageNotFoundError:
            continue
    return out
