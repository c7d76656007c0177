"""What a text's lines are when they are not prose: lists, tables, code, figures; and how much of it is links.

Sources: link density is the measure of boilerplate detection (Kohlschütter et al. 2010, doi:10.1145/1718487.1718542),
here over the plain text after extraction; RedPajama-Data-v2 (arXiv:2411.12372) has the bullets; the others are ours.
All are measured on lines and characters, so that none depends on the word unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from winnow.filters.rules.measure import OWN, Measure

if TYPE_CHECKING:
    from winnow.filters.rules.words import Words

COLUMNS = ("list_lines", "table_lines", "code_lines", "number_lines", "link_density")
"""The kernel's columns, in its order."""

MEASURES = (
    Measure(
        "list_lines",
        "share",
        OWN,
        "lines that start with a bullet (as bullet_lines) or a number of a list (1. 12) (3) ① 가. b)) / lines",
    ),
    Measure(
        "table_lines",
        "share",
        OWN,
        "lines with a tab, or at least two of | │ ┃, inside / lines: tables that extraction wrote out",
    ),
    Measure(
        "code_lines",
        "share",
        OWN,
        "lines that end in { or }, or in ; with an assignment or a call before it / lines: C, Java, JavaScript, CSS, "
        "JSON, not Python",
    ),
    Measure(
        "number_lines",
        "share",
        OWN,
        "lines with a number (Unicode N*) and no letter / lines: counters, prices, dates, page numbers",
    ),
    Measure(
        "link_density",
        "share",
        OWN,
        "characters of URLs (http://, https://, ftp://, www. up to a character that RFC 3986 forbids) and of Markdown "
        "link targets / characters but white space",
    ),
)


def density(words: Words) -> npt.NDArray[np.float64]:
    """[texts, COLUMNS]; 0 where a text has no lines."""
    from winnow.filters.rules.density_kernel import scan
    from winnow.filters.rules.quality import BULLETS

    found: npt.NDArray[np.float64] = scan(
        words.characters, words.classes, words.line_offsets, words.line_start, words.line_end, BULLETS
    )
    return found
