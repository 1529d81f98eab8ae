"""Sizes of workers, and what a plan is predicted to be billed for."""

from __future__ import annotations

import pytest

from booksearch_assets.compute.memory import GIB, MIB
from booksearch_assets.compute.plan import SparkPlan, Wishes, Work, plan_spark
from booksearch_assets.compute.rates import Measure, Rate
from booksearch_assets.emr.account import Usage, price_in
from booksearch_assets.emr.errors import NoSuchWorker
from booksearch_assets.emr.launcher import EmrServerlessLauncher
from booksearch_assets.emr.workers import SIZES, billed_usage, predicted_usage
from booksearch_assets.resources.spark import Preset, SparkTuning

LAUNCHER = EmrServerlessLauncher(
    application_id="none",
    execution_role="none",
    region="us-east-1",
    entry_point="s3://b/e.py",
    jobs_uri="s3://b/jobs",
    logs_uri="s3://b/logs",
)
COVERS = Work(70_000, 1_400_000, Measure.ROW, rows_per_task=512, worker_bytes=1500 * MIB)
RATE = Rate(0.125, 0.0, 70_000, "made up")


def plan(work: Work = COVERS, **tuning: object) -> SparkPlan:
    wishes = SparkTuning(**tuning).wishes
    return plan_spark(work, RATE, LAUNCHER.offer(wishes), wishes)


@pytest.mark.parametrize("vcpus", SIZES)
def test_a_planned_executor_is_a_worker_of_the_service(vcpus: int) -> None:
    planned, sizes = plan(executor_cores=vcpus), SIZES[vcpus]
    gb = planned.executor_memory / GIB
    assert sizes.least <= gb <= sizes.most
    assert gb % sizes.step == 0 or gb in (sizes.least, sizes.most)
    settings = LAUNCHER._settings(planned)
    heap, overhead = (settings[f"spark.executor.{name}"] for name in ("memory", "memoryOverhead"))
    assert int(heap[:-1]) + int(overhead[:-1]) == gb * 1024
    assert int(overhead[:-1]) * MIB > vcpus // planned.task_cores * COVERS.worker_bytes


def test_a_size_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        NoSuchWorker, match="no worker of 3 vCPUs; set executor_cores to one of 1, 2, 4, 8, 16"
    ):
        plan(executor_cores=3)


@pytest.mark.parametrize(
    ("seconds", "workers", "hours"),
    [(0.0, 1, 60 / 3600), (59.0, 1, 60 / 3600), (60.2, 1, 61 / 3600), (3600.0, 1, 1.0), (1800.0, 8, 4.0)],
)
def test_workers_are_billed_by_the_second_and_for_a_minute_at_least(
    seconds: float, workers: int, hours: float
) -> None:
    usage = billed_usage(4, 16, seconds, workers)
    assert (usage.vcpu_hours, usage.memory_gb_hours) == (pytest.approx(4 * hours), pytest.approx(16 * hours))
    assert usage.storage_gb_hours == 0.0


def test_a_plan_is_priced_for_its_driver_and_executors_from_start_to_end() -> None:
    planned = plan()
    assert (planned.executors, planned.offer.executor_cores, planned.executor_memory) == (8, 4, 10 * GIB)
    # 70,000 covers at an eighth of a second on 32 cores, and 75 s until the workers are there: 349 s.
    hours = 349 / 3600
    usage = predicted_usage(planned)
    assert usage.vcpu_hours == pytest.approx((1 + 8 * 4) * hours)
    assert usage.memory_gb_hours == pytest.approx((3 + 8 * 10) * hours)
    price = price_in("us-east-1")
    assert price is not None
    figures = LAUNCHER.predicted_cost(planned)
    assert figures["predicted_usd"] == pytest.approx(33 * hours * 0.052624 + 83 * hours * 0.0057785, abs=1e-4)
    assert figures["predicted_by"].startswith("us-east-1, as of 20")
    assert price.of(Usage(0, 0, 10)) == pytest.approx(0.00111)


def test_a_field_comes_before_the_preset_and_the_preset_before_the_plan() -> None:
    small = plan(preset=Preset.small)
    assert (small.offer.executor_cores, small.executors, small.driver_memory) == (2, 2, GIB)
    mixed = plan(preset=Preset.small, max_executors=5, driver_memory="3g", executor_memory="12g")
    assert (mixed.offer.executor_cores, mixed.executors) == (2, 5)
    assert (mixed.driver_memory, mixed.executor_memory) == (3 * GIB, 12 * GIB)
    large = plan(preset=Preset.large)
    assert large.cores == 256
    assert large.seconds < plan().seconds < small.seconds
    assert LAUNCHER.offer(Wishes()).cores == 32


def test_a_small_table_holds_one_executor() -> None:
    planned = plan(Work(2000, 500_000))
    assert (planned.executors, planned.cores) == (1, 4)
    assert LAUNCHER._settings(planned)["spark.dynamicAllocation.maxExecutors"] == "1"
