"""An EMR Serverless on this machine: moto's, with a back-end whose jobs really run as subprocesses, and an S3.

Belongs here: what moto 5.2 leaves out (jobs that take time, idempotency tokens, states, usage, logs in S3 and, where a
job asks for them, in CloudWatch), and faults of the service on demand. Does not: how a job is started (`cluster`), S3 (`object_store`), what is expected of a job.
"""

from __future__ import annotations

import gzip
import itertools
import logging
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.core.exceptions import JsonRESTError
from moto.emrserverless.models import EMRServerlessBackend, JobRun
from moto.server import ThreadedMotoServer

from booksearch_assets_tests.emr.cluster import Driver, end_session, python_driver
from booksearch_assets_tests.emr.object_store import serving

REGION = "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/jobs"
BUCKET = "jobs"
LOG_GROUP = "/aws/emr-serverless"
USAGE = {"vCPUHour": 2.0, "memoryGBHour": 8.0, "storageGBHour": 1.0}
_REPOSITORY = Path(__file__).resolve().parents[2]
_ENDED = ("SUCCESS", "FAILED", "CANCELLED")
_DRIVER_ENVIRONMENT = "spark.emr-serverless.driverEnv."


@dataclass
class Faults:
    """What goes wrong with the service of one application, until it has gone wrong so many times."""

    throttled_looks: int = 0
    looks_before_billing: int = 0
    lost_replies: int = 0
    refuse_looks: bool = False
    slow_to_cancel: threading.Event | None = None
    calls: list[str] = field(default_factory=list)


class ServiceFault(JsonRESTError):
    def __init__(self, name: str, status: int) -> None:
        self.code = status
        super().__init__(name, f"{name} on demand")


