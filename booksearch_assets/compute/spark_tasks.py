"""Plain Python functions as Spark tasks, and the files that they write: for rows that never become rows of the JVM.

Such a task reads and writes files by Arrow, and answers with a few figures. Spark sees to cores, machines and retries.

Belongs here: handing work to tasks, files that are whole or not there. Does not: what the tasks do (`parsed_chunks`, `editions`, `filtered_fiction`),
tables that Spark SQL reads and writes (`spark_tables`).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

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


@contextmanager
def whole_parquet(uri: str, schema: pa.Schema, **settings: Any) -> Iterator[pq.ParquetWriter]:
    """A writer of the Parquet file at `uri`, whose folder is made. Nothing is there until all of it is written.

    `settings` are those of `ParquetWriter`. What an error or a kill cuts short stays beside it under a name that starts
    with a dot, which no reader of tables takes for data.
    """
    filesystem, place = filesystem_of(uri)
    folder, _, name = place.rpartition("/")
    filesystem.create_dir(folder, recursive=True)
    # Closing a Parquet file that an error cut short makes it look like a whole one.
    unfinished = f"{folder}/.{name}.{secrets.token_hex(4)}.tmp"
    with pq.ParquetWriter(unfinished, schema, filesystem=filesystem, **settings) as writer:
        yield writer
    filesystem.move(unfinished, place)


def open_parquet(uri: str) -> pq.ParquetFile:
    """The Parquet file at `uri`. Of one that is not on this machine, columns are fetched together."""
    filesystem, place = filesystem_of(uri)
    return pq.ParquetFile(place, filesystem=filesystem, pre_buffer=filesystem.type_name != "local")


def filesystem_of(uri: str) -> tuple[pafs.FileSystem, str]:
    """The file system of a path, file:// or s3:// URI, and the place in it, without a slash at its end."""
    filesystem, path = pafs.FileSystem.from_uri(uri if "://" in uri else Path(uri).absolute().as_uri())
    return filesystem, path.rstrip("/")
