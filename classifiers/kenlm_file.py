"""Looks through a KenLM model file before KenLM loads it: an ARPA file (plain, gzip, bzip2 or xz) or a binary of `build_binary`.

KenLM maps a binary into memory and trusts what it finds there: offsets of a damaged one lead outside the file and end the
process. So its header must agree with its size, and a process of its own loads it first and scores the file's own words. Of
ARPA files KenLM checks every line itself, but takes NaN for a probability, and as much memory as the head claims: their
counts must agree with their lines.

The layouts are those of `lm/binary_format.cc` and `lm/read_arpa.cc` of KenLM.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import mmap
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, cast

from winnow.classifiers.artifacts import ModelError

MAGIC = b"mmap lm http://kheafield.com/code format version 5\n\0"
_UNFINISHED = b"mmap lm http://kheafield.com/code incomplete"
_ANY_BINARY = b"mmap lm "
_FIXED = 88  # the order, after the magic and the test values
MIN_ORDER, MAX_ORDER = 2, 6
"""KenLM loads no model of unigrams; KENLM_MAX_ORDER of the package's wheels."""
_KINDS = 6
_PROBED = 200_000
"""Words of a binary that are scored in a process of its own."""
PATIENCE, SPEED = 120, 10_000_000
"""Seconds until a model that does not answer counts as damaged, and bytes a second that it may take longer to read."""

_COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)\s*$")
_SECTION = re.compile(rb"(?m)^\\([^\n]*?)[ \t\r]*$")
_CAUSE = re.compile(r"threw \w+(?: because `.*?')?\.\s*(.+?)\)?$", re.DOTALL)
_NO_NUMBER = re.compile(rb"(?mi)^(?:[^\t\n]*\t[^\t\n]+\t)?[-+]?(?:nan|inf).*$")

_PROBE = """
import sys
import kenlm
path, start, many = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
config = kenlm.Config()
config.show_progress = False
try:
    model = kenlm.Model(path, config)
except (OSError, RuntimeError, MemoryError) as error:
    sys.exit(str(error))
with open(path, "rb") as file:
    file.seek(start)
    words = file.read().split(b"\\0")[:-1] if start else []
step = max(1, len(words) // many)
words = words[1::step]
for text in (b"", b" ".join(words), b" ".join(reversed(words)), b" ".join(words[::2] + words[1::2])):
    value = model.score(text)
    if value != value or value in (float("inf"), float("-inf")):
        sys.exit("it gives no finite probability")
"""


@lru_cache(maxsize=64)
def check_once(path: Path, digest: str, probe: bool = True) -> None:
    """`check_model`, once per process for the same content."""
    check_model(path, probe)


def check_model(path: Path, probe: bool = True) -> None:
    """Raises ModelError, one sentence, unless KenLM can be given this file. `probe`: a binary is tried out in a process of its
    own."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
        if not head:
            raise ModelError(f"{path} is empty: expected an ARPA file or a KenLM binary")
        if head == MAGIC:
            _check_binary(path, probe)
        elif head.startswith(_UNFINISHED):
            raise ModelError(f"{path} is a KenLM binary that was never finished: build it again")
        elif head.startswith(_ANY_BINARY):
            said = head[len(_ANY_BINARY) :].split(b"\n")[0].decode("ascii", "replace")
            raise ModelError(f"{path} is a KenLM binary of another format ({said}): expected version 5")
        else:
            _check_arpa(path, head)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from error


def cause_of(said: str) -> str:
    """What KenLM says is wrong, without where in its code it says so."""
    found = _CAUSE.search(said.strip())
    return " ".join((found[1] if found else said).split())[:300] or "no cause given"


def _opened(path: Path, head: bytes) -> IO[bytes]:
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(path))
    if head.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.open(path))
    if head.startswith(b"\xfd7zXZ"):
        return cast("IO[bytes]", lzma.open(path))
    return path.open("rb")


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Whole lines, about a megabyte at a time."""
    while block := file.read(1 << 20):
        yield block + file.readline()


