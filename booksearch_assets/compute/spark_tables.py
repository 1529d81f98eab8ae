"""Tables as Spark reads and writes them: schemas from contracts, folders by year, session settings.

Belongs here: what every Spark stage needs to hand a table over. Does not: what a stage computes, where versions of a
table lie (`tables.lake`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from booksearch_assets.tables.contract import Table

KEPT, REJECTED = "outcome=kept", "outcome=rejected"
"""The folders, within a year's, of the rows that a stage let through and of those that it dropped."""

_BROADCAST_ROWS = 1_000_000
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.compression.codec": "zstd",
    # The folders year=2015 and year=other stand side by side: the column is text.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    # Without it the rebalance hint does nothing, and each task writes a file for each year.
    "spark.sql.adaptive.enabled": "true",
    # A task of so few folders (years) keeps a file open for each, and need not sort its rows by folder.
    "spark.sql.maxConcurrentOutputFileWriters": "64",
    # As many folders as years are listed where the plan is made; a job to list them takes longer.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "64",
}


def configure(spark: SparkSession) -> None:
    """Set what the results of the stages depend on, whoever started the session."""
    for name, value in _SETTINGS.items():
        spark.conf.set(name, value)


def spark_schema(schema: pa.Schema) -> StructType:
    """The Spark schema of an Arrow schema, every column nullable, as Spark reads Parquet."""
    return from_arrow_schema(pa.schema([field.with_nullable(True) for field in schema]))


def read_table(spark: SparkSession, table: Table, folders: Iterable[str]) -> DataFrame:
    """The rows in folders of files of `table`, without the columns that folder names add.

    Raises Spark's `AnalysisException` where one of the folders is missing: an empty read would hide it.
    """
    folders = list(folders)
    schema = spark_schema(table.schema)
    return spark.read.schema(schema).parquet(*folders) if folders else spark.createDataFrame([], schema)


def write_years(rows: DataFrame, table: Table, folder: str, outcome: str = "") -> None:
    """Write the columns of `table` to `<folder>/year=<year>[/<outcome>]` by the column `year`, few files in each.

    A year without rows has no folder.
    """
    columns = [F.col(name) for name in (*table.column_names, "year")]
    levels = ["year"]
    if outcome:
        name, value = outcome.split("=")
        columns.append(F.lit(value).alias(name))
        levels.append(name)
    rows.select(*columns).hint("rebalance", "year").write.mode("append").partitionBy(*levels).parquet(folder)


def small(rows: DataFrame, count: int) -> DataFrame:
    """`rows`, to be broadcast where `count` of them allow: else a join shuffles its wide side before it knows."""
    return F.broadcast(rows) if count <= _BROADCAST_ROWS else rows


def delete_folder(spark: SparkSession, uri: str) -> None:
    """Delete a folder that Spark wrote, with all that it holds, where there is one."""
    jvm: Any = spark._jvm
    path = jvm.org.apache.hadoop.fs.Path(uri)
    path.getFileSystem(spark._jsc.hadoopConfiguration()).delete(path, True)
