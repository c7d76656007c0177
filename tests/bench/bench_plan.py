"""The plan of 100,000 partitions: seconds, and the bytes that a task of it carries.

    python tests/bench/bench_plan.py [--partitions 100000] [--recipe pipelines/ko.yaml]

The inputs are files without content, of a size that gives each a partition of its own. Planning is timed in this process
after all imports, once, by the wall and by the processor, then as a command of its own; the bytes are those of the pickled table, which is sent to a
machine once, and of one task's own partition.
"""

from __future__ import annotations

import argparse
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from winnow.pipelines.engine.declaration import load_pipeline
from winnow.pipelines.engine.inputs import SMALL_FILE
from winnow.pipelines.engine.plan import Plan, pending
from winnow.pipelines.engine.planning import plan_run
from winnow.pipelines.engine.store import Store

ROOT = Path(__file__).resolve().parents[2]


def setting(inputs: Path) -> str:
    """The inputs, as an override."""
    return f'sources.crawl.paths=["{inputs}/*.warc.gz"]'


def planned(recipe: Path, inputs: Path, folder: Path) -> tuple[Plan, float, float]:
    """The plan, and the seconds of wall and processor that it took."""
    pipeline = load_pipeline(recipe, [setting(inputs)])
    wall, cpu = time.perf_counter(), time.process_time()
    plan, _ = plan_run(pipeline, Store(str(folder)))
    pending(plan)
    return plan, time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--partitions", type=int, default=100_000)
    parser.add_argument("--recipe", type=Path, default=ROOT / "pipelines" / "ko.yaml")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        inputs = Path(scratch, "in")
        inputs.mkdir()
        for number in range(given.partitions):
            with (inputs / f"{number:07d}.warc.gz").open("wb") as file:
                file.truncate(SMALL_FILE)  # sparse: it takes no room
        one = Path(scratch, "one")
        one.mkdir()
        (inputs / "0000000.warc.gz").rename(one / "0.warc.gz")
        planned(given.recipe, one, Path(scratch, "warm"))
        (one / "0.warc.gz").rename(inputs / "0000000.warc.gz")
        plan, wall, cpu = planned(given.recipe, inputs, Path(scratch, "run"))
        words = ["plan", str(given.recipe), "--folder", f"{scratch}/shown", "--set", setting(inputs)]
        command = [sys.executable, "-m", "winnow.pipelines.cli", *words]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    table, mine = len(pickle.dumps(plan.table)), len(pickle.dumps(plan.partitions[-1]))
    print(f"{len(plan.partitions):,} partitions planned in {wall:.1f} s, {cpu:.1f} s of the processor")
    print(f"`winnow plan` as a whole: {used.ru_utime + used.ru_stime:.1f} s of the processor")
    print(f"a task carries {mine:,} bytes of its own and a reference to a table of {table / 1000:.0f} kB")


if __name__ == "__main__":
    main()
