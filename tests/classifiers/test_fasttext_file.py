"""fastText files that claim what they do not hold: refused before fastText loads them, with what is wrong."""

from __future__ import annotations

import random
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from winnow.classifiers.artifacts import ModelError, ModelFile, resolve
from winnow.classifiers.fasttext_file import check_model
from winnow.classifiers.language_id import identifier
from winnow.classifiers.scorer import load_scorer

FIELDS = ("dim", "ws", "epoch", "min_count", "neg", "grams", "loss", "model", "buckets", "minn", "maxn", "rate")
AT = {name: 8 + 4 * number for number, name in enumerate(FIELDS)} | {
    "size": 64,
    "words": 68,
    "labels": 72,
    "pruned": 84,
}


DIM, WORDS, BUCKETS, PRUNED = 6, 40, 50, 20


def floats(count: int, seed: int) -> bytes:
    dice = random.Random(seed)
    return struct.pack(f"<{count}f", *(dice.uniform(-1, 1) for _ in range(count)))


def quantizer(dim: int, seed: int) -> bytes:
    return struct.pack("<4i", dim, -(-dim // 2), 2, dim % 2 or 2) + floats(dim * 256, seed)


def written(kind: str) -> bytes:
    """A small classifier in fastText's format: 'plain', 'quantized', or 'pruned' (quantized, features left out, norms)."""
    pruned = PRUNED if kind == "pruned" else -1
    out = struct.pack("<2i12id", 793712314, 12, DIM, 5, 1, 1, 5, 2, 3, 3, BUCKETS, 2, 3, 100, 1e-4)
    out += struct.pack("<3i2q", WORDS + 2, WORDS, 2, 1000, pruned)
    out += b"".join(b"word%d\0" % n + struct.pack("<qb", 20, 0) for n in range(WORDS))
    out += b"".join(b"__label__%s\0" % name + struct.pack("<qb", 20, 1) for name in (b"a", b"b"))
    out += b"".join(struct.pack("<2i", 2 * n, n) for n in range(max(pruned, 0)))
    rows = WORDS + (BUCKETS if pruned < 0 else pruned)
    out += struct.pack("<?", kind != "plain")
    if kind == "plain":
        out += struct.pack("<2q", rows, DIM) + floats(rows * DIM, 1)
    else:
        codes = rows * -(-DIM // 2)
        out += struct.pack("<?2qi", kind == "pruned", rows, DIM, codes) + bytes(n % 256 for n in range(codes))
        out += quantizer(DIM, 2)
        if kind == "pruned":
            out += bytes(n % 256 for n in range(rows)) + struct.pack("<4i", 1, 1, 1, 1) + floats(256, 3)
    return out + struct.pack("<?2q", False, 2, DIM) + floats(2 * DIM, 4)


@pytest.fixture(scope="module")
def models() -> dict[str, bytes]:
    return {kind: written(kind) for kind in KINDS}


KINDS = ("plain", "quantized", "pruned")


@pytest.mark.parametrize("kind", KINDS)
def test_sound_models_pass_and_no_part_of_one_does(models: dict[str, bytes], tmp_path: Path, kind: str) -> None:
    path, data = tmp_path / "m.bin", models[kind]
    path.write_bytes(data)
    check_model(path)
    assert set(identifier(ModelFile("m", path, kind)).languages()) == {"a", "b", "und"}
    for cut in (0, 7, 60, 90, 300, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:cut])
        with pytest.raises(ModelError):
            check_model(path)
    path.write_bytes(data + b"more")
    with pytest.raises(ModelError, match="4 bytes are left over"):
        check_model(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [2**31 - 1, -1, -(2**31), 0])
@pytest.mark.parametrize("field", ["dim", "size", "words", "labels", "buckets", "grams", "maxn", "loss", "pruned"])
def test_a_header_that_lies_is_refused(
    models: dict[str, bytes], tmp_path: Path, kind: str, field: str, value: int
) -> None:
    if field == "pruned" and value == -1 and kind != "pruned":
        pytest.skip("that is how nothing left out is written")
    if (field, value) == ("maxn", 0) or (field, value, kind) == ("buckets", 2**31 - 1, "pruned"):
        pytest.skip("a sound setting")
    data = bytearray(models[kind])
    struct.pack_into("<q" if field == "pruned" else "<i", data, AT[field], value)
    path = tmp_path / "m.bin"
    path.write_bytes(data)
    with pytest.raises(ModelError) as error:
        check_model(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_byte_brings_the_process_down(models: dict[str, bytes], tmp_path: Path, kind: str) -> None:
    """Whatever passes the check is loaded and asked; it may give nonsense, never a crash."""
    code = """
import random, sys
from pathlib import Path
from winnow.classifiers.artifacts import ModelError, ModelFile
from winnow.classifiers.language_id import identifier
data, dice, passed = Path(sys.argv[1]).read_bytes(), random.Random(5), 0
for number in range(250):
    bad = bytearray(data)
    at = dice.randrange(100) if number < 100 else dice.randrange(len(bad))
    bad[at] ^= 1 << dice.randrange(8)
    path = Path(sys.argv[2])
    path.write_bytes(bad)
    try:
        identifier(ModelFile("m", path, str(number))).predict(["word1 word2 other", "\u00e9 cloud"])
        passed += 1
    except (ModelError, RuntimeError, ValueError):
        pass
print("passed", passed)
"""
    sound, flipped = tmp_path / "sound.bin", tmp_path / "flipped.bin"
    sound.write_bytes(models[kind])
    done = subprocess.run([sys.executable, "-c", code, str(sound), str(flipped)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r"passed [1-9]", done.stdout)


@pytest.mark.parametrize("kind", ["plain", "quantized", "pruned"])
def test_weights_that_are_no_numbers_are_refused(models: dict[str, bytes], tmp_path: Path, kind: str) -> None:
    whole = models[kind]
    path = tmp_path / "nan.ftz"
    path.write_bytes(whole[:-4] + struct.pack("<f", float("nan")))
    with pytest.raises(ModelError, match=r"damaged fastText model: a matrix has values that are no numbers"):
        check_model(path)


def test_a_scorer_and_a_run_say_so_too(models: dict[str, bytes], tmp_path: Path) -> None:
    data = bytearray(resolve("ko-quality").path.read_bytes())
    struct.pack_into("<i", data, AT["dim"], 2**31 - 1)
    path = tmp_path / "dim.ftz"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="its header has the dimension 2,147,483,647, expected 1 to"):
        load_scorer(path, "huge")
    (tmp_path / "a.jsonl").write_text('{"text": "a text"}\n', "utf-8")
    for stage in ("{use: langid, model: dim.ftz}", "{use: fasttext, model: dim.ftz, positive: a, keep: true}"):
        (tmp_path / "a.yaml").write_text(
            f"name: a\nlanguage: en\nsources: {{d: {{use: jsonl, paths: [{tmp_path}/a.jsonl]}}}}\nstages: {{s: {stage}}}\n",
            "utf-8",
        )
        command = [sys.executable, "-m", "winnow.pipelines.cli", "plan", "a.yaml"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
        assert "dim.ftz is a damaged fastText model: its header has the dimension" in done.stderr
