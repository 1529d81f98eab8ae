"""What is asked of EMR Serverless for one job, and the four calls that this package makes.

Belongs here: the request, and the application's jobs as an object. Does not: what a job does (`job`), how long to ask
(`calls`). The dashboard of a job is never asked for: its address opens it to whoever reads the log.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from booksearch_assets.aws.calls import Patience, RequestRefused

# A job in any other state goes on, CANCELLING and states that are yet to be invented among them.
ENDED = frozenset({"SUCCESS", "FAILED", "CANCELLED"})
_GRACE_SECONDS = 60


@dataclass(frozen=True)
class Submission:
    """Everything that one job is started with. `spark` are Spark settings, `driver_environment` variables of the driver."""

    name: str
    application_id: str
    execution_role: str
    entry_point: str
    logs_uri: str
    timeout_minutes: int
    spark: Mapping[str, str]
    driver_environment: Mapping[str, str]
    tags: Mapping[str, str]

    def request(self) -> dict[str, Any]:
        """The arguments of `StartJobRun`, made anew for each job: nothing of the caller's is changed."""
        return {
            "name": self.name,
            "clientToken": client_token(self.name),
            "applicationId": self.application_id,
            "executionRoleArn": self.execution_role,
            "executionTimeoutMinutes": self.timeout_minutes,
            "jobDriver": {
                "sparkSubmit": {
                    "entryPoint": self.entry_point,
                    "sparkSubmitParameters": self.spark_submit_parameters(),
                }
            },
            "configurationOverrides": {
                "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": self.logs_uri}}
            },
            "tags": dict(self.tags),
        }

    def spark_submit_parameters(self) -> str:
        """`--conf` options; a setting with spaces is quoted as a shell would."""
        settings = dict(self.spark)
        for name, value in self.driver_environment.items():
            settings[f"spark.emr-serverless.driverEnv.{name}"] = value
        return " ".join(f"--conf {shlex.quote(f'{name}={value}')}" for name, value in settings.items())


def client_token(name: str) -> str:
    """The idempotency token of a job: a second request of the same name is answered with the first job."""
    return hashlib.sha256(name.encode()).hexdigest()


class JobRuns:
    """The job runs of one application. Every call may be repeated, and is while the service is out of breath."""

    def __init__(self, client: Any, application_id: str, patience: Patience) -> None:
        self._client, self.application_id, self._patience = client, application_id, patience

    def start(self, submission: Submission) -> str:
        """Start a job, or find the one that was started by the same request. Returns the id of the job run."""
        return str(self._patience.call(self._client.start_job_run, **submission.request())["jobRunId"])

    def get(self, job_run_id: str, patience: Patience | None = None) -> dict[str, Any]:
        """A job run, as `GetJobRun` describes it."""
        arguments = {"applicationId": self.application_id, "jobRunId": job_run_id}
        return dict((patience or self._patience).call(self._client.get_job_run, **arguments)["jobRun"])

    def since(self, moment: datetime) -> Iterator[dict[str, Any]]:
        """The job runs that were created after a moment, as `ListJobRuns` sums them up."""
        arguments: dict[str, Any] = {"applicationId": self.application_id, "createdAtAfter": moment}
        while True:
            page = self._patience.call(self._client.list_job_runs, **arguments)
            yield from page["jobRuns"]
            if not page.get("nextToken"):
                return
            arguments["nextToken"] = page["nextToken"]

    def cancel(self, job_run_id: str) -> None:
        """Ask for the end of a job; it ends some time later. A job that has ended already is left as it is."""
        arguments = {"applicationId": self.application_id, "jobRunId": job_run_id}
        try:
            self._patience.call(
                self._client.cancel_job_run, **arguments, shutdownGracePeriodInSeconds=_GRACE_SECONDS
            )
        except RequestRefused:
            if self.get(job_run_id)["state"] not in ENDED:
                raise
