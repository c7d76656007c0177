"""torchrun, quietly: `python -m winnow.train_handoff.agent TORCHRUN-ARGUMENTS`.

The workers print their own errors; torchrun's summary with its traceback would bury that one sentence.
"""

from __future__ import annotations

import logging
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun


def main(arguments: list[str]) -> int:
    """Exit code: that of the first worker that failed, 128 + N where signal N ended it, or 0."""
    logging.disable(logging.ERROR)
    try:
        torchrun(arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        code = failure.exitcode
        if code < 0:
            print(f"error: training process {rank} was ended by {failure.signal_name()}", file=sys.stderr)
            return 128 - code
        if code != 2:
            print(f"error: training process {rank} failed with exit code {code}; see above", file=sys.stderr)
        return code
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
