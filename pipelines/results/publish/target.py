"""What every destination of a publication has in common: the files that one may write, and the manifest that tells it from others.

A destination is a `Folder` or a `Hub`. A publication calls `check`, which changes nothing, and `begin`; then for each file `place`,
which says where on a local disk it is written, and `took`, which takes it from there and returns what was done with it; then
`finish` for card, declaration and manifest, which removes what an earlier publication left over.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from winnow.pipelines.results.publish.privacy import shown

MANIFEST, CARD, DECLARATION = "dataset.json", "README.md", "pipeline.yaml"
FORMAT = "winnow-dataset"

OURS = re.compile(r"(?:data/kept|rejects/rejects)-\d{5}\.parquet|README\.md|pipeline\.yaml|dataset\.json")
"""Every path that a publication may write."""

SHOWN = 3
"""Names that an error sentence lists."""


def public_name(to: str) -> str:
    """The destination as a card may show it."""
    if to.startswith("hub:"):
        return to
    return shown(to if "://" in to else str(Path(to).expanduser().resolve()))


def is_ours(manifest: Any) -> bool:
    """Whether what a `dataset.json` holds was written by a publication."""
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT and isinstance(manifest.get("files"), dict)


def some_of(names: list[str]) -> str:
    """The first of the names that are in the way."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def removed(stale: list[str]) -> str:
    """What to say of files that an earlier publication left over."""
    return f", {len(stale)} of an earlier publication removed" if stale else ""
