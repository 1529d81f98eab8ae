"""The request for a job."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import boto3
from botocore.stub import ANY, Stubber

from booksearch_assets.emr.submit import Submission, client_token

SUBMISSION = Submission(
    name="booksearch-editions-0123456789abcdef-r0-0123456789abcdef",
    application_id="00abc",
    execution_role="arn:aws:iam::123456789012:role/jobs",
    entry_point="s3://code/payload.py",
    logs_uri="s3://logs/emr",
    timeout_minutes=90,
    spark={"spark.driver.extraJavaOptions": "-Da=1 -Db='two words'", "spark.executor.cores": "4"},
    driver_environment={"DAGSTER_PIPES_CONTEXT": "eJwr=="},
    tags={"dagster/run-id": "1"},
)


def test_settings_survive_the_command_line() -> None:
    options = shlex.split(SUBMISSION.spark_submit_parameters())
    assert options == [
        "--conf",
        "spark.driver.extraJavaOptions=-Da=1 -Db='two words'",
        "--conf",
        "spark.executor.cores=4",
        "--conf",
        "spark.emr-serverless.driverEnv.DAGSTER_PIPES_CONTEXT=eJwr==",
    ]


def test_the_request_is_one_that_the_api_knows() -> None:
    client = boto3.client(
        "emr-serverless", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    with Stubber(client) as stub:
        answer = {"applicationId": "00abc", "jobRunId": "1", "arn": "a" * 60}
        stub.add_response("start_job_run", answer, dict.fromkeys(SUBMISSION.request(), ANY))
        assert client.start_job_run(**SUBMISSION.request())["jobRunId"] == "1"
    assert SUBMISSION.request()["executionTimeoutMinutes"] == 90


def test_the_token_is_that_of_the_name_and_one_that_the_api_takes() -> None:
    token = SUBMISSION.request()["clientToken"]
    assert token == SUBMISSION.request()["clientToken"] == client_token(SUBMISSION.name)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", token)
    retried = replace(SUBMISSION, name=SUBMISSION.name.replace("-r0-", "-r1-"))
    assert retried.request()["clientToken"] != token


def test_a_second_request_shares_nothing_with_the_first() -> None:
    first = SUBMISSION.request()
    first["tags"]["mine"] = "1"
    first["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"] += " --conf a=b"
    assert "mine" not in SUBMISSION.request()["tags"]
    assert SUBMISSION.spark_submit_parameters().count("DAGSTER_PIPES_CONTEXT") == 1
    assert "a=b" not in SUBMISSION.request()["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"]
