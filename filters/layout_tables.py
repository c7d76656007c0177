"""Tables that only place things on a page, told from tables of data and turned into blocks and paragraphs.

Pages of about 1996 to 2006, and many boards and public notices since, put the article into the cell of a table and
end its paragraphs by <br><br>. Main-text extractors take every table for data: the article comes out as one line
between pipes, with the menu in the next cell. The marks of a layout table follow the HTML standard's table of them
(https://html.spec.whatwg.org/multipage/tables.html, "Possible values that indicate layout/non-layout tables": role,
no caption, no th, no scope or headers) and what browsers do to tell assistive software (nested tables, one row or one
column), with one of our own: a cell that holds running text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree

Element = Any
"""An lxml element: the extractors' trees are `lxml.html.HtmlElement`, which lxml leaves untyped."""

PARAGRAPH = 40
"""Characters outside links that make a block, or what stands between two double line breaks, a paragraph."""
RUNNING = 120
"""Characters outside links, in two paragraphs or more, that make a cell running text."""
ALONE = 300
"""Characters outside links that make a cell running text even in one paragraph, when it dominates its table."""
DOMINANT = 0.6
"""Share of its table's characters from which a cell dominates."""

MAIN = 0.8
"""Share of the characters in a page's paragraphs from which a table or cell is the page's article."""

