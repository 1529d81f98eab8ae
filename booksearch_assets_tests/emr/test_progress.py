"""How far a stage is, as Spark's own status says while it runs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from booksearch_assets.emr.account import Usage
from booksearch_assets.emr.progress import TaskProgress, stage_name, watching, worker_memory_gb

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_line_says_tasks_rows_a_second_and_what_is_left() -> None:
    progress = TaskProgress("parquet", done=40, total=160, rows=40, seconds=60)
    assert progress.describe() == "parquet: 40 of 160 tasks (25%), 0.7 rows a second, 3 min left"
    # Each task reads one row, which names a slice of the 80,000.
    assert "333 rows a second" in progress.describe(rows_in_all=80_000)
    assert "333 images a second" in progress.describe(80_000, "images")


@pytest.mark.parametrize(("done", "total"), [(0, 8), (8, 8), (0, 0)])
def test_the_first_and_the_last_moment_divide_by_nothing(done: int, total: int) -> None:
    line = TaskProgress("count", done, total, rows=0, seconds=0.0).describe(100)
    assert line.startswith(f"count: {done} of {total} tasks")
    assert "left" not in line


@pytest.mark.parametrize(
    ("call_site", "name"),
    [
        ("parquet at NativeMethodAccessorImpl.java:0", "stage 3, parquet"),
        ("$anonfun$withThreadLocalCaptured$2 at CompletableFuture.java:1768", "stage 3"),
        ("", "stage 3"),
    ],
)
def test_a_stage_is_named_by_its_number_and_by_the_action_that_asked_for_it(
    call_site: str, name: str
) -> None:
    assert stage_name(3, call_site) == name


@pytest.mark.parametrize(("heap", "gb"), [("2g", 3), ("14g", 16), ("512m", 1), ("1t", 1127), ("27GB", 30)])
def test_a_worker_has_its_heap_and_a_tenth(heap: str, gb: int) -> None:
    assert worker_memory_gb(heap) == gb


def test_what_is_no_amount_of_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="no amount of memory"):
        worker_memory_gb("lots")


@pytest.mark.system
@pytest.mark.spark
def test_a_running_job_is_watched(spark: SparkSession) -> None:
    said: list[str] = []
    used: list[Usage] = []

    def slow(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            time.sleep(0.3)
            yield batch

    with watching(spark, 800, "images", said.append, used.append, every=0.1):
        assert spark.range(0, 8, 1, 8).mapInArrow(slow, "id long").count() == 8
    lines = [
        line
        for line in said
        if re.search(r"stage \d+\b.*: [1-7] of 8 tasks \(\d+%\), [\d.,]+ images a second, \d+ s left", line)
    ]
    assert lines, said
    assert used[-1].vcpu_hours > used[0].vcpu_hours > 0
    assert used[-1].memory_gb_hours > 0
    quiet = len(said)
    spark.range(10).count()
    assert len(said) == quiet
