"""Benchmarks on a checkout without the data folder beside it: they say so, succeed, and leave nothing behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent
NEED_DATA = [
    *(
        "bad_words",
        "clean",
        "commoncrawl",
        "end_to_end",
        "extract",
        "langid",
        "personal",
        "prescreen",
        "prove",
        "proxy",
        "rules",
        "tokenize",
        "urls",
        "warc",
    ),
]


@pytest.mark.parametrize("name", NEED_DATA)
def test_a_benchmark_without_its_data_is_skipped(name: str, tmp_path: Path) -> None:
    script = tmp_path / "checkout" / "tests" / "bench" / f"bench_{name}.py"
    script.parent.mkdir(parents=True)
    shutil.copy(BENCH / script.name, script)
    here = tmp_path / "here"
    here.mkdir()
    done = subprocess.run([sys.executable, str(script)], cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"skipped: {tmp_path / 'shared'}") and done.stdout.endswith(" is not there\n")
    assert not list(here.iterdir())
