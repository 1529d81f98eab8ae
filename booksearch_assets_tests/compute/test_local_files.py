"""What Spark writes on a local disk has the permissions that the umask gives, and no program is started for them."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_IMODE
from typing import Any

from pyspark.sql import SparkSession

from booksearch_assets.compute.local_files import leave_permissions_to_umask


def test_files_have_the_permissions_of_the_umask(spark: SparkSession, tmp_path: Path) -> None:
    leave_permissions_to_umask(spark)
    jvm: Any = spark._jvm
    local = jvm.org.apache.hadoop.fs.Path(tmp_path.as_uri()).getFileSystem(spark._jsc.hadoopConfiguration())
    leave_permissions_to_umask(spark)
    assert local.getClass().getName() == "UmaskFileSystem", (
        "of whatever configuration, and the first one stays"
    )
    rows = spark.range(40).selectExpr("id", "id % 4 AS year")
    rows.write.partitionBy("year").parquet(f"{tmp_path}/table")
    written = [path for path in (tmp_path / "table").rglob("*") if path.is_file() and path.name[0] != "."]
    expected = tmp_path / "by-python"
    expected.touch()
    assert len(written) >= 4
    assert {S_IMODE(path.stat().st_mode) for path in written} == {S_IMODE(expected.stat().st_mode)}
    assert spark.read.parquet(f"{tmp_path}/table").count() == 40
    # Hadoop would have taken its own mask, 022, whatever the process's is.
    private = jvm.org.apache.hadoop.fs.permission.FsPermission("600")
    path = jvm.org.apache.hadoop.fs.Path(written[0].as_uri())
    local.setPermission(path, private)
    assert S_IMODE(os.stat(written[0]).st_mode) == S_IMODE(expected.stat().st_mode)
