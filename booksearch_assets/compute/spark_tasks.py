"""Plain Python functions as Spark tasks, for rows that never become rows of the JVM.

Such a task reads and writes files by Arrow, and answers with a few figures. Spark sees to cores, machines and retries.

Belongs here: handing work to tasks. Does not: what the tasks do (`parsed_chunks`, `edition_files`, `filtered_fiction`), their
files (`arrow_files`), tables that Spark SQL reads and writes (`spark_tables`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Item = TypeVar("Item")

_TASKS_PER_CORE = 4
_ANSWERS = pa.schema([("answer", pa.string())])


def run_tasks(spark: SparkSession, items: Sequence[Item], work: Callable[[Item], Any]) -> list[Any]:
    """Call `work` with each of `items` in a task of its own. Returns its answers, in order, as JSON holds them.

    A task may be run again, or by two workers at once: `work` must leave the same whole files whenever it ends. Raises
    `PySparkException`, which says what was raised in a task that failed.
    """
    from booksearch_assets.compute.spark_tables import spark_schema

    if not items:
        return []
    numbers = spark.range(0, len(items), 1, numPartitions=len(items))
    answers = numbers.mapInArrow(_answering(items, work), spark_schema(_ANSWERS)).collect()
    return [json.loads(row["answer"]) for row in answers]


def _answering(
    items: Sequence[Item], work: Callable[[Item], Any]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def answer(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            answers = [json.dumps(work(items[number])) for number in batch.column(0).to_pylist()]
            yield pa.RecordBatch.from_arrays([pa.array(answers, pa.string())], schema=_ANSWERS)

    return answer


def in_groups(items: Iterable[Item], weigh: Callable[[Item], int], most: int) -> list[list[Item]]:
    """Neighbours among `items` in groups that weigh at most `most`, so that no task has next to nothing to do.

    An item that weighs more has a group of its own.
    """
    groups: list[list[Item]] = []
    room = 0
    for item in items:
        weight = weigh(item)
        if not groups or weight > room:
            groups.append([])
            room = most
        groups[-1].append(item)
        room -= weight
    return groups


def for_tasks(spark: SparkSession, items: Sequence[Item], weigh: Callable[[Item], int]) -> list[list[Item]]:
    """`items` in groups for `run_tasks`: some for each core, in each of which are many small items or one large one."""
    tasks = _TASKS_PER_CORE * spark.sparkContext.defaultParallelism
    return in_groups(items, weigh, sum(map(weigh, items)) // tasks)