def _check_arpa(path: Path, head: bytes) -> None:
    counts: list[int] = []
    seen: list[int] = []
    ended = False
    try:
        with _opened(path, head) as file:
            first = next((line for line in file if line.strip()), b"").strip()
            if first != b"\\data\\":
                raise ModelError(
                    f"{path} is no KenLM model: expected \\data\\ or KenLM's magic bytes at its beginning, "
                    f"got {first[:40].decode('utf-8', 'replace')!r}"
                )
            for line in file:
                if not line.strip():
                    continue
                if line.startswith(b"\\"):
                    break
                found = _COUNT.match(line)
                if found is None or int(found[1]) != len(counts) + 1:
                    raise ModelError(
                        f"{path}: its head has {line.strip()[:40].decode('utf-8', 'replace')!r}: "
                        f"expected ngram {len(counts) + 1}=COUNT"
                    )
                counts.append(int(found[2]))
            else:
                line = b""
            _check_counts(path, counts)
            pending = line
            for block in _blocks(file):
                ended = _count(path, pending + block, seen, len(counts)) or ended
                pending = b""
            if pending:
                ended = _count(path, pending, seen, len(counts))
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ModelError(f"{path} is cut off or damaged: {error}") from error
    for order, (said, there) in enumerate(zip(counts, [*seen, *[0] * len(counts)], strict=False), 1):
        if said != there:
            raise ModelError(f"{path} is cut off or damaged: its head says {said:,} {order}-grams, it has {there:,}")
    if not ended:
        raise ModelError(f"{path} is cut off: it does not end in \\end\\")


def _count(path: Path, block: bytes, seen: list[int], orders: int) -> bool:
    """Adds the lines of each section to `seen`; whether the end was among them."""
    if (b"nan" in block.lower() or b"inf" in block.lower()) and (found := _NO_NUMBER.search(block)):
        raise ModelError(f"{path}: {found[0].strip().decode()} is no probability: expected finite numbers")
    at, ended = 0, False
    for found in [*_SECTION.finditer(block), None]:
        stop = found.start() if found else len(block)
        if seen and stop > at:
            part = block[at:stop]
            seen[-1] += sum(1 for line in part.split(b"\n") if line.strip()) if b"\n\n" in part else _lines(part)
        if found is None:
            break
        if found[1] == b"end\\":
            ended = True
            break
        expected = f"{len(seen) + 1}-grams:" if len(seen) < orders else "end\\"
        if found[1] != expected.encode():
            got = found[1][:30].decode("utf-8", "replace")
            raise ModelError(f"{path}: section \\{got} is out of place: expected \\{expected}")
        seen.append(0)
        at = found.end() + 1
    return ended


def _lines(part: bytes) -> int:
    stripped = part.strip(b"\r\n")
    return stripped.count(b"\n") + 1 if stripped else 0


def _check_counts(path: Path, counts: list[int]) -> None:
    if not MIN_ORDER <= len(counts) <= MAX_ORDER:
        raise ModelError(f"{path} is of order {len(counts)}: expected {MIN_ORDER} to {MAX_ORDER}")
    if counts[0] <= 3:
        raise ModelError(f"{path} is an empty model: it has no unit besides <unk>, <s> and </s>")


def _check_binary(path: Path, probe: bool) -> None:
    size = path.stat().st_size
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            order, multiplier, kind, has_words, _ = struct.unpack_from("<B3xfI?3xI", content, _FIXED)
            counts = list(struct.unpack_from(f"<{order}Q", content, _FIXED + 20))
        except struct.error as error:
            raise ModelError(f"{path} is cut off: it ends in the head, after {size:,} bytes") from error
        _check_counts(path, counts)
        if kind >= _KINDS or not 1.0 <= multiplier <= 1000.0:
            raise ModelError(f"{path} is damaged: its head says type {kind} and probing multiplier {multiplier:g}")
        if sum(counts) > size:
            raise ModelError(f"{path} is cut off: its head says {sum(counts):,} n-grams, it has {size:,} bytes")
        start = content.rfind(b"<unk>\0") if has_words else 0
        if has_words and (start < 0 or content[size - 1] != 0 or content[start:].count(b"\0") != counts[0]):
            raise ModelError(f"{path} is cut off: its words do not end where the file does")
    if not probe:
        return
    patience = PATIENCE + size / SPEED
    command = [sys.executable, "-c", _PROBE, str(path), str(start), str(_PROBED)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=patience)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{path} is damaged: KenLM did not score its words within {patience:.0f} s") from error
    if done.returncode < 0:
        raise ModelError(f"{path} is damaged: KenLM ended by signal {-done.returncode} when it scored the file's words")
    if done.returncode:
        raise ModelError(f"KenLM cannot load {path}: {cause_of(done.stderr)}")
