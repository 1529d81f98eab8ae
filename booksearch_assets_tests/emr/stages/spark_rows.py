"""A stage that has Spark count some rows, and says which settings its session came with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from booksearch_assets.tables.counts import Counts, StageReport

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class SparkRowsParams:
    rows: int


def run(spark: SparkSession, params: SparkRowsParams) -> StageReport:
    rows = spark.range(0, params.rows, 1, 4).where("id % 2 = 0").count()
    settings = ("spark.sql.shuffle.partitions", "spark.driver.memory", "spark.driver.extraJavaOptions")
    return StageReport(
        {"": Counts(params.rows, rows, {"odd": params.rows - rows})},
        1.0,
        {name: spark.sparkContext.getConf().get(name) for name in settings},
    )
