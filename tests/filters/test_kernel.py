"""Kernels: what they are compiled for, when, and that no machine code outlives what is frozen into it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LIMITS = "LIMIT = {limit}\n"
KERNEL = """
from __future__ import annotations
from typing import Annotated, NamedTuple, TypeAlias
import numpy as np
import numpy.typing as npt
from limits import LIMIT
from winnow.filters.kernel import Ints, inline, kernel

class Pair(NamedTuple):
    a: Ints
    b: Ints

Rows: TypeAlias = Annotated[npt.NDArray[np.void], np.dtype([("total", np.float64), ("over", np.float64)])]

@inline
def over(value):
    return value > LIMIT

@kernel
def fill(pair: Pair, out: Rows) -> None:
    for row in range(len(out)):
        out[row].over = over(pair.b[row])
        out[row].total = pair.a[row] + pair.b[row]
"""
USE = """
import sys
import numpy as np
import sums
assert "numba" not in sys.modules
out = np.zeros(2, [("total", np.float64), ("over", np.float64)])
sums.fill(sums.Pair(np.array([1, 2]), np.array([5, 10])), out)
print(out["total"].tolist(), out["over"].tolist(), sum(sums.fill.compiled.stats.cache_hits.values()), sums.over(11))
try:
    sums.fill(sums.Pair(np.array([1, 2]), np.array([5, 10])), np.zeros(2, [("over", np.float64), ("total", np.float64)]))
except TypeError:
    print("other records are refused")
"""


def run(folder: Path) -> list[str]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, "-c", USE], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_kernel_is_kept_on_disk_until_anything_that_is_frozen_into_it_changes(tmp_path: Path) -> None:
    (tmp_path / "limits.py").write_text(LIMITS.format(limit=7), "utf-8")
    (tmp_path / "sums.py").write_text(KERNEL, "utf-8")
    said = "[6.0, 12.0] [0.0, 1.0] {hits} True"
    assert run(tmp_path) == [said.format(hits=0), "other records are refused"]
    assert run(tmp_path)[0] == said.format(hits=1)
    (tmp_path / "limits.py").write_text(
        LIMITS.format(limit="1 + 2"), "utf-8"
    )  # another size: Python looks at that, too
    assert run(tmp_path)[0] == "[6.0, 12.0] [1.0, 1.0] 0 True"
