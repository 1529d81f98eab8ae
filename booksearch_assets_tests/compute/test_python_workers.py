"""Python workers load PySpark from site-packages: no zip on their path, which Python would read again for each task."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from booksearch_assets.compute.python_workers import leave_archives_out


def _path_of_worker(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyspark

    for _ in batches:
        seen = [*sys.path, *sys.path_importer_cache, str(pyspark.__file__)]
        yield pa.RecordBatch.from_arrays([pa.array(seen)], ["place"])


def test_no_worker_reads_archives(spark: SparkSession) -> None:
    rows = spark.range(0, 4, 1, numPartitions=4).mapInArrow(_path_of_worker, "place string").collect()
    places = {row["place"] for row in rows}
    assert any(place.endswith("pyspark/__init__.py") for place in places)
    assert not [
        place for place in places if "pyspark.zip" in place or "py4j-" in place or place.endswith(".jar")
    ]


def test_an_archive_stays_where_pyspark_is_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    both = ["/opt/spark/python/lib/pyspark.zip", *sys.path]
    monkeypatch.setattr(sys, "path", [*both])
    monkeypatch.setitem(sys.path_importer_cache, both[0], None)
    leave_archives_out()
    assert sys.path == [place for place in both[1:] if not place.endswith(".zip")]
    assert both[0] not in sys.path_importer_cache
    alone = [both[0], "/nowhere"]
    monkeypatch.setattr(sys, "path", [*alone])
    leave_archives_out()
    assert sys.path == alone
