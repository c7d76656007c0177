"""winnow: declarative curation of pretraining corpora."""

from __future__ import annotations
