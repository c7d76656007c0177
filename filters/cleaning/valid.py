"""Texts that are not valid UTF-8 (a lone surrogate written as bytes), found before an engine that trusts its input."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def invalid(texts: pa.Array) -> dict[int, str]:
    """Row -> what is wrong with its bytes, for the rows whose text is not valid UTF-8. A sound column costs one scan."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return {
            row: cause for row, data in enumerate(texts.cast(pa.large_binary()).to_pylist()) if (cause := _cause(data))
        }
    return {}


def emptied(texts: pa.Array, rows: dict[int, str]) -> pa.Array:
    """The column with empty texts in these rows."""
    if not rows:
        return texts
    mask = pa.array([row in rows for row in range(len(texts))])
    return pc.if_else(mask, pa.scalar(b"", pa.large_binary()), texts.cast(pa.large_binary())).cast(texts.type)


def _cause(data: bytes) -> str:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"the text is not valid UTF-8 at byte {error.start}: {error.reason}"
    return ""
