"""Reading what a job says from S3: from its first word, once, and through the faults of S3."""

from __future__ import annotations

import json
from typing import Any

import dagster as dg
import pytest

from booksearch_assets.aws.calls import Patience, aws_client
from booksearch_assets.aws.objects import split_s3
from booksearch_assets.emr.messages import JobContext, JobFolder, JobMessages, has_report
from booksearch_assets.tables.counts import Counts, StageReport
from booksearch_assets_tests.emr.serverless import BUCKET, REGION, LocalServerless

QUICK = Patience(first=0.001, longest=0.01, total=2.0)
REPORT = StageReport({"2020": Counts(2, 1, {"no_cover": 1})}, 3.5, {"tasks": 4})


class Listener:
    """Stands where Dagster's message handler stands, and keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def handle_message(self, message: dict[str, Any]) -> None:
        self.heard.append(message["params"]["payload"])


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> JobFolder:
    return JobFolder.of(f"s3://{BUCKET}/messages", request.node.name)


def say(service: LocalServerless, folder: JobFolder, chunk: int, *payloads: Any) -> None:
    messages = [{"method": "report_custom_message", "params": {"payload": payload}} for payload in payloads]
    body = "\n".join(map(json.dumps, messages)).encode()
    key = f"{folder.messages_prefix}/{chunk}.json"
    service.client("s3").put_object(Bucket=folder.bucket, Key=key, Body=body)


def test_each_message_is_handed_on_once_and_a_new_reader_begins_again(
    service: LocalServerless, folder: JobFolder
) -> None:
    for _ in range(2):
        listener, reader = Listener(), JobMessages(aws_client("s3", REGION), folder, QUICK)
        with reader.read_messages(listener):  # type: ignore[arg-type]
            say(service, folder, 1, {"usage": {"vcpu_hours": 1, "memory_gb_hours": 4, "storage_gb_hours": 0}})
            reader.forward()
            say(service, folder, 2, {"report": REPORT.to_json()}, {"note": 1})
            reader.forward()
            reader.forward(to_the_end=True)
        assert [next(iter(payload)) for payload in listener.heard] == ["usage", "report", "note"]
        assert reader.report == REPORT
        assert reader.used.memory_gb_hours == 4


def test_a_job_has_reported_once_any_of_its_messages_is_a_report(
    service: LocalServerless, folder: JobFolder
) -> None:
    s3 = aws_client("s3", REGION)
    say(service, folder, 1, {"usage": {}})
    assert not has_report(s3, folder, QUICK)
    say(service, folder, 2, {"note": 1}, {"report": REPORT.to_json()})
    assert has_report(s3, folder, QUICK)


def test_a_fault_of_s3_puts_reading_off_and_loses_nothing(
    service: LocalServerless, folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(service, folder, 1, {"report": REPORT.to_json()})
    with monkeypatch.context() as outage:
        outage.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        unreachable = aws_client("s3", REGION)
    reader = JobMessages(unreachable, folder, QUICK)
    with reader.read_messages(Listener()):  # type: ignore[arg-type]
        reader.forward()
        assert reader.report is None
        assert "did not answer" in reader.fault
        reader._s3 = aws_client("s3", REGION)
        reader.forward()
    assert reader.report == REPORT
    assert reader.fault == ""


def test_messages_that_may_not_be_read_are_a_fault_that_is_told(service: LocalServerless) -> None:
    reader = JobMessages(aws_client("s3", REGION), JobFolder("no-such-bucket", "job"), QUICK)
    with reader.read_messages(Listener()):  # type: ignore[arg-type]
        reader.forward(to_the_end=True)
    assert "NoSuchBucket" in reader.fault


@pytest.mark.parametrize("uri", ["", "jobs/x", "file:///jobs", "s3:///jobs"])
def test_a_place_that_is_not_in_s3_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="no s3://bucket/prefix"):
        split_s3(uri)


def test_the_context_outlives_the_session_that_left_it(service: LocalServerless, folder: JobFolder) -> None:
    s3 = aws_client("s3", REGION)
    injector: dg.PipesContextInjector = JobContext(s3, folder, QUICK)
    with injector.inject_context({"extras": {"partitions": ["2020"]}}) as place:  # type: ignore[typeddict-item]
        pass
    body = s3.get_object(Bucket=place["bucket"], Key=place["key"])["Body"].read()
    assert json.loads(body)["extras"]["partitions"] == ["2020"]
