"""What turns a page into its title and main text, in the child process of `extract.py`: it starts without Arrow."""

from __future__ import annotations

import logging
import re
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

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
