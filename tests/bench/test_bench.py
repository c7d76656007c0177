"""Benchmarks on a checkout without the data folder beside it: they say so, succeed, and leave nothing behind."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parent
NEED_DATA = [
    *(
        "bad_words",
        "clean",
        "commoncrawl",
        "end_to_end",
        "extract",
        "kenlm_models",
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


ALL = """import io, os, runpy, sys
from contextlib import redirect_stdout

scripts = sys.argv[1:]
sys.path.insert(0, os.path.dirname(scripts[0]))
for script in scripts:
    sys.argv = [script]
    with redirect_stdout(io.StringIO()) as said:
        try:
            runpy.run_path(script, run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code or 0
    print(repr((code, said.getvalue())))
"""
"""Benchmarks one after the other in one process: what each imports takes longer than all else."""


def test_benchmarks_without_their_data_are_skipped(tmp_path: Path) -> None:
    scripts = [tmp_path / "checkout" / "tests" / "bench" / f"bench_{name}.py" for name in NEED_DATA]
    scripts[0].parent.mkdir(parents=True)
    for script in scripts:
        shutil.copy(BENCH / script.name, script)
    here = tmp_path / "here"
    here.mkdir()
    done = subprocess.run([sys.executable, "-c", ALL, *scripts], cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, line in zip(NEED_DATA, done.stdout.splitlines(), strict=True):
        code, said = ast.literal_eval(line)
        assert code == 0, (name, said, done.stderr)
        assert said.startswith(f"skipped: {tmp_path / 'shared'}") and said.endswith(" is not there\n"), (name, said)
    assert not list(here.iterdir())
