"""Raw pages to title and main text. Every page is worked on in a guarded child process (`stages/sandbox.py`): one that
hangs, overflows the stack or exhausts memory costs that page alone.

Trafilatura runs with comments off, without its language rejection, duplicate test, metadata and date search, on a
tree parsed once from text that `filters/charset.py` decoded.`tests/bench/bench_extract.py`
measures what that costs.
Tables that only lay a page out are turned into paragraphs first (`filters/layout_tables.py`): trafilatura
would print the article as one line between pipes. Resiliparse keeps such lines apart by itself and gets the bare page.

Nothing gets lost in silence: libxml2 parses to its greatest depth (2,048 elements; 256 by its default, from where on it
drops the rest of a page), and a page that is deeper, or that trafilatura gives up for an error of its own, is a
failed row with that cause, not an empty text.
"""

from __future__ import annotations

import logging
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from winnow.stages.base import Outputs, PageStage, Settings, Stage
from winnow.stages.sandbox import Work, guard
from winnow.stages.source import Page

Extracted = tuple[str | None, str, str]
"""Title, main text and the charset that the page was decoded from."""

_CONTROL_REFERENCE = re.compile(
    "&#(?:"
    "(?P<break>0*1[12](?![0-9])|[xX]0*[bBcC](?![0-9a-fA-F]))"
    "|0*(?:[1-8]|1[4-9]|2[0-9]|3[01]|6553[45])(?![0-9])"
    "|[xX]0*(?:[1-8eEfF]|1[0-9a-fA-F]|[fF]{3}[eEfF])(?![0-9a-fA-F])"
    ");?"
)
"""References to characters that XML 1.0 cannot hold (https://www.w3.org/TR/xml/#charsets) but libxml2 puts into the
tree, where every later assignment of that text raises. `break`: vertical tab and form feed, which part words."""


class ExtractorError(RuntimeError):
    """An engine cannot do a page: the cause."""


class ExtractSettings(Settings):
    engine: Literal["trafilatura", "resiliparse"] = "trafilatura"
    """trafilatura (better text) or resiliparse (about ten times faster)."""
    page_seconds: float = Field(default=10.0, gt=0)
    """Processor time that one page may take; what takes more is a failed row."""
    page_memory: int = Field(default=4096, ge=512)
    """MiB of address space of the process that a page is worked on in."""
    favour: Literal["balanced", "precision", "recall"] = "balanced"
    """What trafilatura weighs more: text left out (precision) or clutter let in (recall)."""


class ExtractStage(PageStage):
    """Title and main text, in NFC, without navigation and reader comments."""

    __slots__ = ()
    kind = "extract"
    outputs = Outputs(text=True)
    guards = Stage.guards
    version = 3
    Settings = ExtractSettings

    def signals(self) -> dict[str, pa.DataType]:
        """`chars`: characters of the text; `charset`: Python name of the page's real charset; `bytes`: its size."""
        return {"chars": pa.int32(), "charset": pa.string(), "bytes": pa.int32()}

    def clauses(self) -> dict[str, str]:
        return {"empty": "chars >= 1"}

    def measure(self, pages: Sequence[Page], /) -> pa.RecordBatch:
        from winnow.filters.charset import LIKELY

        settings: ExtractSettings = self.settings
        work = Work(
            factory=f"{__name__}:{settings.engine}_worker",
            options=(("favour", settings.favour), ("likely", LIKELY.get(self.pack.script))),
            seconds=settings.page_seconds,
            mebibytes=settings.page_memory,
        )
        outcomes = guard(work).map((page.payload, page.charset) for page in pages)
        values: list[Extracted | None] = []
        errors: list[str | None] = []
        for page, outcome in zip(pages, outcomes, strict=True):
            error = page.error or outcome.error
            values.append(None if error else outcome.value)
            errors.append(error)
        texts = ["" if value is None else value[1] for value in values]
        return pa.record_batch(
            {
                "title": pa.array([value and value[0] for value in values], pa.string()),
                "text": pa.array(texts, pa.large_string()),
                "error": pa.array(errors, pa.string()),
                "chars": pa.array(
                    [None if value is None else len(text) for value, text in zip(values, texts, strict=True)],
                    pa.int32(),
                ),
                "charset": pa.array([value and value[2] for value in values], pa.string()),
                "bytes": pa.array([len(page.payload) for page in pages], pa.int32()),
            }
        )


