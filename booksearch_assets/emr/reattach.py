"""Finding the job of a step again, when the process that started it has gone.

A job's name says whose it is: the run, the step, the retry, and a digest of what it does and where it writes. A run
that is launched again after its process was killed has a new id, and names the run that all of its attempts go back to.

Belongs here: names, and which of the jobs that are there is this step's. Does not: listing them (`submit`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from booksearch_assets.emr.job import Job, digest
from booksearch_assets.emr.submit import ENDED, JobRuns

# The clocks of this machine and of AWS may differ, and a job is not older than the first run that may have started it.
_CLOCK_DIFFERENCE = timedelta(hours=1)
_ROOT_TAG = "dagster/root_run_id"
_MOST_ATTEMPTS = 20


@dataclass(frozen=True)
class Step:
    """One attempt at a step: `runs` are its run, first, and the others that are attempts at the same."""

    runs: Sequence[str]
    key: str
    retry_number: int
    since: datetime

    @classmethod
    def of(cls, context: dg.AssetExecutionContext) -> Step:
        root = context.run.get_root_run_id() or context.run_id
        attempts = context.instance.get_runs(dg.RunsFilter(tags={_ROOT_TAG: root}), limit=_MOST_ATTEMPTS)
        runs = list(dict.fromkeys([context.run_id, *(run.run_id for run in attempts), root]))
        record = context.instance.get_run_record_by_id(root)
        created = record.create_timestamp if record else datetime.now(UTC)
        key = context.get_step_execution_context().step.key
        return cls(runs, key, context.retry_number, created - _CLOCK_DIFFERENCE)

    def job_name(self, job: Job) -> str:
        """What this attempt calls a job: the same whenever it asks for the same work."""
        return f"{_prefix(self.runs[0], self.key, job)}{self.retry_number}-{job.digest}"


@dataclass(frozen=True)
class LeftBehind:
    """What earlier processes of a step left in EMR Serverless.

    `job_run_id` and `name` are of the job that does, or did, this very work, if any; `superseded` run, and do other
    work, or the same to another place: nobody will read it.
    """

    job_run_id: str | None
    name: str
    superseded: Sequence[str]


def left_behind(jobs: JobRuns, step: Step, job: Job, has_report: Callable[[str], bool]) -> LeftBehind:
    """The jobs of a step that are there already. `has_report` says it of a job that ended well, by its name.

    The job of this very attempt counts whatever became of it, since its token would bring nothing else. Of those of
    earlier attempts, one that failed, or ended without a report, is what this attempt is to make good.
    """
    own = step.job_name(job)
    prefixes = tuple(_prefix(run_id, step.key, job) for run_id in step.runs)
    found: dict[str, str] = {}
    superseded = []
    for summary in jobs.since(step.since):
        name, state = summary.get("name") or "", summary["state"]
        if not name.startswith(prefixes):
            continue
        same = name.endswith(f"-{job.digest}") and state not in ("FAILED", "CANCELLED", "CANCELLING")
        if name == own or (same and (state not in ENDED or has_report(name))):
            found.setdefault(name, summary["id"])
        elif state not in ENDED:
            superseded.append(summary["id"])
    name = own if own in found else next(iter(found), own)
    return LeftBehind(found.get(name), name, superseded)


def _prefix(run_id: str, step_key: str, job: Job) -> str:
    return f"booksearch-{job.stage}-{digest(json.dumps([run_id, step_key]))}-r"
