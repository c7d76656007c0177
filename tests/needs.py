"""Packages that a test needs and that may not be installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def needs(*modules: str) -> None:
    """Skips a test, or a module of tests, where one is not installed. It is not imported: torch alone takes seconds."""
    for name in modules:
        if find_spec(name) is None:
            pytest.skip(f"needs {name}", allow_module_level=True)
