"""The workers that EMR Serverless has, and what a planned run is going to be billed for.

Belongs here: sizes of workers, and usage that is predicted. Does not: usage that is known, prices (`account`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from booksearch_assets.compute.memory import GIB
from booksearch_assets.compute.plan import SparkPlan
from booksearch_assets.emr.account import Usage
from booksearch_assets.emr.errors import NoSuchWorker
from booksearch_assets.emr.progress import worker_memory_gb

_LEAST_SECONDS = 60
"""A worker is billed by the second, and for a minute at least (`billedResourceUtilization` in the API reference)."""

FREE_DISK_GB = 20
"""Disk that each worker has without being billed for it: all that our jobs ask for."""


@dataclass(frozen=True)
class WorkerSizes:
    """Memory that a worker may have, in GB: from `least` to `most` in whole steps."""

    least: int
    most: int
    step: int


# https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/app-behavior.html, "Supported worker configurations"
SIZES = {
    1: WorkerSizes(2, 8, 1),
    2: WorkerSizes(4, 16, 1),
    4: WorkerSizes(8, 30, 1),
    8: WorkerSizes(16, 60, 4),
    16: WorkerSizes(32, 120, 8),
}
"""By vCPUs."""


def sizes_of(vcpus: int) -> WorkerSizes:
    """The memory that a worker of so many vCPUs may have. Raises `NoSuchWorker`."""
    if vcpus not in SIZES:
        raise NoSuchWorker(
            f"EMR Serverless has no worker of {vcpus} vCPUs; set executor_cores to one of {', '.join(map(str, SIZES))}"
        )
    return SIZES[vcpus]


def billed_usage(vcpus: int, memory_gb: float, seconds: float, workers: int = 1) -> Usage:
    """What so many workers are billed for that are held for so many seconds, with no more disk than is free."""
    hours = workers * max(_LEAST_SECONDS, math.ceil(seconds)) / 3600
    return Usage(vcpus * hours, memory_gb * hours, 0.0)


def predicted_usage(plan: SparkPlan) -> Usage:
    """What a run of a plan is billed for, where its executors are held from its start to its end."""
    cores = plan.offer.driver_cores
    driver_gb = max(sizes_of(cores).least, worker_memory_gb(f"{plan.driver_memory // 2**20}m"))
    executor_gb = math.ceil(plan.executor_memory / GIB)
    driver = billed_usage(cores, driver_gb, plan.seconds)
    return driver + billed_usage(plan.offer.executor_cores, executor_gb, plan.seconds, plan.executors)
