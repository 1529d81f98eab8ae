"""What the end of a job means: a report, or an error that says what happened and what the driver said last.

Belongs here: that judgement, and the figures of a job. Does not: waiting for the end (`watch`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from booksearch_assets.emr.account import Price, Usage, cost_figures
from booksearch_assets.emr.errors import (
    EmrError,
    JobCancelled,
    JobFailed,
    JobReportedNothing,
    is_permanent_failure,
)
from booksearch_assets.emr.messages import JobMessages
from booksearch_assets.tables.counts import StageReport


def conclude(
    job_run: dict[str, Any], messages: JobMessages, figures: dict[str, Any], log_tail: Callable[[], str]
) -> StageReport:
    """The report of a job that ended well. Raises `JobFailed`, `JobCancelled`, `JobReportedNothing`.

    SUCCESS alone is not enough: a driver that the system killed for its memory has been seen to end as SUCCESS.
    """
    state = job_run["state"]
    if state == "SUCCESS" and messages.report is not None:
        return messages.report
    text = f"job {job_run['jobRunId']} ({job_run.get('name')}) ended as {state}"
    details = job_run.get("stateDetails") or ""
    if state == "SUCCESS":
        text += (
            f", and sent no report of its stage. Its rows are not to be trusted. {messages.no_messages_debug_text()} "
            "Look at the driver's log; more driver_memory helps where it was killed."
        )
    if details:
        text += f": {details}"
    if messages.exception_text:
        text += f"\nThe stage raised {messages.exception_text}"
    if messages.fault:
        text += f"\nIts messages could not be read: {messages.fault}"
    text += f"\n{log_tail()}"
    raise _error(state, text, figures, messages.exception, details)


def _error(state: str, text: str, figures: dict[str, Any], exception: str, details: str) -> EmrError:
    if state == "SUCCESS":
        return JobReportedNothing(text, figures)
    if state == "CANCELLED":
        return JobCancelled(text, figures)
    return JobFailed(text, figures, permanent=is_permanent_failure(exception, details))


def seconds_of(job_run: dict[str, Any]) -> float:
    """From the submission of a job to its end; 0 where the service does not say."""
    queued = (job_run.get("queuedDurationMilliseconds") or 0) / 1000
    ran = float(job_run.get("totalExecutionDurationSeconds") or 0)
    return queued + ran if ran else 0.0


def job_figures(
    job_run: dict[str, Any], usage: Usage, source: str, price: Price | None, stage: str, rows_out: int
) -> dict[str, Any]:
    """Which job it was, how long it waited and ran (seconds), what it used and cost. `source` says who counted usage."""
    return {
        "emr_application_id": job_run["applicationId"],
        "emr_job_run_id": job_run["jobRunId"],
        "emr_queued_seconds": round((job_run.get("queuedDurationMilliseconds") or 0) / 1000, 1),
        "emr_job_seconds": job_run.get("totalExecutionDurationSeconds") or 0,
        "usage": source,
        **cost_figures(usage, price, stage, rows_out),
    }
