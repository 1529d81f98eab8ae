"""Spark and Arrow on one lake: both mean the same places, and what Spark writes keeps the contracts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from booksearch_assets.tables.books import EDITIONS, FILTERED_FICTION
from booksearch_assets.tables.lake import Lake
from booksearch_assets_tests.tables.people import PEOPLE, commit_people, committed_ids

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("folder", ["a b/ü", "100%/x%20y", "a#b=c"])
def test_a_root_of_any_name_means_the_same_to_spark(spark: SparkSession, tmp_path: Path, folder: str) -> None:
    lake = Lake(str(tmp_path / folder))
    # What Arrow wrote, Spark reads,
    assert spark.read.parquet(commit_people(lake, 1, 2).path).count() == 2
    # and what Spark wrote, by year, Arrow reads.
    pending = lake.begin(PEOPLE.name)
    rows = spark.createDataFrame(
        [(1, "a", "2015"), (2, "b", "2016"), (3, None, "2016")], "id long, name string, year string"
    )
    rows.write.mode("append").partitionBy("year").parquet(pending.path)
    commits = [pending.commit(year) for year in ("2015", "2016")]
    assert [commit.rows for commit in commits] == [1, 2]
    assert committed_ids(lake, "2016") == [2, 3]
    assert list((tmp_path / folder).iterdir()) == [tmp_path / folder / "test"]


def test_what_spark_writes_keeps_the_contracts(spark: SparkSession, tmp_path: Path) -> None:
    from booksearch_assets.compute.spark_tables import spark_schema

    for table in (EDITIONS, FILTERED_FICTION):
        row = {
            column.name: {"string": "x", "int32": 1, "int64": 1}.get(str(column.type), ["x", "y"])
            for column in table.columns
        }
        rows = spark.createDataFrame([row], spark_schema(table.schema))
        lake = Lake(str(tmp_path / "lake"))
        pending = lake.begin(table.name)
        rows.write.mode("append").parquet(pending.path)
        commit = pending.commit()
        found = pq.read_schema(lake.files(commit)[0])
        # The flags and the names of list elements are Spark's: only so does the test say something.
        assert all(field.nullable for field in found)
        assert "element" in str(found.field("authors").type)
        assert table.violations(found) == []
        assert lake.read(table).schema.equals(table.schema)
        assert lake.read(table).to_pylist() == [row]
