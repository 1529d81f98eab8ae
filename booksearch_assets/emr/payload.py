"""The entry point of a job: runs one stage on the driver and says how it goes, through Pipes messages in S3.

Belongs here: what only the driver can do. It imports no Dagster but `dagster_pipes`; beside the standard library it
needs boto3 and the stages' own packages.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from dagster_pipes import (
    DAGSTER_PIPES_CONTEXT_ENV_VAR,
    PipesContext,
    PipesS3ContextLoader,
    PipesS3MessageWriter,
    open_dagster_pipes,
)

from booksearch_assets.compute.task_times import run_measured
from booksearch_assets.emr.account import Usage, counted_by
from booksearch_assets.emr.job import Job
from booksearch_assets.emr.progress import watching
from booksearch_assets.tables.counts import StageReport

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SAYS_EVERY_SECONDS = 2.0
# The writer gives up for good at its first error, and every later message would be lost.
_S3_CONFIG = Config(retries={"mode": "adaptive", "total_max_attempts": 12})


def main(stages: str = "booksearch_assets.compute", open_session: Callable[[], Any] | None = None) -> None:
    """Run the job that the environment points to; the stage is a module of the package `stages`.

    Raises `RuntimeError` where the environment points to none: Pipes itself would run on with a dummy, and end well.
    """
    if not os.environ.get(DAGSTER_PIPES_CONTEXT_ENV_VAR):
        raise RuntimeError(
            f"{DAGSTER_PIPES_CONTEXT_ENV_VAR} is not set: this runs as a job that booksearch_assets submitted, not by hand"
        )
    s3 = boto3.client("s3", config=_S3_CONFIG)
    writer = PipesS3MessageWriter(s3, interval=_SAYS_EVERY_SECONDS)  # type: ignore[arg-type]
    with open_dagster_pipes(context_loader=PipesS3ContextLoader(s3), message_writer=writer) as pipes:
        job = Job.from_json(dict(pipes.extras))
        report = run_stage(pipes, job, stages, open_session or spark_session)
        pipes.report_custom_message({"report": report.to_json()})


def run_stage(pipes: PipesContext, job: Job, stages: str, open_session: Callable[[], Any]) -> StageReport:
    """Run the stage of a job. Raises `TypeError` where it returns no `StageReport`, and whatever stops it."""
    started = time.monotonic()
    module = import_module(f"{stages}.{job.stage}")
    params = job.load_params(module)
    pipes.log.info("%s: starting%s", job.stage, f" for {', '.join(job.partitions)}" if job.partitions else "")
    session = open_session()
    watched = watching(
        session,
        getattr(params, "rows", None),
        counted_by(job.stage),
        lambda line: pipes.log.info("%s: %s", job.stage, line),
        lambda usage: say_usage(pipes, usage),
    )
    try:
        with watched if session is not None else nullcontext():
            report = (
                module.run(session, params)
                if session is None
                else run_measured(session, lambda: module.run(session, params))
            )
    finally:
        if session is not None:
            session.stop()
    if not isinstance(report, StageReport):
        raise TypeError(f"stage {job.stage} returned {type(report).__name__}, expected a StageReport")
    pipes.log.info("%s: done in %.0f s", job.stage, time.monotonic() - started)
    return report


def say_usage(pipes: PipesContext, usage: Usage) -> None:
    """Tell the step what the job has used so far, which the service says only when it has ended."""
    pipes.report_custom_message({"usage": usage.to_json()})


def spark_session() -> SparkSession:
    """The session whose settings came with the job."""
    from pyspark.sql import SparkSession

    return SparkSession.builder.appName("booksearch_assets").getOrCreate()


if __name__ == "__main__":
    main()
