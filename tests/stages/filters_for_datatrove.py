"""Filters that somebody wrote for datatrove."""

from __future__ import annotations

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter


class Sized(BaseFilter):
    """Drops by size with reasons, drops some without, raises on one, and trims the rest."""

    name = "sized"

    def __init__(self, least: int = 5, marks: tuple[str, ...] = ("x", "y")) -> None:
        super().__init__()
        self.least, self.marks = least, marks

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        if doc.text == "raise":
            raise ValueError("cannot read this")
        if len(doc.text) < self.least:
            return False, f"under {self.least} characters"
        for mark in self.marks:
            if mark in doc.text:
                return False, "it's x" if mark == "x" else "has y"
        if "quiet" in doc.text:
            return False
        doc.text = "\n".join(line for line in doc.text.split("\n") if "skip" not in line)
        return True
