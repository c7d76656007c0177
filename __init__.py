"""winnow: declarative curation of pretraining corpora.

import winnow
run = winnow.run("pipelines/ko.yaml")
run.documents()          # a polars LazyFrame: text, every signal, the selection
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winnow.pipelines.api import Run, open_run, run

__all__ = ["Run", "open_run", "run"]


def __getattr__(name: str) -> Any:
    """`winnow.run` and its like load the machine when first asked for: rooms import without it."""
    if name not in __all__:
        raise AttributeError(f"module 'winnow' has no attribute '{name}'")
    from winnow.pipelines import api

    return getattr(api, name)
