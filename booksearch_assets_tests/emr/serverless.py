"""An EMR Serverless on this machine: moto's, with a back-end whose jobs really run as subprocesses.

Belongs here: what moto 5.2 leaves out (jobs that take time, idempotency tokens, states, usage, logs in S3), and faults
of the service on demand. Does not: what is expected of a job.
"""

from __future__ import annotations

import gzip
import itertools
import logging
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.core.exceptions import JsonRESTError
from moto.emrserverless.models import EMRServerlessBackend, JobRun
from moto.server import ThreadedMotoServer

REGION = "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/jobs"
BUCKET = "jobs"
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
    """The service at `endpoint`; jobs keep their logs in `folder` until these are in S3.

    Each job is billed for `USAGE`.
    """

    def __init__(self, endpoint: str, folder: Path) -> None:
        self.endpoint, self._folder = endpoint, folder
        self.faults: dict[str, Faults] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.RLock()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint, **keys)

    def create_application(self) -> str:
        # moto does not know emr-spark-8.0.0.
        answer = self.client("emr-serverless").create_application(
            name="tests", releaseLabel="emr-7.9.0", type="SPARK"
        )
        self.faults[answer["applicationId"]] = Faults()
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

    def _run(self, job: JobRun) -> None:
        logs = self._folder / job.id
        logs.mkdir(parents=True)
        submit = job.job_driver["sparkSubmit"]
        bucket, _, key = submit["entryPoint"].removeprefix("s3://").partition("/")
        entry_point = logs / "entry_point.py"
        entry_point.write_bytes(self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
        with self._lock:
            if job.state == "SUBMITTED":
                job.state = "RUNNING"
                with (logs / "stdout").open("wb") as stdout, (logs / "stderr").open("wb") as stderr:
                    self._processes[job.id] = subprocess.Popen(
                        [sys.executable, str(entry_point)],
                        env=self._driver_environment(submit["sparkSubmitParameters"]),
                        cwd=logs,
                        stdout=stdout,
                        stderr=stderr,
                    )
        process = self._processes.get(job.id)
        status = process.wait() if process else 0
        self._upload_logs(job, logs)
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
        spark = {
            "PYSPARK_SUBMIT_ARGS": f"--master local[2] {parameters} pyspark-shell",
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        return kept | {"PYTHONPATH": str(_REPOSITORY)} | spark | self.environment | driver

    def _upload_logs(self, job: JobRun, logs: Path) -> None:
        uri = job.configuration_overrides["monitoringConfiguration"]["s3MonitoringConfiguration"]["logUri"]
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        folder = f"{prefix}/applications/{job.application_id}/jobs/{job.id}/SPARK_DRIVER"
        for stream in ("stdout", "stderr"):
            if (logs / stream).exists():
                body = gzip.compress((logs / stream).read_bytes())
                self.client("s3").put_object(Bucket=bucket, Key=f"{folder}/{stream}.gz", Body=body)


@contextmanager
def running_serverless(folder: Path) -> Iterator[LocalServerless]:
    """The service, with an empty bucket."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    service = LocalServerless(f"http://{host}:{port}", folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, method in {
            "start_job_run": service.start,
            "get_job_run": service.look,
            "cancel_job_run": service.cancel,
            "list_job_runs": service.list,
        }.items():
            patch.setattr(EMRServerlessBackend, name, _bound(method, getattr(EMRServerlessBackend, name)))
        service.client("s3").create_bucket(Bucket=BUCKET)
        yield service
    server.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether a condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _bound(method: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    def call(backend: EMRServerlessBackend, **request: Any) -> Any:
        return method(original, backend, **request)

    return call
