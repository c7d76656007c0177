"""What every destination of a publication has in common: the files that one may write, and the manifest that tells it from others.

A destination is a `Folder` or a `Hub`. A publication calls `check`, which changes nothing, and `begin`; then for each file `place`,
which says where on a local disk it is written, and `took`, which takes it from there and returns what was done with it; then
`finish` for card, declaration and manifest, which removes what an earlier publication left over.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from winnow.pipelines.results.publish.privacy import shown
from winnow.pipelines.results.table import RunError

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


def earlier(content: bytes | None, where: str, names: list[str], then: str) -> dict[str, Any]:
    """The manifest that an earlier publication left at a place with these names, from what `dataset.json` holds there (None: it is
    not there). Raises RunError, which says what to do `then`, where no publication wrote it."""
    try:
        manifest = json.loads(content or b"")
    except ValueError:  # neither JSON nor UTF-8, perhaps
        manifest = None
    if isinstance(manifest, dict) and manifest.get("format") == FORMAT and isinstance(manifest.get("files"), dict):
        return manifest
    some = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    raise RunError(f"{where}: already holds {some}, and no {MANIFEST} of an earlier publication; {then}")


def removed(stale: list[str]) -> str:
    """What to say of files that an earlier publication left over."""
    return f", {len(stale)} of an earlier publication removed" if stale else ""