CELLS = frozenset(("td", "th"))
BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "center", "dd", "details", "dir", "div", "dl", "dt", "fieldset",
    "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "menu", "nav", "ol",
    "p", "pre", "section", "table", "td", "th", "tr", "ul",
))  # fmt: skip
PARTS = frozenset(("table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "td", "th"))
FRAMES = frozenset(("center", "div"))
SILENT = frozenset(("aside", "footer", "nav", "noscript", "script", "select", "style", "textarea"))
"""Not prose of the page."""
MUTE = SILENT | {"a", "br", "img"}
"""What does not make the inline content of a block a paragraph."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What an element holds outside the tables in it. `chars` leaves out the text of links, `linked` counts that;
    `prose` counts the characters of `chars` that are in paragraphs."""

    chars: int
    linked: int
    prose: int
    paragraphs: int
    nests: bool

    @property
    def running(self) -> bool:
        """Whether that is running text."""
        return self.paragraphs >= 2 and self.chars >= RUNNING


@dataclass(frozen=True, slots=True)
class Table:
    """A <table> with its own cells, and whether it only places things."""

    element: Element
    cells: tuple[tuple[Element, Measure], ...]
    layout: bool


def flatten(tree: Element) -> int:
    """Turns the layout tables of a parsed page into <div>, in place, and the text of their cells into <p>.

    The innermost of them that holds nearly all of the page's prose becomes <article>, unless the page has one: what
    marks the main text for extractors, which would otherwise have to find it among cells that all look alike. Tables
    of data stay as they are, also inside layout tables, and so does a page without prose in its layout tables (a list
    of links). Returns how many tables were turned.
    """
    tables = [read_table(element) for element in tree.iter("table")]
    layouts = [table for table in tables if table.layout]
    if sum(measure.prose for table in layouts for _, measure in table.cells) < RUNNING:
        return 0
    article = _article(tree, tables)
    apart = {table.element for table in layouts}
    etree.strip_tags(tree, "font")
    for table in layouts:
        for part in list(_own_parts(table.element)):
            if part.tag in PARTS:
                part.tag = "div"
        for cell, _ in table.cells:
            for block in list(_plain_blocks(cell, apart)):
                _break_into_paragraphs(block)
    if article is not None:
        article.tag = "article"
    return len(layouts)


def read_table(table: Element) -> Table:
    """Measures a table's cells and judges it."""
    cells: list[tuple[Element, Measure]] = []
    rows, widest, width, headed = 0, 0, 0, False
    for part in _own_parts(table):
        tag = part.tag
        if tag == "tr":
            rows, width = rows + 1, 0
        elif tag in CELLS:
            width += 1
            widest = max(widest, width)
            headed = headed or tag == "th" or part.get("scope") is not None or part.get("headers") is not None
            cells.append((part, _measure(part)))
        elif tag in ("caption", "thead"):
            headed = True
    role = (table.get("role") or "").strip().lower()
    measures = [measure for _, measure in cells]
    total = sum(measure.chars + measure.linked for measure in measures)
    if not cells or role in ("presentation", "none"):
        layout = bool(cells)
    elif headed:
        layout = any(measure.running and measure.chars >= DOMINANT * total for measure in measures)
    else:
        layout = (
            rows <= 1
            or widest == 1
            or any(measure.nests or measure.running for measure in measures)
            or any(measure.chars >= ALONE and measure.chars >= DOMINANT * total for measure in measures)
        )
    return Table(table, tuple(cells), layout)


def _article(tree: Element, tables: list[Table]) -> Element:
    """The innermost layout table, or cell of one, that holds nearly all prose of the page; None where there is none
    or the page names its article itself."""
    if next(tree.iter("article", "main"), None) is not None:
        return None
    holders: dict[Element, int] = {}
    for table in tables:
        if table.layout:
            holders.update(dict.fromkeys((table.element, *(cell for cell, _ in table.cells)), 0))
    inside = 0
    for table in tables:
        for cell, measure in table.cells:
            if measure.prose:
                inside += measure.prose
                for holder in (cell, *cell.iterancestors("table", "td", "th")):
                    if holder in holders:
                        holders[holder] += measure.prose
    body = tree.find("body")
    outside = _measure(body).prose if body is not None else 0
    # Holders come outermost first, and two that each hold most of the prose are one inside the other.
    return next((holder for holder in reversed(holders) if holders[holder] >= MAIN * (inside + outside)), None)


def _own_parts(table: Element) -> Iterator[Element]:
    """A table, its rows and cells, in document order, without what is inside the cells. Forms and other elements that
    old pages open between rows and that parsers leave there come too."""
    stack = [table]
    while stack:
        part = stack.pop()
        yield part
        if part.tag not in CELLS and part.tag not in SILENT:
            stack.extend(child for child in reversed(part) if child.tag != "table" and isinstance(child.tag, str))


def _measure(cell: Element) -> Measure:
    """Reads a cell, or the body, once; a paragraph ends at a block's edge and at a double line break."""
    if len(cell) == 0:
        size = len((cell.text or "").strip())
        return Measure(size, 0, size * (size >= PARAGRAPH), int(size >= PARAGRAPH), False)
    chars = linked = prose = paragraphs = run = breaks = links = 0
    nests = False
    walk = etree.iterwalk(cell, events=("start", "end"))
    for event, element in walk:
        tag = element.tag
        if event == "start":
            if tag == "br":
                breaks += 1
            elif tag == "a":
                links += 1
            text = element.text
            if tag == "table" and element is not cell:
                nests = True
                text = None
                walk.skip_subtree()
            elif tag in SILENT or not isinstance(tag, str):
                text = None
                walk.skip_subtree()
        else:
            if tag == "a":
                links -= 1
            text = element.tail if element is not cell else None
        if breaks > 1 or tag in BLOCKS:
            if run >= PARAGRAPH:
                paragraphs += 1
                prose += run
            run = 0
        size = len(text.strip()) if text else 0
        if size:
            breaks = 0
            if links:
                linked += size
            else:
                chars += size
                run += size
    if run >= PARAGRAPH:
        paragraphs += 1
        prose += run
    return Measure(chars, linked, prose, paragraphs, nests)


def _plain_blocks(frame: Element, apart: set[Element]) -> Iterator[Element]:
    """A former cell and the plain blocks in it, down to the former tables in it, whose cells come by themselves."""
    stack = [frame]
    while stack:
        block = stack.pop()
        yield block
        stack.extend(child for child in block if child.tag in FRAMES and child not in apart)


def _break_into_paragraphs(block: Element) -> None:
    """Puts text and inline elements that stand bare in a block into <p>, a new one after a double line break.

    Leaves a block alone whose only bare content is links and pictures: as a paragraph, a menu would pass for prose.
    """
    for span in block.findall("span"):
        if span.find("br") is not None:
            span.drop_tag()
    children = list(block)
    if not _says(block.text) and not any(_says(child.tail) or _speaks(child) for child in children):
        return
    pieces: list[tuple[Element, str | None]] = [(None, block.text), *((child, child.tail) for child in children)]
    block.text = None
    for child in children:
        block.remove(child)
        child.tail = None
    paragraph: Element = None
    breaks: list[Element] = []
    for element, text in pieces:
        if element is not None and element.tag == "br":
            breaks.append(element)
        elif element is not None and _is_block(element):
            block.append(element)
            paragraph, breaks = None, []
        elif element is not None:
            paragraph, breaks = _paragraph(block, paragraph, breaks), []
            paragraph.append(element)
        if _says(text):
            paragraph, breaks = _paragraph(block, paragraph, breaks), []
            if len(paragraph):
                paragraph[-1].tail = text
            else:
                paragraph.text = text
        elif text and paragraph is not None and len(paragraph) and not breaks:
            paragraph[-1].tail = text


def _says(text: str | None) -> bool:
    return text is not None and text != "" and not text.isspace()


def _speaks(element: Element) -> bool:
    """Whether an element is inline and has text of its own outside links."""
    if _is_block(element):
        return False
    stack = [element]  # pages nest inline elements deeper than Python calls may go
    while stack:
        inner = stack.pop()
        if inner.tag in MUTE:
            continue
        if _says(inner.text) or any(_says(child.tail) for child in inner):
            return True
        stack.extend(inner)
    return False


def _paragraph(block: Element, paragraph: Element, breaks: list[Element]) -> Element:
    """The paragraph to go on writing in: a new one after a double line break."""
    if paragraph is None or len(breaks) > 1:
        return etree.SubElement(block, "p")
    paragraph.extend(breaks)
    return paragraph


def _is_block(element: Element) -> bool:
    return element.tag in BLOCKS or (len(element) > 0 and next(element.iter(*BLOCKS), None) is not None)
