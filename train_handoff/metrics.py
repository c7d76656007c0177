"""What a run reports: one JSON line per step in metrics.jsonl, and a line for people every few steps."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

METRICS = "metrics.jsonl"

PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "B200": 2250e12}
"""Dense bf16 FLOP/s by the accelerator's marketing name (vendor data sheets)."""


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """One step. `step` counts finished steps; `tokens` is the run's total so far; `loss` is in nats per valid token;
    `seconds` and `loader_seconds` are of this step or, where steps are logged together, their mean; `mfu` is the share of
    the accelerators' dense bf16 peak, None where that is unknown."""

    step: int
    phase: str
    epoch: int
    loss: float
    lr: float
    grad_norm: float
    tokens: int
    seconds: float
    tokens_per_second: float
    loader_seconds: float
    mfu: float | None


def peak_flops(device_name: str) -> float | None:
    """Dense bf16 FLOP/s of a GPU by its name, None where unknown. The PCIe and NVL cards of a name reach less."""
    return next((flops for name, flops in PEAK_FLOPS.items() if name in device_name), None)


class MetricsLog:
    """Appends to metrics.jsonl and prints. Opening one drops the steps after `step`, and a line cut off by a kill, so
    that a resumed run's file has every step once."""

    def __init__(self, out: Path, step: int, steps: int, console: Console) -> None:
        self._path, self._steps, self._console = out / METRICS, steps, console
        kept = [line for line in _whole_lines(self._path) if json.loads(line)["step"] <= step]
        temporary = self._path.with_suffix(".partial")
        temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        temporary.replace(self._path)
        self._file = self._path.open("a", encoding="utf-8")

    def write(self, rows: list[StepMetrics]) -> None:
        """Appends `rows` and prints the last of them."""
        self._file.write("".join(json.dumps(asdict(row)) + "\n" for row in rows))
        self._file.flush()
        if rows:
            self._console.print(self._line(rows[-1]), soft_wrap=True)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _line(self, row: StepMetrics) -> str:
        mfu = "" if row.mfu is None else f"  mfu {row.mfu:.1%}"
        return (
            f"step {row.step}/{self._steps}  phase {row.phase}  loss {row.loss:.4f}  lr {row.lr:.2e}  "
            f"grad {row.grad_norm:.3f}  {row.tokens_per_second:,.0f} tok/s{mfu}"
        )


def _whole_lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1].splitlines()
