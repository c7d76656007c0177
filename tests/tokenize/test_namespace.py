"""The room `tokenize/` must never hide the standard library's module of that name."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_room_has_no_init_file() -> None:
    assert not (ROOT / "tokenize" / "__init__.py").exists()


def test_the_standard_library_wins_in_the_repository_root() -> None:
    found = run("import linecache, tokenize; tokenize.open; print(tokenize.__file__)")
    assert Path(found).name == "tokenize.py"


def test_the_room_is_importable_as_part_of_the_package() -> None:
    assert run("import winnow.tokenize.shard as s; print(s.FORMAT)") == "winnow-shards"


def test_both_live_in_one_process() -> None:
    run("import winnow.tokenize.reader, inspect, tokenize, traceback; tokenize.tokenize; inspect.getsource(tokenize)")


def test_the_room_imports_neither_torch_nor_transformers() -> None:
    run(
        "import sys, winnow.tokenize.reader, winnow.tokenize.writer, winnow.tokenize.tokenizer;"
        "assert not {'torch', 'transformers', 'ray'} & set(sys.modules)"
    )
