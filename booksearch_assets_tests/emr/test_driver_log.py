"""The end of a driver's log, and no error of its own where there is none."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from booksearch_assets.emr.driver_log import driver_log_folder, driver_log_tail
from booksearch_assets_tests.emr.serverless import BUCKET, LocalServerless


@pytest.fixture
def s3(service: LocalServerless) -> Any:
    return service.client("s3")


def put(s3: Any, key: str, body: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def test_the_log_is_where_the_service_leaves_it() -> None:
    expected = "s3://logs/emr/applications/00abc/jobs/00def/SPARK_DRIVER"
    assert driver_log_folder("s3://logs/emr/", "00abc", "00def") == expected


def test_the_last_lines_of_a_long_log(s3: Any) -> None:
    lines = "".join(f"line {number}\n" for number in range(10_000)) + "x" * 10_000
    put(s3, "long/stderr.gz", gzip.compress(lines.encode()))
    tail = driver_log_tail(s3, f"s3://{BUCKET}/long")
    assert "line 9999" in tail
    assert "line 9000\n" not in tail
    assert len(tail) < 2000


def test_stdout_where_there_is_no_stderr(s3: Any) -> None:
    put(s3, "quiet/stdout.gz", gzip.compress(b"said to stdout\n"))
    put(s3, "quiet/stderr.gz", gzip.compress(b""))
    assert "said to stdout" in driver_log_tail(s3, f"s3://{BUCKET}/quiet")


def test_a_log_that_is_missing_or_damaged_is_said_and_not_raised(s3: Any) -> None:
    put(s3, "torn/stderr.gz", gzip.compress(b"words" * 1000)[:30])
    put(s3, "torn/stdout.gz", b"no gzip at all")
    tail = driver_log_tail(s3, f"s3://{BUCKET}/torn")
    assert "no driver stderr" in tail and "no driver stdout" in tail
    assert "NoSuchKey" in driver_log_tail(s3, f"s3://{BUCKET}/nowhere")
