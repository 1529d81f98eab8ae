"""What Spark says a stage took, and the prototype's failure with the plan that mends it, for real."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from booksearch_assets.compute import image_embeddings
from booksearch_assets.compute.image_embeddings import ImageEmbeddingsParams
from booksearch_assets.compute.plan import PLANNED_TASKS, TaskPlan, Wishes, Work, plan_spark
from booksearch_assets.compute.rates import Measure, Rate
from booksearch_assets.compute.task_times import CORE_SECONDS, TASKS_RUN, run_measured, task_times
from booksearch_assets.tables.counts import StageReport
from booksearch_assets_tests.graph.deployment import LAUNCHER

ROWS = 70_000


@pytest.mark.spark
def test_seventy_thousand_urls_in_one_small_file_keep_every_core_busy(
    spark: SparkSession, tmp_path: Path
) -> None:
    file = tmp_path / "urls.parquet"
    pq.write_table(pa.table({"url": [f"https://covers/b/id/{n}-L.jpg" for n in range(ROWS)]}), file)
    # Spark alone gives all rows of so small a file to one task.
    assert spark.read.schema("url string").parquet(str(file)).rdd.getNumPartitions() == 1

    work = Work(ROWS, file.stat().st_size, Measure.ROW)
    offer = LAUNCHER.offer(Wishes())
    plan = plan_spark(work, Rate(0.01, 0.0, ROWS, "made up"), offer)
    # What the launcher tells the session, and how the stage that embeds cuts its rows when it is told.
    spark.conf.set(PLANNED_TASKS, LAUNCHER.plan_settings(plan)[PLANNED_TASKS])
    slices = image_embeddings._task_plan(spark, ImageEmbeddingsParams("", "books", "", "", ROWS, "", ""))
    spark.conf.unset(PLANNED_TASKS)
    assert slices == TaskPlan(ROWS, plan.tasks)

    def lengths(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                urls = pq.read_table(file)["url"].slice(*slices.slice_of(task)).to_pylist()
                yield pa.RecordBatch.from_pydict(
                    {"worker": [os.getpid()], "rows": [len(urls)], "characters": [sum(map(len, urls))]}
                )

    def stage() -> StageReport:
        tasks = spark.range(0, plan.tasks, 1, numPartitions=plan.tasks)
        done = tasks.mapInArrow(lengths, "worker long, rows long, characters long").collect()
        return StageReport({}, 0.0, {"done": [row.asDict() for row in done]})

    figures = run_measured(spark, stage).figures
    by_worker: Counter[int] = Counter()
    for row in figures["done"]:
        by_worker[row["worker"]] += row["rows"]
    assert sum(by_worker.values()) == ROWS
    assert sum(row["characters"] for row in figures["done"]) > 27 * ROWS
    # One Python worker for each core, and none of them idle.
    assert len(by_worker) >= offer.cores == 2
    assert sorted(by_worker.values())[-2] > 0.1 * ROWS
    assert figures[TASKS_RUN] == plan.tasks > offer.cores
    assert figures[CORE_SECONDS] > 0


@pytest.mark.spark
def test_stages_that_spark_has_forgotten_cost_nothing(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Job:
        stageIds = (10**6,)

    tracker = spark.sparkContext.statusTracker()
    monkeypatch.setattr(type(tracker), "getJobIdsForGroup", lambda self, group: [0])
    monkeypatch.setattr(type(tracker), "getJobInfo", lambda self, job: Job())
    times = task_times(spark, "any")
    assert (times.core_seconds, times.tasks) == (0.0, 0)