class _GivenUp(logging.Handler):
    """Remembers the error that made trafilatura give up the page in progress: it logs there, inside its own `except`,
    and returns None as it does for a page without text. Those pages it leaves by an exception that it raises in the
    very function that catches it; any other comes from deeper. State: the error, of one thread's one page."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, MemoryError):
            self.error = error
        elif record.funcName == "bare_extraction" and error and error.__traceback__:
            self.error = error if error.__traceback__.tb_next else self.error

    def take(self) -> BaseException | None:
        """The error since the last call, if any."""
        error, self.error = self.error, None
        return error


def trafilatura_worker(favour: str, likely: str | None) -> Callable[[bytes, str | None], Extracted]:
    """A function from payload and HTTP charset to title, text and charset, by trafilatura. It raises ExtractorError
    for a page nested too deep to parse or given up by trafilatura, and MemoryError where that ran out of memory."""
    import trafilatura
    import trafilatura.utils
    from lxml.etree import ErrorTypes
    from lxml.html import HTMLParser
    from trafilatura.metadata import extract_title
    from trafilatura.settings import Extractor, use_config

    from winnow.filters.charset import decode
    from winnow.filters.layout_tables import flatten

    # Trafilatura's own parser but for the depth. It belongs in its place, not beside it: the readability fallback
    # parses again by the module's name for it.
    trafilatura.utils.HTML_PARSER = HTMLParser(
        collect_ids=False,
        default_doctype=False,
        encoding="utf-8",
        remove_comments=True,
        remove_pis=True,
        huge_tree=True,
    )
    given_up = _GivenUp()
    logger = logging.getLogger("trafilatura")
    logger.addHandler(given_up)
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    options: Any = Extractor(
        config=use_config(),
        output_format="txt",
        comments=False,
        precision=favour == "precision",
        recall=favour == "recall",
    )

    def extract(payload: bytes, charset: str | None) -> Extracted:
        page = decode(payload, charset, likely)
        html = _without_control_references(page.text)
        if not html.strip():
            return None, "", page.charset
        tree = trafilatura.load_html(html)
        problem = trafilatura.utils.HTML_PARSER.error_log.last_error
        if problem is not None and problem.type == ErrorTypes.ERR_RESOURCE_LIMIT:
            raise ExtractorError(f"page not parsed to its end: {problem.message.partition(',')[0]}")
        if tree is None:
            return None, "", page.charset
        title = extract_title(tree)
        flatten(tree)
        given_up.take()
        text = trafilatura.extract(tree, options=options)
        error = given_up.take()
        if isinstance(error, MemoryError):
            raise error
        if error is not None and not text:
            raise ExtractorError(f"given up by trafilatura: {type(error).__name__}: {error}") from error
        return _clean(title) or None, _clean(text), page.charset

    return extract


def resiliparse_worker(favour: str, likely: str | None) -> Callable[[bytes, str | None], Extracted]:
    """The same by Resiliparse, which has no `favour`."""
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    from winnow.filters.charset import decode

    def extract(payload: bytes, charset: str | None) -> Extracted:
        page = decode(payload, charset, likely)
        html = _without_control_references(page.text)
        if not html.strip():
            return None, "", page.charset
        tree = HTMLTree.parse(html)
        text = extract_plain_text(tree, main_content=True, alt_texts=False, comments=False, noscript=False)
        return _clean(tree.title) or None, _clean(text), page.charset

    return extract


def _without_control_references(html: str) -> str:
    if "&#" not in html:
        return html
    return _CONTROL_REFERENCE.sub(lambda found: " " if found["break"] else "", html)


def _clean(text: str | None) -> str:
    """NFC, and nothing that UTF-8 cannot carry: a page may name lone surrogates by character reference."""
    if not text:
        return ""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return unicodedata.normalize("NFC", text).strip()


KIND = ExtractStage
