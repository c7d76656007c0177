"""How a Ray of our own is started on this machine: by a run, and by the proxies of `winnow prove`."""

from __future__ import annotations

import os
from typing import Any

STARTS = 4
"""How often it is started, where it was not ready in time on a busy machine."""

ENVIRONMENT = {
    # Ray 2.60 asks for a token by default; a cluster of one process tree on this machine has none.
    "RAY_AUTH_MODE": "disabled",
    # By its pipe, an agent would print the raylet's log here at once where that was killed: before we notice.
    "RAY_enable_pipe_based_agent_to_parent_health_check": "0",
    # By default its workers are the last to get a CPU: beside two busy programs a run would nearly stand still.
    "RAY_worker_niceness": "0",
    # By default a task whose worker Ray ends because memory runs short is started again without end.
    "RAY_task_oom_retries": "3",
}

QUIET = {"logging_level": "ERROR", "log_to_driver": False}
"""Options of `ray.init` wherever Ray is."""


def own_ray_options(workers: int | None = None) -> dict[str, Any]:
    """Options of `ray.init` for a Ray with so many CPUs (None: as many as there are); sets what its processes inherit, but for
    what a person has set."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    here = {"address": "local", "num_cpus": workers, "include_dashboard": False, "object_store_memory": 256 * 2**20}
    return {**QUIET, **here}
