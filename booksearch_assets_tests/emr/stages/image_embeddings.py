"""A stage by the name of the one that embeds: Spark counts rows, slowly, and it says which settings its session has."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from booksearch_assets.tables.counts import Counts, StageReport

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SECONDS_EACH = 0.4


@dataclass(frozen=True)
class SlowRowsParams:
    """As many tasks as `rows`."""

    rows: int


def run(spark: SparkSession, params: SlowRowsParams) -> StageReport:
    tasks = spark.range(0, params.rows, 1, params.rows).mapInArrow(_slowly, "id long")
    rows = tasks.where("id % 2 = 0").count()
    settings = ("spark.sql.shuffle.partitions", "spark.driver.memory", "spark.driver.extraJavaOptions")
    return StageReport(
        {"": Counts(params.rows, rows, {"odd": params.rows - rows})},
        1.0,
        {name: spark.sparkContext.getConf().get(name) for name in settings},
    )


def _slowly(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        time.sleep(_SECONDS_EACH)
        yield batch
