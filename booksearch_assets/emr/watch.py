"""From the start of a job to its end: looking at it, and what becomes of it when nobody looks any more.

Belongs here: polling, states, cancelling and leaving. Does not: what a job says (`messages`), what its end means
(`outcome`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from booksearch_assets.emr.calls import Patience
from booksearch_assets.emr.errors import EmrError
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


@contextmanager
def in_charge_of(
    jobs: JobRuns, find: Callable[[], str | None], context: dg.AssetExecutionContext
) -> Iterator[None]:
    """Within it, a job is looked after; it is not left to run and cost by accident.

    A signal means that this process shall end, or that the run is cancelled; Dagster marks a run as CANCELING before
    it sends one for that. Only then is the job cancelled: after a redeployment, the next attempt finds it. Any fault
    of this process cancels it. `find` gives its id, or None where there is none.
    """
    try:
        yield
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt) as interrupt:
        if is_canceling(context):
            context.log.warning("the run is cancelled, and its job with it")
            _cancel(jobs, find, context, interrupt)
        else:
            context.log.warning(
                f"this process shall end: the job of this step in application {jobs.application_id} is left to itself. "
                "A new attempt at this run finds it; else it ends at its time limit, or when it is cancelled in EMR."
            )
        raise
    except BaseException as error:
        _cancel(jobs, find, context, error)
        raise


def is_canceling(context: dg.AssetExecutionContext) -> bool:
    run = context.instance.get_run_by_id(context.run_id)
    return run is not None and run.status is dg.DagsterRunStatus.CANCELING


def _cancel(
    jobs: JobRuns, find: Callable[[], str | None], context: dg.AssetExecutionContext, cause: BaseException
) -> None:
    """Cancel the job, where there is one, for a cause that is not to be hidden when even that fails."""
    try:
        job_run_id = find()
        if job_run_id:
            jobs.cancel(job_run_id)
            context.log.warning(f"asked for the end of job {job_run_id}")
    except EmrError as refusal:
        warning = (
            f"A job of this step may still run and cost in application {jobs.application_id}, since it could not be "
            f"cancelled ({refusal}); look for it in EMR."
        )
        context.log.error(warning)
        cause.add_note(warning)
