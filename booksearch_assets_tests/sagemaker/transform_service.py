"""Batch Transform on this machine: moto's control plane, whose jobs a real container works through.

Belongs here: what moto 5.2 leaves out (jobs that take time, names that are taken, stopping, outputs), done as the
documentation of Batch Transform says, and faults of the service on demand. Does not: what is expected of a job.

moto completes every job at once and writes nothing. Here each input object is split into lines, as many of them make a
request as the payload allows, and the object's output is put in one piece once all of it is answered: none is put of an
object that fails, and the job then goes on with the others and ends as Failed.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import boto3
import orjson
import pytest
from moto.core.exceptions import ServiceException
from moto.core.responses import EmptyResult
from moto.sagemaker.exceptions import ResourceInUseException, ValidationError
from moto.sagemaker.models import FakeTransformJob, SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse
from moto.server import ThreadedMotoServer

from booksearch_assets.sagemaker.batch_transform.log import GROUP
from booksearch_assets_tests.sagemaker.container import Container

REGION = "us-east-1"
BUCKET = "transform"
MODEL = "clip"
STAGING = f"s3://{BUCKET}/staging/transform"
# Two of the pictures that tests embed, so that an object takes several requests.
_REQUEST_BYTES = 60_000
_MOST_REQUEST_BYTES = 100_000_000
_BILLED = timedelta(seconds=600)


@dataclass
class Faults:
    """What goes wrong. Numbers are how often; `failing` and `dropped` are keys of lines."""

    throttled: int = 0
    lost_replies: int = 0
    failing: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    reason: str = "AlgorithmError: See job logs for more information"
    rewrite: Callable[[bytes], bytes] = bytes
    seen: Callable[[], None] | None = None
    gate: threading.Event | None = None


class ServiceFault(ServiceException):
    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__("on demand")


@dataclass
class TransformService:
    """The service at `endpoint`, S3 and CloudWatch with it. `asked` are the keys of the lines that each job sent."""

    endpoint: str
    container: Container
    faults: Faults = field(default_factory=Faults)
    asked: dict[str, list[str]] = field(default_factory=dict)
    requests: list[int] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

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

    def status(self, name: str) -> str:
        job = self.client("sagemaker").describe_transform_job(TransformJobName=name)
        return str(job["TransformJobStatus"])

    def objects(self) -> list[str]:
        """What is left below the staging prefix."""
        page = self.client("s3").list_objects_v2(Bucket=BUCKET)
        return [found["Key"] for found in page.get("Contents", [])]

    def create(
        self, original: Callable[..., FakeTransformJob], backend: SageMakerModelBackend, **request: Any
    ) -> FakeTransformJob:
        name = request["transform_job_name"]
        if name in backend.transform_jobs:
            raise ResourceInUseException(message=f"Job name must be unique: {name}")
        if request["model_name"] != MODEL:
            raise ValidationError(message=f'Could not find model "{request["model_name"]}".')
        most = request["max_payload_in_mb"] * request["max_concurrent_transforms"]
        if most > 100:
            raise ValidationError(message="MaxConcurrentTransforms * MaxPayloadInMB must not exceed 100 MB")
        job = original(backend, **request)
        job.transform_job_status = "InProgress"
        job.transform_start_time = job.transform_end_time = None  # type: ignore[assignment]
        self.asked[name] = []
        thread = threading.Thread(target=self._work, args=(job,), daemon=True)
        self.threads.append(thread)
        thread.start()
        if self.faults.lost_replies:
            self.faults.lost_replies -= 1
            raise ServiceFault("ThrottlingException")
        return job

    def describe(
        self, original: Callable[..., dict[str, Any]], backend: SageMakerModelBackend, **request: Any
    ) -> dict[str, Any]:
        if self.faults.throttled:
            self.faults.throttled -= 1
            raise ServiceFault("ThrottlingException")
        job = original(backend, **request)
        if self.faults.seen:
            self.faults.seen()
        return job

    def stop(self, backend: SageMakerModelBackend, name: str) -> None:
        job = backend.transform_jobs[name]
        if job.transform_job_status != "InProgress":
            raise ValidationError(message="The request was rejected because the job has ended")
        job.transform_job_status = "Stopping"
        if self.faults.gate:
            self.faults.gate.set()

    def _work(self, job: FakeTransformJob) -> None:
        if self.faults.gate:
            self.faults.gate.wait(60)
        s3, source = self.client("s3"), job.transform_input
        prefix = _key(source["DataSource"]["S3DataSource"]["S3Uri"])  # type: ignore[index]
        page = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        keys = [found["Key"] for found in page["Contents"]]
        # Machines take objects as they come.
        random.Random(0).shuffle(keys)
        failed = False
        for key in keys:
            if job.transform_job_status == "Stopping":
                break
            output = self._transformed(job, s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
            failed |= output is None
            if output is not None:
                place = f"{_key(job.transform_output['S3OutputPath'])}{key.removeprefix(prefix)}.out"
                s3.put_object(Bucket=BUCKET, Key=place, Body=self.faults.rewrite(output))
        job.transform_start_time = datetime.now(UTC) - _BILLED
        job.transform_end_time = job.transform_start_time + _BILLED
        if job.transform_job_status == "Stopping":
            job.transform_job_status = "Stopped"
            return
        job.failure_reason = self.faults.reason if failed else ""
        job.transform_job_status = "Failed" if failed else "Completed"

    def _transformed(self, job: FakeTransformJob, content: bytes) -> bytes | None:
        """The output of one object, its answers in any order, or None where an answer is an error."""
        answers = []
        for body in _requests(content, job.max_payload_in_mb * 1_000_000):
            sent = [orjson.loads(line)["key"] for line in body.splitlines()]
            self.asked[job.transform_job_name] += sent
            self.requests.append(len(sent))
            if self.faults.failing & set(sent):
                self._log(job, f"no answer for {sent[0]}")
                return None
            answer = self.container.invoke(
                body,
                str(job.transform_input["ContentType"]),
                accept=job.transform_output["Accept"],
            )
            assert answer.status_code == HTTPStatus.OK, answer.text
            answers += [
                line
                for line in answer.content.split(b"\n")
                if orjson.loads(line)["key"] not in self.faults.dropped
            ]
        random.Random(1).shuffle(answers)
        return b"".join(answer + b"\n" for answer in answers)

    def _log(self, job: FakeTransformJob, message: str) -> None:
        logs, stream = self.client("logs"), f"{job.transform_job_name}/i-0123456789abcdef0-1"
        if not logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]:
            logs.create_log_group(logGroupName=GROUP)
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
        event = {"timestamp": int(datetime.now(UTC).timestamp() * 1000), "message": message}
        logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=[event])


def _requests(content: bytes, most: int) -> Iterator[bytes]:
    """Whole lines, as many as fit."""
    assert most <= _MOST_REQUEST_BYTES
    body = b""
    for line in content.splitlines(keepends=True):
        assert len(line) <= most, "a record is larger than MaxPayloadInMB"
        if body and len(body) + len(line) > min(most, _REQUEST_BYTES):
            yield body
            body = b""
        body += line
    yield body


def _key(uri: str) -> str:
    assert uri.startswith(f"s3://{BUCKET}/") and uri.endswith("/"), uri
    return uri.removeprefix(f"s3://{BUCKET}/")


@contextmanager
def running_transforms(container: Container) -> Iterator[TransformService]:
    """The service with an empty bucket and one model."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    service = TransformService(f"http://{host}:{port}", container)

    def stop_transform_job(response: SageMakerResponse) -> EmptyResult:
        service.stop(response.sagemaker_backend, response._get_param("TransformJobName"))
        return EmptyResult()

    with pytest.MonkeyPatch.context() as patch:
        for name, method in {
            "create_transform_job": service.create,
            "describe_transform_job": service.describe,
        }.items():
            original = getattr(SageMakerModelBackend, name)
            patch.setattr(SageMakerModelBackend, name, _bound(method, original))
        patch.setattr(SageMakerResponse, "stop_transform_job", stop_transform_job, raising=False)
        service.client("s3").create_bucket(Bucket=BUCKET)
        yield service
        for thread in service.threads:
            thread.join(30)
    server.stop()


def _bound(method: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    def call(backend: SageMakerModelBackend, **request: Any) -> Any:
        return method(original, backend, **request)

    return call
