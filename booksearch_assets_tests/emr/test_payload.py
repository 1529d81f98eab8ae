"""The driver's side: an entry point that knows no Dagster, and runs a stage on the Spark that its job asks for."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import dagster as dg
import pytest

from booksearch_assets.emr import payload
from booksearch_assets_tests.emr.conftest import MakeStep
from booksearch_assets_tests.emr.serverless import BUCKET, LocalServerless
from booksearch_assets_tests.emr.stages.image_embeddings import SlowRowsParams
from booksearch_assets_tests.emr.step import report_of

# Told more often than in real jobs, which take longer than this one.
ENTRY_POINT = """
from functools import partial

from booksearch_assets.emr import payload

payload._SAYS_EVERY_SECONDS = 0.2
payload.watching = partial(payload.watching, every=0.2)
payload.main("booksearch_assets_tests.emr.stages")
"""
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def test_a_payload_that_nobody_submitted_fails_and_does_not_pretend() -> None:
    answer = subprocess.run([sys.executable, payload.__file__], capture_output=True, text=True, env={})
    assert answer.returncode != 0
    assert "runs as a job that booksearch_assets submitted" in answer.stderr


def test_the_driver_needs_no_dagster_and_starts_no_spark_before_its_stage() -> None:
    code = (
        "import sys, booksearch_assets.emr.payload; "
        "print([m for m in ('dagster', 'dagster_aws', 'pyspark', 'torch') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.system
@pytest.mark.spark
def test_a_stage_runs_on_a_session_with_the_settings_of_its_job_and_its_progress_is_in_the_log_meanwhile(
    make_step: MakeStep, service: LocalServerless
) -> None:
    service.client("s3").put_object(Bucket=BUCKET, Key="spark.py", Body=ENTRY_POINT.encode())
    config = {
        "spark.driver.extraJavaOptions": SHORT_LIVED,
        # Workers of a job with a package are those of its archive.
        "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": sys.executable,
    }
    launched = make_step({"base_config": config})
    params = SlowRowsParams(rows=11)
    step = replace(launched, stage="image_embeddings", params=params, entry_point="spark.py")
    instance = dg.DagsterInstance.ephemeral()
    result = step.run(instance)
    report = report_of(result)
    assert report["counts"][""] == {"rows_in": 11, "rows_out": 6, "rejected": {"odd": 5}}
    figures = report["figures"]
    assert figures["spark.sql.shuffle.partitions"] == "2"
    assert figures["spark.driver.memory"] == "512m"
    assert figures["spark.driver.extraJavaOptions"].endswith(SHORT_LIVED)
    said = [record.user_message for record in instance.all_logs(result.run_id)]
    (ended,) = [number for number, line in enumerate(said) if re.fullmatch(r"job \w+ is SUCCESS\.", line)]
    # Stage, partitions done, images a second, and how long it will take.
    progress = re.compile(
        r"image_embeddings: stage \d+.*: \d+ of 11 tasks \(\d+%\), [\d.]+ images a second, \d+ s left"
    )
    assert [line for line in said[:ended] if progress.search(line)], said
