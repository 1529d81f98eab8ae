"""What a stage took of Spark: its tasks, and the seconds that they held a core.

Belongs here: reading Spark's own account of the jobs of one stage. Does not: what is made of it (`compute.rates`),
progress while a stage runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from booksearch_assets.tables.counts import StageReport

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LISTENERS_MS = 10_000
CORE_SECONDS, TASKS_RUN = "core_seconds", "tasks_run"
"""The figures that `run_measured` adds to a report."""


@dataclass(frozen=True)
class TaskTimes:
    """`core_seconds` of all tasks; `tasks` of the Spark stage that took most of them."""

    core_seconds: float
    tasks: int


def run_measured(spark: SparkSession, run: Callable[[], Any]) -> Any:
    """What `run` returns; a `StageReport` comes with the figures CORE_SECONDS and TASKS_RUN."""
    context = spark.sparkContext
    group = secrets.token_hex(8)
    context.setJobGroup(group, "a stage of booksearch_assets")
    try:
        report = run()
        times = task_times(spark, group)
    finally:
        for name in ("spark.jobGroup.id", "spark.job.description"):
            context.setLocalProperty(name, None)  # type: ignore[arg-type]
    if not isinstance(report, StageReport):
        return report
    measured = {CORE_SECONDS: round(times.core_seconds, 3), TASKS_RUN: times.tasks}
    return replace(report, figures=report.figures | measured)


def task_times(spark: SparkSession, group: str) -> TaskTimes:
    """What the jobs of a group have taken so far."""
    jvm: Any = spark.sparkContext._jsc.sc()
    # The account is written by a thread of its own, which may lag behind the end of a job.
    jvm.listenerBus().waitUntilEmpty(_LISTENERS_MS)
    tracker, store = spark.sparkContext.statusTracker(), jvm.statusStore()
    jobs = (tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group))
    wanted = {stage for job in jobs if job for stage in job.stageIds}
    stages = (_stage(store, stage) for stage in wanted)
    times = [(stage.executorRunTime() / 1000, stage.numCompleteTasks()) for stage in stages if stage]
    return TaskTimes(sum(seconds for seconds, _ in times), max(times, default=(0.0, 0))[1])


def _stage(store: Any, stage: int) -> Any:
    """What Spark kept of a stage. None where it kept nothing: it remembers the last thousand of a session."""
    from py4j.protocol import Py4JJavaError

    try:
        return store.lastStageAttempt(stage)
    except Py4JJavaError as error:
        if error.java_exception.getClass().getSimpleName() != "NoSuchElementException":
            raise
        return None
