"""From the start of a job to its end: looking at it.

Belongs here: polling, states. Does not: what a job says (`messages`), what its end means (`outcome`), what becomes of
it when nobody looks any more (`resources.remote_jobs`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from booksearch_assets.aws.calls import Patience
from booksearch_assets.emr.submit import ENDED, JobRuns


def watch(
    jobs: JobRuns,
    job_run_id: str,
    look: Callable[[dict[str, Any]], None],
    every: float,
    outage: Patience,
) -> dict[str, Any]:
    """Look at a job until it has ended. Returns it as it ended.

    `look` is called with each answer, about every `every` seconds. `outage` says how long the service may give no
    answer; it should outlast the job's own time limit, for then a job that nobody can see has ended by itself.
    """
    while True:
        job_run = jobs.get(job_run_id, outage)
        look(job_run)
        if job_run["state"] in ENDED:
            return job_run
        time.sleep(every * random.uniform(0.8, 1.2))
