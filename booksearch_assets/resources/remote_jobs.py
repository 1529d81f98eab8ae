"""What all launchers share whose work is a job elsewhere: who ends it, and how its errors become Dagster's.

Belongs here: Dagster's side of any such job. Does not: the job (`emr`, `sagemaker.batch_transform`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg

from booksearch_assets.aws.calls import ServiceError


@contextmanager
def in_charge_of(
    end: Callable[[], str | None], place: str, context: dg.AssetExecutionContext
) -> Iterator[None]:
    """Within it, a job is looked after; it is not left to run and cost by accident.

    A signal means that this process shall end, or that the run is cancelled; Dagster marks a run as CANCELING before
    it sends one for that. Only then is the job ended: after a redeployment, the next attempt finds it. Any fault of
    this process ends it. `end` asks for its end and gives its name, or None where there is no job; `place` is where
    to look for it.
    """
    try:
        yield
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt) as interrupt:
        if is_canceling(context):
            context.log.warning("the run is cancelled, and its job with it")
            _end(end, place, context, interrupt)
        else:
            context.log.warning(
                f"this process shall end: the job of this step in {place} is left to itself. A new attempt at this run "
                "finds it; else it ends when its work is done, at its time limit, or when it is ended there."
            )
        raise
    except BaseException as error:
        _end(end, place, context, error)
        raise


def is_canceling(context: dg.AssetExecutionContext) -> bool:
    run = context.instance.get_run_by_id(context.run_id)
    return run is not None and run.status is dg.DagsterRunStatus.CANCELING


def failure_of(error: ServiceError) -> dg.Failure:
    """What Dagster is told of an error: all that it says, and whether trying again can help."""
    description = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
    return dg.Failure(description, metadata=error.figures, allow_retries=not error.permanent)


def _end(
    end: Callable[[], str | None], place: str, context: dg.AssetExecutionContext, cause: BaseException
) -> None:
    """End the job, where there is one, for a cause that is not to be hidden when even that fails."""
    try:
        name = end()
        if name:
            context.log.warning(f"asked for the end of job {name}")
    except ServiceError as refusal:
        warning = (
            f"A job of this step may still run and cost in {place}, since it could not be ended ({refusal}); look for "
            "it there."
        )
        context.log.error(warning)
        cause.add_note(warning)
