"""What a measure of the rules is: its name, type, unit, source and meaning.

The tables lie beside the kernels that measure them, as `MEASURES`; `measures.py` puts them together. Shares and ratios
are 0 for a text without words. "as datatrove" means: equal to the measure of datatrove 0.10's filter on the trimmed
text with the same words; "not as datatrove" says what differs, and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

GOPHER = "Gopher quality, arXiv:2112.11446 A1.1"
TABLE_A1 = "Gopher repetition, arXiv:2112.11446 Table A1"
FINEWEB = "FineWeb, arXiv:2406.17557 3.6"
OWN = "winnow"


@dataclass(frozen=True, slots=True)
class Measure:
    """One signal. `share`: in [0, 1]. `ratio`: at least 0. `count`: a whole number. `characters`: a mean length."""

    name: str
    unit: Literal["count", "share", "ratio", "characters"]
    source: str
    meaning: str

    @property
    def type(self) -> pa.DataType:
        """int32 for counts, float32 for all others."""
        return pa.int32() if self.unit == "count" else pa.float32()
