"""What a job runs on the cluster: the declaration, then its duplicate index. Both continue where an earlier attempt
stopped, and do nothing where it finished."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Sequence

from winnow.pipelines.engine.errors import RunError


def carry_out(arguments: Sequence[str] | None = None) -> None:
    """Run, then remember. Raises what a run raises."""
    from rich.console import Console

    from winnow.pipelines.api import run
    from winnow.pipelines.results import inspect

    chosen = _parser().parse_args(arguments)
    if chosen.only_on not in (None, socket.gethostname()):
        raise RunError(
            f"{chosen.folder}: is on machine '{chosen.only_on}', and this job runs on '{socket.gethostname()}'; expected a "
            "storage URL as --folder, or --shared where every machine sees it"
        )
    console = Console(width=160)
    done = run(chosen.declaration, folder=chosen.folder, strict=chosen.strict)
    if done.did_nothing:
        console.print("nothing to do: everything is there already")
    inspect.funnel(done, console)
    if chosen.remember:
        from winnow.pipelines.results.dedup_index import write_index

        write_index(done, chosen.remember)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("winnow job", description="The command of a job that winnow submits.")
    parser.add_argument("declaration", help="The resolved declaration.")
    parser.add_argument("--folder", required=True, help="Where the run lives.")
    parser.add_argument("--remember", help="Where the run's duplicate index goes.")
    parser.add_argument("--strict", action="store_true", help="As with `winnow run`.")
    parser.add_argument("--only-on", help="Name of the only machine that the folder is on.")
    return parser


if __name__ == "__main__":
    from winnow.pipelines.process import guarded

    guarded(carry_out)