class LocalServerless:
    """The service at `endpoint`, and S3 at `s3_endpoint`, whose buckets are folders in `objects`.

    Each job has a folder in `jobs`, and is billed for `USAGE`.
    """

    def __init__(self, endpoint: str, s3_endpoint: str, folder: Path) -> None:
        self.endpoint, self.s3_endpoint, self.jobs = endpoint, s3_endpoint, folder / "jobs"
        self.objects = folder / "objects"
        self.faults: dict[str, Faults] = {}
        self.drivers: dict[str, Driver] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.RLock()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.s3_endpoint,
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
        endpoint = self.s3_endpoint if service == "s3" else self.endpoint
        return boto3.client(service, region_name=REGION, endpoint_url=endpoint, **keys)

    def create_application(self, driver: Driver = python_driver) -> str:
        """A new application, whose jobs are started by `driver`."""
        # moto does not know emr-spark-8.0.0.
        answer = self.client("emr-serverless").create_application(
            name="tests", releaseLabel="emr-7.9.0", type="SPARK"
        )
        self.faults[answer["applicationId"]] = Faults()
        self.drivers[answer["applicationId"]] = driver
        return str(answer["applicationId"])

    def states(self, application_id: str) -> list[str]:
        """The states of the job runs of an application, in the order in which they were started."""
        jobs = self.client("emr-serverless").list_job_runs(applicationId=application_id)["jobRuns"]
        return [job["state"] for job in jobs]

    def cancel_in_console(self, application_id: str) -> None:
        """Cancel the only job of an application, as a person would."""
        client = self.client("emr-serverless")
        (job,) = client.list_job_runs(applicationId=application_id)["jobRuns"]
        client.cancel_job_run(applicationId=application_id, jobRunId=job["id"])

    def start(self, original: Callable[..., JobRun], backend: EMRServerlessBackend, **request: Any) -> JobRun:
        application_id = request["application_id"]
        faults = self.faults[application_id]
        faults.calls.append("start")
        with self._lock:
            for job in backend.job_runs.get(application_id, []):
                if job.client_token == request["client_token"]:
                    return job
            job = original(backend, **request)
            job.state = "SUBMITTED"
            job.created_at = job.updated_at = datetime.now(UTC).replace(tzinfo=None)
            threading.Thread(target=self._run, args=(job,), daemon=True).start()
        if faults.lost_replies:
            faults.lost_replies -= 1
            raise ServiceFault("InternalServerException", 500)
        return job

    def look(self, original: Callable[..., JobRun], backend: EMRServerlessBackend, **request: Any) -> JobRun:
        faults = self.faults[request["application_id"]]
        faults.calls.append("get")
        if faults.refuse_looks:
            raise ServiceFault("AccessDeniedException", 403)
        if faults.throttled_looks:
            faults.throttled_looks -= 1
            raise ServiceFault("ThrottlingException", 400)
        job = original(backend, **request)
        if job.state in _ENDED and not faults.looks_before_billing:
            job.billed_resource_utilization = dict(USAGE)
        elif job.state in _ENDED:
            faults.looks_before_billing -= 1
        return job

    def cancel(
        self, original: Callable[..., Any], backend: EMRServerlessBackend, **request: Any
    ) -> tuple[str, str]:
        application_id, job_run_id = request["application_id"], request["job_run_id"]
        self.faults[application_id].calls.append("cancel")
        with self._lock:
            (job,) = (j for j in backend.job_runs[application_id] if j.id == job_run_id)
            if job.state in _ENDED:
                raise ServiceFault("ValidationException", 400)
            job.state = "CANCELLING"
            process = self._processes.get(job.id)
        if process:
            process.terminate()
        return application_id, job_run_id

    def list(
        self, original: Callable[..., list[JobRun]], backend: EMRServerlessBackend, **request: Any
    ) -> list[JobRun]:
        # moto refuses to list the jobs of an application that has had none.
        application_id = request["application_id"]
        self.faults[application_id].calls.append("list")
        return original(backend, **request) if application_id in backend.job_runs else []

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._processes.values():
            if process.poll() is None:
                end_session(process.pid)

    def driver_of(self, job_run_id: str) -> int:
        """The process id of the driver of a job."""
        return self._processes[job_run_id].pid

    def _run(self, job: JobRun) -> None:
        folder = self.jobs / job.id
        folder.mkdir(parents=True)
        submit = job.job_driver["sparkSubmit"]
        (folder / "entry_point.py").write_bytes(
            (self.objects / submit["entryPoint"].removeprefix("s3://")).read_bytes()
        )
        parameters = submit["sparkSubmitParameters"]
        command, environment = self.drivers[job.application_id](
            folder, parameters, self._driver_environment(parameters)
        )
        with self._lock:
            if job.state == "SUBMITTED":
                job.state = "RUNNING"
                with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
                    self._processes[job.id] = subprocess.Popen(
                        command,
                        env=environment,
                        cwd=folder,
                        stdout=stdout,
                        stderr=stderr,
                        start_new_session=True,
                    )
        process = self._processes.get(job.id)
        status = process.wait() if process else 0
        if process:
            end_session(process.pid)
        self._upload_logs(job, folder)
        slow = self.faults[job.application_id].slow_to_cancel
        if job.state == "CANCELLING" and slow:
            slow.wait(60)
        with self._lock:
            if job.state == "CANCELLING":
                job.state = "CANCELLED"
            else:
                job.state = "SUCCESS" if status == 0 else "FAILED"
                job.state_details = None if status == 0 else f"the driver ended with status {status}"

    def _driver_environment(self, parameters: str) -> dict[str, str]:
        options = shlex.split(parameters)
        settings = dict(o.split("=", 1) for name, o in itertools.pairwise(options) if name == "--conf")
        driver = {
            name.removeprefix(_DRIVER_ENVIRONMENT): value
            for name, value in settings.items()
            if name.startswith(_DRIVER_ENVIRONMENT)
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
        return kept | {"PYTHONPATH": str(_REPOSITORY)} | self.environment | driver

    def _upload_logs(self, job: JobRun, logs: Path) -> None:
        monitoring = job.configuration_overrides["monitoringConfiguration"]
        if monitoring.get("cloudWatchLoggingConfiguration", {}).get("enabled"):
            self._log_to_cloudwatch(job, logs)
        bucket, _, prefix = (
            monitoring["s3MonitoringConfiguration"]["logUri"].removeprefix("s3://").partition("/")
        )
        folder = f"{prefix}/applications/{job.application_id}/jobs/{job.id}/SPARK_DRIVER"
        for stream in ("stdout", "stderr"):
            if (logs / stream).exists():
                body = gzip.compress((logs / stream).read_bytes())
                self.client("s3").put_object(Bucket=bucket, Key=f"{folder}/{stream}.gz", Body=body)

    def _log_to_cloudwatch(self, job: JobRun, logs: Path) -> None:
        """To the streams that the user guide names ("Logging for EMR Serverless with Amazon CloudWatch")."""
        client, group = self.client("logs"), {"logGroupName": LOG_GROUP}
        with suppress(client.exceptions.ResourceAlreadyExistsException):
            client.create_log_group(**group)
        for stream in ("stdout", "stderr"):
            name = f"/applications/{job.application_id}/jobs/{job.id}/SPARK_DRIVER/{stream}"
            lines = (logs / stream).read_text().splitlines() if (logs / stream).exists() else []
            events = [{"timestamp": int(1000 * time.time()), "message": line} for line in lines if line]
            client.create_log_stream(logStreamName=name, **group)
            if events:
                client.put_log_events(logStreamName=name, logEvents=events, **group)


@contextmanager
def running_serverless(folder: Path) -> Iterator[LocalServerless]:
    """The service, with an empty bucket. Every job that still runs in the end is killed."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with serving(folder / "objects") as s3_endpoint, pytest.MonkeyPatch.context() as patch:
        service = LocalServerless(f"http://{host}:{port}", s3_endpoint, folder)
        for name, method in {
            "start_job_run": service.start,
            "get_job_run": service.look,
            "cancel_job_run": service.cancel,
            "list_job_runs": service.list,
        }.items():
            patch.setattr(EMRServerlessBackend, name, _bound(method, getattr(EMRServerlessBackend, name)))
        service.client("s3").create_bucket(Bucket=BUCKET)
        yield service
        service.end()
    server.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 60.0, every: float = 0.05) -> bool:
    """Whether a condition came true in time; it is looked at every so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def _bound(method: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    def call(backend: EMRServerlessBackend, **request: Any) -> Any:
        return method(original, backend, **request)

    return call
