"""Where a run comes from: its stages' versions, settings and artifacts, and the packages that this report was made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winnow.pipelines.results.table import Run

PACKAGES = (
    "winnow",
    "polars",
    "pyarrow",
    "numpy",
    "ray",
    "trafilatura",
    "resiliparse",
    "fastwarc",
    "tokenizers",
    "altair",
    "vl-convert-python",
)


def facts(run: Run) -> dict[str, dict[str, Any]]:
    """Stage name -> kind, version, settings and artifacts' digests, as the run recorded them; empty where it did not."""
    pointer = "run.json" if run.name is None else f"selections/{run.name}.json"
    recorded = run.plan.facts or (run.plan.store.read_json(pointer) or {}).get("facts", {})
    chosen = {name: recorded[name] for name in run.plan.pipeline.nodes if name in recorded}
    return {name: {**fact, "settings": dict(sorted(fact["settings"].items()))} for name, fact in chosen.items()}


def versions() -> dict[str, str]:
    """Package -> version, of those that matter here and are installed."""
    out = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            out[package] = version(package)
        except PackageNotFoundError:
            continue
    return out
